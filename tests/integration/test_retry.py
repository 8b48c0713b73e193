"""Errors that another try mends, made by their real causes: the whole group is written again, and counts once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
import pytest

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger.aggregator import Aggregator
from edgetally.ledger.database import connect, error_code
from edgetally.ledger.incoming import Incoming
from tests.integration.conftest import MASTER, wait_for
from tests.integration.test_ledger import NOW, batch, incoming
from tests.support import servers


@pytest.fixture
def impatient(database: DatabaseConfig, mariadb: servers.MariaDB) -> Iterator[DatabaseConfig]:
    """A database that gives a lock wait up after a second."""
    mariadb.sql("SET GLOBAL innodb_lock_wait_timeout = 1")
    yield database
    mariadb.sql("SET GLOBAL innodb_lock_wait_timeout = 50")


@contextlib.contextmanager
def writing(config: DatabaseConfig, group: Sequence[Incoming]) -> Iterator[list[int]]:
    """An aggregator that writes a group in a thread, and the error codes that it meets meanwhile."""
    aggregator = Aggregator(AggregatorConfig(("127.0.0.1:1",), (MASTER,), config))
    assert aggregator.ledger.acquire()
    codes: list[int] = []
    commit = aggregator.ledger.commit

    def noting(incoming: Sequence[Incoming]) -> list[str]:
        try:
            return commit(incoming)
        except pymysql.MySQLError as error:
            codes.append(error_code(error))
            raise

    aggregator.ledger.commit = noting  # type: ignore[method-assign]
    thread = threading.Thread(target=aggregator._commit, args=(list(group),))
    thread.start()
    try:
        yield codes
    finally:
        thread.join(60)
        aggregator.ledger.disconnect()
    assert not thread.is_alive()


def waits(mariadb: servers.MariaDB) -> bool:
    """Whether a transaction waits for a lock. The server collects these anew only where nobody asked for 0.1 s."""
    time.sleep(0.2)
    return mariadb.sql("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") != "0\n"


def once(mariadb: servers.MariaDB) -> None:
    """Two batches and their sums are there once, and nothing is in the quarantine."""
    query = "SELECT (SELECT COUNT(*) FROM batch), (SELECT SUM(requests) FROM channel_traffic), COUNT(*) FROM quarantine"
    assert mariadb.sql(query, "edgetally") == "2\t6\t0\n"


def test_a_lock_that_is_not_given_in_time(
    impatient: DatabaseConfig, mariadb: servers.MariaDB, admin: DatabaseConfig
) -> None:
    """1205 undoes the statement alone, so the group has to be rolled back by who gets it."""
    with connect(admin, database="edgetally") as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO channel (id, name) VALUES (1, 'news')")
        other.commit()
        cursor.execute("INSERT INTO channel_traffic VALUES (1, %s, 0, 0, 0, 0, 0, 0)", (NOW + 300,))
        with writing(impatient, [incoming(batch(1)), incoming(batch(2))]) as codes:
            wait_for("lock waits that were given up", lambda: codes.count(1205) >= 2)
            other.rollback()
    assert set(codes) == {1205}
    once(mariadb)


def test_a_deadlock(database: DatabaseConfig, mariadb: servers.MariaDB, admin: DatabaseConfig) -> None:
    """1213 is the lighter one's luck: the other transaction has written more."""
    with connect(admin, database="edgetally") as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO channel (id, name) VALUES (1, 'news')")
        other.commit()
        heavy: list[Any] = [(1, number, 0, 0, 0, 0, 0, 0) for number in range(5000)]
        cursor.executemany("INSERT INTO channel_traffic VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", heavy)
        cursor.execute("INSERT INTO channel_traffic VALUES (1, %s, 0, 0, 0, 0, 0, 0)", (NOW + 300,))
        with writing(database, [incoming(batch(1)), incoming(batch(2))]) as codes:
            wait_for("lock wait", lambda: waits(mariadb))
            cursor.execute("UPDATE writer SET txn = txn")  # which the aggregator holds, and it waits for this one
            wait_for("deadlock", lambda: codes)
            other.rollback()
    assert set(codes) == {1213}
    once(mariadb)
