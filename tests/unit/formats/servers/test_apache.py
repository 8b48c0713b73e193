"""Apache's LogFormat and lighttpd's accesslog.format: what parses, what a line gives, what is refused."""

from __future__ import annotations

import io

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.tally.count import tally
from tests.unit.formats.test_catalogue import EPOCH, TIME, fits, read

RECOMMENDED = r'LogFormat "%V %a %l %u %t \"%r\" %>s %O %D \"%{Host}i\" \"%{Referer}i\" \"%{User-Agent}i\"" edgetally'
LINE = f'www.example.com 192.0.2.7 - - [{TIME}] "GET /a?b HTTP/1.1" 200 10 %s "%s" "-" "agent"'


@pytest.mark.parametrize(
    "pasted",
    [
        RECOMMENDED,
        RECOMMENDED.lower().replace("%v", "%V").replace("%o", "%O").replace("%d", "%D"),
        RECOMMENDED.replace(" edgetally", ""),
        RECOMMENDED.partition(" ")[2],
        RECOMMENDED.partition(" ")[2].rpartition(" ")[0],
        RECOMMENDED.partition(" ")[2].rpartition(" ")[0][1:-1],
        RECOMMENDED.partition(" ")[2].rpartition(" ")[0][1:-1].replace("\\", ""),
        RECOMMENDED.replace("LogFormat", "CustomLog /var/log/apache2/access.log").replace("edgetally", "env=!quiet"),
        RECOMMENDED.replace(" %u", " \\\n    %u"),
    ],
)
def test_a_log_format_can_be_pasted_in_every_shape(pasted: str) -> None:
    fmt = parse_format(pasted)
    assert fmt.server == "apache"
    assert read(fmt, LINE % (1_500_000, "Shop.example.com:80")) == (EPOCH + 1.5, "shop.example.com", None, "/a", b"10")


def test_the_duration_makes_the_start_an_end() -> None:
    """Else a download of an hour is booked an hour early, and the fleet's slots differ by server."""
    fmt = parse_format(RECOMMENDED)
    assert read(fmt, LINE % (3_600_000_001, "-"))[0] == EPOCH + 3600.000001
    assert fmt.warnings == []
    without = parse_format('%V %t "%r" %>s %O', "apache")
    assert [warning for warning in without.warnings if "start" in warning]


@pytest.mark.parametrize(
    ("time", "duration", "written", "lasted", "expected"),
    [
        ("%t", "%T", f"[{TIME}]", "2", EPOCH + 2),
        ("%t", "%T", f"[{TIME}]", "-1", EPOCH),  # the clock went back, or lighttpd's own was a second behind
        ("%t", "%{s}T", f"[{TIME}]", "2", EPOCH + 2),
        ("%t", "%{ms}T", f"[{TIME}]", "250", EPOCH + 0.25),
        ("%t", "%{us}T", f"[{TIME}]", "250", EPOCH + 0.00025),
        ("%t", "%D", f"[{TIME}]", "-", EPOCH),
        ("%{end:sec}t", "%D", str(EPOCH), "5000000", EPOCH),
        ("%{end}t", "%D", f"[{TIME}]", "5000000", EPOCH),
        ("%{begin:msec}t", "%D", f"{EPOCH}250", "5000000", EPOCH + 5.25),
        ("%{sec}t", "%D", str(EPOCH), "5000000", EPOCH + 5),
        ("%{usec}t", "%D", f"{EPOCH}000001", "1", EPOCH + 0.000002),
        ("%{%Y-%m-%dT%H:%M:%S%z}t", "%D", "2026-10-10T13:55:36-0700", "1000000", EPOCH + 1),
        ("%{%F %T}t", "%D", "2026-10-10 20:55:36", "1000000", EPOCH + 1),
        ("%{%Y-%m-%dT%T}t.%{msec_frac}t%{%z}t", "%D", "2026-10-10T13:55:36.250-0700", "1", EPOCH + 0.250001),
        ("%{sec}t.%{usec_frac}t", "%D", f"{EPOCH}.000250", "1", EPOCH + 0.000251),
        ("%{%d/%b/%y %H:%M}t", "%D", "10/Oct/26 20:55", "36000000", EPOCH),
    ],
)
def test_times_and_durations(time: str, duration: str, written: str, lasted: str, expected: float) -> None:
    fmt = parse_format(f"{time} %O {duration} %V", "apache")
    assert read(fmt, f"{written} 5 {lasted} a.example.com")[0] == pytest.approx(expected, abs=5e-7)


