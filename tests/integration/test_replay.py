"""A wrong channel map is mended: the counters become those of the right map, whatever order the corrections come in."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig
from edgetally.edge.deliver import Delivery
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, aggregator, aggregator_file, run, wait_for
from tests.support import servers
from tests.support.edge import Edge, Writer, line

RIGHT = [
    {"channel": "live", "host": "a.example.com", "path": "/1"},
    {"channel": "web", "host": "a.example.com"},
    {"channel": "news", "host": "b.example.com"},
]


def counters(mariadb: servers.MariaDB) -> list[tuple[str, int, int]]:
    """(channel, requests, bytes) of every channel that has any, of both tables alike."""
    sums = [
        mariadb.sql(
            f"SELECT c.name, SUM(t.requests), SUM(t.bytes) FROM {table} t JOIN channel c ON c.id = t.channel_id "
            "GROUP BY 1 HAVING SUM(t.requests) ORDER BY 1",
            "edgetally",
        )
        for table in ("traffic", "channel_traffic")
    ]
    assert sums[0] == sums[1]
    rows = [row.split("\t") for row in sums[0].splitlines()]
    return [(name, int(requests), int(size)) for name, requests, size in rows]


@pytest.mark.parametrize("order", ["sent", "waiting", "reversed"])
def test_a_replayed_map_counts_as_if_it_had_been_right_from_the_start(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB, order: str
) -> None:
    """sent: the corrections follow; waiting: both wait and go out together; reversed: the corrections arrive first."""
    key = derive_key(MASTER, "edge1")
    edge = Edge(
        tmp_path,
        key_id=key.id,
        key=key.secret.hex(),
        job_servers=[gearmand.address],
        receipt_wait=1,
        include_existing=True,
    )

    def delivered() -> bool:
        Delivery(edge.config, edge.spool, print).run(time.time(), now=True)
        return edge.bodies() == []

    def ship() -> None:
        with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
            wait_for("empty outbox", delivered)

    with Writer(edge.log) as server:
        edge.set(reopen=f"kill -USR1 {server.pid}")
        for start in (0, 10, 100):
            with edge.log.open("a") as log:
                for number in range(start, start + 10):
                    log.write(line(number, host=f"{'ab'[number % 2]}.example.com"))
            edge.rotate()
    if order == "sent":
        ship()
        assert [name for name, _, _ in counters(mariadb)] == ["unassigned", "web"]
    (tmp_path / "channels.json").write_text(json.dumps(RIGHT))
    done = run("replay", "--config", str(edge.file), "--from", "2020-01-01", "--to", "2100-01-01")
    assert (done.returncode, done.stderr) == (0, "")
    assert "corrected 3 of 3 batches" in done.stdout or order == "sent"
    if order == "reversed":
        older = [name for name in edge.spool.batches(edge.spool.outbox) if name.revision == 0]
        for name in older:
            os.rename(edge.spool.outbox / str(name), tmp_path / str(name))
        ship()
        for name in older:
            os.rename(tmp_path / str(name), edge.spool.outbox / str(name))
    ship()
    numbers = [*range(20), *range(100, 110)]
    live = [number for number in numbers if number % 2 == 0 and str(number).startswith("1")]
    web = [number for number in numbers if number % 2 == 0 and not str(number).startswith("1")]
    news = [number for number in numbers if number % 2]
    assert counters(mariadb) == [
        (name, len(those), sum(number + 1000 for number in those))
        for name, those in (("live", live), ("news", news), ("web", web))
    ]
    again = run("replay", "--config", str(edge.file), "--from", "2020-01-01", "--to", "2100-01-01")
    assert "corrected 0 of" in again.stdout
