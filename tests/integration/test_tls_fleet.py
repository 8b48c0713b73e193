"""An edge and an aggregator over TLS: the whole way, who works there, and how a running fleet comes to it."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import DatabaseConfig
from edgetally.wire.batch import FUNCTION
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, aggregator, aggregator_file, queue, run, wait_for
from tests.support import servers
from tests.support.edge import Edge, Writer
from tests.support.tls import stunnel, tls_folder

NAMES = ["edge1", "agg1", "jobs1"]


@pytest.fixture
def front(gearmand: servers.Server, tmp_path: Path) -> Iterator[servers.Server]:
    """A stunnel that admits edge1 and agg1."""
    with stunnel(gearmand, tls_folder(tmp_path / "jobs1", "jobs1", server=True), NAMES) as server:
        yield server


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """An edge that is known to the aggregator; it speaks to nobody yet."""
    key = derive_key(MASTER, "edge1")
    folder = tmp_path / "edge"
    folder.mkdir()
    return Edge(folder, key_id=key.id, key=key.secret.hex(), include_existing=True, receipt_wait=20)


def status(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("status", "--config", str(file), "--output", "json").stdout)
    return found


def ship(edge: Edge, server: servers.Server, folder: str) -> subprocess.CompletedProcess[str]:
    """A run of the edge by way of a server. folder: of what TLS needs; empty for plain TCP."""
    pid = (edge.folder / "pid").read_text()
    edge.set(job_servers=[server.address], tls=folder, reopen=f"kill -USR1 {pid}")
    return run("ship", "--config", str(edge.file), "--now")


def test_the_whole_way(
    front: servers.Server, gearmand: servers.Server, edge: Edge, database: DatabaseConfig, tmp_path: Path
) -> None:
    """A batch, its receipt, a canary and the status go over TLS. A worker of the aggregator's name is flagged."""
    agg1 = str(tls_folder(tmp_path / "agg1", "agg1"))
    file = aggregator_file(tmp_path, database, front.address, tls=agg1)
    with aggregator(file), Writer(edge.log) as server:
        wait_for("active aggregator", lambda: queue(gearmand, FUNCTION)[2])
        (edge.folder / "pid").write_text(str(server.pid))
        server.write(5)
        done = ship(edge, front, str(tls_folder(tmp_path / "edge1", "edge1")))
        assert (done.returncode, done.stderr) == (0, "")
        assert len(edge.bodies("sent")) == 1
        assert run("canary", "--config", str(file)).returncode == 0
        found = status(file)
        assert (found["state"], found["tls"], found["certificate"]["name"]) == ("ok", True, "agg1")
        (one,) = found["job_servers"]
        assert one["up"]
        assert one["certificate_ends"] > found["time"] + 700 * 86400
        (worker,) = one["workers"]
        with registered(gearmand, worker["client_id"]):
            wait_for("second worker", lambda: queue(gearmand, FUNCTION)[2] == 2)
            found = status(file)
    assert found["state"] == "warning"
    assert [one["address"] for one in found["job_servers"][0]["workers"]] == ["127.0.0.1"] * 2
    (problem,) = found["problems"]
    assert problem.startswith(
        f"2 workers at {front.address} are called '{worker['client_id']}', as the active aggregator"
    )


def registered(server: servers.Server, name: str) -> socket.socket:
    """Somebody who is registered for batches under a name, and takes none."""
    link = socket.create_connection((server.host, server.port), 5)
    for kind, text in ((22, name.encode()), (1, FUNCTION.encode())):
        link.sendall(b"\0REQ" + struct.pack(">II", kind, len(text)) + text)
    return link


def test_a_running_fleet_comes_to_tls_and_loses_nothing(
    gearmand: servers.Server, edge: Edge, database: DatabaseConfig, tmp_path: Path
) -> None:
    """Plain, then both ports, then TLS alone, with batches under way at each step, in the order of a rollout.

    At each step an edge that is still as before delivers, but for the last: what it has stays with it until it is
    rolled out, too.
    """
    tls = {name: str(tls_folder(tmp_path / name, name, server=name == "jobs1")) for name in NAMES}
    with Writer(edge.log) as server, stunnel(gearmand, Path(tls["jobs1"]), NAMES) as front:
        (edge.folder / "pid").write_text(str(server.pid))

        def send(way: servers.Server, folder: str) -> int:
            server.write(7)
            return ship(edge, way, folder).returncode

        plain = aggregator_file(tmp_path, database, gearmand.address, lease_seconds=3)
        with aggregator(plain):
            wait_for("active aggregator", lambda: queue(gearmand, FUNCTION)[2])
            assert send(gearmand, "") == 0
        for way, folder in ((gearmand, ""), (front, tls["edge1"])):  # both ports; the aggregator is under way
            edge.set(receipt_wait=0)
            send(way, folder)
        assert queue(gearmand, FUNCTION)[0] >= 2
        with aggregator(aggregator_file(tmp_path, database, front.address, tls=tls["agg1"], lease_seconds=3)):
            wait_for("taken over", lambda: queue(gearmand, FUNCTION)[2] and queue(gearmand, FUNCTION)[0] == 0)
            edge.set(receipt_wait=20)
            assert send(gearmand, "") == 0
            assert send(front, tls["edge1"]) == 0
            edge.set(receipt_wait=0)
            send(front, tls["edge1"])
            gearmand.kill()  # the plain port is closed: gearmand starts anew, for stunnel alone
            closed = f"127.0.0.1:{servers.free_port()}"
            server.write(7)
            edge.set(job_servers=[closed], tls="")
            assert run("ship", "--config", str(edge.file), "--now").returncode == 1
            assert edge.bodies("outbox")
            gearmand.start()
            edge.set(receipt_wait=20)
            assert send(front, tls["edge1"]) == 0
            assert edge.bodies("outbox") == []
    config = str(tmp_path / "aggregator.json")
    bill = json.loads(run("report", "--config", config, "--output", "json").stdout)
    requests = sum(channel["requests"] for channel in bill["channels"])
    assert (requests, run("audit", "--config", config).returncode) == (server.number, 0)
