"""The demo's own measuring tools: were they wrong, an unequal pipeline could look equal."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.demo import reconcile, traffic

OK = b"HTTP/1.1 200 OK\r\n"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nTrailer: 1\r\n\r\n"
NEWS, SHOP = traffic.SITES[0], traffic.SITES[5]


@contextmanager
def server(*answers: bytes, close: bool = False) -> Iterator[traffic.Wire]:
    """A connection to a server that gives one answer to each request, and closes then if told to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    if connection.recv(4096):
                        connection.sendall(answer)
                if not close:
                    connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        wire = traffic.Wire(*listener.getsockname())
        try:
            yield wire
        finally:
            wire.close()
            thread.join(5)


@pytest.mark.parametrize(
    ("answer", "head", "reusable"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", False, True),
        (OK + b"Content-Length: 5\r\n\r\n", True, True),
        (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\nx", False, False),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", False, True),
        (CHUNKED, False, True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", False, False),
    ],
    ids=["length", "head", "close", "304", "chunked", "1.0"],
)
def test_every_byte_of_a_response_counts(answer: bytes, head: bool, reusable: bool) -> None:
    with server(answer, answer) as wire:
        for _ in range(2):
            response = wire.exchange(REQUEST, head=head, last=False)
            assert (response.size, response.reusable) == (len(answer), reusable)


def test_a_response_without_length_ends_with_the_connection() -> None:
    answer = OK + b"\r\n" + b"x" * 100_000
    with server(answer, close=True) as wire:
        response = wire.exchange(REQUEST, head=False, last=False)
    assert (response.size, response.reusable) == (len(answer), False)


@pytest.mark.parametrize(
    ("answer", "close", "said"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhell", True, "closed in the middle"),
        (CHUNKED[:-4], True, "closed in the middle"),
        (OK + b"Content-Length: 1\r\n\r\nxy", False, "1 bytes follow"),
        (b"SSH-2.0-x\r\n", False, "not a status line"),
    ],
)
def test_a_wrong_response_is_a_failure(answer: bytes, close: bool, said: str) -> None:
    with server(answer, close=close) as wire, pytest.raises(traffic.BadResponseError, match=said):
        wire.exchange(REQUEST, head=False, last=False)


def test_what_follows_the_last_response_of_a_connection_is_a_failure() -> None:
    with server(OK + b"Content-Length: 1\r\n\r\nxy", close=True) as wire, pytest.raises(traffic.BadResponseError):
        wire.exchange(REQUEST, head=False, last=True)


def test_an_idle_connection_that_the_server_closed_is_no_failure() -> None:
    """The server never saw the second request and has no line for it."""
    with server(OK + b"Content-Length: 0\r\n\r\n", close=True) as wire:
        wire.exchange(REQUEST, head=False, last=False)
        with pytest.raises(traffic.StaleConnectionError):
            wire.exchange(REQUEST, head=False, last=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target=e=8.8.8.8:80"], "e: 8.8.8.8 lies neither on loopback nor in 127.0.0.0/8"),
        (["--target=e"], "--target e: give it as NAME=ADDRESS:PORT"),
        ([], "nothing to do"),
        (["--target=e=127.0.0.1:80", "--rate=0"], "nothing to do"),
    ],
)
def test_load_goes_nowhere_else(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert traffic.main([*arguments, f"--out={tmp_path}/sent.json"]) == 2
    assert said in capsys.readouterr().err


def test_a_labs_network_must_be_private() -> None:
    target = traffic.Target("edge1", "10.99.7.41", 80)
    traffic.check_targets([target], "10.99.7.0/24")
    with pytest.raises(ValueError, match=r"lies neither"):
        traffic.check_targets([target], "10.99.8.0/24")
    with pytest.raises(ValueError, match=r"not a private network"):
        traffic.check_targets([traffic.Target("edge1", "8.8.8.8", 80)], "8.8.0.0/16")


def test_an_edge_that_does_not_answer_fails_the_run(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but it does not listen
        place = f"--target=edge1=127.0.0.1:{taken.getsockname()[1]}"
        arguments = [place, "--requests=2", "--workers=1", "--rate=1000", f"--out={tmp_path}/sent.json"]
        assert traffic.main(arguments) == 1
    failures = json.loads((tmp_path / "sent.json").read_text())["failures"]
    assert len(failures) == 2
    assert "Connection refused" in failures[0]


def counts(requests: int, size: int) -> traffic.Counts:
    made = traffic.Counts()
    made.add("edge1", NEWS, requests, size)
    return made


def test_runs_add_up(tmp_path: Path) -> None:
    file = tmp_path / "sent.json"
    traffic.write_sent(file, counts(3, 300), 1000.0, 1010.0)
    traffic.write_sent(file, counts(2, 5), 2000.0, 2010.0)
    sent = reconcile.Sent(str(file))
    assert sent.sums == {("edge1", "news"): (5, 305)}
    assert (sent.start, sent.end) == (1000.0, 2010.0)
    assert sent.slots == (900, 2100)


NGINX = (
    '192.0.2.1 - - [23/Nov/2026:21:20:00 +0000] {time} {host} "GET {path} HTTP/1.1" 200 {bytes} 0.001 HIT "-" "x \\x22"'
)
APACHE = '[{clf}] {us} 200 {bytes} 192.0.2.1 "{host}" "GET {path} HTTP/1.1"'
VARNISH = '[{clf}] {us} 200 {bytes} hit "{host}" "GET http://{host}{path} HTTP/1.1"'
SQUID = "{time}     12 192.0.2.1 TCP_MISS/200 {bytes} GET http://{host}{path} - FIRSTUP_PARENT/192.0.2.2 text/html"


@pytest.mark.parametrize(
    ("kind", "line"), [("nginx", NGINX), ("squid", SQUID), ("apache", APACHE), ("varnish", VARNISH)]
)
@pytest.mark.parametrize("awk", ["mawk", "gawk"])
def test_awk_counts_raw_logs(awk: str, kind: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (binary := shutil.which(awk)):
        pytest.skip(f"{awk} is not installed here")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "awk").symlink_to(binary)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    big = 3_000_000_000  # %d of an old awk ends at 2^31
    requests = [
        (999.999, "news.example.com", "/files/000", 1),  # before the traffic
        (1000.0, "NEWS.example.com", "/files/000", big),
        (1001.5, "news.example.com", "/files/no-such-file?q=/x/", big),
        (1002.5, "a.v.example.com", "/files/000", 7),
        (1003.5, "unknown.example.com", "/", 8),
    ]
    archive = tmp_path / "raw" / "access"
    archive.mkdir(parents=True)
    for number, (time, host, path, size) in enumerate(requests):
        started = datetime.fromtimestamp(int(time), timezone(timedelta(hours=-3.5)))
        times = {"time": f"{time:.3f}", "clf": f"{started:%d/%b/%Y:%H:%M:%S %z}", "us": round(time % 1 * 1e6)}
        text = line.format(**times, host=host, path=path, bytes=size)
        (archive / f"{number}.gz").write_bytes(gzip.compress(f"{text}\n".encode()))
    file = tmp_path / "sent.json"
    traffic.write_sent(file, counts(2, 2 * big), 1000.4, 1010.0)
    edge = reconcile.Edge("edge1", reconcile.LOCAL, kind, spool=str(tmp_path))
    sums = reconcile.raw_sums(edge, reconcile.Sent(str(file)))
    assert sums == {("edge1", "news"): (2, 2 * big), ("edge1", "unassigned"): (2, 15)}


SENT = {("edge1", "news"): (10, 1000), ("edge2", "news"): (5, 500), ("edge2", "shop"): (1, 7)}
TOTALS = {"news": (15, 1500), "shop": (1, 7)}


def test_equal_sums_have_no_differences() -> None:
    assert reconcile.differences(SENT, SENT, SENT, TOTALS) == []


@pytest.mark.parametrize(
    ("raw", "held", "totals", "said"),
    [
        ({("edge2", "news"): (5, 499)}, {}, {}, "edge2, news: the raw logs have +0 requests and -1 bytes"),
        ({}, {("edge1", "news"): (11, 1000)}, {"news": (16, 1500)}, "edge1, news: the database has +1 requests"),
        ({}, {("edge3", "news"): (1, 1)}, {"news": (16, 1501)}, "edge3, news: the database has +1 requests and +1"),
        ({}, {}, {"news": (14, 1500)}, "news: channel_traffic has -1 requests and +0 bytes"),
        ({}, {}, {"gone": (1, 1)}, "gone: channel_traffic has +1 requests and +1 bytes"),
    ],
)
def test_a_difference_is_named(
    raw: reconcile.Sums, held: reconcile.Sums, totals: dict[str, tuple[int, int]], said: str
) -> None:
    found = reconcile.differences(SENT, {**SENT, **raw}, {**SENT, **held}, {**TOTALS, **totals})
    assert len(found) == 1
    assert said in found[0]


def test_the_table_is_aligned() -> None:
    lines = reconcile.table([TOTALS, TOTALS, TOTALS]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].split() == ["total", "16", "16", "16", "1,507", "1,507", "1,507"]


def test_an_edge_that_cannot_be_reached_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = [{"name": "edge1", "ip": "127.0.0.1", "groups": ["edges"]}, {"name": "a", "ip": "::1", "groups": []}]
    hosts[1]["groups"] = ["aggregator"]
    lab = {"hosts": hosts, "key": "/nonexistent", "user": "root", "ssh_args": "-o BatchMode=yes -p 1"}
    (tmp_path / "lab.json").write_text(json.dumps(lab))
    traffic.write_sent(tmp_path / "sent.json", counts(1, 1), 1000.0, 1010.0)
    arguments = [f"--lab={tmp_path}/lab.json", f"--sent={tmp_path}/sent.json"]
    assert reconcile.main(arguments) == 2
    assert "failed on root@::1" in capsys.readouterr().err
