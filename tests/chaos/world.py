"""The world of a campaign: edges with live logs, a job server, a database behind a proxy, two aggregators."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger import migrate
from edgetally.wire.batch import FUNCTION
from edgetally.wire.envelope import Key, derive_key
from tests.chaos import bad_host
from tests.chaos.bad_host import Host
from tests.chaos.proxy import Proxy
from tests.chaos.writer import Writer, rules
from tests.support import servers
from tests.support.edge import Edge, wait_for

ROOT = Path(__file__).resolve().parents[2]
MASTER = "a master key for the campaign, long enough"
LEASE_SECONDS = 3
RESTART_SECONDS = 0.5
SPOOL_BYTES = 24 << 20
DATABASE_BYTES = 320 << 20

# Notes whose the writer's row was, and from which connection, as each batch was written. A server's start begins new
# connections.
# Every batch needs room on the disk besides, so that a full one is felt at once.
_WITNESS = """
CREATE TABLE IF NOT EXISTS witness
  (boot INT, connection BIGINT, holder VARBINARY(255), PRIMARY KEY (boot, connection, holder));
CREATE TABLE IF NOT EXISTS boot (id INT AUTO_INCREMENT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS padding (id BIGINT AUTO_INCREMENT PRIMARY KEY, data LONGBLOB);
CREATE TRIGGER witness AFTER INSERT ON batch FOR EACH ROW
  INSERT IGNORE INTO witness SELECT (SELECT MAX(id) FROM boot), CONNECTION_ID(), holder FROM writer;
CREATE TRIGGER pad AFTER INSERT ON batch FOR EACH ROW FOLLOWS witness
  INSERT INTO padding (data) VALUES (REPEAT('x', 65536));
"""


def program(mutant: str, *arguments: str) -> list[str]:
    """The command line of the program under test."""
    if mutant:
        return [sys.executable, "-m", "tests.chaos.mutants", mutant, *arguments]
    return [sys.executable, "-m", "edgetally", *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}


class Cache(threading.Thread):
    """One edge: its logs' writers, and cron, which runs `ship` again and again. Others may kill or freeze that.

    logs: the names of its logs; of several, a glob is configured.
    """

    def __init__(
        self, name: str, folder: Path, host: Host, job_server: str, seed: str, mutant: str, logs: Sequence[str]
    ) -> None:
        super().__init__(name=name)
        self.folder, self.host, self.mutant = folder, host, mutant
        folder.mkdir(exist_ok=True)
        self.key: Key = derive_key(MASTER, name)
        wishes = {log: folder / f"reopen-{log}" for log in logs}
        self.edge = Edge(
            folder,
            edge=name,
            key_id=self.key.id,
            key=self.key.secret.hex(),
            job_servers=[job_server],
            reopen=f"touch {' '.join(map(str, wishes.values()))}",
            include_existing=True,
            close_timeout=1,
            receipt_wait=1,
            linger_timeout=8,  # as long as the writers, asked once and again, may take; runs come every one to three
            quota_bytes=6 << 20,
            reserve_bytes=1 << 20,
            interface="lo",
        )
        self.logs = folder / "log"
        if len(logs) > 1:
            self.edge.set(path=f"{self.logs}/*.log")
        (folder / "channels.json").write_text(json.dumps(rules()))
        self.writers = [
            Writer(
                self.logs / f"{log}.log",
                wish,
                f"{name}/access{f'.{log}' if len(logs) > 1 else ''}",
                f"{seed} {folder.name} {log}",
            )
            for log, wish in wishes.items()
        ]
        self.process: subprocess.Popen[bytes] | None = None
        self.rolled_back = False  # the database was, and not all of sent/ is reconciled yet
        self.rest = threading.Lock()  # held: no run begins
        self.stop = threading.Event()
        self.faketime = ""
        self.runs = 0
        self._chance = random.Random(f"{seed} cron")

    def run(self) -> None:
        """Cron."""
        while not self.stop.is_set():
            with self.rest:
                self.ship()
            self.stop.wait(self._chance.uniform(0.1, 0.8))

    def ship(self, *options: str, under: Sequence[str] = ()) -> int:
        """One run of `ship`; its exit status, negative where it was killed. under: a command that runs it."""
        environment = {**_environment(), **self.host.environment}
        faketime = self.faketime  # a fault may end meanwhile
        if faketime:
            library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
            environment.update(FAKETIME=faketime, FAKETIME_DONT_FAKE_MONOTONIC="1")
            environment["LD_PRELOAD"] += f" {library}"
        command = [*under, *program(self.mutant, "ship", "--config", str(self.edge.file), "--now", *options)]
        with self.folder.with_suffix(".ship.log").open("ab", buffering=0) as log:  # its disk may be bad
            log.write(f"-- {time.time():.3f} {' '.join(options)} {faketime}\n".encode())
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdin=subprocess.DEVNULL)
            self.runs += 1
            return self.process.wait()

    def set_clock(self, ahead: int) -> None:
        """Set the machine's clock, and so its servers', to so many seconds from now, once all old logs are tallied.

        Nothing is written meanwhile: a log that is open over a jump of hours would be a transfer that lasts as long.
        """
        for writer in self.writers:
            writer.quiet.set()
        if self.writers[0].is_alive():
            wait_for("tally of the old logs", lambda: self.ship() in (0, 1) and not self._renamed())
        self.host.set_clock(ahead)
        for writer in self.writers:
            writer.ahead = ahead
            writer.quiet.clear()

    def under_way(self) -> list[Path]:
        """What is not in the hands of those downstream yet: logs with lines, renamed ones, batches in the outbox.

        In this order, in which a line goes its way, so that it cannot slip by between two looks.
        """
        live = [writer.log for writer in self.writers if writer.log.exists() and writer.log.stat().st_size]
        return live + self._renamed() + sorted((self.folder / "spool" / "outbox").glob("*.json"))

    def _renamed(self) -> list[Path]:
        """Files with lines, in the log's folder or below, that the edge has put there; no other names of a live log."""
        live = {os.stat(writer.log).st_ino for writer in self.writers if writer.log.exists()}
        found = []
        for folder, _folders, names in os.walk(self.logs):
            for path in (Path(folder, name) for name in sorted(names)):
                with contextlib.suppress(FileNotFoundError):
                    status = path.lstat()
                    ours = "edgetally" in str(path.relative_to(self.logs)) and stat.S_ISREG(status.st_mode)
                    if ours and status.st_size and status.st_ino not in live:
                        found.append(path)
        return found

    def signal(self, number: int) -> None:
        """Send a signal to the run under way, if there is one."""
        process = self.process
        if process is not None and process.poll() is None:
            process.send_signal(number)

    @contextlib.contextmanager
    def resting(self) -> Any:
        """No run is under way in this block."""
        self.signal(signal.SIGCONT)
        with self.rest:
            yield

    def end_writing(self) -> None:
        """End cron after the run under way; all writers write their last line, and close their old logs."""
        self.stop.set()
        self.signal(signal.SIGCONT)
        for writer in self.writers:
            writer.quiet.set()
        self.join()
        for writer in self.writers:
            writer.last.set()
            writer.ended.wait()

    def end(self) -> None:
        """End cron, and the run under way."""
        self.stop.set()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)


