"""The engine over the kernel: what it finds is always what the reference finds, whatever stands where."""

from __future__ import annotations

import io
import random
from struct import Struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.limits import MAX_LINE
from edgetally.tally import inputs
from edgetally.tally.channels import ChannelMap, Rule
from edgetally.tally.count import tally
from edgetally.tally.engines.kernel import memory, rules
from edgetally.tally.engines.kernel.program import program_of
from edgetally.tally.result import Tally
from tests.fuzz import logs
from tests.fuzz.engines import compare, options
from tests.unit.tally.test_channels import plain

NGINX = parse_format(logs.CUSTOM["nginx_long"])
ON_REFERENCE = "edgetally.tally.engines.reference.ReferenceEngine.count"


def line(host: str, *, minute: int = 0, size: object = 10, agent: str = "agent", cache: str = "HIT") -> bytes:
    return (
        f'192.0.2.7 - - [28/May/2026:20:{minute:02d}:00 +0000] "GET / HTTP/1.1" 200 {size} "-" "{agent}" "{host}" '
        f"0.100 {cache}\n"
    ).encode()


def both(data: bytes, fmt: LogFormat = NGINX, **how: Any) -> Tally:
    one, two = compare(data, fmt, **{"channels": None, **how})
    assert one == two
    return one


def leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the kernel has to count all lines itself."""

    def count(_engine: object, _name: str, block: bytes, _numbers: object) -> None:
        pytest.fail(f"the reference was asked about {block[:200]!r}")

    monkeypatch.setattr(ON_REFERENCE, count)


@pytest.mark.parametrize("seed", range(20))
def test_logs_as_bad_as_they_get_are_counted_as_the_reference_does(seed: int) -> None:
    chance, known = random.Random(seed), logs.formats()
    for _ in range(25):
        fmt = known[chance.choice(sorted(known))]
        one, two = compare(logs.log(fmt, chance), fmt, **options(chance, fmt))
        assert one == two


@pytest.mark.parametrize("name", [name for name in logs.formats() if name != "w3c_draft"])
def test_the_kernel_reads_every_format(name: str) -> None:
    """Without a program a log is read by the reference, which is many times slower. A time of day is too short."""
    fmt = logs.formats()[name]
    assert program_of(fmt, paths=True, durations=True)


@pytest.mark.parametrize("name", FORMATS)
def test_the_line_that_servers_write_is_not_left(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_nothing(monkeypatch)
    found = tally([io.BytesIO(FORMATS[name].example.encode())], FORMATS[name], None, engine="kernel")
    assert (found.counted, found.rejected) == (1, 0)


def test_clean_lines_are_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_nothing(monkeypatch)
    data = b"".join(
        line(f"h{n % 7}.example.com", minute=n % 60, cache="REVALIDATED" if n % 3 else "-") for n in range(999)
    )
    found = tally([io.BytesIO(data)], NGINX, None, engine="kernel")
    assert (found.counted, found.rejected, len(found.cells)) == (999, 0, 84)


@given(st.integers(1, 5000), st.lists(st.integers(0, 300), min_size=1, max_size=60))
def test_blocks_can_end_anywhere(size: int, lengths: list[int]) -> None:
    """A border in any place of a line changes nothing."""
    data = b"".join(line(f"h{n}.example.com", agent="x" * length) for n, length in enumerate(lengths))
    whole = tally([io.BytesIO(data)], NGINX, None, engine="kernel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "_BLOCK", size)
        assert tally([io.BytesIO(data)], NGINX, None, engine="kernel") == whole


@pytest.mark.parametrize("data", [b"", b"\n", b"x", b"\0", b"#", b"\r", b"\r\n", b"\n\n\n"])
def test_files_of_next_to_nothing(data: bytes) -> None:
    for fmt in logs.formats().values():
        both(data, fmt)


@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, MAX_LINE + (600 << 10), 3 * MAX_LINE])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_too_long_is_one_rejected_line(length: int, end: bytes) -> None:
    short = line("a.example.com")
    found = both(short + b"x" * length + b"\n" + short + b"y" * length + end)
    assert (found.counted, found.rejected) == (2, 2)


def test_a_long_line_that_fits_is_counted() -> None:
    assert both(line("a.example.com", agent="x" * (MAX_LINE - 200)) * 3).counted == 3


@pytest.mark.parametrize("name", ["entries", "arena", "cells", "left"])
def test_tables_can_be_full_at_any_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [line(f"h{n % 300}.example.com", minute=n % 60) if n % 5 else b"bad\n" for n in range(3000)]
    whole = both(b"".join(texts))
    monkeypatch.setitem(memory.SIZES, name, {"arena": 2000, "left": 1}.get(name, 100))
    assert tally([io.BytesIO(b"".join(texts))], NGINX, None, engine="kernel").cells == whole.cells


def test_hosts_whose_hashes_collide_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(memory.SIZES, "table", 64)
    found = both(b"".join(line(f"h{n % 50}.example.com", size=n) for n in range(500)))
    assert len(found.cells) == 50


def test_hosts_of_all_lengths_are_told_apart() -> None:
    """They are compared by words: those that begin alike, and those as long as some words are, must not be mixed up."""
    names = [f"{'x' * length}{end}" for length in (*range(1, 34), *range(60, 66), *range(250, 260)) for end in "ab"]
    found = both(b"".join(line(name) for name in [*names, "z" * 300, *names] * 2))
    assert len(found.cells) == len({name[:253] for name in [*names, "z" * 300]})


@pytest.mark.parametrize(
    ("good", "bad"),
    [(b" [28", b" (28"), (b"] ", b") "), (b"/May/", b"/Mai/"), (b":00 +", b":60 +"), (b":00 +", b":0x +")],
)
def test_what_stands_around_a_time_is_looked_at(good: bytes, bad: bytes) -> None:
    """A time that was the last line's, too, is not read again."""
    text = line("a.example.com")
    assert both(text * 3 + text.replace(good, bad) * 2 + text * 3).rejected == 2


