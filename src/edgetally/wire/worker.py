"""The taking end of the link to the job servers: a worker that holds many jobs at once."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gearman.errors import ConnectionError as GearmanConnectionError
from gearman.errors import ServerUnavailable
from gearman.worker import GearmanWorker
from gearman.worker_handler import GearmanWorkerCommandHandler

from edgetally.config import parse_server
from edgetally.limits import MAX_BATCH_BYTES
from edgetally.wire.gearman import HEAD_BYTES, Connection, Guard, text_of

GRAB_WINDOW = 32  # jobs that a worker asks for at once
SEND_SECONDS = 1.0  # for the answers of a group, before the next is worked on
RECONNECT_SECONDS = (1.0, 30.0)  # the first and the longest pause before a lost job server is tried again


class TakenJob(NamedTuple):
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
        self.done: list[tuple[TakenJob, bytes]] = []

    def begin(self) -> None:
        """A new group begins: ask for its jobs, or, where the server has none, send the answers of the group before."""
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
        """The server says that there are jobs again."""
        self.asleep = False
        self._ask(1)
        return True

    def recv_no_job(self) -> bool:
        """The server has no job left."""
        self.asked -= 1
        if not self.asked:
            self.answer()
            self.connection_manager.drained()
            self._sleep()
            self.asleep = True
        return True

    def recv_job_assign_uniq(self, job_handle: bytes, task: bytes, unique: bytes, data: bytes) -> bool:
        self.asked -= 1
        self.connection_manager.collect(TakenJob(text_of(task), text_of(unique), bytes(data), job_handle, self))
        self._ask(2)  # in place of this one and one more: soon GRAB_WINDOW are on their way, with a short queue few
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


class Worker(Guard, GearmanWorker):
    """A worker on all job servers at once, which hands jobs over in groups.

    `wait` collects jobs until a server has no more, or the group is full; they are held, not lost, until `complete`.
    limit: jobs of a group; limit_bytes: of their payloads, exceeded by a single larger one alone; payload_bytes: a
    longer payload is cut, but stays longer than this. tls: the folder of what TLS needs, empty for plain TCP.
    """

    connection_class = Connection
    command_handler_class = _WorkerHandler

    def __init__(
        self,
        servers: Sequence[str],
        functions: Iterable[str],
        name: str,
        limit: int,
        limit_bytes: int,
        payload_bytes: int = MAX_BATCH_BYTES,
        tls: str = "",
    ) -> None:
        super().__init__([parse_server(server) for server in servers])
        for connection in self.connection_list:
            connection.packet_bytes = payload_bytes + HEAD_BYTES
            connection.tls = tls
        self.set_client_id(name)
        for function in functions:
            self.register_task(function.encode(), None)
        self.limit = limit
        self.limit_bytes = limit_bytes
        self._held: list[TakenJob] = []
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

    def collect(self, job: TakenJob) -> None:
        """Take a job over from a connection."""
        self._held.append(job)
        self._size += len(job.payload)
        self._ready = self._ready or len(self._held) >= self._enough
        if self._size >= self.limit_bytes:
            self._ready = True
            self._pause(True)

    def _pause(self, paused: bool) -> None:
        """Read no more for now: what was asked for already waits in the job servers."""
        for connection in self.connection_list:
            connection.paused = paused

    def drained(self) -> None:
        """A server has no more jobs: hand over what was collected."""
        self._ready = bool(self._held)

    def wait(
        self, timeout: float, enough: int | None = None, until: Callable[[], bool] = lambda: False
    ) -> list[TakenJob]:
        """The next group of jobs, maybe an empty one, after timeout seconds at most.

        enough: the number of jobs that is handed over though there are more; at most the limit, which it is by default.
        until: ends the wait with what is there; who makes it true in another thread calls `wake`.
        """
        self._enough = min(enough or self.limit, self.limit)
        self._ready = bool(self._held)
        self._connect_all()
        for handler in self._handlers:
            handler.begin()
        if not self._live():
            timeout = min(timeout, RECONNECT_SECONDS[0])
        self._poll([*self._live(), self._bell], lambda: not self._ready and not until(), timeout)
        for handler in self._handlers:
            handler.answer()
        self._send(SEND_SECONDS)
        return self._hand_over()

    def _hand_over(self) -> list[TakenJob]:
        """The jobs of a group; what is too much for it begins the next."""
        count = size = 0
        for job in self._held:
            if count and size + len(job.payload) > self.limit_bytes:
                break
            count += 1
            size += len(job.payload)
        jobs, self._held = self._held[:count], self._held[count:]
        self._size -= size
        self._pause(self._size >= self.limit_bytes)
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

    def complete(self, job: TakenJob, result: bytes = b"") -> None:
        """Answer a job and remove it from its queue; it is sent with the next `wait`, or with `close`.

        A lost connection has given its jobs back already: no error.
        """
        if job.handler in self.handler_to_connection_map:
            job.handler.done.append((job, result))

    def close(self, timeout: float = 5.0) -> None:
        """Send what is still to be sent, and disconnect: the servers give unfinished jobs to another worker."""
        for handler in self._handlers:
            handler.answer()
        self._send(timeout)
        self.shutdown()
        self._bell.close()

    def _live(self) -> set[Any]:
        return {connection for connection in self.connection_list if connection.connected}

    def _poll(self, connections: Iterable[Any], going_on: Callable[[], bool], timeout: float) -> None:
        with suppress(ServerUnavailable):
            self.poll_connections_until_stopped(set(connections), lambda _activity: going_on(), timeout=timeout)

    def _send(self, timeout: float) -> None:
        live = self._live()
        self._poll(live, lambda: any(connection.writable() for connection in live), timeout)

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
