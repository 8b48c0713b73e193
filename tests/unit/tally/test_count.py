"""The tally: sums, slots, windows, odd input, equal results whatever the blocks; and what the command prints."""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import json
import lzma
import re
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgetally.cli import tally as command
from edgetally.cli.summary import summarise, write_csv, write_table
from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.formats.values import DIRECTIVE
from edgetally.limits import UNASSIGNED
from edgetally.tally import running_tally
from edgetally.tally.channels import ChannelMap
from edgetally.tally.count import tally
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import Window

FORMAT = parse_format('$msec $host "$request" $bytes_sent $upstream_cache_status "$http_user_agent"')
NGINX_COMBINED = parse_format(
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
T = 1780000200  # the beginning of a slot


def line(time: float = T, host: str = "a.example.com", size: object = 10, cache: str = "HIT", path: str = "/") -> bytes:
    return f'{time:.3f} {host} "GET {path} HTTP/1.1" {size} {cache} "agent"\n'.encode()


def count(data: bytes, fmt: LogFormat = FORMAT, channels: ChannelMap | None = None, **options: Any) -> Tally:
    return tally([io.BytesIO(data)], fmt, channels, **options)


def zstd(data: bytes) -> bytes:
    """As the system's own program packs it, which the tests' machine has."""
    return subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout


def test_a_slot_is_five_minutes_of_the_lines_own_time() -> None:
    found = count(line(T) + line(T + 299.999, cache="MISS") + line(T + 300) + line(T - 0.001, "b.example.com", "-"))
    assert found.cells == {
        (T, "a.example.com"): [2, 20, 1, 10],
        (T + 300, "a.example.com"): [1, 10, 1, 10],
        (T - 300, "b.example.com"): [1, 0, 1, 0],
    }
    assert (found.lines, found.counted, found.rejected, found.bytes) == (4, 4, 0, 30)
    assert (found.first, found.last) == (T - 0.001, T + 300)


def test_a_format_without_cache_status_or_host_says_none_and_all() -> None:
    found = count(FORMATS["combined"].example.encode(), FORMATS["combined"])
    assert found.cells == {(1791665700, "all"): [1, 2326, None, None]}


def test_a_line_without_a_host_is_no_hosts() -> None:
    assert list(count(line(host="-")).cells) == [(T, "-")]


def test_channels_and_what_none_of_them_matches() -> None:
    channels = ChannelMap(
        [
            {"channel": "live", "host": "*.example.com", "path": "/live/"},
            {"channel": "b", "host": "b.example.com"},
            {"channel": "other", "log": "other"},
        ]
    )
    data = line(path="/live/1?x") + line(host="B.example.com:80") + line(host="c.example.com") + line(host="-")
    found = count(data, channels=channels, log="access")
    assert {channel: cell[0] for (_, channel), cell in found.cells.items()} == {"live": 1, "b": 1, UNASSIGNED: 2}
    assert found.unassigned_hosts == {"c.example.com": [1, 10], "-": [1, 10]}
    assert {channel for _, channel in count(data, channels=channels, log="other").cells} == {"live", "b", "other"}


def test_a_million_invented_hosts_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_tally, "_UNASSIGNED_KEPT", 10)
    data = line(host="big.example.com", size=10**9) + b"".join(line(host=f"h{n}.example.com") for n in range(1000))
    found = count(data, channels=ChannelMap([{"channel": "x", "host": "x.example.com"}]))
    assert len(found.unassigned_hosts) <= 100
    assert found.unassigned_hosts["big.example.com"] == [1, 10**9]
    assert found.cells[T, UNASSIGNED][:2] == [1001, 10**9 + 10_000]


def test_a_line_far_outside_the_window_is_counted_at_its_edge_and_as_skewed() -> None:
    window = Window(T + 1000.0, T + 1300.0)
    times = [T + 399.999, T + 400.0, T + 1360.0, T + 1360.001, T + 90000]
    found = count(b"".join(map(line, times)), window=window)
    slots = {slot - T: cell[0] for (slot, _), cell in found.cells.items()}
    assert slots == {900: 1, 300: 1, 1200: 3}
    assert (found.counted, found.skewed) == (5, 3)
    first = count(b"".join(map(line, times)), window=Window(None, T + 1300.0))
    assert (first.counted, first.skewed) == (5, 2)


