"""Measures what the tally does not say of a log: the order of its times, its durations, and why lines were rejected."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from edgetally.formats import clocks
from edgetally.formats.log_format import LogFormat
from edgetally.tally.inputs import lines

ORDER_SECONDS = 300.0  # a slot: a line that comes later than that was due in another one
LONG_SECONDS = 6 * 3600.0
CUT_LENGTHS = range(8190, 8193)  # squid's buffer for a line, with and without what ends it

_LONGEST = 2 << 20
_TAIL = 100
_EXPLAINED = 10_000  # finding a reason takes longer than reading a line
_EPOCH = rb"(?<!\d)\d{10}(?:\.\d+)?(?![\d.])"


class Row(NamedTuple):
    """What one line says: its end and its duration in seconds, None for what it lacks; whether its bytes are `-`."""

    end: float | None
    duration: float | None
    dash: bool


@dataclass
class Measures:
    """What was measured line by line. Times and durations in seconds."""

    reasons: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    torn: int = 0
    nul: int = 0
    cut: int = 0
    dashes: int = 0
    out_of_order: int = 0
    most_out_of_order: float = 0.0
    long: int = 0
    longest: float = 0.0
    negative: int = 0
    tail: deque[float] = field(default_factory=lambda: deque(maxlen=_TAIL))

    @property
    def last(self) -> float | None:
        """The latest end of the last lines."""
        return max(self.tail, default=None)


def measure(stream: BinaryIO, fmt: LogFormat) -> Measures:
    """Read a log line by line."""
    reader, measures = _Reader(fmt), Measures()
    latest = float("-inf")
    for line in _lines(stream):
        row = reader.read(line)
        if row is None:
            if fmt.is_line(line):
                _rejected(measures, reader, line)
            continue
        measures.dashes += row.dash
        _duration(measures, row.duration)
        if row.end is None:
            continue
        measures.tail.append(row.end)
        if latest - row.end > ORDER_SECONDS:
            measures.out_of_order += 1
            measures.most_out_of_order = max(measures.most_out_of_order, latest - row.end)
        latest = max(latest, row.end)
    return measures


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines without their ends; no blank ones."""
    for line in lines(stream, _LONGEST):
        bare = line.rstrip(b"\r\n")
        if bare:
            yield bare


def _duration(measures: Measures, duration: float | None) -> None:
    if duration is None:
        return
    measures.longest = max(measures.longest, duration)
    measures.long += duration > LONG_SECONDS
    measures.negative += duration < 0


def _rejected(measures: Measures, reader: _Reader, line: bytes) -> None:
    """Sort a line that does not fit: NUL bytes, two records in one, cut, or another reason."""
    measures.nul += b"\0" in line
    measures.torn += reader.is_torn(line)
    measures.cut += len(line) in CUT_LENGTHS
    measures.rejected += 1
    if measures.rejected <= _EXPLAINED:
        reason = re.sub(r"(?:, the first in|, in| at| in) (?:column \d+|its end)$", "", reader.explain(line))
        measures.reasons[reason] += 1


class _Reader:
    """Reads single lines of a format."""

    def __init__(self, fmt: LogFormat) -> None:
        self._format = fmt
        self.explain = fmt.explain
        self._places = {role: fmt.roles[role][0] for role in ("time", "duration", "size") if role in fmt.roles}
        self._said = fmt.sayer(self._places)
        self._time_of = fmt.time_of
        kind = fmt.parts[self._places["time"]].kind
        counts = kind in ("epoch", "unix", "stamp") or kind.endswith((":%s", ":%1", ":%6"))
        self._moment = re.compile(_EPOCH if counts else clocks.shape(kind))

    def read(self, line: bytes) -> Row | None:
        """One line, without its end; None where it does not fit the format."""
        said = self._said(line)
        if said is None:
            return None
        moment = said["time"] + b"\n" + said["duration"] if self._format.adds_duration else said["time"]
        return Row(self._time_of(moment), self._seconds(said.get("duration")), said["size"] == b"-")

    def _seconds(self, text: bytes | None) -> float | None:
        """A duration; None for `-`, and for the -1 of a transfer that never got so far."""
        if text in (None, b"-", b"-1"):
            return None
        kind = self._format.parts[self._places["duration"]].kind
        return float(text or b"0") * clocks.NANOSECONDS[kind] / 1e9

    def is_torn(self, line: bytes) -> bool:
        """Whether a line that does not fit holds more than one record's time."""
        return len(self._moment.findall(line)) > 1
