"""bin/bench wire: jobs to a real gearmand with its queue on disk and back, over plain TCP and over TLS by turns."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from edgetally.wire.gearman import open_link
from edgetally.wire.submit import Job, submit
from edgetally.wire.worker import Worker
from tests.bench.goals import Goal
from tests.bench.measure import BenchError
from tests.bench.session import conclude, say
from tests.bench.table import table
from tests.support import servers
from tests.support.tls import stunnel, tls_folder

FUNCTION = "bench.batch"
PAYLOAD = 2048  # bytes, about a batch of 20 channels
EDGES = 200
SHARE_OF_PLAIN = 0.9


class Way(NamedTuple):
    """A way to gearmand: its name, the server that is called, and the folder of what TLS needs."""

    name: str
    server: servers.Server
    tls: str


class Speed(NamedTuple):
    """Jobs a second that were submitted and taken, and milliseconds until a connection can be used."""

    submitted: float
    taken: float
    connected: float


def main(options: argparse.Namespace) -> int:
    """0: all goals met, 1: a goal is missed. Raises BenchError where a job is lost."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgetally-bench-")))
        gearmand = stack.enter_context(servers.gearmand())
        front = stack.enter_context(stunnel(gearmand, tls_folder(folder / "jobs1", "jobs1", server=True), ["edge1"]))
        ways = [Way("plain", gearmand, ""), Way("TLS", front, str(tls_folder(folder / "edge1", "edge1")))]
        rounds = [[_measure(way, options.jobs) for way in ways] for _ in range(options.runs)]
        memory = _memory(ways[1])
    shares = [statistics.median(tls[at] / plain[at] for plain, tls in rounds) for at in range(2)]
    medians = [Speed(*map(statistics.median, zip(*speeds))) for speeds in zip(*rounds)]
    rows = [[way.name, *(f"{value:,.1f}" for value in speed)] for way, speed in zip(ways, medians)]
    say(f"\n{table([['way', 'submits/s', 'taken/s', 'ms to connect'], *rows])}")
    say(f"\nstunnel has {memory:.0f} MB more for {EDGES} connections")
    goals = [
        Goal(f"TLS, queue on disk: share of plain, {what}", share, SHARE_OF_PLAIN, least=True)
        for what, share in zip(("submitted", "taken"), shares)
    ]
    rounds_said = [[speed._asdict() for speed in one] for one in rounds]
    return conclude(goals, {"rounds": rounds_said, "memory": memory}, options.out)


def _measure(way: Way, count: int) -> Speed:
    jobs = [Job(os.urandom(20).hex(), os.urandom(PAYLOAD)) for _ in range(count)]
    started = time.monotonic()
    if len(submit([way.server.address], FUNCTION, jobs, 600, tls=way.tls)) != count:
        raise BenchError(f"{way.name}: not all jobs were taken")
    submitted = time.monotonic()
    _take(way, count)
    return Speed(count / (submitted - started), count / (time.monotonic() - submitted), _connect(way))


def _take(way: Way, count: int) -> None:
    """Take all jobs and complete them."""
    worker = Worker([way.server.address], (FUNCTION,), "bench", 200, 16 << 20, tls=way.tls)
    left, deadline = count, time.monotonic() + 600
    while left:
        for job in worker.wait(1.0):
            worker.complete(job)
            left -= 1
        if time.monotonic() > deadline:
            raise BenchError(f"{way.name}: {left} jobs did not come back")
    worker.close(60.0)


def _connect(way: Way) -> float:
    times = []
    for _ in range(50):
        started = time.perf_counter()
        open_link(way.server.host, way.server.port, way.tls).close()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _memory(way: Way) -> float:
    """MB that the server has more while so many edges are connected."""
    before = _resident(way.server.pid)
    links = [open_link(way.server.host, way.server.port, way.tls) for _ in range(EDGES)]
    after = _resident(way.server.pid)
    for link in links:
        link.close()
    return after - before


def _resident(pid: int) -> float:
    """The memory that a process has resident, MB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024
