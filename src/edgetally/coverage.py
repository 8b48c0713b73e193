"""Completeness: what became of every (stream, slot), known from covers, continuity and gap-free sequence numbers.

A stream is expected from its first batch to its retirement. Time between two batches that no batch covers, a number
that is not there, and what a batch itself calls broken, absent or disk_full, are gaps. An edge that is idle still ships
batches without lines: its slots are empty. v_stream_gaps says the same in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgetally import SLOT_SECONDS
from edgetally.batch import CANARY_STREAM
from edgetally.period import Period

LATE_SECONDS = 1800
SAME_SECONDS = 1.0  # two covers that are no farther apart follow each other


@dataclass(frozen=True)
class Gap:
    """Time of a stream that no batch vouches for (epoch s), and the lost batches' numbers where they are known."""

    stream: str
    start: float
    end: float
    reason: str
    generation: str | None = None
    first_seq: int | None = None
    last_seq: int | None = None

    def data(self, period: Period) -> dict[str, Any]:
        """As the bill has it."""
        return {
            "stream": self.stream,
            "from": round(self.start, 3),
            "to": round(self.end, 3),
            "from_local": period.say(self.start),
            "to_local": period.say(self.end),
            "reason": self.reason,
            "generation": self.generation,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
        }


@dataclass(frozen=True)
class Cover:
    """One batch of a stream, whole. before: until when the batch before it covers; None where there is none.

    lost: the first number that is missing before it, where its generation shows that.
    """

    generation: str
    seq: int
    start: float
    end: float
    reason: str
    lines: int
    committed: float
    before: float | None = None
    lost: int | None = None


@dataclass(frozen=True)
class Stream:
    """A stream of the ledger: from when to when it has delivered, and when it was retired (epoch s)."""

    id: int
    name: str
    first: float
    last: float
    retired: float | None

    @property
    def is_back(self) -> bool:
        """Whether it delivers again though it was retired."""
        return self.retired is not None and self.last > self.retired + SAME_SECONDS

    def state(self, now: float) -> str:
        """live, silent (nothing for half an hour) or retired."""
        if self.retired is not None and not self.is_back:
            return "retired"
        return "silent" if now - self.last > LATE_SECONDS else "live"

    def off(self, start: float, end: float) -> tuple[float, float] | None:
        """The part of a time without covers in which the stream was retired, and so is not expected."""
        if self.retired is None or self.retired >= end - SAME_SECONDS:
            return None
        return (max(start, self.retired), end) if self.retired >= start - SAME_SECONDS else None


@dataclass
class StreamCoverage:
    """What became of the slots of one stream in a period. gaps: clipped to the period.

    lines, rejected, skewed: of its batches that end in the period.
    """

    stream: Stream
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
        """As the bill has it."""
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


def streams(cursor: Any) -> list[Stream]:
    """Every stream that ever delivered, by name, but the canary's. Looks at the ends of an index, not at the ledger."""
    ends = "(SELECT covers_to FROM batch b WHERE b.stream_id = s.id ORDER BY covers_to {} LIMIT 1)"
    cursor.execute(
        f"SELECT s.id, s.name, UNIX_TIMESTAMP(s.retired_at), {ends.format('ASC')}, {ends.format('DESC')} "  # noqa: S608
        "FROM stream s WHERE s.name <> %s ORDER BY s.name",
        (CANARY_STREAM.encode(),),
    )
    return [
        Stream(number, name.decode(), float(first), float(last), None if retired is None else float(retired))
        for number, name, retired, first, last in cursor.fetchall()
        if first is not None
    ]


def coverage(cursor: Any, period: Period, now: float) -> list[StreamCoverage]:
    """What became of every (stream, slot) of a period; only streams that were expected in it."""
    found = []
    for stream in streams(cursor):
        one = examine(stream, list(_notable(cursor, stream, period)), period, now)
        if one.expected:
            one.lines, one.rejected, one.skewed = _lines(cursor, stream, period)
            found.append(one)
    return found


def _lines(cursor: Any, stream: Stream, period: Period) -> tuple[int, ...]:
    """How many lines a stream's logs had, and of these were rejected and skewed."""
    cursor.execute(
        "SELECT COALESCE(SUM(`lines`), 0), COALESCE(SUM(rejected), 0), COALESCE(SUM(skewed), 0) FROM batch "
        "WHERE stream_id = %s AND state = 'committed' AND covers_to > %s AND covers_to <= %s",
        (stream.id, period.start, period.end),
    )
    return tuple(map(int, cursor.fetchone()))


