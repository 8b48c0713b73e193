#!/usr/bin/python3
"""The load generator: real HTTP/1.x over raw sockets, every byte that comes back counted.

    traffic.py --lab LAB.json --seconds 150 --out SENT.json
    traffic.py --target edge1=127.0.0.1:8001 --target edge2=127.0.0.1:8002 --seconds 30 --out SENT.json

Each target (an edge) gets its own workers, which ask for the lab's sites: with and without keep-alive, GET, HEAD,
ranges, If-Modified-Since, HTTP/1.0, with gzip, and for files that are not there. A response is read to its end, and
status line, headers, chunk framing and body all count: the same bytes that the servers log as sent.

SENT.json: {"start", "end": epoch seconds, "sent": [{"edge", "channel", "host", "prefix", "requests", "bytes"}],
"kinds": {kind: requests}, "statuses": {status: requests}, "failures": [text]}. When the file exists, this run is added
to what it says. Exit status: 0; 1 when a request failed; 2 for wrong use. Targets must lie on loopback or in the lab's
private network: this program sends load nowhere else.
"""

from __future__ import annotations

import argparse
import ipaddress
import itertools
import json
import os
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

FILES = 40  # each site has files 000 to 039, seeded sizes
MISSING = "no-such-file"
TIMEOUT = 30.0  # seconds without a byte before a response counts as failed
UNASSIGNED = "unassigned"


class Site(NamedTuple):
    """A part of a site, the channel that it should be billed to, and its share of the requests."""

    channel: str
    host: str
    prefix: str
    weight: int


SITES = (
    Site("news", "news.example.com", "/files/", 30),
    Site("video", "video.example.com", "/files/", 6),
    Site("video", "video.example.com", "/live/", 4),
    Site("video", "a.v.example.com", "/live/", 5),
    Site("video", "b.v.example.com", "/live/", 5),
    Site("shop", "shop.example.com", "/files/", 22),
    Site("images", "img.example.com", "/files/", 26),
    Site(UNASSIGNED, "a.v.example.com", "/files/", 2),  # no rule says whose this is
)

# How a request is made, and its share of the requests.
KINDS = {"get": 50, "close": 12, "head": 7, "range": 6, "unchanged": 8, "missing": 5, "http/1.0": 6, "gzip": 6}


class Target(NamedTuple):
    """An edge and where it answers."""

    edge: str
    address: str
    port: int


class BadResponseError(Exception):
    """A response that is not complete, or not HTTP."""


class StaleConnectionError(Exception):
    """The server closed an idle connection before it saw the request: ask again on a new one."""


class Response(NamedTuple):
    """A response read to its end; size is all of its bytes on the wire."""

    status: int
    headers: dict[str, str]
    size: int
    reusable: bool


class Wire:
    """A connection to a server that counts what it receives. Raises BadResponseError or OSError."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_connection((address, port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._received = 0
        self._used = False

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def exchange(self, request: bytes, *, head: bool, last: bool) -> Response:
        """Send a request, read its response. head: it has no body. last: the server closes, which is waited for."""
        self._received = 0
        try:
            self._socket.sendall(request)
            status_line = self._line()
        except (BrokenPipeError, ConnectionResetError, BadResponseError):
            if self._used and not self._received:
                raise StaleConnectionError from None
            raise
        version, status = _parse_status(status_line)
        headers = self._headers()
        self._used = True
        bodiless = head or status in (204, 304)
        until_end = not bodiless and "content-length" not in headers and "transfer-encoding" not in headers
        if not bodiless and not until_end:
            self._body(headers)
        extra = 0 if until_end else len(self._buffer)
        size = self._received - extra
        if until_end or last:
            drained = self._drain()
            size, extra = (size + drained, 0) if until_end else (size, extra + drained)
        if extra:
            raise BadResponseError(f"{extra} bytes follow the end of the response")
        kept = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        return Response(status, headers, size, kept and not until_end and not last)

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    def _body(self, headers: dict[str, str]) -> None:
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            self._skip(int(headers["content-length"]))
            return
        while length := int(self._line().partition(";")[0], 16):
            self._skip(length + 2)
        while self._line():
            pass  # trailers, up to the empty line

    def _line(self) -> str:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > 65536:
                raise BadResponseError("a line of more than 64 KiB")
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("latin-1")

    def _skip(self, length: int) -> None:
        while len(self._buffer) < length:
            length -= len(self._buffer)
            self._buffer = b""
            self._more()
        self._buffer = self._buffer[length:]

    def _drain(self) -> int:
        """Read on until the server closes the connection; how many bytes came."""
        self._buffer, count = b"", 0
        while data := self._socket.recv(262144):
            count += len(data)
        return count

    def _more(self) -> None:
        data = self._socket.recv(262144)
        if not data:
            raise BadResponseError("the connection was closed in the middle of the response")
        self._received += len(data)
        self._buffer += data


def _parse_status(line: str) -> tuple[str, int]:
    version, _, rest = line.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise BadResponseError(f"not a status line: {line[:60]!r}")
    return version, int(rest[:3])


@dataclass
class Counts:
    """What one or many workers sent and received. sent: (edge, site) -> [requests, bytes]."""

    sent: dict[tuple[str, Site], list[int]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, edge: str, site: Site, requests: int, size: int) -> None:
        """Count requests and their bytes."""
        cell = self.sent.setdefault((edge, site), [0, 0])
        cell[0] += requests
        cell[1] += size

    def merge(self, other: Counts) -> None:
        """Add another's counts to these."""
        for (edge, site), (requests, size) in other.sent.items():
            self.add(edge, site, requests, size)
        self.kinds.update(other.kinds)
        self.statuses.update(other.statuses)
        self.failures.extend(other.failures)