@pytest.mark.parametrize("user", [b"-", b"- -", b"a - -", b"", b"a b", b"a[b", b'""'])
def test_users_that_are_no_dash_do_not_hide_a_bad_address(user: bytes) -> None:
    text = line("a.example.com").replace(b" - - ", b" - " + user + b" ")
    assert both(
        text * 2 + text.replace(b"192.0.2.7", b"192.0.2.7 - -") + text.replace(b"192.0.2.7", b"192.0.2.z")
    ).lines


@pytest.mark.parametrize("length", [0, 1, 14, 15, 16, 17, 31, 63, 64, 65, 79, 80, 81, 200, 511, 512, 600])
def test_the_end_of_a_field_is_found_however_far_it_is(length: int) -> None:
    """It is looked for in 16 or 64 bytes at once."""
    fmt = parse_format("""log_format x '$msec $http_x_one $http_x_two $status $bytes_sent $host "$request"';""")
    texts = [(b"x" * one, b"y" * length) for one in (1, length or 1, 30)]
    row = b'1780000000.000 %s %s 200 10 a.example.com "GET /%s HTTP/1.1"\n'
    assert both(b"".join(row % (one, two, two) for one, two in texts), fmt).lines == 3


def test_sums_are_exact_where_floats_are_not() -> None:
    sizes = [10**15 - 1, 10**10 - 1, 1] * 50
    assert both(b"".join(line("a.example.com", size=size) for size in sizes)).bytes == sum(sizes)


@pytest.mark.parametrize("digits", range(1, 17))
def test_numbers_of_all_lengths(digits: int) -> None:
    size = int("9876543210123456"[:digits])
    assert both(line("a.example.com", size=size)).bytes == (size if digits < 16 else 0)


@pytest.mark.parametrize(
    "time", ["28/May/2026:20:30:00 +0000", "x" * 26, "28/May/2026:20:3x:00 +0000", "31/Feb/2026:20:30:00 +0000"]
)
@pytest.mark.parametrize(
    "text", ["$msec $host [$time_local] $bytes_sent", '$msec "$host" [$time_local] "$request" $bytes_sent']
)
def test_a_second_time_is_looked_at_as_the_first_is(text: str, time: str) -> None:
    row = text.replace("$host", "a.example.com").replace("$request", "GET / HTTP/1.1").replace("$bytes_sent", "10")
    lines = [
        row.replace("$msec", f"1780000000.{number:03}").replace(
            "$time_local", time if number == 5 else "28/May/2026:20:30:00 +0000"
        )
        for number in range(90)
    ]
    both("\n".join(lines).encode(), parse_format(text))


@pytest.mark.parametrize(
    "fraction", ["", ".1", ".12", ".123", ".123456", ".1234567", ".123456789", ".999999999", ".1234567890", "."]
)
@pytest.mark.parametrize("name", ["caddy", "traefik_json"])
def test_a_fraction_counts_to_the_microsecond(name: str, fraction: str) -> None:
    example = FORMATS[name].example.replace("1780000000.123456", f"1780000199{fraction}")
    example = example.replace("20:55:36.250123456", f"20:54:59{fraction}")
    found = both(example.encode(), FORMATS[name])
    assert found.lines == 1


