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
        ("#Fields: time sc-bytes", "#Fields: w3c does not say the time: add date and time, side by side"),
        ("#Fields:", "#Fields: the fields are missing"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).startswith(message)


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
