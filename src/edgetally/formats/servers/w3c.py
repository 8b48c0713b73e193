"""W3C extended logs: the `#Fields:` line that stands in the log itself, and the directives above it that change it.

IIS, CloudFront, proxies such as Blue Coat's, and whoever keeps to the W3C's draft write them. The time is that of the
end, in UTC where no #GMT-Offset says otherwise. Values stand between single blanks, or between tabs; with blanks, a
string in double quotes can hold some, and a quote in it is written twice. Akamai's DataStream 2 writes lines of the
same kind without any directive: its fields are named as in its JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from edgetally.errors import EdgetallyError
from edgetally.formats.build import Dialect, build
from edgetally.formats.finding import NO_DATE
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.servers.quoting import one_line
from edgetally.formats.values import W3C_HIT, shorten

DIALECT = Dialect(
    server="w3c",
    title="W3C",
    directive="#Fields:",
    roles={
        "time": ("date time", "time", "x-timestamp"),
        "size": ("sc-bytes", "bytes"),
        # CloudFront's cs(Host) is its own name for a distribution, and a proxy's cs-uri the whole URL
        "host": ("x-host-header", "cs-host", "cs(host)", "cs-uri-host", "cs-uri"),
        "path": ("cs-uri-stem", "cs-uri-path", "cs-uri"),
        "hit": ("x-edge-result-type", "x-edge-response-result-type", "s-action", "cached"),
        "duration": ("time-taken",),
    },
    advice={"time": "date and time, side by side", "size": "sc-bytes", "host": "cs-host", "duration": "time-taken"},
    hit=W3C_HIT,
)
# Akamai's DataStream 2, the structured form of its logs. The time is that at which the request came.
DATASTREAM = DIALECT._replace(
    title="DataStream",
    roles={
        "time": ("reqtimesec",),
        "size": ("totalbytes", "bytes"),
        "host": ("reqhost",),
        "path": ("reqpath",),
        "hit": ("cachestatus",),
        "duration": ("transfertimemsec",),
    },
    advice={
        "time": "reqTimeSec",
        "size": "totalBytes",
        "wire": "totalBytes",
        "host": "reqHost",
        "duration": "transferTimeMSec",
        "hit": "cacheStatus",
    },
    body_only=("bytes",),
    logs_start=True,
    hit=re.compile(rb"1"),
)
_KINDS = kinds_of(
    {
        "size": "sc-bytes bytes totalbytes",
        "host": "x-host-header cs-host cs(host) cs-uri-host reqhost",
        "url": "cs-uri",
        "unix": "x-timestamp reqtimesec",
        "ms": "transfertimemsec",
        "number": "sc-status sc-substatus sc-win32-status cs-bytes s-port cached",
    }
)
# Fields that only servers have whose time-taken is in milliseconds: IIS and Microsoft's proxies, and Blue Coat's.
_MILLISECONDS = {
    *("s-sitename", "s-computername", "sc-substatus", "sc-win32-status", "s-port", "cs-username", "cs-version"),
    *("s-object-source", "sc-network", "s-operation"),
    *("s-action", "sc-filter-result", "x-exception-id", "cs-auth-group", "s-supplier-name", "rs(content-type)"),
}
_SOFTWARE = re.compile(r"(?i)microsoft|internet information|sgos|blue ?coat|proxysg")
_DIRECTIVE = re.compile(r"(?m)^#(Fields|Software|Date|GMT-Offset):[ \t]*(.*?)\s*$")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def compile_w3c(text: str) -> LogFormat:
    """Compile a pasted #Fields: line, with or without the directives above it in the log."""
    said = dict(_DIRECTIVE.findall(text))
    line = said.get("Fields", "") if text.lstrip().startswith("#") else one_line(text, DIALECT.directive)
    names = line.split()
    if not names:
        raise EdgetallyError("#Fields: the fields are missing: paste the whole line, as it stands in the log")
    return _compiled(names, "\t" if "x-edge-location" in names or "\t" in line else " ", said)


