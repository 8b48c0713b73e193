"""The writer's row: whoever holds it is the one process that may write, and every transaction proves that it does.

The fencing UPDATE of the row, with which each begins, is check, renewal and fence in one. What comes after it in a
transaction is in transaction.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypedDict

import pymysql

from edgetally.config import DatabaseConfig
from edgetally.ledger.database import check_schema, connect, set_where_known
from edgetally.ledger.memory import LedgerMemory
from edgetally.ledger.transaction import Transaction

STATEMENT_SECONDS = 20

# An epoch does not tell enough: a database that was restored from a backup counts some twice, for other holders.
_HELD = "id = 1 AND epoch = %s AND holder = %s"


class FenceLostError(Exception):
    """Another aggregator holds the writer's row: this process must write nothing more, and end."""


class WriterRow(TypedDict):
    """The writer's row: its holder, empty for none, its epoch, the last commit's number, its age in seconds."""

    holder: str
    epoch: int
    commit_no: int
    age: float


def read_writer(cursor: Any) -> WriterRow:
    """Who holds the writer's row."""
    cursor.execute(
        "SELECT holder, epoch, txn, TIMESTAMPDIFF(MICROSECOND, renewed_at, UTC_TIMESTAMP(6)) / 1e6 FROM writer"
    )
    holder, epoch, commit_no, age = cursor.fetchone() or (b"", 0, 0, 0)
    return {"holder": holder.decode(), "epoch": epoch, "commit_no": commit_no, "age": float(age)}


class Writer:
    """A connection to the database that may write while it holds the writer's row."""

    def __init__(self, config: DatabaseConfig, holder: str, lease_seconds: int = 20) -> None:
        self.config = config
        self.holder = holder
        self.lease_seconds = lease_seconds
        self.epoch = 0
        self._connection: pymysql.connections.Connection[Any] | None = None
        self._memory = LedgerMemory()
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
            # A frozen holder must not block a takeover; MySQL does not have this variable
            set_where_known(connection, "idle_write_transaction_timeout = 10")
            self._connection = connection
        return self._connection

    def disconnect(self) -> None:
        """Throw the connection away, and all that was learnt over it; the next one begins with the next address."""
        self._memory.clear()
        self._losses += 1
        if self._connection is not None:
            lost = self._connection
            self._connection = None
            with suppress(pymysql.MySQLError):
                lost.close()

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

    def writer(self) -> WriterRow:
        """Who holds the writer's row."""
        with self.connection.cursor() as cursor:
            row = read_writer(cursor)
        self.connection.rollback()
        return row

    def renew(self) -> None:
        """Let the lease go on: an empty transaction does."""
        with self.holder_transaction():
            pass

    def release(self) -> None:
        """Let the next aggregator in at once."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"UPDATE writer SET holder = '' WHERE {_HELD}", self._held)  # noqa: S608
        self.connection.commit()
        self.epoch = 0

    @contextmanager
    def holder_transaction(self) -> Iterator[Transaction]:
        """One fenced transaction. Raises FenceLostError before anything is written where the row is another's."""
        with self._under(
            f"UPDATE writer SET txn = txn + 1, renewed_at = UTC_TIMESTAMP(6) WHERE {_HELD}",  # noqa: S608
            self._held,
        ) as transaction:
            yield transaction

    @contextmanager
    def fenced_transaction(self) -> Iterator[Transaction]:
        """A transaction of a command that does not hold the writer's row.

        It locks the row, as every transaction does, so it comes before or after those of the aggregator, which goes on
        holding it: neither its epoch nor its time is touched.
        """
        with self._under("UPDATE writer SET txn = txn + 1 WHERE id = 1", ()) as transaction:
            yield transaction

    @property
    def _held(self) -> tuple[int, bytes]:
        return self.epoch, self.holder.encode()

    @contextmanager
    def _under(self, fence: str, arguments: tuple[Any, ...]) -> Iterator[Transaction]:
        """A transaction that begins with an UPDATE of the writer's row. Raises FenceLostError where none fits it."""
        connection = self.connection
        cursor = connection.cursor()
        try:
            connection.begin()
            if cursor.execute(fence, arguments) != 1:
                raise FenceLostError
            cursor.execute("SELECT txn, UNIX_TIMESTAMP(NOW(6)), from_slot FROM writer JOIN detail USING (id)")
            commit_no, now, detail_from = cursor.fetchone() or (0, 0, 0)
            self._memory.follow(commit_no)
            transaction = Transaction(cursor, self._memory, commit_no, float(now), detail_from)
            yield transaction
            transaction.end()
            connection.commit()
        except BaseException:
            self._memory.clear()
            try:
                connection.rollback()
            except (pymysql.MySQLError, OSError):
                self.disconnect()
            raise
        finally:
            cursor.close()
