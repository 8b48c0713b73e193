"""Squid's logformat: what parses, what a line gives, what is refused. The native format is in test_formats."""

from __future__ import annotations

import io

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.formats.servers.squid import NAMED
from edgetally.tally.count import tally
from tests.unit.formats.test_catalogue import EPOCH, TIME, fits, read

NATIVE = "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %un %Sh/%<a %mt"
LINE = "1780000000.123     37 192.0.2.7 TCP_HIT/200 4083 GET http://example.com/a.gif?b - HIER_NONE/- image/gif"


@pytest.mark.parametrize("pasted", [NATIVE, f"logformat mine {NATIVE}", f"logformat mine {NATIVE}\n"])
def test_a_logformat_can_be_pasted_in_every_shape(pasted: str) -> None:
    fmt = parse_format(pasted)
    assert (fmt.server, fmt.warnings, fmt.adds_duration) == ("squid", [], False)
    assert read(fmt, LINE) == (1780000000.123, "example.com", True, "/a.gif", b"4083")
    assert not fits(fmt, LINE[: LINE.rindex(" ")])  # only the native format may lack its last column


@pytest.mark.parametrize(
    "rest",
    [
        "TCP_TUNNEL/200 5 CONNECT example.com:443 - HIER_DIRECT/2001:db8::1 -",
        "NONE/000 0 - error:transaction-end-before-headers - HIER_NONE/- -",
        "NONE/400 5 GET error:invalid-request - HIER_NONE/- text/html",
        'TCP_MISS/200 5 GET http://a.example.com/"q\\"? - HIER_NONE/- text/plain',
    ],
)
def test_a_pasted_native_format_reads_as_the_named_one(rest: str) -> None:
    line = f"1780000000.123     -1 2001:db8::7 {rest}"
    assert read(parse_format(NATIVE), line) == read(FORMATS["squid"], line)


@pytest.mark.parametrize(
    ("log_format", "line", "expected"),
    [
        (
            "%tl %ru %<st %Ss:%Sh",
            f"{TIME} https://A.example.com:8443/x 5 TCP_MISS:HIER_DIRECT",
            (EPOCH, "a.example.com", False, "/x", b"5"),
        ),
        ("%tg|%<st|%>rd|%>rp", "10/Oct/2026:20:55:36|5|a.example.com|/x?y", (EPOCH, "a.example.com", None, "/x", b"5")),
        ("%{%FT%T}tg %<st %ru", "2026-10-10T20:55:36 5 http://h/", (EPOCH, "h", None, "/", b"5")),
        ("%ts %<st %{Host}>h", "1780000000 5 h.example.com:80", (1780000000.0, "h.example.com", None, "", b"5")),
        ("%ts %http::<st %>ha{X-Y}|", "1780000000 5 a%20b|", (1780000000.0, "", None, "", b"5")),
        (
            "%9ts.%03tu %-10<st%5>p %ssl::>sni",
            "1780000000.001 5            443 h",
            (1780000000.001, "h", None, "", b"5"),
        ),
        (
            '%ts,%<st,"%rm","%ru"',
            '1780000000,5,"CONNECT","h.example.com:443"',
            (1780000000.0, "h.example.com", None, "", b"5"),
        ),
        ("%ts %<st %ru", "1780000000 5 [2001:db8::1]:443", (1780000000.0, "[2001:db8::1]", None, "", b"5")),
        ("%ts %<st %ru", "1780000000 5 error:invalid-request", (1780000000.0, "", None, "", b"5")),
        ("%ts %rm %ru HTTP/%rv %<st", "1780000000 GET http://h/p HTTP/1.1 5", (1780000000.0, "h", None, "/p", b"5")),
        (  # between quotes squid puts a backslash before quotes
            '%ts "%rm %ru HTTP/%rv" %<st "%{User-Agent}>h" %[un %#un %%',
            '1780000000 "GET http://h/p HTTP/1.1" 5 "say \\"hi\\" \\\\" joe%20d - %',
            (1780000000.0, "h", None, "/p", b"5"),
        ),
    ],
)
def test_lines(log_format: str, line: str, expected: object) -> None:
    assert read(parse_format(log_format, "squid"), line) == expected


def test_squids_own_formats_are_known_from_what_they_hold() -> None:
    assert [parse_format(text).server for text in NAMED.values()] == ["squid"] * len(NAMED)


def test_names_mean_the_servers_own() -> None:
    line = f'192.0.2.7 - - [{TIME}] "GET http://h/p HTTP/1.1" 200 77 "-" "agent" TCP_MEM_HIT:HIER_NONE'
    fmt = parse_format("combined", "squid")
    assert (fmt.name, fmt.server, fmt.bytes_meaning) == ("combined", "squid", "wire")
    assert read(fmt, line) == (EPOCH, "h", True, "/p", b"77")


@pytest.mark.parametrize("cut", range(12, len(LINE), 7))
def test_two_records_torn_into_one_line_fit_nothing(cut: int) -> None:
    assert not fits(parse_format(NATIVE), LINE[:cut] + LINE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("logformat x %>a %<st", "logformat x does not say the time: add %ts.%03tu"),
        ("logformat x %tl %>a", "logformat x does not say the bytes: add %<st"),
        ("logformat x %tl %<st %", "logformat x: % is no format code"),
        ("logformat x %tl%<st", "logformat x: %tl and %<st stand side by side"),
        ("logformat x %{%c}tl %<st", "logformat x: %{%c}tl: %c cannot be read"),
        (
            "logformat x %tl %<st\nlogformat y %tl",
            "logformat: paste one directive only; after its line comes logformat",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["common", "combined"])
def test_a_connection_without_a_request_is_counted(name: str) -> None:
    text = '"-" "-" ' if name == "combined" else ""
    line = f'192.0.2.7 - - [{TIME}] "- error:transaction-end-before-headers NONE/0.0" 0 0 {text}NONE_NONE:HIER_NONE'
    assert read(parse_format(name, "squid"), line)[1:3] == ("", False)


def test_a_status_of_nothing_is_a_number() -> None:
    assert read(parse_format("%ts.%03tu %>Hs %<st"), "1780000000.000 0 0")[-1] == b"0"


def test_a_connect_that_squid_refuses_names_no_host() -> None:
    line = b"1780000000.123 0 192.0.2.7 NONE/405 3900 CONNECT error:method-not-allowed - HIER_NONE/- text/html\n"
    found = [tally([io.BytesIO(line)], FORMATS["squid"], None, engine=engine) for engine in ("kernel", "reference")]
    assert [list(one.cells) for one in found] == [[(1779999900, "-")]] * 2


def test_a_quoted_header_is_weak_since_its_control_bytes_are_written_as_they_come() -> None:
    (warning,) = parse_format('%ts.%03tu %<st %ru "%{User-Agent}>h"').warnings
    assert warning == (
        '"%{User-Agent}>h" holds control bytes as they came: a line where a client sent some is rejected; '
        "write %#{User-Agent}>h"
    )
    assert parse_format("%ts.%03tu %<st %ru %#{User-Agent}>h").warnings == []
