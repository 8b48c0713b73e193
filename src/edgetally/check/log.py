"""Finds what makes a bill wrong in a log: lines that do not fit, wrong times, missing bytes and hosts."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgetally.check import defects
from edgetally.check.format import unreadable
from edgetally.check.measure import LONG_SECONDS, ORDER_SECONDS, Measures, measure
from edgetally.edge.renamed import Renamed
from edgetally.errors import EdgetallyError
from edgetally.files import open_plain
from edgetally.formats.finding import BODY_BYTES, Finding
from edgetally.formats.log_format import LogFormat
from edgetally.limits import EARLY_LINE_SECONDS, LATE_LINE_SECONDS
from edgetally.tally.count import tally
from edgetally.tally.guess import guess as guessed
from edgetally.tally.guess import head_of
from edgetally.tally.inputs import unpacked
from edgetally.tally.packed import SIGN_BYTES, packing_of
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import NO_HOST, Window

HEADER_BYTES = 300  # of a response: 200 to 500 with most servers
LIVE_SECONDS = 600.0  # a log that was written to so lately is in use
AHEAD_SECONDS = 30.0
BEHIND_SECONDS = 120.0  # lines that wait in a server's buffer are older than the file, too

_ZONE_STEP, _ZONE_SLACK, _ZONE_MOST = 1800, 60, 14 * 3600 + 60
_FEW = 0.001


@dataclass
class Log:
    """A log that was read: its name, format and content, and how it is to be judged.

    covers: the interval whose lines it holds; written: when it was last written to, where it is in use now.
    """

    name: str
    format: LogFormat
    tally: Tally
    measures: Measures
    covers: Window | None
    written: float | None

    def figures(self) -> dict[str, object]:
        """What was measured, for JSON; times in epoch seconds, durations in seconds."""
        sums, lines = self.tally, self.measures
        return {
            "file": self.name,
            "format": self.format.name,
            **{name: getattr(sums, name) for name in ("lines", "counted", "rejected", "skewed", "bytes")},
            **{name: getattr(sums, name) for name in ("first", "last")},
            **{name: getattr(self, name) for name in ("covers", "written")},
            **{name: getattr(lines, name) for name in ("torn", "nul", "cut", "dashes", "out_of_order", "longest")},
            "reasons": dict(lines.reasons.most_common(5)),
        }


@contextmanager
def opened(name: str, place: Path | None = None) -> Iterator[BinaryIO]:
    """A file, plain or packed, that can be read more than once; `-` is standard input. Raises EdgetallyError.

    place: where it is opened instead, if others could have put a pipe or a link there.
    """
    try:
        with open_plain(place) if place else open(0 if name == "-" else name, "rb", closefd=name != "-") as file:
            if file.seekable():
                yield file
                return
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(file, copy)
                copy.flush()
                with open(copy.fileno(), "rb", closefd=False) as again:
                    again.seek(0)
                    yield again
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise EdgetallyError(f"{name} cannot be read ({why}): check its path, its mode and its content") from None


def read(file: BinaryIO, name: str, fmt: LogFormat, covers: Window | None = None) -> Log:
    """Read a log. covers: the interval that it should hold; without, what a rotated log's name says."""
    status = os.fstat(file.fileno())
    packed = packing_of(file.read(SIGN_BYTES)) is not None
    covers = covers or _covers_of(name, status.st_mtime)
    file.seek(0)
    sums = tally([unpacked(file)], fmt, None, window=covers)
    file.seek(0)
    measures = measure(unpacked(file), fmt)
    live = os.path.isfile(name) and not packed and 0 <= time.time() - status.st_mtime < LIVE_SECONDS
    return Log(name, fmt, sums, measures, covers, status.st_mtime if live else None)


def _covers_of(name: str, written: float) -> Window | None:
    """The interval of a log that edgetally rotated, as `ship` tallies it."""
    item = Renamed.parse_archived(Path(name))
    return Window(*item.covers(written)) if item else None


# --------------------------------------------------------------------------------------------------------------------
# Guessing


def guess(file: BinaryIO, name: str) -> tuple[LogFormat | None, Finding | None]:
    """The known format that fits a log's beginning best, and what is to be said of that; neither for an empty log."""
    head = head_of(unpacked(file))
    file.seek(0)
    if not head:
        return None, None
    try:
        found = guessed(head)
    except EdgetallyError as error:
        return None, unreadable(b"".join(head).decode("utf-8", "replace"), "w3c", name, error)
    if found.format.server == "w3c":
        return found.format, None
    if found.fits * 2 < found.lines:
        return None, defects.NO_FORMAT.found("no known format fits it", where=name)
    return found.format, defects.GUESSED_FORMAT.found(str(found), where=name)


# --------------------------------------------------------------------------------------------------------------------
# Judging


def check(log: Log) -> Iterator[Finding]:
    """The findings of a log."""
    for finding in (*_lines(log), *_times(log), *_values(log)):
        yield finding._replace(where=log.name)


