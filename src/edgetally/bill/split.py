"""A bill by edge, region or stream: what of its channels each had, from the detail of each stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pymysql.cursors import SSCursor

from edgetally.bill.bill import PERCENTS, Bill, channel_ids, channel_line
from edgetally.bill.closed import AnyBill
from edgetally.bill.counters import Counters, open_counters
from edgetally.bill.period import Period
from edgetally.bill.regions import read_moves, read_streams, region_at
from edgetally.bill.sample import Sample
from edgetally.bill.series import Counts
from edgetally.bill.zones import zone_named
from edgetally.config import AggregatorConfig
from edgetally.limits import SLOT_SECONDS
from edgetally.wire.envelope import edge_of

BY = ("edge", "region", "stream")

_SUMS = ", ".join(f"SUM({name})" for name in Counts._fields)
NameOf = Callable[[int, int], str]  # the part that a stream (id) is of in a slot


@dataclass
class Part:
    """What an edge, region or stream had: the bytes of every slot of the period, and the sums."""

    name: str
    sizes: list[int]
    counts: Counts = field(default_factory=Counts)

    def add(self, index: int, sums: Sequence[int]) -> None:
        """Add what a slot had."""
        had = Counts(*sums)
        self.sizes[index] += had.bytes
        self.counts = Counts(*map(sum, zip(self.counts, had)))


def split(
    config: AggregatorConfig, bill: AnyBill, by: str, pattern: str = "*", percents: Sequence[Fraction] = PERCENTS
) -> dict[str, Any]:
    """The bill's part that is split, as docs/reference/bill.md describes it."""
    of = bill.data["period"]
    period = Period(of["from"], of["to"], zone_named(of["zone"]))
    with _counters_of(config, bill, period) as counters:
        found, older, since = parts(counters, period, channel_ids(counters, pattern), by)
    lines = [channel_line(part.name, part.counts, Sample(part.sizes), percents) for part in found]
    return {
        "by": by,
        "parts": [{"name": line.pop("channel"), **line} for line in lines],
        "undivided_bytes": older,
        "undivided_until": period.iso(since) if older else None,
        "rest_bytes": bill.data["total"]["bytes"] - older - sum(part.counts.bytes for part in found),
    }


def parts(counters: Counters, period: Period, ids: Sequence[int], by: str) -> tuple[list[Part], int, int]:
    """What each edge, region or stream had of some channels (ids), by name; how many bytes are older than the detail,
    which cannot be split; and from when on there is detail, epoch s."""
    cursor = counters.cursor
    cursor.execute("SELECT from_slot FROM detail")
    since = max(period.start, int(cursor.fetchone()[0]))
    found: dict[str, Part] = {}
    name_of, older = _names(cursor, by), _older(cursor, ids, period.start, since)
    for stream, slot, *sums in _rows(cursor.connection, ids, since, period.end):
        name = name_of(stream, slot)
        part = found.setdefault(name, Part(name, [0] * period.slots))
        part.add((slot - period.start) // SLOT_SECONDS, list(map(int, sums)))
    return sorted(found.values(), key=lambda part: part.name), older, since


@contextmanager
def _counters_of(config: AggregatorConfig, bill: AnyBill, period: Period) -> Iterator[Counters]:
    """The database as the bill of an open period sees it; of a closed one as it is now, for that has no detail."""
    if isinstance(bill, Bill):
        yield bill.counters
        return
    with open_counters(config.database, period) as counters:
        yield counters


def _rows(connection: Any, ids: Sequence[int], start: int, end: int) -> Iterator[Any]:
    """(stream_id, slot, *sums) of some channels: as many as streams have slots, so they are not kept in memory."""
    if not ids or start >= end:
        return
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(
            f"SELECT stream_id, slot, {_SUMS} FROM traffic "  # noqa: S608
            "WHERE channel_id IN %s AND slot >= %s AND slot < %s GROUP BY stream_id, slot",
            (ids, start, end),
        )
        yield from cursor


def _older(cursor: Any, ids: Sequence[int], start: int, since: int) -> int:
    """The bytes of the slots that have no detail any more."""
    if not ids or since <= start:
        return 0
    cursor.execute(
        "SELECT COALESCE(SUM(bytes), 0) FROM channel_traffic WHERE channel_id IN %s AND slot >= %s AND slot < %s",
        (ids, start, since),
    )
    return int(cursor.fetchone()[0])


# --- which part a stream is of


def _names(cursor: Any, by: str) -> NameOf:
    streams = read_streams(cursor)
    if by == "stream":
        return lambda stream, _slot: streams[stream]
    edges = {number: edge_of(name) for number, name in streams.items()}
    if by == "edge":
        return lambda stream, _slot: edges[stream]
    moves = read_moves(cursor)
    return lambda stream, slot: region_at(moves.get(edges[stream], ()), slot)


# --- in words


def remarks(split: dict[str, Any]) -> Iterable[str]:
    """What a reader has to know of the parts, in sentences."""
    if split["undivided_bytes"]:
        yield (
            f"{split['undivided_bytes']:,} bytes from before {split['undivided_until']} are not split: the detail of "
            "each stream is kept for detail_days."
        )
    if split["rest_bytes"]:
        side = "less" if split["rest_bytes"] > 0 else "more"
        yield (
            f"The parts have {abs(split['rest_bytes']):,} bytes {side} than the bill: they are what the database has "
            "now, and the bill is of the month as it was closed."
        )
