"""HAProxy: the HTTP log (`option httplog`), and log-format strings; both with and without a syslog's prefix.

A line's own time is that of the request's arrival, to which the duration is added. %tr and %t are local times without
an offset. HAProxy writes quotes, braces and controls in values as #22 and the like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgetally.errors import EdgetallyError
from edgetally.formats.build import Dialect, build
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.servers.quoting import one_line, quoted
from edgetally.formats.values import HAPROXY_HIT, shorten

# What HAProxy logs beside requests: of its proxies and servers, and of connections that never came to a request.
NOTICES = re.compile(
    rb"(?:<\d+>)?(?:[^\[\n]{0,200}\w\[\d+\]: |\[(?:NOTICE|WARNING|ALERT)\] [^:\n]*: )(?:"
    rb"(?:[Pp]roxy|[Ff]rontend|[Bb]ackend) \S+ (?:started|stopped|paused|resumed|enabled|disabled|has no server )|"
    rb"(?:Stopping|Pausing|Resuming) (?:proxy|frontend|backend) |"
    rb"(?:[Ss]erver|Health check for (?:backup )?server|Backup Server) \S+/\S+ (?:is |was |succeeded|failed|changed)|"
    rb"\S+/\S+ changed its IP |[Nn]ew worker|[Ll]oading |Exiting|Former worker|Reexecuting|"
    rb"\S+:\d+ \[[\w/:.]+\] \S+/\S+: (?:SSL|Connection|Timeout|Received|Bad|Missing|Client)[^\"{}]*$)"
)
DIALECT = Dialect(
    server="haproxy",
    title="HAProxy",
    directive="log-format",
    roles={
        "time": ("%trl", "%trg", "%T", "%Tl", "%Ts.%ms", "%tr", "%t", "%Ts"),
        "size": ("%B",),
        "host": ("%r", "%HU", "%[hdr(host)]", "%[ssl_fc_sni]"),
        "path": ("%r", "%HU", "%HP", "%HPO", "%[path]"),
        "hit": ("%[res.cache_hit]",),
        "duration": ("%Ta", "%Tt"),
    },
    advice={
        "time": "%trl",
        "size": "%B",
        "host": "%[var(txn.host)], set by `http-request set-var(txn.host) req.hdr(host)`,",
        "duration": "%Ta",
        "hit": "%[res.cache_hit]",
        "offset": "log %trl, or run HAProxy in UTC",
    },
    requests=("%r", "%HU"),
    logs_start=True,
    hit=HAPROXY_HIT,
    notices=NOTICES,
)
_TIMERS = "%TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq"
HTTPLOG = f"%ci:%cp [%tr] %ft %b/%s {_TIMERS} %hr %hs %{{+Q}}r"
EXAMPLE = (
    "Oct 10 13:55:36 lb1 haproxy[2451]: 192.0.2.7:51234 [10/Oct/2026:13:55:36.250] www~ cache/edge1 0/0/1/12/15 200 "
    '2326 - - ---- 9/8/2/1/0 0/0 {www.example.com} "GET /a.gif HTTP/1.1"'
)
_FIELD = re.compile(r"%(?:\{([^}]*)\})?(?:\[((?:[^\]\\\"]|\\.|\"[^\"]*\")*)\]|([A-Za-z]+|%))")
_PREFIX = Piece("a syslog prefix", "syslog")
_EPOCH = "%Ts.%ms"
_LETTERS = kinds_of(
    {
        "number": "cp bp fp sp bi lc pid rt ms U",
        "signed": "TR Tw Tc Tr Td Th Ti Tq Tu",
        "ms": "Ta Tt",
        "counter": "ac fc bc sc rc sq bq",
        "word": "ci fi si b s f ft CC CS H ID HM HV sslc sslv",
        "uri": "HP HPO",
        "text": "HQ hrl hsl ct",
        "url": "HU",
        "size": "B",
        "haproxy_status": "ST",
        "haproxy_state": "ts",
        "haproxy_cookies": "tsc",
        "request": "r",
        "haproxy": "t tr",
        "clf": "trl trg T Tl",
        "utc:%s": "Ts",
    }
)
_EXPRESSIONS = (
    (r"(?:capture\.)?(?:req\.)?f?hdr\(host(?:,-?\d+)?\)|var\((?:\w+\.)?(?:\w+_)?host\)", "host", "%[hdr(host)]"),
    (r"ssl_fc_sni", "host", "%[ssl_fc_sni]"),
    (r"res\.cache_hit", "flag", "%[res.cache_hit]"),
    (r"(?:capture\.req\.uri|url|pathq?)", "uri", "%[path]"),
)


def compile_haproxy(text: str) -> LogFormat:
    """Compile a pasted log-format."""
    text = one_line(text, DIALECT.directive)
    keyword = re.match(r"log-format\b\s*", text)
    rest = text[keyword.end() :] if keyword else text
    if not rest:
        raise EdgetallyError("log-format: the format itself is missing: paste the whole line")
    if rest[0] in "'\"" and rest[-1:] == rest[0]:
        rest, more = quoted(rest, DIALECT.directive)
        if more:
            raise EdgetallyError(f"log-format: the string ends early: put a backslash before its inner quotes: {more}")
    else:
        rest = re.sub(r"\\([ \"'\\#\[\]{}])", r"\1", rest)
    pieces = [_PREFIX, *_pieces("haproxy", rest)]
    return build(DIALECT, "haproxy", f"HAProxy log-format {rest}", pieces, escapes=False)


def http_log() -> LogFormat:
    """HAProxy's HTTP log."""
    described = "HAProxy's HTTP log (option httplog), with or without a syslog's prefix"
    pieces = [_PREFIX, *_pieces("haproxy", HTTPLOG)]
    return build(DIALECT, "haproxy", described, pieces, example=EXAMPLE, escapes=False)


