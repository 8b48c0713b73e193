"""Real logs: lines, bytes and rejected lines equal the corpus's index, or it is said here why they do not.

They lie beside the repository, in ../shared/logs: a plain clone skips this, and has logs of its own in test_corpus.py.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from edgetally.formats.catalogue import parse_format
from edgetally.tally.count import tally
from edgetally.tally.result import Tally
from tests.support import ROOT

CORPUS = ROOT.parent / "shared" / "logs"
if not (CORPUS / "INDEX.tsv").is_file():  # here, so that it is said once, and not for each test
    pytest.skip("no real logs at ../shared/logs: they are no part of the repository", allow_module_level=True)

_REQUEST = '[$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
FORWARDED = f'$remote_addr - $remote_user {_REQUEST} "$http_x_forwarded_for"'
BUNKERWEB = f"$host $remote_addr - $request_id $remote_user {_REQUEST}"
HTTP_CSV = (
    "$host,$server_port,$remote_addr,$remote_log,$remote_user,[$time_local],$request_length,$sent,$upstream_length,"
    '$body_bytes_sent,$request_time,$upstream_response_time,$upstream_connect_time,$status,"$server_protocol",'
    '"$request_method","$uri","$args","$http_referer","$http_user_agent","$http_cookie",$request_id'
)
# The index adds up %B: so what is in the place of %O must be no size here.
APACHE_CSV = (
    "%v,%p,%h,%l,%u,%t,%I,%{wire}n,%S,%B,%{ms}T,%D,%^FB,%>s,"
    '"%H","%m","%U","%q","%{Referer}i","%{User-Agent}i","%{VLOG}C",%L'
)
CLOUDFRONT = (
    "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes "
    "time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type"
)
IIS = (
    "#Fields: date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip "
    "cs-version cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes "
    "time-taken"
)
LIGHTTPD = '%V %h %u %t "%r" %>s %b %I %{wire}n %T "%{Referer}i" "%{User-Agent}i"'
# By folder; then by file, where its format is not the folder's.
FORMATS = {
    "apache_combined": "combined",
    "apache_common": "common",
    "nginx_combined": "combined",
    "nginx_csv": HTTP_CSV,
    "squid_native": "squid",
    "vhost_combined": "vhost_combined",
    "apache_csv": APACHE_CSV,
    "caddy_json": "caddy",
    "cloudfront": CLOUDFRONT,
    "haproxy": "haproxy",
    "traefik_clf": "traefik",
    "w3c_iis/elastic_beats-iis-ipv6zone.log": IIS,
    "variants/elastic_beats-apache-ssl-request.log": '%t %h %{SSL_PROTOCOL}x %{SSL_CIPHER}x "%r" %b',
    "variants/google_mtail-lighttpd.log": LIGHTTPD,
    "variants/log2timeline_plaso.log": "combined",
    "apache_combined/tstack_lnav-shop.log": FORWARDED,
    "nginx_custom/crowdsecurity_hub-nginx_http-logs.log": "combined",
    "nginx_custom/crowdsecurity_hub-bunkerweb-malformed.log": BUNKERWEB,
}
SERVERS = {"apache_csv": "apache", "haproxy": "haproxy", "variants/google_mtail-lighttpd.log": "lighttpd"}
# file: ours (lines, rejected, bytes), and why the index differs.
EXCEPTIONS: dict[str, tuple[tuple[int, int, int], str]] = {
    "apache_combined/elastic_beats-apache-test.log": (
        (6, 4, 651),
        "three formats in one file, which no server writes: two lines are common, two have one more quoted field",
    ),
    "haproxy/tstack_lnav.log": (
        (13, 0, 118427),
        "three notices of proxies that started, and a TLS handshake that failed, are no requests",
    ),
    "cloudfront/Ironholds_webreadr.log": ((2, 0, 1293), "directives are not lines"),
    "w3c_iis/elastic_beats-iis-ipv6zone.log": ((1, 0, 123), "directives are not lines"),
    "traefik_clf/elastic_beats-traefik.log": (
        (7, 1, 3068),
        "three lines that the index rejects are whole: old releases write a missing referer without quotes",
    ),
    "variants/elastic_beats-apache-ssl-request.log": (
        (1, 0, 1375),
        "the index did not know the format, Apache's for ssl_request_log: the line is whole",
    ),
    "variants/log2timeline_plaso.log": (
        (15, 5, 25876),
        "three formats in one file, which no server writes: two lines are common",
    ),
    "nginx_combined/elastic_beats-nginx-test.log": (
        (10, 4, 10457),
        "no one format: three lines have one more quoted field, and one a quoted list in place of the client",
    ),
    "nginx_custom/crowdsecurity_hub-bunkerweb-malformed.log": (
        (12, 5, 1099),
        "the index counts the blank last line as a line that cannot be read; blank lines are not lines",
    ),
}


def index() -> Iterator[dict[str, str]]:
    with (CORPUS / "INDEX.tsv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            folder = row["file"].partition("/")[0]
            row["as"] = FORMATS.get(row["file"]) or FORMATS.get(folder, "")
            row["server"] = SERVERS.get(row["file"]) or SERVERS.get(folder, "")
            if row["as"]:
                yield row


ROWS = list(index())


def sums(result: Tally) -> tuple[int, int, int]:
    return result.lines, result.rejected, result.bytes


@pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])
def test_a_file_gives_what_the_index_says(row: dict[str, str]) -> None:
    result = tally([CORPUS / row["file"]], parse_format(row["as"], row["server"]), None)
    listed = int(row["lines"]), int(row["unparseable"]), int(row["sum_bytes_sent"])
    expected, _why = EXCEPTIONS.get(row["file"], (listed, ""))
    assert sums(result) == expected
    assert (sums(result) == listed) == (row["file"] not in EXCEPTIONS)


@pytest.mark.parametrize("row", [row for row in ROWS if row["file"] not in EXCEPTIONS], ids=lambda row: row["file"])
def test_first_and_last_are_the_indexs(row: dict[str, str]) -> None:
    """As logged: where that is a transfer's start, ours is the end of it, at most a minute later in these."""
    fmt = parse_format(row["as"], row["server"])
    result = tally([CORPUS / row["file"]], fmt, None)
    if not result.counted:
        return
    times = [datetime.fromisoformat(row[name]) for name in ("first_ts", "last_ts")]
    listed = [(time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp() for time in times]
    assert result.first is not None
    assert result.last is not None
    assert result.first <= min(listed) + (60 if fmt.adds_duration else 1e-6)
    assert result.last >= max(listed)


def test_bad_lines_are_the_ones_that_the_index_names() -> None:
    for row in ROWS:
        if "bad-line-nos" in row["notes"] and row["file"] not in EXCEPTIONS:
            result = tally([CORPUS / row["file"]], parse_format(row["as"], row["server"]), None)
            named = row["notes"].split("bad-line-nos:")[1].split(";")[0]
            numbers = ",".join(str(reject.line) for reject in result.rejects)
            cut = named.rstrip("…")  # where there are many, the index names the first few
            assert numbers == named or (cut != named and numbers.startswith(cut)), row["file"]


def test_every_line_of_the_mixed_files_fits_exactly_one_format() -> None:
    """So that what the index counts there is counted, by whoever says which format it is."""
    file = "apache_combined/elastic_beats-apache-test.log"
    other = '$remote_name - - [$time_local] "$request" $status $body_bytes_sent "$a" "$b" "$c"'
    results = [tally([CORPUS / file], parse_format(text), None) for text in ("common", "combined", other)]
    row = next(row for row in ROWS if row["file"] == file)
    assert sum(result.counted for result in results) == int(row["lines"])
    assert sum(result.bytes for result in results) == int(row["sum_bytes_sent"])
