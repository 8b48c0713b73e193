"""bin/bench aggregate: a fleet's batches through a real gearmand into a real MariaDB, beside what MariaDB alone needs.

The limit is a bare loop: it makes multi-row statements of the same rows, in the same groups, and executes them. What
MariaDB alone needs is the same with statements that were made before.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger.database import connect
from edgetally.wire import submit
from edgetally.wire.batch import FUNCTION, unique_id
from tests.bench import fleet, measure
from tests.bench.edgetally import Edgetally
from tests.bench.fleet import Shipped
from tests.bench.goals import Goal
from tests.bench.measure import BenchError
from tests.bench.session import conclude, say
from tests.bench.table import table
from tests.support import servers

GROUP = int(AggregatorConfig._field_defaults["jobs_per_transaction"])
INTERVALS_OF_AN_HOUR = 12
SHARE_OF_LIMIT = 0.6
DRAIN_SECONDS = {1_000: 10.0, 10_000: 60.0}
CATCH_UP = 4.0
WAIT = 900.0  # seconds
MOST_WAITING = 200_000  # jobs: gearmand_max_waiting
STEP = 1000
COSTS = [f"{name} {what}" for what in ("ms/batch", "peak MB") for name in ("aggregator", "gearmand", "MariaDB")]
# MariaDB's own defaults, in place of the small ones of the tests.
MARIADB = ("--innodb-buffer-pool-size=128M", "--innodb-log-file-size=96M")


class Sent(NamedTuple):
    """What was put into a queue: batches, their lines and bytes."""

    batches: int
    lines: int
    bytes: int


class Drained(NamedTuple):
    """A queue drained. batches: how many; wall: seconds from the first job taken to the last completed; cpu: seconds;
    peak: MB."""

    batches: int
    wall: float
    cpu: dict[str, float]
    peak: dict[str, float]


class Filler:
    """Batches that go to a job server as long as there is room; a thousand of them are in memory at a time."""

    def __init__(self, gearmand: servers.Server, batches: Iterable[Shipped]) -> None:
        self.sent = Sent(0, 0, 0)
        self._gearmand = gearmand
        self._batches = iter(batches)

    def fill(self) -> int:
        """Submit what there is room for; how many jobs are in the queue."""
        waiting = servers.queue(self._gearmand, FUNCTION)[0]
        while waiting <= MOST_WAITING - STEP and (group := list(islice(self._batches, STEP))):
            self._submit(group)
            waiting = servers.queue(self._gearmand, FUNCTION)[0]
        return waiting

    def _submit(self, group: Sequence[Shipped]) -> None:
        jobs = [
            submit.Job(unique_id(one.batch.stream, one.batch.generation, one.batch.seq, 0, 0, 0), one.payload)
            for one in group
        ]
        if len(submit.submit([self._gearmand.address], FUNCTION, jobs)) != len(jobs):
            raise BenchError("the job server did not take all batches")
        own = (len(group), sum(one.batch.lines for one in group), sum(one.batch.size for one in group))
        self.sent = Sent(*map(sum, zip(self.sent, own)))


@dataclass
class Bench:
    """One run: its servers and what was found."""

    edgetally: Edgetally
    runs: int
    folder: Path
    database: DatabaseConfig
    mariadb: servers.MariaDB
    goals: list[Goal] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def fresh(self) -> None:
        """An empty database."""
        self.mariadb.sql(f"DROP DATABASE IF EXISTS {self.database.name}")
        command = self.edgetally.command("migrate", "--config", str(self.config("127.0.0.1:1")))
        measure.run([*command, "--admin-socket", str(self.mariadb.socket)], self.folder)

    def config(self, job_server: str) -> Path:
        """The aggregator's configuration file."""
        file = self.folder / "aggregator.json"
        data = {"job_servers": [job_server], "master_keys": [fleet.MASTER], "database": self.database._asdict()}
        file.write_text(json.dumps(data), encoding="utf-8")
        return file

    def limit(self, batches: Sequence[Shipped]) -> tuple[float, float]:
        """Seconds for the rows of all batches: of a bare loop that makes statements of them, of MariaDB alone."""
        ids = {f"channel{number}": number + 1 for number in range(fleet.ALL_CHANNELS)}
        groups = [batches[start : start + GROUP] for start in range(0, len(batches), GROUP)]
        loop = self._execute(fleet.statements(group, ids) for group in groups)
        return loop, self._execute([fleet.statements(group, ids) for group in groups])

    def _execute(self, transactions: Iterable[Sequence[str]]) -> float:
        self.fresh()
        connection = connect(self.database)
        started = time.monotonic()
        with connection.cursor() as cursor:
            for statements in transactions:
                for statement in statements:
                    cursor.execute(statement)
                connection.commit()
        wall = time.monotonic() - started
        connection.close()
        return wall

    def drain(self, batches: Iterable[Shipped], edges: int, queue: bool, timeout: float = WAIT) -> Drained:
        """Fill a job server's queue, start an aggregator, and wait until the queue is empty. All sums are compared.

        queue: on disk, not only in the job server's memory. What has no room in it comes as soon as there is some.
        """
        self.fresh()
        with servers.gearmand(queue=queue) as gearmand:
            filler = Filler(gearmand, batches)
            filler.fill()
            with self._aggregator(gearmand) as process:
                watched = {"aggregator": process.pid, "gearmand": gearmand.pid, "MariaDB": self.mariadb.pid}
                _wait(lambda: _is_taken(gearmand), process)
                before = {name: _cpu(pid) for name, pid in watched.items()}
                started = time.monotonic()
                _wait(lambda: filler.fill() == 0, process, timeout)
                wall = time.monotonic() - started
                cpu = {name: _cpu(pid) - before[name] for name, pid in watched.items()}
                peak = {name: _peak(pid) for name, pid in watched.items()}
        self._compare(filler.sent, edges)
        return Drained(filler.sent.batches, wall, cpu, peak)

    @contextlib.contextmanager
    def _aggregator(self, gearmand: servers.Server) -> Iterator[subprocess.Popen[bytes]]:
        command = self.edgetally.command("aggregate", "--config", str(self.config(gearmand.address)))
        with (self.folder / "aggregator.log").open("wb") as log:
            process = subprocess.Popen(command, stderr=log)
        try:
            yield process
            process.terminate()
            if process.wait(15) != 0:
                said = (self.folder / "aggregator.log").read_text(encoding="utf-8").splitlines()[-1:]
                raise BenchError(f"the aggregator ended with {process.returncode}: {said}")
        finally:
            process.kill()
            process.wait()

    def _compare(self, sent: Sent, edges: int) -> None:
        """The counters equal what the edges sent."""
        count = f"SELECT COUNT(*), COUNT(DISTINCT stream_id) FROM {self.database.name}.batch"
        if self.mariadb.sql(count).split() != [str(sent.batches), str(edges)]:
            raise BenchError("the ledger has another number of batches or streams than was sent")
        for name in ("traffic", "channel_traffic"):
            found = self.mariadb.sql(f"SELECT SUM(requests), SUM(bytes) FROM {self.database.name}.{name}").split()
            if found != [str(sent.lines), str(sent.bytes)]:
                raise BenchError(f"{name} sums to {found} requests and bytes, and {sent} were sent")


