"""The ledger: the one place that writes to the counters, and the answer to what became of a batch.

Every transaction begins with the fencing UPDATE of the writer's row: check, renewal and fence in one. A batch is a row
of the ledger, a body, and sums in the counters, or none of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql

from edgetally.batch import Batch, BatchError, content_hash
from edgetally.config import LONGEST_SPREAD, DatabaseConfig
from edgetally.database import check_schema, connect, error_code

OVERLAP_SECONDS = 1.0
AHEAD_SECONDS = 600.0
SPREAD_SECONDS = LONGEST_SPREAD + 600.0
STATEMENT_ROWS = 4000  # about 300 KB of a statement; the limit is 1 MiB
QUARANTINE_PAYLOAD = 1 << 20
QUARANTINE_ROWS = 10_000
HOST_SECONDS = 62 * 86400

Key = tuple[Any, ...]  # (stream_id, generation, seq, revision, part)


class FenceLostError(Exception):
    """Another aggregator holds the writer's row: this process must write nothing more, and end."""


@dataclass(frozen=True)
class Incoming:
    """A payload on its way into the ledger: a batch to count, or the reason why it is not counted.

    stream and body are known only where the signature was good.
    """

    payload: bytes
    stream: str = ""
    body: bytes = b""
    batch: Batch | None = None
    refused: BatchError | None = None


@dataclass
class _Sums:
    """What one transaction adds to the counters."""

    traffic: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)
    hosts: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def add(self, stream_id: int, channel_ids: Sequence[int], batch: Batch, sign: int = 1) -> None:
        for slot, channel, requests, size, hits, hit_bytes in batch.rows:
            cell = self.traffic.setdefault((channel_ids[channel], slot, stream_id), [0] * 6)
            known = hits is not None
            for index, value in enumerate(
                (requests, size, hits or 0, hit_bytes or 0, requests if known else 0, size if known else 0)
            ):
                cell[index] += sign * value
        if sign > 0:
            day = int(batch.covers[1]) // 86400 * 86400
            for host, requests, size in batch.unassigned_hosts:
                seen = self.hosts.setdefault((day, host), [0, 0])
                seen[0] += requests
                seen[1] += size

    def by_channel(self) -> dict[tuple[int, int], list[int]]:
        sums: dict[tuple[int, int], list[int]] = {}
        for (channel_id, slot, _stream), cell in self.traffic.items():
            total = sums.setdefault((channel_id, slot), [0] * 6)
            for index, value in enumerate(cell):
                total[index] += value
        return sums