@pytest.mark.parametrize(
    "prefix",
    [
        "Oct 10 13:55:36 lb1 haproxy[2451]: ",
        "<134>Oct  1 13:55:36 haproxy[2451]: ",
        "2026-10-10T13:55:36+02:00 lb1 haproxy: ",
        "2026-10-10T13:55:36.123456Z 2001:db8::1 haproxy[1]: ",
        "<134>1 2026-10-10T13:55:36Z lb1 haproxy 2451 - - ",
        "Oct 10 13:55:36 a: b: ",
        "Oct 10 13:55:36 a b c: ",
        "Okt 10 13:55:36",
        "",
    ],
)
@pytest.mark.parametrize("client", ["192.0.2.7:51234", "2001:db8::1:51234", "unix:1", ":1", "a:", "192.0.2.7"])
def test_what_syslog_puts_before_a_line(prefix: str, client: str) -> None:
    example = FORMATS["haproxy"].example.partition("haproxy[2451]: 192.0.2.7:51234")[2]
    both(f"{prefix}{client}{example}\n".encode(), FORMATS["haproxy"])


@pytest.mark.parametrize("members", [0, 1, 50, 99, 100, 101])
def test_members_of_json_that_are_of_no_interest(members: int) -> None:
    texts = ('"a\\"b":"c"', '"a":[1,"x",-2.5e+3]', '"a":{"b":["c"],"d":{}}', '"a":{"b":["c"],"d":[]}', '"a":true')
    for text in texts:
        more = "".join(f",{text}" for _ in range(members))
        example = FORMATS["caddy"].example.replace('"msg":"handled request"', f'"msg":"x"{more}')
        both(example.encode(), FORMATS["caddy"])
        both(f"{FORMATS['caddy'].example[:-1]}{more}}}".encode(), FORMATS["caddy"])


# --- rules that look at the path

PREFIXES = ["/", "/a", "/a/b", "/a/bc", "/live/", "/live/hd/", "/é", "/x" * 40, "/vod/1", "/vod/2", "/\\x"]
PATHS = [*PREFIXES, "", "/b", "/a/b/c", "/live", "/live/hd", "/live/hd/1.ts?q=/a", "/é/1", "/x" * 41, "/vod/3", "*"]


