"""`ship` killed with -9 before each thing that it does to files and sockets; the ledger counts every line once."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

from edgetally.config import DatabaseConfig
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, SOURCE, aggregator, aggregator_file, queue, wait_for
from tests.support import servers
from tests.support.edge import Edge, Writer

# Put in through the environment: kills its process before the n-th event, or prints how many there were.
_KILLER = """
import atexit, os, signal, sys

FOLDER, LEFT = os.environ["KILL_FOLDER"], int(os.environ["KILL_BEFORE"])
count = 0

def event(what):
    global count
    count += 1
    if count == LEFT:
        os.kill(os.getpid(), signal.SIGKILL)

def audit(name, arguments):
    if name == "open":
        path, _mode, flags = arguments
        if str(path).startswith(FOLDER) and flags & (os.O_WRONLY | os.O_RDWR):
            event(name)
    elif name in ("os.rename", "os.remove", "os.utime", "os.mkdir"):
        if str(arguments[0]).startswith(FOLDER) or name == "os.utime":
            event(name)
    elif name in ("ctypes.dlsym", "socket.connect", "os.posix_spawn"):
        event(name)  # ctypes: renameat2

def fsync(descriptor, sync=os.fsync):
    event("fsync")
    sync(descriptor)

os.fsync = fsync
sys.addaudithook(audit)
atexit.register(lambda: print("events", count))
"""


def run_and_kill(edge: Edge, before: int) -> int:
    """A whole run, killed before an event; 0 lets it end. Returns how many events there were, or 0 when killed."""
    done = subprocess.run(
        [sys.executable, "-m", "edgetally", "ship", "--now", "--config", str(edge.file)],
        env={
            **os.environ,
            "PYTHONPATH": f"{edge.folder / 'killer'}{os.pathsep}{SOURCE}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "KILL_FOLDER": str(edge.folder),
            "KILL_BEFORE": str(before),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1, -signal.SIGKILL), done.stderr
    return int(done.stdout.split()[-1]) if "events" in done.stdout else 0


def test_killed_before_each_of_its_steps(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB
) -> None:
    """Rotate, reopen, tally, outbox, submit, receipt, sent, archive: after each kill another run takes over."""
    key = derive_key(MASTER, "edge1")
    edge = Edge(tmp_path, key_id=key.id, key=key.secret.hex(), job_servers=[gearmand.address], include_existing=True)
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(_KILLER)
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)), Writer(edge.log) as server:
        wait_for("active aggregator", lambda: queue(gearmand, "edgetally.batch")[2])
        edge.set(reopen=f"kill -USR1 {server.pid}")
        server.write(1)
        assert run_and_kill(edge, 0) > 0
        server.write(1)
        total = run_and_kill(edge, 0)
        assert total > 20
        killed = 0
        for before in range(1, total + 1):
            server.write(1)
            killed += run_and_kill(edge, before) == 0
            server.write(1)
            if before % 3 == 0:
                assert edge.ship(now=True) == 0
        assert killed > total // 2
        wait_for("empty outbox", lambda: edge.ship(now=True) == 0 and edge.bodies() == [])
        assert edge.ship(now=True) == 0
        written, size = server.number, sum(range(1000, 1000 + server.number))
    for table in ("traffic", "channel_traffic"):
        assert mariadb.sql(f"SELECT SUM(requests), SUM(bytes) FROM {table}", "edgetally") == f"{written}\t{size}\n"
    assert mariadb.sql("SELECT COUNT(*) FROM v_stream_gaps", "edgetally") == "0\n"
    assert mariadb.sql("SELECT COUNT(*) FROM quarantine", "edgetally") == "0\n"
    assert (edge.bodies("held"), edge.files()) == ([], ["access.log"])
    raw = b"".join(gzip.decompress(path.read_bytes()) for path in edge.spool.raw.rglob("*.gz"))
    assert raw.count(b"\n") == written
    assert not list(edge.spool.root.rglob("*.tmp"))
