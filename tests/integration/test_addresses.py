"""Several database addresses: the aggregator goes on with the next, and every batch counts once."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig, load_aggregator
from edgetally.ledger.database import DatabaseError, connect
from edgetally.wire import submit as job_servers
from edgetally.wire.batch import FUNCTION, Batch
from edgetally.wire.envelope import derive_key, seal
from tests.chaos.proxy import Proxy
from tests.integration.conftest import MASTER, aggregator, aggregator_file, listener, run, wait_for
from tests.support import servers

START = 1_790_000_100 // 300 * 300


def payload(seq: int) -> bytes:
    slot = START + 300 * seq
    covers = (None if seq == 1 else float(slot), slot + 300.0)
    batch = Batch("edge1/a", f"{1:016x}", seq, covers, ("news",), ((slot, 0, 1, 10, None, None),))
    (body,) = batch.encode()
    return seal(batch.stream, derive_key(MASTER, "edge1"), body)


def has(mariadb: servers.MariaDB, count: int) -> bool:
    """Whether so many batches are committed."""
    return mariadb.sql("SELECT COUNT(*) FROM batch", "edgetally") == f"{count}\n"


@pytest.fixture
def tcp(database: DatabaseConfig) -> DatabaseConfig:
    """The database by TCP."""
    return database._replace(socket="")


def test_the_first_that_can_be_used(tcp: DatabaseConfig, mariadb: servers.MariaDB) -> None:
    """Dead, and alive without being MariaDB: the third is taken; which comes first can be said."""
    with listener(b"hello, this is no database\r\n") as other:
        hosts = (f"127.0.0.1:{servers.free_port()}", other, f"127.0.0.1:{mariadb.port}")
        for first in range(4):
            connection = connect(tcp._replace(hosts=hosts), first)
            connection.ping(reconnect=False)
            connection.close()
        with pytest.raises(DatabaseError, match=f"{hosts[0]}, {other} cannot be used"):
            connect(tcp._replace(hosts=hosts[:2]))


def test_one_that_is_frozen(tcp: DatabaseConfig, mariadb: servers.MariaDB) -> None:
    """Its kernel takes the connection, and nobody ever speaks: the next one is taken before an edge's run is over."""
    with listener(None) as frozen:
        begun = time.monotonic()
        connect(tcp._replace(hosts=(frozen, f"127.0.0.1:{mariadb.port}"))).close()
        assert time.monotonic() - begun < 20
        with pytest.raises(DatabaseError, match=f"{frozen} cannot be used .timed out"):
            connect(tcp._replace(hosts=(frozen,)))


def test_the_aggregator_goes_on_with_the_next(
    tcp: DatabaseConfig, gearmand: servers.Server, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    """The address in use goes away in mid-work, for good, and comes back after the second has gone, too."""
    first, second = Proxy(mariadb.port), Proxy(mariadb.port)
    first.start()
    second.start()
    hosts = [f"127.0.0.1:{proxy.port}" for proxy in (first, second)]
    file = aggregator_file(tmp_path, tcp._replace(hosts=tuple(hosts)), gearmand.address)
    assert load_aggregator(str(file)).database.hosts == tuple(hosts)

    def submit(low: int, high: int) -> None:
        job_servers.submit(
            [gearmand.address], FUNCTION, [job_servers.Job(f"j{n}", payload(n)) for n in range(low, high)]
        )

    with aggregator(file) as process:
        submit(1, 21)
        wait_for("the first batches", lambda: has(mariadb, 20))
        first.close()
        submit(21, 41)
        wait_for("batches over the second address", lambda: has(mariadb, 40))
        second.cut()
        submit(41, 61)
        wait_for("batches after another loss", lambda: has(mariadb, 60))
        assert process.poll() is None
    second.close()
    assert mariadb.sql("SELECT SUM(bytes) FROM channel_traffic", "edgetally") == "600\n"


def test_a_server_that_freezes_in_mid_work(
    tcp: DatabaseConfig, gearmand: servers.Server, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    """It is waited for no longer than the lease lasts: a standby would be at work by then."""
    first = Proxy(mariadb.port)
    first.start()
    hosts = (f"127.0.0.1:{first.port}", f"127.0.0.1:{mariadb.port}")
    file = aggregator_file(tmp_path, tcp._replace(hosts=hosts), gearmand.address)
    with aggregator(file):
        for low, high in ((1, 11), (11, 21)):
            job_servers.submit(
                [gearmand.address], FUNCTION, [job_servers.Job(f"j{n}", payload(n)) for n in range(low, high)]
            )
            wait_for(f"{high - 1} batches", partial(has, mariadb, high - 1), 45)
            first.frozen.set()
    first.close()


def test_migrate_reaches_the_database_as_the_service_does(
    tcp: DatabaseConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    hosts = (f"127.0.0.1:{servers.free_port()}", f"127.0.0.1:{mariadb.port}")
    file = aggregator_file(tmp_path, tcp._replace(hosts=hosts), "127.0.0.1:1")
    done = run("migrate", "--config", str(file))
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (0, "nothing to do\n")
