"""The link to the job servers: a thin layer over the `gearman` library that mends its traps.

What the library does by itself, and what is done here instead:
- an ERROR reply is only logged, and the next JOB_CREATED is credited to the rejected job: here it fails that job;
- connecting has no time-out, and a dead peer is never noticed: here both have one;
- fail-over between servers is broken: here each attempt is one client object on one server;
- one job at a time: here a worker holds many jobs at once, and completes them when their transaction is committed;
- 4 KB a read: here 256 KB. gearman3 0.2.1 fails at its first read on Python 3.9 and later; pygearman does not.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gearman.client import GearmanClient
from gearman.client_handler import GearmanClientCommandHandler
from gearman.connection import GearmanConnection
from gearman.constants import JOB_COMPLETE, JOB_CREATED, JOB_FAILED, PRIORITY_HIGH
from gearman.errors import ConnectionError as GearmanConnectionError
from gearman.errors import GearmanError, ServerUnavailable
from gearman.worker import GearmanWorker
from gearman.worker_handler import GearmanWorkerCommandHandler

from edgetally.config import parse_server
from edgetally.dial import dial
from edgetally.errors import EdgetallyError

CONNECT_TIMEOUT = 5.0
READ_BYTES = 256 << 10
CALL_BYTES = 8 << 20  # the library copies its send buffer at every write
GRAB_WINDOW = 32  # jobs that a worker asks for at once
ASK_SECONDS = 4.0  # for an answer over a job server, while there is another
SEND_SECONDS = 1.0  # for the answers of a group, before the next is worked on
RECONNECT_SECONDS = (1.0, 30.0)  # the first and the longest pause before a lost job server is tried again


class LinkError(EdgetallyError):
    """No job server could be used. The sentence names each one and why."""


class NoAnswerError(LinkError):
    """A job server took the request, but no aggregator answered it in time."""


class Answer(NamedTuple):
    """A job's result, and the job server over which it came."""

    server: str
    result: bytes


class Job(NamedTuple):
    """A job to submit: its unique id (1 to 63 bytes) and its payload."""

    unique: str
    payload: bytes


class _Connection(GearmanConnection):
    """A connection with a connect time-out, keepalive and large reads."""

    connect_cooldown_seconds = 0.0  # the worker below has its own pauses

    def _create_client_socket(self) -> None:
        try:
            link = dial(self.gearman_host, self.gearman_port, CONNECT_TIMEOUT)
        except OSError as error:
            self.throw_exception(exception=error)
        self.set_socket(link)

    def read_data_from_socket(self, bytes_to_read: int = READ_BYTES) -> int:
        if not self.connected:
            self.throw_exception(message="disconnected")
        try:
            data = self.gearman_socket.recv(bytes_to_read)
        except OSError as error:
            self.throw_exception(exception=error)
        if not data:
            self.throw_exception(message="closed by the server")
        self._incoming_buffer.frombytes(data)
        return len(self._incoming_buffer)

    def throw_exception(self, message: str | None = None, exception: BaseException | None = None) -> None:
        self.connected = False
        raise GearmanConnectionError(_cause(exception) if exception else message)


class _Guard:
    """Turns whatever a garbled answer makes the library raise into a lost connection. For client and worker."""

    def handle_read(self, connection: Any) -> None:
        try:
            super().handle_read(connection)  # type: ignore[misc]
        except GearmanConnectionError:
            raise
        except Exception as error:
            connection.connected = False
            raise GearmanConnectionError(f"the answer is not gearman's ({type(error).__name__})") from error


class _ClientHandler(GearmanClientCommandHandler):
    def recv_error(self, error_code: bytes, error_text: bytes) -> bool:
        """The server refuses the oldest request that waits for its handle."""
        if self.requests_awaiting_handles:
            request = self.requests_awaiting_handles.popleft()
            request.state = JOB_FAILED
            request.exception = b"%s: %s" % (error_code, error_text)
        return True


