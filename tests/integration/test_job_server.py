"""The role's programs against a real gearmand: the queue of another version, and what playbooks/smoke.yml runs.

EDGETALLY_GEARMAND names another gearmand than Debian's, such as a 0.14.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetally.wire import submit
from edgetally.wire.batch import FUNCTION as FUNCTION_OF_BATCHES
from edgetally.wire.gearman import LinkError
from tests.integration.conftest import admin_command, queue, wait_for
from tests.integration.test_gearman_queue_info import CAN_DO, WORK_COMPLETE, Peer, ask
from tests.support import ROOT, servers
from tests.unit.roles.test_prepare_queue import LONG, NEW, OLD, make, program

SMOKE = ROOT / "roles/gearmand/files/smoke.py"
BOUND = ROOT / "roles/gearmand/files/bound_queue.py"
FUNCTION = "edgetally.smoke."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Server]:
    with servers.gearmand(tmp_path, binary=os.environ.get("EDGETALLY_GEARMAND", "gearmand")) as started:
        yield started


def count(file: Path) -> int:
    """How many jobs the queue's file holds."""
    database = sqlite3.connect(file)
    try:
        return int(database.execute("SELECT count(*) FROM gearman_queue").fetchone()[0])
    finally:
        database.close()


def test_the_units_program_bounds_the_queue(server: servers.Server, tmp_path: Path) -> None:
    """What is refused stays with whoever sends it; gearmand forgets the bound, and is told again after each start."""
    command = [sys.executable, "-I", str(BOUND), "3", f"--listen={server.host}", f"--port={server.port}", "--backlog=9"]
    jobs = [submit.Job(f"job-{number}", b"payload") for number in range(9)]

    def fill(first: int) -> int:
        with contextlib.suppress(LinkError):  # where it takes none
            submit.submit([server.address], FUNCTION_OF_BATCHES, jobs[first : first + 4])
        return queue(server, FUNCTION_OF_BATCHES)[0]

    subprocess.run(command, check=True, stdout=subprocess.PIPE)  # until its child has ended, which goes on
    assert (fill(0), fill(4)) == (3, 3)
    server.kill()
    server.start()
    assert fill(4) == 7


def test_the_queue_of_another_version_is_read_back(server: servers.Server, tmp_path: Path) -> None:
    """1.1 refuses to start on 0.14's rows; 0.14 starts on 1.1's, and deletes all jobs of an id when one is done."""
    file = tmp_path / "queue.db"
    kind, other = ("old", NEW) if ask(server)["server"]["version"].startswith("0.") else ("new", OLD)
    server.stop()
    file.unlink()
    rest = (0,) if other == NEW else ()
    jobs = [(f"id-{number}", f"function-{number % 3}", number % 3, b"payload", *rest) for number in range(300)]
    jobs += [("no-payload", "function-0", 1, None, *rest), (LONG, "function-0", 1, b"payload", *rest)]
    make(file, other, jobs)
    if kind == "new":
        with pytest.raises(servers.ServerError):
            server.start()
    assert "302 jobs are now" in program.prepare(file, kind)
    server.start()
    assert [queue(server, f"function-{number}") for number in range(3)] == [(102, 0, 0), (100, 0, 0), (100, 0, 0)]
    with Peer(server) as worker:
        worker.send(CAN_DO, b"function-0")
        for _ in range(102):
            worker.send(WORK_COMPLETE, worker.take(), b"")
        wait_for("the rows of what is done are gone", lambda: count(file) == 200)


def smoke(server: servers.Server, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(SMOKE), server.host, str(server.port), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_smoke(server: servers.Server, tmp_path: Path) -> None:
    done = smoke(server)
    assert done.returncode == 0, done
    assert "expected 1 0 0, seen 1 0 0" in done.stdout
    assert "expected 1 0 1, seen 1 0 1" in done.stdout
    assert "expected 1 1 1, seen 1 1 1" in done.stdout
    assert "the original notes say 1 0 1" in done.stdout
    assert done.stdout.endswith("all is as expected\n")
    assert count(tmp_path / "queue.db") == 0


def test_smoke_kills_no_server_that_others_use(server: servers.Server) -> None:
    with Peer(server) as worker:
        worker.send(CAN_DO, b"edgetally.batch")
        wait_for("the worker is registered", lambda: queue(server, "edgetally.batch") == (0, 0, 1))
        done = smoke(server, "--queue", "libsqlite3", "--kill", "auto", "--unit", "no-such-unit.service")
    assert done.returncode == 0, done
    assert "skipped  kill -9 and restart of the server: others use it (edgetally.batch)" in done.stdout


def test_smoke_sees_a_server_that_loses_jobs(server: servers.Server) -> None:
    """A worker of somebody else takes the private function's jobs away: the steps say so, and the status is not 0."""
    command = [sys.executable, "-I", str(SMOKE), server.host, str(server.port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    function = process.stdout.readline().split()[-1].encode()
    with Peer(server) as thief:
        thief.send(CAN_DO, function)
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 1, output
    assert (
        "FAILED  a worker registers and has done it: expected 0 0 1, seen 0 0 2\nFAILED  nothing of this is left"
        in output
    )


def test_smoke_leaves_nothing_when_it_is_ended(server: servers.Server) -> None:
    command = [sys.executable, "-I", str(SMOKE), server.host, str(server.port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "a client waits for its job" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGTERM)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert error == "smoke.py: ended by a signal\n"
    assert not [line for line in admin_command(server, "status") if FUNCTION in line and not line.endswith("\t0\t0\t0")]


def test_smoke_without_a_server(tmp_path: Path) -> None:
    with servers.gearmand(tmp_path, queue=False) as gone:
        gone.stop()
        done = smoke(gone)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"the job server {gone.address} cannot be reached" in done.stderr
