"""The ledger's streams, and where one is not whole: the one rule of gaps, which the bill and the status share.

Time between two batches that no batch covers, a number that is not there within any generation of the stream, what a
batch itself calls broken, absent or disk_full, or missing at another time than it covers, and batches that were
refused, are gaps. v_stream_gaps says the same in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from edgetally.limits import LATE_SLOT_SECONDS, SAME_SECONDS, SLOT_SECONDS
from edgetally.wire.batch import CANARY_STREAM

MISSING = "missing"  # the reason of a gap that no batch vouches for
BROKEN = "broken"  # of one that a batch itself calls so
REFUSED = "refused"  # the reason of one whose batch lies in quarantine

# Only notable batches leave the database: those where something is missing, late or empty, the first and the last. The
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
  SELECT b.*, LAG(high) OVER w AS before_to, LEAD(high) OVER w AS after_to, LAG(seq) OVER g AS number
    FROM b WINDOW w AS (ORDER BY high, low, seq), g AS (PARTITION BY generation ORDER BY seq)),
n AS (
  SELECT o.*, COALESCE(number, IF(seq > 1, (SELECT MAX(p.seq) FROM batch p WHERE p.stream_id = %(stream)s
         AND p.generation = o.generation AND p.seq < o.seq AND p.state = 'committed'), 0), 0) AS last_seq
    FROM o
   WHERE before_to IS NULL OR after_to IS NULL OR low > before_to + %(same)s OR number IS NULL OR seq > number + 1
      OR reason <> '' OR n = 0 OR committed > low - low %% %(slot)s + %(late)s)
SELECT LOWER(HEX(generation)), seq, low, high, reason, n, committed, before_to,
       CASE WHEN seq > last_seq + 1 THEN last_seq + 1 END,
       CASE WHEN seq > last_seq + 1 THEN (SELECT MAX(p.covers_to) FROM batch p WHERE p.stream_id = %(stream)s
         AND p.generation = n.generation AND p.seq = n.last_seq AND p.state = 'committed') END
  FROM n
 ORDER BY high, low, seq"""


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


@dataclass(frozen=True)
class Cover:
    """The time that one batch of a stream covers (epoch s); of a batch in parts all are there.

    reason: why it does not vouch for that time, empty where it does. before: until when the batch before it covers;
    None where there is none. lost: the first number of its generation that is missing before it; since: until when the
    batch before that one covers, None where there is none.
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
    since: float | None = None


@dataclass(frozen=True)
class LedgerStream:
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
        return "silent" if now - self.last > LATE_SLOT_SECONDS else "live"

    def off(self, start: float, end: float) -> tuple[float, float] | None:
        """The part of a time without covers in which the stream was retired, and so is not expected."""
        if self.retired is None or self.retired >= end - SAME_SECONDS:
            return None
        return (max(start, self.retired), end) if self.retired >= start - SAME_SECONDS else None


def streams(cursor: Any) -> list[LedgerStream]:
    """Every stream that ever delivered, by name, but the canary's. Looks at the ends of an index, not at the ledger."""
    ends = "(SELECT covers_to FROM batch b WHERE b.stream_id = s.id ORDER BY covers_to {} LIMIT 1)"
    cursor.execute(
        f"SELECT s.id, s.name, UNIX_TIMESTAMP(s.retired_at), {ends.format('ASC')}, {ends.format('DESC')} "  # noqa: S608
        "FROM stream s WHERE s.name <> %s ORDER BY s.name",
        (CANARY_STREAM.encode(),),
    )
    return [
        LedgerStream(number, name.decode(), float(first), float(last), None if retired is None else float(retired))
        for number, name, retired, first, last in cursor.fetchall()
        if first is not None
    ]


def notable_covers(cursor: Any, stream: LedgerStream, start: float, end: float) -> list[Cover]:
    """The batches of a stream from one moment to another (epoch s) that `gaps_of` has to know, in order."""
    given = {"stream": stream.id, "start": start, "end": end}
    fixed = {"same": SAME_SECONDS, "slot": SLOT_SECONDS, "late": SLOT_SECONDS + LATE_SLOT_SECONDS}
    cursor.execute(_NOTABLE, {**given, **fixed})
    return [
        Cover(
            *(generation, seq, float(low), float(high), reason, int(lines), float(committed)),
            before=None if before is None else float(before),
            lost=None if lost is None else int(lost),
            since=None if since is None else float(since),
        )
        for generation, seq, low, high, reason, lines, committed, before, lost, since in cursor.fetchall()
    ]


def other_gaps(cursor: Any, stream: LedgerStream, start: float, end: float) -> list[Gap]:
    """The gaps of a stream, between two moments (epoch s), that its covers do not tell.

    The time of its batches that lie in quarantine, which count nothing, and what batches call missing at another time.
    """
    cursor.execute(
        "SELECT covers_from, covers_to, %s, generation, seq FROM v_refused "
        "WHERE stream_id = %s AND covers_to > %s AND covers_from < %s UNION ALL "
        "SELECT from_time, to_time, %s, generation, seq FROM missing "
        "WHERE stream_id = %s AND to_time > %s AND from_time < %s ORDER BY 1, 4, 5",
        (REFUSED, stream.id, start, end, BROKEN, stream.id, start, end),
    )
    return [
        Gap(stream.name, float(low), float(high), reason, generation.hex(), seq, seq)
        for low, high, reason, generation, seq in cursor.fetchall()
    ]


def gaps_of(stream: LedgerStream, covers: Iterable[Cover]) -> Iterator[Gap]:
    """The gaps between a stream's batches, and in them. covers: in order, at least the notable ones."""
    for cover in covers:
        hole = _hole_before(stream, cover)
        if hole is not None:
            yield hole
        if cover.reason:
            yield Gap(stream.name, cover.start, cover.end, cover.reason, cover.generation, cover.seq, cover.seq)


def _hole_before(stream: LedgerStream, cover: Cover) -> Gap | None:
    """The gap right before a batch, if there is one."""
    if cover.lost is not None:
        since = cover.before if cover.since is None else cover.since
        if since is None:  # the stream's very first numbers: at least so long before
            since = cover.start - (cover.seq - cover.lost) * SLOT_SECONDS
        start = min(since, cover.start)
        return Gap(stream.name, start, cover.start, MISSING, cover.generation, cover.lost, cover.seq - 1)
    if cover.before is not None and cover.start > cover.before + SAME_SECONDS:
        return Gap(stream.name, cover.before, cover.start, MISSING)
    return None
