"""From the pieces of a format to the pattern of a line.

A value never holds a control character, nor the character that marks its end: servers escape both. So a pattern cannot
run past the end of a record, and two records torn into one line fit nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edgetally.formats import clocks
from edgetally.record import NamedTuple

# What no value holds, as it stands in a class; a class of all but these holds more.
CONTROLS = rb"\x00-\x1f"

# What a syslog daemon puts before a line.
SYSLOG = (
    rb"(?:<\d{1,3}>)?(?:1 )?(?:[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
    rb"(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)) (?:(?:[^ :\[" + CONTROLS + rb"]+|\[?[0-9a-fA-F:.]+\]?) )?"
    rb"[\w./-]+(?:\[\d+\]:|:| (?:\d+|-) [\w-]+ (?:-|\[[^\]" + CONTROLS + rb"]*\])) "
)
_MORE = rb'[^ "\[' + CONTROLS + rb"]"
# The fields that have a shape of their own; times have theirs in clocks; all others are text.
_SHAPES: dict[str, bytes] = {
    "pad": rb" *",
    "size": rb"\d{1,15}|-",
    "status": rb"\d{3}|-",
    "number": rb"\d*|-",
    "signed": rb"-?\d+",
    "counter": rb"\+?\d+",
    "seconds": rb"\d{1,15}\.\d{3}|-",
    "decimal": rb"-?\d{1,15}(?:\.\d{1,9})?|-",
    "ms": rb"-?\d{1,15}|-",
    "us": rb"-?\d{1,15}|-",
    "ns": rb"-?\d{1,18}",
    "cache": rb"[A-Z_]*|-",
    "address": rb"[0-9A-Fa-f:.]+|unix:",
    "is_args": rb"\??",
    "token": rb"[^ " + CONTROLS + rb"]+",
    "path": rb"[^ " + CONTROLS + rb"]+",
    "w3c_column": rb"[^\n" + CONTROLS + rb"]+",
    "maybe_quoted": rb'"[^"' + CONTROLS + rb']*"|-',
    "alb_type": rb"[a-z0-9]{2,5}",
    "quote": rb'"?',
    "maybe_text": rb'(?<=")[^"' + CONTROLS + rb']*(?=")|(?<!")-(?!")',
    # Taken where it is there: to leave it out as well would be tried in all ways, for each that is left out before.
    "more": rb" " + _MORE + rb"+(?!" + _MORE + rb")|(?! " + _MORE + rb")",
    "more_quoted": rb' ?"[^"' + CONTROLS + rb']*"|(?! ?")',
    "shell": rb'"[^"' + CONTROLS + rb']*"|[^ "' + CONTROLS + rb"]*",
    "keepalive": rb"[X+-]",
    "flag": rb"\d*|-",
    "squid_code": rb"[A-Z][A-Z_]*",
    "squid_peer": rb"[A-Z][A-Z0-9_]*|-",
    "squid_type": rb"(?: [^ " + CONTROLS + rb"]+)?",
    "haproxy_status": rb"-1|\d{1,3}",
    "haproxy_state": rb"[A-Za-z-]{2}",
    "haproxy_cookies": rb"[A-Za-z-]{4}",
    "haproxy_port": rb'\d{1,15}|""',
    "haproxy_list": rb'(?: [^ "' + CONTROLS + rb"]*)?",
    "haproxy_quoted": rb'(?: ?"[^"' + CONTROLS + rb']*"){0,99} ?',
    "haproxy_headers": rb"(?: ?\{[^{}" + CONTROLS + rb"]*\})?",
    # HAProxy cuts a line at 1024 characters, of which its own prefix may have taken some; the rest of such a line is
    # gone, but all that counts stands before.
    "haproxy_end": rb'"|(?<=[^\n]{900})$',
    "syslog": rb"(?:" + SYSLOG + rb")?",
}

# What may stand right before or right after another field, since it shows by itself where it begins or ends.
SELF_ENDING = {
    *("literal", "is_args", "pad", "syslog", "haproxy_headers", "haproxy_list", "haproxy_quoted"),
    "quote",
}
SELF_STARTING = {
    *("literal", "uri", "is_args", "query", "pad", "squid_type"),
    *("haproxy_headers", "haproxy_list", "haproxy_quoted", "haproxy_end", "quote", "more"),
    "more_quoted",
}
_FIRST_CHARACTERS = {
    "uri": "/",
    "is_args": "?",
    "pad": " ",
    "haproxy_headers": " ",
    "haproxy_list": " ",
    "haproxy_quoted": " ",
    "haproxy_end": '"',
    "quote": '"',
    "more": " ",
    "more_quoted": " ",
}


class Piece(NamedTuple):
    """A field or a literal of a format, as the server's configuration has it.

    name: as written there, for messages; kind: what its values look like, or `literal`; field: what the server calls
    it without width, quotes and the like, where that differs from the name.
    """

    name: str
    kind: str
    field: str = ""


class Part(NamedTuple):
    """A piece, and its stop: the characters that its value cannot hold, since they mark the value's end."""

    name: str
    kind: str
    stop: str = ""


def kinds_of(table: Mapping[str, str]) -> dict[str, str]:
    """The kind of each field, from the fields of each kind, with blanks between them."""
    return {name: kind for kind, names in table.items() for name in names.split()}


