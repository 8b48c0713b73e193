"""Odd web traffic, and what clients saw of it: an origin, and requests as raw bytes.

Every kind of request has a host of its own, so that a bill by host says which kind it is wrong about:

    with origin() as behind:
        crowd = Crowd(port)             # of the server in front of the origin
        make_odd_traffic(crowd)
        crowd.seen["plain.test"]        # Seen(requests=1, bytes=1234)
"""

from __future__ import annotations

import base64
import collections
import contextlib
import dataclasses
import http.server
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator

HOST = "127.0.0.1"
BIG = 8 << 20  # more than a connection's buffers hold
LAST = "/size/777"  # what is asked for last
PAUSE = 1.1  # seconds between the three parts of /slow: more than one full second, the clock of many logs
_TIMEOUT = 20.0


class _Answers(http.server.BaseHTTPRequestHandler):
    """`/size/N` a body of N bytes that can be kept, `/chunked/N` three chunks of N, `/slow` the same with pauses.

    `/status/N` is an error of that status; all else is not here.
    """

    protocol_version = "HTTP/1.1"
    server: Origin

    def do_GET(self) -> None:
        what, _, number = self.path.partition("?")[0].strip("/").partition("/")
        if what == "size" and self.headers.get("If-None-Match") == '"x"':
            self._head(304, {})
        elif what == "size":
            self._head(200, {"Content-Length": number, "Cache-Control": "max-age=3600", "ETag": '"x"'})
            self._body(b"x" * int(number))
        elif what in ("chunked", "slow"):
            self._head(200, {"Transfer-Encoding": "chunked", "Cache-Control": "no-store"})
            self._chunks(int(number or 500), PAUSE if what == "slow" else 0.0)
        else:
            self._head(int(number) if what == "status" else 404, {"Content-Length": "9", "Cache-Control": "no-store"})
            self._body(b"not here\n")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._head(200, {"Content-Length": "7", "Cache-Control": "no-store"})
        self._body(b"thanks\n")

    do_HEAD = do_OPTIONS = do_GET  # noqa: N815 (the library's names)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.server.asked[self.headers.get("Host", "")] += 1
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, data: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(data)

    def _chunks(self, size: int, pause: float) -> None:
        for letter in (b"a", b"b", b"c"):
            time.sleep(0.0 if letter == b"a" else pause)
            if pause:
                self.server.last_part = time.time()
            self._body(b"%x\r\n%b\r\n" % (size, letter * size))
        self._body(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Origin(http.server.ThreadingHTTPServer):
    """The server behind the caches. asked: its requests by their Host; last_part: when /slow went on, epoch seconds."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: collections.Counter[str] = collections.Counter()
        self.last_part = 0.0
        super().__init__((HOST, 0), _Answers)

    @property
    def port(self) -> int:
        """The port of loopback that it listens on."""
        return int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        """Keep quiet of caches that have left."""


@contextlib.contextmanager
def origin() -> Iterator[Origin]:
    """An origin on a free port of loopback."""
    with Origin() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@dataclasses.dataclass
class Seen:
    """What clients received of one host.

    bytes: all on the wire; of these, interim: of `100 Continue` responses, framing: of chunks, without what they hold.
    whole: clients stayed until the last byte, so that it is all there was to log.
    """

    requests: int = 0
    bytes: int = 0
    interim: int = 0
    framing: int = 0
    whole: bool = True


class Crowd:
    """Clients of the server on a port; `seen` has what they received, by the name that each visit was given."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: dict[str, Seen] = {}
        self._lock = threading.Lock()

    def visit(
        self,
        name: str,
        sent: bytes,
        *,
        requests: int = 1,
        take: int | None = None,
        to: str = HOST,
        port: int | None = None,
    ) -> None:
        """Send bytes on a connection of its own; read until the server ends it, or `take` bytes and break it off."""
        got = _talk((to, port or self.port), sent, take)
        with self._lock:
            seen = self.seen.setdefault(name, Seen())
            seen.requests += requests
            seen.bytes += len(got)
            seen.interim += got.index(b"\r\n\r\n") + 4 if got.startswith(b"HTTP/1.1 100 ") else 0
            seen.framing += _framing(got) if requests == 1 else 0
            seen.whole &= take is None


def _talk(address: tuple[str, int], sent: bytes, take: int | None) -> bytes:
    got = b""
    with socket.create_connection(address, _TIMEOUT) as connection, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):  # it may answer, and end, before all is sent
            connection.sendall(sent)
        if take is not None:  # a reset, so that the server learns of it at once
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        while take is None or len(got) < take:
            more = connection.recv(1 << 16 if take is None else take - len(got))
            if not more:
                break
            got += more
    return got