class _Client(_Guard, GearmanClient):
    connection_class = _Connection
    command_handler_class = _ClientHandler
    cause = ""

    def handle_error(self, current_connection: Any) -> None:
        self.cause = self.cause or "the connection was lost"
        super().handle_error(current_connection)

    def handle_read(self, connection: Any) -> None:
        try:
            super().handle_read(connection)
        except GearmanConnectionError as error:
            self.cause = str(error)
            raise


def submit(servers: Sequence[str], function: str, jobs: Sequence[Job], timeout: float = 30.0) -> set[str]:
    """Submit background jobs to the first job server that accepts them; the others are tried for what is left.

    Accepted means: this job's own JOB_CREATED was read. Returns the unique ids of the accepted jobs, which may be
    fewer than were given. Raises LinkError when there were jobs and none was accepted.
    """
    left = list(jobs)
    accepted: set[str] = set()
    causes = []
    for server in servers:
        if not left:
            break
        try:
            taken, cause = _submit_to(server, function, left, timeout)
        except GearmanError as error:
            taken, cause = set(), str(error)
        accepted |= taken
        left = [job for job in left if job.unique not in taken]
        causes.append(f"{server}: {cause}")
    if left and not accepted:
        raise LinkError(
            f"no job server took the batches ({'; '.join(causes)}): "
            "check that gearmand runs there and that its port can be reached; nothing is lost, the next run tries again"
        )
    return accepted


def _submit_to(server: str, function: str, jobs: Sequence[Job], timeout: float) -> tuple[set[str], str]:
    """Submit to one server, a bounded number of bytes a call. Returns the accepted ids and why others were not."""
    deadline = time.monotonic() + timeout
    accepted: set[str] = set()
    cause = ""
    client = _connect(server)
    try:
        for group in _groups(jobs):
            requests = client.submit_multiple_jobs(
                [{"task": function, "unique": job.unique, "data": job.payload} for job in group],
                background=True,
                wait_until_complete=False,
                poll_timeout=max(0.1, deadline - time.monotonic()),
            )
            for request in requests:
                if request.state == JOB_CREATED and request.job.handle and not request.timed_out:
                    accepted.add(request.job.unique)
                elif request.state == JOB_FAILED:
                    cause = f"it refused a job ({_text(request.exception)})"
                else:
                    cause = f"it did not answer in {timeout:g} s"
    except GearmanError:
        cause = client.cause or "the connection was lost"
    finally:
        client.shutdown()
    return accepted, cause


def _groups(jobs: Sequence[Job]) -> Iterable[list[Job]]:
    """Cut a list of jobs where a group's payloads would exceed CALL_BYTES."""
    group: list[Job] = []
    size = 0
    for job in jobs:
        if group and size + len(job.payload) > CALL_BYTES:
            yield group
            group, size = [], 0
        group.append(job)
        size += len(job.payload)
    if group:
        yield group


def ask(servers: Sequence[str], function: str, payload: bytes, timeout: float = 10.0) -> Answer:
    """Run one foreground job of high priority on the first job server over which an aggregator answers.

    An aggregator that a server has lost, or never had, may answer over the next: each but the last has ASK_SECONDS at
    most. Raises NoAnswerError when no aggregator answers within timeout seconds, LinkError when no job server can be
    used.
    """
    deadline = time.monotonic() + timeout
    causes = []
    silent: NoAnswerError | None = None
    for number, server in enumerate(servers, 1):
        room = max(0.1, deadline - time.monotonic())
        try:
            share = room if number == len(servers) else min(ASK_SECONDS, room / 2)
            return Answer(server, _ask_one(server, function, payload, share))
        except NoAnswerError as error:
            silent = silent or error
        except GearmanError as error:
            causes.append(f"{server}: {error}")
    if silent:
        raise silent
    raise LinkError(
        f"no job server answers ({'; '.join(causes)}): check that gearmand runs there and that its port can be reached"
    )


