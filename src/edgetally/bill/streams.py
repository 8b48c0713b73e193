"""Streams: list them, and say of one what the data cannot, that it is gone for good.

Changes are transactions that the writer's row puts in line with the aggregator's, as those of the quarantine are.
"""

from __future__ import annotations

from contextlib import closing

from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.database import check_schema, connect
from edgetally.ledger.gaps import LedgerStream, streams
from edgetally.ledger.ledger import Ledger
from edgetally.ledger.transaction import Transaction
from edgetally.times import epoch_seconds

HOLDER = "edgetally"


def list_streams(config: AggregatorConfig) -> tuple[list[LedgerStream], float]:
    """Every stream by name, and the database's clock, epoch seconds."""
    with closing(connect(config.database)) as connection:
        check_schema(connection, config.database)
        with connection.cursor() as cursor:
            listed = streams(cursor)
            cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
            (now,) = cursor.fetchone() or (0,)
    return listed, float(now)


def retire(config: AggregatorConfig, name: str, at: str | None) -> tuple[LedgerStream, float]:
    """From a time on a stream is not expected any more; without one, from its last batch on.

    Returns the stream as it was, and since when it is retired, epoch seconds.
    """
    moment = epoch_seconds(at, "--at") if at else None
    with Ledger(config.database, HOLDER).fenced_transaction() as transaction:
        stream = _named(transaction, name)
        until = stream.last if moment is None else moment
        transaction.cursor.execute(
            "UPDATE stream SET retired_at = FROM_UNIXTIME(%s) WHERE id = %s", (f"{until:.3f}", stream.id)
        )
    return stream, until


def unretire(config: AggregatorConfig, name: str) -> None:
    """A stream is expected again, and all the time since its last batch with it."""
    with Ledger(config.database, HOLDER).fenced_transaction() as transaction:
        stream = _named(transaction, name)
        transaction.cursor.execute("UPDATE stream SET retired_at = NULL WHERE id = %s", (stream.id,))


def _named(transaction: Transaction, name: str) -> LedgerStream:
    stream = next((stream for stream in streams(transaction.cursor) if stream.name == name), None)
    if stream is None:
        raise EdgetallyError(f"no stream is named '{name}': `edgetally stream list` shows all of them")
    return stream
