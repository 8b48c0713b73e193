"""W3C extended logs (IIS, CloudFront): the `#Fields:` line that stands in the log itself.

The time is that of the end, in UTC. Values hold no blanks; CloudFront parts them with tabs, the others with spaces.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgetally.errors import EdgetallyError
from edgetally.formats.build import Dialect, build
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.servers.quoting import one_line
from edgetally.formats.values import W3C_HIT

DIALECT = Dialect(
    server="w3c",
    title="W3C",
    directive="#Fields:",
    roles={
        "time": ("date time",),
        "size": ("sc-bytes",),
        "host": ("x-host-header", "cs-host", "cs(Host)"),  # CloudFront's cs(Host) is its own name for a distribution
        "path": ("cs-uri-stem",),
        "hit": ("x-edge-result-type",),
        "duration": ("time-taken",),
    },
    advice={"time": "date and time, side by side", "size": "sc-bytes", "host": "cs-host", "duration": "time-taken"},
    hit=W3C_HIT,
)
_KINDS = kinds_of(
    {
        "size": "sc-bytes",
        "host": "x-host-header cs-host cs(Host)",
        "path": "cs-uri-stem",
        "number": "sc-status sc-substatus sc-win32-status cs-bytes s-port",
    }
)
_SPELLING = {"cs(host)": "cs(Host)"}


def compile_w3c(text: str) -> LogFormat:
    """Compile a pasted #Fields: line."""
    line = one_line(text, DIALECT.directive).strip()
    words = line[len("#Fields:") :].split() if line.startswith("#Fields:") else line.split()
    if not words:
        raise EdgetallyError("#Fields: the fields are missing: paste the whole line, as it stands in the log")
    names = [_SPELLING.get(word.lower(), word) for word in words]
    cloud = "x-edge-location" in names
    pieces = _pieces(names, "\t" if cloud or "\t" in line else " ", "decimal" if cloud else "ms")
    return build(DIALECT, "w3c", f"W3C extended log {' '.join(names)}", pieces, escapes=False)


def _pieces(names: list[str], blank: str, duration: str) -> Iterator[Piece]:
    """The fields with blanks between them; date and time, where they stand side by side, are one field."""
    at = 0
    while at < len(names):
        if at:
            yield Piece(blank, "literal")
        if names[at : at + 2] == ["date", "time"]:
            yield Piece("date time", f"utc:%Y-%m-%d{blank}%H:%M:%S")
            at += 1
        elif names[at] == "time-taken":
            yield Piece("time-taken", duration)
        else:
            yield Piece(names[at], _KINDS.get(names[at], "token"))
        at += 1
