"""What clients ask for while the fields are logged: each kind of visit has a host of its own."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from tests.support.odd_traffic import BIG, HOST, Crowd, get

AGENT = "User-Agent: Mozilla/5.0 (X11; Linux) a b"
LAST = "/size/777"
TWO = 50_000  # bytes of what is asked for by HTTP/2
TUNNEL = HOST  # the host of a tunnel, and so the name of that visit
# By host, the bytes of the bodies that came as they were at the origin.
BODIES = {"miss.test": 3000, "hit.test": 4000, "missing.test": 9, "error.test": 9, "user.test": 10, "six.test": 20}


def make_visits(crowd: Crowd) -> None:
    """Hits and misses, errors, what is broken off, what is no request, a tunnel, and beside them what takes long."""
    slow = threading.Thread(target=crowd.visit, args=("slow.test", get("slow.test", "/slow", AGENT)))
    slow.start()
    for name, path, *more in (
        ("miss.test", "/size/3000?a=b&c", AGENT, "Cookie: a=b c; d=e", "X-Forwarded-For: 192.0.2.1, 192.0.2.2"),
        ("hit.test", "/size/2000", AGENT),
        ("hit.test", "/size/2000", AGENT),
        ("missing.test", "/missing", AGENT, "Referer: http://a.test/b c"),
        ("error.test", "/status/500"),
        ("retried.test", "/retried/size/40", AGENT),
        ("user.test", "/size/10", "Authorization: Basic am9lIGI6cGFzcw=="),
    ):
        crowd.visit(name, get(name, path, *more))
    crowd.visit("six.test", get("six.test", "/size/20"), to="::1")
    crowd.visit("aborted.test", get("aborted.test", f"/size/{BIG}"), take=100_000)
    crowd.visit("bad", b"GARBAGE\r\n\r\n")
    crowd.visit("bad", b"\x16\x03\x01\x00\xc8\x01\x00\r\n\r\n")
    slow.join()
    crowd.visit("last.test", get("last.test", LAST))


def tunnel(crowd: Crowd, port: int, behind: int) -> None:
    """A visit through a tunnel to the origin. port: that takes it."""
    connect = get(f"{HOST}:{behind}", f"{HOST}:{behind}", method="CONNECT", keep=True)
    crowd.visit(TUNNEL, connect + get("inside.test", "/size/500"), port=port)


def http2(port: int, folder: Path) -> None:
    """A visit in clear-text HTTP/2."""
    command = ["curl", "--silent", "--fail", "--http2-prior-knowledge", "--output", str(folder / "two")]
    url = f"http://{HOST}:{port}/size/{TWO}"
    subprocess.run([*command, "--header", "Host: two.test", url], check=True, timeout=20)
