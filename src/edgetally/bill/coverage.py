"""Finds what is missing in a period: what became of every (stream, slot), by the rule of gaps in ledger/gaps.

A stream is expected from its first batch to its retirement. An edge that is idle still ships batches without lines: its
slots are empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgetally.bill.period import Period
from edgetally.ledger.gaps import (
    MISSING,
    REFUSED,
    Cover,
    Gap,
    LedgerStream,
    gaps_of,
    notable_covers,
    other_gaps,
    streams,
)
from edgetally.limits import LATE_SLOT_SECONDS, SAME_SECONDS, SLOT_SECONDS


@dataclass
class StreamCoverage:
    """What became of the slots of one stream in a period. gaps: clipped to the period.

    lines, rejected, skewed: of its batches that end in the period.
    """

    stream: LedgerStream
    state: str
    gaps: list[Gap] = field(default_factory=list)
    expected: int = 0
    empty: int = 0
    late: int = 0
    missing: frozenset[int] = frozenset()
    lines: int = 0
    rejected: int = 0
    skewed: int = 0

    def data(self) -> dict[str, Any]:
        """The coverage as the bill has it."""
        return {
            "stream": self.stream.name,
            "state": self.state,
            "expected": self.expected,
            "received": self.expected - self.empty - len(self.missing),
            "empty": self.empty,
            "missing": len(self.missing),
            "late": self.late,
            "last": round(self.stream.last, 3),
            "lines": self.lines,
            "rejected": self.rejected,
            "skewed": self.skewed,
        }


def coverage(cursor: Any, period: Period, now: float) -> list[StreamCoverage]:
    """The coverage of every stream that was expected in a period."""
    coverages = []
    for stream in streams(cursor):
        covers = notable_covers(cursor, stream, period.start, period.end)
        others = other_gaps(cursor, stream, period.start, period.end)
        stream_coverage = examine(stream, covers, period, now, others)
        if stream_coverage.expected:
            stream_coverage.lines, stream_coverage.rejected, stream_coverage.skewed = _lines(cursor, stream, period)
            coverages.append(stream_coverage)
    return coverages


def examine(
    stream: LedgerStream, covers: Sequence[Cover], period: Period, now: float, others: Iterable[Gap] = ()
) -> StreamCoverage:
    """Judge one stream by its covers, in order: at least those that `notable_covers` gives; and by what was refused."""
    holes = [*gaps_of(stream, covers), *others]
    begin = min([stream.first, *(hole.start for hole in holes if hole.reason in (MISSING, REFUSED))])
    low, high = max(period.start, begin), min(period.end, now)
    if not covers or (covers[0].before is None and covers[0].end > stream.first):  # what came before is not whole
        holes.append(Gap(stream.name, low, min(high, covers[0].start) if covers else high, MISSING))
    if covers and now - covers[-1].end > LATE_SLOT_SECONDS:
        holes.append(Gap(stream.name, covers[-1].end, now, MISSING))
    result = StreamCoverage(stream, stream.state(now))
    off: set[int] = set()
    for hole in holes:
        start, end = max(low, hole.start), min(high, hole.end)
        # A machine that is off uses no numbers up: where some are lost, it was not
        away = stream.off(hole.start, hole.end) if hole.reason == MISSING and hole.first_seq is None else None
        if away is not None:
            off.update(_inside(max(low, away[0]), min(high, away[1]), high))
            end = min(end, away[0])
        if (start < end - (SAME_SECONDS if away else 0)) or (hole.start == hole.end and low <= hole.start < high):
            result.gaps.append(_clip(hole, start, end))
    missing = {slot for gap in result.gaps for slot in slots(gap.start, gap.end)}
    expected = set(slots(low, high)) - off | missing if low < high else set()
    result.expected = len(expected)
    result.missing = frozenset(missing)
    whole = expected - missing
    result.empty = len(whole.intersection(_empty(covers, low, high)))
    result.late = len(whole.intersection(_late(covers)))
    return result


def gap_data(gap: Gap, period: Period) -> dict[str, Any]:
    """A gap as the bill has it."""
    return {
        "stream": gap.stream,
        "from": round(gap.start, 3),
        "to": round(gap.end, 3),
        "from_local": period.say(gap.start),
        "to_local": period.say(gap.end),
        "reason": gap.reason,
        "generation": gap.generation,
        "first_seq": gap.first_seq,
        "last_seq": gap.last_seq,
    }


def slots(start: float, end: float) -> range:
    """The slots that a span of time touches; of a moment, its slot."""
    last = max(-int(-end // SLOT_SECONDS) * SLOT_SECONDS, (int(start) // SLOT_SECONDS + 1) * SLOT_SECONDS)
    return range(int(start) // SLOT_SECONDS * SLOT_SECONDS, last, SLOT_SECONDS)


def _lines(cursor: Any, stream: LedgerStream, period: Period) -> tuple[int, ...]:
    """How many lines a stream's logs had, and of these were rejected and skewed."""
    cursor.execute(
        "SELECT COALESCE(SUM(`lines`), 0), COALESCE(SUM(rejected), 0), COALESCE(SUM(skewed), 0) FROM batch "
        "WHERE stream_id = %s AND state = 'committed' AND covers_to > %s AND covers_to <= %s",
        (stream.id, period.start, period.end),
    )
    return tuple(map(int, cursor.fetchone()))


def _clip(gap: Gap, start: float, end: float) -> Gap:
    return Gap(gap.stream, start, end, gap.reason, gap.generation, gap.first_seq, gap.last_seq)


def _empty(covers: Iterable[Cover], low: float, high: float) -> Iterator[int]:
    """The slots that batches without a single line cover, wholly as far as the stream was expected."""
    start = end = float("-inf")
    for cover in covers:
        if cover.lines or cover.reason:
            continue
        if cover.start > end + SAME_SECONDS or cover.lost is not None:
            yield from _inside(max(start, low), min(end, high), high, low)
            start = cover.start
        end = max(end, cover.end)
    yield from _inside(max(start, low), min(end, high), high, low)


def _late(covers: Iterable[Cover]) -> Iterator[int]:
    """The slots of batches that were committed more than half an hour after the slot's end."""
    for cover in covers:
        if not cover.reason:
            for slot in slots(cover.start, cover.end):
                if cover.committed > slot + SLOT_SECONDS + LATE_SLOT_SECONDS:
                    yield slot


def _inside(start: float, end: float, high: float, low: float | None = None) -> Iterable[int]:
    """The slots that lie wholly within a span of time, as far as they lie between low and high."""
    if end < start:
        return ()
    last = -int(-end // SLOT_SECONDS) if end >= high else int(end) // SLOT_SECONDS
    first = int(start) // SLOT_SECONDS if low is not None and start <= low else -int(-start // SLOT_SECONDS)
    return range(first * SLOT_SECONDS, last * SLOT_SECONDS, SLOT_SECONDS)
