"""What others put around a line: both engines take it away before any format, and never from a line that fits."""

from __future__ import annotations

import io
import json

import pytest

from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.formats.wrapped import unwrapped
from edgetally.tally.count import tally
from edgetally.tally.result import Tally
from tests.fuzz.engines import compare

PREFIXES = (
    "Oct 10 13:55:36 lb1 nginx[2451]: ",
    "Oct 10 13:55:36.123456 lb1 nginx[2451]: ",
    "<134>Oct  1 13:55:36 nginx: ",
    "2026-10-10T13:55:36+02:00 lb1 nginx: ",
    "2026-10-10T13:55:36+0200 lb1 nginx[1]: ",
    "<134>1 2026-10-10T13:55:36.123Z lb1 nginx 2451 - - ",
    '<134>1 2026-10-10T13:55:36.123Z lb1 nginx 2451 ID47 [a@1 b="c"] ',
    "2026-10-06T00:17:09.669794202Z stdout F ",
    "2026-10-06T02:17:09.66+02:00 stderr F ",
)
NGINX = parse_format(
    '$remote_addr - $remote_user [$time_local] "$request" $status $bytes_sent "$http_user_agent" "$host"'
)
LINE = '192.0.2.7 - - [28/May/2026:20:26:40 +0000] "GET / HTTP/1.1" 200 7 "say \\"hi\\" \\\\" "a.example.com"'
FIRST_TEXT = parse_format('$http_user_agent|$msec|$bytes_sent|"$host"')


def both(fmt: LogFormat, *lines: str) -> Tally:
    one, two = compare("\n".join(lines).encode(), fmt, channels=None)
    assert one == two
    return one


def docker(line: str) -> str:
    return json.dumps({"log": f"{line}\n", "stream": "stdout", "time": "2026-10-06T00:17:09.669794202Z"})


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("fmt", "line"),
    [
        (NGINX, LINE),
        (FIRST_TEXT, 'agent|1780000000.000|7|"a.example.com"'),
        *(
            (fmt, fmt.example)
            for fmt in (FORMATS["caddy"], FORMATS["traefik_json"], FORMATS["combined"], FORMATS["squid"])
        ),
    ],
)
def test_a_prefix_is_taken_away(prefix: str, fmt: LogFormat, line: str) -> None:
    assert unwrapped((prefix + line).encode()) == line.encode()
    plain, wrapped = both(fmt, line), both(fmt, prefix + line)
    assert wrapped.rejected == 0
    assert wrapped == plain


@pytest.mark.parametrize("fmt", [NGINX, FORMATS["caddy"]])
def test_dockers_entries_are_opened(fmt: LogFormat) -> None:
    line = LINE if fmt is NGINX else fmt.example.replace("/a.gif?b", "/\\u00e9\\\\x")
    for text in (
        docker(line),
        docker(line).replace(": ", ":").replace(", ", ","),
        docker(line).replace("stdout", "stderr"),
    ):
        wrapped = both(fmt, text if text.startswith('{"log":"') else text.replace('{"log": "', '{"log":"', 1))
        assert (wrapped.counted, wrapped.rejected) == ((1, 0) if '","stream":"' in text else (0, 1))


def test_prefixed_lines_are_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(_engine: object, _name: str, block: bytes, _numbers: object) -> None:
        pytest.fail(f"the reference was asked about {block[:200]!r}")

    monkeypatch.setattr("edgetally.tally.engines.reference.ReferenceEngine.count", count)
    for fmt, line in ((NGINX, LINE), (FORMATS["caddy"], FORMATS["caddy"].example)):
        data = f"{PREFIXES[7]}{line}\n{PREFIXES[0]}{line}\n{line}\n".encode()
        assert tally([io.BytesIO(data)], fmt, None, engine="kernel").counted == 3


def test_a_format_that_has_the_prefix_itself_keeps_it() -> None:
    fmt = parse_format("log_format x '$time_iso8601 stdout F $host $bytes_sent';")
    assert both(fmt, "2026-10-06T00:17:09Z stdout F a.example.com 7").bytes == 7


@pytest.mark.parametrize("line", ["2026-10-06T00:17:09Z stdout P " + LINE, docker(LINE)[:-20], '{"log":7}', LINE])
def test_what_is_not_whole_is_left_as_it_is(line: str) -> None:
    assert unwrapped(line.encode()) is None


def test_the_reason_is_that_of_what_is_inside() -> None:
    (reject,) = both(FORMATS["caddy"], PREFIXES[0] + FORMATS["caddy"].example.replace("size", "length")).rejects
    assert reject.reason == "it has no size"
