"""The audit: sum the bodies of all counted batches again, and compare with the ledger and the counters.

Works through the slots day by day, so that memory does not grow with the ledger, on one snapshot of the database: the
aggregator may go on meanwhile.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymysql.cursors import SSCursor

from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.counter_changes import COUNTERS, Cell, CounterChanges
from edgetally.ledger.database import check_schema, connect
from edgetally.limits import DAY, SPREAD_SECONDS
from edgetally.times import epoch_seconds
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import BatchError

_COUNTERS = ", ".join(COUNTERS)


@dataclass(frozen=True)
class Difference:
    """One thing that does not agree. where: the stream, channel, slot or batch; what: in words, with both figures."""

    where: str
    what: str


def audit(config: AggregatorConfig, start: str | None, end: str | None) -> Audit:
    """Compare all, or what lies between two times as epoch_seconds reads them."""
    low = epoch_seconds(start, "--from") if start else 0.0
    high = epoch_seconds(end, "--to") if end else float(1 << 32)
    if low >= high:
        raise EdgetallyError(f"--from {start} is not before --to {end}: exchange them")
    connection = connect(config.database, cursorclass=SSCursor)
    try:
        check_schema(connection, config.database)
        work = Audit(connection, int(low), int(high))
        work.run()
    finally:
        connection.close()
    return work


class Audit:
    """The work of one audit of the slots from low to high, epoch s, and what it has found.

    batches: how many bodies were summed; cells: how many (stream, slot, channel) they came to. What is older than the
    detail is compared over all streams alone.
    """

    def __init__(self, connection: Any, low: int, high: int) -> None:
        self.connection = connection
        self.low, self.high = low, high
        self.differences: dict[Difference, None] = {}
        self._batches: set[tuple[Any, ...]] = set()
        self.cells = 0

    @property
    def batches(self) -> int:
        """How many batches were looked at."""
        return len(self._batches)

    def run(self) -> None:
        """Compare all days, on one snapshot."""
        with self.connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        self._streams = self._names("stream")
        self._channels = self._names("channel")
        ((self._detail_from,),) = self._rows("SELECT from_slot FROM detail")
        for day in self._days():
            self._compare(max(day, self.low), min(day + DAY, self.high))
        self.connection.rollback()

    def _rows(self, query: str, arguments: tuple[Any, ...] = ()) -> Iterator[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(query, arguments)
            yield from cursor

    def _names(self, name: str) -> dict[int, str]:
        return {number: text.decode() for number, text in self._rows(f"SELECT id, name FROM {name}")}  # noqa: S608

    def _days(self) -> Iterator[int]:
        """The days in which a counter or a body may have anything."""
        spread = int(SPREAD_SECONDS)
        ((first, last),) = self._rows("SELECT MIN(slot), MAX(slot) FROM channel_traffic")
        ((begin, end),) = self._rows("SELECT MIN(COALESCE(covers_from, covers_to)), MAX(covers_to) FROM batch")
        times = [int(value) for value in (first, last) if value is not None]
        times += [int(begin) - spread, int(end) + spread] if end is not None else []
        if times:
            low, high = max(min(times), self.low), min(max(times) + 1, self.high)
            yield from range(low // DAY * DAY, high, DAY)

    def _compare(self, low: int, high: int) -> None:
        """Compare the slots of one day, or the part of it that is asked for."""
        sums = self._sum(low, high)
        detail = max(low, self._detail_from)
        by_stream, by_channel = _cells(sums.by_stream(detail), 3), _cells(sums.by_channel(), 2)
        self.cells += len(by_stream)
        for (channel_id, slot, stream_id), what in _unequal(by_stream, self._counters("traffic", detail, high)):
            self._note(f"stream {self._streams.get(stream_id, stream_id)}, {self._place(slot, channel_id)}", what)
        for (channel_id, slot), what in _unequal(by_channel, self._counters("channel_traffic", low, high)):
            self._note(f"all streams, {self._place(slot, channel_id)}", what)

    def _place(self, slot: int, channel_id: int) -> str:
        when = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(slot))
        return f"slot {slot} ({when}), channel {self._channels.get(channel_id, channel_id)}"

    def _note(self, where: str, what: str) -> None:
        self.differences[Difference(where, what)] = None

    def _counters(self, name: str, low: int, high: int) -> dict[tuple[int, ...], Cell]:
        keys = ("channel_id", "slot", "stream_id") if name == "traffic" else ("channel_id", "slot")
        query = f"SELECT {', '.join(keys)}, {_COUNTERS} FROM {name} WHERE slot >= %s AND slot < %s"  # noqa: S608
        return _cells(self._rows(query, (low, high)), len(keys))

    def _sum(self, low: int, high: int) -> CounterChanges:
        """The sums of the bodies in the slots from low to high."""
        sums = CounterChanges()
        ids = {name: number for number, name in self._channels.items()}
        query = (
            "SELECT stream_id, generation, seq, revision, part, sha256, `lines`, bytes, body FROM batch "
            "LEFT JOIN batch_body USING (stream_id, generation, seq, revision, part) WHERE state = 'committed' "
            "AND covers_to > %s AND (covers_from IS NULL OR covers_from < %s)"
        )
        for *key, sha256, lines, size, body in self._rows(query, (low - SPREAD_SECONDS, high + SPREAD_SECONDS)):
            self._batches.add(tuple(key))
            batch = self._read(key, sha256, body)
            if batch is None:
                continue
            if (batch.lines, batch.size) != (lines, size):
                self._note(self._name(key), f"{lines} lines and {size} bytes in the ledger, not those of its body")
            rows = tuple(row for row in batch.rows if low <= row[0] < high)
            sums.add_rows(key[0], [ids.get(name, 0) for name in batch.channels], rows)
        return sums

    def _read(self, key: list[Any], sha256: bytes, body: bytes | None) -> Batch | None:
        """A body, checked against its hash; None, and noted, where there is none that fits."""
        if body is None:
            self._note(self._name(key), "it has no body")
            return None
        try:
            plain = zlib.decompress(body)
            if hashlib.sha256(plain).digest() == sha256:
                return Batch.decode(plain)
            problem = "its body has another hash than the ledger"
        except (zlib.error, BatchError) as error:
            problem = f"its body cannot be read ({error})"
        self._note(self._name(key), problem)
        return None

    def _name(self, key: list[Any]) -> str:
        stream_id, generation, seq, revision, part = key
        return f"batch {self._streams.get(stream_id, stream_id)} {generation.hex()}-{seq}-{revision}-{part}"


def _cells(rows: Iterable[Any], keys: int) -> dict[tuple[int, ...], Cell]:
    """Rows by their keys, which are so many columns at the beginning of each."""
    return {tuple(row[:keys]): row[keys:] for row in rows}


def _unequal(summed: Mapping[Any, Cell], counted: Mapping[Any, Cell]) -> Iterator[tuple[Any, str]]:
    """The keys whose cells differ, and how."""
    nothing: Cell = (0, 0, 0, 0, 0, 0)
    for key in sorted({*summed, *counted}):
        ours, theirs = summed.get(key, nothing), counted.get(key, nothing)
        if tuple(ours) != tuple(theirs):
            figures = zip(COUNTERS, ours, theirs)
            pairs = [
                f"{name} {count} counted, {total} in the bodies" for name, total, count in figures if total != count
            ]
            yield key, "; ".join(pairs)
