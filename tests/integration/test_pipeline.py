"""The whole way of the data on loopback: a real nginx, `ship`, gearmand, the aggregator, MariaDB, the report."""

from __future__ import annotations

import dataclasses
import gzip
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import DatabaseConfig
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, aggregator, aggregator_file, queue, run, wait_for
from tests.support import servers

FORMAT = (
    'log_format edgetally \'$msec $host "$request" $status $bytes_sent $request_time $upstream_cache_status '
    '"$http_user_agent"\';'
)
NGINX = (
    FORMAT
    + """
server {
    listen 127.0.0.1:{port};
    access_log {folder}/access.log edgetally;
    location / { return 200 "0123456789"; }
}
"""
)
CHANNELS = [{"channel": "news", "host": "news.example.com"}, {"channel": "video", "host": "*.v.example.com"}]


@dataclasses.dataclass
class Edge:
    """An nginx whose log is shipped, and what its clients have received."""

    server: servers.Server
    folder: Path
    config: Path
    sent: dict[str, int] = dataclasses.field(default_factory=dict)

    def get(self, host: str, count: int = 1) -> None:
        for _ in range(count):
            connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=10)
            connection.request("GET", "/page", headers={"Host": host})
            connection.getresponse().read()
            connection.close()
            self.sent[host] = self.sent.get(host, 0) + 1

    def ship(self, *options: str) -> Any:
        return run("ship", "--config", str(self.config), "--now", *options)

    def files(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.folder / "spool" / folder).iterdir())

    def archived(self) -> bytes:
        return b"".join(gzip.decompress(path.read_bytes()) for path in (self.folder / "spool" / "raw").rglob("*.gz"))


@pytest.fixture
def edge(tmp_path: Path, gearmand: servers.Server) -> Iterator[Edge]:
    """An edge whose first (empty) batch is in the queue: what follows is all counted."""
    folder = tmp_path / "edge"
    with servers.nginx(NGINX, folder / "nginx") as server:
        (folder / "channels.json").write_text(json.dumps(CHANNELS))
        key = derive_key(MASTER, "edge1")
        data = {
            "edge": "edge1",
            "user": "",
            "key_id": key.id,
            "key": key.secret.hex(),
            "job_servers": [gearmand.address],
            "spool": str(folder / "spool"),
            "channels": str(folder / "channels.json"),
            "splay": 0,
            "receipt_wait": 1,
            "logs": [
                {
                    "name": "access",
                    "path": str(server.folder / "access.log"),
                    "server": "nginx",
                    "format": FORMAT,
                    "reopen": f'kill -USR1 "$(cat {server.folder}/nginx.pid)"',
                }
            ],
        }
        config = folder / "edge.json"
        config.write_text(json.dumps(data))
        made = Edge(server, folder, config)
        assert made.ship().returncode == 0
        yield made


def counted(mariadb: servers.MariaDB) -> dict[str, int]:
    text = mariadb.sql(
        "SELECT c.name, SUM(t.requests) FROM channel_traffic t JOIN channel c ON c.id = t.channel_id GROUP BY 1",
        "edgetally",
    )
    return {name: int(requests) for name, requests in (line.split("\t") for line in text.splitlines())}


def bytes_counted(mariadb: servers.MariaDB) -> int:
    return int(mariadb.sql("SELECT COALESCE(SUM(bytes), 0) FROM channel_traffic", "edgetally"))


