"""What a server writes between the lines of requests is no request, and no line that is not billed."""

from __future__ import annotations

import io

import pytest

from edgetally.formats.catalogue import FORMATS
from edgetally.tally.count import tally

PREFIX = "Oct 10 13:55:36 lb1 haproxy[2451]: "
NOTICES = [
    "Proxy www started.",
    "Proxy www stopped (cumulated conns: FE: 12, BE: 0).",
    "Stopping frontend www in 0 ms.",
    'Server cache/edge1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms.',
    "Health check for server cache/edge1 failed, reason: Layer7 timeout, check duration: 2001ms, status: 0/2 DOWN.",
    "Backup Server cache/edge2 is UP, reason: Layer4 check passed.",
    "backend cache has no server available!",
    "cache/edge1 changed its IP from 192.0.2.1 to 192.0.2.2 by DNS cache.",
    "192.0.2.7:51234 [10/Oct/2026:13:55:36.250] www/1: SSL handshake failure",
    "192.0.2.7:51234 [10/Oct/2026:13:55:36.250] www/1: Connection closed during SSL handshake",
]


@pytest.mark.parametrize("engine", ["kernel", "reference"])
@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_of_haproxys_is_no_line(notice: str, engine: str) -> None:
    example = FORMATS["haproxy"].example
    data = io.BytesIO(f"{PREFIX}{notice}\n{example}\n<133>{PREFIX}{notice}\n".encode())
    found = tally([data], FORMATS["haproxy"], None, engine=engine)
    assert (found.lines, found.counted, found.rejected) == (1, 1, 0)


@pytest.mark.parametrize(
    "line",
    [
        FORMATS["haproxy"].example[:-30],
        f"{PREFIX}nonsense",
        f"{PREFIX}Server nonsense",
        f'{PREFIX}192.0.2.7:51234 [10/Oct/2026:13:55:36.250] www~ cache/edge1 0/0/1/12 "GET /Proxy www started"',
    ],
)
def test_what_only_looks_like_one_is_rejected(line: str) -> None:
    assert tally([io.BytesIO(f"{line}\n".encode())], FORMATS["haproxy"], None).rejected == 1