def test_the_tally_books_a_transfer_where_it_ends() -> None:
    lines = [LINE % (microseconds, "a") for microseconds in (143_999_999, 144_000_000)]  # the slot ends at 14:00:00
    lines = [line.replace("13:55:36", "13:57:36") for line in lines]
    found = tally([io.BytesIO("\n".join(lines).encode())], parse_format(RECOMMENDED), None)
    assert found.cells == {
        (1791665700, "a"): [1, 10, None, None],
        (1791666000, "a"): [1, 10, None, None],
    }
    assert (found.first, found.last) == (1791665999.999999, 1791666000.0)


def test_no_rounding_moves_an_end_over_the_edge_of_a_slot() -> None:
    fmt = parse_format("%{msec}t %O %{ms}T", "apache")
    assert read(fmt, "1780000199999 5 1")[0] == 1780000200.0
    assert read(fmt, "1780000199998 5 1")[0] == 1780000199.999


@pytest.mark.parametrize(
    ("log_format", "line", "expected"),
    [
        (  # an absolute URI stands before the Host header, and that before the server's names
            '%v %V "%{Host}i" "%r" %t %O',
            f's.example.com v.example.com "h.example.com" "GET http://u.example.com/p HTTP/1.1" [{TIME}] 5',
            (EPOCH, "u.example.com", None, "/p", b"5"),
        ),
        (
            '%v %V "%{Host}i" "%r" %t %O',
            f's.example.com v.example.com "h.example.com" "GET /p HTTP/1.1" [{TIME}] 5',
            (EPOCH, "h.example.com", None, "/p", b"5"),
        ),
        (
            '%v %V "%{Host}i" "%r" %t %O',
            f's v.example.com "-" "-" [{TIME}] -',
            (EPOCH, "v.example.com", None, "", b"-"),
        ),
        ("%v:%p %t %O", f"a.example.com:443 [{TIME}] 5", (EPOCH, "a.example.com", None, "", b"5")),
        ("%v:%p %t %O", f"2001:db8::1:443 [{TIME}] 5", (EPOCH, "[2001:db8::1]", None, "", b"5")),
        ("%V%U%q %t %O", f"a.example.com/x?y=/z [{TIME}] 5", (EPOCH, "a.example.com", None, "/x", b"5")),
        ("%t %m %U%q %H %O %V", f"[{TIME}] GET /x?y HTTP/1.1 5 h", (EPOCH, "h", None, "/x", b"5")),
        ("%t %m %U%q %H %O %V", f"[{TIME}] GET /x HTTP/1.1 5 h", (EPOCH, "h", None, "/x", b"5")),
        (  # %S is both directions and %I what came in: neither is billed
            "%t %S %I %B %b %O %h %k %X %P %L %A %f",
            f"[{TIME}] 9 8 7 6 5 ::1 0 + 17 - 192.0.2.1 /var/www/a b",
            (EPOCH, "", None, "", b"5"),
        ),
        (
            '{"t":"%{sec}t","sent":%B,"host":"%V","ua":"%{User-Agent}i","x":"%{unique_id}e%%"}'.replace("e%%", "e"),
            '{"t":"1780000000","sent":9,"host":"a.example.com","ua":"\\"hi\\" \\\\","x":"-"}',
            (1780000000.0, "a.example.com", None, "", b"9"),
        ),
        ("%V\\t%{sec}t\\t%B\\t%!200,304{X-A}i", "h\t1780000000\t3\ta b", (1780000000.0, "h", None, "", b"3")),
        (
            '%h %l %u %t "%r" %>s %O',
            f'192.0.2.1 - john [doe [{TIME}] "\\x16\\x03\\x01" 400 226',
            (EPOCH, "", None, "", b"226"),
        ),
        ('%h %l %u %t "%r" %>s %O', f'::1 - "" [{TIME}] "-" 408 -', (EPOCH, "", None, "", b"-")),
    ],
)
def test_lines(log_format: str, line: str, expected: object) -> None:
    assert read(parse_format(log_format, "apache"), line) == expected


