"""HAProxy's HTTP log and log-format strings: what parses, what a line gives, what is refused."""

from __future__ import annotations

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from tests.unit.formats.test_catalogue import EPOCH, TIME, fits, read

LOCAL = 1791640536  # 10/Oct/2026:13:55:36, read as UTC
HTTPLOG = '%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs "%r"'
RECORD = (
    "192.0.2.7:51234 [10/Oct/2026:13:55:36.250] www~ cache/edge1 0/0/1/12/1500 200 2326 - - ---- 9/8/2/1/+1 0/0 "
    '{h.example.com|} {x} "GET https://www.example.com/a?b HTTP/2.0"'
)
RECOMMENDED = 'log-format "%ci:%cp [%trl] %ft %b/%s %Ta %ST %B %tsc %[var(txn.host)] %[res.cache_hit] %{+Q}r"'


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "Oct 10 13:55:36 lb1 haproxy[2451]: ",
        "Oct  1 13:55:36 192.0.2.1 haproxy[2451]: ",
        "Oct 10 13:55:36 haproxy[2451]: ",
        "<134>Oct 10 13:55:36 lb1 haproxy: ",
        "2026-10-10T13:55:36.123456+02:00 lb1.example.com haproxy[2451]: ",
        "2026-10-10T13:55:36Z 2001:db8::1 haproxy[2451]: ",
        "<134>1 2026-10-10T13:55:36.123456+02:00 lb1 haproxy 2451 - - ",
    ],
)
def test_a_line_reads_with_and_without_a_syslogs_prefix(prefix: str) -> None:
    assert read(FORMATS["haproxy"], prefix + RECORD) == (LOCAL + 1.75, "", False, "/a", b"2326")


@pytest.mark.parametrize(
    "pasted",
    [
        HTTPLOG,
        f"log-format {HTTPLOG}".replace(" ", "\\ ").replace("log-format\\ ", "log-format "),
        f"log-format '{HTTPLOG}'",
        'log-format "' + HTTPLOG.replace('"', '\\"') + '"',
        'log-format "' + HTTPLOG.replace('"%r"', "%{+Q}r") + '"',
        HTTPLOG.replace('"%r"', "%{+Q}r"),
    ],
)
def test_a_log_format_can_be_pasted_in_every_shape(pasted: str) -> None:
    fmt = parse_format(pasted)
    assert fmt.server == "haproxy"
    assert read(fmt, RECORD) == (LOCAL + 1.75, "", False, "/a", b"2326")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{h.example.com|} {x} ", ""),
        ("{x} ", ""),
        ("/1500 200 2326 - - ----", "/-1 -1 0 - - CR--"),
        ("cache/edge1", "cache/<NOSRV>"),
        ('"GET https://www.example.com/a?b HTTP/2.0"', '"<BADREQ>"'),
        ("192.0.2.7", "2001:db8::7"),
        ("/a?b", "/#22#7B\\\\"),
    ],
)
def test_odd_records_fit(old: str, new: str) -> None:
    assert old in RECORD
    assert fits(FORMATS["haproxy"], RECORD.replace(old, new))


@pytest.mark.parametrize(
    "record",
    [
        RECORD.replace("2326", "+2326"),  # option logasap: the transfer goes on
        RECORD.replace("/1500", "/+1500"),
        RECORD[:-1],
        RECORD.replace("[10/", "["),
        "192.0.2.7:1 [10/Oct/2026:13:55:36.250] main app/<NOSRV> -1/-1/1 212 SC 1/1/0/0/0 0/0",
        "Connect from 192.0.2.7:40780 to 192.0.2.1:5000 (main/HTTP)",
        "Oct 10 13:55:36 lb1 haproxy[2451]: " * 2 + RECORD,
    ],
)
def test_what_is_no_finished_request_does_not_fit(record: str) -> None:
    assert not fits(FORMATS["haproxy"], record)


def test_a_line_that_haproxy_cuts_at_its_length_is_counted() -> None:
    """It ends in the middle of the URI, without a quote; the bytes stand before that."""
    record = RECORD[:-1].replace("/a?b", "/a?" + "b" * 2000)
    assert read(FORMATS["haproxy"], record[:1024])[4] == b"2326"
    assert not fits(FORMATS["haproxy"], record[:800])
    assert not fits(FORMATS["haproxy"], record[:1024] + RECORD)


def test_the_recommended_format_says_all() -> None:
    fmt = parse_format(RECOMMENDED)
    assert (fmt.warnings, fmt.hit_known, fmt.has_host, fmt.adds_duration) == ([], True, True, True)
    line = f'192.0.2.7:1 [{TIME}] www~ cache/edge1 250 200 2326 ---- h.example.com:80 %s "GET /a HTTP/1.1"'
    assert read(fmt, line % 1) == (EPOCH + 0.25, "h.example.com", True, "/a", b"2326")
    assert read(fmt, line % 0)[2] is False


@pytest.mark.parametrize(
    ("log_format", "line", "expected"),
    [
        (
            "%Ts.%ms %Tt %B %HM %HU %HV",
            "1780000000.001 9 5 GET http://h/p HTTP/1.1",
            (1780000000.01, "", None, "/p", b"5"),
        ),
        ("[%T] %B  %[capture.req.hdr(0)]|", f"[{TIME}] 5 a b|", (EPOCH, "", None, "", b"5")),
        (
            "%{+Q}o %Tl %B %HM %[req.hdr(Host),lower] %HP",
            f'{TIME} 5 "GET" "h:80" "/p?q"',
            (EPOCH, "h", None, "/p", b"5"),
        ),
        ("%t %B %Tt %U %[ssl_fc_sni] %%", "10/Oct/2026:13:55:36.250 5 0 7 h %", (LOCAL + 0.25, "h", None, "", b"5")),
        (
            '{"t":%Ts,"sent":%B,"host":"%[var(txn.req_host)]","request":"%r"}',
            '{"t":1780000000,"sent":5,"host":"h","request":"GET http://u/p HTTP/1.1"}',
            (1780000000.0, "u", None, "/p", b"5"),
        ),
    ],
)
def test_lines(log_format: str, line: str, expected: object) -> None:
    assert read(parse_format(log_format, "haproxy"), line) == expected


def test_what_is_weak_is_said() -> None:
    host, local = FORMATS["haproxy"].warnings
    assert "host" in host
    assert local == "its time is local and has no offset: it is read as UTC; log %trl, or run HAProxy in UTC"


@pytest.mark.parametrize("cut", range(2, len(RECORD), 5))
def test_two_records_torn_into_one_line_fit_nothing(cut: int) -> None:
    assert not fits(FORMATS["haproxy"], RECORD[:cut] + FORMATS["haproxy"].example)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log-format %ci %B", "log-format haproxy does not say the time: add %trl"),
        ("log-format %ci %trl", "log-format haproxy does not say the bytes: add %B"),
        ("log-format", "log-format: the format itself is missing"),
        ("log-format %trl %B %[", "log-format haproxy: %[ is no field"),
        ('log-format "%trl "%B" x"', "log-format: the string ends early"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