class Ledger:
    """A connection to the database that may write while it holds the writer's row."""

    def __init__(self, config: DatabaseConfig, holder: str, lease_seconds: int = 20) -> None:
        self.config = config
        self.holder = holder
        self.lease_seconds = lease_seconds
        self.epoch = 0
        self._connection: pymysql.connections.Connection[Any] | None = None
        self._ids: dict[tuple[str, str], int] = {}

    # --- the connection and the writer's row

    @property
    def connection(self) -> pymysql.connections.Connection[Any]:
        """The open connection; a new one after a loss."""
        if self._connection is None:
            connection = connect(self.config)
            check_schema(connection, self.config)
            with connection.cursor() as cursor:
                try:  # a frozen holder must not block a takeover; MySQL does not know this one
                    cursor.execute("SET SESSION idle_write_transaction_timeout = 10")
                except pymysql.MySQLError as error:
                    if error_code(error) != 1193:
                        raise
            self._connection = connection
        return self._connection

    def disconnect(self) -> None:
        """Throw the connection away, and with it all that was learnt over it."""
        self._ids.clear()
        if self._connection is not None:
            with_error = self._connection
            self._connection = None
            with suppress(pymysql.MySQLError):
                with_error.close()

    def acquire(self) -> bool:
        """Take the writer's row if nobody holds it or its holder has been silent for lease_seconds."""
        with self.connection.cursor() as cursor:
            taken = cursor.execute(
                "UPDATE writer SET epoch = epoch + 1, txn = txn + 1, holder = %s, renewed_at = UTC_TIMESTAMP(6) "
                "WHERE id = 1 AND (holder = '' OR renewed_at < UTC_TIMESTAMP(6) - INTERVAL %s SECOND)",
                (self.holder.encode(), self.lease_seconds),
            )
            cursor.execute("SELECT epoch FROM writer WHERE id = 1")
            row = cursor.fetchone()
        self.connection.commit()
        self.epoch = row[0] if row and taken == 1 else 0
        return self.epoch > 0

    def writer(self) -> dict[str, Any]:
        """Who holds the writer's row, its epoch, and how many seconds ago it was renewed."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT holder, epoch, txn, TIMESTAMPDIFF(MICROSECOND, renewed_at, UTC_TIMESTAMP(6)) / 1e6 FROM writer"
            )
            holder, epoch, txn, age = cursor.fetchone() or (b"", 0, 0, 0)
        self.connection.rollback()
        return {"holder": holder.decode(), "epoch": epoch, "commit_no": txn, "age": round(float(age), 1)}

    def renew(self) -> None:
        """An empty transaction: the lease goes on."""
        with self._transaction():
            pass

    def release(self) -> None:
        """Let the next aggregator in at once."""
        with self.connection.cursor() as cursor:
            cursor.execute("UPDATE writer SET holder = '' WHERE id = 1 AND epoch = %s", (self.epoch,))
        self.connection.commit()
        self.epoch = 0

    @contextmanager
    def _transaction(self) -> Iterator[_Transaction]:
        """One fenced transaction. Raises FenceLostError before anything is written where the row is another's."""
        connection = self.connection
        cursor = connection.cursor()
        try:
            connection.begin()
            changed = cursor.execute(
                "UPDATE writer SET txn = txn + 1, renewed_at = UTC_TIMESTAMP(6) WHERE id = 1 AND epoch = %s",
                (self.epoch,),
            )
            if changed != 1:
                raise FenceLostError
            cursor.execute("SELECT txn, UNIX_TIMESTAMP(NOW(6)) FROM writer WHERE id = 1")
            commit_no, now = cursor.fetchone() or (0, 0)
            yield _Transaction(cursor, self._ids, commit_no, float(now))
            connection.commit()
        except BaseException:
            self._ids.clear()
            try:
                connection.rollback()
            except (pymysql.MySQLError, OSError):
                self.disconnect()
            raise
        finally:
            cursor.close()

    # --- batches

    def commit(self, incoming: Sequence[Incoming]) -> list[str]:
        """Write a group of payloads in one transaction. Returns the state of each: `committed`, `superseded`,
        `already`, or the reason of its refusal. Raises pymysql errors: the caller retries the whole group."""
        with self._transaction() as transaction:
            return transaction.record(incoming)

    def quarantine(self, item: Incoming, error: BatchError) -> None:
        """Put one payload aside in a transaction of its own."""
        with self._transaction() as transaction:
            transaction.refuse(item, error)

    def maintain(self) -> None:
        """Make daily partitions for the next 30 days, and forget what unassigned hosts there were weeks ago."""
        with self.connection.cursor() as cursor:
            cursor.execute("CALL make_partitions()")
        self.connection.commit()
        with self._transaction() as transaction:
            transaction.cursor.execute("DELETE FROM unassigned_host WHERE day < %s", (transaction.now - HOST_SECONDS,))

    # --- receipts

    def id(self) -> str:
        """The ledger's id, made with the database."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT id FROM ledger")
            row = cursor.fetchone()
        self.connection.rollback()
        return str(row[0]) if row else ""

    def states(self, stream: str, ask: Iterable[tuple[str, int, int, str]]) -> list[str]:
        """What became of the batches (generation, seq, revision, sha256 of the body) of a stream."""
        asked = [(bytes.fromhex(generation), seq, revision, sha.lower()) for generation, seq, revision, sha in ask]
        by_generation: dict[bytes, list[int]] = {}
        for generation, seq, _revision, _sha in asked:
            by_generation.setdefault(generation, []).append(seq)
        found: dict[tuple[bytes, int, int, str], str] = {}
        refused: dict[str, str] = {}
        with self.connection.cursor() as cursor:
            for generation, seqs in by_generation.items():
                cursor.execute(
                    "SELECT seq, revision, LOWER(HEX(sha256)), state FROM batch WHERE generation = %s AND seq IN %s "
                    "AND stream_id = (SELECT id FROM stream WHERE name = %s)",
                    (generation, seqs, stream.encode()),
                )
                found.update({(generation, seq, revision, sha): state for seq, revision, sha, state in cursor})
            if asked:
                cursor.execute(
                    "SELECT LOWER(HEX(body_sha256)), reason FROM quarantine WHERE stream = %s AND body_sha256 IN %s",
                    (stream.encode(), [bytes.fromhex(key[3]) for key in asked]),
                )
                refused.update(dict(cursor))
        self.connection.rollback()
        return [found.get(key) or _refused(refused.get(key[3])) for key in asked]


def _refused(reason: str | None) -> str:
    if reason is None:
        return "unknown"
    return "conflict" if reason == "conflict" else f"quarantined:{reason}"


@dataclass
class _Transaction:
    """The inside of one transaction: everything here is undone together."""

    cursor: Any
    ids: dict[tuple[str, str], int]
    commit_no: int
    now: float

    def record(self, incoming: Sequence[Incoming]) -> list[str]:
        """Write every payload of a group; see Ledger.commit."""
        sums = _Sums()
        states = []
        for item in incoming:
            try:
                if item.refused:
                    raise item.refused
                assert item.batch is not None
                states.append(self._count(item.batch, item.body, sums))
            except BatchError as error:
                self.refuse(item, error)
                states.append(error.reason)
        self._write(sums)
        return states

    def _count(self, batch: Batch, body: bytes, sums: _Sums) -> str:
        """One batch: ledger, body, sums. Raises BatchError for what must be put aside."""
        self._check_clock(batch)
        stream_id = self.intern("stream", batch.stream)
        self._check_overlap(stream_id, batch)
        superseded = self._newer_exists(stream_id, batch)
        state = "superseded" if superseded else "committed"
        if not self._insert(stream_id, batch, body, state):
            return "already"
        if not superseded:
            self._subtract_older(stream_id, batch, sums)
            sums.add(stream_id, [self.intern("channel", name) for name in batch.channels], batch)
        return state

    def _check_clock(self, batch: Batch) -> None:
        low, high = batch.covers
        if high > self.now + AHEAD_SECONDS:
            raise BatchError("clock", f"it ends {high - self.now:.0f} s ahead of the database's clock")
        slots = [row[0] for row in batch.rows]
        if slots and (max(slots) > high + SPREAD_SECONDS or (low is not None and min(slots) < low - SPREAD_SECONDS)):
            raise BatchError("clock", "its rows lie hours outside the time that it covers")

    def _check_overlap(self, stream_id: int, batch: Batch) -> None:
        """Two batches of a stream that cover the same time: a restored or cloned machine."""
        low, high = batch.covers
        self.cursor.execute(
            "SELECT LOWER(HEX(generation)), seq FROM batch WHERE stream_id = %s AND covers_to > %s "
            "AND COALESCE(covers_from, covers_to) < %s AND NOT (generation = %s AND seq = %s) LIMIT 1",
            (
                stream_id,
                (high if low is None else low) + OVERLAP_SECONDS,
                high - OVERLAP_SECONDS,
                bytes.fromhex(batch.generation),
                batch.seq,
            ),
        )
        row = self.cursor.fetchone()
        if row:
            raise BatchError("overlap", f"it covers time that batch {row[0]}/{row[1]} of its stream covers already")

    def _newer_exists(self, stream_id: int, batch: Batch) -> bool:
        self.cursor.execute(
            "SELECT 1 FROM batch WHERE stream_id = %s AND generation = %s AND seq = %s AND revision > %s LIMIT 1",
            (stream_id, bytes.fromhex(batch.generation), batch.seq, batch.revision),
        )
        return self.cursor.fetchone() is not None

    def _insert(self, stream_id: int, batch: Batch, body: bytes, state: str) -> bool:
        """The ledger's row and the body; false where the same batch is there already, BatchError where another is."""
        key = (stream_id, bytes.fromhex(batch.generation), batch.seq, batch.revision, batch.part)
        sha = bytes.fromhex(content_hash(body))
        low, high = batch.covers
        try:
            self.cursor.execute(
                "INSERT INTO batch (stream_id, generation, seq, revision, part, parts, sha256, covers_from, covers_to, "
                "continuity, log, `lines`, rejected, skewed, bytes, state, commit_no, committed_at) VALUES "
                "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, UTC_TIMESTAMP(6))",
                (
                    *(*key, batch.parts, sha, low, high, batch.continuity, batch.log),
                    *(batch.lines, batch.rejected, batch.skewed, batch.size, state, self.commit_no),
                ),
            )
        except pymysql.IntegrityError as error:
            if error_code(error) != 1062:
                raise
            self.cursor.execute(
                "SELECT sha256 FROM batch WHERE (stream_id, generation, seq, revision, part) = (%s, %s, %s, %s, %s)",
                key,
            )
            if self.cursor.fetchone() == (sha,):
                return False
            raise BatchError("conflict", "the ledger has another batch of the same number") from None
        self.cursor.execute(
            "INSERT INTO batch_body (stream_id, generation, seq, revision, part, body) VALUES (%s, %s, %s, %s, %s, %s)",
            (*key, zlib.compress(body)),
        )
        return True

    def _subtract_older(self, stream_id: int, batch: Batch, sums: _Sums) -> None:
        """A correction replaces every earlier revision: take the old bodies out of the counters."""
        if batch.revision == 0:
            return
        key = (stream_id, bytes.fromhex(batch.generation), batch.seq, batch.revision)
        self.cursor.execute(
            "SELECT body FROM batch JOIN batch_body USING (stream_id, generation, seq, revision, part) "
            "WHERE stream_id = %s AND generation = %s AND seq = %s AND revision < %s AND state = 'committed'",
            key,
        )
        for (body,) in self.cursor.fetchall():
            old = Batch.decode(zlib.decompress(body))
            sums.add(stream_id, [self.intern("channel", name) for name in old.channels], old, sign=-1)
        self.cursor.execute(
            "UPDATE batch SET state = 'superseded' "
            "WHERE stream_id = %s AND generation = %s AND seq = %s AND revision < %s",
            key,
        )

    def intern(self, table: str, name: str) -> int:
        """The id of a stream or channel, made where it is new."""
        known = self.ids.get((table, name))
        if known is None:
            value = name.encode()
            self.cursor.execute(f"SELECT id FROM {table} WHERE name = %s", (value,))  # noqa: S608
            row = self.cursor.fetchone()
            if row is None:
                self.cursor.execute(f"INSERT INTO {table} (name) VALUES (%s)", (value,))  # noqa: S608
                row = (self.cursor.lastrowid,)
            known = self.ids[table, name] = int(row[0])
        return known

    def _write(self, sums: _Sums) -> None:
        """Add the sums to the counters, in key order, a bounded number of rows a statement."""
        columns = "requests, bytes, hits, hit_bytes, cache_requests, cache_bytes"
        self._upsert("traffic", f"channel_id, slot, stream_id, {columns}", sums.traffic, 3)
        self._upsert("channel_traffic", f"channel_id, slot, {columns}", sums.by_channel(), 2)
        for (day, host), (requests, size) in sorted(sums.hosts.items()):
            self.cursor.execute(
                "INSERT INTO unassigned_host (day, host, requests, bytes) VALUES (%s, %s, %s, %s) "
                "ON DUPLICATE KEY UPDATE requests = requests + VALUES(requests), bytes = bytes + VALUES(bytes)",
                (day, host.encode()[:255], requests, size),
            )

    def _upsert(self, table: str, columns: str, cells: dict[Any, list[int]], keys: int) -> None:
        names = columns.split(", ")
        update = ", ".join(f"{name} = {name} + VALUES({name})" for name in names[keys:])
        rows = sorted(cells.items())
        for start in range(0, len(rows), STATEMENT_ROWS):
            # Integers alone: a hand-built statement is safe, and several times faster than one with placeholders.
            values = ",".join(
                "({})".format(",".join(map(str, (*key, *cell)))) for key, cell in rows[start : start + STATEMENT_ROWS]
            )
            self.cursor.execute(f"INSERT INTO {table} ({columns}) VALUES {values} ON DUPLICATE KEY UPDATE {update}")  # noqa: S608

    def refuse(self, item: Incoming, error: BatchError) -> None:
        """Keep a payload that is not counted, once, with how often it came; the oldest go when there are too many."""
        digest = bytes.fromhex(content_hash(item.payload))
        body = bytes.fromhex(content_hash(item.body)) if item.stream else None
        self.cursor.execute(
            "INSERT INTO quarantine (sha256, reason, detail, body_sha256, stream, size, payload, count, first_seen, "
            "last_seen) VALUES (%s, %s, %s, %s, %s, %s, %s, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)) "
            "ON DUPLICATE KEY UPDATE count = count + 1, last_seen = VALUES(last_seen), reason = VALUES(reason), "
            "detail = VALUES(detail)",
            (
                *(digest, error.reason, error.detail.encode()[:1000], body, item.stream.encode() or None),
                *(len(item.payload), item.payload[:QUARANTINE_PAYLOAD]),
            ),
        )
        self.cursor.execute("SELECT COUNT(*) - %s FROM quarantine", (QUARANTINE_ROWS,))
        (surplus,) = self.cursor.fetchone()
        if surplus > 0:
            self.cursor.execute("DELETE FROM quarantine ORDER BY last_seen LIMIT %s", (surplus,))