class Aggregators(threading.Thread):
    """Two aggregator processes; what ends is started again, as systemd does."""

    def __init__(self, config: Path, folder: Path, mutant: str) -> None:
        super().__init__(name="aggregators")
        self._command = program(mutant, "aggregate", "--config", str(config))
        self._log = folder / "aggregator.log"
        self._lock = threading.Lock()
        self._stop_asked = threading.Event()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.abandoned: list[subprocess.Popen[bytes]] = []  # stopped for good, with whatever they hold

    def run(self) -> None:
        """Start what is missing, until the end."""
        while not self._stop_asked.wait(RESTART_SECONDS):
            with self._lock, self._log.open("ab") as log:
                self.processes = [process for process in self.processes if process.poll() is None]
                while len(self.processes) < 2:
                    self.processes.append(
                        subprocess.Popen(self._command, env=_environment(), stderr=log, stdin=subprocess.DEVNULL)
                    )

    def abandon(self, process: subprocess.Popen[bytes]) -> None:
        """Stop a process for good; another one takes its place."""
        process.send_signal(signal.SIGSTOP)
        with self._lock:
            if process in self.processes:
                self.processes.remove(process)
                self.abandoned.append(process)

    def end_abandoned(self, keep: int = 0) -> None:
        """End those that were abandoned, the oldest first."""
        while len(self.abandoned) > keep:
            process = self.abandoned.pop(0)
            process.kill()
            process.wait()

    def end(self) -> None:
        """End all."""
        self._stop_asked.set()
        if self.is_alive():
            self.join()
        self.abandoned += self.processes
        self.end_abandoned()