def _lines(log: Log) -> Iterator[Finding]:
    """The findings of lines that are not billed."""
    sums, measures = log.tally, log.measures
    if sums.rejected:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in measures.reasons.most_common(3))
        what = f"{_share(sums.rejected, sums.lines)} of its lines do not fit the format {log.format.name}: {reasons}"
        severity = "wrong" if sums.rejected > sums.lines * _FEW else "risk"
        yield defects.REJECTED.found(what.replace(": ", ", mostly ", 1) if reasons else what, severity=severity)
    if measures.torn:
        yield defects.TORN_LINES.found(f"{measures.torn} lines hold more than one record")
    if measures.nul:
        yield defects.NUL_BYTES.found(f"{measures.nul} lines hold NUL bytes")
    for cut in sums.cut:
        yield defects.CUT_FILE.found(f"it is cut or damaged behind its first {cut.lines} lines ({cut.why})")
    if measures.cut:
        yield defects.CUT_LINES.found(f"{measures.cut} lines are cut at 8,192 bytes")


def _times(log: Log) -> Iterator[Finding]:
    """The findings of times that do not go with the log's order, its interval or the file's own time."""
    sums, measures = log.tally, log.measures
    if measures.out_of_order:
        what = f"{measures.out_of_order} lines are more than {ORDER_SECONDS:.0f} s older than one before them"
        yield defects.OUT_OF_ORDER.found(f"{what}, at most {_span(measures.most_out_of_order)}")
    if sums.skewed and log.covers and sums.first is not None and sums.last is not None:
        early = (log.covers.covers_from or sums.first) - sums.first
        late = sums.last - log.covers.covers_to
        worst = (
            f"{_span(early)} before"
            if early - EARLY_LINE_SECONDS > late - LATE_LINE_SECONDS
            else f"{_span(late)} after"
        )
        yield defects.OUTSIDE_COVERS.found(f"{sums.skewed} lines end outside of its interval, up to {worst} it")
    if log.written is not None and measures.last is not None:
        yield from _clock(measures.last - log.written)


def _clock(ahead: float) -> Iterator[Finding]:
    """The findings of a log in use about its clock. ahead: how many seconds its last lines are later than the file."""
    zone = round(ahead / _ZONE_STEP) * _ZONE_STEP
    way = f"{_span(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'}"
    if zone and abs(ahead - zone) <= _ZONE_SLACK and abs(zone) <= _ZONE_MOST:
        offset = f"{'+' if zone > 0 else '-'}{abs(zone) // 3600:02}:{abs(zone) % 3600 // 60:02}"
        what = f"its last lines are {way} the file's own time, like the local time of a zone {offset} read as UTC"
        yield defects.TIME_ZONE.found(what)
    elif ahead > AHEAD_SECONDS:
        yield defects.CLOCK_SKEW.found(f"its last lines are {way} the file's own time")
    elif ahead < -BEHIND_SECONDS:
        what = f"its last lines are {way} the file's own time, if this is no copy"
        yield defects.CLOCK_SKEW.found(what, severity="risk")


def _values(log: Log) -> Iterator[Finding]:
    """The findings of bytes, hosts and durations."""
    sums, measures = log.tally, log.measures
    if sums.counted and not sums.bytes:
        yield defects.NO_BYTES.found(f"the bytes of all {sums.counted} lines are 0 or -")
    elif measures.dashes * 2 > sums.counted:
        yield defects.DASH_BYTES.found(f"{_share(measures.dashes, sums.counted)} of its lines have - for their bytes")
    nameless = sum(cell[0] or 0 for (_, host), cell in sums.cells.items() if host == NO_HOST)
    if log.format.has_host and nameless > sums.counted * _FEW:
        yield defects.NO_HOST_LINES.found(f"{_share(nameless, sums.counted)} of its lines name no host")
    if measures.long:
        what = (
            f"{measures.long} transfers lasted more than {LONG_SECONDS / 3600:.0f} h, "
            f"the longest {_span(measures.longest)}"
        )
        yield defects.ODD_DURATION.found(what)
    if measures.negative:
        yield defects.ODD_DURATION.found(f"{measures.negative} durations are negative")


def with_headers(finding: Finding, requests: int, size: int) -> Finding:
    """The finding about body bytes with what it costs in this log: requests and the bytes of their bodies."""
    if finding.code != BODY_BYTES.code or not size:
        return finding
    missing = 100 * requests * HEADER_BYTES / (size + requests * HEADER_BYTES)
    mean = f"with {size / requests:,.0f} bytes a response, about {missing:.1f} % are missing"
    return finding._replace(cost=f"{finding.cost}, and {mean}")


def _share(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return f"{part} of {whole} ({percent:.1f} %)" if percent >= 0.1 else f"{part} of {whole}"


def _span(seconds: float) -> str:
    """A time span for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
