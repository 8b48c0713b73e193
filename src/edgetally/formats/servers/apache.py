"""Apache httpd: LogFormat, as the whole directive, its quoted string, or the bare format; lighttpd's accesslog.format.

Apache logs a request when it has ended, but %t is the time at which it came: the duration is added where it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from edgetally.errors import EdgetallyError
from edgetally.formats import clocks
from edgetally.formats.build import ODD_TIME, UNKNOWN, Dialect, build, unknown
from edgetally.formats.finding import Finding
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.servers.quoting import is_quoted, one_line, quoted
from edgetally.formats.values import APACHE_HIT, VERDICT_HEADERS, VERDICT_HIT, shorten

VERDICTS = tuple(f"%{{{name}}}o" for name in VERDICT_HEADERS)
DIALECT = Dialect(
    server="apache",
    title="Apache",
    directive="LogFormat",
    roles={
        "time": ("%{end}t", "%t", "%{}t"),
        "size": ("%O", "%B", "%b"),
        "host": ("%r", "%{host}i", "%V", "%v"),
        "path": ("%r", "%U"),
        "hit": ("%{cache-status}e", "%{cache-hit}e", *VERDICTS),
        "duration": ("%{us}T", "%{ms}T", "%T"),
    },
    advice={
        "time": "%t",
        "size": "%O or %B",
        "wire": "%O (mod_logio)",
        "host": "%{Host}i or %V",
        "duration": "%D",
        "offset": "add %z to its format, or log %t",
    },
    body_only=("%B", "%b"),
    requests=("%r",),
    logs_start=True,
    ends=("%{end}t",),
    hits=dict.fromkeys(VERDICTS, VERDICT_HIT),
    hit=APACHE_HIT,
    sent=re.compile(r"%.*(?:\}[iC]|r)$"),
)
# lighttpd writes the same fields, but its %t is the time at which the response has ended.
LIGHTTPD = DIALECT._replace(
    server="lighttpd",
    title="lighttpd",
    directive="accesslog.format",
    logs_start=False,
    advice={**DIALECT.advice, "wire": "%O"},
)
NAMED = {
    "common": '%h %l %u %t "%r" %>s %b',
    "combined": '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"',
    "vhost_combined": '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"',
}
_FIELD = re.compile(r"%(?:!?\d{3}(?:,\d{3})*)?([<>])?(?:\{([^}]*)\})?([<>])?(\^[A-Za-z]{2}|[A-Za-z%])")
KINDS = kinds_of(
    {
        "word": "a A h l L m H {hextid}P",
        "number": "k p P I S ^FB",
        "host": "v V",
        "size": "b B O",
        "text": "f R i o n e C x c ^ti ^to",
        "us": "D",
        "decimal": "T",
        "uri": "U",
        "keepalive": "X",
        "query": "q",
        "request": "r",
        "status": "s",
        "user": "u",
    }
)
# What lighttpd cannot read has neither method nor protocol; its query has no question mark.
_LIGHTTPD_KINDS = {**KINDS, **dict.fromkeys("mHq", "text")}
_DURATIONS = {"": "decimal", "s": "decimal", "sec": "decimal", "ms": "ms", "us": "us"}
_MOMENTS = {"sec": "%s", "msec": "%1", "usec": "%6", "msec_frac": "%3", "usec_frac": "%f"}
_TIME = re.compile(r"([.,:T /-]?)%\{(?:(begin|end)(?::|(?=\})))?([^}]*)\}t")
_WHOLE = re.compile(r"(?i)(?:LogFormat|CustomLog|TransferLog)\b\s*")


def compile_apache(text: str, dialect: Dialect = DIALECT) -> LogFormat:
    """Compile a pasted LogFormat."""
    name, template = _template(text, dialect)
    described = f"{dialect.title} {dialect.directive} {template}"
    pieces = list(cut(dialect, name, template, _LIGHTTPD_KINDS if dialect.server == "lighttpd" else KINDS))
    return build(dialect, name, described, pieces, findings=list(odd_fields(pieces)))


def odd_fields(pieces: Iterable[Piece]) -> Iterator[Finding]:
    """What to say of the fields that are not known."""
    return unknown(piece.name for piece in pieces if piece.field == UNKNOWN)


def compile_lighttpd(text: str) -> LogFormat:
    """Compile a pasted accesslog.format."""
    return compile_apache(text, LIGHTTPD)


def _template(text: str, dialect: Dialect) -> tuple[str, str]:
    """(nickname, format) of what was pasted."""
    text = one_line(text, dialect.directive)
    keyword = _WHOLE.match(text) or re.match(r"accesslog\.format\s*\+?=\s*", text)
    rest = text[keyword.end() :] if keyword else text
    if keyword and keyword[0].lower().startswith("customlog"):
        target = re.match(r'(?:"[^"]*"|\S+)\s+(?=")', rest)
        if target is None:
            raise EdgetallyError("CustomLog: it names a format but does not hold it: paste the LogFormat of that name")
        rest = rest[target.end() :]
    name = dialect.server
    if keyword or is_quoted(rest):
        rest, nickname = quoted(rest, dialect.directive) if rest[:1] in ("'", '"') else (rest, "")
        name = nickname.split()[0] if nickname and not nickname.startswith("env=") else name
    elif '\\"' in rest:
        rest = rest.replace('\\"', '"').replace("\\\\", "\\")
    if not rest.strip():
        raise EdgetallyError(f"{dialect.directive}: the format itself is missing: paste the whole directive")
    return name, rest.replace("\\t", "\t").replace("\\n", "\n")


def cut(dialect: Dialect, name: str, template: str, kinds: Mapping[str, str]) -> Iterator[Piece]:
    """Cut a format into its fields and literals; refuse what no line could be read with. kinds: of the fields known."""
    if "\n" in template:
        raise EdgetallyError(f"{dialect.directive} {name}: the format holds a line break: one request must be one line")
    at = 0
    while at < len(template):
        if template[at] != "%":
            yield Piece(template[at], "literal")
            at += 1
            continue
        own = _moment(template, at)
        if own:
            yield own
            at += len(own.name)
            continue
        match = _FIELD.match(template, at)
        if match is None:
            raise EdgetallyError(f"{dialect.directive} {name}: {shorten(template[at:])} is no field: correct it")
        yield from _field(dialect, name, match, kinds)
        at = match.end()


def _field(dialect: Dialect, name: str, match: re.Match[str], kinds: Mapping[str, str]) -> Iterator[Piece]:
    written, argument, letter = match[0], match[2], match[4]
    if letter == "%":
        yield Piece("%", "literal")
    elif letter == "t":
        yield from (Piece("[", "literal"), Piece(written, "clf", "%t"), Piece("]", "literal"))
    elif letter == "T":
        yield _duration(dialect, name, written, argument or "")
    elif letter == "D":
        yield Piece(written, "us", "%{us}T")
    elif letter == "i" and (argument or "").lower() == "host":
        yield Piece(written, "host", "%{host}i")
    elif letter == "o" and f"%{{{(argument or '').lower()}}}o" in VERDICTS:
        yield Piece(written, "text", f"%{{{(argument or '').lower()}}}o")
    elif letter in kinds:
        kind = kinds.get(written[1:], kinds[letter])
        yield Piece(written, kind, f"%{letter}" if argument is None or letter in "aph" else written)
    else:
        yield Piece(written, "text", UNKNOWN)


def _duration(dialect: Dialect, name: str, written: str, unit: str) -> Piece:
    """A duration in a unit of the administrator's own."""
    if unit not in _DURATIONS:
        raise EdgetallyError(f"{dialect.directive} {name}: {written}: the unit is s, ms or us")
    return Piece(written, _DURATIONS[unit], f"%{{{unit}}}T" if unit in ("ms", "us") else "%T")


def _moment(template: str, at: int) -> Piece | None:
    """A time in a form of the administrator's own, perhaps put together: `%{%H:%M:%S}t.%{msec_frac}t`."""
    spec, which, end = "", "", at
    while True:
        match = _TIME.match(template, end)
        if match is None or (end == at and match[1]) or (end > at and (match[2] or "") != which):
            break
        which = match[2] or ""
        form = _MOMENTS.get(match[3], match[3]) or "[%d/%b/%Y:%H:%M:%S %z]"
        spec += match[1] + form
        end = match.end()
    if end == at:
        return None
    written, odd = template[at:end], clocks.unknown_word(spec)
    if odd:
        why = f"{odd} cannot be read" if odd.startswith("%") else f"it is not {odd}"
        return Piece(written, "text", f"{ODD_TIME}{why}; log %t or %{{usec}}t")
    return Piece(written, f"local:{spec}", "%{end}t" if which == "end" else "%{}t")
