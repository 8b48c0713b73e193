"""Log formats: what a server's configuration says a line looks like, compiled to one strict regular expression.

A format is a list of parts, literals and fields, in the words of the server that writes the log. From the parts come
the pattern that lines are read with (only what the tally needs is captured), and the reason why a line does not fit.
A value never holds a bare quote or a control character: servers escape both. So a pattern cannot run past the end of a
record, and two records torn into one line fit nothing. Escaped quotes are blanked before the pattern sees them: it then
needs no nested repetition, whose memory would grow with every backslash that a client sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from operator import itemgetter
from typing import Any, Callable, NamedTuple

from edgetally.errors import EdgetallyError

Key = tuple[bytes, ...]

_CONTROL = rb"\x00-\x1f"
_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_NGINX_HITS = frozenset({b"HIT", b"STALE", b"UPDATING", b"REVALIDATED"})
# Squid: what ends in _HIT came from the cache (MEM, IMS, INM, NEGATIVE, OFFLINE, STALE, ASYNC, REF_FAIL, CF), and so
# did an old copy that the origin confirmed (UNMODIFIED) or did not answer for (FAIL, FAIL_OLD). REFRESH_MODIFIED,
# REFRESH_FAIL_ERR, TUNNEL, DENIED, REDIRECT and NONE did not. UDP_HIT answers a neighbour's question: no content.
_SQUID_HIT = re.compile(
    rb"TCP_(?:[A-Z]+_)*?(?:HIT|REFRESH_UNMODIFIED|REFRESH_FAIL(?:_OLD)?)(?:_ABORTED|_TIMEDOUT|_IGNORED)*"
)

# The fields that have a shape of their own; all others are text.
_SHAPES: dict[str, bytes] = {
    "clf": rb"\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "iso": rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d|Z)",
    "epoch": rb"\d{1,10}\.\d{3}",
    "size": rb"\d{1,15}|-",
    "status": rb"\d{3}|-",
    "number": rb"\d*|-",
    "seconds": rb"\d+\.\d{3}|-",
    "cache": rb"[A-Z_]*|-",
    "address": rb"[0-9A-Fa-f:.]+|unix:",
    "word": rb'[^ "' + _CONTROL + rb"]+",
    "padded": rb" *-?\d+",
    "is_args": rb"\??",
    "method": rb"[^ " + _CONTROL + rb"]+",
    "squid_code": rb"[A-Z][A-Z_]*",
    "squid_peer": rb"[A-Z][A-Z0-9_]*/[^ " + _CONTROL + rb"]+",
    "squid_type": rb"(?: [^ " + _CONTROL + rb"]+)?",
}


class Matcher(NamedTuple):
    """A format's pattern for lines, and what picks a match's key and size.

    pattern: for blanked data; multi-line, anchored to whole lines; it never matches across a line's end. A key is the
    time, the hosts in their order of precedence, the cache's word, and the path: what the format says of these, and the
    path if asked for.
    """

    pattern: re.Pattern[bytes]
    key_of: Callable[[Sequence[bytes]], Key]
    size_of: Callable[[Sequence[bytes]], bytes]


class _Part(NamedTuple):
    """One piece of a line. name: as the configuration has it; kind: of the field, or `literal`.

    stop: characters that a value cannot hold, since they mark its end.
    """

    name: str
    kind: str
    stop: str = ""


@dataclass(frozen=True)
class LogFormat:
    """A log format that lines can be read with.

    server: `nginx`, `apache`, `squid`, or empty where several write it. bytes_meaning: `wire` (headers included) or
    `body`. escapes: a backslash in a value escapes a quote or a backslash. warnings: what makes a bill from this format
    less right, one sentence each.
    """

    name: str
    description: str
    example: str
    server: str
    parts: tuple[_Part, ...] = field(repr=False)
    roles: Mapping[str, tuple[int, ...]] = field(repr=False)
    escapes: bool = True
    warnings: list[str] = field(default_factory=list)

    @property
    def hit_known(self) -> bool:
        """Whether the format tells a hit from a miss."""
        return "hit" in self.roles

    @property
    def has_host(self) -> bool:
        """Whether the format says which host was asked for."""
        return "host" in self.roles

    @property
    def has_path(self) -> bool:
        """Whether the format says which path was asked for."""
        return "path" in self.roles

    @property
    def has_duration(self) -> bool:
        """Whether the format says how long a transfer lasted."""
        return "duration" in self.roles

    @property
    def bytes_meaning(self) -> str:
        """`wire` or `body`."""
        return "body" if self.parts[self.roles["size"][0]].name in _BODY_ONLY else "wire"

    def matcher(self, paths: bool = False) -> Matcher:
        """Compile the pattern. Paths are captured on demand only: they make keys many and the tally slow."""
        rank = ("time", "host", "hit", "path", "size")
        wanted = {
            (part, role): (rank.index(role), place)
            for role in rank
            if paths or role != "path"
            for place, part in enumerate(self.roles.get(role, ()))
        }
        pattern, groups = b"", []
        for number, part in enumerate(self.parts):
            roles = [role for role in ("host", "path", "time", "hit", "size") if (number, role) in wanted]
            pattern += _pattern(part, roles)
            groups += [wanted[number, role] for role in roles]
        *keys, size = (groups.index(group) for group in sorted(groups))
        key_of = itemgetter(*keys) if len(keys) > 1 else itemgetter(slice(keys[0], keys[0] + 1))
        return Matcher(re.compile(rb"(?m)^" + pattern + rb"\r?$"), key_of, itemgetter(size))

    @property
    def time_of(self) -> Callable[[bytes], float | None]:
        """What gives the epoch seconds of a captured time, or None where there is no such time."""
        return _CLOCKS[self.parts[self.roles["time"][0]].kind]

    def request_of(self, key: Key) -> tuple[str, bool | None]:
        """Read a key without its time: the host (empty for none), and whether it was a hit (None: not said)."""
        hosts = len(self.roles.get("host", ()))
        host = next(filter(None, map(normal_host, key[:hosts])), "")
        return host, _is_hit(key[hosts]) if self.hit_known else None

    def blanked(self, data: bytes) -> bytes:
        r"""The data, as long as before, with every escaped quote or backslash (\" and \\) replaced by ~~.

        This is what the pattern reads. Pairs are taken from the left, so odd and even runs of backslashes differ.
        """
        if not self.escapes or b"\\" not in data:
            return data
        return data.replace(b"\\\\", b"~~").replace(b'\\"', b"~~")

    def explain(self, line: bytes) -> str:
        """Why a line does not fit: where it parts from the format, and what was expected there."""
        if b"\0" in line:
            return f"it holds NUL bytes, the first in column {line.index(0) + 1}"
        line = self.blanked(line)
        for count in range(len(self.parts), -1, -1):
            found = re.match(b"".join(_pattern(part, ()) for part in self.parts[:count]), line)
            if found:
                break
        column = found.end() + 1 if found else 1
        if count == len(self.parts):
            return f"it goes on after the format's end, in column {column}"
        where = f"column {column}" if column <= len(line) else "its end"
        wanted = self.parts[count]
        return f"expected {repr(wanted.name) if wanted.kind == 'literal' else wanted.name} at {where}"


# --------------------------------------------------------------------------------------------------------------------
# Values


def normal_host(raw: bytes) -> str:
    """A host as rules and bills know it: lower case, no port, no trailing dot, IPv6 in brackets; empty for none."""
    host = raw.rpartition(b"@")[2].decode("ascii", "backslashreplace").lower()
    if host.startswith("["):
        host = host[: host.find("]") + 1]
    elif host.count(":") > 1:
        host = f"[{host}]"
    else:
        host = host.partition(":")[0]
    host = host.rstrip(".")[:253]
    return "" if host == "-" else host


def _is_hit(status: bytes) -> bool:
    return status in _NGINX_HITS or _SQUID_HIT.fullmatch(status) is not None


@lru_cache(maxsize=4096)
def _minute(year: bytes, month: int, day: bytes, hour: bytes, minute: bytes, zone: bytes) -> int | None:
    """Epoch seconds of a minute, or None where there is none such. zone: `Z`, `+hhmm` or `+hh:mm`."""
    try:
        local = datetime(int(year), month, int(day), int(hour), int(minute), tzinfo=timezone.utc)
    except ValueError:
        return None
    hours, minutes = (int(zone[1:3]), int(zone[-2:])) if zone != b"Z" else (0, 0)
    offset = (hours * 60 + minutes) * (-60 if zone.startswith(b"-") else 60)
    seconds = int(local.timestamp()) - offset
    return seconds if seconds >= 0 and hours <= 14 and minutes < 60 else None


@lru_cache(maxsize=4096)
def _clf_time(text: bytes) -> float | None:
    """10/Oct/2000:13:55:36 -0700"""
    month = _MONTHS.get(text[3:6], 0)
    minute = _minute(text[7:11], month, text[:2], text[12:14], text[15:17], text[21:])
    second = int(text[18:20])
    return minute + second if minute is not None and second < 60 else None


@lru_cache(maxsize=4096)
def _iso_time(text: bytes) -> float | None:
    """2000-10-10T13:55:36-07:00"""
    minute = _minute(text[:4], int(text[5:7]), text[8:10], text[11:13], text[14:16], text[19:])
    second = int(text[17:19])
    return minute + second if minute is not None and second < 60 else None


_CLOCKS: dict[str, Callable[[bytes], float | None]] = {
    "clf": _clf_time,
    "iso": _iso_time,
    "epoch": float,
}


# --------------------------------------------------------------------------------------------------------------------
# Patterns


def _but(stop: str) -> bytes:
    """A class of all characters but those in `stop` and controls."""
    return rb"[^" + _CONTROL + re.escape("".join(dict.fromkeys(stop))).encode() + rb"]"


# A user's name may hold spaces, and a bare [ too: a client could else stay off the bill by a name of its choice. But a
# [ and a digit is where a time begins, as in the first of two torn records. Apache writes "" for an empty name.
# Their number is bounded, since each costs the pattern memory.
_USER = rb'(?:""|' + _but('"[') + rb"*(?:\[(?!\d)" + _but('"[') + rb"*){0,9999})"


def _pattern(part: _Part, roles: Sequence[str]) -> bytes:
    """The pattern of one part, with one group for each of the roles that it is to be captured in."""
    if part.kind == "literal":
        return re.escape(part.name).encode()
    if part.kind == "user":
        return _USER
    if part.kind == "joined_host":
        return _group(_but(part.stop) + rb"*(?<!-)", bool(roles))
    if part.kind in ("request", "squid_url") and roles:
        return _request_pattern(part, "host" in roles, "path" in roles)
    if part.kind == "uri" and roles:
        return _group(_but(part.stop + "?") + rb"*", True) + _but(part.stop) + rb"*"
    return _group(_SHAPES.get(part.kind) or _but(part.stop) + rb"*", bool(roles))


def _request_pattern(part: _Part, host: bool, path: bool) -> bytes:
    """A request line or squid's URL: an absolute URI or CONNECT's host:port gives the host, then comes the path.

    Whatever else stands there (`-`, a TLS hello, `error:invalid-request`) is text, with neither.
    """
    method = rb"" if part.kind == "squid_url" else _but(part.stop + " ") + rb"+ "
    authority = _group(_but(part.stop + " /?#") + rb"*", host)
    target = rb"(?:[A-Za-z][A-Za-z0-9+.-]*://|(?<=CONNECT ))" + authority
    if path:
        target = rb"(?:" + target + rb")?" + _group(rb"/" + _but(part.stop + " ?#") + rb"*", True) + rb"?"
    return rb"(?:" + method + target + rb")?" + _but(part.stop) + rb"*"


def _group(pattern: bytes, capture: bool) -> bytes:
    return (rb"(" if capture else rb"(?:") + pattern + rb")"


# --------------------------------------------------------------------------------------------------------------------
# The servers' own words. What each field is; of several for one role the one named first is taken.

_NGINX_KINDS: dict[str, str] = {
    "$time_local": "clf",
    "$time_iso8601": "iso",
    "$msec": "epoch",
    "$bytes_sent": "size",
    "$body_bytes_sent": "size",
    "$status": "status",
    "$request": "request",
    "$remote_user": "user",
    "$host": "host",
    "$http_host": "host",
    "$server_name": "host",
    "$request_uri": "uri",
    "$uri": "uri",
    "$document_uri": "uri",
    "$is_args": "is_args",
    "$upstream_cache_status": "cache",
    "$request_time": "seconds",
    "$remote_addr": "address",
    "$request_length": "number",
    "$connection": "number",
    "$connection_requests": "number",
    "$remote_port": "number",
    "$server_port": "number",
    "$pid": "number",
    "$pipe": "text",
}
_APACHE_KINDS: dict[str, str] = {
    "%v:%p": "host",
    "%h": "word",
    "%l": "word",
    "%u": "user",
    "%t": "clf",  # what is inside the brackets
    "%r": "request",
    "%>s": "status",
    "%b": "size",
    "%O": "size",
    "%{Referer}i": "text",
    "%{User-Agent}i": "text",
}
_SQUID_KINDS: dict[str, str] = {
    "%ts.%03tu": "epoch",
    "%6tr": "padded",
    "%>a": "word",
    "%Ss": "squid_code",
    "%03>Hs": "status",
    "%<st": "size",
    "%rm": "method",
    "%ru": "squid_url",
    "%[un": "word",
    "%Sh/%<a": "squid_peer",
    " %mt": "squid_type",
}
_ROLES: dict[str, tuple[str, ...]] = {
    "time": ("$msec", "$time_iso8601", "$time_local", "%t", "%ts.%03tu"),
    "size": ("$bytes_sent", "$body_bytes_sent", "%O", "%b", "%<st"),
    "path": ("$request_uri", "$request", "$uri", "$document_uri", "%r", "%ru"),
    "hit": ("$upstream_cache_status", "%Ss"),
    "duration": ("$request_time", "%6tr"),
}
_BODY_ONLY = ("$body_bytes_sent", "%b")


def _roles(parts: Sequence[_Part]) -> dict[str, tuple[int, ...]]:
    """Which parts stand for what, by their place. Several hosts stand in their order of precedence."""
    place = {part.name: number for number, part in reversed(list(enumerate(parts)))}
    roles = {role: tuple(place[name] for name in names if name in place)[:1] for role, names in _ROLES.items()}
    # nginx's $host is already: request line, else Host header, else server name.
    order = ("$host",) if "$host" in place else ("$request", "$http_host", "$server_name", "%r", "%v:%p", "%ru")
    hosts = [name for name in order if name in place]
    if not set(hosts) <= {"$request", "%r"}:
        roles["host"] = tuple(place[name] for name in hosts)
    return {role: places for role, places in roles.items() if places}


def _stop(kind: str, following: Sequence[tuple[str, str]]) -> str:
    """The character that a field's value cannot hold: it marks the value's end. following: (name, kind) of what comes.

    Text may hold spaces (a user's name, an agent), so a more telling character of the next literal is preferred.
    """
    if not following:
        return ""
    name, next_kind = following[0]
    if next_kind != "literal":
        return {"uri": "/", "is_args": "?"}.get(next_kind, "")
    if kind in ("text", "user", "request"):
        return next((char for char in name if char in "\"'[](){}<>|;,\t"), name[0])
    return name[0] if name[0] != ":" else ""


def _parts(pieces: Sequence[tuple[str, str]]) -> tuple[_Part, ...]:
    """Turn (name, kind) pairs into parts: what a value cannot hold follows from what comes after it."""
    parts = []
    for number, (name, kind) in enumerate(pieces):
        following = pieces[number + 1 :]
        stop = _stop(kind, following)
        if kind == "host" and following and following[0][1] == "uri":
            kind, stop = "joined_host", "/* "  # `$host$request_uri`, whose second half is `-` in a bad request
        elif kind == "host" and stop != '"':
            stop += " "
        elif kind == "user" and stop != "[":
            kind = "text"
        stop = " " if kind == "squid_url" else stop + '"'  # squid escapes the spaces of a URL, but not its quotes
        parts.append(_Part(name, kind, stop))
    return tuple(parts)


def _split(template: str, kinds: Mapping[str, str]) -> list[tuple[str, str]]:
    """Cut a named format's template into its fields and literals."""
    names = "|".join(map(re.escape, sorted(kinds, key=len, reverse=True)))
    pieces = re.split(f"({names})", template)
    return [(piece, kinds.get(piece, "literal")) for piece in pieces if piece]


# --------------------------------------------------------------------------------------------------------------------
# Named formats

_BODY_WARNING = "its bytes are the body's only: headers are not billed; log {} instead"
_NO_HOST_WARNING = "it does not say which host was asked for: only rules on `log` and `path` can match; log {} as well"


def _named(name: str, description: str, server: str, template: str, example: str, *warnings: str) -> LogFormat:
    kinds = _SQUID_KINDS if server == "squid" else _APACHE_KINDS
    parts = _parts(_split(template, kinds))
    return LogFormat(name, description, example, server, parts, _roles(parts), server != "squid", list(warnings))


_CLF = '%h %l %u [%t] "%r" %>s %b'
_AGENT = '"%{Referer}i" "%{User-Agent}i"'
_CLF_EXAMPLE = '192.0.2.7 - frank [10/Oct/2026:13:55:36 -0700] "GET /a.gif HTTP/1.1" 200 2326'
_AGENT_EXAMPLE = '"https://example.com/" "Mozilla/5.0"'
_CLF_WARNINGS = (_BODY_WARNING.format("$bytes_sent or %O"), _NO_HOST_WARNING.format("$host or %v"))

FORMATS: dict[str, LogFormat] = {
    log_format.name: log_format
    for log_format in (
        _named(
            "combined",
            "nginx's and Apache's default access log",
            "",
            f"{_CLF} {_AGENT}",
            f"{_CLF_EXAMPLE} {_AGENT_EXAMPLE}",
            *_CLF_WARNINGS,
        ),
        _named("common", "the Common Log Format, without referer and agent", "", _CLF, _CLF_EXAMPLE, *_CLF_WARNINGS),
        _named(
            "vhost_combined",
            "Debian's Apache: combined with virtual host and port in front, bytes on the wire",
            "apache",
            f"%v:%p {_CLF[:-2]}%O {_AGENT}",
            f"www.example.com:443 {_CLF_EXAMPLE} {_AGENT_EXAMPLE}",
        ),
        _named(
            "squid",
            "squid's native access log",
            "squid",
            "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt",
            "1780000000.123     37 192.0.2.7 TCP_HIT/200 4083 GET http://example.com/a.gif - HIER_NONE/- image/gif",
        ),
    )
}


def parse_format(text: str, server: str = "") -> LogFormat:
    """The format that a configuration names or pastes: a key of FORMATS, or an nginx log_format.

    text: `combined`, `$host … $bytes_sent`, `'…' '…'`, or the whole directive `log_format name '…' '…';`.
    server: what writes the log, where known. Raises EdgetallyError for what cannot be read.
    """
    stripped = text.strip()
    if stripped in FORMATS:
        named = FORMATS[stripped]
        if named.server and server and named.server != server:
            raise EdgetallyError(
                f"format '{stripped}' is {named.server}'s, but the log's server is '{server}': correct one of them"
            )
        return named
    if "$" in stripped or stripped.startswith("log_format"):
        if server not in ("", "nginx"):
            raise EdgetallyError(
                f"a format with $variables is nginx's, but the log's server is '{server}': "
                f"name one of {', '.join(FORMATS)}, or correct the server"
            )
        return _nginx(stripped)
    close = nearest(stripped.lower(), FORMATS)
    hint = f"did you mean '{close}'?" if close else f"name one of {', '.join(FORMATS)}, or paste nginx's log_format"
    raise EdgetallyError(f"format '{_shorten(stripped)}' is not known: {hint}")


# --------------------------------------------------------------------------------------------------------------------
# nginx

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_CONF_TOKEN = re.compile(
    r"""(?:\s|\#[^\n]*)*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|((?:[^\s;'"\\]|\\.)(?:[^\s;\\]|\\.)*)|(;))""",
    re.S,
)


def _nginx(text: str) -> LogFormat:
    """Compile a pasted log_format."""
    name, escape, template = _directive(text)
    if escape not in ("default", "json", "none"):
        raise EdgetallyError(f"log_format {name}: escape={escape} is not known: it is default, json or none")
    if "\n" in template or "\r" in template:
        raise EdgetallyError(f"log_format {name}: the format holds a line break: one request must be one line")
    pieces = list(_nginx_pieces(name, template))
    parts = _parts(pieces)
    roles = _roles(parts)
    _require(name, roles, pieces)
    warnings = list(_nginx_warnings(roles, pieces, escape))
    return LogFormat(name, f"nginx log_format {template}", "", "nginx", parts, roles, escape != "none", warnings)


def _directive(text: str) -> tuple[str, str, str]:
    """(name, escape, format) of what was pasted: the whole directive, its quoted strings, or the bare format."""
    if not re.match(r"log_format\b|escape=|'", text):
        return "nginx", "default", text
    tokens, end = [], 0
    while end < len(text.rstrip()):
        found = _CONF_TOKEN.match(text, end)
        if found is None:
            raise EdgetallyError(f"log_format: a quote is not closed: {_shorten(text[end:].strip())}")
        if found[4]:
            more = text[found.end() :].strip()
            if more:
                raise EdgetallyError(f"log_format: paste one directive only; after its ; comes {_shorten(more)}")
            break
        tokens.append(found)
        end = found.end()
    words = [_unescape(next(group for group in token.groups() if group is not None)) for token in tokens]
    name = "nginx"
    if words[0] == "log_format":
        name, words = (words[1] if len(words) > 1 else ""), words[2:]
    escape = words.pop(0)[len("escape=") :] if words and words[0].startswith("escape=") else "default"
    if not words:
        raise EdgetallyError("log_format: the format itself is missing: paste the whole directive, up to its ;")
    return name, escape, "".join(words)


def _unescape(word: str) -> str:
    r"""What nginx's configuration reader makes of a word: \" \' \\ and \t \n \r; other backslashes stay."""
    special = {"t": "\t", "n": "\n", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
    return re.sub(r"\\(.)", lambda found: special.get(found[1], found[0]), word, flags=re.S)


def _nginx_pieces(name: str, template: str) -> Iterator[tuple[str, str]]:
    """Cut a log_format into (name, kind) of its variables and literals; refuse what no line could be read with."""
    end, before = 0, ("", "literal")
    for found in _VARIABLE.finditer(template):
        if found.start() > end:
            before = (template[end : found.start()], "literal")
            yield before
        variable = "$" + (found[1] or found[2])
        piece = (variable, _NGINX_KINDS.get(variable, "text"))
        if before[1] not in ("literal", "is_args") and piece[1] not in ("uri", "is_args"):
            raise EdgetallyError(
                f"log_format {name}: {before[0]} and {variable} stand side by side: put a space or a quote between them"
            )
        before = piece
        yield piece
        end = found.end()
    if end < len(template):
        yield template[end:], "literal"


def _require(name: str, roles: Mapping[str, Any], pieces: Sequence[tuple[str, str]]) -> None:
    """A line must say when and how much."""
    for role, what in (("time", "the time"), ("size", "the bytes")):
        if role in roles:
            continue
        wanted = [word for word in _ROLES[role] if word.startswith("$")]
        typo = next(filter(None, (nearest(word, wanted, 0.8) for word, _ in pieces)), "")
        hint = f"did you mean {typo}?" if typo else f"add {' or '.join(wanted)}"
        raise EdgetallyError(f"log_format {name} does not say {what}: {hint}")


def _nginx_warnings(roles: Mapping[str, Any], pieces: Sequence[tuple[str, str]], escape: str) -> Iterator[str]:
    if "$bytes_sent" not in [name for name, _ in pieces]:
        yield _BODY_WARNING.format("$bytes_sent")
    if "host" not in roles:
        yield _NO_HOST_WARNING.format("$host")
    if escape == "none":
        yield "escape=none: a line whose client sends a quote is rejected; use escape=default or json"
    for (variable, kind), (literal, next_kind) in zip(pieces, pieces[1:]):
        stop = _stop(kind, [(literal, next_kind)])
        sent = variable.startswith(("$http_", "$arg", "$cookie_"))
        if sent and next_kind == "literal" and stop not in '"':
            yield f"{variable} stands unquoted: a line where it holds '{stop}' is rejected; put it in double quotes"


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The known word that was probably meant, or an empty text."""
    from difflib import get_close_matches  # needed for mistakes only

    return next(iter(get_close_matches(word, list(known), 1, likeness)), "")


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