class Worker(threading.Thread):
    """Sends one edge `rate` requests a second, one after the other, until its time or number of requests is up."""

    def __init__(self, target: Target, seed: str, rate: float, limit: int, until: float, stop: threading.Event) -> None:
        super().__init__(name=seed, daemon=True)
        self.counts = Counts()
        self.requests = self.bytes = 0
        self._target, self._rate, self._limit, self._until, self._stopped = target, rate, limit, until, stop
        self._random = random.Random(seed)
        self._wire: Wire | None = None
        self._modified: dict[tuple[str, str], str] = {}

    def run(self) -> None:
        """Work. Late requests are sent at once, not caught up with."""
        due = time.monotonic() + self._random.random() / self._rate
        while self.requests < self._limit and due < self._until and not self._stopped.wait(due - time.monotonic()):
            self._one()
            due = max(due + 1 / self._rate, time.monotonic())
        self._drop()

    def _one(self) -> None:
        """Choose a request, send it, count it."""
        choose = self._random
        (site,) = choose.choices(SITES, [site.weight for site in SITES])
        (kind,) = choose.choices(list(KINDS), list(KINDS.values()))
        # Some files are asked for more often than others, so that caches have hits and misses.
        name = f"{min(int(choose.expovariate(0.1)), FILES - 1):03}"
        path = site.prefix + (MISSING if kind == "missing" else name)
        modified = self._modified.get((site.host, path), "")
        if kind == "unchanged" and not modified:
            kind = "get"
        self.requests += 1
        try:
            response = self._exchange(kind, make_request(kind, site.host, path, modified))
        except (OSError, BadResponseError, ValueError) as error:
            self._drop()
            self._fail(kind, site, path, str(error) or type(error).__name__)
            return
        self.bytes += response.size
        self.counts.add(self._target.edge, site, 1, response.size)
        self.counts.kinds[kind] += 1
        self.counts.statuses[response.status] += 1
        if response.status != EXPECTED.get(kind, 200):
            self._fail(kind, site, path, f"answered {response.status}")
        if response.status == 200 and "last-modified" in response.headers:
            self._modified[site.host, path] = response.headers["last-modified"]

    def _exchange(self, kind: str, request: bytes) -> Response:
        """Send a request on the open connection, or on a new one where that one is gone."""
        last = kind in ("close", "http/1.0")
        while True:
            if self._wire is None:
                self._wire = Wire(self._target.address, self._target.port)
            try:
                response = self._wire.exchange(request, head=kind == "head", last=last)
            except StaleConnectionError:
                self._drop()
                continue
            if not response.reusable:
                self._drop()
            return response

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _fail(self, kind: str, site: Site, path: str, reason: str) -> None:
        self.counts.failures.append(f"{self._target.edge}: {kind} http://{site.host}{path}: {reason}")


EXPECTED = {"range": 206, "unchanged": 304, "missing": 404}  # else 200


