"""A Galera cluster: what only its nodes say, and that every batch counts once all the same."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence

import pymysql
import pytest

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger import migrate
from edgetally.ledger.aggregator import Aggregator
from edgetally.ledger.database import RETRY, DatabaseError, connect, error_code
from edgetally.ledger.incoming import Incoming
from edgetally.ledger.transaction import Transaction
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import derive_key, seal
from tests.integration.conftest import MASTER, wait_for
from tests.support import servers

START = int(time.time()) // 300 * 300 - 7200
LONG = 60.0


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[servers.MariaDB]]:
    with servers.galera(2) as nodes:
        wait_for("both nodes in the cluster", lambda: {state(node) for node in nodes} == {"Synced 2"}, LONG)
        yield nodes


@pytest.fixture
def aggregator(nodes: list[servers.MariaDB], capsys: pytest.CaptureFixture[str]) -> Iterator[Aggregator]:
    """An aggregator that holds the writer's row, on the first node."""
    admin = DatabaseConfig("root", "", "mysql", socket=str(nodes[0].socket))
    hosts = tuple(node.address for node in nodes)
    database = DatabaseConfig("edgetally", "secret", "edgetally", hosts=hosts)
    config = AggregatorConfig(("127.0.0.1:1",), (MASTER,), database)
    nodes[0].sql("DROP DATABASE IF EXISTS edgetally")
    over_socket = database._replace(socket=admin.socket)
    migrate.migrate(config._replace(database=over_socket), admin, "127.0.0.1", None)
    capsys.readouterr()
    aggregator = Aggregator(config)
    assert aggregator.ledger.acquire()
    yield aggregator
    aggregator.ledger.disconnect()


def state(node: servers.MariaDB) -> str:
    """A node's state and how many nodes it sees, such as `Synced 2`."""
    wanted = ("wsrep_local_state_comment", "wsrep_cluster_size")
    return " ".join(node.sql(f"SHOW STATUS LIKE '{name}'").split()[1] for name in wanted)


def incoming(seq: int) -> Incoming:
    start = START + 300 * seq
    covers = (None if seq == 1 else float(start), start + 300.0)
    batch = Batch("edge1/access", f"{1:016x}", seq, covers, ("news",), ((start, 0, 1, 100, None, None),))
    (body,) = batch.encode()
    return Incoming(seal(batch.stream, derive_key(MASTER, "edge1"), body), batch.stream, body, batch)


def sums(nodes: Sequence[servers.MariaDB]) -> list[str]:
    """Batches and bytes, as each node knows them."""
    query = "SET SESSION wsrep_sync_wait = 1; SELECT (SELECT COUNT(*) FROM batch), SUM(bytes) FROM channel_traffic"
    return [node.sql(query, "edgetally").strip() for node in nodes]


def test_a_commit_that_another_node_overtakes_is_tried_again(
    aggregator: Aggregator,
    nodes: list[servers.MariaDB],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A command writes over the second node while the aggregator's transaction is open: its COMMIT is told 1213."""
    record = Transaction.record
    tries: list[int] = []

    def overtaken(self: Transaction, group: Sequence[Incoming]) -> list[str]:
        states = record(self, group)
        if not tries:
            nodes[1].sql("UPDATE writer SET txn = txn + 1", "edgetally")
        tries.append(self.commit_no)
        return states

    monkeypatch.setattr(Transaction, "record", overtaken)
    aggregator._commit([incoming(1), incoming(2)])
    assert len(tries) == 2
    assert tries[1] == tries[0] + 1, "the other's transaction has the number that was lost"
    assert sums(nodes) == ["2\t200"] * 2
    assert "away" not in capsys.readouterr().err


def test_a_node_without_the_majority_is_waited_for(aggregator: Aggregator, nodes: list[servers.MariaDB]) -> None:
    """It takes connections and refuses queries: nothing is counted until the cluster is whole again, then once."""
    alone = aggregator.config.database._replace(hosts=(nodes[0].address,))
    nodes[1].signal(signal.SIGSTOP)
    try:
        wait_for("loss of the majority", lambda: state(nodes[0]) == "Initialized 1", LONG)
        with pytest.raises(DatabaseError, match=r"WSREP has not yet prepared node|Lock wait timeout") as refused:
            connect(alone)
        assert refused.value.code in (1047, 1205)
        assert refused.value.code in RETRY
        with pytest.raises(pymysql.MySQLError) as lost:
            aggregator.ledger.commit([incoming(1)])
        assert error_code(lost.value) in RETRY
    finally:
        nodes[1].signal(signal.SIGCONT)
    aggregator._commit([incoming(1)])
    assert sums(nodes) == ["1\t100"] * 2
