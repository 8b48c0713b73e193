"""What real servers say that they have sent is what their clients received."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from edgetally.config import CounterConfig
from edgetally.edge.server_counters import counted
from edgetally.edge.unprivileged import User
from edgetally.errors import EdgetallyError
from tests.integration.conftest import wait_for
from tests.integration.test_real_servers import open_folder, written
from tests.support import servers
from tests.support.edge import Edge
from tests.support.odd_traffic import HOST, Origin, get, origin

SIZES = (0, 1, 1000, 70_000, 3_000_000)
Running = AbstractContextManager[tuple[servers.Server, str]]


@contextmanager
def squid(folder: Path, behind: Origin) -> Iterator[tuple[servers.Server, str]]:
    config = f"""
http_port {HOST}:{{port}} accel
cache_peer {HOST} parent {behind.port} 0 no-query originserver
never_direct allow all
http_access allow all
access_log stdio:{{folder}}/all.log squid
access_log stdio:{{folder}}/clients.log squid !manager
buffered_logs off
"""
    with servers.squid(config, folder) as server:
        yield server, server.address


@contextmanager
def haproxy(folder: Path, behind: Origin) -> Iterator[tuple[servers.Server, str]]:
    config = f"""
global
    stats socket {{folder}}/admin.sock
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend edge
    bind {HOST}:{{port}}
    default_backend origin
backend origin
    server behind {HOST}:{behind.port}
"""
    with servers.haproxy(config, folder) as server:
        yield server, f"{folder}/admin.sock"


@contextmanager
def trafficserver(folder: Path, behind: Origin) -> Iterator[tuple[servers.Server, str]]:
    with servers.trafficserver(f"{HOST}:{behind.port}", "logging: {}\n", folder, managed=True) as server:
        root = f"{folder}/runroot.yaml"
        wait_for("metrics with traffic_manager", lambda: tells(CounterConfig("trafficserver", root)))
        yield server, root


@contextmanager
def varnish(folder: Path, behind: Origin) -> Iterator[tuple[servers.Server, str]]:
    vcl = f'vcl 4.1; backend behind {{ .host = "{HOST}"; .port = "{behind.port}"; }}'
    with servers.varnish(vcl, {}, folder) as server:
        yield server, f"{folder}/work"


def tells(one: CounterConfig) -> bool:
    """Whether a server tells what it has sent."""
    with suppress(EdgetallyError):
        return counted(one, None) >= 0
    return False


def received(port: int, size: int) -> int:
    """How many bytes a client gets for a body of a size."""
    with socket.create_connection((HOST, port), 20) as client:
        client.sendall(get("a.test", f"/size/{size}"))
        total = 0
        while data := client.recv(1 << 16):
            total += len(data)
        return total


# By server: how many bytes of each answer its counter may lack; what it counts besides, as its answers to us, in KiB.
Start = Callable[[Path, Origin], Running]
TELLS: dict[Start, tuple[int, int]] = {
    haproxy: (28, 0),
    trafficserver: (0, 0),
    varnish: (0, 0),
    squid: (0, 10 << 10),
}


@pytest.mark.parametrize("start", TELLS)
def test_a_servers_counter_grows_by_what_its_clients_received(start: Start) -> None:
    lacks, besides = TELLS[start]
    with open_folder() as folder, origin() as behind, start(folder, behind) as (server, at):
        one = CounterConfig(start.__name__, at)
        before = counted(one, None)
        got = sum(received(server.port, size) for size in SIZES)
        wait_for("all answers in the counter", lambda: counted(one, None) - before >= got - lacks * len(SIZES), 20)
        assert counted(one, None) - before <= got + besides


def test_squid_leaves_the_question_out_of_a_log_of_clients() -> None:
    with open_folder() as folder, origin() as behind, squid(folder, behind) as (server, at):
        counted(CounterConfig("squid", at), None)
        received(server.port, 1)
        wait_for("a line", lambda: b"/size/1" in written(folder / "all.log"))
        assert b"cache_object:" in written(folder / "all.log")
        assert written(folder / "clients.log").count(b"\n") == 1


@pytest.mark.parametrize(
    ("program", "at", "said"),
    [
        ("squid", f"{HOST}:1", "Connection refused"),
        ("haproxy", "/nowhere/admin.sock", "No such file"),
        ("trafficserver", "", "traffic_ctl says"),
        ("trafficserver", "/nowhere", "there is no run root /nowhere"),
        ("varnish", "/nowhere", "varnishstat says"),
    ],
)
def test_a_server_that_cannot_be_asked_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], program: str, at: str, said: str
) -> None:
    """And what its interface counted is told all the same, and the log shipped."""
    edge = Edge(tmp_path, interface="lo", counters=[{"program": program, "at": at}])
    edge.log.touch()
    for _ in range(2):
        assert edge.rotate() == 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:  # nobody else may send anything
            sender.sendto(b"something", (HOST, 9))
    problem = capsys.readouterr().err
    assert f"the counters of {' '.join(filter(None, (program, at)))} cannot be read" in problem
    assert said in problem
    (told,) = [body["extra"]["counters"] for body in edge.bodies() if "extra" in body]
    assert told["server"] is None
    assert told["wire"] > 0


def test_what_the_servers_of_an_edge_counted_travels_with_a_batch(tmp_path: Path) -> None:
    with open_folder() as folder, origin() as behind, haproxy(folder, behind) as (server, at):
        edge = Edge(tmp_path, interface="lo", counters=[{"program": "haproxy", "at": at}])
        edge.log.touch()
        assert edge.rotate() == 0
        got = received(server.port, 70_000)
        wait_for("the answer in the counter", lambda: counted(CounterConfig("haproxy", at), None) >= got - 28)
        assert edge.rotate() == 0
        (told,) = [body["extra"]["counters"] for body in edge.bodies() if "extra" in body]
        assert got - 28 <= told["server"] <= got
        assert told["wire"] > told["server"]  # with the heads of TCP and IP, and what the origin sent


@pytest.mark.parametrize(("start", "told"), [(haproxy, None), (trafficserver, 0)])
def test_a_server_that_is_started_again(tmp_path: Path, start: Start, told: int | None) -> None:
    """Of one that counts from nothing again nothing is told; Traffic Server goes on from what it had counted."""
    with open_folder() as folder, origin() as behind, start(folder, behind) as (server, at):
        one = CounterConfig(start.__name__, at)
        edge = Edge(tmp_path, interface="lo", counters=[one._asdict()])
        edge.log.touch()
        got = received(server.port, 70_000)
        wait_for("the answer in the counter", lambda: counted(one, None) >= got - 28)
        assert edge.rotate() == 0
        server.stop()
        server.start()
        wait_for("an answer", lambda: tells(one))
        assert edge.rotate() == 0
        (counters,) = [body["extra"]["counters"] for body in edge.bodies() if "extra" in body]
        assert counters["server"] == told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root leaves the question to a user without rights")
def test_a_server_that_a_user_without_rights_cannot_reach() -> None:
    with pytest.raises(EdgetallyError, match=f"squid's cache manager at {HOST}:1 does not answer"):
        counted(CounterConfig("squid", f"{HOST}:1"), User(65534, 65534))


def test_a_server_that_drips_is_not_waited_for() -> None:
    """Each byte comes in time, and the answer never: the rotation must go on."""
    with socket.create_server((HOST, 0)) as listener:
        stop = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                while not stop.wait(0.2):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(TimeoutError):
                counted(CounterConfig("squid", f"{HOST}:{listener.getsockname()[1]}"), None)
        finally:
            stop.set()
            thread.join()