def test_lines_from_before_the_installation_are_set_aside() -> None:
    """Logs know whole seconds: the second in which it was installed belongs to what is counted."""
    found = count(line(T - 1) + b"bad\n" + line(T) + line(T + 1), since=T + 0.5)
    assert (found.lines, found.counted, found.rejected, found.set_aside) == (3, 2, 1, 1)
    assert found.bytes == 20


@pytest.mark.parametrize(
    ("data", "counted", "rejected"),
    [
        (b"", 0, 0),
        (b"\n\r\n  \n\n", 0, 0),
        (b"#Version: 1.0\n#Fields: date time\n", 0, 0),
        (b"# no server writes this\n#Nor: this\n", 0, 2),
        (line().rstrip(b"\n"), 1, 0),
        (line().replace(b"\n", b"\r\n") * 2, 2, 0),
        (line() + b"\n" + line() + b"\x00\x00\x00\n", 2, 1),
        (b"\x00" * 4096 + line(), 0, 1),
        (line().replace(b"agent", b"a\x00gent"), 0, 1),
        (line().replace(b"agent", b"\xff\xfe caf\xe9"), 1, 0),
        (line().replace(b"agent", b'a"gent'), 0, 1),
        (line().replace(b"agent", b'a\\"gent'), 1, 0),
        (line().replace(b"agent", b"a\\\\"), 1, 0),
        (line().replace(b"agent", b"a\\"), 0, 1),
        (line().replace(b"agent", b"a\\\\\\"), 0, 1),
        (line().replace(b"agent", b"\\" * 1_000_000), 1, 0),
        (line().replace(b"agent", b"x" * 1_000_000), 1, 0),
        (line().replace(b"agent", b"\\x22" * 250_000), 1, 0),
        (line().rstrip(b"\n") + line(), 0, 1),
        (line()[:60] + line(), 0, 1),
        (b"x" * (3 << 20), 0, 1),
        (line() + line().replace(b"agent", b"x" * (3 << 20)) + line(), 2, 1),
    ],
)
def test_odd_input(data: bytes, counted: int, rejected: int) -> None:
    found = count(data)
    assert (found.counted, found.rejected) == (counted, rejected)
    assert len(found.rejects) == rejected


