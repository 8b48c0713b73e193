"""The link to the job servers, under `submit` and `worker`: a layer over the `gearman` library that mends its traps.

What the library does by itself, and what is done instead:
- an ERROR reply is only logged, and the next JOB_CREATED is credited to the rejected job: here it fails that job;
- connecting has no time-out, and a dead peer is never noticed: here both have one;
- fail-over between servers is broken: in `submit` each attempt is one client object on one server;
- one job at a time: in `worker` many jobs are held at once, and completed when their transaction is committed;
- 4 KB a read, and the rest of what is to be sent copied at every write: here 256 KB, and as much as the socket takes;
- a packet is kept however long it is, and every update of a job: here the first is cut, and the second ignored.
The package that brings the library is pygearman: gearman3 0.2.1 fails at its first read on Python 3.9 and later.
"""

from __future__ import annotations

import socket

from edgetally.config import parse_server
from edgetally.errors import EdgetallyError
from edgetally.lazy import logging_later
from edgetally.limits import RECEIPT_BYTES
from edgetally.sockets import dial
from edgetally.wire.packets import Cutter, NotBinaryError

with logging_later():
    from gearman.client import GearmanClient
    from gearman.client_handler import GearmanClientCommandHandler
    from gearman.connection import GearmanConnection
    from gearman.constants import JOB_FAILED
    from gearman.errors import ConnectionError as GearmanConnectionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONNECT_TIMEOUT = 5.0
READ_BYTES = 256 << 10
HEAD_BYTES = 4096  # of a packet beside its payload: a handle, a function and a unique id
HUNG_UP = (
    "closed by the server before it said a word, as one does that wants TLS: where its port is for that, roll this "
    "host out with edgetally_tls"
)


class LinkError(EdgetallyError):
    """No job server could be used. The sentence names each one and why."""


class NoAnswerError(LinkError):
    """A job server took the request, but no aggregator answered it in time."""


class Connection(GearmanConnection):
    """A connection with a connect time-out, keepalive and large reads."""

    connect_cooldown_seconds = 0.0  # wire/worker has its own pauses
    tls = ""  # the folder of what TLS needs, empty for plain TCP
    heard = False  # whether the server has said a word
    _outgoing_buffer: bytes
    packet_bytes = RECEIPT_BYTES + HEAD_BYTES  # of a longer packet only the beginning is kept
    paused = False  # reads nothing for a while: what comes waits in the kernel and in the job server

    def _create_client_socket(self) -> None:
        self._cutter = Cutter(self.packet_bytes)
        self.heard = False
        try:
            link = open_link(self.gearman_host, self.gearman_port, self.tls)
        except OSError as error:
            self.throw_exception(exception=error)
        self.set_socket(link)

    def read_data_from_socket(self, bytes_to_read: int = READ_BYTES) -> int:
        if not self.connected:
            self.throw_exception(message="disconnected")
        try:
            data = self.gearman_socket.recv(bytes_to_read)
        except BlockingIOError:
            return len(self._incoming_buffer)
        except OSError as error:
            self._lose(cause_of(error))
        if not data:
            self._lose("closed by the server")
        self.heard = True
        try:
            self._incoming_buffer.frombytes(self._cutter.pass_on(data))
        except NotBinaryError:
            self.throw_exception(message="the answer is not gearman's")
        return len(self._incoming_buffer)

    def send_data_to_socket(self) -> int:
        data, sent = memoryview(self._outgoing_buffer), 0
        try:
            while sent < len(data):
                sent += self.gearman_socket.send(data[sent:])
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(cause_of(error))
        self._outgoing_buffer = bytes(data[sent:])
        return len(self._outgoing_buffer)

    def _lose(self, cause: str) -> None:
        """The other end hung up."""
        self.throw_exception(message=cause if self.heard or self.tls else HUNG_UP)

    def readable(self) -> bool:
        return not self.paused and bool(super().readable())

    def throw_exception(self, message: str | None = None, exception: BaseException | None = None) -> None:
        self.connected = False
        raise GearmanConnectionError(cause_of(exception) if exception else message)


class Guard:
    """Makes a lost connection of whatever the library raises at a garbled answer. Client and worker inherit from it."""

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

    def recv_work_data(self, job_handle: bytes, data: bytes) -> bool:
        """An aggregator sends no updates: who does wants to fill the memory."""
        return True

    recv_work_warning = recv_work_data


class Client(Guard, GearmanClient):
    """A client on one server. cause: why it lost its connection, empty where it has not."""

    connection_class = Connection
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


def connect(server: str, tls: str = "") -> Client:
    """A client on one server, connected. Raises GearmanConnectionError with the cause."""
    client = Client([parse_server(server)])
    client.connection_list[0].tls = tls
    client.establish_connection(client.connection_list[0])
    return client


def open_link(host: str, port: int, tls: str) -> socket.socket:
    """A connection to a job server. Raises OSError. tls: the folder of what TLS needs, empty for plain TCP."""
    link = dial(host, port, CONNECT_TIMEOUT)
    if not tls:
        return link
    from edgetally.wire.tls import secure

    return secure(link, tls, CONNECT_TIMEOUT)


def unreachable(server: str, tls: str = "") -> str:
    """Why a job server cannot be reached, over TLS also why it admits nobody of this name; empty where it can."""
    try:
        open_link(*parse_server(server), tls).close()
    except OSError as error:
        return cause_of(error)
    return ""


def cause_of(error: BaseException) -> str:
    """An operating system's error in words."""
    if isinstance(error, socket.timeout):
        return f"no answer in {CONNECT_TIMEOUT:g} s"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def text_of(value: Any) -> str:
    """Bytes of a job server as text; empty for none."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
