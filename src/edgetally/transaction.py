"""The inside of one transaction of the ledger: a group of batches becomes rows, all of them or none.

A batch is a row of the ledger, a body, and sums in the counters. Batches that follow the newest of their stream, which
is nearly all, are written together in a few statements; each of the others is looked at alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import pymysql

from edgetally.batch import CANARY_STREAM, Batch, BatchError, Row, content_hash
from edgetally.config import LONGEST_SPREAD
from edgetally.database import error_code
from edgetally.known import Known, Newest

OVERLAP_SECONDS = 1.0
AHEAD_SECONDS = 600.0
SPREAD_SECONDS = LONGEST_SPREAD + 600.0
STATEMENT_BYTES = 1 << 19  # of one statement, about; the limit is 1 MiB
STATEMENT_ROWS = 2500  # of integers, each shorter than 200 bytes
UNION_QUERIES = 500
QUARANTINE_PAYLOAD = 1 << 20
QUARANTINE_ROWS = 10_000
HOST_SECONDS = 62 * 86400
CANARY_SECONDS = 86400
COUNTERS = ("requests", "bytes", "hits", "hit_bytes", "cache_requests", "cache_bytes")
RECORDED = ("committed", "superseded", "already")  # the states of what the ledger has

Cell = tuple[
    int, int, int, int, int, int
]  # requests, bytes, hits, hit bytes, requests and bytes of logs that tell hits


@dataclass(frozen=True)
class Incoming:
    """A payload on its way into the ledger: a batch to count, or the reason why it is not counted.

    stream and body are known only where the signature was good. sha256: the body's content hash. packed: the body as
    the database keeps it.
    """

    payload: bytes
    stream: str = ""
    body: bytes = b""
    batch: Batch | None = None
    refused: BatchError | None = None

    @cached_property
    def sha256(self) -> bytes:
        return bytes.fromhex(content_hash(self.body))

    @cached_property
    def packed(self) -> bytes:
        return _pack(self.body)

    def prepare(self) -> Incoming:
        """Compute now what is wanted once it is written, as another thread than the one that writes has the time."""
        _ready = self.sha256, self.packed
        return self


class _Item(NamedTuple):
    """A batch that may be counted. place: its index in the group."""

    place: int
    incoming: Incoming
    batch: Batch
    stream_id: int

    @property
    def number(self) -> tuple[int, bytes, int]:
        """What all revisions and parts of a batch have in common: (stream_id, generation, seq)."""
        return self.stream_id, bytes.fromhex(self.batch.generation), self.batch.seq

    @property
    def begin(self) -> float:
        """From when on it covers, epoch seconds."""
        low, high = self.batch.covers
        return high if low is None else low


@dataclass
class Sums:
    """What one transaction adds to the counters.

    cells: (channel_id, slot) to stream_id to sums. hosts: (day, host) to requests and bytes.
    """

    cells: dict[tuple[int, int], dict[int, Cell]] = field(default_factory=dict)
    hosts: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)

    def add(self, stream_id: int, channel_ids: Sequence[int], batch: Batch) -> None:
        """Add a batch."""
        self.add_rows(stream_id, channel_ids, batch.rows)
        if batch.revision:
            return  # its hosts are noted already: they are a hint, and no part of the bill
        day = int(batch.covers[1]) // 86400 * 86400
        for host, requests, size in batch.unassigned_hosts:
            seen = self.hosts.get((day, host), (0, 0))
            self.hosts[day, host] = (seen[0] + requests, seen[1] + size)

    def subtract(self, stream_id: int, channel_ids: Sequence[int], batch: Batch) -> None:
        """Take the counters of a batch back."""
        self.add_rows(
            stream_id,
            channel_ids,
            (
                (slot, channel, -requests, -size, hits and -hits, hit_bytes and -hit_bytes)
                for slot, channel, requests, size, hits, hit_bytes in batch.rows
            ),
        )

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


def _sum(cells: Iterable[Cell]) -> Cell:
    requests, size, hits, hit_bytes, cache_requests, cache_bytes = map(sum, zip(*cells))
    return requests, size, hits, hit_bytes, cache_requests, cache_bytes


@dataclass
class Transaction:
    """The inside of one transaction: everything here is undone together.

    known: what is kept from one transaction to the next. commit_no: this transaction's number. now: the database's
    clock, epoch seconds. detail_from: the first slot of which there is detail.
    """

    cursor: Any
    known: Known
    commit_no: int
    now: float
    detail_from: int = 0

    def record(self, incoming: Sequence[Incoming]) -> list[str]:
        """Write every payload of a group; see Ledger.commit."""
        states = [""] * len(incoming)
        items = self._admit(incoming, states)
        following, others = self._divide(items)
        if not self._insert_all(following):
            following, others = [], items
        sums = Sums()
        for item in following:
            self._add(item, sums)
            states[item.place] = "committed"
        for item in others:
            try:
                states[item.place] = self._count(item, sums)
            except BatchError as error:
                states[item.place] = self.refuse(item.incoming, error)
            self.known.streams.pop(item.stream_id, None)
        self._write(sums)
        return states

    def _admit(self, incoming: Sequence[Incoming], states: list[str]) -> list[_Item]:
        """Put aside what must not be counted whatever the ledger says; the rest, with the ids of its streams."""
        good: list[tuple[int, Incoming, Batch]] = []
        for index, item in enumerate(incoming):
            try:
                if item.refused or item.batch is None:
                    raise item.refused or BatchError("invalid", "there is no batch in it")
                self._check_clock(item.batch)
                good.append((index, item, item.batch))
            except BatchError as error:
                states[index] = self.refuse(item, error)
        new = self.intern("stream", {batch.stream for _index, _item, batch in good})
        self.intern("channel", set().union(*(batch.channels for _index, _item, batch in good)))
        ids = self.known.ids["stream"]
        for _index, _item, batch in good:
            if batch.stream in new:  # so it has no batch
                newest = self.known.streams.setdefault(ids[batch.stream], Newest())
                newest.top[batch.generation] = 0
        return [_Item(index, item, batch, ids[batch.stream]) for index, item, batch in good]

    def _check_clock(self, batch: Batch) -> None:
        low, high = batch.covers
        if high > self.now + AHEAD_SECONDS:
            raise BatchError("clock", f"it ends {high - self.now:.0f} s ahead of the database's clock")
        slots = [row[0] for row in batch.rows]
        if slots and (max(slots) > high + SPREAD_SECONDS or (low is not None and min(slots) < low - SPREAD_SECONDS)):
            raise BatchError("clock", "its rows lie hours outside the time that it covers")

    def _divide(self, items: Sequence[_Item]) -> tuple[list[_Item], list[_Item]]:
        """Batches that follow all that the ledger has of their stream, and all others: (following, others).

        A batch that begins where the newest ends, or later, overlaps nothing, and of a number above all others of its
        generation there is no other revision. Behind one of the others a stream's batches stay in their order.
        """
        self._look_at_newest(items)
        held: set[int] = set()
        following, others = [], []
        for item in items:
            batch, newest = item.batch, self.known.streams[item.stream_id]
            follows = item.begin + OVERLAP_SECONDS >= newest.reach and batch.seq > newest.top[batch.generation]
            if follows and batch.revision == 0 and item.stream_id not in held:
                newest.reach = max(newest.reach, batch.covers[1])
                newest.top[batch.generation] = batch.seq
                following.append(item)
            else:
                held.add(item.stream_id)
                others.append(item)
        return following, others

    def _look_at_newest(self, items: Iterable[_Item]) -> None:
        """Learn until when the batches of each stream reach, and the highest number in each of its generations."""
        streams = self.known.streams
        found = self._union(
            f"SELECT {stream_id}, MAX(covers_to) FROM batch WHERE stream_id = {stream_id}"  # noqa: S608
            for stream_id in {item.stream_id for item in items}.difference(streams)
        )
        streams.update((stream_id, Newest() if high is None else Newest(float(high))) for stream_id, high in found)
        wanted = {(item.stream_id, item.batch.generation) for item in items}
        tops = self._union(
            f"SELECT {stream_id}, '{generation}', MAX(seq) FROM batch "  # noqa: S608
            f"WHERE stream_id = {stream_id} AND generation = 0x{generation}"
            for stream_id, generation in wanted
            if generation not in streams[stream_id].top
        )
        for stream_id, generation, seq in tops:
            streams[stream_id].top[generation] = seq or 0

    def _union(self, queries: Iterable[str]) -> Iterator[Any]:
        """The rows of many queries of one row.

        Each is a look at the end of an index, 10 microseconds however long the ledger is; one query over all of them
        MariaDB may answer by reading the whole ledger.
        """
        every = list(queries)
        for start in range(0, len(every), UNION_QUERIES):
            self.cursor.execute(" UNION ALL ".join(every[start : start + UNION_QUERIES]))
            yield from self.cursor

    def _insert_all(self, items: Sequence[_Item]) -> bool:
        """Write many batches into the ledger; false, and nothing is written, where the number of one is there."""
        if not items:
            return True
        self.cursor.execute("SAVEPOINT following")
        if self._insert(items, "committed"):
            return True
        self.cursor.execute("ROLLBACK TO SAVEPOINT following")
        return False

    def _insert(self, items: Sequence[_Item], state: str) -> bool:
        """The ledger's rows and the bodies; false where the ledger has a row of the same key."""
        try:
            self._execute_rows(
                "INSERT INTO batch (stream_id, generation, seq, revision, part, parts, sha256, covers_from, covers_to, "
                "continuity, log, `lines`, rejected, skewed, bytes, state, commit_no, committed_at) VALUES ",
                (_ledger_row(item, state, self.commit_no) for item in items),
            )
        except pymysql.IntegrityError as error:
            if error_code(error) != 1062:
                raise
            return False
        self._execute_rows(
            "INSERT INTO batch_body (stream_id, generation, seq, revision, part, body) VALUES ",
            (f"({_sql_key(item)}, 0x{item.incoming.packed.hex()})" for item in items),
        )
        return True

    def _add(self, item: _Item, sums: Sums) -> None:
        sums.add(item.stream_id, self._channel_ids(item.batch), item.batch)

    def _channel_ids(self, batch: Batch) -> list[int]:
        return list(map(self.known.ids["channel"].__getitem__, batch.channels))

    # --- batches that do not just follow: late, repeated, corrected, overlapping

    def _count(self, item: _Item, sums: Sums) -> str:
        """One batch: ledger, body, sums. Raises BatchError for what must be put aside."""
        self._check_overlap(item)
        superseded = self._newer_exists(item)
        state = "superseded" if superseded else "committed"
        older = [] if superseded else self._older(item)
        if not self._insert([item], state):
            if self._content(item) == item.incoming.sha256:
                return "already"
            raise BatchError("conflict", "the ledger has another batch of the same number")
        if not superseded:
            self._replace(older, item, sums)
            self._add(item, sums)
        return state

    def _content(self, item: _Item) -> bytes:
        """The content hash that the ledger has under a batch's key."""
        self.cursor.execute(
            "SELECT sha256 FROM batch WHERE (stream_id, generation, seq, revision, part) = (%s, %s, %s, %s, %s)",
            (*item.number, item.batch.revision, item.batch.part),
        )
        return bytes(self.cursor.fetchone()[0])

    def _check_overlap(self, item: _Item) -> None:
        """Two batches of a stream that cover the same time: a restored or cloned machine."""
        stream_id, generation, seq = item.number
        self.cursor.execute(
            "SELECT LOWER(HEX(generation)), seq FROM batch WHERE stream_id = %s AND covers_to > %s "
            "AND COALESCE(covers_from, covers_to) < %s AND NOT (generation = %s AND seq = %s) LIMIT 1",
            (
                *(stream_id, item.begin + OVERLAP_SECONDS),
                *(item.batch.covers[1] - OVERLAP_SECONDS, generation, seq),
            ),
        )
        row = self.cursor.fetchone()
        if row:
            raise BatchError("overlap", f"it covers time that batch {row[0]}/{row[1]} of its stream covers already")

    def _newer_exists(self, item: _Item) -> bool:
        self.cursor.execute(
            "SELECT 1 FROM batch WHERE stream_id = %s AND generation = %s AND seq = %s AND revision > %s LIMIT 1",
            (*item.number, item.batch.revision),
        )
        return self.cursor.fetchone() is not None

    def _older(self, item: _Item) -> list[Batch]:
        """What the counters hold of earlier revisions of a batch."""
        if item.batch.revision == 0:
            return []
        self.cursor.execute(
            "SELECT body FROM batch JOIN batch_body USING (stream_id, generation, seq, revision, part) "
            "WHERE stream_id = %s AND generation = %s AND seq = %s AND revision < %s AND state = 'committed'",
            (*item.number, item.batch.revision),
        )
        return [Batch.decode(zlib.decompress(body)) for (body,) in self.cursor.fetchall()]

    def _replace(self, older: Sequence[Batch], item: _Item, sums: Sums) -> None:
        """A correction replaces every earlier revision: take the old bodies out of the counters."""
        for old in older:
            self.intern("channel", old.channels)
            sums.subtract(item.stream_id, self._channel_ids(old), old)
        if item.batch.revision:
            self.cursor.execute(
                "UPDATE batch SET state = 'superseded' "
                "WHERE stream_id = %s AND generation = %s AND seq = %s AND revision < %s",
                (*item.number, item.batch.revision),
            )

    # --- names, counters, quarantine

    def intern(self, table: str, names: Iterable[str]) -> set[str]:
        """Learn the ids of streams or channels; those that are new get one. Returns these."""
        known = self.known.ids[table]
        wanted = set(names).difference(known)
        if not wanted:
            return wanted
        self._learn(table, wanted)
        new = wanted.difference(known)
        if new:
            self._execute_rows(
                f"INSERT INTO {table} (name) VALUES ",  # noqa: S608
                (f"(0x{name.encode().hex()})" for name in sorted(new)),
            )
            self._learn(table, new)
        return new

    def _learn(self, table: str, names: Iterable[str]) -> None:
        self.cursor.execute(
            f"SELECT id, name FROM {table} WHERE name IN %s",  # noqa: S608
            ([name.encode() for name in names],),
        )
        self.known.ids[table].update({name.decode(): number for number, name in self.cursor})

    def _write(self, sums: Sums) -> None:
        """Add the sums to the counters, in key order; slots older than the detail are in those of all streams alone."""
        self._upsert("traffic", ("channel_id", "slot", "stream_id"), COUNTERS, sums.by_stream(self.detail_from))
        self._upsert("channel_traffic", ("channel_id", "slot"), COUNTERS, sums.by_channel())
        if sums.hosts:
            self.cursor.executemany(
                "INSERT INTO unassigned_host (day, host, requests, bytes) VALUES (%s, %s, %s, %s) "
                "ON DUPLICATE KEY UPDATE requests = requests + VALUES(requests), bytes = bytes + VALUES(bytes)",
                [(day, host.encode(), *cell) for (day, host), cell in sorted(sums.hosts.items())],
            )

    def _upsert(
        self, table: str, keys: Sequence[str], counters: Sequence[str], rows: Iterable[tuple[int, ...]]
    ) -> None:
        """Rows of integers, which Python writes in a list as SQL does: nothing is faster."""
        head = f"INSERT INTO {table} ({', '.join((*keys, *counters))}) VALUES "  # noqa: S608
        tail = f" ON DUPLICATE KEY UPDATE {', '.join(f'{name} = {name} + VALUES({name})' for name in counters)}"
        every = iter(rows)
        while group := list(islice(every, STATEMENT_ROWS)):
            self.cursor.execute(f"{head}{str(group)[1:-1]}{tail}")

    def _execute_rows(self, head: str, rows: Iterable[str], tail: str = "") -> None:
        """One statement for many rows, or several where it would be longer than STATEMENT_BYTES.

        The rows hold integers, checked words and hexadecimal literals alone: a hand-built statement is safe, and
        several times faster than one with placeholders.
        """
        group: list[str] = []
        size = 0
        for row in rows:
            if group and size + len(row) > STATEMENT_BYTES:
                self.cursor.execute(head + ",".join(group) + tail)
                group, size = [], 0
            group.append(row)
            size += len(row) + 1
        if group:
            self.cursor.execute(head + ",".join(group) + tail)

    def refuse(self, item: Incoming, error: BatchError) -> str:
        """Keep a payload that is not counted, once, with how often it came; the oldest go when there are too many.

        Returns the reason.
        """
        digest = bytes.fromhex(content_hash(item.payload))
        body = item.sha256 if item.stream else None
        detail = error.detail.encode("utf-8", "backslashreplace")[:1000]
        self.cursor.execute(
            "INSERT INTO quarantine (sha256, reason, detail, body_sha256, stream, size, payload, count, first_seen, "
            "last_seen) VALUES (%s, %s, %s, %s, %s, %s, %s, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)) "
            "ON DUPLICATE KEY UPDATE count = count + 1, last_seen = VALUES(last_seen), reason = VALUES(reason), "
            "detail = VALUES(detail)",
            (
                *(digest, error.reason, detail, body, item.stream.encode() or None),
                *(len(item.payload), item.payload[:QUARANTINE_PAYLOAD]),
            ),
        )
        self.cursor.execute("SELECT COUNT(*) - %s FROM quarantine", (QUARANTINE_ROWS,))
        (surplus,) = self.cursor.fetchone()
        if surplus > 0:
            self.cursor.execute("DELETE FROM quarantine ORDER BY last_seen LIMIT %s", (surplus,))
        return error.reason

    def forget_canaries(self) -> None:
        """Delete what a day of health checks has left: canaries count nothing. A canary's revision is its time."""
        upto = self.now - CANARY_SECONDS
        for table in ("batch_body", "batch"):
            self.cursor.execute(
                f"DELETE FROM {table} WHERE stream_id = (SELECT id FROM stream WHERE name = %s) AND revision < %s",  # noqa: S608
                (CANARY_STREAM.encode(), upto),
            )
        self.cursor.execute(
            "DELETE FROM quarantine WHERE stream = %s AND last_seen < FROM_UNIXTIME(%s)",
            (CANARY_STREAM.encode(), upto),
        )

    def release(self, items: Sequence[Incoming]) -> None:
        """Take payloads out of the quarantine."""
        if items:
            digests = [bytes.fromhex(content_hash(item.payload)) for item in items]
            self.cursor.execute("DELETE FROM quarantine WHERE sha256 IN %s", (digests,))


def _pack(body: bytes) -> bytes:
    """Compress (zlib). A small body in a small window: the usual one takes three times as long to set up as to fill."""
    window, memory = (12, 5) if len(body) <= 4096 else (15, 8)
    packer = zlib.compressobj(1, zlib.DEFLATED, window, memory)
    return packer.compress(body) + packer.flush()


def _sql_key(item: _Item) -> str:
    batch = item.batch
    return f"{item.stream_id}, 0x{batch.generation}, {batch.seq}, {batch.revision}, {batch.part}"


def _ledger_row(item: _Item, state: str, commit_no: int) -> str:
    batch = item.batch
    low, high = batch.covers
    return (
        f"({_sql_key(item)}, {batch.parts}, 0x{item.incoming.sha256.hex()}, {'NULL' if low is None else low}, {high}, "
        f"'{batch.continuity}', '{batch.log}', {batch.lines}, {batch.rejected}, {batch.skewed}, {batch.size}, "
        f"'{state}', {commit_no}, UTC_TIMESTAMP(6))"
    )
