"""The module gearman_queue_info against a real gearmand: its numbers are what the server holds.

EDGETALLY_GEARMAND names another gearmand than Debian's, such as a 0.14.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.integration.conftest import wait_for
from tests.support import ROOT, servers
from tests.unit.library.test_gearman_queue_info import info

CAN_DO, GRAB_JOB, NO_JOB, JOB_ASSIGN, WORK_COMPLETE, SUBMIT_JOB_BG = 1, 9, 10, 11, 13, 18
SUBMIT_JOB_HIGH_BG, SUBMIT_JOB_LOW_BG, SET_CLIENT_ID = 32, 34, 22
JOB_CREATED = 8
BATCH = b"edgetally.batch"


class Peer:
    """A client or worker that speaks just enough of gearman's binary protocol."""

    def __init__(self, server: servers.Server) -> None:
        self.socket = socket.create_connection((server.host, server.port), 10)
        self.stream = self.socket.makefile("rb")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, kind: int, *arguments: bytes) -> None:
        body = b"\0".join(arguments)
        self.socket.sendall(b"\0REQ" + struct.pack(">II", kind, len(body)) + body)

    def receive(self) -> tuple[int, list[bytes]]:
        kind, size = struct.unpack(">4xII", self.stream.read(12))
        return kind, self.stream.read(size).split(b"\0", 1)

    def submit(self, function: bytes, unique: bytes) -> None:
        """Submit a background job; back when the server has it on disk."""
        self.send(SUBMIT_JOB_BG, function, unique, b"payload")
        assert self.receive()[0] == JOB_CREATED

    def take(self) -> bytes:
        """Take a job and return its handle."""
        self.send(GRAB_JOB)
        kind, arguments = self.receive()
        assert kind == JOB_ASSIGN
        return arguments[0]


@pytest.fixture
def server() -> Iterator[servers.Server]:
    with servers.gearmand(binary=os.environ.get("EDGETALLY_GEARMAND", "gearmand")) as started:
        yield started


def ask(server: servers.Server, **options: Any) -> dict[str, Any]:
    """What the module makes of the server. Raises info.ServerError."""
    defaults = {"host": server.host, "port": server.port, "timeout": 5.0, "queues": [], "tls": ""}
    found: dict[str, Any] = info.examine({**defaults, "max_waiting": None, "min_workers": None, **options})
    return found


def counts(server: servers.Server, name: str) -> tuple[int, int, int, int]:
    """(total, running, waiting, workers) of a queue."""
    queue = ask(server, queues=[name])["queues"][name]
    return queue["total"], queue["running"], queue["waiting"], queue["workers"]


def becomes(server: servers.Server, expected: tuple[int, int, int, int]) -> None:
    """Wait until the batch queue has these numbers: gearmand sees another connection's doings a moment later."""
    wait_for(f"{expected} in the queue", lambda: counts(server, "edgetally.batch") == expected)


def test_an_idle_server(server: servers.Server) -> None:
    found = ask(server, queues=["edgetally.batch"])
    assert found["server"]["version"][0].isdigit()
    assert found["queues"]["edgetally.batch"]["registered"] is False
    assert found["healthy"] is True


def test_numbers_follow_a_job(server: servers.Server) -> None:
    with Peer(server) as client, Peer(server) as worker:
        for number in range(3):
            client.submit(BATCH, b"id-%d" % number)
        becomes(server, (3, 0, 3, 0))
        worker.send(CAN_DO, BATCH)
        becomes(server, (3, 0, 3, 1))
        handle = worker.take()
        becomes(server, (3, 1, 2, 1))
        worker.send(WORK_COMPLETE, handle, b"")
        becomes(server, (2, 0, 2, 1))
        worker.take()
        becomes(server, (2, 1, 1, 1))
    # the worker is gone, and its job waits again
    becomes(server, (2, 0, 2, 0))


def test_priorities_and_workers(server: servers.Server) -> None:
    with Peer(server) as client, Peer(server) as worker, Peer(server) as other:
        for kind, unique in ((SUBMIT_JOB_BG, b"n"), (SUBMIT_JOB_HIGH_BG, b"h"), (SUBMIT_JOB_LOW_BG, b"l")):
            client.send(kind, BATCH, unique, b"payload")
            assert client.receive()[0] == JOB_CREATED
        worker.send(SET_CLIENT_ID, b"edgetally agg1:12")
        worker.send(CAN_DO, b"edgetally.receipt")
        worker.send(CAN_DO, BATCH)
        other.send(CAN_DO, b"other")
        worker.take()
        becomes(server, (3, 1, 2, 1))
        found = ask(server, queues=["edgetally.*"])
        known = server_knows_priorities(found)
        assert found["queues"]["edgetally.batch"]["priorities"] == (known and {"high": 0, "normal": 1, "low": 1})
        (one,) = found["workers"]
        assert (one["address"], one["client_id"]) == ("127.0.0.1", "edgetally agg1:12")
        assert sorted(one["queues"]) == ["edgetally.batch", "edgetally.receipt"]