@given(st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=8), st.lists(st.sampled_from(PATHS), min_size=1))
def test_the_first_prefix_that_matches_decides(prefixes: list[str], paths: list[str]) -> None:
    """Whatever their order is, and with a rule for any path, for another host, or in the middle of them."""
    listed: list[dict[str, str]] = [{"channel": f"c{n}", "path": path} for n, path in enumerate(prefixes)]
    listed.insert(len(listed) // 2, {"channel": "host", "host": "b.example.com"})
    listed.append({"channel": "of a", "host": "a.example.com", "path": "/live"})
    lines = [line(f"{host}.example.com").decode().replace("GET /", f"GET {path}") for path in paths for host in "ab"]
    both("".join(lines).encode(), channels=ChannelMap(listed))


def test_a_path_with_an_escape_is_the_patterns() -> None:
    channels = ChannelMap(
        [{"channel": "a", "path": "/~~"}, {"channel": "b", "path": "/\\"}, {"channel": "c", "path": "/x"}]
    )
    lines = [line("a.example.com").replace(b"GET /", b"GET /" + path) for path in (b'\\"', b"\\", b"x\\\\", b"\xff")]
    both(b"".join(lines), channels=channels)


def test_many_rules_are_one_way_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a node has more followers than are looked at at once."""
    leave_nothing(monkeypatch)
    channels = ChannelMap(
        [{"channel": f"c{n}", "path": f"/{chr(48 + n)}{n}/"} for n in range(70) if chr(48 + n) not in "?\\"]
    )
    lines = [line("a.example.com").replace(b"GET /", f"GET /{chr(48 + n)}{n}/x".encode()) for n in range(70)]
    kept = [text for n, text in enumerate(lines) if chr(48 + n) not in "?\\"]
    found = tally([io.BytesIO(b"".join(kept))], NGINX, channels, engine="kernel")
    assert len(found.cells) == len(kept) == 68


PIECES = ["/", "a", "a", "aa", "ab", "%41", "%2F", "é", "b/", "x" * 15, "x" * 17, "#", " "]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map(lambda pieces: "/" + "".join(pieces))
HOSTS = ["a.example.com", "b.a.example.com", "c.example.net"]
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from([*HOSTS, "*.example.com", "*.a.example.com", "*.com", "*.net"]),
        "path": TEXTS,
        "log": st.sampled_from(["x", "y"]),
    },
).filter(bool)
FORMATS_OF_PATHS = {
    "request": '$msec $status $bytes_sent $host "$request"',
    "uri": '$msec $status $bytes_sent $host "$request_uri"',
    "path": '$msec $status $bytes_sent $host "$uri"',
}


def asked(kind: str, path: str) -> str:
    """What the path of a request is, of which this is logged."""
    ends = {"request": " ?#", "uri": "?", "path": ""}[kind]
    return path[: next((at for at, char in enumerate(path) if char in ends), len(path))]


def counted_by_path(kind: str, listed: list[Rule], requests: list[tuple[str, str]]) -> tuple[Tally, dict[str, int]]:
    """What the kernel counts of requests, each a host and a path, and what the definition of the rules says."""
    method = {"request": "GET "}.get(kind, "")
    data = "".join(f'1780000000.000 200 10 {host} "{method}{path}"\n' for host, path in requests)
    fmt = parse_format(FORMATS_OF_PATHS[kind])
    found = tally([io.BytesIO(data.encode())], fmt, ChannelMap(listed), log="x", engine="kernel")
    wanted: dict[str, int] = {}
    for host, path in requests:
        channel = plain(listed, "x", host, asked(kind, path))
        wanted[channel] = wanted.get(channel, 0) + 1
    return found, wanted


def requests_by_channel(found: Tally) -> dict[str, int]:
    return {channel: sums[0] or 0 for (_, channel), sums in found.cells.items()}


@pytest.mark.parametrize("kind", FORMATS_OF_PATHS)
@given(
    conditions=st.lists(CONDITIONS, min_size=1, max_size=12),
    requests=st.lists(st.tuples(st.sampled_from(HOSTS), TEXTS), min_size=1, max_size=30),
)
def test_rules_mean_what_the_list_means(
    kind: str, conditions: list[dict[str, str]], requests: list[tuple[str, str]]
) -> None:
    """Rules of hosts, of suffixes and of any host, with prefixes that begin alike, in any order."""
    listed = [Rule(f"c{number % 5}", **condition) for number, condition in enumerate(conditions)]
    found, wanted = counted_by_path(kind, listed, requests)
    assert requests_by_channel(found) == wanted


def test_thousands_of_rules_mean_what_the_list_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each prefix begins the next; others are chosen among many; hosts have some of their own. All in the kernel."""
    leave_nothing(monkeypatch)
    chance = random.Random(1)
    words = [f"/{chance.choice('abc')}{chance.randrange(300)}/{chance.choice('xy')}" for _ in range(1500)]
    listed = [Rule(f"n{n % 40}", path="/" + "n" * n) for n in range(1500, 0, -1)]
    listed += [Rule(f"w{n % 40}", chance.choice([None, *HOSTS, "*.com"]), word) for n, word in enumerate(words)]
    listed += [Rule(f"h{n}", f"h{n}.example.com", f"/{n % 3}") for n in range(1500)]
    chance.shuffle(listed)
    requests = [(chance.choice(HOSTS), word + chance.choice(["", "z", "/"])) for word in words]
    requests += [(chance.choice(HOSTS), "/" + "n" * chance.randrange(1600)) for _ in range(200)]
    requests += [(f"h{n}.example.com", f"/{n % 4}") for n in range(1500)]
    found, wanted = counted_by_path("request", listed, requests)
    assert requests_by_channel(found) == wanted


def test_a_prefix_that_no_path_can_have_matches_nothing() -> None:
    """Half of a surrogate pair, which JSON can hold, has no bytes."""
    channels = ChannelMap([{"channel": "a", "path": "/\ud800"}, {"channel": "b", "path": "/"}])
    found = both(
        line("a.example.com") + line("a.example.com").replace(b"GET /", b"GET /\xed\xa0\x80"), channels=channels
    )
    assert requests_by_channel(found) == {"b": 2}


@pytest.mark.parametrize("wrong", ["no group", "no root", "no child", "no channel", "a circle of groups"])
def test_tables_of_rules_that_are_wrong_are_an_error(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never lines that are lost, or booked somewhere."""
    if wrong == "no group":
        monkeypatch.setattr(rules.Rules, "group_of", lambda *_: 99)
    elif wrong == "no child":
        monkeypatch.setattr(rules, "_NODE", Changed("<16s16s6I8x", 3, 99))
    else:
        place, number = {"no root": (0, 99), "a circle of groups": (2, 0), "no channel": (1, 99)}[wrong]
        monkeypatch.setattr(rules, "_GROUP", Changed("<3I", place, number))
        if wrong == "no channel":
            monkeypatch.setattr(rules.Rules, "_channel", lambda *_: 99)
    channels = ChannelMap([{"channel": "a", "path": "/a"}, {"channel": "b", "path": "/b"}])
    data = line("a.example.com").replace(b"GET /", b"GET /a")
    with pytest.raises(EdgetallyError, match="the kernel refuses what it is given"):
        tally([io.BytesIO(data)], NGINX, channels, engine="kernel")


class Changed(Struct):
    """Packs one value wrongly."""

    def __init__(self, layout: str, place: int, value: int) -> None:
        super().__init__(layout)
        self._place, self._value = place, value

    def pack(self, *values: Any) -> bytes:
        changed = list(values)
        changed[self._place] = self._value
        return super().pack(*changed)