def _ask_one(server: str, function: str, payload: bytes, timeout: float) -> bytes:
    client = _connect(server)
    try:
        request = client.submit_job(
            function,
            payload,
            unique=os.urandom(20).hex(),
            priority=PRIORITY_HIGH,
            background=False,
            wait_until_complete=True,
            poll_timeout=timeout,
        )
    except GearmanError:
        raise GearmanConnectionError(client.cause or "the connection was lost") from None
    finally:
        client.shutdown()
    if request.state == JOB_COMPLETE:
        return bytes(request.result)
    if request.state == JOB_CREATED:
        raise NoAnswerError(
            f"{server} took the request, but no aggregator answered in {round(timeout, 1):g} s: check "
            "`systemctl status edgetally-aggregator` on the aggregator's host"
        )
    raise GearmanConnectionError(f"it refused or lost the request ({_text(request.exception) or request.state})")


def _connect(server: str) -> _Client:
    """A client on one server, connected. Raises GearmanConnectionError with the cause."""
    client = _Client([parse_server(server)])
    client.establish_connection(client.connection_list[0])
    return client


def unreachable(server: str) -> str:
    """Why a job server's port cannot be reached; empty where it can."""
    try:
        dial(*parse_server(server), CONNECT_TIMEOUT).close()
    except OSError as error:
        return _cause(error)
    return ""


class Held(NamedTuple):
    """A job that a worker holds until it completes it."""

    function: str
    unique: str
    payload: bytes
    handle: Any
    handler: Any


class _WorkerHandler(GearmanWorkerCommandHandler):
    """A worker's end of one connection: asks for several jobs at once, and answers them a little later.

    gearmand works in the order in which it is asked, and takes much longer to delete a job from its queue than to hand
    one out. So a group's answers go out behind the requests for the next, and are worked off while that is committed.
    """

    asked = 0  # requests for a job that are not answered yet
    asleep = True  # until the server says that there are jobs

    def __init__(self, connection_manager: Worker) -> None:
        super().__init__(connection_manager)
        self.done: list[tuple[Held, bytes]] = []

    def begin(self) -> None:
        """A new group."""
        if self.asleep:
            self.answer()
        elif not self.asked:
            self._ask(GRAB_WINDOW)

    def answer(self) -> None:
        """Send what is done."""
        for job, result in self.done:
            self.send_job_complete(job, result)
        self.done.clear()

    def _ask(self, most: int) -> None:
        for _ in range(min(most, GRAB_WINDOW - self.asked, self.connection_manager.room())):
            self._grab_job()
            self.asked += 1

    def recv_noop(self) -> bool:
        self.asleep = False
        self._ask(1)
        return True

    def recv_no_job(self) -> bool:
        self.asked -= 1
        if not self.asked:
            self.answer()
            self.connection_manager.drained()
            self._sleep()
            self.asleep = True
        return True

    def recv_job_assign_uniq(self, job_handle: bytes, task: bytes, unique: bytes, data: bytes) -> bool:
        self.asked -= 1
        self.connection_manager.collect(Held(_text(task), _text(unique), bytes(data), job_handle, self))
        self._ask(2)  # one for this answer, one more: soon GRAB_WINDOW are on their way, and with a short queue few
        return True


class _Bell:
    """Wakes a waiting worker from another thread. It is polled like a connection that never has anything to say."""

    connected = True

    def __init__(self) -> None:
        self.gearman_socket, self._rope = socket.socketpair()
        self.gearman_socket.setblocking(False)
        self._rope.setblocking(False)

    def ring(self) -> None:
        with suppress(OSError):  # full: it rings already; closed: nobody waits any more
            self._rope.send(b"!")

    def hear(self) -> None:
        with suppress(OSError):
            self.gearman_socket.recv(64)

    def close(self) -> None:
        self.gearman_socket.close()
        self._rope.close()

    def fileno(self) -> int:
        return self.gearman_socket.fileno()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False