def test_a_reject_names_file_line_and_reason_and_is_fit_to_print(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    late = line().replace(b"agent", b"x" * 700_000)  # so that the bad lines lie in a later block
    file.write_bytes(line() + b"\n#Fields: x\n" + late + b"\x1b[31mbad\xff\r\n" + line(size="+1"))
    found = tally([str(file)], FORMAT, None)
    assert [(reject.file, reject.line, reject.reason) for reject in found.rejects] == [
        (str(file), 5, "expected $msec at column 1"),
        (str(file), 6, "expected $bytes_sent at column 47"),
    ]
    assert found.rejects[0].text == "\\x1b[31mbad\\xff"


def test_of_many_rejects_the_first_twenty_are_kept() -> None:
    found = count(b"bad\n" * 50)
    assert (found.rejected, [reject.line for reject in found.rejects]) == (50, list(range(1, 21)))


def test_memory_does_not_grow_with_a_line_or_a_file() -> None:
    class Endless(io.RawIOBase):
        """A stream of `size` bytes that are made as they are read."""

        def __init__(self, chunk: bytes, size: int) -> None:
            self.chunk, self.left = chunk, size

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            data = self.chunk[: min(len(buffer), self.left)]
            buffer[: len(data)] = data
            self.left -= len(data)
            return len(data)

    def peak(chunk: bytes, size: int) -> int:
        tracemalloc.start()
        tally([io.BufferedReader(Endless(chunk, size))], FORMAT, None)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    assert peak(b"x" * 65536, 24 << 20) < 8 << 20
    lines = line() * 1000
    assert peak(lines, 64 * len(lines)) < peak(lines, 16 * len(lines)) + (1 << 20)


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "access.log.1"
    file.write_bytes(gzip.compress(line()) + gzip.compress(line()))
    assert tally([file], FORMAT, None).counted == 2
    plain = tmp_path / "plain.gz"
    plain.write_bytes(line())
    assert tally([plain, file], FORMAT, None).counted == 3


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd], ids=["gzip", "bz2", "xz", "zstd"])
def test_a_packed_log_is_known_by_its_content(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "access.log.1"
    file.write_bytes(pack(line() * 3) + pack(line()))
    for engine in ("kernel", "reference"):
        found = tally([file], FORMAT, None, engine=engine)
        assert (found.counted, found.cut) == (4, [])


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd], ids=["gzip", "bz2", "xz", "zstd"])
@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_of_a_packed_log_that_is_cut_the_whole_lines_are_counted(
    tmp_path: Path, pack: Callable[[bytes], bytes], engine: str
) -> None:
    part, file = line() * 2 + line(size=7)[:-1], tmp_path / "cut"
    whole = pack(b"".join(line(T + number / 7, path=f"/{number * 7919 % 65537}") for number in range(50_000)))
    file.write_bytes(whole[: len(whole) // 2])
    found = tally([file], FORMAT, None, engine=engine)
    assert (found.rejected, len(found.cut)) == (0, 1)
    assert 0 < found.counted < 50_000
    assert found.cut[0].lines == found.counted
    assert str(found.cut[0]).startswith(f"{file} is cut or damaged (")
    file.write_bytes(pack(part))
    assert (tally([file], FORMAT, None, engine=engine).counted) == 3, "a last line without its end is whole"


def test_a_checksum_that_is_wrong_is_said(tmp_path: Path) -> None:
    file = tmp_path / "damaged.gz"
    file.write_bytes(gzip.compress(line())[:-4] + b"xxxx")
    found = tally([file], FORMAT, None)
    assert (found.counted, len(found.cut)) == (1, 1)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"PK\3\4xxxx", "is zip, which cannot be read here: unzip -p"),
        (b"\x04\x22\x4d\x18xx", "is lz4, which cannot be read here: lz4cat"),
        (b"\x28\xb5\x2f\xfdxx", "is zstd, which cannot be read here: zstdcat"),
    ],
)
def test_what_cannot_be_unpacked_says_how_to_pipe_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes, words: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "access.log.x"
    file.write_bytes(head)
    with pytest.raises(EdgetallyError) as caught:
        tally([file], FORMAT, None)
    assert str(caught.value) == f"{file} {words} {file} | edgetally tally -"


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(EdgetallyError) as caught:
            tally([path], FORMAT, None)
        assert str(caught.value).startswith(f"{path} cannot be read (")
        assert "\n" not in str(caught.value)


# --------------------------------------------------------------------------------------------------------------------
# Properties

GOOD = line()
SHARDS = [
    *(GOOD, GOOD.rstrip(b"\n"), line(size="-", cache="-"), line(host="[::1]:80"), b"\n", b"\r\n", b"#Fields: x\n"),
    *(b'"', b"\\", b" ", b"\0", b"HIT", b"\xff", b"1780000200.000", GOOD[:30], GOOD[30:], b"-", b"#"),
    *(FORMATS[name].example.encode() + b"\n" for name in FORMATS),
]
NEARLY_LINES = st.lists(st.one_of(st.sampled_from(SHARDS), st.binary(max_size=8)), max_size=30).map(b"".join)
RULES = ChannelMap([{"channel": "a", "host": "a.example.com", "path": "/"}, {"channel": "b", "path": "/b"}])


