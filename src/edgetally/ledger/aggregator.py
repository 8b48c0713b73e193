"""The aggregator: the single writer. It takes batches from all job servers and commits them, many in one transaction.

A job is completed only after its transaction is committed; the next jobs are collected and checked meanwhile. A second
aggregator stands by, registers nothing, and takes over when the first has not renewed the writer's row for
lease_seconds, or gives it up because it reaches no job server.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pymysql

from edgetally.config import AggregatorConfig
from edgetally.ledger.database import (
    DEADLOCK,
    NO_ROOM,
    RETRY,
    DatabaseError,
    check_schema,
    connect,
    durability_problem,
    error_code,
    is_bad_data,
    refusal_text,
)
from edgetally.ledger.incoming import Incoming, open_batch
from edgetally.ledger.ledger import Ledger, commit_apart
from edgetally.ledger.machines import Watch
from edgetally.ledger.transaction import RECORDED
from edgetally.ledger.writer import FenceLostError
from edgetally.notify import ALIVE, READY, tell
from edgetally.wire.batch import CANARY_STREAM, FUNCTION
from edgetally.wire.envelope import BatchError, edge_of
from edgetally.wire.gearman import unreachable
from edgetally.wire.machine import Machine
from edgetally.wire.receipts import RECEIPT_FUNCTION, open_request, seal_answer
from edgetally.wire.worker import GRAB_WINDOW, TakenJob, Worker

FENCE_LOST = 3  # the exit status of an aggregator that has lost the writer's row to another
GROUP_BYTES = 8 << 20  # of a group's payloads; there are two groups at most, each some 15 times as large in memory
STANDBY_SECONDS = 2.0
LEAVE_SECONDS = 8.0  # systemd and people expect an end within ten
RETRY_SECONDS = (0.2, 5.0)
REMIND_SECONDS = 60.0  # for as long as the database is not as it should be
MAINTENANCE_SECONDS = 6 * 3600

SWITCH_SECONDS = 0.0005  # so that the thread that writes need not wait long for the one that checks

T = TypeVar("T")
Answers = list[tuple[TakenJob, bytes]]


class StoppedError(Exception):
    """A signal asked the aggregator to end while it was waiting for the database."""


class Aggregator:
    """One aggregator process: stands by, holds the lease, commits what comes."""

    def __init__(self, config: AggregatorConfig) -> None:
        self.config = config
        self.stop = threading.Event()
        holder = f"{socket.gethostname()}:{os.getpid()}"
        self.ledger = Ledger(config.database, holder, config.lease_seconds)
        self._said: dict[str, tuple[str, float]] = {}
        self._watch = Watch()
        self._renewed = self._maintained = float("-inf")

    def run(self) -> int:
        """Work until a signal or the loss of the fence; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ask_to_end())
        tell(READY)
        try:
            self._check_durability()
            while not self.stop.is_set():
                self._stand_by()
                self._work()
            return 0
        except StoppedError:
            return 0
        except FenceLostError:
            self.say("fence", "another aggregator holds the writer's row: this one writes nothing more, and ends")
            return FENCE_LOST

    def _ask_to_end(self) -> None:
        """Finish the transaction in hand and leave; but not later than after LEAVE_SECONDS, whoever does not answer."""
        if not self.stop.is_set():
            self.stop.set()
            timer = threading.Timer(LEAVE_SECONDS, self._leave)
            timer.daemon = True
            timer.start()

    def _leave(self) -> None:
        self.say("leave", f"ends without an answer of {LEAVE_SECONDS:g} s: what is not committed comes again")
        os._exit(0)

    def say(self, topic: str, text: str, again: float = float("inf")) -> None:
        """Tell a thing once, until it changes, or once more after so many seconds."""
        before, when = self._said.get(topic, ("", 0.0))
        now = time.monotonic()
        if before != text or (text and now - when > again):
            self._said[topic] = (text, now)
            if text:
                print(text, file=sys.stderr, flush=True)

    # --- the lease

    def _stand_by(self) -> None:
        """Wait until a job server answers and the writer's row is ours. No function is registered before."""
        while True:
            cut_off = self._cut_off()
            if cut_off:
                self.say("lease", f"standing by: no job server can be reached ({cut_off})")
            elif self._steadily(self.ledger.acquire):
                break
            else:
                holder = self._steadily(self.ledger.writer)["holder"]
                self.say("lease", f"standing by: {holder} is the active aggregator")
            tell(ALIVE)
            if self.stop.wait(STANDBY_SECONDS):
                raise StoppedError
        self.say("lease", f"active: {self.ledger.holder} holds the writer's row, epoch {self.ledger.epoch}")

    def _cut_off(self) -> str:
        """Why no job server can be reached, the cause of each; empty where one can.

        An aggregator that reaches none does not take the lease, as another one may reach some.
        """
        causes = []
        for server in self.config.job_servers:
            cause = unreachable(server, self.config.tls)
            if not cause:
                return ""
            causes.append(f"{server}: {cause}")
        return "; ".join(causes)

    def _check_durability(self) -> None:
        """A database that does not flush at COMMIT can lose what it has confirmed."""

        def ask() -> str:
            with self.ledger.connection.cursor() as cursor:
                problem = durability_problem(cursor)
            self.ledger.connection.rollback()
            return problem

        self.say("flush", self._steadily(ask))

    # --- the work

    def _work(self) -> None:
        """Collect and check a group of jobs while a second thread writes the one before it: two groups at most.

        Goes on until it is asked to end, or no job server could be reached for lease_seconds: another aggregator may
        have the lease then. While the second thread has a group, the database's connection is in its hands alone.
        """
        config = self.config
        self._keep_house()  # before there are jobs that wait for it
        worker = Worker(
            config.job_servers,
            (FUNCTION, RECEIPT_FUNCTION),
            name=f"edgetally {self.ledger.holder}",
            limit=config.jobs_per_transaction,
            limit_bytes=GROUP_BYTES,
            payload_bytes=config.max_batch_bytes,
            tls=config.tls,
        )
        flight: Future[Answers] | None = None
        reached = time.monotonic()
        try:
            with ThreadPoolExecutor(1, "writer") as writer:
                while not self.stop.is_set() and time.monotonic() - reached < config.lease_seconds:
                    jobs = worker.wait(1.0, until=flight.done) if flight else worker.wait(1.0, GRAB_WINDOW)
                    self._report_lost(worker)
                    tell(ALIVE)
                    if worker.is_connected() or flight:
                        reached = time.monotonic()
                    batches = [(job, open_batch(config, job.payload)) for job in jobs if job.function == FUNCTION]
                    if flight and (jobs or flight.done()):
                        self._land(worker, flight)
                        flight = None
                    if flight is None:
                        self._keep_house()
                    if jobs:
                        flight = writer.submit(
                            self._write, batches, [job for job in jobs if job.function == RECEIPT_FUNCTION]
                        )
                        flight.add_done_callback(lambda _flight: worker.wake())
                if flight:
                    self._land(worker, flight)
        finally:
            worker.close()
        self._steadily(self.ledger.release)

    def _report_lost(self, worker: Worker) -> None:
        for server in self.config.job_servers:
            cause = worker.lost.get(server, "")
            self.say(server, f"job server {server} cannot be reached ({cause}): trying again" if cause else "")

    def _keep_house(self) -> None:
        """Make partitions now and then, and renew the lease where no transaction did."""
        if time.monotonic() - self._maintained > MAINTENANCE_SECONDS:
            self._steadily(lambda: self.ledger.maintain(self.config.detail_days))
            self._maintained = time.monotonic()
        if time.monotonic() - self._renewed > self.config.lease_seconds / 4:
            self._steadily(self.ledger.renew)
            self._renewed = time.monotonic()

    @staticmethod
    def _land(worker: Worker, flight: Future[Answers]) -> None:
        """Wait until a group is written, and complete its jobs. Raises what went wrong: then they are not completed."""
        for job, answer in flight.result():
            worker.complete(job, answer)

    def _write(self, batches: Sequence[tuple[TakenJob, Incoming]], requests: Sequence[TakenJob]) -> Answers:
        """Commit a group's batches, then see what its requests ask for: an answer for each job."""
        if batches:
            self._commit([incoming for _job, incoming in batches])
            self._renewed = time.monotonic()
        heard: dict[str, Machine] = {}
        answers = [(job, self._receipt(job.payload, heard)) for job in requests]
        if heard:
            self._steadily(lambda: self.ledger.note_machines(heard))
            self._watch.noted(heard)
        return [*((job, b"") for job, _incoming in batches), *answers]

    def _commit(self, group: list[Incoming]) -> None:
        """Write a group, and say what was put aside of it."""

        def refuse(item: Incoming, refusal: BatchError) -> None:
            self._steadily(lambda: self.ledger.quarantine(item, refusal))

        states = commit_apart(group, lambda some: self._steadily(lambda: self.ledger.commit(some)), refuse)
        for item, state in zip(group, states):
            if state not in RECORDED:
                detail = item.refused.detail if item.refused else "see `edgetally quarantine list`"
                self.say("refused", f"quarantined ({state}) a batch of {item.stream or 'an unknown sender'}: {detail}")

    def _receipt(self, payload: bytes, heard: dict[str, Machine]) -> bytes:
        """The signed answer to a request for receipts; empty, which is no answer, where the request is not signed.

        heard: gets the edge's machine where it is to be noted.
        """
        try:
            request = open_request(self.config, payload)
        except BatchError as error:
            self.say("request", f"refused a request for receipts: {error}")
            return b""
        states = self._steadily(lambda: self.ledger.states(request.envelope.stream, request.ask))
        ledger, now = self._steadily(self.ledger.identify)
        stream, machine = request.envelope.stream, request.machine
        edge = edge_of(stream)
        if machine and stream != CANARY_STREAM and self._watch.is_new(edge, machine):  # canaries come from anywhere
            heard[edge] = machine
        return seal_answer(request, ledger, now, states)

    # --- the database may be away for a while, or not as it should be

    def _steadily(self, action: Callable[[], T]) -> T:
        """Do it, again and again whatever the database refuses but a value. Ends with StoppedError on a signal."""
        pause = RETRY_SECONDS[0]
        while True:
            tell(ALIVE)
            try:
                result = action()
                self.say("database", "")
                return result
            except (pymysql.MySQLError, DatabaseError, OSError) as error:
                if is_bad_data(error):
                    raise
                if error_code(error) != DEADLOCK:  # of it only the transaction is lost: the connection is good
                    self.ledger.disconnect()
                    self.say("database", _trouble(error), REMIND_SECONDS)
            if self.stop.wait(pause):
                raise StoppedError
            pause = min(pause * 2, RETRY_SECONDS[1])


def _trouble(error: Exception) -> str:
    """What is wrong with the database, and that it is waited for."""
    code = error.code if isinstance(error, DatabaseError) else error_code(error)
    if code in NO_ROOM:
        return f"the database has no room on its disk, trying again: {error}"
    if isinstance(error, DatabaseError) and code not in RETRY:
        return f"batches wait, and nothing is lost: {error}"
    if code in RETRY or isinstance(error, OSError):
        return f"the database is away, trying again: {error}"
    return (
        f"batches wait, and nothing is lost: the database refuses the aggregator ({refusal_text(error)}): mend it, "
        "or run `edgetally migrate`"
    )


def run(config: AggregatorConfig) -> int:
    """`edgetally aggregate`: refuse a database that does not fit at once, then work until a signal."""
    connection = connect(config.database)
    check_schema(connection, config.database)
    connection.close()
    sys.setswitchinterval(SWITCH_SECONDS)
    return Aggregator(config).run()
