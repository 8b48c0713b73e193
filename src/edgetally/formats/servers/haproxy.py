"""HAProxy: the HTTP log (`option httplog`), and log-format strings; both with and without a syslog's prefix.

A line's own time is that of the request's arrival, to which the duration is added. %tr and %t are local times without
an offset. HAProxy writes quotes, braces and controls in values as #22 and the like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edgetally.errors import EdgetallyError
from edgetally.formats.build import UNKNOWN, Dialect, build, unknown
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.servers.quoting import one_line, quoted
from edgetally.formats.values import HAPROXY_CACHE, HAPROXY_HIT, VERDICT_HEADERS, VERDICT_HIT, shorten

# What HAProxy logs beside requests: of its proxies and servers, and of connections that never came to a request.
NOTICES = re.compile(
    rb"(?:<\d+>)?(?:[^\[\n]{0,200}\w\[\d+\]: |\[(?:NOTICE|WARNING|ALERT)\] [^:\n]*: )(?:"
    rb"(?:[Pp]roxy|[Ff]rontend|[Bb]ackend) \S+ (?:started|stopped|paused|resumed|enabled|disabled|has no server )|"
    rb"(?:Stopping|Pausing|Resuming) (?:proxy|frontend|backend) |"
    rb"(?:[Ss]erver|Health check for (?:backup )?server|Backup Server) \S+/\S+ (?:is |was |succeeded|failed|changed)|"
    rb"\S+/\S+ changed its IP |[Nn]ew worker|[Ll]oading |Exiting|Former worker|Reexecuting|"
    rb"\S+:\d+ \[[\w/:.]+\] \S+/\S+: (?:SSL|Connection|Timeout|Received|Bad|Missing|Client)[^\"{}]*$)"
)
_VERDICTS = tuple(f"%[res.hdr({name})]" for name in VERDICT_HEADERS)
DIALECT = Dialect(
    server="haproxy",
    title="HAProxy",
    directive="log-format",
    roles={
        "time": ("%trl", "%trg", "%T", "%Tl", "%Ts.%ms", "%tr", "%t", "%Ts"),
        "size": ("%B",),
        "host": ("%r", "%HU", "%[hdr(host)]", "%[ssl_fc_sni]"),
        "path": ("%r", "%HU", "%HP", "%HPO", "%[path]"),
        "hit": ("%[res.cache_hit]", "%[res.cache_name]", "%s", *_VERDICTS),
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
    hits={
        "%s": HAPROXY_CACHE,
        "%[res.cache_name]": re.compile(rb"(?!-$).+"),
        **dict.fromkeys(_VERDICTS, VERDICT_HIT),
    },
)
_TIMERS = "%TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq"
HTTPLOG = f"%ci:%cp [%tr] %ft %b/%s {_TIMERS} %hr %hs %{{+Q}}r"
HTTPSLOG = (
    f"{HTTPLOG} %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc"
)
CLF = (
    '%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq '
    "%CC %CS %hrl %hsl"
)
CLF_EXAMPLE = (
    '192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET /a.gif HTTP/1.1" 200 2326 "" "" 51234 250 "www~" "cache" "edge1" '
    '0 0 1 12 15 ---- 9 8 2 1 0 0 0 "" "" "www.example.com"'
)
_TLS_EXAMPLE = "0/0/0/0/0 www.example.com/TLSv1.3/TLS_AES_256_GCM_SHA384"
EXAMPLE = (
    "Oct 10 13:55:36 lb1 haproxy[2451]: 192.0.2.7:51234 [10/Oct/2026:13:55:36.250] www~ cache/edge1 0/0/1/12/15 200 "
    '2326 - - ---- 9/8/2/1/0 0/0 {www.example.com} "GET /a.gif HTTP/1.1"'
)
_FIELD = re.compile(r"%(?:\{([^}]*)\})?(?:\[((?:[^\]\\\"]|\\.|\"[^\"]*\")*)\]|([A-Za-z][A-Za-z0-9]*|%))")
_PREFIX = Piece("a syslog prefix", "syslog")
_EPOCH = "%Ts.%ms"
_LETTERS = kinds_of(
    {
        "number": "cp bp fp sp lc pid rt ms U",
        "signed": "TR Tw Tc Tr Td Th Ti Tq Tu",
        "ms": "Ta Tt",
        "counter": "ac fc bc sc rc sq bq",
        "word": "ci fi bi si b s f ft CC CS H ID HM HV sslc sslv",
        "uri": "HP HPO",
        "text": "HQ ct",
        "url": "HU",
        "size": "B",
        "haproxy_status": "ST",
        "haproxy_state": "ts",
        "haproxy_cookies": "tsc",
        "haproxy_headers": "hr hs",
        "haproxy_list": "hrl hsl",
        "request": "r",
        "haproxy": "t tr",
        "clf": "trl trg T Tl",
        "utc:%s": "Ts",
    }
)
# With the flag Q texts stand in quotes, also those that are empty; with X these are written in hexadecimal digits.
_TEXTS = ("word", "text", "uri", "url", "request", "host", "raw")
_HEXADECIMAL = ("ci", "cp", "bi", "bp", "si", "sp", "fi", "fp", "Ts", "rt", "pid", "ms")
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
    return _build(rest, f"HAProxy log-format {rest}")


def http_log() -> LogFormat:
    """HAProxy's HTTP log."""
    return _build(HTTPLOG, "HAProxy's HTTP log (option httplog), with or without a syslog's prefix", EXAMPLE)