class Trickle:
    """A binary file that gives at most `step` bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file, self._step = io.BytesIO(data), step

    def readinto(self, buffer: memoryview) -> int:
        return self._file.readinto(buffer[: self._step])


def count_in_steps(data: bytes, step: int, fmt: LogFormat) -> Tally:
    stream: BinaryIO = Trickle(data, step)  # type: ignore[assignment]
    return tally([stream], fmt, RULES, log="x")


@given(st.one_of(NEARLY_LINES, st.binary()), st.sampled_from([FORMAT, NGINX_COMBINED, *FORMATS.values()]), st.data())
@example(GOOD + b"\n" + GOOD, FORMAT, None)
def test_any_bytes_give_one_result_whatever_the_blocks(data: bytes, fmt: LogFormat, draw: Any) -> None:
    """No crash; every line counted or rejected; the same one by one, as the format's pattern alone would have it."""
    whole = count_in_steps(data, 1 << 20, fmt)
    assert count_in_steps(data, 7 if draw is None else draw.draw(st.integers(1, 100)), fmt) == whole
    texts = [text for text in data.split(b"\n") if text.strip()]
    patterns = [pattern for pattern in (fmt.matcher().pattern, fmt.matcher().loose) if pattern]
    texts = list(map(fmt.blanked, texts))
    fitting = [text for text in texts if any(pattern.fullmatch(text) for pattern in patterns)]
    lines = [text for text in texts if text in fitting or not DIRECTIVE.match(text)]
    assert whole.lines == len(lines) == whole.counted + whole.rejected
    assert whole.counted <= len(fitting)
    assert sum(cell[0] or 0 for cell in whole.cells.values()) == whole.counted
    assert sum(cell[1] or 0 for cell in whole.cells.values()) == whole.bytes
    one_by_one = [count(text, fmt, RULES, log="x") for text in data.split(b"\n")]
    assert sum(one.counted for one in one_by_one) == whole.counted
    assert sum(one.bytes for one in one_by_one) == whole.bytes


# --------------------------------------------------------------------------------------------------------------------
# The summary and the command


def test_the_summary_has_the_designs_shape() -> None:
    data = (
        line(T, size=37_500_000)
        + line(T + 5 * 300, size=75_000_000, cache="MISS")
        + line(host="b.example.com")
        + b"bad"
    )
    found = summarise(count(data))
    assert {key: found[key] for key in ("lines", "counted", "rejected", "bytes", "requests", "first", "last")} == {
        "lines": 4,
        "counted": 3,
        "rejected": 1,
        "bytes": 112_500_010,
        "requests": 3,
        "first": T,
        "last": T + 1500,
    }
    assert found["channels"] == [
        {
            "channel": "a.example.com",
            "requests": 2,
            "bytes": 112_500_000,
            "hits": 1,
            "hit_bytes": 37_500_000,
            "peak_mbps": 2.0,
            "p95_mbps": 2.0,  # 6 slots: rank ceil(5.7) = 6, the highest
        },
        {
            "channel": "b.example.com",
            "requests": 1,
            "bytes": 10,
            "hits": 1,
            "hit_bytes": 10,
            "peak_mbps": 10 * 8 / 300 / 1e6,
            "p95_mbps": 10 * 8 / 300 / 1e6,
        },
    ]
    assert found["rejects"] == [{"file": "-", "line": 4, "reason": "expected $msec at column 1", "text": "bad"}]


def test_the_percentile_counts_empty_slots_from_first_to_last() -> None:
    busy = [line(T + 300 * n, size=75_000_000 * (n + 1)) for n in range(2)]
    channel = summarise(count(b"".join(busy) + line(T + 300 * 39)))["channels"][0]
    assert channel["peak_mbps"] == 4.0
    assert channel["p95_mbps"] == 10 * 8 / 300 / 1e6  # 40 slots: rank 38, and two are higher


def text_of(write: Callable[[Tally, TextIO], None], found: Tally) -> str:
    out = io.StringIO()
    write(found, out)
    return out.getvalue()


def test_an_empty_log_has_a_summary() -> None:
    found = summarise(count(b""))
    assert (found["lines"], found["first"], found["last"], found["channels"]) == (0, None, None, [])
    assert text_of(write_csv, count(b"")).count("\n") == 1
    assert text_of(write_table, count(b"")).startswith("- to -, 0 lines")


def test_csv_and_table_show_an_unknown_hit_count_as_such() -> None:
    found = count(FORMATS["common"].example.encode(), FORMATS["common"])
    assert text_of(write_csv, found).splitlines()[1].startswith("all,1,2326,,,")
    assert text_of(write_table, found).splitlines()[-1].split()[:5] == ["all", "1", "2326", "-", "-"]