# Only what is notable leaves the database: where something is missing, late or empty, the first batch and the last. The
# batch before the period and the one after it are looked at too, so that a gap at its ends is known as one.
_NOTABLE = """
WITH b AS (
  SELECT generation, seq, COALESCE(covers_from, covers_to) AS low, covers_to AS high, `lines` AS n,
         CASE WHEN continuity <> 'ok' THEN continuity WHEN log <> 'ok' THEN log ELSE '' END AS reason,
         UNIX_TIMESTAMP(committed_at) AS committed
    FROM batch a WHERE stream_id = %(stream)s AND state = 'committed' AND part = 0
     AND (parts = 1 OR parts = (SELECT COUNT(*) FROM batch c WHERE c.stream_id = a.stream_id AND c.seq = a.seq
          AND c.generation = a.generation AND c.revision = a.revision AND c.state = 'committed'))
     AND covers_to BETWEEN
         COALESCE((SELECT MAX(covers_to) FROM batch WHERE stream_id = %(stream)s AND covers_to <= %(start)s), 0) AND
         COALESCE((SELECT MIN(covers_to) FROM batch WHERE stream_id = %(stream)s AND covers_to >= %(end)s), 1e11)),
o AS (
  SELECT b.*, LAG(high) OVER w AS before_to, LEAD(high) OVER w AS after_to,
         LAG(generation) OVER w AS before_generation, LAG(seq) OVER w AS before_seq
    FROM b WINDOW w AS (ORDER BY high, low, seq))
SELECT LOWER(HEX(generation)), seq, low, high, reason, n, committed, before_to,
       CASE WHEN before_generation = generation AND seq > before_seq + 1 THEN before_seq + 1 END AS lost
  FROM o
 WHERE before_to IS NULL OR after_to IS NULL OR low > before_to + %(same)s
    OR (before_generation = generation AND seq > before_seq + 1) OR reason <> '' OR n = 0
    OR committed > low - low %% %(slot)s + %(late)s
 ORDER BY high, low, seq"""


def _notable(cursor: Any, stream: Stream, period: Period) -> Iterator[Cover]:
    given = {"stream": stream.id, "start": period.start, "end": period.end}
    fixed = {"same": SAME_SECONDS, "slot": SLOT_SECONDS, "late": SLOT_SECONDS + LATE_SECONDS}
    cursor.execute(_NOTABLE, {**given, **fixed})
    for generation, seq, low, high, reason, lines, committed, before, lost in cursor.fetchall():
        yield Cover(
            *(generation, seq, float(low), float(high), reason, int(lines), float(committed)),
            before=None if before is None else float(before),
            lost=None if lost is None else int(lost),
        )


def examine(stream: Stream, covers: Sequence[Cover], period: Period, now: float) -> StreamCoverage:
    """Judge one stream by its notable covers, in order: see _NOTABLE."""
    begin = stream.first
    holes: list[Gap] = []
    for cover in covers:
        hole = _hole(stream, cover)
        if hole is not None:
            holes.append(hole)
            begin = min(begin, hole.start)
        if cover.reason:
            seqs = (cover.generation, cover.seq, cover.seq)
            holes.append(Gap(stream.name, cover.start, cover.end, cover.reason, *seqs))
    low, high = max(period.start, begin), min(period.end, now)
    if not covers or (covers[0].before is None and covers[0].end > stream.first):  # what came before is not whole
        holes.append(Gap(stream.name, low, min(high, covers[0].start) if covers else high, "missing"))
    if covers and now - covers[-1].end > LATE_SECONDS:
        holes.append(Gap(stream.name, covers[-1].end, now, "missing"))
    result = StreamCoverage(stream, stream.state(now))
    off: set[int] = set()
    for hole in holes:
        start, end = max(low, hole.start), min(high, hole.end)
        # A machine that is off uses no numbers up: where some are lost, it was not
        away = stream.off(hole.start, hole.end) if hole.reason == "missing" and hole.first_seq is None else None
        if away is not None:
            off.update(_inside(max(low, away[0]), min(high, away[1]), high))
            end = min(end, away[0])
        if (start < end - (SAME_SECONDS if away else 0)) or (hole.start == hole.end and low <= start < high):
            result.gaps.append(_clip(hole, start, end))
    missing = {slot for gap in result.gaps for slot in slots(gap.start, gap.end)}
    expected = set(slots(low, high)) - off | missing if low < high else set()
    result.expected = len(expected)
    result.missing = frozenset(missing)
    whole = expected - missing
    result.empty = len(whole.intersection(_empty(covers, low, high)))
    result.late = len(whole.intersection(_late(covers)))
    return result


def _hole(stream: Stream, cover: Cover) -> Gap | None:
    """What is missing right before a batch."""
    if cover.before is None:
        if cover.seq > 1 and cover.end <= stream.first:  # the stream's very first numbers: at least so long before
            start = cover.start - (cover.seq - 1) * SLOT_SECONDS
            return Gap(stream.name, start, cover.start, "missing", cover.generation, 1, cover.seq - 1)
        return None
    if cover.lost is not None:
        start = min(cover.before, cover.start)
        return Gap(stream.name, start, cover.start, "missing", cover.generation, cover.lost, cover.seq - 1)
    if cover.start > cover.before + SAME_SECONDS:
        return Gap(stream.name, cover.before, cover.start, "missing")
    return None


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
                if cover.committed > slot + SLOT_SECONDS + LATE_SECONDS:
                    yield slot


def slots(start: float, end: float) -> range:
    """The slots that a span of time touches; of a moment, its slot."""
    last = max(-int(-end // SLOT_SECONDS) * SLOT_SECONDS, (int(start) // SLOT_SECONDS + 1) * SLOT_SECONDS)
    return range(int(start) // SLOT_SECONDS * SLOT_SECONDS, last, SLOT_SECONDS)


def _inside(start: float, end: float, high: float, low: float | None = None) -> Iterable[int]:
    """The slots that lie wholly within a span of time, as far as they lie between low and high."""
    if end < start:
        return ()
    last = -int(-end // SLOT_SECONDS) if end >= high else int(end) // SLOT_SECONDS
    first = int(start) // SLOT_SECONDS if low is not None and start <= low else -int(-start // SLOT_SECONDS)
    return range(first * SLOT_SECONDS, last * SLOT_SECONDS, SLOT_SECONDS)
