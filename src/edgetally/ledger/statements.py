"""The SQL of a transaction: what it asks the database, and what it writes. `transaction` decides what is written.

Rows hold integers, checked words and hexadecimal literals alone: a hand-built statement of them is safe, and several
times faster than one with placeholders.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pymysql

from edgetally.ledger.counter_changes import COUNTERS, CounterChanges
from edgetally.ledger.database import DUPLICATE, error_code
from edgetally.ledger.incoming import Admitted, Incoming
from edgetally.limits import DAY, HOSTS_A_DAY, LATE_SLOT_SECONDS, OVERLAP_SECONDS, SLOT_SECONDS
from edgetally.wire.batch import CANARY_STREAM, Batch
from edgetally.wire.envelope import BatchError, content_hash

STATEMENT_BYTES = 1 << 19  # of one statement, about; the limit is 1 MiB
STATEMENT_ROWS = 2500  # of integers, each shorter than 200 bytes
UNION_QUERIES = 500
QUARANTINE_PAYLOAD = 1 << 20  # kept of each payload of an edge
QUARANTINE_ROWS = 1_000  # payloads of each edge
QUARANTINE_BYTES = 256 << 20  # of each edge, together
STRANGERS_PAYLOAD = 4096  # kept of each payload whose signature is not good, so anybody's
STRANGERS_ROWS = 100  # all of those
EDGE_COUNTERS = ("wire", "wire_seconds", "server", "server_seconds")
HOST_SECONDS = 62 * DAY
CANARY_SECONDS = DAY


class Statements:
    """The statements of one transaction, all over its cursor."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    # --- the ledger: what it has

    def reaches(self, streams: Iterable[int]) -> Iterator[tuple[int, float | None]]:
        """(stream_id, until when its batches cover, None for a stream without any) of each stream."""
        return self._union(
            f"SELECT {stream_id}, MAX(covers_to) FROM batch WHERE stream_id = {stream_id}"  # noqa: S608
            for stream_id in streams
        )

    def tops(self, generations: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, int | None]]:
        """(stream_id, generation, its highest number, None for one without any) of each (stream_id, generation)."""
        return self._union(
            f"SELECT {stream_id}, '{generation}', MAX(seq) FROM batch "  # noqa: S608
            f"WHERE stream_id = {stream_id} AND generation = 0x{generation}"
            for stream_id, generation in generations
        )

    def content(self, item: Admitted) -> bytes:
        """The content hash that the ledger has under a batch's key."""
        self.cursor.execute(
            "SELECT sha256 FROM batch WHERE (stream_id, generation, seq, revision, part) = (%s, %s, %s, %s, %s)",
            (*item.number, item.batch.revision, item.batch.part),
        )
        return bytes(self.cursor.fetchone()[0])

    def overlapping(self, item: Admitted) -> tuple[str, int] | None:
        """Another batch of the stream, (generation, seq), that covers some of the same time."""
        stream_id, generation, seq = item.number
        self.cursor.execute(
            "SELECT LOWER(HEX(generation)), seq FROM batch WHERE stream_id = %s AND covers_to > %s "
            "AND COALESCE(covers_from, covers_to) < %s AND NOT (generation = %s AND seq = %s) LIMIT 1",
            (
                *(stream_id, item.begin + OVERLAP_SECONDS),
                *(item.batch.covers[1] - OVERLAP_SECONDS, generation, seq),
            ),
        )
        row: tuple[str, int] | None = self.cursor.fetchone()
        return row

    def has_newer(self, item: Admitted) -> bool:
        """Whether the ledger has a higher revision of a batch."""
        self.cursor.execute(
            "SELECT 1 FROM batch WHERE stream_id = %s AND generation = %s AND seq = %s AND revision > %s LIMIT 1",
            (*item.number, item.batch.revision),
        )
        return self.cursor.fetchone() is not None

    def older(self, item: Admitted) -> list[Batch]:
        """The earlier revisions of a batch that the counters hold, all their parts."""
        self.cursor.execute(
            "SELECT body FROM batch JOIN batch_body USING (stream_id, generation, seq, revision, part) "
            "WHERE stream_id = %s AND generation = %s AND seq = %s AND revision < %s AND state = 'committed'",
            (*item.number, item.batch.revision),
        )
        return [Batch.decode(zlib.decompress(body)) for (body,) in self.cursor.fetchall()]

    def _union(self, queries: Iterable[str]) -> Iterator[Any]:
        """The rows of many queries that have one row each.

        Each is a look at the end of an index, 10 microseconds however long the ledger is; one query over all of them
        MariaDB may answer by reading the whole ledger.
        """
        every = list(queries)
        for start in range(0, len(every), UNION_QUERIES):
            self.cursor.execute(" UNION ALL ".join(every[start : start + UNION_QUERIES]))
            yield from self.cursor

    # --- the ledger: what is written to it

    def insert_all(self, items: Sequence[Admitted], commit_no: int) -> bool:
        """Write many batches into the ledger; false, and nothing is written, where the ledger has the key of one."""
        if not items:
            return True
        self.cursor.execute("SAVEPOINT following")
        if self.insert(items, "committed", commit_no):
            return True
        self.cursor.execute("ROLLBACK TO SAVEPOINT following")
        return False

    def insert(self, items: Sequence[Admitted], state: str, commit_no: int) -> bool:
        """Write the ledger's rows and the bodies; false where the ledger has a row of the same key."""
        try:
            self._execute_rows(
                "INSERT INTO batch (stream_id, generation, seq, revision, part, parts, sha256, covers_from, covers_to, "
                "continuity, log, `lines`, rejected, skewed, bytes, state, commit_no, committed_at) VALUES ",
                (_ledger_row(item, state, commit_no) for item in items),
            )
        except pymysql.IntegrityError as error:
            if error_code(error) != DUPLICATE:
                raise
            return False
        self._execute_rows(
            "INSERT INTO batch_body (stream_id, generation, seq, revision, part, body) VALUES ",
            (f"({_sql_key(item)}, 0x{item.incoming.packed.hex()})" for item in items),
        )
        self.insert_missing([item for item in items if item.batch.missing])
        return True

    def insert_missing(self, items: Sequence[Admitted]) -> None:
        """Write the times that batches call missing beside what they cover."""
        if items:
            self.cursor.executemany(
                "REPLACE INTO missing (stream_id, generation, seq, from_time, to_time) VALUES (%s, %s, %s, %s, %s)",
                [(*item.number, *(item.batch.missing or ())) for item in items],
            )

    def supersede_older(self, item: Admitted) -> None:
        """Have no earlier revision of a batch counted any more."""
        self.cursor.execute(
            "UPDATE batch SET state = 'superseded' "
            "WHERE stream_id = %s AND generation = %s AND seq = %s AND revision < %s",
            (*item.number, item.batch.revision),
        )

    # --- names and counters

    def ids(self, table: str, names: Iterable[str]) -> dict[str, int]:
        """The ids of those streams or channels that have one."""
        self.cursor.execute(
            f"SELECT id, name FROM {table} WHERE name IN %s",  # noqa: S608
            ([name.encode() for name in names],),
        )
        return {name.decode(): number for number, name in self.cursor}

    def streams_of(self, edge: str) -> int:
        """How many streams an edge has that are not retired."""
        self.cursor.execute(
            "SELECT COUNT(*) FROM stream WHERE name LIKE %s AND retired_at IS NULL",
            (edge.replace("_", r"\_").encode() + b"/%",),
        )
        return int(self.cursor.fetchone()[0])

    def insert_names(self, table: str, names: Iterable[str]) -> None:
        """Give streams or channels an id."""
        self._execute_rows(
            f"INSERT INTO {table} (name) VALUES ",  # noqa: S608
            (f"(0x{name.encode().hex()})" for name in sorted(names)),
        )

    def add(self, changes: CounterChanges, detail_from: int) -> None:
        """Add to the counters, in key order; slots older than the detail to those of all streams alone."""
        self._upsert("traffic", ("channel_id", "slot", "stream_id"), changes.by_stream(detail_from))
        self._upsert("channel_traffic", ("channel_id", "slot"), changes.by_channel())
        self._add_hours(changes)
        if changes.hosts:
            self.cursor.executemany(
                "INSERT INTO unassigned_host (day, host, requests, bytes) VALUES (%s, %s, %s, %s) "
                "ON DUPLICATE KEY UPDATE requests = requests + VALUES(requests), bytes = bytes + VALUES(bytes)",
                [
                    row
                    for day in sorted({day for day, _host in changes.hosts})
                    for row in self._hosts(day, changes.hosts)
                ],
            )

    def _hosts(
        self, day: int, hosts: Mapping[tuple[int, str], tuple[int, int]]
    ) -> Iterator[tuple[int, bytes, int, int]]:
        """The rows of a day's unassigned hosts: new ones, for which there is no room any more, have no name."""
        cells = {host.encode(): cell for (its, host), cell in sorted(hosts.items()) if its == day}
        self.cursor.execute("SELECT COUNT(*) FROM unassigned_host WHERE day = %s", (day,))
        room = HOSTS_A_DAY - self.cursor.fetchone()[0]
        self.cursor.execute("SELECT host FROM unassigned_host WHERE day = %s AND host IN %s", (day, list(cells)))
        known = {host for (host,) in self.cursor}
        for host, cell in cells.items():
            room -= host not in known
            yield (day, host if host in known or room >= 0 else b"", *cell)

    def _upsert(
        self, table: str, keys: Sequence[str], rows: Iterable[tuple[int, ...]], sums: Sequence[str] = COUNTERS
    ) -> None:
        """Add rows of integers to a table. Python writes them in a list as SQL does: nothing is faster."""
        head = f"INSERT INTO {table} ({', '.join((*keys, *sums))}) VALUES "  # noqa: S608
        tail = f" ON DUPLICATE KEY UPDATE {', '.join(f'{name} = {name} + VALUES({name})' for name in sums)}"
        every = iter(rows)
        while group := list(islice(every, STATEMENT_ROWS)):
            self.cursor.execute(f"{head}{str(group)[1:-1]}{tail}")

    def _execute_rows(self, head: str, rows: Iterable[str]) -> None:
        """One statement for many rows, or several where it would be longer than STATEMENT_BYTES."""
        group: list[str] = []
        size = 0
        for row in rows:
            if group and size + len(row) > STATEMENT_BYTES:
                self.cursor.execute(head + ",".join(group))
                group, size = [], 0
            group.append(row)
            size += len(row) + 1
        if group:
            self.cursor.execute(head + ",".join(group))

    def _add_hours(self, changes: CounterChanges) -> None:
        """Add to what was logged and counted beside the logs, by the hour."""
        logged = ((*key, size) for key, size in sorted(changes.logged.items()))
        self._upsert("stream_hour", ("hour", "stream_id"), logged, ("bytes",))
        if changes.counted:
            sums = ", ".join(f"{name} = {name} + VALUES({name})" for name in EDGE_COUNTERS)
            self.cursor.executemany(
                f"INSERT INTO edge_hour (hour, edge, {', '.join(EDGE_COUNTERS)}) "  # noqa: S608
                f"VALUES (%s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE {sums}",
                [(hour, edge.encode(), *told) for (hour, edge), told in sorted(changes.counted.items())],
            )

    def note_region(self, edge: str, slot: int, region: str) -> None:
        """Note where an edge is from a slot on, where the newest note before it says otherwise."""
        self.cursor.execute(
            "SELECT region FROM edge_region WHERE edge = %s AND slot <= %s ORDER BY slot DESC LIMIT 1",
            (edge.encode(), slot),
        )
        known = self.cursor.fetchone()
        if known is None or known[0].decode() != region:
            self.cursor.execute(
                "REPLACE INTO edge_region (edge, slot, region) VALUES (%s, %s, %s)",
                (edge.encode(), slot, region.encode()),
            )

    # --- the quarantine

    def put_aside(self, item: Incoming, error: BatchError, ahead: bool = False) -> None:
        """Keep a payload that is not counted, once, with how often it came.

        ahead: its edge's clock is hours ahead, so what it covers is not when its lines were written.
        """
        digest = bytes.fromhex(content_hash(item.payload))
        body = item.sha256 if item.stream else None
        detail = error.detail.encode("utf-8", "backslashreplace")[:1000]
        kept = item.payload[: QUARANTINE_PAYLOAD if item.stream else STRANGERS_PAYLOAD]
        self.cursor.execute(
            "INSERT INTO quarantine (sha256, reason, detail, body_sha256, stream, size, payload, count, first_seen, "
            "last_seen) VALUES (%s, %s, %s, %s, %s, %s, %s, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)) "
            "ON DUPLICATE KEY UPDATE count = count + 1, last_seen = VALUES(last_seen), reason = VALUES(reason), "
            "detail = VALUES(detail)",
            (digest, error.reason, detail, body, item.stream.encode() or None, len(item.payload), kept),
        )
        if item.batch is not None:
            self._note_refused(digest, item.batch, self._since_right(item.batch.stream) if ahead else None)

    def bound_quarantine(self) -> None:
        """Delete the oldest payloads of an edge that has too many, and of strangers: no flood touches another's.

        Those go last whose time is a gap on the bill.
        """
        self.cursor.execute(
            "DELETE FROM quarantine WHERE sha256 IN (SELECT sha256 FROM (SELECT sha256, stream, "
            "ROW_NUMBER() OVER newest AS row_no, SUM(LEAST(size, %s)) OVER newest AS kept FROM quarantine "
            "WINDOW newest AS (PARTITION BY SUBSTRING_INDEX(stream, '/', 1) "
            "ORDER BY sha256 IN (SELECT sha256 FROM refused) DESC, last_seen DESC, sha256)) AS every "
            "WHERE row_no > IF(stream IS NULL, %s, %s) OR kept > %s)",
            (QUARANTINE_PAYLOAD, STRANGERS_ROWS, QUARANTINE_ROWS, QUARANTINE_BYTES),
        )

    def _since_right(self, stream: str) -> float:
        """Until when a stream's batches cover that came after that time: until then its clock was not ahead.

        Where none of them did, half an hour before the first one came.
        """
        of_stream = "FROM batch JOIN stream ON id = stream_id WHERE name = %s AND state = 'committed'"
        self.cursor.execute(
            f"SELECT covers_to {of_stream} AND covers_to <= UNIX_TIMESTAMP(committed_at) "
            "ORDER BY covers_to DESC LIMIT 1",
            (stream.encode(),),
        )
        row = self.cursor.fetchone()
        if row is None:
            self.cursor.execute(
                f"SELECT COALESCE(MIN(UNIX_TIMESTAMP(committed_at)), UNIX_TIMESTAMP()) - %s {of_stream}",
                (LATE_SLOT_SECONDS, stream.encode()),
            )
            row = self.cursor.fetchone()
        return float(row[0])

    def _note_refused(self, digest: bytes, batch: Batch, since: float | None) -> None:
        """Note what time a batch covers that is not counted, late lines too: it is a gap on the bill.

        since: the gap begins so early, where the batch does not know when it was.
        """
        low, high = batch.covers
        slots = [row[0] for row in batch.rows]
        begin = min(slots, default=high) if low is None else low
        begin = begin if since is None else min(begin, since)
        high = max([high, *(slot + SLOT_SECONDS for slot in slots)])
        self.cursor.execute(
            "INSERT IGNORE INTO refused (sha256, stream, generation, seq, covers_from, covers_to) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (digest, batch.stream.encode(), bytes.fromhex(batch.generation), batch.seq, begin, high),
        )

    def release(self, items: Sequence[Incoming]) -> None:
        """Take payloads out of the quarantine."""
        if items:
            digests = [bytes.fromhex(content_hash(item.payload)) for item in items]
            self.cursor.execute("DELETE FROM quarantine WHERE sha256 IN %s", (digests,))

    # --- what is not kept

    def forget_hosts(self, now: float) -> None:
        """Delete the unassigned hosts of long ago."""
        self.cursor.execute("DELETE FROM unassigned_host WHERE day < %s", (now - HOST_SECONDS,))

    def forget_canaries(self, now: float) -> None:
        """Delete canaries that are older than a day; they count nothing. A canary's revision is its time."""
        upto = now - CANARY_SECONDS
        for table in ("batch_body", "batch"):
            self.cursor.execute(
                f"DELETE FROM {table} WHERE stream_id = (SELECT id FROM stream WHERE name = %s) AND revision < %s",  # noqa: S608
                (CANARY_STREAM.encode(), upto),
            )
        self.cursor.execute(
            "DELETE FROM quarantine WHERE stream = %s AND last_seen < FROM_UNIXTIME(%s)",
            (CANARY_STREAM.encode(), upto),
        )

    def forget_detail(self, first: int) -> None:
        """Keep the detail of a first slot on; the partitions before it are dropped later."""
        self.cursor.execute("UPDATE detail SET from_slot = GREATEST(from_slot, %s)", (first,))
        for table in ("stream_hour", "edge_hour"):
            self.cursor.execute(f"DELETE FROM {table} WHERE hour < %s", (first,))  # noqa: S608


def _sql_key(item: Admitted) -> str:
    batch = item.batch
    return f"{item.stream_id}, 0x{batch.generation}, {batch.seq}, {batch.revision}, {batch.part}"


def _ledger_row(item: Admitted, state: str, commit_no: int) -> str:
    batch = item.batch
    low, high = batch.covers
    return (
        f"({_sql_key(item)}, {batch.parts}, 0x{item.incoming.sha256.hex()}, {'NULL' if low is None else low}, {high}, "
        f"'{batch.continuity}', '{batch.log}', {batch.lines}, {batch.rejected}, {batch.skewed}, {batch.size}, "
        f"'{state}', {commit_no}, UTC_TIMESTAMP(6))"
    )
