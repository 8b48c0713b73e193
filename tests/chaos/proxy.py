"""A TCP proxy before the database: cuts connections, and loses the answer to a COMMIT."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading


class Proxy(threading.Thread):
    """Forwards 127.0.0.1:port to a server. Its faults: cut(), lose_commit(), and `frozen` while set."""

    def __init__(self, target: int) -> None:
        super().__init__(name="proxy", daemon=True)
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.commits_lost = 0
        self.frozen = threading.Event()
        self._ending = threading.Event()
        self._cut = threading.Event()
        self._lose = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, tuple[socket.socket, bool]] = {}  # (the other end, whether it is the client's)

    def cut(self) -> None:
        """End all connections."""
        self._cut.set()

    def lose_commit(self) -> None:
        """Let the next COMMIT through, and end its connection before the answer."""
        self._lose.set()

    def close(self) -> None:
        """End."""
        self._ending.set()
        self.join()

    def run(self) -> None:
        """Forward until closed."""
        while not self._ending.is_set():
            if self.frozen.is_set():
                self._ending.wait(0.05)
                continue
            if self._cut.is_set():
                self._cut.clear()
                self._drop_all()
            for key, _events in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                    self._forward(key.fileobj)
        self._drop_all()
        self._listener.close()

    def _accept(self) -> None:
        client, _address = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 2)
        except OSError:
            client.close()
            return
        for one, other, is_client in ((client, server, True), (server, client, False)):
            self._peers[one] = (other, is_client)
            self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, source: socket.socket) -> None:
        target, from_client = self._peers[source]
        try:
            data = source.recv(1 << 18)
            if data:
                target.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(source)
        elif from_client and self._lose.is_set() and data[4:].upper() == b"\x03COMMIT":
            self._lose.clear()
            self.commits_lost += 1
            with contextlib.suppress(OSError):
                target.settimeout(5)
                target.recv(1 << 16)  # the database has committed
            self._drop(source)

    def _drop_all(self) -> None:
        while self._peers:
            self._drop(next(iter(self._peers)))

    def _drop(self, one: socket.socket) -> None:
        other, _is_client = self._peers.pop(one)
        self._peers.pop(other, None)
        for end in (one, other):
            with contextlib.suppress(KeyError):
                self._selector.unregister(end)
            end.close()