def https_log() -> LogFormat:
    """HAProxy's HTTP log with the fields of TLS behind it."""
    return _build(HTTPSLOG, "HAProxy's HTTPS log (option httpslog)", f"{EXAMPLE} {_TLS_EXAMPLE}")


def clf_log() -> LogFormat:
    """HAProxy's HTTP log in the manner of the Common Log Format."""
    return _build(CLF, "HAProxy's HTTP log in CLF (option httplog clf)", CLF_EXAMPLE)


def _build(template: str, description: str, example: str = "") -> LogFormat:
    pieces = [_PREFIX, *_spaced(_pieces("haproxy", template))]
    findings = unknown(piece.name for piece in pieces if piece.field == UNKNOWN)
    escapes = re.search(r"%\{[^}]*\+E", template) is not None
    return build(DIALECT, "haproxy", description, pieces, example=example, escapes=escapes, findings=list(findings))


def _pieces(name: str, template: str) -> Iterator[Piece]:
    """Cut a log-format into its fields and literals, as HAProxy does: blanks in a row are one."""
    template = re.sub(r"(^| )(%\{[^}]*\}o) ", r"\1\2", re.sub(r" +", " ", template.strip(" ")))
    template = re.sub(r" ?(%(?:\{[^}]*\})?h[rs])(?![A-Za-z0-9])", r"\1", template)
    at, given = 0, frozenset[str]()
    while at < len(template):
        match = _FIELD.match(template, at)
        if match is None or template.startswith(_EPOCH, at):
            piece = _other(name, template, at)
            yield piece
            at += len(piece.name)
            continue
        flags, at = _flags(given, match[1] or ""), match.end()
        if match[3] == "o":
            given = flags
        else:
            yield from _field(match, flags, at == len(template))


def _spaced(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Put the blank before a list into the list, since there is none where the list is empty."""
    before = Piece("", "literal")
    for piece in pieces:
        if piece.kind in ("haproxy_list", "haproxy_quoted") and before == Piece(" ", "literal"):
            before = Piece("", "literal")
        elif piece.kind == "haproxy_list":
            piece = piece._replace(kind="text")
        yield before
        before = piece
    yield before


def _flags(given: frozenset[str], changes: str) -> frozenset[str]:
    """The flags that hold for a field: those given before, and what its own braces change."""
    signs = re.findall(r"([+-])([A-Z])", changes)
    return (given | {flag for sign, flag in signs if sign == "+"}) - {flag for sign, flag in signs if sign == "-"}


def _other(name: str, template: str, at: int) -> Piece:
    """The piece at a place where no single field is: the epoch's seconds with milliseconds, or a literal."""
    if template.startswith(_EPOCH, at):
        return Piece(_EPOCH, "epoch")
    if template[at] == "%":
        raise EdgetallyError(f"log-format {name}: {shorten(template[at:])} is no field: correct it")
    return Piece(template[at], "haproxy_end" if template[at:] == '"' else "literal")


def _field(match: re.Match[str], flags: frozenset[str], last: bool) -> Iterator[Piece]:
    """A field, between quotes where the flag Q is set and it is text."""
    letters = match[3] or ""
    if letters == "%":
        yield Piece("%", "literal")
        return
    piece = _expression(match[0], match[2]) if match[2] is not None else _named(match[0], letters, flags)
    if "Q" not in flags or piece.field == UNKNOWN or (match[2] is None and piece.kind not in _TEXTS):
        yield piece
        return
    kind = "text" if piece.kind == "word" else piece.kind
    yield from (Piece('"', "literal"), piece._replace(kind=kind), Piece('"', "haproxy_end" if last else "literal"))


def _named(written: str, letters: str, flags: frozenset[str]) -> Piece:
    """A field that has a name. Whatever its name, what is not known is text."""
    kind = _LETTERS.get(letters)
    if kind is None:
        return Piece(written, "raw", UNKNOWN)
    if "X" in flags and letters in _HEXADECIMAL:
        return Piece(written, "word", "hexadecimal")
    if "Q" in flags and (letters in ("bp", "sp") or kind == "haproxy_list"):
        return Piece(written, "haproxy_quoted" if kind == "haproxy_list" else "haproxy_port", f"%{letters}")
    return Piece(written, kind, f"%{letters}")


def _expression(written: str, expression: str) -> Piece:
    """A sample fetch: some are known, the others are text."""
    fetch = re.sub(r",(?:lower|upper|field\([^)]*\)|json\([^)]*\)|str)", "", expression.replace(" ", "")).lower()
    for pattern, kind, field in _EXPRESSIONS:
        if re.fullmatch(pattern, fetch):
            return Piece(written, kind, field)
    verdict = re.sub(r"^(?:capture\.)?res\.f?hdr\(", "%[res.hdr(", fetch) + "]"
    field = verdict if verdict in _VERDICTS else f"%[{fetch}]" if fetch == "res.cache_name" else ""
    return Piece(written, "raw", field)
