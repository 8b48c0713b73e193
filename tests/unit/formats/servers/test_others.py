"""W3C extended logs, Traefik, Caddy: what parses, what a line gives, what is refused."""

from __future__ import annotations

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from tests.unit.formats.test_catalogue import EPOCH, fits, read

IIS = (
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) cs-host sc-status sc-bytes "
    "time-taken"
)
IIS_LINE = '2026-10-10 20:55:36 ::1%0 GET /a"b x=1 443 192.0.2.7 Mozilla/5.0+(x;+y) WWW.example.com:443 200 123 9000'
CLOUD = "#Fields: date time x-edge-location sc-bytes cs(Host) cs-uri-stem x-edge-result-type x-host-header time-taken"


def test_the_fields_of_iis_are_separated_by_spaces_and_its_time_is_the_end() -> None:
    fmt = parse_format(IIS)
    assert (fmt.server, fmt.warnings, fmt.has_duration) == ("w3c", [], True)
    assert read(fmt, IIS_LINE) == (EPOCH, "www.example.com", None, '/a"b', b"123")
    assert not fits(fmt, IIS_LINE.replace("2026-10-10 ", ""))
    assert not fits(fmt, IIS_LINE[:60] + IIS_LINE)
    assert not fits(fmt, IIS_LINE[:-20] + IIS_LINE)


@pytest.mark.parametrize(
    ("result", "hit"),
    [("Hit", True), ("RefreshHit", True), ("OriginShieldHit", True), ("Miss", False), ("Error", False)],
)
def test_the_fields_of_cloudfront_are_separated_by_tabs(result: str, hit: bool) -> None:
    line = f"2026-10-10\t20:55:36\tFRA1\t553\td1.cloudfront.net\t/a\t{result}\texample.com\t0.001"
    assert read(parse_format(CLOUD), line) == (EPOCH, "example.com", hit, "/a", b"553")
    assert not fits(parse_format(CLOUD), line.replace("\t", " "))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#Fields: date time c-ip", "#Fields: w3c does not say the bytes: add sc-bytes"),
        ("#Fields: date sc-bytes", "#Fields: w3c does not say the time: add date and time, side by side"),
        ("#Fields: time sc-bytes", "#Fields: its time has no date: give the log's #Date: line above it"),
        ("#GMT-Offset: CET\n#Fields: date time sc-bytes", "#GMT-Offset: 'CET' is no offset: correct it to one such"),
        ("#Software: x\n#Version: 1.0", "#Fields: the fields are missing"),
        ("#Fields:", "#Fields: the fields are missing"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).startswith(message)


W3C = "#Fields: date time cs-host cs-uri-stem cs(User-Agent) sc-bytes time-taken"


def w3c_line(agent: str, host: str = "a.example.com", path: str = "/a", size: str = "5") -> str:
    return f"2026-10-10 20:55:36 {host} {path} {agent} {size} 0.25"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (w3c_line("Mozilla"), "/a"),
        (w3c_line('"Mozilla/5.0 (X11; Linux)"'), "/a"),
        (w3c_line('"says ""hi, you"" twice"'), "/a"),
        (w3c_line('""'), "/a"),
        (w3c_line('"-"', '"a.example.com"', '"/a b"', '"5"'), "/a~b"),
        (w3c_line('"-"', '"a.example.com"', '"/a"'), "/a"),
        (w3c_line('"'), "/a"),  # a server that quotes nothing: a quote is a client's, and begins no string
        (w3c_line('"x'), "/a"),
        (w3c_line('x"', path='/"a'), '/"a'),
        (w3c_line('x"', path='"/a'), '"/a'),
    ],
)
def test_a_string_in_quotes_holds_blanks(line: str, path: str) -> None:
    for end in ("", "\r"):
        assert read(parse_format(W3C), line + end) == (EPOCH, "a.example.com", None, path, b"5")


@pytest.mark.parametrize("agent", ['"Mozilla (X11', "Mozilla (X11)", '"a" b', 'a "b c"', '"a""b c'])
def test_a_blank_outside_of_quotes_does_not_fit(agent: str) -> None:
    assert not fits(parse_format(W3C), w3c_line(agent))


@pytest.mark.parametrize(
    ("head", "milliseconds"),
    [
        ("", False),
        ("#Software: Squid/6.1\n", False),
        ("#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n", True),
        ("#Software: SGOS 6.7.4.9\n", True),
    ],
)
def test_time_taken_is_in_seconds_but_for_some_servers(head: str, milliseconds: bool) -> None:
    for fields, sure in (("", milliseconds), (" sc-win32-status", True), (" s-action", True)):
        fmt = parse_format(f"{head}#Fields: date time sc-bytes time-taken{fields}")
        assert fmt.parts[fmt.roles["duration"][0]].kind == ("ms" if sure else "decimal")