class World(contextlib.ExitStack):
    """All of it. Everything that is started is ended with the block."""

    def __init__(self, seed: int, folder: Path, edges: int, mutant: str) -> None:
        super().__init__()
        self.folder, self.seed, self.mutant = folder, seed, mutant
        self.ending = threading.Event()
        self._library = bad_host.build(folder)
        self.queue_host, self.database_host = self._host("gearmand"), self._host("db")
        self.gearmand = self.enter_context(
            servers.gearmand(folder / "gearmand", environment=self.queue_host.environment)
        )
        mount_disk(folder / "db", DATABASE_BYTES)
        self.callback(subprocess.run, ["umount", "--lazy", str(folder / "db")], check=True)
        boot = folder / "boot.sql"
        boot.write_text("")
        arguments = (f"--init-file={boot}", "--innodb-lock-wait-timeout=5", "--innodb-use-native-aio=0")
        self.mariadb = self.enter_context(
            servers.mariadb(folder / "db", arguments=arguments, environment=self.database_host.environment)
        )
        self.proxy = Proxy(self.mariadb.port)
        self.proxy.start()
        self.callback(self.proxy.close)
        self.config = self._database()
        boot.write_text("INSERT INTO edgetally.boot VALUES ();\n")
        self.aggregator_file = self._aggregator_file()
        self.aggregators = Aggregators(self.aggregator_file, folder, mutant)
        self.callback(self.aggregators.end)
        self.telling_twice: set[str] = set()  # the edges that had a fault after which they may
        self.caches = [
            self.machine(f"edge{number}", ("access", "other") if number == edges else ("access",))
            for number in range(1, edges + 1)
        ]
        self.twins: list[Cache] = []  # other machines with the name and key of an edge
        self.away: list[Cache] = []  # edges that nobody heard of for days
        self.began = time.time()
        self.history: list[tuple[float, str, str]] = []
        self.counts: dict[str, int] = {}
        self.takeovers: list[float] = []
        self.calls: dict[str, int] = {}  # how often a run of ship makes each system call, once that is known
        self.disaster = threading.Lock()  # what two restored disks have lost together, nobody has
        self.wrong: list[str] = []  # what a fault has seen that must not be

    def _database(self) -> DatabaseConfig:
        config = DatabaseConfig("edgetally", "secret", "edgetally", host="127.0.0.1")
        self.local = config._replace(socket=str(self.mariadb.socket), host="")
        self.migrate()
        self.mariadb.sql(_WITNESS + "INSERT INTO boot VALUES ();", "edgetally")
        if self.mutant == "unique-key":
            for table in ("batch", "batch_body"):
                self.mariadb.sql(f"ALTER TABLE {table} DROP PRIMARY KEY", "edgetally")
        return config._replace(port=self.proxy.port)

    def migrate(self) -> list[str]:
        """Bring the database to the program's schema, as the role does; what was done."""
        admin = DatabaseConfig("root", "", "mysql", socket=str(self.mariadb.socket))
        return migrate.migrate(AggregatorConfig(("127.0.0.1:1",), (MASTER,), self.local), admin, "%", None)

    def _host(self, name: str) -> Host:
        return Host(self._library, self.folder / name)

    def _aggregator_file(self) -> Path:
        file = self.folder / "aggregator.json"
        file.write_text(
            json.dumps(
                {
                    "job_servers": [self.gearmand.address],
                    "master_keys": [MASTER],
                    "database": self.config._asdict(),
                    "lease_seconds": LEASE_SECONDS,
                    "jobs_per_transaction": 5,
                }
            )
        )
        return file

    def machine(self, name: str, logs: Sequence[str] = ("access",), folder: str = "") -> Cache:
        """A machine with a small disk for its spool. It does not run yet."""
        place = self.folder / (folder or name)
        mount_disk(place / "spool", SPOOL_BYTES)
        self.callback(subprocess.run, ["umount", "--lazy", str(place / "spool")], check=True)
        return Cache(name, place, self._host(place.name), self.gearmand.address, str(self.seed), self.mutant, logs)

    @property
    def machines(self) -> list[Cache]:
        """All edges, and those that pretend to be one."""
        return self.caches + self.twins + self.away

    @property
    def writers(self) -> list[Writer]:
        """Of all logs."""
        return [writer for machine in self.machines for writer in machine.writers]

    def start(self) -> None:
        """Let all begin, and see the first batches committed."""
        self.aggregators.start()
        for cache in self.caches:
            self.run_machine(cache)
        for cache in self.caches:
            wait_for(f"first batch of {cache.name}", lambda: any((cache.folder / "spool" / "sent").glob("*")), 60)  # noqa: B023

    def run_machine(self, machine: Cache) -> None:
        """Let its servers write, and cron run."""
        self.begin_writing(machine)
        self.run_cron(machine)

    def begin_writing(self, machine: Cache) -> None:
        """Let its servers write."""
        for writer in machine.writers:
            writer.start()
            self.callback(writer.join)
            self.callback(writer.stop.set)

    def run_cron(self, machine: Cache) -> None:
        """Let cron run."""
        machine.start()
        self.callback(machine.join)
        self.callback(machine.end)

    def active(self) -> subprocess.Popen[bytes] | None:
        """The aggregator that holds the writer's row, if it is one of ours that runs."""
        with contextlib.suppress(servers.ServerError):
            holder = self.mariadb.sql("SELECT holder FROM writer", "edgetally").strip()
            return next((p for p in self.aggregators.processes if holder.endswith(f":{p.pid}")), None)
        return None

    def count(self, what: str, number: int = 1) -> None:
        """Note that something happened."""
        self.counts[what] = self.counts.get(what, 0) + number

    def note(self, folder: Path, what: str) -> None:
        """Note what happened to an edge, by its folder, and when: for whoever looks for a cause."""
        self.history.append((time.time(), folder.name, what))

    # --- the end

    def settle(self, timeout: float) -> list[str]:
        """No more faults: let the writers end, and every edge run until all is in the ledger. What stays under way.

        Every edge has had a whole run that began when all writers were quiet, and all downstream could answer.
        """
        for machine in self.machines:
            machine.end_writing()
        deadline = time.monotonic() + timeout
        wait_for("all servers", self._answers, timeout)
        left: list[str] = []
        threads = [threading.Thread(target=self._finish, args=(one, deadline, left)) for one in self.machines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.aggregators.end_abandoned()  # what they had in hand goes to the others
        while servers.queue(self.gearmand, FUNCTION)[0] and not left:
            if time.monotonic() > deadline:
                left.append("jobs in the queue")
            time.sleep(0.1)
        return left

    def _answers(self) -> bool:
        """Whether the job server, an aggregator and the database answer."""
        with contextlib.suppress(OSError):
            return self.active() is not None and servers.queue(self.gearmand, FUNCTION)[2] > 0
        return False

    def _finish(self, machine: Cache, deadline: float, left: list[str]) -> None:
        """Run `ship` until nothing is under way any more."""
        while True:
            whole = machine.ship(*(["--reconcile"] if machine.rolled_back else [])) in (0, 1)
            waiting = machine.under_way() + (self._forgotten(machine) if machine.rolled_back else [])
            if whole and not waiting:
                return
            if time.monotonic() > deadline:
                left += [str(path.relative_to(self.folder)) for path in waiting] or [f"a whole run of {machine.name}"]
                return
            age_outbox(machine)
            time.sleep(0.2)

    def _forgotten(self, machine: Cache) -> list[Path]:
        """Confirmed batches that the ledger does not have, since it was rolled back."""
        rows = self.mariadb.sql("SELECT LOWER(HEX(generation)), seq FROM batch", "edgetally").splitlines()
        known = {tuple(row.split("\t")) for row in rows}
        sent = (machine.folder / "spool" / "sent").glob("*.json")
        return [path for path in sent if tuple(path.name.split("-")[-4:-2]) not in known]


def mount_disk(folder: Path, size: int) -> None:
    """Make a folder with a small disk of its own, of so many bytes; it goes with this mount namespace."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "edgetally-chaos", str(folder)]
    subprocess.run(command, check=True)


def age_outbox(cache: Cache) -> None:
    """As if the batches that wait had waited for an hour longer: an attempt's 15 minutes are over."""
    for path in (cache.folder / "spool" / "outbox").glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            before = path.stat().st_mtime
            os.utime(path, (before - 3600, before - 3600))


def reconcile(cache: Cache) -> None:
    """Have the edge ask for all that it has sent, where the database was rolled back since it did."""
    if cache.rolled_back:
        with cache.resting():
            cache.rolled_back = False
            if cache.ship("--reconcile"):
                cache.rolled_back = True


def copy_tree(source: Path, target: Path) -> None:
    """Replace what is in target, which may be a mount point, by a copy of what is in source, with times."""
    target.mkdir(exist_ok=True)
    for entry in target.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    shutil.copytree(source, target, dirs_exist_ok=True)
