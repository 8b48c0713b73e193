"""Squid: its native access log, and logformat, as the whole directive or the bare format.

The time (%ts, %tl, %tg) is that of the end. Squid writes the spaces of a URL as %20, but leaves its quotes; between
quotes it puts a backslash before quotes and backslashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgetally.errors import EdgetallyError
from edgetally.formats import clocks
from edgetally.formats.build import Dialect, build
from edgetally.formats.finding import UNESCAPED, Finding
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.servers.quoting import one_line
from edgetally.formats.values import SQUID_HIT, shorten

DIALECT = Dialect(
    server="squid",
    title="squid",
    directive="logformat",
    roles={
        "time": ("%ts.%03tu", "%tg", "%tl", "%ts"),
        "size": ("%<st",),
        "host": ("%ru", "%>ru", "%>rd", "%rd", "%{host}>h", "%ssl::>sni"),
        "path": ("%ru", "%>ru", "%>rp", "%rp"),
        "hit": ("%Ss",),
        "duration": ("%tr",),
    },
    advice={
        "time": "%ts.%03tu",
        "size": "%<st",
        "host": "%ru or %>rd",
        "duration": "%tr",
        "hit": "%Ss",
        "offset": "add %z to its format, or log %ts.%03tu",
    },
    hit=SQUID_HIT,
    sent=re.compile(r"%(?![\[#/]).*>ha?$"),
)
NATIVE = "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"
# The protocol is not as squid's documentation has it: without a request these two write `NONE/0.0`, not `HTTP/0.0`.
NAMED = {
    "squid": NATIVE,
    "common": '%>a %[ui %[un [%tl] "%rm %ru %rv" %>Hs %<st %Ss:%Sh',
    "combined": '%>a %[ui %[un [%tl] "%rm %ru %rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh',
}
NATIVE_EXAMPLE = "1780000000.123     37 192.0.2.7 TCP_HIT/200 4083 GET http://example.com/a.gif - HIER_NONE/- image/gif"
_FIELD = re.compile(
    r"%(?P<quote>[\"\[#'/]?)(?P<left>-?)(?P<width>\d*)(?:\.\d+)?(?:\{(?P<argument>[^}]*)\})?"
    r"(?P<code>(?:(?:http|ssl|adapt|icap|proxy_protocol|transport)::)?[<>]?[A-Za-z%][A-Za-z_]*)(?:\{(?P<late>[^}]*)\})?"
)
_WHOLE_TIME = re.compile(r"%\d*ts\.%03tu")
# The longest first, since nothing parts a code from the letters after it.
_KINDS = kinds_of(
    {
        "word": ">a >A <a <A la <la >la un ul ui us ue >eui rv mt >rs rs >rv <rv et err_code master_xaction sn",
        # A status is 0 where nothing was answered, unless it is filled up to three digits.
        "number": ">p <p lp <lp >lp >rP rP tu <sH >sh >st <sh >sH sH st >Hs <Hs Hs",
        "signed": "dt <pt <tt busy_time",
        "url": "ru >ru <ru",
        "uri": "rp >rp <rp",
        "host": ">rd rd <rd ssl::>sni",
        "text": ">h <h >ha note ea err_detail credentials adapt::<last_h",
        "token": "rm >rm <rm",
        "squid_code": "Ss",
        "squid_peer": "Sh",
        "size": "<st",
        "ms": "tr",
        "utc:%s": "ts",
        "epoch": "tS",
    }
)
_CODES = sorted(_KINDS, key=len, reverse=True)


def compile_squid(text: str) -> LogFormat:
    """Compile a pasted logformat."""
    text = one_line(text, DIALECT.directive)
    whole = re.match(r"logformat\b\s*(\S*)\s*", text)
    name, template = (whole[1], text[whole.end() :]) if whole else ("squid", text)
    if not template:
        raise EdgetallyError("logformat: the format itself is missing: paste the whole line")
    pieces, findings = list(_pieces(name, template)), list(_findings(template))
    return build(DIALECT, name, f"squid logformat {template}", pieces, escapes='"' in template, findings=findings)


def _findings(template: str) -> Iterator[Finding]:
    """Between quotes squid escapes quotes, backslashes, tabs and line ends, but no other control byte."""
    for match in re.finditer(r'%"(\{[^}]*\}>h)|"%(\{[^}]*\}>h)"', template):
        header = match[1] or match[2]
        if not header.lower().startswith("{host"):  # squid refuses an odd Host header itself
            cost = "a line where a client sent some is rejected"
            yield UNESCAPED.found(f"{match[0]} holds control bytes as they came", cost=cost, mend=f"write %#{header}")


def native() -> LogFormat:
    """Squid's own format, whose last column older versions and some tools leave out."""
    *pieces, _space, _type = _pieces("squid", NATIVE)
    pieces.append(Piece(" %mt", "squid_type"))
    return build(DIALECT, "squid", "squid's native access log", pieces, example=NATIVE_EXAMPLE, escapes=False)


