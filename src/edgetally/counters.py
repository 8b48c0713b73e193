"""Reads the counters of a period for the bill: one channel after the other, on one snapshot of the database.

The database packs a channel's slots into texts (GROUP_CONCAT), because fetching millions of rows costs far more than
adding them up. Several connections read ahead, so that the database's time and ours overlap.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Optional, TypeVar

from edgetally import SLOT_SECONDS
from edgetally.config import DatabaseConfig
from edgetally.database import check_schema, connect
from edgetally.errors import EdgetallyError
from edgetally.period import Period
from edgetally.series import Counts, Series

READERS = 2
AHEAD = 4  # channels that are read while one is worked on
TIMEOUT = 3600
SNAPSHOT_TRIES = 50
_SUMS = ", ".join(f"SUM({name})" for name in Counts._fields)
# Sums of floats take MariaDB a third of the time; below 2^53 they are exact.
_FLOATS = ", ".join(f"SUM({name} + 0e0)" for name in Counts._fields)
_EXACT = 1 << 53
_WHERE = "FROM channel_traffic WHERE channel_id IN %s AND slot >= %s AND slot < %s"

T = TypeVar("T")
Found = tuple[Optional[Counts], list[int]]


class Counters:
    """The counters of one period. now: the database's clock, epoch s; commit_no: the last commit that is seen."""

    def __init__(self, connections: Sequence[Any], period: Period, now: float, commit_no: int) -> None:
        self.cursor = connections[0].cursor()
        self.now = now
        self.commit_no = commit_no
        self._period = period
        self._span = (period.start, period.end)
        self._readers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for connection in connections[1:]:
            self._readers.put(connection)
        self._slots = ",".join(map(str, range(period.start, period.end, SLOT_SECONDS)))
        self._days = "0"
        starts = [str(period.start + day.first * SLOT_SECONDS) for day in period.days()[1:]]
        if starts:
            self._days = f"INTERVAL(slot, {', '.join(starts)})"

    def channels(self) -> dict[str, int]:
        """The ids of all channels by name."""
        self.cursor.execute("SELECT name, id FROM channel")
        return {name.decode(): number for name, number in self.cursor.fetchall()}

    def aliases(self) -> list[tuple[str, str]]:
        """(old, new) of every channel that is billed under another name."""
        self.cursor.execute("SELECT old, new FROM channel_alias ORDER BY old")
        return [(old.decode(), new.decode()) for old, new in self.cursor.fetchall()]

    def most(self, streams: Sequence[int]) -> dict[int, dict[int, int]]:
        """The most that each of these streams had of each channel in a slot: {channel id: {stream id: bytes}}."""
        self.cursor.execute(
            "SELECT channel_id, stream_id, MAX(bytes) FROM traffic WHERE slot >= %s AND slot < %s AND stream_id IN %s "
            "GROUP BY channel_id, stream_id",
            (*self._span, streams),
        )
        found: dict[int, dict[int, int]] = {}
        for channel, stream, size in self.cursor.fetchall():
            found.setdefault(channel, {})[stream] = int(size)
        return found

    def each(self, wanted: Sequence[Sequence[int]]) -> Iterator[Found]:
        """For each list of channel ids, in order: their counts, and the bytes of every slot; no counts, no slots."""
        return self._read_ahead(self._read, wanted)

    def each_series(self, wanted: Sequence[Sequence[int]]) -> Iterator[Series]:
        """For each list of channel ids, in order: their series."""
        return self._read_ahead(self._read_series, wanted)

    def series(self, ids: Sequence[int], sizes: list[int] | None = None) -> Series:
        """The series of some channels, summed. sizes: the bytes of every slot, where they are known already."""
        if sizes is None:
            sizes = self._read(self.cursor, ids)[1]
        return Series(sizes or [0] * self._period.slots, self._read_days(self.cursor, ids))

    def _read_ahead(self, read: Callable[[Any, Sequence[int]], T], wanted: Sequence[Sequence[int]]) -> Iterator[T]:
        def work(ids: Sequence[int]) -> T:
            connection = self._readers.get()
            try:
                with connection.cursor() as cursor:
                    return read(cursor, ids)
            finally:
                self._readers.put(connection)

        waiting: deque[Future[T]] = deque()
        with ThreadPoolExecutor(READERS) as pool:
            try:
                for ids in wanted:
                    waiting.append(pool.submit(work, ids))
                    if len(waiting) > AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _read(self, cursor: Any, ids: Sequence[int]) -> Found:
        cursor.execute(
            f"SELECT COUNT(*), {_FLOATS}, GROUP_CONCAT(slot), GROUP_CONCAT(bytes) {_WHERE}",
            (ids, *self._span),
        )
        rows, *counts, slots, text = cursor.fetchone()
        if not rows:
            return None, []
        if max(counts) >= _EXACT:
            cursor.execute(f"SELECT {_SUMS} {_WHERE}", (ids, *self._span))
            counts = cursor.fetchone()
        sizes = list(map(int, text.split(",")))
        if len(sizes) != rows or slots.count(",") != rows - 1:
            raise EdgetallyError(
                f"the database cut a channel's slots short ({len(sizes)} of {rows}): let max_allowed_packet be larger, "
                "or report a shorter time"
            )
        if slots != self._slots:  # some slots are empty, or two channels are billed as one
            start, whole = self._period.start, [0] * self._period.slots
            for slot, size in zip(map(int, slots.split(",")), sizes):
                whole[(slot - start) // SLOT_SECONDS] += size
            sizes = whole
        return Counts(*map(int, counts)), sizes

    def _read_series(self, cursor: Any, ids: Sequence[int]) -> Series:
        sizes = self._read(cursor, ids)[1]
        return Series(sizes or [0] * self._period.slots, self._read_days(cursor, ids))

    def _read_days(self, cursor: Any, ids: Sequence[int]) -> list[Counts]:
        days = [Counts() for _ in self._period.days()]
        cursor.execute(f"SELECT {self._days} AS day, {_SUMS} {_WHERE} GROUP BY day", (ids, *self._span))
        for day, *counts in cursor.fetchall():
            days[day] = Counts(*map(int, counts))
        return days


@contextmanager
def open_counters(config: DatabaseConfig, period: Period) -> Iterator[Counters]:
    """The counters of a period, as they are now: all connections see the same commits."""
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(config, read_timeout=TIMEOUT))) for _ in range(READERS + 1)]
        check_schema(connections[0], config)
        for connection in connections:
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SET SESSION group_concat_max_len = 67108864")
        for _ in range(SNAPSHOT_TRIES):
            commits = {_snapshot(connection) for connection in connections}
            if len(commits) == 1:
                break
        with connections[0].cursor() as cursor:
            cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
            (now,) = cursor.fetchone()
        yield Counters(connections, period, float(now), max(commits))


def _snapshot(connection: Any) -> int:
    """See the database as it is now, until the connection's end; the number of the last commit."""
    with connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT txn FROM writer WHERE id = 1")
        row = cursor.fetchone()
    return int(row[0]) if row else 0
