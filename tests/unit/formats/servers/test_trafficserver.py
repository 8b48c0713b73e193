"""Traffic Server's named formats and those of logging.yaml: what parses, what a line gives, what is refused."""

from __future__ import annotations

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.formats.servers.trafficserver import NAMED
from tests.unit.formats.test_catalogue import EPOCH, TIME, fits, read

CUSTOM = '%<cqtq> %<ttms> %<chi> %<crc> %<pssc> %<psql> %<cqhm> %<cquuc> "%<{Host}cqh>" "%<{User-Agent}ecqh>"'
LINE = (
    "1780000000.123 1500 192.0.2.7 TCP_MEM_HIT 200 4083 GET https://www.example.com:8443/a%22?b "
    '"h.example.com" "Mozilla/5.0%20x"'
)


@pytest.mark.parametrize(
    "pasted",
    [
        CUSTOM,
        f"'{CUSTOM}'",
        f"format: '{CUSTOM}'",
        f"- name: mine\n  format: '{CUSTOM}'",
        f"formats:\n  - name: mine\n    format: '{CUSTOM}'".partition("\n")[2],
        f"- name: mine\n  format: |-\n    {CUSTOM}",
        'format: "' + CUSTOM.replace('"', '\\"') + '"',
    ],
)
def test_a_format_can_be_pasted_in_every_shape(pasted: str) -> None:
    fmt = parse_format(pasted)
    assert (fmt.server, fmt.warnings) == ("trafficserver", [])
    assert read(fmt, LINE) == (1780000001.623, "www.example.com", True, "/a%22", b"4083")


@pytest.mark.parametrize("name", NAMED)
def test_names_mean_the_servers_own(name: str) -> None:
    fmt = parse_format(name, "trafficserver")
    assert fmt.server == "trafficserver"
    assert fits(fmt, FORMATS.get(f"trafficserver_{name}", FORMATS["common"]).example)


def test_extended_bytes_are_headers_and_body() -> None:
    fmt = FORMATS["trafficserver_extended"]
    assert fmt.bytes_meaning == "wire"
    assert read(fmt, fmt.example) == (EPOCH + 1, "www.example.com", None, "/a.gif", b"2631")
    assert parse_format("common", "trafficserver").bytes_meaning == "body"


@pytest.mark.parametrize(
    ("code", "hit"),
    [
        *((code, True) for code in ("TCP_HIT", "TCP_MEM_HIT", "TCP_REFRESH_HIT", "TCP_IMS_HIT", "TCP_REF_FAIL_HIT")),
        *((code, False) for code in ("TCP_MISS", "TCP_REFRESH_MISS", "TCP_CLIENT_REFRESH", "ERR_CLIENT_ABORT")),
    ],
)
def test_hits(code: str, hit: bool) -> None:
    assert read(parse_format(CUSTOM), LINE.replace("TCP_MEM_HIT", code))[2] is hit


@pytest.mark.parametrize(
    ("log_format", "line", "expected"),
    [
        ("%<cqtd> %<cqtt> %<tts> %<psql>", "2026-10-10 20:55:36 2 5", (EPOCH + 2, "", None, "", b"5")),
        ("%<cqts> %<ttmsf> %<psql>", "1780000000 0.250 5", (1780000000.25, "", None, "", b"5")),
        ("[%<cqtn>] %<ttms> %<psql> 100%", f"[{TIME}] 10 5 100%", (EPOCH + 0.01, "", None, "", b"5")),
        ("%<cqtq> %<psql> %<pscl> %<pshl>", "1780000000.123 5 4 1", (1780000000.123, "", None, "", b"5")),
        ("%<cqtq> %<pshl> %<pscl>", "1780000000.123 - 4", (1780000000.123, "", None, "", b"4")),
        (  # what was asked for comes before what remap rules made of it
            "%<cqtq> %<psql> %<cquc> %<{host}cqh>",
            "1780000000.123 5 http://origin.example.com/p h.example.com",
            (1780000000.123, "h.example.com", None, "/p", b"5"),
        ),
        (
            "%<cqtq> %<psql> %<cqhm> %<cquc> %<cqup[0:20]>",
            "1780000000.123 5 CONNECT example.com:443 -",
            (1780000000.123, "example.com", None, "", b"5"),
        ),
    ],
)
def test_lines(log_format: str, line: str, expected: object) -> None:
    assert read(parse_format(log_format, "trafficserver"), line) == expected


def test_a_quote_that_a_client_sends_is_warned_of() -> None:
    warnings = parse_format(CUSTOM.replace("ecqh", "cqh")).warnings
    assert warnings == [
        "%<{User-Agent}cqh> is written as it comes: a line whose client sends a quote is rejected; "
        "log %<{User-Agent}ecqh> instead"
    ]


def test_a_request_line_is_warned_of_since_it_is_written_as_it_comes() -> None:
    assert any("%<cqtx> is written as it comes" in warning for warning in FORMATS["trafficserver_extended"].warnings)


def test_an_url_from_after_remapping_is_warned_of() -> None:
    assert any("remap" in warning for warning in FORMATS["trafficserver_squid"].warnings)


@pytest.mark.parametrize("cut", range(20, 150, 7))
def test_two_records_torn_into_one_line_fit_nothing(cut: int) -> None:
    assert not fits(parse_format(CUSTOM), LINE[:cut] + LINE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%<chi> %<psql>", "format trafficserver does not say the time: add %<cqtq>"),
        ("%<cqtq> %<ttms>", "format trafficserver does not say the bytes: add %<psql>"),
        ("%<cqtq>%<psql>", "format trafficserver: %<cqtq> and %<psql> stand side by side"),
        ("%<cqtq> %<psql> %<{x", "format trafficserver: %<{x is no field"),
        ("format: ''", "format: paste one format of logging.yaml, its string in one line"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