def run(files: list[str], **options: Any) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = {"files": files, "output": "json", **options}
    return command.run(argparse.Namespace(**{**vars(parser.parse_args([])), **given}))


def test_the_command_prints_and_tells_by_its_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "access.log"
    file.write_text(FORMATS["combined"].example + "\n", encoding="utf-8")
    assert run([str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == 2326
    with file.open("a", encoding="utf-8") as stream:
        stream.write("bad\n" * 30)
    assert run([str(file)], output="table") == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].split()[:3] == ["all", "1", "2326"]
    assert shown.err.splitlines()[:2] == [
        f"edgetally: {file} is read as combined, which fits 1 of its first 31 lines; equally good: varnish",
        f"{file}:2: expected ' ' at its end: bad",
    ]
    assert shown.err.splitlines()[-1] == "… and 10 more rejected lines"


def test_the_command_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(line() * 3))))
    monkeypatch.setattr("sys.stdin", stdin)
    assert run([], log_format=FORMAT.description.partition("log_format ")[2], output="csv") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("a.example.com,3,30,3,30,")


def guessed(capsys: pytest.CaptureFixture[str], *files: Path) -> tuple[list[str], str]:
    """The channels of logs whose format is not named, and what is said of the guess."""
    run([str(file) for file in files], output="csv")
    shown = capsys.readouterr()
    return [row.split(",")[0] for row in shown.out.splitlines()[1:]], shown.err


@pytest.mark.parametrize("name", FORMATS)
def test_without_a_format_it_is_guessed_and_said(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "access.log"
    file.write_text(f"{FORMATS[name].example}\n" * 3, encoding="utf-8")
    channels, said = guessed(capsys, file)
    assert len(channels) == 1
    assert name in said
    assert said.count("\n") == 1
    if name == "vhost_combined":
        assert channels == ["www.example.com"], "combined would take its lines, without the host"


def test_a_w3c_log_is_read_by_its_own_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, other = tmp_path / "a.log", tmp_path / "b.log"
    file.write_text("#Version: 1.0\n#Date: 2026-10-10 00:00:00\n#Fields: time cs-host bytes\n20:55:36 a 5\n")
    other.write_text("#Fields: date time cs-host x sc-bytes\n2026-10-10\t20:55:36\tb\tc d\t5\n#Remark: y\n")
    channels, said = guessed(capsys, file, other)
    assert channels == ["a", "b"]
    assert said.splitlines() == [f"edgetally: {path} is read by its own #Fields: line" for path in (file, other)]


def test_a_guess_reads_a_stream_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    data = b"".join(f"{FORMATS['vhost_combined'].example}\n".encode() for _ in range(5000))
    for content in (data, gzip.compress(data)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
        assert run([], output="csv") == 0
        assert capsys.readouterr().out.splitlines()[1].startswith("www.example.com,5000,")


def test_logs_of_several_formats_are_not_added_up_by_a_guess(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("common", "squid", "empty")]
    for path in paths[:2]:
        path.write_text(FORMATS[path.name].example + "\n", encoding="utf-8")
    paths[2].write_text("")
    with pytest.raises(EdgetallyError, match="these are logs of several formats, common, squid: count them apart"):
        run([str(path) for path in paths])
    paths[0].write_text("nonsense\n")
    with pytest.raises(EdgetallyError, match="no known format fits it: paste the server's with --log-format"):
        run([str(paths[0])])


def test_a_format_that_fits_no_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "access.log"
    file.write_text(FORMATS["combined"].example + "\n", encoding="utf-8")
    assert run([str(file)], format="squid", output="table") == 1
    assert "edgetally: not one line fits the format squid: name the right one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "combind"}, "did you mean 'combined'"),
        ({"format": "$msec $bytes_sent"}, "give the pasted format with --log-format"),
        ({"channels": "/no/such/file"}, "/no/such/file cannot be read"),
    ],
)
def test_wrong_use_is_one_sentence(options: dict[str, str], message: str) -> None:
    with pytest.raises(EdgetallyError, match=re.escape(message)) as caught:
        run(["/dev/null"], **options)
    assert "\n" not in str(caught.value)
