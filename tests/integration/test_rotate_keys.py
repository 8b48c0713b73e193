"""Another master key for the fleet, as docs/how-to/rotate-keys.md says: no batch is lost or refused on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig
from edgetally.wire.batch import FUNCTION
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, aggregator, aggregator_file, queue, wait_for
from tests.integration.test_pipeline import Edge, counted
from tests.integration.test_pipeline import edge as edge
from tests.support import servers

NEW = "another master key for the tests, and longer"


def roll_out(edge: Edge, master: str) -> None:
    """What the role does on an edge."""
    key = derive_key(master, "edge1")
    edge.config.write_text(
        json.dumps({**json.loads(edge.config.read_text()), "key_id": key.id, "key": key.secret.hex()})
    )


@pytest.mark.parametrize("hurry", [False, True])
def test_nothing_is_lost(
    edge: Edge,
    gearmand: servers.Server,
    database: DatabaseConfig,
    mariadb: servers.MariaDB,
    tmp_path: Path,
    hurry: bool,
) -> None:
    """hurry: the old key goes before the edge has the new one."""
    edge.get("news.example.com", 3)
    edge.ship()  # signed with the old key, and taken by the job server alone
    both = {"master_keys": [NEW] if hurry else [NEW, MASTER], "lease_seconds": 2}
    with aggregator(aggregator_file(tmp_path, database, gearmand.address, **both)):
        edge.get("news.example.com", 2)
        late = edge.ship()  # it was not reached by the rollout yet
        assert ("cannot be trusted" in late.stderr) == hurry
        roll_out(edge, NEW)
        edge.get("news.example.com", 1)
        wait_for("all batches", lambda: edge.ship() and not edge.files("outbox"))
        wait_for("empty queue", lambda: queue(gearmand, FUNCTION)[0] == 0)
    with aggregator(aggregator_file(tmp_path, database, gearmand.address, master_keys=[NEW], lease_seconds=2)):
        edge.get("news.example.com", 4)
        wait_for("the last batch", lambda: edge.ship() and not edge.files("outbox"))
    assert counted(mariadb) == {"news": 10}
    assert edge.files("held") == []
    left = mariadb.sql("SELECT COUNT(*) FROM quarantine WHERE reason <> 'foreign'", "edgetally")
    assert left == "0\n"