def main(options: argparse.Namespace) -> int:
    """0: all goals met, 1: a goal is missed. Raises BenchError where sums differ or a server failed."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgetally-bench-")))
        mariadb = stack.enter_context(servers.mariadb(arguments=MARIADB))
        database = DatabaseConfig("edgetally", "secret", "edgetally", socket=str(mariadb.socket))
        bench = Bench(Edgetally(options.edgetally.absolute()), options.runs, folder, database, mariadb)
        if options.hours:
            _outage(bench, options.edges[0], options.hours)
            return conclude(bench.goals, bench.figures, options.out)
        heading = ["edges", "batches", "seconds", "batches/s", "rows/s", "of limit", "of MariaDB alone"]
        rows = [_measure(bench, edges) for edges in options.edges]
        rows.append(_measure(bench, options.edges[len(options.edges) // 2], intervals=INTERVALS_OF_AN_HOUR))
        rows.append(_measure(bench, options.edges[-1], queue=False))
        say(f"\n{table([[*heading, *COSTS], *rows])}")
        return conclude(bench.goals, bench.figures, options.out)


def _measure(bench: Bench, edges: int, *, intervals: int = 1, queue: bool = True) -> list[str]:
    """One line of the table: a fleet's batches of some intervals; medians of the rounds."""
    batches = list(fleet.ship(edges, intervals))
    limits, drained = [], []
    for _round in range(bench.runs):
        limits.append(bench.limit(batches))
        drained.append(bench.drain(batches, edges, queue))
    loop, alone = map(statistics.median, zip(*limits))
    wall = statistics.median(one.wall for one in drained)
    name = f"{edges:,}{' an hour behind' if intervals > 1 else ''}{'' if queue else ', queue in memory'}"
    bench.figures[name] = {"limit": loop, "database": alone, "rounds": [one._asdict() for one in drained]}
    bench.goals += _goals(name, edges, intervals, loop / wall, wall)
    speed = [f"{wall:.2f}", f"{len(batches) / wall:,.0f}", f"{len(batches) * fleet.CHANNELS / wall:,.0f}"]
    shares = [f"{loop / wall:.2f}", f"{alone / wall:.2f}"]
    return [name, f"{len(batches):,}", *speed, *shares, *_costs(drained)]


