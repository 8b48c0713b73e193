"""What servers say that they have sent to clients: loaded only where the configuration names some.

squid's cache manager is asked over the network, so by a child without rights. The others are asked by root: Varnish and
Traffic Server by the programs that come with them, HAProxy at its own socket.
"""

from __future__ import annotations

import csv
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable

from edgetally.config import CounterConfig, parse_server
from edgetally.edge.unprivileged import User, ask_as
from edgetally.errors import EdgetallyError

PATIENCE = 2.0  # seconds: the rotation must not wait for a server that hangs
LARGEST = 4 << 20  # bytes of an answer


def counted(one: CounterConfig, user: User | None) -> int:
    """The bytes that a server has sent to its clients. Raises EdgetallyError or OSError where it does not tell."""
    asked: dict[str, Callable[[], int]] = {
        "squid": lambda: _squid(one.at or "127.0.0.1:3128", user),
        "haproxy": lambda: _haproxy(one.at or "/run/haproxy/admin.sock"),
        "trafficserver": lambda: _trafficserver(one.at),
        "varnish": lambda: _varnish(one.at),
    }
    return asked[one.program]()


def _squid(at: str, user: User | None) -> int:
    """Of the cache manager, in KiB: what its clients got, with headers."""
    host, port = parse_server(at, 3128)
    request = f"GET cache_object://{at}/counters HTTP/1.0\r\n\r\n".encode()
    said = ask_as(user, lambda: _ask(socket.AF_INET, (host, port), request)).decode("latin-1")
    if not said:  # also where the child could not reach it
        raise EdgetallyError(f"squid's cache manager at {at} does not answer")
    return _number(r"(?m)^client_http\.kbytes_out = (\d+)$", said, f"squid's cache manager at {at}") << 10


def _haproxy(path: str) -> int:
    """Of the statistics socket: the sum of all frontends, with headers."""
    said = _ask(socket.AF_UNIX, path, b"show stat\n").decode("latin-1")
    rows = csv.DictReader(said.removeprefix("# ").splitlines())
    sizes = [int(row["bout"]) for row in rows if row.get("svname") == "FRONTEND" and row.get("bout")]
    if not sizes:
        raise EdgetallyError(f"HAProxy at {path} names no frontend")
    return sum(sizes)


def _trafficserver(root: str) -> int:
    """Of traffic_manager: headers and bodies of all responses, as it heard of them up to ten seconds ago."""
    if root and not os.path.isfile(root):  # traffic_ctl would ask the server that has none
        raise EdgetallyError(f"there is no run root {root}")
    metrics = [f"proxy.process.http.user_agent_response_{part}_total_size" for part in ("header", "document")]
    said = _run(["traffic_ctl", *((f"--run-root={root}",) if root else ()), "metric", "get", *metrics])
    return sum(_number(rf"(?m)^{re.escape(metric)} (\d+)$", said, "traffic_ctl") for metric in metrics)


def _varnish(instance: str) -> int:
    """Of the shared memory: bodies and headers of all responses."""
    command = ["varnishstat", "-1", "-t", "1", *(("-n", instance) if instance else ()), "-f", "MAIN.s_resp_*bytes"]
    said = _run(command)
    return sum(_number(rf"(?m)^MAIN\.s_resp_{part}bytes +(\d+)", said, "varnishstat") for part in ("hdr", "body"))


def _ask(family: int, where: tuple[str, int] | str, request: bytes) -> bytes:
    """Send a request, and read until the other side has said all, which it must have within PATIENCE."""
    end = time.monotonic() + PATIENCE
    if family == socket.AF_INET and isinstance(where, tuple):
        connection = socket.create_connection(where, PATIENCE)
    else:
        connection = socket.socket(family)
        connection.settimeout(PATIENCE)
        connection.connect(where)
    with connection:
        connection.sendall(request)
        said = bytearray()
        while len(said) < LARGEST and (data := connection.recv(1 << 16)):
            said += data
            connection.settimeout(max(0.001, end - time.monotonic()))  # for all of it: one may drip
        return bytes(said)


def _run(command: list[str]) -> str:
    """What a program says, which must be one of the system's."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise EdgetallyError(f"{command[0]} did not answer in {PATIENCE:g} s") from None
    if done.returncode:
        raise EdgetallyError(f"{command[0]} says: {' '.join((done.stderr or done.stdout).split())}")
    return done.stdout


def _number(pattern: str, said: str, who: str) -> int:
    found = re.search(pattern, said)
    if found is None:
        raise EdgetallyError(f"{who} does not tell how much it has sent: {' '.join(said.split())[:80]}")
    return int(found[1])
