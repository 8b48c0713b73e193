"""Squid: its native access log, and logformat, as the whole directive or the bare format.

The time (%ts, %tl, %tg) is that of the end. Squid writes the spaces of a URL as %20, but leaves its quotes; between
quotes it puts a backslash before quotes and backslashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgetally.errors import EdgetallyError
from edgetally.formats import clocks
from edgetally.formats.build import ODD_TIME, UNKNOWN, Dialect, build, unknown
from edgetally.formats.finding import UNESCAPED, Finding
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.servers.quoting import one_line
from edgetally.formats.values import SQUID_HIT, VERDICT_HEADERS, VERDICT_HIT, shorten

_VERDICTS = tuple(f"%{{{name}}}<h" for name in VERDICT_HEADERS)
DIALECT = Dialect(
    server="squid",
    title="squid",
    directive="logformat",
    roles={
        "time": ("%ts.%03tu", "%tg", "%tl", "%ts"),
        "size": ("%<st",),
        "host": ("%ru", "%>ru", "%>rd", "%rd", "%{host}>h", "%ssl::>sni"),
        "path": ("%ru", "%>ru", "%>rp", "%rp"),
        "hit": ("%Ss", *_VERDICTS),
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
    hits=dict.fromkeys(_VERDICTS, VERDICT_HIT),
    sent=re.compile(r"%['\"\[].*>ha?$"),
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
    r"(?P<code>(?:[a-z_]+::)?[<>]?[A-Za-z%][A-Za-z_]*)(?:\{(?P<late>[^}]*)\})?"
)
_WHOLE_TIME = re.compile(r"%\d*ts\.%03tu")
_KINDS = kinds_of(
    {
        "word": ">a >A <a <A la <la >la oa un ul ui us ue >eui rv mt >rs rs <rs >rv <rv et err_code err_detail sn "
        ">qos <qos >nfmark <nfmark >handshake master_xaction credentials adapt::all_trs adapt::sum_trs "
        "ssl::bump_mode ssl::>negotiated_version ssl::<negotiated_version ssl::>negotiated_cipher "
        "ssl::<negotiated_cipher ssl::>received_hello_version ssl::<received_hello_version "
        "ssl::>received_supported_version ssl::<received_supported_version ssl::<cert_errors",
        # A status is 0 where nothing was answered, unless it is filled up to three digits.
        "number": ">p <p lp <lp >lp >rP rP <rP tu <sH <sS <bs >sh <sh >st >sH sH st >Hs <Hs Hs request_attempts "
        "transport::>connection_id",
        "url": "ru >ru <ru",
        "uri": "rp >rp <rp",
        "host": ">rd rd <rd ssl::>sni",
        # These are written with their blanks coded, unless the format asks for another way.
        "coded": ">h <h >ha note ea adapt::<last_h proxy_protocol::>h",
        "text": "ssl::>cert_subject ssl::>cert_issuer ssl::<cert_subject ssl::<cert_issuer ssl::<cert",
        "token": "rm >rm <rm",
        "squid_code": "Ss",
        "squid_peer": "Sh",
        "size": "<st",
        # `-` where nothing of the kind came to pass: no peer was asked, no name looked up
        "ms": "tr dt <pt <tt busy_time",
        "utc:%s": "ts",
        "epoch": "tS",
    }
)
# The longest first, since nothing parts a code from the letters after it.
_CODES = sorted((*_KINDS, "%", "tl", "tg", "byte"), key=len, reverse=True)
_NEEDED = ("%", "tl", "tg", "byte", "ts", "tS", "<st", "Ss", "tr", "ru", ">ru", ">rd", "rd", ">rp", "rp")


def compile_squid(text: str) -> LogFormat:
    """Compile a pasted logformat."""
    text = one_line(text, DIALECT.directive)
    whole = re.match(r"logformat\b\s*(\S*)\s*", text)
    name, template = (whole[1], text[whole.end() :]) if whole else ("squid", text)
    if not template:
        raise EdgetallyError("logformat: the format itself is missing: paste the whole line")
    pieces = list(_pieces(name, template))
    findings = (*_findings(template), *unknown(piece.name for piece in pieces if piece.field == UNKNOWN))
    escapes = re.search(r'"|%/', template) is not None
    return build(DIALECT, name, f"squid logformat {template}", pieces, escapes=escapes, findings=findings)


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
    at, around = 0, ""
    while at < len(template):
        whole, match = _WHOLE_TIME.match(template, at), _FIELD.match(template, at)
        if whole:
            yield Piece(whole[0], "epoch", "%ts.%03tu")
            at = whole.end()
        elif match:
            code = _code(match["code"])
            late = f"{{{match['late']}}}" if match["late"] is not None and match["code"] == code else ""
            yield from _field(name, match, code, match["quote"] or around)
            at = match.start("code") + len(code) + len(late)
        elif template[at] == "%":
            raise EdgetallyError(f"logformat {name}: {shorten(template[at:])} is no format code: correct it")
        else:
            yield Piece(template[at], "literal")
            around = _around(around, template[at])
            at += 1


def _around(before: str, character: str) -> str:
    """What stands around the next field, a quote or a bracket, which decides how squid writes it."""
    if character == '"':
        return "" if before == '"' else '"'
    return {"[": "[", "]": ""}.get(character, before) if before != '"' else before


def _code(written: str) -> str:
    """The format code that a text begins with, with its name space or without.

    Where a known code ends before the letters do, it may be one that is newer than what is known here: only what a bill
    needs is then taken for the code.
    """
    bare = written[len("http::") :] if written.startswith("http::") else written
    found = next((code for code in _CODES if bare.startswith(code)), "")
    whole = found and (found == bare or found in _NEEDED)
    return written[: len(written) - len(bare) + len(found)] if whole else written


def _field(name: str, match: re.Match[str], code: str, quote: str) -> Iterator[Piece]:
    """A field with the blanks that fill it up to its width. quote: how squid marks what is odd in its value."""
    start, bare = match.start("code") - match.start(), code[len("http::") if code.startswith("http::") else 0 :]
    written, argument = match[0][:start] + code, match["argument"] if match["argument"] is not None else match["late"]
    if bare in ("%", "byte"):
        yield Piece(_byte(name, bare, argument), "literal")
        return
    padded = match["width"] and not match["width"].startswith("0")
    if padded and not match["left"]:
        yield Piece("", "pad")
    if bare in ("tl", "tg"):
        yield _time(written, bare, argument)
    elif bare == ">h" and (argument or "").lower().partition(":")[0] == "host":
        yield Piece(written, "host", "%{host}>h")
    elif bare not in _KINDS:
        yield Piece(written, "text", UNKNOWN)
    else:
        header = f"%{{{(argument or '').lower()}}}{bare}"
        yield Piece(written, _kind(bare, argument, quote, match), header if header in _VERDICTS else f"%{bare}")
    if padded and match["left"]:
        yield Piece("", "pad")


def _kind(code: str, argument: str | None, quote: str, match: re.Match[str]) -> str:
    """What the values of a code look like."""
    if code in ("rp", ">rp", "ru", ">ru") and argument is None and match["quote"] == '"':
        return "text" if "p" in code else "url"
    if match["width"] == "03" and code.endswith("Hs"):
        return "status"
    if _KINDS[code] == "coded" or (quote and _KINDS[code] in ("text", "word")):
        return {"": "word", "#": "word", "/": "shell"}.get(quote, "name" if _KINDS[code] == "word" else "text")
    return _KINDS[code]


def _byte(name: str, code: str, number: str | None) -> str:
    """A character that stands in each line: a percent sign, or one that is given by its number."""
    if code == "%":
        return "%"
    if number is None or not number.isdigit() or not (32 <= int(number) < 127 or number == "9"):
        raise EdgetallyError(
            f"logformat {name}: %byte{{{number or ''}}} is no character that can part fields: correct it"
        )
    return chr(int(number))


def _time(written: str, code: str, spec: str | None) -> Piece:
    """%tl or %tg, in the form that squid gives them or one of the administrator's own."""
    if spec is None:  # squid's documentation has an offset for both
        return Piece(written, "clf" if code == "tl" else "utc:%d/%b/%Y:%H:%M:%S", f"%{code}")
    odd = clocks.unknown_word(spec)
    if odd:
        why = f"{odd} cannot be read" if odd.startswith("%") else f"it is not {odd}"
        return Piece(written, "text", f"{ODD_TIME}{why}; log %ts.%03tu")
    return Piece(written, f"{'utc' if code == 'tg' else 'local'}:{spec}", f"%{code}")