def header(said: Mapping[str, str], line: str) -> str:
    """The text to compile for lines of a log, as far as it changes how these are read.

    said: the directives above them, by name. line: the first of the lines, which shows what its values stand between.
    """
    fields = said["Fields"].split()
    names = [name for name in ("Software", "GMT-Offset") if name in said]
    names += ["Date"] if "Date" in said and "date" not in (field.lower() for field in fields) else []
    blank = "\t" if "\t" in line else " "
    return "\n".join([*(f"#{name}: {said[name]}" for name in names), f"#Fields: {blank.join(fields)}"])


def _compiled(names: Sequence[str], blank: str, said: Mapping[str, str]) -> LogFormat:
    fields = [name.lower() for name in names]
    dialect = DATASTREAM if "reqtimesec" in fields else DIALECT
    day, zone = _day(said.get("Date", "")) if _is_dateless(fields) else "", _zone(said.get("GMT-Offset", ""))
    if _is_dateless(fields) and not day:
        raise EdgetallyError("#Fields: its time has no date: give the log's #Date: line above it, or no format at all")
    when = " ".join(filter(None, ("given", day, zone))) if day or zone else "utc"
    kinds = {**_KINDS, "time-taken": "ms" if _is_in_milliseconds(fields, said) else "decimal"}
    for name in DIALECT.roles["path"]:
        kinds.setdefault(name, "path" if blank == " " else "w3c_column")
    pieces, findings = _pieces(names, blank, when, kinds), []
    if day:
        findings = [NO_DATE.found("its lines have no date, and the log's #Date: is taken")]
    built = build(dialect, "w3c", f"W3C extended log {' '.join(names)}", pieces, escapes=False, findings=findings)
    return built._replace(blanks=len(names) - 1 if blank == " " else 0)


def _is_dateless(fields: Sequence[str]) -> bool:
    return "time" in fields and not {"date", "x-timestamp"} & set(fields)


def _is_in_milliseconds(fields: Sequence[str], said: Mapping[str, str]) -> bool:
    """Whether time-taken is: the draft wants seconds, and some servers write milliseconds."""
    known = _MILLISECONDS & set(fields) or _SOFTWARE.search(said.get("Software", ""))
    return bool(known) and "x-edge-location" not in fields


def _zone(text: str) -> str:
    """The #GMT-Offset as +hhmm; empty for none."""
    if not text:
        return ""
    found = re.fullmatch(r"([+-]?)(\d\d?):?(\d\d)(?::?00)?", text)
    if found is None:
        raise EdgetallyError(f"#GMT-Offset: '{shorten(text)}' is no offset: correct it to one such as -0800")
    return f"{found[1] or '+'}{int(found[2]):02}{found[3]}"


def _day(text: str) -> str:
    """The day of a #Date as yyyy-mm-dd; empty for none."""
    found = re.match(r"(\d{4})-(\d\d)-(\d\d)\b", text)
    named = re.match(r"(\d\d?)[ -]([A-Za-z]{3})[ -](\d{4})\b", text)
    if named and named[2].lower() in _MONTHS:
        return f"{named[3]}-{_MONTHS.index(named[2].lower()) + 1:02}-{int(named[1]):02}"
    return found[0] if found else ""


def _pieces(names: Sequence[str], blank: str, when: str, kinds: Mapping[str, str]) -> Iterator[Piece]:
    """The fields with blanks between them; date and time, where they stand side by side, are one field."""
    other = "w3c_column" if blank == "\t" else "token"
    rest = list(reversed(names))
    while rest:
        name = rest.pop()
        if name.lower() == "date" and rest and rest[-1].lower() == "time":
            rest.pop()
            yield Piece("date time", f"{when}:%Y-%m-%d{blank}%H:%M:%S%?")
        elif name.lower() == "time" and when.startswith("given 2"):
            yield Piece("time", f"{when}:%H:%M:%S%?")
        else:
            yield Piece(name, kinds.get(name.lower(), other), name.lower())
        if rest:
            yield Piece(blank, "literal")