def test_what_clients_asked_for_is_what_is_billed(
    edge: Edge, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        for round_ in range(3):
            edge.get("news.example.com", 5)
            edge.get("a.v.example.com", 3)
            edge.get("else.example.org", 1)
            done = edge.ship()
            assert (done.returncode, done.stderr) == (0, ""), f"round {round_}"
        wait_for("empty outbox", lambda: edge.ship().returncode == 0 and edge.files("outbox") == [])
    assert counted(mariadb) == {"news": 15, "video": 9, "unassigned": 3}
    lines = edge.archived().splitlines()
    assert len(lines) == 27
    assert bytes_counted(mariadb) == sum(int(line.split()[6]) for line in lines)
    assert mariadb.sql("SELECT host, requests FROM unassigned_host", "edgetally") == "else.example.org\t3\n"
    assert mariadb.sql("SELECT COUNT(*) FROM v_stream_gaps", "edgetally") == "0\n"
    assert queue(gearmand, "edgetally.batch")[0] == 0


def test_bytes_that_were_sent_before_their_slot_are_billed_there(
    edge: Edge, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    """With `spread`: the ledger takes the rows of slots in which no request ended, and those before the interval."""
    config = json.loads(edge.config.read_text())
    config["logs"][0] |= {"spread": True, "max_spread": 3600}
    edge.config.write_text(json.dumps(config))
    end = int(time.time()) // 300 * 300 - 300
    with (edge.server.folder / "access.log").open("a") as log:
        log.write(f'{end + 60}.000 news.example.com "GET / HTTP/1.1" 200 6600 660.000 HIT "agent"\n')
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        wait_for("empty outbox", lambda: edge.ship().returncode == 0 and edge.files("outbox") == [])
    rows = mariadb.sql("SELECT slot, requests, bytes, hits, hit_bytes FROM channel_traffic ORDER BY slot", "edgetally")
    assert [tuple(map(int, row.split("\t"))) for row in rows.splitlines()] == [
        (end - 600, 0, 3000, 0, 3000),
        (end - 300, 0, 3000, 0, 3000),
        (end, 1, 600, 1, 600),
    ]
    assert edge.files("held") == []


def test_an_absent_aggregator_and_a_wiped_queue_lose_nothing(
    edge: Edge, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    """The edge's disk is the durable store: gearmand may forget everything."""
    edge.get("news.example.com", 4)
    assert edge.ship().returncode == 0, "nobody confirms yet, and that is ordinary for a while"
    gearmand.kill()
    (gearmand.folder / "queue.db").unlink()
    edge.get("news.example.com", 3)
    done = edge.ship()
    assert done.returncode == 1
    assert "no job server took the batches" in done.stderr
    gearmand.start()
    assert len(edge.files("outbox")) == 3
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        wait_for("empty outbox", lambda: edge.ship().returncode == 0 and edge.files("outbox") == [])
    assert counted(mariadb) == {"news": 7}


def test_lost_sent_batches_come_back_with_reconcile(
    edge: Edge, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    """The database is rolled back to last night's backup: what it does not know any more is sent again."""
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        edge.get("news.example.com", 6)
        wait_for("empty outbox", lambda: edge.ship().returncode == 0 and edge.files("outbox") == [])
        mariadb.sql(
            "DELETE FROM batch; DELETE FROM batch_body; DELETE FROM traffic; DELETE FROM channel_traffic", "edgetally"
        )
        assert edge.ship("--reconcile").returncode == 0
        wait_for("empty outbox", lambda: edge.ship().returncode == 0 and edge.files("outbox") == [])
    assert counted(mariadb) == {"news": 6}


def test_another_ledger_is_refused(
    edge: Edge, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    """A database that was made anew confirms nothing that the old one had: a person must decide."""
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        wait_for("empty outbox", lambda: edge.ship().returncode == 0 and edge.files("outbox") == [])
        mariadb.sql("UPDATE ledger SET id = UUID()", "edgetally")
        edge.get("news.example.com")
        done = edge.ship()
    assert done.returncode == 1
    assert "the aggregator's database is another one" in done.stderr
    assert str(edge.folder / "spool" / "wire" / "ledger") in done.stderr
    assert len(edge.files("outbox")) == 1


def test_an_edge_learns_from_its_receipts_how_wrong_its_clock_is(
    edge: Edge, gearmand: servers.Server, database: DatabaseConfig, tmp_path: Path
) -> None:
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        wait_for("empty outbox", lambda: edge.ship().returncode == 0 and edge.files("outbox") == [])
    clock = json.loads(run("status", "--config", str(edge.config), "--output", "json").stdout)["clock"]
    assert abs(clock["offset"]) <= clock["accuracy"] + 0.05, "they are one machine"
    assert clock["age"] < 60


def test_status_tells_how_an_edge_is(edge: Edge) -> None:
    done = run("status", "--config", str(edge.config), "--output", "json")
    status = json.loads(done.stdout)
    assert done.returncode == 0
    assert status["state"] == "ok"
    assert run("status", "--config", str(edge.config)).stdout.startswith("edge edge1: ok")