def _framing(response: bytes) -> int:
    """The bytes of a response's body that are its chunks' sizes and line ends."""
    head, _, body = response.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return 0
    rest, held = body, 0
    while rest:
        size = int(rest.partition(b"\r\n")[0], 16)
        held += size
        rest = rest.partition(b"\r\n")[2][size + 2 :]
    return len(body) - held


def get(host: str | bytes, path: str | bytes, *headers: str | bytes, method: str = "GET", keep: bool = False) -> bytes:
    """A request as bytes; an empty host leaves the Host header out, and keep the connection open."""
    lines = [method.encode() + b" " + _bytes(path) + b" HTTP/1.1"]
    if host:
        lines.append(b"Host: " + _bytes(host))
    lines += map(_bytes, headers)
    if not keep:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


# A TLS client's hello, as a browser sends it to a port that speaks plain HTTP; and what no protocol is.
_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) + b"\x20" + bytes(range(64, 96)) + b"\x00\x20" * 70
_NOISE = random.Random(7).randbytes(300) + b"\n\r\n\r\n"
# What a client calls itself by Basic authentication; the first two forge the end of a log's line.
_USERS = ('x [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 9', "[1", "a b", '"', "-", "\\")


def make_odd_traffic(crowd: Crowd) -> None:
    """All kinds of traffic, one after the other, and beside them what takes long."""
    waiting = [
        ("slow.test", get("slow.test", "/slow")),
        ("timeout.test", b"GET /size/1 HTTP/1.1\r\nHost: timeout.test\r\n"),
        ("halfline", b"GET /siz"),
    ]
    threads = [threading.Thread(target=crowd.visit, args=visit) for visit in waiting]
    for thread in threads:
        thread.start()
    for part in (_plain, _text, _hosts, _methods, _broken, _long):
        part(crowd)
    for thread in threads:
        thread.join()
    crowd.visit("last.test", get("last.test", LAST))


def _plain(crowd: Crowd) -> None:
    """What browsers do every day."""
    visit = crowd.visit
    visit("plain.test", get("plain.test", "/size/1000"))
    visit("head.test", get("head.test", "/size/1000", method="HEAD"))
    visit("missing.test", get("missing.test", "/missing"))
    visit("chunked.test", get("chunked.test", "/chunked/3000"))
    for name, header in (
        ("etag.test", 'If-None-Match: "x"'),
        ("range.test", "Range: bytes=10-29"),
        ("ranges.test", "Range: bytes=10-29,50-60"),
    ):
        visit(name, get(name, "/size/999"))
        visit(name, get(name, "/size/999", header))
    visit("unsatisfied.test", get("unsatisfied.test", "/size/50", "Range: bytes=1000-"))
    for _ in range(3):
        visit("cached.test", get("cached.test", "/size/3000"))
    keep = get("kept.test", "/size/10", keep=True)
    visit("kept.test", keep * 2 + get("kept.test", "/size/10"), requests=3)
    visit("six.test", get("six.test", "/size/10"), to="::1")
    visit("big.test", get("big.test", f"/size/{BIG}"))
    visit("aborted.test", get("aborted.test", f"/size/{BIG + 1}"), take=100_000)
    visit("http10.test", b"GET /size/10 HTTP/1.0\r\nHost: http10.test\r\n\r\n")


def _text(crowd: Crowd) -> None:
    """What is hard to write into a line of text."""
    odd = {
        "quotes.test": get("quotes.test", '/size/10?"q"\\"', r'User-Agent: a "b\" c\\ \\\" "', r'Referer: "\"'),
        "backslash.test": get("backslash.test", "/size/10?x\\", "User-Agent: x\\", "Referer: \\"),
        "controls.test": get("controls.test", "/size/10", "User-Agent: a\tb\x01c\x7fd\x1b[0m", "Referer: \t"),
        "urlcontrol.test": get("urlcontrol.test", "/size/10?a\x01b\x7f"),
        "urltab.test": get("urltab.test", "/size/10?a\tb"),
        "urlspace.test": get("urlspace.test", "/size/10?a b c"),
        "utf8.test": get("utf8.test", b"/size/10?\xff\xfe\xc3", b"User-Agent: \xff\xfe\xc3\xa9\xe2\x28\xa1"),
        "forged.test": get("forged.test", '/size/10?" 200 99999 "GET http://evil.test/', 'User-Agent: " 200 99999'),
    }
    for name, sent in odd.items():
        crowd.visit(name, sent)
    for user in _USERS:
        word = base64.b64encode(f"{user}:password".encode()).decode()
        crowd.visit("user.test", get("user.test", "/size/10", f"Authorization: Basic {word}"))


