"""The parts of the pipeline as they are at this moment: who writes, over which node, and what has been counted."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from tests.ha.history import Row
from tests.ha.hosts import DrillError, Host, Lab, until

ROOT = Path(__file__).resolve().parents[2]
JOB_PORT = 7003
ROUND_SECONDS = 10
BEAT = "while [ -e /run/drill ]; do edgetally ship --now 2>>/var/log/drill.log; sleep 1; done"


class Cluster:
    """The nodes of the database."""

    def __init__(self, nodes: list[Host], admin: str) -> None:
        self.nodes = nodes
        self._user, _, self._password = admin.partition(":")
        self._good = 0

    @contextmanager
    def connection(self, node: Host, database: str | None = "edgetally") -> Iterator[Connection[Any]]:
        """A connection to one node, as administrator. pymysql's errors where it does not answer soon."""
        connection = pymysql.connect(
            host=node.ip,
            user=self._user,
            password=self._password,
            database=database,
            connect_timeout=2,
            read_timeout=6,
            autocommit=True,
            init_command="SET SESSION time_zone = '+00:00'",
        )
        try:
            yield connection
        finally:
            connection.close()

    def query(self, node: Host, sql: str, database: str | None = "edgetally") -> list[tuple[Any, ...]]:
        """Rows of a query on one node."""
        with self.connection(node, database) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the first node that answers."""
        problem: Exception = DrillError("no node")
        for number in range(len(self.nodes)):
            place = (self._good + number) % len(self.nodes)
            try:
                rows = self.query(self.nodes[place], sql)
                self._good = place
                return rows
            except (pymysql.MySQLError, OSError) as error:
                problem = error
        raise problem

    def status(self, node: Host, name: str) -> str:
        """A status variable of a node; empty where it does not answer."""
        try:
            return str(self.query(node, f"SHOW GLOBAL STATUS LIKE '{name}'", None)[0][1])
        except (pymysql.MySQLError, OSError, IndexError):
            return ""

    def wait_whole(self, seconds: float = 60.0) -> None:
        """Wait until all nodes are one cluster and have everything."""
        for node in self.nodes:
            until(f"{node.name} is in the cluster and has caught up", partial(self.caught_up, node), seconds)

    def caught_up(self, node: Host) -> bool:
        """Whether a node is in a cluster of all, and has what the others have."""
        size = self.status(node, "wsrep_cluster_size")
        return size == str(len(self.nodes)) and self.status(node, "wsrep_local_state_comment") == "Synced"

    def wait_ready(self, node: Host, ready: bool, seconds: float = 30.0) -> None:
        """Wait until a node takes queries, or refuses them."""
        state = "ON" if ready else "OFF"
        until(f"wsrep_ready is {state} on {node.name}", lambda: self.status(node, "wsrep_ready") == state, seconds)

    def used_by(self, aggregator: Host) -> Host:
        """The node over which an aggregator works: where it was heard last; dead connections stay for hours."""
        names = f"host LIKE '{aggregator.ip}:%' OR host LIKE '{aggregator.name}:%'"  # the node may have looked it up
        sql = f"SELECT MIN(time_ms) FROM information_schema.processlist WHERE user = 'edgetally' AND ({names})"

        def find() -> Host | None:
            heard: list[tuple[float, int]] = []
            for number, node in enumerate(self.nodes):
                with suppress(pymysql.MySQLError, OSError):
                    ((idle,),) = self.query(node, sql, None)
                    heard += [(float(idle), number)] if idle is not None else []
            return self.nodes[min(heard)[1]] if heard else None

        return until(f"{aggregator.name} is connected to a node", find, 30)


class World:
    """All of the lab's parts."""

    def __init__(self, lab: Lab, admin: str) -> None:
        self.lab = lab
        self.jobs, self.aggregators, self.edges = lab.group("gearmand"), lab.group("aggregator"), lab.group("edges")
        self.cluster = Cluster(lab.group("galera"), admin)

    def row(self) -> Row:
        """The writer's row."""
        rows = self.cluster.ask("SELECT epoch, holder, txn, UNIX_TIMESTAMP(renewed_at) FROM writer")
        epoch, holder, txn, at = rows[0]
        return Row(int(epoch), holder.decode(), int(txn), float(at))

    def active(self) -> Host:
        """The aggregator that holds the writer's row."""
        holder = until("an aggregator holds the writer's row", lambda: self.row().holder, 60)
        return self.lab[holder.partition(":")[0]]

    def standby(self) -> Host:
        """The other one."""
        active = self.active()
        return next(host for host in self.aggregators if host != active)

    def first_counted(self, moment: float) -> float | None:
        """When the last of all edges had something counted that it rotated after the moment; None before that."""
        rows = self.cluster.ask(
            "SELECT s.name, UNIX_TIMESTAMP(MIN(b.committed_at)) FROM batch b JOIN stream s ON s.id = b.stream_id "
            f"WHERE b.covers_to > {moment:.3f} GROUP BY s.name"
        )
        first = {name.decode(): float(at) for name, at in rows}
        streams = [f"{edge.name}/access" for edge in self.edges]
        return max(first[stream] for stream in streams) if first.keys() >= set(streams) else None

    def workers(self, job_server: Host, function: str = "edgetally.batch") -> int:
        """How many aggregators wait at a job server for work."""
        # Behind TLS gearmand listens on its own host alone
        answer = job_server.sh(f"printf 'status\\r\\n' | nc -w 1 127.0.0.1 {JOB_PORT}")
        rows = {line.split("\t")[0]: line.split("\t") for line in answer.splitlines()}
        return int(rows[function][3]) if function in rows else 0

    def wait_listening(self) -> None:
        """Wait until exactly one aggregator works for every job server."""
        for server in self.jobs:
            until(f"one aggregator works for {server.name}", partial(self.one_works_for, server), 90)

    def one_works_for(self, job_server: Host) -> bool:
        return self.workers(job_server) == 1

    def start_beat(self, edge: Host) -> None:
        """Have an edge ship again and again: a rotation every second or two, besides cron's."""
        edge.sh(f"touch /run/drill; setsid sh -c '{BEAT}' </dev/null >/dev/null 2>&1 &")

    @contextmanager
    def beats(self) -> Iterator[None]:
        """All edges ship all the time."""
        for edge in self.edges:
            self.start_beat(edge)
        try:
            yield
        finally:
            for edge in self.edges:
                edge.sh("rm -f /run/drill")


class Traffic(threading.Thread):
    """Sends traffic to all edges, round after round, until it is stopped."""

    def __init__(self, lab_file: str, sent_file: str) -> None:
        super().__init__(name="traffic", daemon=True)
        self._command = [sys.executable, str(ROOT / "tests/demo/traffic.py"), "--lab", lab_file, "--out", sent_file]
        self._command += ["--seconds", str(ROUND_SECONDS), "--rate", "6"]
        self._stop_it, self._turn = threading.Event(), threading.Lock()
        self.problem = ""
        self._seed = int(time.time())

    def run(self) -> None:
        """A round after the other."""
        while not self._stop_it.is_set():
            with self._turn:
                self._seed += 1
                done = subprocess.run(
                    [*self._command, "--seed", str(self._seed)], capture_output=True, text=True, check=False
                )
            if done.returncode:
                self.problem = done.stderr.strip()[-500:]
                return
            time.sleep(0.05)  # whoever wants the silence between two rounds gets it

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Between two rounds: nothing is being sent."""
        with self._turn:
            yield

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Traffic all the while."""
        self.start()
        try:
            yield
        finally:
            self._stop_it.set()
            self.join()
        if self.problem:
            raise DrillError(f"traffic failed: {self.problem}")
