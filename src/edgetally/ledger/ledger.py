"""The ledger as others use it: commit batches, put payloads aside, keep house, and say what became of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pymysql

from edgetally.ledger import machines
from edgetally.ledger.database import LOCK_WAIT, error_code, is_bad_data
from edgetally.ledger.incoming import Incoming
from edgetally.ledger.transaction import RECORDED
from edgetally.ledger.writer import Writer
from edgetally.limits import DAY
from edgetally.wire.envelope import BatchError
from edgetally.wire.machine import Machine
from edgetally.wire.receipts import Asked, state_of_refusal

READERS_SECONDS = 5  # to wait for those who read a table that is to be changed

Commit = Callable[[Sequence[Incoming]], "list[str]"]
Refuse = Callable[[Incoming, BatchError], None]


class Ledger(Writer):
    """The ledger of a database: what is written to it under the writer's row, and what is asked of it."""

    # --- batches

    def commit(self, incoming: Sequence[Incoming]) -> list[str]:
        """Write a group of payloads in one transaction. Returns the state of each: `committed`, `superseded`,
        `already`, or the reason of its refusal. Raises pymysql errors: the caller retries the whole group."""
        with self.holder_transaction() as transaction:
            return transaction.record(incoming)

    def recommit(self, incoming: Sequence[Incoming]) -> list[str]:
        """Write quarantined payloads again, beside the aggregator; those that are good now leave the quarantine."""
        with self.fenced_transaction() as transaction:
            states = transaction.record(incoming)
            transaction.sql.release([item for item, state in zip(incoming, states) if state in RECORDED])
            return states

    def quarantine(self, item: Incoming, error: BatchError) -> None:
        """Put one payload aside in a transaction of its own."""
        with self.holder_transaction() as transaction:
            transaction.refuse(item, error)

    def maintain(self, detail_days: int = 0) -> None:
        """Make daily partitions for the next 30 days; forget old canaries, and what unassigned hosts there were.

        detail_days: how many days of detail are kept, 0 for all of them. The days before are dropped. A table that
        somebody reads just now is left for the next time.
        """
        self._in_time("CALL make_partitions()")
        with self.holder_transaction() as transaction:
            transaction.sql.forget_hosts(transaction.now)
            transaction.sql.forget_canaries(transaction.now)
            machines.forget(transaction.cursor)
            if detail_days:
                transaction.sql.forget_detail((int(transaction.now) // DAY - detail_days) * DAY)
        self._in_time("CALL drop_old_partitions()")

    def _in_time(self, statement: str) -> None:
        """Change a table, but not while somebody reads it: a long reader must not hold up the commits."""
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

    def note_machines(self, heard: Mapping[str, Machine]) -> None:
        """Note which machine spoke for each edge, in a transaction of its own."""
        with self.holder_transaction() as transaction:
            machines.note(transaction.cursor, heard)

    def identify(self) -> tuple[str, float]:
        """The ledger's id, made with the database, and the database's clock, epoch seconds."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT (SELECT id FROM ledger), UNIX_TIMESTAMP(NOW(6))")
            ledger, now = cursor.fetchone() or ("", 0)
        self.connection.rollback()
        return str(ledger or ""), float(now)

    def states(self, stream: str, asked: Iterable[Asked]) -> list[str]:
        """The state of each of a stream's batches that are asked for, as receipts carry it: what became of it."""
        keys = [(bytes.fromhex(generation), seq, revision, sha.lower()) for generation, seq, revision, sha in asked]
        by_generation: dict[bytes, list[int]] = {}
        for generation, seq, _revision, _sha in keys:
            by_generation.setdefault(generation, []).append(seq)
        states: dict[tuple[bytes, int, int, str], str] = {}
        refused: dict[str, str] = {}
        with self.connection.cursor() as cursor:
            for generation, seqs in by_generation.items():
                cursor.execute(
                    "SELECT seq, revision, LOWER(HEX(sha256)), state FROM batch WHERE generation = %s AND seq IN %s "
                    "AND stream_id = (SELECT id FROM stream WHERE name = %s)",
                    (generation, seqs, stream.encode()),
                )
                states.update({(generation, seq, revision, sha): state for seq, revision, sha, state in cursor})
            if keys:
                cursor.execute(
                    "SELECT LOWER(HEX(body_sha256)), reason FROM quarantine WHERE stream = %s AND body_sha256 IN %s",
                    (stream.encode(), [bytes.fromhex(key[3]) for key in keys]),
                )
                refused.update(dict(cursor))
        self.connection.rollback()
        return [states.get(key) or state_of_refusal(refused.get(key[3])) for key in keys]


def commit_apart(group: Sequence[Incoming], commit: Commit, refuse: Refuse) -> list[str]:
    """Write a group in one transaction; where a value of it cannot be written, each alone, and refuse the culprit.

    Returns the state of each. Raises what is the database's fault and not a batch's.
    """
    try:
        return commit(group)
    except (pymysql.MySQLError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, pymysql.MySQLError) and not is_bad_data(error):
            raise
        if len(group) > 1:
            return [state for item in group for state in commit_apart([item], commit, refuse)]
        refusal = BatchError("database", str(error.args[-1] if error.args else error))
        refuse(group[0], refusal)
        return [refusal.reason]
