"""varnishncsa's -F: what parses, what a line gives, what is refused."""

from __future__ import annotations

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from tests.unit.formats.test_catalogue import EPOCH, TIME, fits, read

CUSTOM = (
    '%h %l %u %t "%r" %s %O %D "%{Host}i" %{Varnish:hitmiss}x %{Varnish:handling}x %{Varnish:time_firstbyte}x '
    '"%{User-agent}i"'
)
LINE = f'192.0.2.7 - - [{TIME}] "%s" 200 10 1500000 "%s" miss %s 0.000123 "agent"'
REQUEST = "GET http://www.example.com:80/a?b HTTP/1.1"


@pytest.mark.parametrize(
    "pasted",
    [
        CUSTOM,
        f"varnishncsa -F '{CUSTOM}'",
        f"-F '{CUSTOM}'",
        f"/usr/bin/varnishncsa -a -w /var/log/varnish/varnishncsa.log -F '{CUSTOM}'".replace("/usr/bin/", ""),
        'varnishncsa -F "' + CUSTOM.replace('"', '\\"') + '"',
    ],
)
def test_a_format_can_be_pasted_in_every_shape(pasted: str) -> None:
    fmt = parse_format(pasted)
    assert (fmt.server, fmt.warnings) == ("varnish", [])
    expected = (EPOCH + 1.5, "www.example.com", True, "/a", b"10")
    assert read(fmt, LINE % (REQUEST, "www.example.com", "hit")) == expected


def test_the_host_header_is_believed_before_the_request_that_is_made_of_it() -> None:
    # Of `GET http://absolute.test HTTP/1.1` with `Host: h.test`: Varnish 7.1 knows an absolute URI by its path.
    line = LINE % ("GET http://h.testhttp://absolute.test HTTP/1.1", "h.test", "miss")
    assert read(parse_format(CUSTOM), line)[1] == "h.test"


@pytest.mark.parametrize(
    ("handling", "hit"),
    [("hit", True), ("streaming-hit", True), *((word, False) for word in ("miss", "pass", "pipe", "synth", "error"))],
)
def test_hits(handling: str, hit: bool) -> None:
    assert read(parse_format(CUSTOM), LINE % (REQUEST, "-", handling))[2] is hit
    assert read(parse_format("%t %O %{Varnish:hitmiss}x"), f"[{TIME}] 5 {handling}")[2] is hit


def test_a_request_without_host_is_the_hosts_of_its_header() -> None:
    assert read(parse_format(CUSTOM), LINE % ("-", "H.example.com", "miss"))[1] == "h.example.com"


def test_the_default_has_the_host_in_the_request_and_the_bodys_bytes() -> None:
    fmt = FORMATS["varnish"]
    assert (fmt.bytes_meaning, fmt.has_host, fmt.has_duration) == ("body", True, False)
    assert read(fmt, fmt.example)[1] == "www.example.com"
    assert parse_format("combined", "varnish").server == "varnish"


@pytest.mark.parametrize(
    ("log_format", "line", "expected"),
    [
        ("%{%Y-%m-%dT%H:%M:%S%z}t %b %T", "2026-10-10T13:55:36-0700 - 3", (EPOCH + 3, "", None, "", b"-")),
        ("%{msec}t\\t%O\\t%{ms}T\\t%{Host}i%U%q", f"{EPOCH}001\t5\t9\th/x?y", (EPOCH + 0.01, "h", None, "/x", b"5")),
        (
            '%t "%{VCL_Log:note}x" "%{X-A}o" %{VSL:Timestamp:Start[2]}x %O',
            f'[{TIME}] "a \\"b\\"" "" 0.000000 5',
            (EPOCH, "", None, "", b"5"),
        ),
    ],
)
def test_lines(log_format: str, line: str, expected: object) -> None:
    assert read(parse_format(log_format, "varnish"), line) == expected


@pytest.mark.parametrize("cut", range(40, 130, 9))
def test_two_records_torn_into_one_line_fit_nothing(cut: int) -> None:
    line = LINE % (REQUEST, "h.example.com", "hit")
    assert not fits(parse_format(CUSTOM), line[:cut] + line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("varnishncsa -F '%h %O'", "varnishncsa -F varnish does not say the time: add %t"),
        ("varnishncsa -F '%h %t'", "varnishncsa -F varnish does not say the bytes: add %O"),
        ("varnishncsa -F %t", "varnishncsa -F: the format is missing, or not in quotes: %t"),
        ("varnishncsa -F '%t\\n%O'", "varnishncsa -F varnish: the format holds a line break"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
