"""Apache Traffic Server: the formats that it names, and a `format:` of logging.yaml.

The client's request times (%<cqtq> and its like) are those of the start: the duration is added where it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgetally.errors import EdgetallyError
from edgetally.formats.build import UNKNOWN, Dialect, build, unknown
from edgetally.formats.finding import REMAPPED_URL, UNESCAPED, Finding
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.servers.quoting import quoted
from edgetally.formats.values import SQUID_HIT, VERDICT_HEADERS, VERDICT_HIT, shorten

_MAPPED = ("cquc", "cqu", "cqtx", "cquh", "pquc", "pqu", "pquh")  # URLs as remap rules have left them
_VERDICTS = tuple(f"{{{name}}}{code}" for name in VERDICT_HEADERS for code in ("psh", "epsh", "ssh", "essh"))
DIALECT = Dialect(
    server="trafficserver",
    title="Traffic Server",
    directive="format",
    roles={
        "time": ("cqtq", "cqtn", "cqtd cqtt", "cqts"),
        "size": ("psql", "pscl+pshl", "pscl"),
        "host": ("cquuc", "{host}cqh", *_MAPPED),
        "path": ("cquuc", "cquc", "cqu", "cqtx", "pquc", "pqu"),
        "hit": ("crc", *_VERDICTS),
        "duration": ("ttms", "ttmsf", "tts"),
    },
    advice={
        "time": "%<cqtq>",
        "size": "%<psql>",
        "wire": "%<psql>",
        "host": "%<cquuc> or %<{Host}cqh>",
        "duration": "%<ttms>",
        "hit": "%<crc>",
    },
    body_only=("pscl",),
    logs_start=True,
    hit=SQUID_HIT,
    hits=dict.fromkeys(_VERDICTS, VERDICT_HIT),
)
_COMMON = '%<chi> - %<caun> [%<cqtn>] "%<cqtx>" %<pssc> %<pscl>'
_EXTENDED = "%<sssc> %<sscl> %<cqcl> %<pqcl> %<cqhl> %<pshl> %<pqhl> %<sshl> %<tts>"
NAMED = {
    "squid": "%<cqtq> %<ttms> %<chi> %<crc>/%<pssc> %<psql> %<cqhm> %<cquc> %<caun> %<phr>/%<shn> %<psct>",
    "common": _COMMON,
    "extended": f"{_COMMON} {_EXTENDED}",
    "extended2": f"{_COMMON} {_EXTENDED} %<phr> %<cfsc> %<pfsc> %<crc>",
}
_FIELD = re.compile(r"%<(?:\{([^}]*)\})?(\w+)(\[[-\d:]*\])?>")
_ODD_FIELD = re.compile(r'%<(?:"[^"]*"|[^">])+>')  # alternatives, `a??b??"c"`, or sums over many requests
_DATE_AND_TIME = re.compile(r"%<cqtd>(.)%<cqtt>")
_KINDS = kinds_of(
    {
        "word": "chi chih hii shi shn pqsi pqsn phn phi caun cqus cqpv sspv cqhv phr psct ssct cfsc pfsc crsc chm cwr",
        "status": "pssc sssc csssc",
        "size": "psql pscl pshl",
        "signed": "cqql cqcl cqhl pqql pqcl pqhl ssql sscl sshl csscl csshl chp pqsp php stms sts sca sstc cqtr cqtb",
        "text": "cqh pqh psh ssh cssh ecqh epqh epsh essh cssah cqup cqtd cqtt",
        "url": "cquc cqu cquuc pquc pqu",
        "request": "cqtx",
        "host": "cquh pquh",
        "token": "cqhm",
        "squid_code": "crc",
        "epoch": "cqtq",
        "utc:%s": "cqts",
        "clf": "cqtn",
        "ms": "ttms",
        "decimal": "ttmsf tts",
    }
)


_OTHERS = """
cqah psah pqah ssah cssah chiv rchi rchp rchh hiih piid pitag cqth cqus pqus pqup sqpv cqqtl cluc ckh cssn cscert pscert
puuid psfid cqssl cqssr cqssrt cqint cqmpt cqssv cqssc cqssu cqssg cqssa cthbr cthbt cthb crid cruuid crec ctec prrp
psqtl psch prscs nhi nhp pqssl pqssr sshv mstsms stmsh stmsf surc ssrc cssql csshv crat cwtr ttmsh fsiz ccid ctid crra
cwra cccs ctpw ctpd ppv pps ppd ppa pptc pptv pptg vbn vs cquup cquuh ms msdms plg
"""
KNOWN = frozenset({*_KINDS, *_OTHERS.split()})


def compile_trafficserver(text: str, name: str = "trafficserver") -> LogFormat:
    """Compile a pasted format: the entry of logging.yaml, or its string alone."""
    name, template = _template(text.strip(), name)
    pieces = list(_pieces(name, template))
    findings = list(_findings(pieces))
    described = f"Traffic Server format {template}"
    return build(DIALECT, name, described, pieces, escapes=False, findings=findings)


def _findings(pieces: Sequence[Piece]) -> Iterator[Finding]:
    bare = [piece.name for piece in pieces if piece.field in ("cqh", "cqtx") and piece.kind in ("text", "request")]
    if bare:
        coded = bare[0].replace("cqh>", "ecqh>").replace("%<cqtx>", "%<cqhm> %<cquuc>")
        yield UNESCAPED.found(f"{bare[0]} is written as it comes", mend=f"log {coded} instead")
    yield from unknown(piece.name for piece in pieces if piece.field == UNKNOWN)
    fields = {piece.field for piece in pieces}
    if fields & set(_MAPPED) and not fields & {"cquuc", "{host}cqh"}:
        yield REMAPPED_URL.found("its URL is the one after remap rules")


def _template(text: str, name: str) -> tuple[str, str]:
    """(name, format) of what was pasted."""
    named = re.search(r"(?m)^\s*-?\s*name:\s*[\"']?([\w-]+)", text)
    entry = re.search(r"(?m)^\s*-?\s*format:\s*(?:[|>]-?\s*\n\s*)?(.*)$", text)
    rest = entry[1].strip() if entry else text
    if rest[:1] in ("'", '"') and rest[-1:] == rest[:1]:
        rest = rest[1:-1].replace("''", "'") if rest[0] == "'" else quoted(rest, "format")[0]
    if not rest or "\n" in rest:
        raise EdgetallyError("format: paste one format of logging.yaml, its string in one line")
    return named[1] if named else name, rest


def _pieces(name: str, template: str) -> Iterator[Piece]:
    """Cut a format into its fields and literals; refuse what no line could be read with."""
    at = 0
    while at < len(template):
        whole, field = _DATE_AND_TIME.match(template, at), _FIELD.match(template, at)
        odd = _ODD_FIELD.match(template, at)
        if whole:
            yield Piece(whole[0], f"utc:%Y-%m-%d{whole[1]}%H:%M:%S", "cqtd cqtt")
        elif field:
            yield _field(field)
        elif odd:
            yield Piece(odd[0], "text", "alternatives")
        elif template.startswith("%<", at):
            raise EdgetallyError(f"format {name}: {shorten(template[at:])} is no field: correct it")
        else:
            yield Piece(template[at], "literal")
        match = whole or field or odd
        at = match.end() if match else at + 1


def _field(match: re.Match[str]) -> Piece:
    argument, code = match[1], match[2]
    if match[3]:
        return Piece(match[0], "text", "a part of a field")
    if code in ("cqh", "ecqh") and (argument or "").lower() == "host":
        return Piece(match[0], "host", "{host}cqh")
    verdict = f"{{{(argument or '').lower()}}}{code}"
    field = verdict if verdict in _VERDICTS else code
    return Piece(match[0], _KINDS.get(code, "text"), field if code in KNOWN else UNKNOWN)