def _pieces(name: str, template: str) -> Iterator[Piece]:
    """Cut a logformat into its fields and literals; refuse what no line could be read with."""
    at = 0
    while at < len(template):
        whole, match = _WHOLE_TIME.match(template, at), _FIELD.match(template, at)
        if whole:
            yield Piece(whole[0], "epoch", "%ts.%03tu")
            at = whole.end()
        elif match:
            code = _code(name, match)
            yield from _field(name, match, code)
            late = f"{{{match['late']}}}" if match["late"] is not None and match["code"] == code else ""
            at = match.start("code") + len(code) + len(late)
        elif template[at] == "%":
            raise EdgetallyError(f"logformat {name}: {shorten(template[at:])} is no format code: correct it")
        else:
            yield Piece(template[at], "literal")
            at += 1


def _code(name: str, match: re.Match[str]) -> str:
    """The format code that a match begins with: with its name space as squid's documentation has it, or without."""
    written = match["code"]
    for code in ("%", "tl", "tg", *_CODES):
        for prefix in ("", "http::"):
            if written.startswith(prefix + code):
                return prefix + code
    raise EdgetallyError(f"logformat {name}: {match[0]} is not known: correct it")


def _field(name: str, match: re.Match[str], code: str) -> Iterator[Piece]:
    """A field with the blanks that fill it up to its width."""
    start, bare = match.start("code") - match.start(), code[len("http::") if code.startswith("http::") else 0 :]
    written, argument = match[0][:start] + code, match["argument"] if match["argument"] is not None else match["late"]
    if bare == "%":
        yield Piece("%", "literal")
        return
    padded = match["width"] and not match["width"].startswith("0")
    if padded and not match["left"]:
        yield Piece("", "pad")
    if bare in ("tl", "tg"):
        yield _time(name, written, bare, argument)
    elif bare == ">h" and (argument or "").lower().partition(":")[0] == "host":
        yield Piece(written, "host", "%{host}>h")
    elif bare in ("rp", ">rp", "ru", ">ru") and argument is None and match["quote"] == '"':
        yield Piece(written, "text" if "p" in bare else "url", f"%{bare}")
    else:
        filled = match["width"] == "03" and bare.endswith("Hs")
        yield Piece(written, "status" if filled else _KINDS[bare], f"%{bare}")
    if padded and match["left"]:
        yield Piece("", "pad")


def _time(name: str, written: str, code: str, spec: str | None) -> Piece:
    """%tl or %tg, in the form that squid gives them or one of the administrator's own."""
    if spec is None:
        return Piece(written, "clf", f"%{code}")
    odd = clocks.unknown_word(spec)
    if odd:
        why = f"{odd} cannot be read" if odd.startswith("%") else f"it is not {odd}"
        raise EdgetallyError(f"logformat {name}: {written}: {why}; log %ts.%03tu")
    return Piece(written, f"{'utc' if code == 'tg' else 'local'}:{spec}", f"%{code}")
