"""What a transaction adds to the counters, and what it takes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from edgetally.limits import DAY, HOUR
from edgetally.wire.batch import Batch, Row
from edgetally.wire.envelope import edge_of

COUNTERS = ("requests", "bytes", "hits", "hit_bytes", "cache_requests", "cache_bytes")

# requests, bytes, hits, hit bytes, requests and bytes of logs that tell hits
Cell = tuple[int, int, int, int, int, int]


@dataclass
class CounterChanges:
    """The sums of one transaction.

    cells: (channel_id, slot) to stream_id to sums. hosts: (day, host) to requests and bytes. logged: (hour, stream_id)
    to bytes. counted: (hour, edge) to bytes that its interface sent, seconds of which that is known, and the same of
    its servers. What a batch brings of the last two is in the hour in which its time ends.
    """

    cells: dict[tuple[int, int], dict[int, Cell]] = field(default_factory=dict)
    hosts: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    logged: dict[tuple[int, int], int] = field(default_factory=dict)
    counted: dict[tuple[int, str], tuple[int, ...]] = field(default_factory=dict)

    def add(self, stream_id: int, channel_ids: Sequence[int], batch: Batch) -> None:
        """Add a batch."""
        self.add_rows(stream_id, channel_ids, batch.rows)
        self._add_logged(stream_id, batch, batch.size)
        if batch.revision:
            return  # its hosts are noted already: they are a hint, and no part of the bill
        day = int(batch.covers[1]) // DAY * DAY
        for host, requests, size in batch.unassigned_hosts:
            seen = self.hosts.get((day, host), (0, 0))
            self.hosts[day, host] = (seen[0] + requests, seen[1] + size)

    def subtract(self, stream_id: int, channel_ids: Sequence[int], batch: Batch) -> None:
        """Take the counters of a batch back."""
        self._add_logged(stream_id, batch, -batch.size)
        self.add_rows(
            stream_id,
            channel_ids,
            (
                (slot, channel, -requests, -size, hits and -hits, hit_bytes and -hit_bytes)
                for slot, channel, requests, size, hits, hit_bytes in batch.rows
            ),
        )

    def _add_logged(self, stream_id: int, batch: Batch, size: int) -> None:
        """Add to what a log had. What an installation finds in it is no part: nobody counted beside it then."""
        if size and batch.covers[0] is not None:
            key = _hour(batch.covers[1]), stream_id
            self.logged[key] = self.logged.get(key, 0) + size

    def add_counted(self, batch: Batch) -> None:
        """Add what a batch that is new to the ledger tells of its edge's interface and servers."""
        if batch.counters is None:
            return
        counters = batch.counters
        sizes = (counters.wire, counters.server)
        told = [number for size in sizes for number in ((0, 0) if size is None else (size, counters.seconds))]
        key = _hour(counters.end), edge_of(batch.stream)
        self.counted[key] = tuple(map(sum, zip(self.counted.get(key, (0, 0, 0, 0)), told)))

    def add_rows(self, stream_id: int, channel_ids: Sequence[int], rows: Iterable[Row]) -> None:
        """Add rows of a batch."""
        for slot, channel, requests, size, hits, hit_bytes in rows:
            if hits is None or hit_bytes is None:
                cell = (requests, size, 0, 0, 0, 0)
            else:
                cell = (requests, size, hits, hit_bytes, requests, size)
            key = channel_ids[channel], slot
            streams = self.cells.get(key)
            if streams is None:
                self.cells[key] = {stream_id: cell}
            elif stream_id in streams:
                streams[stream_id] = _sum((streams[stream_id], cell))
            else:
                streams[stream_id] = cell

    def by_stream(self, first: int = 0) -> Iterator[tuple[int, ...]]:
        """(channel_id, slot, stream_id, *sums) from a first slot on, in the order of these keys."""
        for key in sorted(key for key in self.cells if key[1] >= first):
            for stream_id, cell in sorted(self.cells[key].items()):
                yield (*key, stream_id, *cell)

    def by_channel(self) -> Iterator[tuple[int, ...]]:
        """(channel_id, slot, *sums over the streams), in the order of these keys."""
        for key in sorted(self.cells):
            yield (*key, *_sum(self.cells[key].values()))


def _hour(moment: float) -> int:
    return int(moment) // HOUR * HOUR


def _sum(cells: Iterable[Cell]) -> Cell:
    requests, size, hits, hit_bytes, cache_requests, cache_bytes = map(sum, zip(*cells))
    return requests, size, hits, hit_bytes, cache_requests, cache_bytes