def server_knows_priorities(found: dict[str, Any]) -> bool | None:
    """True from gearmand 1.1 on, else None."""
    return not found["server"]["version"].startswith("0.") or None


def test_thresholds(server: servers.Server) -> None:
    wanted = {"queues": ["edgetally.*"], "max_waiting": 1, "min_workers": 1}
    assert ask(server, **wanted)["problems"] == ["edgetally.*: no queue matches, so it has no worker"]
    with Peer(server) as client, Peer(server) as worker:
        client.submit(BATCH, b"id-1")
        client.submit(BATCH, b"id-2")
        worker.send(CAN_DO, BATCH)
        becomes(server, (2, 0, 2, 1))
        assert ask(server, **wanted)["problems"] == ["edgetally.batch: 2 waiting, at most 1 allowed"]
        worker.take()
        becomes(server, (2, 1, 1, 1))
        assert ask(server, **wanted)["healthy"] is True


def test_a_retired_function(server: servers.Server) -> None:
    """The server goes on listing what once had a worker: only a wanted worker tells that it has gone."""
    with Peer(server) as worker:
        worker.send(CAN_DO, BATCH)
        becomes(server, (0, 0, 0, 1))
    becomes(server, (0, 0, 0, 0))
    assert ask(server)["healthy"] is True
    found = ask(server, queues=["edgetally.batch"], min_workers=1)
    assert (found["queues"]["edgetally.batch"]["registered"], found["workers"]) == (True, [])
    assert found["problems"] == ["edgetally.batch: 0 workers, at least 1 wanted"]


def test_odd_names(server: servers.Server) -> None:
    with Peer(server) as worker:
        for name in (b"caf\xe9", b"with\ttab", "vidéo".encode()):
            worker.send(CAN_DO, name)
        wait_for("3 queues", lambda: len(ask(server)["queues"]) == 3)
    assert set(ask(server)["queues"]) == {r"caf\xe9", r"with\ttab", "vidéo"}


def test_jobs_survive_a_crash(server: servers.Server) -> None:
    with Peer(server) as client:
        for number in range(5):
            client.submit(BATCH, b"id-%d" % number)
    server.kill()
    with pytest.raises(info.ServerError, match="refused"):
        ask(server)
    server.start()
    assert counts(server, "edgetally.batch") == (5, 0, 5, 0)


def test_a_server_that_hangs(server: servers.Server) -> None:
    server.signal(signal.SIGSTOP)
    with pytest.raises(info.ServerError, match=r"answered nothing to `version` within 0\.5 s"):
        ask(server, timeout=0.5)
    server.signal(signal.SIGCONT)
    assert ask(server)["healthy"] is True


def test_another_service_on_the_port() -> None:
    with (
        servers.nginx("server { listen 127.0.0.1:{port}; }") as web,
        pytest.raises(info.ServerError, match="as gearmand would not"),
    ):
        ask(web)


def test_the_ad_hoc_command(server: servers.Server) -> None:
    """As people run it; it finds the server's address by itself."""
    ansible = shutil.which("ansible", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert ansible is not None
    arguments = f"port={server.port} queues=edgetally.batch max_waiting=100 min_workers=1"
    command = [ansible, "localhost", "--inventory", "localhost,", "--connection", "local"]
    command += ["--extra-vars", f"ansible_python_interpreter={sys.executable}"]
    command += ["--module-name", "gearman_queue_info", "--args", arguments]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    sick = run()
    assert sick.returncode == 2
    assert "edgetally.batch: 0 workers, at least 1 wanted" in sick.stdout + sick.stderr
    with Peer(server) as worker:
        worker.send(CAN_DO, BATCH)
        becomes(server, (0, 0, 0, 1))
        well = run()
    assert well.returncode == 0, well.stdout + well.stderr
    assert "healthy: true" in well.stdout


def test_run_as_a_module(server: servers.Server, capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"host": server.host, "port": server.port}), contextlib.suppress(SystemExit):
        info.main()
    assert json.loads(capsys.readouterr().out)["healthy"] is True