def parts_of(pieces: Sequence[Piece]) -> tuple[Part, ...]:
    """Turn pieces into parts: what a value cannot hold follows from what comes after it."""
    parts = []
    for number, piece in enumerate(pieces):
        following = pieces[number + 1 :]
        kind, stop = piece.kind, stop_of(piece.kind, following)
        if kind == "host" and following and following[0].kind == "uri":
            kind, stop = "joined_host", "/* "  # `$host$request_uri`, whose second half is `-` in a bad request
        elif kind == "host" and stop != '"':
            stop += " "
        elif kind == "user" and stop != "[":
            kind = "text"
        if kind == "list" and (stop not in (" ", ",", "") or _is_list_mark(following)):
            kind = "text"
        if kind == "url":  # squid escapes the spaces of a URL, but not its quotes
            stop = ' "' if stop == '"' else " "
        else:
            stop += '"'
        parts.append(Part(piece.name, kind, stop))
    return tuple(parts)


def _is_list_mark(following: Sequence[Piece]) -> bool:
    """Whether what stands behind a list is what parts its elements, too."""
    return bool(following) and following[0].name.startswith((", ", " : "))


def stop_of(kind: str, following: Sequence[Piece]) -> str:
    """The character that a field's value cannot hold: it marks the value's end. following: what comes after it.

    Text may hold spaces (a user's name, an agent), so a more telling character of the next literal is preferred.
    """
    if not following:
        return ""
    name, next_kind, _ = following[0]
    if next_kind == "query":  # which may be empty
        return "?" + stop_of(kind, following[1:])
    if next_kind != "literal":
        return _FIRST_CHARACTERS.get(next_kind, "")
    if kind in ("text", "raw", "name", "user", "request"):
        return next((char for char in name if char in "\"'[](){}<>|;,\t"), name[0])
    return name[0] if name[0] != ":" else ""


def pattern_of(part: Part, roles: Sequence[str]) -> bytes:
    """The pattern of one part, with one group for each of the roles that it is to be captured in."""
    if part.kind == "literal":
        return re.escape(part.name).encode()
    if part.kind == "user":
        return _USER
    if part.kind == "joined_host":
        return _group(_but(part.stop) + rb"*(?<!-)", bool(roles))
    if part.kind == "request" and part.stop[:1] == " ":  # a request has blanks: this is `-` or the like
        return _but(part.stop) + rb"*" + rb"()" * len(roles)
    if part.kind in ("request", "url") and roles:
        return request_pattern(part, roles)
    if part.kind == "maybe_request":  # in quotes, which are parts of their own, or a dash without
        request = request_pattern(part, roles)
        return rb'(?:(?<=")' + request + rb'(?=")|(?<!")-(?!"))'
    if part.kind == "uri" and roles:
        return _whole(_but(part.stop + "?"), True) + _but(part.stop) + rb"*"
    return _group(_shape(part), bool(roles))


def _shape(part: Part) -> bytes:
    if clocks.is_time(part.kind):
        return clocks.shape(part.kind)
    if part.kind == "word":
        return _but(part.stop + ' "') + rb"+"
    if part.kind == "name":
        return _but(part.stop + '"') + rb"+"
    if part.kind == "query":
        return rb"(?:\?" + _but(part.stop) + rb"*)?"
    if part.kind == "list":
        element = rb"(?:\[[0-9A-Fa-f:.]+\])?" + _but(part.stop + ' ,"') + rb"*"
        return element + rb"(?:(?:, | : )" + element + rb"){0,99}"
    return _SHAPES.get(part.kind) or _but(part.stop) + rb"*"


def _but(stop: str) -> bytes:
    """A class of all characters but those in `stop` and controls."""
    return rb"[^" + CONTROLS + re.escape("".join(dict.fromkeys(stop))).encode() + rb"]"


# A user's name may hold spaces, and a bare [ too: a client could else stay off the bill by a name of its choice. But a
# [ and a digit is where a time begins, as in the first of two torn records. Apache writes "" for an empty name.
# Their number is bounded, since each costs the pattern memory.
_USER = rb'(?:""|' + _but('"[') + rb"*(?:\[(?!\d)" + _but('"[') + rb"*){0,9999})"


def request_pattern(part: Part, roles: Sequence[str], guard: bytes = b"", rest: bytes = b"") -> bytes:
    """A request line or a URL alone: an absolute URI or CONNECT's host:port gives the host, then comes the path.

    Whatever else stands there (`-`, a TLS hello, `error:invalid-request`) is text, with neither; squid writes the last
    for a CONNECT that it refuses, too. guard: what has to be so behind a method; rest: what may follow the path.
    """
    method = rb"" if part.kind == "url" else _but(part.stop + " ") + rb"+" + guard + rb" "
    authority = _whole(_but(part.stop + " /?#"), "host" in roles)
    tunnel = rb"|" + _tunnel(part) if part.kind == "url" else rb""
    target = rb"(?:[A-Za-z][A-Za-z0-9+.-]*://|(?<=CONNECT )(?!error:)" + tunnel + rb")" + authority
    if "path" in roles:
        target = rb"(?:" + target + rb"|)" + rb"(?:(?=/)" + _whole(_but(part.stop + " ?#"), True) + rb"|)"
    return rb"(?:" + method + target + rb"|)" + (rest or _but(part.stop) + rb"*")


def _tunnel(part: Part) -> bytes:
    """A look ahead for a URL that is a host and a port: that of a CONNECT, whose method stands elsewhere."""
    host = rb"(?:\[[0-9A-Fa-f:.]+\]|[^]\[:/?#\\\" " + CONTROLS + rb"]+)"
    return rb"(?=" + host + rb":\d{1,5}(?!" + _but(part.stop) + rb"))"


def _whole(character: bytes, capture: bool) -> bytes:
    """A run of one class, whole: to give some of it back is tried in one step, not at each place of a long line."""
    return _group(character + rb"*", capture) + rb"(?!" + character + rb")"


def _group(pattern: bytes, capture: bool) -> bytes:
    return (rb"(" if capture else rb"(?:") + pattern + rb")"