def _pieces(name: str, template: str) -> Iterator[Piece]:
    """Cut a log-format into its fields and literals, as HAProxy does: blanks in a row are one."""
    template = re.sub(r"(^| )(%\{[^}]*\}o) ", r"\1\2", re.sub(r" +", " ", template.strip(" ")))
    template = re.sub(r" ?%h([rs])(?![a-z])", r"%h\1", template)
    at, quoting = 0, False
    while at < len(template):
        match = _FIELD.match(template, at)
        if match is None or template.startswith(_EPOCH, at):
            piece = _other(name, template, at)
            yield piece
            at += len(piece.name)
            continue
        flags, expression, letters = match[1] or "", match[2], match[3] or ""
        wanted = "+Q" in flags if "Q" in flags else quoting
        at = match.end()
        if letters == "o":
            quoting = wanted
            continue
        letters = _known(name, match) if expression is None else ""
        at -= len(match[3] or "") - len(letters)
        yield from _field(match, letters, expression, wanted, at == len(template))


def _other(name: str, template: str, at: int) -> Piece:
    """The piece at a place where no single field is: the epoch's seconds with milliseconds, or a literal."""
    if template.startswith(_EPOCH, at):
        return Piece(_EPOCH, "epoch")
    if template[at] == "%":
        raise EdgetallyError(f"log-format {name}: {shorten(template[at:])} is no field: correct it")
    return Piece(template[at], "haproxy_end" if template[at:] == '"' else "literal")


def _known(name: str, match: re.Match[str]) -> str:
    """The letters of a field that is known: the longest there is, since nothing parts it from what follows."""
    letters = match[3]
    for size in range(len(letters), 0, -1):
        if letters[:size] in _LETTERS or letters[:size] in ("%", "hr", "hs"):
            return letters[:size]
    raise EdgetallyError(f"log-format {name}: {match[0]} is not known: correct it")


def _field(match: re.Match[str], letters: str, expression: str | None, quote: bool, last: bool) -> Iterator[Piece]:
    """A field, between quotes where that is asked for and it is no number."""
    if letters == "%":
        yield Piece("%", "literal")
        return
    if letters in ("hr", "hs"):
        yield Piece(f"%{letters}", "haproxy_headers")
        return
    piece = Piece(match[0], _LETTERS[letters], f"%{letters}") if letters else _expression(match[0], expression or "")
    times = {"T", "Tl", "Ts", "t", "tr", "trl", "trg"}
    if not quote or piece.kind in ("number", "signed", "counter", "ms", "size") or letters in times:
        yield piece
        return
    yield from (Piece('"', "literal"), piece, Piece('"', "haproxy_end" if last else "literal"))


def _expression(written: str, expression: str) -> Piece:
    """A sample fetch: some are known, the others are text."""
    fetch = re.sub(r",(?:lower|upper|field\([^)]*\)|json\([^)]*\)|str)", "", expression.replace(" ", "")).lower()
    for pattern, kind, field in _EXPRESSIONS:
        if re.fullmatch(pattern, fetch):
            return Piece(written, kind, field)
    return Piece(written, "text")
