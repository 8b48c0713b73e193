"""What goes wrong around an edge, and its defined outcome: a black hole, a key that changes, a day without a run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig
from edgetally.edge import deliver
from edgetally.edge.state import save_state
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, aggregator, aggregator_file, listener, queue, wait_for
from tests.support import servers
from tests.support.edge import Edge, line

NEW_MASTER = "the master key that comes after, long enough"


def keyed(master: str) -> dict[str, str]:
    key = derive_key(master, "edge1")
    return {"key_id": key.id, "key": key.secret.hex()}


def make(folder: Path, *job_servers: str, lines: int = 3) -> Edge:
    """An edge whose outbox has a batch of some lines."""
    edge = Edge(folder, job_servers=list(job_servers), receipt_wait=1, include_existing=True, **keyed(MASTER))
    edge.log.write_text("".join(line(number) for number in range(lines)))
    edge.rotate()
    return edge


def send(edge: Edge) -> list[str]:
    """One delivery; what it said."""
    said: list[str] = []
    deliver.Delivery(edge.config, edge.spool, said.append).run(time.time(), now=True)
    return said


def counted(mariadb: servers.MariaDB) -> int:
    return int(mariadb.sql("SELECT COALESCE(SUM(requests), 0) FROM channel_traffic", "edgetally"))


def test_a_job_server_that_accepts_and_never_answers_is_left_for_the_second(
    tmp_path: Path,
    gearmand: servers.Server,
    database: DatabaseConfig,
    mariadb: servers.MariaDB,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wait for it is bounded, and the run goes on with the next of its list, for batches and receipts alike."""
    monkeypatch.setattr(deliver, "SUBMIT_SECONDS", 0.5)
    monkeypatch.setattr(deliver, "FIRST_ASK_SECONDS", 0.5)
    with listener(None) as hole, aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        wait_for("active aggregator", lambda: queue(gearmand, "edgetally.batch")[2])
        edge = make(tmp_path, hole, gearmand.address)
        wait_for("empty outbox", lambda: send(edge) == [] and edge.bodies() == [])
    assert counted(mariadb) == 3


def test_a_key_is_rotated_aggregator_first(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB
) -> None:
    """A batch that was signed with the old key waits in the queue and in the outbox: it is counted once."""
    edge = make(tmp_path, gearmand.address)
    send(edge)
    assert queue(gearmand, "edgetally.batch")[0] == 1
    edge.set(**keyed(NEW_MASTER))
    file = aggregator_file(tmp_path, database, gearmand.address, master_keys=[NEW_MASTER, MASTER], lease_seconds=2)
    with aggregator(file):
        wait_for("empty outbox", lambda: send(edge) == [] and edge.bodies() == [])
    assert counted(mariadb) == 3
    assert mariadb.sql("SELECT COUNT(*) FROM quarantine", "edgetally") == "0\n"


def test_a_key_that_the_aggregator_does_not_know_yet_loses_nothing(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB
) -> None:
    """The edge was rolled out first: nothing is confirmed or held, it is said, and later the same batch is counted."""
    edge = make(tmp_path, gearmand.address)
    edge.set(**keyed(NEW_MASTER))
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        said = wait_for("refusal", lambda: [text for text in send(edge) if "edgetally_master_key" in text])
        assert "does not know this edge, or not its key" in said[0]
    assert (counted(mariadb), len(edge.bodies()), edge.bodies("held")) == (0, 1, [])
    file = aggregator_file(tmp_path, database, gearmand.address, master_keys=[NEW_MASTER, MASTER], lease_seconds=2)
    with aggregator(file):
        wait_for("empty outbox", lambda: send(edge) == [] and edge.bodies() == [])
    assert counted(mariadb) == 3


def test_after_a_day_without_a_run_one_batch_has_all_of_it(tmp_path: Path) -> None:
    """Its covers are the whole day, so no slot is missing, and each line is in its own slot."""
    edge = make(tmp_path, "127.0.0.1:1")
    state = edge.state
    day_ago = round(time.time() - 86400, 3)
    save_state(edge.spool, "access", state._replace(last_to=day_ago))
    times = [day_ago + 100, day_ago + 40_000, time.time() - 10]
    edge.log.write_text("".join(line(number, when) for number, when in enumerate(times)))
    edge.rotate()
    body = edge.bodies()[-1]
    assert (body["seq"], body["covers"][0], body["skewed"]) == (2, day_ago, 0)
    assert [row[0] for row in body["rows"]] == [int(when) // 300 * 300 for when in times]


def test_a_batch_of_a_clock_that_is_ahead_is_held(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB
) -> None:
    """A batch that ends an hour ahead of the database is refused, kept, and named; nothing of it is counted or lost."""
    edge = make(tmp_path, gearmand.address)
    state = edge.state
    ahead = round(time.time() + 3600, 3)
    save_state(edge.spool, "access", state._replace(last_to=ahead))
    edge.log.write_text(line(5))
    edge.rotate()
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        wait_for("empty outbox", lambda: (send(edge), edge.bodies() == [])[1])
    (held,) = edge.spool.batches(edge.spool.held)
    assert (held.seq, edge.spool.reason(held)) == (2, "quarantined:clock")
    assert counted(mariadb) == 3
    assert len(list(edge.spool.raw.rglob("*-2-*.gz"))) == 1
