"""The ledger: the one place that writes to the counters, and the answer to what became of a batch.

Every transaction begins with the fencing UPDATE of the writer's row: check, renewal and fence in one. What happens
inside of it is transaction.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pymysql

from edgetally.batch import BatchError
from edgetally.config import DatabaseConfig
from edgetally.database import LOCK_WAIT, check_schema, connect, error_code, set_where_known
from edgetally.known import Known
from edgetally.transaction import HOST_SECONDS, RECORDED, Incoming, Transaction

DAY = 86400
READERS_SECONDS = 5  # to wait for those who read a table that is to be changed
STATEMENT_SECONDS = 20


# A database that was restored from a backup counts some epochs twice, for other holders.
_HELD = "id = 1 AND epoch = %s AND holder = %s"


class FenceLostError(Exception):
    """Another aggregator holds the writer's row: this process must write nothing more, and end."""


class Ledger:
    """A connection to the database that may write while it holds the writer's row."""

    def __init__(self, config: DatabaseConfig, holder: str, lease_seconds: int = 20) -> None:
        self.config = config
        self.holder = holder
        self.lease_seconds = lease_seconds
        self.epoch = 0
        self._connection: pymysql.connections.Connection[Any] | None = None
        self._known = Known()
        self._losses = 0

    # --- the connection and the writer's row

    @property
    def connection(self) -> pymysql.connections.Connection[Any]:
        """The open connection; a new one after a loss."""
        if self._connection is None:
            # Who has waited for longer than the lease has lost it: the next address may answer
            patience = max(STATEMENT_SECONDS, self.lease_seconds)
            connection = connect(self.config, self._losses, read_timeout=patience, write_timeout=patience)
            check_schema(connection, self.config)
            # A frozen holder must not block a takeover; MySQL does not know this one
            set_where_known(connection, "idle_write_transaction_timeout = 10")
            self._connection = connection
        return self._connection

    def disconnect(self) -> None:
        """Throw the connection away, and all that was learnt over it; the next one begins with the next address."""
        self._known.clear()
        self._losses += 1
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
            cursor.execute(f"UPDATE writer SET holder = '' WHERE {_HELD}", self._held)  # noqa: S608
        self.connection.commit()
        self.epoch = 0

    @property
    def _held(self) -> tuple[int, bytes]:
        return self.epoch, self.holder.encode()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """One fenced transaction. Raises FenceLostError before anything is written where the row is another's."""
        with self._under(
            f"UPDATE writer SET txn = txn + 1, renewed_at = UTC_TIMESTAMP(6) WHERE {_HELD}",  # noqa: S608
            self._held,
        ) as transaction:
            yield transaction

    @contextmanager
    def beside(self) -> Iterator[Transaction]:
        """A transaction of a command that does not hold the writer's row.

        It locks the row, as every transaction does, so it comes before or after those of the aggregator, which goes on
        holding it: neither its epoch nor its time is touched.
        """
        with self._under("UPDATE writer SET txn = txn + 1 WHERE id = 1", ()) as transaction:
            yield transaction

    @contextmanager
    def _under(self, fence: str, arguments: tuple[Any, ...]) -> Iterator[Transaction]:
        connection = self.connection
        cursor = connection.cursor()
        try:
            connection.begin()
            if cursor.execute(fence, arguments) != 1:
                raise FenceLostError
            cursor.execute("SELECT txn, UNIX_TIMESTAMP(NOW(6)), from_slot FROM writer JOIN detail USING (id)")
            commit_no, now, detail_from = cursor.fetchone() or (0, 0, 0)
            self._known.follow(commit_no)
            yield Transaction(cursor, self._known, commit_no, float(now), detail_from)
            connection.commit()
        except BaseException:
            self._known.clear()
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

    def recommit(self, incoming: Sequence[Incoming]) -> list[str]:
        """Write quarantined payloads again, beside the aggregator; those that are good now leave the quarantine."""
        with self.beside() as transaction:
            states = transaction.record(incoming)
            transaction.release([item for item, state in zip(incoming, states) if state in RECORDED])
            return states

    def quarantine(self, item: Incoming, error: BatchError) -> None:
        """Put one payload aside in a transaction of its own."""
        with self._transaction() as transaction:
            transaction.refuse(item, error)

    def maintain(self, detail_days: int = 0) -> None:
        """Make daily partitions for the next 30 days; forget old canaries, and what unassigned hosts there were.

        detail_days: how many days of detail are kept, 0 for all of them. The days before are dropped. What somebody
        reads just now is left for the next time.
        """
        self._in_time("CALL make_partitions()")
        with self._transaction() as transaction:
            transaction.cursor.execute("DELETE FROM unassigned_host WHERE day < %s", (transaction.now - HOST_SECONDS,))
            transaction.forget_canaries()
            if detail_days:
                first = (int(transaction.now) // DAY - detail_days) * DAY
                transaction.cursor.execute("UPDATE detail SET from_slot = GREATEST(from_slot, %s)", (first,))
        self._in_time("CALL drop_old_partitions()")

    def _in_time(self, statement: str) -> None:
        """Change a table that nobody reads just now; else another time: a long reader must not hold up the commits."""
        with self.connection.cursor() as cursor:
            cursor.execute("SET SESSION lock_wait_timeout = %s", (READERS_SECONDS,))
            try:
                cursor.execute(statement)
            except pymysql.MySQLError as error:
                if error_code(error) != LOCK_WAIT:
                    raise
            cursor.execute("SET SESSION lock_wait_timeout = DEFAULT")
        self.connection.commit()

    # --- receipts

    def identify(self) -> tuple[str, float]:
        """The ledger's id, made with the database, and the database's clock, epoch seconds."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT (SELECT id FROM ledger), UNIX_TIMESTAMP(NOW(6))")
            ledger, now = cursor.fetchone() or ("", 0)
        self.connection.rollback()
        return str(ledger or ""), float(now)

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