class Worker(_Guard, GearmanWorker):
    """A worker on all job servers at once, which hands jobs over in groups.

    `wait` collects jobs until a server has no more, or the group is full; they are held, not lost, until `complete`.
    limit: jobs of a group; limit_bytes: of their payloads, exceeded by at most GRAB_WINDOW jobs.
    """

    connection_class = _Connection
    command_handler_class = _WorkerHandler

    def __init__(
        self, servers: Sequence[str], functions: Iterable[str], name: str, limit: int, limit_bytes: int
    ) -> None:
        super().__init__([parse_server(server) for server in servers])
        self.set_client_id(name)
        for function in functions:
            self.register_task(function.encode(), None)
        self.limit = limit
        self.limit_bytes = limit_bytes
        self._held: list[Held] = []
        self._size = 0
        self._ready = False
        self._bell = _Bell()
        self._enough = limit
        self._retry: dict[Any, tuple[float, float]] = {}
        self.lost: dict[str, str] = {}

    @property
    def _handlers(self) -> list[_WorkerHandler]:
        return list(self.handler_to_connection_map)

    def room(self) -> int:
        """How many more jobs may be asked for."""
        if self._size >= self.limit_bytes:
            return 0
        return self.limit - len(self._held) - sum(handler.asked for handler in self._handlers)

    def collect(self, job: Held) -> None:
        """Take a job over from a connection."""
        self._held.append(job)
        self._size += len(job.payload)
        self._ready = self._ready or len(self._held) >= self._enough or self._size >= self.limit_bytes

    def drained(self) -> None:
        """A server has no more jobs: hand over what was collected."""
        self._ready = bool(self._held)

    def wait(self, timeout: float, enough: int | None = None, until: Callable[[], bool] = lambda: False) -> list[Held]:
        """The next group of jobs, maybe an empty one, after timeout seconds at most.

        enough: the number of jobs that is handed over though there are more; at most the limit, which it is by default.
        until: ends the wait with what is there; who makes it true in another thread calls `wake`.
        """
        self._enough = min(enough or self.limit, self.limit)
        self._ready = len(self._held) >= self._enough
        self._connect_all()
        for handler in self._handlers:
            handler.begin()
        if not self._live():
            timeout = min(timeout, RECONNECT_SECONDS[0])
        self._poll([*self._live(), self._bell], lambda: not self._ready and not until(), timeout)
        for handler in self._handlers:
            handler.answer()
        self._send(SEND_SECONDS)
        jobs, self._held, self._size = self._held, [], 0
        return jobs

    def is_connected(self) -> bool:
        """Whether any job server is."""
        return bool(self._live())

    def wake(self) -> None:
        """Have `wait` look at its `until` again. May be called by another thread."""
        self._bell.ring()

    def handle_read(self, connection: Any) -> None:
        if connection is self._bell:
            self._bell.hear()
        else:
            super().handle_read(connection)

    def complete(self, job: Held, result: bytes = b"") -> None:
        """Answer a job and remove it from its queue; it is sent with the next `wait`, or with `close`.

        A lost connection has given its jobs back already: no error.
        """
        if job.handler in self.handler_to_connection_map:
            job.handler.done.append((job, result))

    def _live(self) -> set[Any]:
        return {connection for connection in self.connection_list if connection.connected}

    def _poll(self, connections: Iterable[Any], going_on: Callable[[], bool], timeout: float) -> None:
        with suppress(ServerUnavailable):
            self.poll_connections_until_stopped(set(connections), lambda _activity: going_on(), timeout=timeout)

    def _send(self, timeout: float) -> None:
        live = self._live()
        self._poll(live, lambda: any(connection.writable() for connection in live), timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Send what is still to be sent, and disconnect: the servers give unfinished jobs to another worker."""
        for handler in self._handlers:
            handler.answer()
        self._send(timeout)
        self.shutdown()
        self._bell.close()

    def _connect_all(self) -> None:
        """Connect to every server that is not connected and whose pause is over."""
        for connection in self.connection_list:
            when, pause = self._retry.get(connection, (0.0, RECONNECT_SECONDS[0]))
            if connection.connected or time.monotonic() < when:
                continue
            name = "{}:{}".format(*connection.get_address())
            try:
                self.establish_connection(connection)
            except GearmanConnectionError as error:
                self._retry[connection] = (time.monotonic() + pause, min(pause * 2, RECONNECT_SECONDS[1]))
                self.lost[name] = str(error)
            else:
                self._retry.pop(connection, None)
                self.lost.pop(name, None)


def _cause(error: BaseException) -> str:
    """An operating system's error in words."""
    if isinstance(error, socket.timeout):
        return f"no answer in {CONNECT_TIMEOUT:g} s"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