def make_request(kind: str, host: str, path: str, modified: str = "") -> bytes:
    """The bytes of a request. modified: for kind `unchanged`, the Last-Modified that the file had."""
    version = "1.0" if kind == "http/1.0" else "1.1"
    lines = [f"{'HEAD' if kind == 'head' else 'GET'} {path} HTTP/{version}", f"Host: {host}", "User-Agent: demo/1"]
    extra = {"close": "Connection: close", "range": "Range: bytes=100-1123", "gzip": "Accept-Encoding: gzip"}
    if kind in extra:
        lines.append(extra[kind])
    if kind == "unchanged":
        lines.append(f"If-Modified-Since: {modified}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def send(
    targets: Sequence[Target], seconds: float, *, rate: float, workers: int, requests: int, seed: int
) -> tuple[Counts, float, float]:
    """Send to all targets at once; what was sent, and when it began and ended (epoch seconds)."""
    start, until, stop = time.time(), time.monotonic() + seconds, threading.Event()
    crew = [
        Worker(target, f"{seed}/{target.edge}/{number}", rate / workers, -(-requests // workers), until, stop)
        for target, number in itertools.product(targets, range(workers))
    ]
    for worker in crew:
        worker.start()
    try:
        _watch(crew, time.monotonic())
    finally:
        stop.set()
        for worker in crew:
            worker.join()
    total = Counts()
    for worker in crew:
        total.merge(worker.counts)
    return total, start, time.time()


def _watch(crew: Sequence[Worker], start: float) -> None:
    """Say every ten seconds how far the workers are; return when they have ended."""
    shown = 0
    while any(worker.is_alive() for worker in crew):
        next(worker for worker in crew if worker.is_alive()).join(1.0)
        elapsed = int(time.monotonic() - start)
        if elapsed // 10 > shown:
            shown = elapsed // 10
            requests, size = sum(worker.requests for worker in crew), sum(worker.bytes for worker in crew)
            print(
                f"traffic: {elapsed:4d} s {requests:8,d} requests {size / 1e6:10,.1f} MB", file=sys.stderr, flush=True
            )


def read_targets(texts: Sequence[str], lab: str | None) -> tuple[list[Target], str]:
    """The targets of the command line, or a lab's edges, and the lab's network. ValueError says what is wrong."""
    targets = []
    for text in texts:
        edge, equals, place = text.partition("=")
        address, colon, port = place.rpartition(":")
        if not equals or not colon or not port.isdigit():
            raise ValueError(f"--target {text}: give it as NAME=ADDRESS:PORT")
        targets.append(Target(edge, address, int(port)))
    if lab is None:
        return targets, "127.0.0.0/8"
    known = json.loads(Path(lab).read_text("utf-8"))
    edges = [Target(host["name"], host["ip"], 80) for host in known["hosts"] if "edges" in host["groups"]]
    return targets + edges, known["subnet"]


def check_targets(targets: Sequence[Target], network: str) -> None:
    """Let nobody send load to the world: ValueError unless all targets are on loopback or in this private network."""
    inside = ipaddress.ip_network(network)
    if not inside.is_private:
        raise ValueError(f"{network} is not a private network")
    for target in targets:
        address = ipaddress.ip_address(target.address)
        if not address.is_loopback and address not in inside:
            raise ValueError(f"{target.edge}: {address} lies neither on loopback nor in {network}")


def write_sent(path: Path, counts: Counts, start: float, end: float) -> None:
    """Write SENT.json, or add to it when it is there."""
    old: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for row in old.get("sent", []):
        site = next((site for site in SITES if site[:3] == (row["channel"], row["host"], row["prefix"])), None)
        if site is None:
            raise ValueError(f"{path} speaks of {row['host']}{row['prefix']}, which is none of the sites: remove it")
        counts.add(row["edge"], site, row["requests"], row["bytes"])
    counts.kinds.update(old.get("kinds", {}))
    counts.statuses.update({int(status): number for status, number in old.get("statuses", {}).items()})
    rows = [
        {**dict(zip(("edge", "channel", "host", "prefix"), (edge, *site[:3]))), "requests": requests, "bytes": size}
        for (edge, site), (requests, size) in sorted(counts.sent.items())
    ]
    sent = {"start": min(start, old.get("start", start)), "end": end, "sent": rows}
    sent.update(kinds=counts.kinds, statuses={str(status): n for status, n in sorted(counts.statuses.items())})
    sent.update(failures=[*old.get("failures", []), *counts.failures])
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(sent, indent=1) + "\n", "utf-8")
    os.replace(temporary, path)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Send HTTP load to the lab's edges and count every byte.")
    parser.add_argument("--lab", metavar="LAB.json", help="send to this lab's edges")
    parser.add_argument("--target", action="append", default=[], metavar="EDGE=ADDRESS:PORT", help="another edge")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--requests", type=int, default=100_000, help="at most so many to each edge")
    parser.add_argument("--rate", type=float, default=12.0, help="requests a second to each edge")
    parser.add_argument("--workers", type=int, default=4, help="connections to each edge")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, metavar="SENT.json")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Send, write SENT.json, say the sums."""
    options = parse_arguments(arguments)
    try:
        targets, network = read_targets(options.target, options.lab)
        check_targets(targets, network)
        if not targets or min(options.seconds, options.requests, options.rate, options.workers) <= 0:
            raise ValueError("nothing to do: give --lab or --target, and numbers above zero")
    except (OSError, ValueError) as error:
        print(f"traffic: {error}", file=sys.stderr)
        return 2
    counts, start, end = send(
        targets,
        options.seconds,
        rate=options.rate,
        workers=options.workers,
        requests=options.requests,
        seed=options.seed,
    )
    failures = counts.failures.copy()
    requests, size = (sum(cell[column] for cell in counts.sent.values()) for column in (0, 1))
    write_sent(Path(options.out), counts, start, end)
    print(f"traffic: {requests:,} requests, {size:,} bytes in {end - start:.0f} s, {len(failures)} failed")
    for failure in failures[:10]:
        print(f"traffic: {failure}", file=sys.stderr)
    return 1 if failures or not requests else 0


if __name__ == "__main__":
    sys.exit(main())