def _hosts(crowd: Crowd) -> None:
    """Hosts in all spellings, good and bad."""
    targets = {
        "absolute.test": ("other.test", "http://Absolute.TEST:80/size/10"),
        "absolutenohost.test": ("", "http://AbsoluteNohost.TEST:80/size/10"),
        "absolutepath.test": ("other.test", "http://absolutepath.test"),
        "absolutehttps.test": ("other.test", "HTTPS://absolutehttps.test/size/10"),
        "userinfo.test": ("other.test", "http://me:pw@userinfo.test/size/10"),
        "nohost": ("", "/size/10"),
    }
    for name, (host, target) in targets.items():
        crowd.visit(name, get(host, target))
    good = {
        "port.test": "port.test:8080",
        "upper.test": "UPPER.test",
        "dot.test": "dot.test.:80",
        "[::1]": "[::1]:8080",
    }
    odd: tuple[str | bytes, ...] = (
        "space host",
        'quote"host"',
        "back\\host\\",
        "tab\thost",
        "slash/host",
        b"\xff\xfehost",
        "-",
        "a,b",
        "me@at.test",
    )
    spellings: dict[str, str | bytes] = {
        **good,
        **{f"odd host {number}": host for number, host in enumerate(odd)},
        "long host": "l" * 300,
    }
    for name, spelling in spellings.items():
        crowd.visit(name, get(spelling, "/size/10"))
    crowd.visit("two hosts", get("one.test", "/size/10", "Host: two.test"))
    crowd.visit("empty host", b"GET /size/10 HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n")
    crowd.visit("http10 without host", b"GET /size/10 HTTP/1.0\r\n\r\n")


def _methods(crowd: Crowd) -> None:
    """Requests that are not GET."""
    form = get("post.test", "/form", "Content-Length: 5", method="POST")
    crowd.visit("post.test", form + b"hello")
    form = get("continue.test", "/form", "Content-Length: 5", "Expect: 100-continue", method="POST")
    crowd.visit("continue.test", form + b"hello")
    for name, target in {"OPTIONS": "*", "TRACE": "/size/1", "BREW": "/size/1", "get": "/size/1", 'GE"T': "/"}.items():
        crowd.visit(f"{name.lower()}.test", get(f"{name.lower()}.test", target, method=name))
    crowd.visit("connect.test", get("connect.test:443", "connect.test:443", method="CONNECT"))


def _broken(crowd: Crowd) -> None:
    """What is no request, or a broken one."""
    crowd.visit("hello", _HELLO)
    crowd.visit("noise", _NOISE)
    crowd.visit("nothing", b"", take=0)
    crowd.visit("blank.test", b"\r\n\r\n\r\n" + get("blank.test", "/size/1"))
    crowd.visit("http09", b"GET /size/10\r\n")
    crowd.visit("http20", b"GET /size/10 HTTP/2.0\r\nHost: http20\r\n\r\n")
    crowd.visit("lowerhttp", b"GET /size/10 http/1.1\r\nHost: lowerhttp\r\nConnection: close\r\n\r\n")
    crowd.visit("nopath.test", get("nopath.test", "size/10"))
    crowd.visit("dashes", b"- - -\r\n\r\n")
    chunked = "Transfer-Encoding: chunked"
    crowd.visit("badchunk.test", get("badchunk.test", "/form", chunked, method="POST") + b"zz\r\na\r\n0\r\n\r\n")


def _long(crowd: Crowd) -> None:
    """What is longer than a server takes, or just not."""
    crowd.visit("long.test", get("long.test", "/size/10?" + "x" * 7_800))
    crowd.visit("longquote.test", get("longquote.test", "/size/10?" + '"' * 2_000))
    crowd.visit("longagent.test", get("longagent.test", "/size/10", b"User-Agent: " + b"\xff" * 7_000))
    crowd.visit("toolong.test", get("toolong.test", "/size/10?" + "x" * 100_000))
    crowd.visit("headers.test", get("headers.test", "/size/10", *["X-A: " + "x" * 7_000] * 20))