def test_bytes_on_the_wire_come_before_the_bodys() -> None:
    assert parse_format("%t %O %b %B %V %D", "apache").bytes_meaning == "wire"
    body = parse_format("%t %b %V %D", "apache")
    assert body.bytes_meaning == "body"
    assert body.warnings == ["its bytes are the body's only: headers are not billed; log %O (mod_logio) instead"]


@pytest.mark.parametrize("cut", [40, 60, 70, 80, 90, 100])
def test_two_records_torn_into_one_line_fit_nothing(cut: int) -> None:
    line = LINE % (1, "a.example.com")
    assert not fits(parse_format(RECOMMENDED), line[:cut] + line)


def test_what_a_client_can_break_a_line_with_is_warned_of() -> None:
    fmt = parse_format('%t %O %V %D %{Referer}i "%{User-Agent}i"', "apache")
    assert fmt.warnings == [
        "%{Referer}i stands unquoted: a line where it holds '\"' is rejected; put it in double quotes"
    ]


def test_a_local_time_is_warned_of() -> None:
    assert "UTC" in parse_format("%{%F %T}t %O %V %D", "apache").warnings[0]
    assert parse_format("%{%F %T %z}t %O %V %D", "apache").warnings == []


def test_names_mean_the_servers_own() -> None:
    assert parse_format("combined", "apache").adds_duration is False
    assert any("start" in warning for warning in parse_format("combined", "apache").warnings)
    assert not any("start" in warning for warning in parse_format("combined", "lighttpd").warnings)


def test_lighttpd_logs_the_end() -> None:
    fmt = parse_format('accesslog.format = "%V %h %u %t \\"%r\\" %>s %O %D"')
    assert (fmt.server, fmt.adds_duration) == ("lighttpd", False)
    assert read(fmt, f'h.example.com ::1 - [{TIME}] "GET / HTTP/1.1" 200 5 9000000')[0] == EPOCH


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('LogFormat "%h %O" x', "LogFormat x does not say the time: add %t"),
        ('LogFormat "%h %t" x', "LogFormat x does not say the bytes: add %O or %B"),
        ('LogFormat "%t %O', "LogFormat: a quote is not closed: "),
        ("LogFormat", "LogFormat: the format itself is missing"),
        ("CustomLog /var/log/access.log combined", "CustomLog: it names a format but does not hold it"),
        ('LogFormat "%t %O" a\nLogFormat "%t %b" b', "LogFormat: paste one directive only; after its line comes LogF"),
        ('LogFormat "%t %D%O" x', "LogFormat x: %D and %O stand side by side"),
        ('LogFormat "%t %O %{h}T" x', "LogFormat x: %{h}T: the unit is s, ms or us"),
        ('LogFormat "%{%c}t %O" x', "LogFormat x: %{%c}t: %c cannot be read"),
        ('LogFormat "%{%H:%M}t %O" x', "LogFormat x: %{%H:%M}t: it is not a whole date and time"),
        ('LogFormat "%t %O %" x', "LogFormat x: % is no field"),
        ('LogFormat "%t\\n%O" x', "LogFormat x: the format holds a line break"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