@pytest.mark.parametrize(
    ("head", "line", "time"),
    [
        ("#Date: 2026-10-10 01:02:03\n#Fields: time bytes", "20:55:36 5", EPOCH),
        ("#Date: 10-Oct-2026 01:02:03\n#Fields: time bytes", "20:55:36.25 5", EPOCH + 0.25),
        ("#GMT-Offset: -0700\n#Fields: date time bytes", "2026-10-10 13:55:36 5", EPOCH),
        ("#GMT-Offset: +5:30\n#Date: 2026-10-11\n#Fields: time bytes", "02:25:36 5", EPOCH),
        ("#Fields: bytes x-timestamp", "5 1791665736.5", EPOCH + 0.5),
        ("#Fields: date time\tbytes", "2026-10-10\t20:55:36.000\t5", EPOCH),
    ],
)
def test_the_time_of_a_w3c_log(head: str, line: str, time: float) -> None:
    fmt = parse_format(head)
    assert read(fmt, line) == (time, "", None, "", b"5")
    assert any(finding.code == "no_date" for finding in fmt.findings) == ("time bytes" in head and "#Date" in head)


def test_a_proxys_log_has_its_host_in_the_url() -> None:
    fmt = parse_format("#Fields: date time s-action sc-status cs-uri sc-bytes")
    line = "2026-10-10 20:55:36 TCP_NC_HIT 200 http://Www.example.com:80/a?b 5"
    assert read(fmt, line) == (EPOCH, "www.example.com", True, "/a", b"5")


def test_datastreams_fields_are_named_as_in_its_json() -> None:
    fmt = parse_format(
        "#Fields: version cp reqTimeSec bytes reqHost reqPath totalBytes transferTimeMSec cacheStatus UA"
    )
    line = "2 123 1791665736.250 5 a.example.com a/b 405 1500 1 curl/8.0"
    assert read(fmt, line) == (EPOCH + 1.75, "a.example.com", True, "a/b", b"405")
    assert fmt.warnings == []


def test_traefiks_start_becomes_an_end() -> None:
    for name, end in (("traefik", EPOCH - 25_200 + 0.002), ("traefik_json", EPOCH + 0.252623)):
        fmt = FORMATS[name]
        time, host, hit, path, size = read(fmt, fmt.example)
        assert time == pytest.approx(end, abs=2e-6)
        assert (host, hit, path, size) == ("www.example.com" if name == "traefik_json" else "", None, "/a.gif", b"2326")


@pytest.mark.parametrize(
    ("old", "new", "fitting"),
    [
        ('"-" "curl', '- "curl', True),
        ('"curl/8.0"', '"say \\"hi\\""', True),
        (" 2ms", "", False),
        ("GET /a.gif HTTP/1.1", "-", True),
    ],
)
def test_odd_lines_of_traefik(old: str, new: str, fitting: bool) -> None:
    assert fits(FORMATS["traefik"], FORMATS["traefik"].example.replace(old, new)) is fitting


@pytest.mark.parametrize(
    ("old", "new", "fitting"),
    [
        ('{"level"', 'caddy  | {"level"', True),
        ('["curl/8.0"]', r'["a \"b\" {\\","c"],"X":[]', True),
        ('"headers":{"User-Agent":["curl/8.0"]}', '"headers":{},"tls":{"resumed":false,"version":772}', True),
        ('"size":2326', '"size":"2326"', True),
        ('"size":2326', '"size":-2326', False),
        ('"size":2326,', "", False),
        ('"level":"info"', '"level":"error"', True),
        (',"resp_headers":{"Server":["Caddy"]}', "", True),
        ("}}", "}", False),
        ('"uri":"/a.gif?b",', "", True),
        ('"ts"', '"time"', False),
        ('{"level"', '{"level":"info","msg":"x"}{"level"', False),
    ],
)
def test_odd_lines_of_caddy(old: str, new: str, fitting: bool) -> None:
    fmt = FORMATS["caddy"]
    assert old in fmt.example
    assert fits(fmt, fmt.example.replace(old, new)) is fitting


def test_caddys_line() -> None:
    fmt = FORMATS["caddy"]
    assert read(fmt, fmt.example) == (1780000000.123456, "www.example.com", None, "/a.gif", b"2326")