def _costs(drained: Sequence[Drained]) -> list[str]:
    """COSTS: medians of the rounds."""
    cpu = [statistics.median(one.cpu[part] / one.batches for one in drained) * 1000 for part in drained[0].cpu]
    peak = [max(one.peak[part] for one in drained) for part in drained[0].peak]
    return [*(f"{value:.2f}" for value in cpu), *(f"{value:.0f}" for value in peak)]


def _outage(bench: Bench, edges: int, hours: int) -> None:
    """All that a fleet sends while there is no aggregator, and then one; gearmand has its queue on disk."""
    batches = fleet.ship(edges, hours * INTERVALS_OF_AN_HOUR)
    drained = bench.drain(batches, edges, queue=True, timeout=hours * 3600)
    name = f"{edges:,}, {hours} hours behind"
    bench.figures[name] = drained._asdict()
    growth = 3600 * hours / drained.wall
    bench.goals.append(Goal(f"edges {name}: caught up to growth", growth, CATCH_UP, least=True))
    speed = [f"{drained.batches:,}", f"{drained.wall:,.0f}", f"{drained.batches / drained.wall:,.0f}"]
    say(f"\n{table([['edges', 'batches', 'seconds', 'batches/s', *COSTS], [name, *speed, *_costs([drained])]])}")


def _goals(name: str, edges: int, intervals: int, share: float, wall: float) -> Iterator[Goal]:
    yield Goal(f"edges {name}: share of the limit", share, SHARE_OF_LIMIT, least=True)
    if intervals > 1:
        growth = 300 * intervals / wall  # a backlog of so many intervals came in so much time
        yield Goal(f"edges {name}: caught up to growth", growth, CATCH_UP, least=True)
    elif edges in DRAIN_SECONDS:
        yield Goal(f"edges {name}: an interval drained", wall, DRAIN_SECONDS[edges], "s")


def _is_taken(gearmand: servers.Server) -> bool:
    """Whether the aggregator has taken jobs; a few are done before anybody sees them being worked at."""
    total, running, _workers = servers.queue(gearmand, FUNCTION)
    return running > 0 or total == 0


def _wait(condition: Any, process: subprocess.Popen[bytes], timeout: float = WAIT) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"the aggregator ended early, or the queue was not drained in {timeout / 60:.0f} minutes")
        time.sleep(0.005)


def _cpu(pid: int) -> float:
    """CPU seconds of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> float:
    """The most memory that a process had resident, MB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmHWM:")[2].split()[0]) / 1024
