"""Reads the counters of a period for the bill: one channel after the other, on one snapshot of the database.

The database packs a channel's slots into texts (GROUP_CONCAT), because fetching millions of rows costs far more than
adding them up. Several connections read ahead, so that the database's time and ours overlap.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Optional, TypeVar

from edgetally.bill.period import Period
from edgetally.bill.series import Counts, Series
from edgetally.config import DatabaseConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.database import check_schema, connect
from edgetally.limits import DAY, SLOT_SECONDS

READERS = 2
HOSTS = 20  # that are named of those without a channel
AHEAD = 4  # channels that are read while one is worked on
TIMEOUT = 3600
SNAPSHOT_TRIES = 50
_SUMMED = [name for name in Counts._fields if name != "bytes"]  # those are added up here, slot by slot
_SUMS = ", ".join(f"SUM({name})" for name in _SUMMED)
# Sums of floats take MariaDB half the time; below 2^53 they are exact.
_FLOATS = ", ".join(f"SUM({name} + 0e0)" for name in _SUMMED)
_EXACT = 1 << 53
# The primary key gives a channel's slots in their order.
_WHERE = "FROM channel_traffic FORCE INDEX (PRIMARY) WHERE channel_id IN %s AND slot >= %s AND slot < %s"

T = TypeVar("T")
Found = tuple[Optional[Counts], list[int]]


class Counters:
    """The counters of one period. now: the database's clock, epoch s; commit_no: the last commit that is seen."""

    def __init__(
        self, connections: Sequence[Any], pool: ThreadPoolExecutor, period: Period, now: float, commit_no: int
    ) -> None:
        self.cursor = connections[0].cursor()
        self.now = now
        self.commit_no = commit_no
        self._period = period
        self._span = (period.start, period.end)
        self._pool = pool
        self._readers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for connection in connections[1:]:
            self._readers.put(connection)
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

    def hosts(self) -> list[tuple[str, int]]:
        """The biggest hosts that no channel rule assigned, and their bytes, of the days (UTC) of the period."""
        start, end = self._span
        self.cursor.execute(
            "SELECT host, SUM(bytes) AS size FROM unassigned_host WHERE day > %s AND day < %s "
            "GROUP BY host ORDER BY size DESC, host LIMIT %s",
            (start - DAY, end, HOSTS),
        )
        return [(host.decode(), int(size)) for host, size in self.cursor.fetchall()]

    def most(self, streams: Sequence[int]) -> dict[int, dict[int, int]]:
        """The most that each of these streams had of each channel in a slot: {channel id: {stream id: bytes}}."""
        self.cursor.execute(
            "SELECT channel_id, stream_id, MAX(bytes) FROM traffic WHERE slot >= %s AND slot < %s AND stream_id IN %s "
            "GROUP BY channel_id, stream_id",
            (*self._span, streams),
        )
        sizes: dict[int, dict[int, int]] = {}
        for channel, stream, size in self.cursor.fetchall():
            sizes.setdefault(channel, {})[stream] = int(size)
        return sizes

    def each(self, wanted: Sequence[Sequence[int]]) -> Iterator[Found]:
        """For each list of channel ids, in order: counts, and the bytes of every slot; None, [] without traffic."""
        return self._read_ahead(self._read, wanted)

    def each_series(self, wanted: Sequence[Sequence[int]]) -> Iterator[Series]:
        """For each list of channel ids, in order: their series."""
        return self._read_ahead(self._read_series, wanted)

    def series(self, ids: Sequence[int], sizes: list[int] | None = None) -> Series:
        """The series of some channels, summed. sizes: the bytes of every slot, where they are known already."""
        return self._read_series(self.cursor, ids, sizes)

    def _read_ahead(self, read: Callable[[Any, Sequence[int]], T], wanted: Sequence[Sequence[int]]) -> Iterator[T]:
        """Begin at once to read AHEAD channels, and give what was read in the order of `wanted`."""

        def work(ids: Sequence[int]) -> T:
            connection = self._readers.get()
            try:
                with connection.cursor() as cursor:
                    return read(cursor, ids)
            finally:
                self._readers.put(connection)

        waiting = deque(self._pool.submit(work, ids) for ids in wanted[:AHEAD])

        def give() -> Iterator[T]:
            for ids in wanted[AHEAD:]:
                waiting.append(self._pool.submit(work, ids))
                yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        return give()

    def _read(self, cursor: Any, ids: Sequence[int]) -> Found:
        """The counts of some channels, summed, and the bytes of every slot; None, [] without traffic."""
        what = f"SELECT COUNT(*), MIN(slot), MAX(slot), {_FLOATS}, GROUP_CONCAT(bytes) {_WHERE}"
        cursor.execute(what, (ids, *self._span))
        rows, first, last, *floats, text = cursor.fetchone()
        if not rows:
            return None, []
        if len(ids) == 1 and last - first == (rows - 1) * SLOT_SECONDS:
            slots: Sequence[int] = range(first, last + 1, SLOT_SECONDS)
        else:  # some slots between are empty, or two channels are billed as one
            cursor.execute(f"SELECT GROUP_CONCAT(slot), GROUP_CONCAT(bytes) {_WHERE}", (ids, *self._span))
            there, text = cursor.fetchone()
            slots = list(map(int, there.split(",")))
        sizes = self._place(rows, slots, list(map(int, text.split(","))))
        (counts,) = self._exact(cursor, ids, [floats])
        return _counts(counts, sum(sizes)), sizes

    def _place(self, rows: int, slots: Sequence[int], sizes: list[int]) -> list[int]:
        """The bytes of every slot of the period. sizes: those of `slots`; rows: how many of them the database has."""
        if not len(sizes) == len(slots) == rows:
            raise EdgetallyError(
                f"the database cut a channel's slots short ({len(sizes)} of {rows}): let max_allowed_packet be larger, "
                "or report a shorter time"
            )
        start, count = self._period.start, self._period.slots
        if isinstance(slots, range):
            before = (slots.start - start) // SLOT_SECONDS
            return [0] * before + sizes + [0] * (count - before - rows) if rows < count else sizes
        placed = [0] * count
        for slot, size in zip(slots, sizes):
            placed[(slot - start) // SLOT_SECONDS] += size
        return placed

    def _exact(
        self, cursor: Any, ids: Sequence[int], floats: Sequence[Sequence[float]], what: str = "", group: str = ""
    ) -> Iterable[Sequence[float]]:
        """Sums of floats as they are where those are exact, else asked for again as integers."""
        if all(max(sums) < _EXACT for sums in floats):
            return floats
        cursor.execute(f"SELECT {what}{_SUMS} {_WHERE}{group}", (ids, *self._span))
        rows: Sequence[Sequence[float]] = cursor.fetchall()
        return rows

    def _read_series(self, cursor: Any, ids: Sequence[int], sizes: list[int] | None = None) -> Series:
        if sizes is None:
            sizes = self._read(cursor, ids)[1]
        sizes = sizes or [0] * self._period.slots
        what, group = f"{self._days} AS day, ", " GROUP BY day"
        cursor.execute(f"SELECT {what}{_FLOATS} {_WHERE}{group}", (ids, *self._span))
        by_day = {int(day): counts for day, *counts in self._exact(cursor, ids, cursor.fetchall(), what, group)}
        return Series(
            sizes,
            [
                _counts(by_day.get(number, [0] * len(_SUMMED)), sum(sizes[day.first : day.first + day.slots]))
                for number, day in enumerate(self._period.days())
            ],
        )


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
        pool = stack.enter_context(ThreadPoolExecutor(READERS))
        yield Counters(connections, pool, period, float(now), max(commits))


def _counts(summed: Sequence[float], size: int) -> Counts:
    return Counts(bytes=size, **dict(zip(_SUMMED, map(int, summed))))


def _snapshot(connection: Any) -> int:
    """See the database as it is now, until the connection's end; the number of the last commit."""
    with connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT txn FROM writer WHERE id = 1")
        row = cursor.fetchone()
    return int(row[0]) if row else 0
