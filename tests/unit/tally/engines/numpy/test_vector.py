"""The engine over numpy, and several processes: the result is always that of the plain engine in one process."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.limits import MAX_LINE
from edgetally.tally import count as counting
from edgetally.tally import processes
from edgetally.tally.count import tally
from edgetally.tally.engines.numpy import intern, vector
from edgetally.tally.engines.numpy.layout import layout_of
from edgetally.tally.result import Tally
from tests.fuzz import logs
from tests.fuzz.engines import compare, options
from tests.support import SOURCE

SOURCES = {**os.environ, "PYTHONPATH": str(SOURCE)}
NGINX = parse_format(logs.CUSTOM["nginx_long"])
SLOW = {
    *("haproxy", "traefik", "traefik_json", "caddy", "trafficserver_extended", "trafficserver_extended2"),
    *("pasted_haproxy", "pasted_w3c"),
}


def line(host: str, *, minute: int = 0, size: object = 10, agent: str = "agent", cache: str = "HIT") -> bytes:
    return (
        f'192.0.2.7 - - [28/May/2026:20:{minute:02d}:00 +0000] "GET / HTTP/1.1" 200 {size} "-" "{agent}" "{host}" '
        f"0.100 {cache}\n"
    ).encode()


def both(data: bytes) -> Tally:
    one, two, exact = compare(data, NGINX, channels=None)
    assert one == two == exact
    return one


@pytest.mark.parametrize("seed", range(12))
def test_logs_as_bad_as_they_get_are_counted_as_the_plain_engine_does(seed: int) -> None:
    chance, known = random.Random(seed), logs.formats()
    for _ in range(25):
        fmt = known[chance.choice(sorted(known))]
        one, two, exact = compare(logs.log(fmt, chance), fmt, **options(chance, fmt))
        assert one == two == exact


def test_the_formats_that_servers_write_have_a_layout() -> None:
    """Without one a log is read by the plain engine, whatever its size."""
    assert {name for name, fmt in logs.formats().items() if layout_of(fmt) is None} == SLOW


def test_clean_lines_are_not_left_to_the_plain_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edgetally.tally.engines.reference.PlainEngine.count", lambda *_: pytest.fail("the plain engine was asked")
    )
    data = b"".join(
        line(f"h{n % 7}.example.com", minute=n % 60, cache="REVALIDATED" if n % 3 else "-") for n in range(999)
    )
    found = tally([io.BytesIO(data)], NGINX, None, engine="numpy")
    assert (found.counted, found.rejected, len(found.cells)) == (999, 0, 84)


def test_blocks_can_end_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(line(f"h{n}.example.com", agent="x" * n) for n in range(300))
    whole = both(data)
    for size in (1, 100, 333, 4096):
        monkeypatch.setattr(vector, "_BLOCK", size)
        assert both(data) == whole


@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_too_long_is_one_rejected_line(length: int, end: bytes) -> None:
    short = line("a.example.com")
    found = both(short + b"x" * length + b"\n" + short + b"y" * length + end)
    assert (found.counted, found.rejected) == (2, 2)


def test_a_long_line_that_fits_is_counted() -> None:
    assert both(line("a.example.com", agent="x" * (MAX_LINE - 200)) * 3).counted == 3


def test_more_hosts_than_are_remembered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intern, "_CAPACITY", 300)
    monkeypatch.setattr(vector, "_BLOCK", 20_000)
    found = both(b"".join(line(f"h{n % 1000}.example.com") for n in range(3000)))
    assert len(found.cells) == 1000


def test_hosts_with_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intern, "_BITS", 1)
    found = both(b"".join(line(f"h{n % 50}.example.com", size=n) for n in range(500)))
    assert len(found.cells) == 50


def test_hosts_of_all_lengths_are_told_apart() -> None:
    """They are compared by words: those that begin alike, and those as long as some words are, must not be mixed up."""
    names = [f"{'x' * length}{end}" for length in (*range(1, 34), *range(60, 66)) for end in "ab"]
    found = both(b"".join(line(name) for name in [*names, "z" * 70, *names] * 2))
    assert len(found.cells) == len(names) + 1


@pytest.mark.parametrize(
    ("good", "bad"),
    [(b" [28", b" (28"), (b"] ", b") "), (b"/May/", b"/Mai/"), (b":00 +", b":60 +"), (b":00 +", b":0x +")],
)
def test_what_stands_around_a_time_is_looked_at(good: bytes, bad: bytes) -> None:
    """Where most lines have one time it is not read in each of them."""
    text = line("a.example.com")
    assert both(text * 3 + text.replace(good, bad) * 2 + text * 3).rejected == 2


@pytest.mark.parametrize("user", [b"-", b"- -", b"a - -", b"", b"a b"])
def test_users_that_are_no_dash_do_not_hide_a_bad_address(user: bytes) -> None:
    text = line("a.example.com").replace(b" - - ", b" - " + user + b" ")
    assert both(
        text * 2 + text.replace(b"192.0.2.7", b"192.0.2.7 - -") + text.replace(b"192.0.2.7", b"192.0.2.z")
    ).lines


def test_the_quote_that_a_line_begins_with_is_looked_at() -> None:
    """A line that lacks it, and has one more elsewhere, has as many as it should."""
    fmt = parse_format("""log_format x '"$http_user_agent" $msec $host $bytes_sent';""")
    text = b'"agent" 1780000000.000 a.example.com 10\n'
    for bad in (b'Xag"ent" 1780000000.000 a.example.com 10\n', b'agent" 1780000000.000 a.example.com" 10\n'):
        one, two, exact = compare(text * 3 + bad + text, fmt, channels=None)
        assert one == two == exact
        assert (one.counted, one.rejected) == (4, 1)


@pytest.mark.parametrize("length", [0, 1, 14, 15, 16, 17, 31, 79, 80, 81, 200, 511, 512, 600])
def test_the_end_of_a_field_is_found_however_far_it_is(length: int) -> None:
    """It is looked for in 16 bytes first, then in 64 at once."""
    fmt = parse_format("""log_format x '$msec $http_x_one $http_x_two $status $bytes_sent $host "$request"';""")
    data = b"".join(
        b'1780000000.000 %s %s 200 10 a.example.com "GET / HTTP/1.1"\n' % (b"x" * one, b"y" * length)
        for one in (1, length or 1, 30)
    )
    one, two, exact = compare(data, fmt, channels=None)
    assert one == two == exact


def test_numpy_starts_without_what_is_not_needed() -> None:
    """And what is asked for later is there all the same."""
    code = f"""if True:
        import sys
        sys.path.insert(0, {SOURCES["PYTHONPATH"]!r})
        import io
        from edgetally.formats.catalogue import FORMATS
        from edgetally.tally.count import tally
        for fmt in FORMATS["combined"], FORMATS["squid"]:
            assert tally([io.BytesIO((fmt.example.encode() + b"\\n") * 99)], fmt, None, engine="numpy").counted == 99
        whole = "numpy.lib" in sys.modules
        import numpy
        print(whole, numpy.__version__)
        assert numpy.unique([2, 1, 2]).tolist() == [1, 2] and numpy.ma.array([1]).sum() == 1
    """
    done = subprocess.run(["/usr/bin/python3", "-I", "-c", code], check=True, capture_output=True, text=True)
    whole, version = done.stdout.split()
    assert whole == "False" or not version.startswith("1."), "numpy 1 was imported as a whole"


def test_sums_are_exact_where_floats_are_not() -> None:
    sizes = [10**15 - 1, 10**10 - 1, 1] * 50
    assert both(b"".join(line("a.example.com", size=size) for size in sizes)).bytes == sum(sizes)


@pytest.mark.parametrize("engine", ["numpy", "plain"])
def test_several_processes_count_the_same(engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_LEAST", 1)
    texts = [line(f"h{n % 5}.example.com", minute=n % 60) if n % 97 else b"bad\n" for n in range(1000)]
    first, second, empty = (tmp_path / name for name in ("first.log", "second.log", "empty.log"))
    first.write_bytes(b"".join(texts[:700]))
    second.write_bytes(b"".join(texts[700:]).rstrip(b"\n"))
    empty.touch()
    files = [str(file) for file in (first, empty, second)]
    one = tally(files, NGINX, None, engine=engine)
    assert one.rejected == 11
    for number in (2, 3, 7):
        assert tally(files, NGINX, None, engine=engine, jobs=number) == one


def test_a_process_that_is_killed_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(line("a.example.com"))
    monkeypatch.setattr(counting, "_engine", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(EdgetallyError, match="give fewer jobs"):
        tally([str(file)], NGINX, None, jobs=2)


def test_numpy_is_used_where_it_is_worth_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = tmp_path / "access.log"
    small.write_bytes(line("a.example.com"))
    assert not counting._worth_numpy([str(small)])
    monkeypatch.setattr(counting, "_WORTH_NUMPY", 100)
    assert counting._worth_numpy([str(small)])
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert not counting._worth_numpy([str(small)])


def test_a_format_without_a_layout_is_read_all_the_same() -> None:
    example = FORMATS["haproxy"].example.encode()
    assert tally([io.BytesIO(example)], FORMATS["haproxy"], None, engine="numpy").counted == 1


def test_progress_is_told_of_every_byte(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(line("a.example.com") * 50_000)
    for engine, count in (("plain", 1), ("numpy", 1), ("plain", 2)):
        told: list[int] = []
        tally([str(file)], NGINX, None, engine=engine, jobs=count, progress=told.append)
        assert sum(told) == file.stat().st_size


def test_a_bar_shows_on_a_terminal_and_not_in_a_pipe(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.touch()
    os.truncate(file, 110 << 20)
    command = f"stty rows 24 cols 90 2>/dev/null; {sys.executable} -m edgetally tally {file}"
    for terminal in (True, False):
        started = ["script", "--quiet", "--command", command, "/dev/null"] if terminal else ["sh", "-c", command]
        shown = subprocess.run(
            started, env=SOURCES, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert ("%|" in shown.stdout + shown.stderr) is terminal


def test_what_follows_the_last_quote_is_not_overlooked() -> None:
    whole = b'192.0.2.7 - - [28/May/2026:20:32:16 +0000] "GET / HTTP/1.1" 304 0 "-" "Mozilla/5.0"\n'
    torn = whole.replace(b'0"\n', b'"0\n')
    found = tally([io.BytesIO(whole + torn)], FORMATS["combined"], None, engine="numpy")
    assert (found.counted, found.rejected) == (1, 1)


def test_a_module_is_loaded_when_it_is_used() -> None:
    code = f"""if True:
        import sys
        sys.path.insert(0, {SOURCES["PYTHONPATH"]!r})
        from edgetally.lazy import lazily
        lazily("ssl")
        import ssl
        before = "_ssl" in sys.modules
        from ssl import SSLError
        print(before, "_ssl" in sys.modules, issubclass(SSLError, OSError), ssl.create_default_context().check_hostname)
    """
    found = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True", "True", "True"]


def test_threads_that_use_a_module_at_once_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "slow_one.py").write_text("import time\ntime.sleep(0.3)\nvalue = 7\n", encoding="utf-8")
    code = f"""if True:
        import sys
        sys.path[:0] = {SOURCES["PYTHONPATH"]!r}, {str(tmp_path)!r}
        from concurrent.futures import ThreadPoolExecutor
        from edgetally.lazy import lazily
        lazily("slow_one")
        import slow_one
        with ThreadPoolExecutor() as pool:
            print(*pool.map(lambda _: slow_one.value, range(4)), hasattr(slow_one, "nothing"))
    """
    found = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["7"] * 4 + ["False"]


@pytest.mark.parametrize("damaged", [0, 1, 5, 40])
def test_a_byte_that_a_field_may_not_hold_is_found_among_many_lines(damaged: int) -> None:
    """Where it is rare it is looked for, else all fields are looked at. In an address it may not be."""
    line = "1780000000.{:03}     37 192.0.2.7 TCP_HIT/200 10 GET http://a.example.com/ - HIER_NONE/- a/b\n"
    lines = [line.format(number) for number in range(90)]
    for number in range(damaged):
        where = ("com/", "192.", "a/b")[number % 3]
        lines[number * 2] = lines[number * 2].replace(where, f'{where}"')
    one, two, exact = compare("".join(lines).encode(), FORMATS["squid"], channels=None)
    assert one == two == exact
    assert one.rejected == sum(number % 3 == 1 for number in range(damaged))


@pytest.mark.parametrize("damaged", [1, 60])
@pytest.mark.parametrize(
    ("text", "line", "odd"),
    [
        ("log_format x escape=none '$msec|$request|$http_host|$bytes_sent';", "{}|GET /p HTTP/1.1|a.x|10", 'p"'),
        (
            'logformat x %ts.%03tu %tr %>a %Ss/%03>Hs %<st "%ru" %Sh',
            '{} 7 192.0.2.7 TCP_HIT/200 10 "http://a.x/p" NONE',
            "p ",
        ),
    ],
)
def test_the_rest_of_a_request_is_looked_at(text: str, line: str, odd: str, damaged: int) -> None:
    """Also where only what names the host is learned of it, and whatever else there is in the block."""
    lines = [line.format(f"1780000000.{number:03}") for number in range(90)]
    for number in range(90 - damaged, 90):
        lines[number] = lines[number].replace("/p", f"/{odd}")
    one, two, exact = compare("\n".join(lines).encode(), parse_format(text), channels=None)
    assert one == two == exact
    assert one.rejected == damaged


@pytest.mark.parametrize("time", ["x" * 26, "28/May/2026:20:3x:00 +0000", "28/May/2026:20:30:00 +0000"])
@pytest.mark.parametrize(
    "text", ["$msec $host [$time_local] $bytes_sent", '$msec "$host" [$time_local] "$request" $bytes_sent']
)
def test_a_second_time_has_to_be_one(text: str, time: str) -> None:
    lines = [
        text.replace("$msec", f"1780000000.{number:03}")
        .replace("$host", "a.example.com")
        .replace("$request", "GET / HTTP/1.1")
        .replace("$bytes_sent", "10")
        .replace("$time_local", time if number == 5 else "28/May/2026:20:30:00 +0000")
        for number in range(90)
    ]
    one, two, exact = compare("\n".join(lines).encode(), parse_format(text), channels=None)
    assert one == two == exact
    assert one.rejected == ("x" in time)
