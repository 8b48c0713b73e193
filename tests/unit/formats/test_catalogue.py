"""Formats: what parses, what a line of each gives, what is refused, and in which words."""

from __future__ import annotations

import io
import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, PASTED, parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.formats.values import normal_host
from edgetally.tally.count import tally
from tests.support import ROOT

NGINX_COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
TIME = "10/Oct/2026:13:55:36 -0700"
EPOCH = 1791665736


def read(fmt: LogFormat, line: str, paths: bool = True) -> tuple[float | None, str, bool | None, str, bytes]:
    """(time, host, hit, path, size) of a line, by the format's own pattern."""
    matcher = fmt.matcher(paths)
    rows = matcher.pattern.findall(fmt.blanked(line.encode()))
    assert len(rows) == 1, fmt.explain(line.encode())
    key = matcher.key_of(rows[0])
    hosts = len(fmt.roles.get("host", ()))
    hit = fmt.is_hit(key[1 + hosts]) if fmt.hit_known else None
    path = key[-1].decode() if paths and fmt.has_path else ""
    return fmt.time_of(key[0]), fmt.host_of(key[1 : 1 + hosts]), hit, path, matcher.size_of(rows[0])


def fits(fmt: LogFormat, line: str) -> bool:
    return fmt.matcher().pattern.fullmatch(fmt.blanked(line.encode())) is not None


@pytest.mark.parametrize("name", FORMATS)
def test_the_example_of_a_named_format_fits_it_and_no_other(name: str) -> None:
    """But that a virtual host in front reads as a client of combined, whose user's name may hold spaces."""
    found = {other for other, fmt in FORMATS.items() if fits(fmt, FORMATS[name].example)}
    alike = {"combined", "varnish"} if name in ("combined", "varnish", "vhost_combined") else {"squid"}
    assert name in found
    assert found - alike == {name} - alike


def test_what_the_named_formats_say() -> None:
    said = {name: (f.bytes_meaning, f.has_host, f.has_duration, f.hit_known) for name, f in FORMATS.items()}
    assert said == {
        "combined": ("body", False, False, False),
        "common": ("body", False, False, False),
        "vhost_combined": ("wire", True, False, False),
        "squid": ("wire", True, True, True),
        "varnish": ("body", True, False, False),
        "trafficserver_squid": ("wire", True, True, True),
        "trafficserver_extended": ("wire", True, True, False),
        "trafficserver_extended2": ("wire", True, True, True),
        "haproxy": ("wire", False, True, True),
        "haproxy_https": ("wire", True, True, True),
        "haproxy_clf": ("wire", False, True, True),
        "traefik": ("body", False, True, False),
        "traefik_json": ("body", True, True, False),
        "caddy": ("body", True, True, False),
        "alb": ("wire", True, False, False),
        "s3": ("body", True, True, False),
        "ingress_nginx": ("wire", True, True, False),
        "cloudflare": ("wire", True, False, True),
        "fastly": ("body", True, True, True),
        "bunny": ("wire", True, False, True),
        "azure_front_door": ("wire", True, True, True),
        "google_lb": ("wire", True, True, True),
    }
    assert any("body" in warning for warning in FORMATS["combined"].warnings)
    assert FORMATS["squid"].warnings == []


@pytest.mark.parametrize(
    "pasted",
    [
        "$host $msec $bytes_sent",
        "  $host $msec $bytes_sent\n",
        "'$host $msec $bytes_sent'",
        "'$host ' '$msec '\n    '$bytes_sent';",
        "log_format main '$host $msec $bytes_sent';",
        "log_format main escape=default '$host $msec ' # why\n  '$bytes_sent' ;",
        'log_format main "${host} $msec $bytes_sent"',
    ],
)
def test_a_log_format_can_be_pasted_in_every_shape(pasted: str) -> None:
    assert read(parse_format(pasted), "a.example.com 1780000000.250 77") == (
        1780000000.25,
        "a.example.com",
        None,
        "",
        b"77",
    )


@pytest.mark.parametrize(
    ("log_format", "line", "expected"),
    [
        (
            f"log_format main '{NGINX_COMBINED}';",
            f'2001:db8::1 - - [{TIME}] "GET /a/b.ts?x=1 HTTP/1.1" 200 17 "-" "a \\x22quoted\\x22 \\x5C agent"',
            (EPOCH, "", None, "/a/b.ts", b"17"),
        ),
        (  # an absolute URI stands before the Host header, and that before the server's name
            '$server_name $http_host "$request" $time_iso8601 $bytes_sent $upstream_cache_status',
            's.example.com h.example.com:8080 "GET http://U.Example.com:81/p HTTP/1.1" 2026-10-10T13:55:36-07:00 5 HIT',
            (EPOCH, "u.example.com", True, "/p", b"5"),
        ),
        (
            '$server_name $http_host "$request" $time_iso8601 $bytes_sent $upstream_cache_status',
            's.example.com H.example.com.:8080 "GET /p HTTP/1.1" 2026-10-10T20:55:36Z 5 EXPIRED',
            (EPOCH, "h.example.com", False, "/p", b"5"),
        ),
        (
            '$server_name $http_host "$request" $time_iso8601 $bytes_sent $upstream_cache_status',
            's.example.com - "" 2026-10-10T20:55:36+00:00 - -',
            (EPOCH, "s.example.com", False, "", b"-"),
        ),
        (
            '$msec|"$scheme://$host$request_uri"|$bytes_sent|"$http_user_agent"',
            '1780000000.001|"https://[2001:db8::1]/a?b=/c"|5|"(KHTML, like | Gecko)"',
            (1780000000.001, "[2001:db8::1]", None, "/a", b"5"),
        ),
        (
            'escape=json \'{"t":"$msec","host":"$host","uri":"$request_uri","sent":$bytes_sent,'
            '"cache":"$upstream_cache_status","ua":"$http_user_agent"}\'',
            r'{"t":"1780000000.000","host":"a.example.com","uri":"/x\"y","sent":9,"cache":"","ua":"\u0001\\ \"hi\""}',
            (1780000000.0, "a.example.com", False, "/x~~y", b"9"),
        ),
        (
            "$time_local\t$uri$is_args$args\t$bytes_sent\t$host",
            f"{TIME}\t/live/a?x=1\t3\ta.example.com",
            (EPOCH, "a.example.com", None, "/live/a", b"3"),
        ),
        (  # bytes on the wire are taken, whatever the order
            "$body_bytes_sent $bytes_sent $request_time $msec",
            "1 2 0.003 1780000000.000",
            (1780000000.0, "", None, "", b"2"),
        ),
        (  # a bad request has no URI, and a Host header can hold anything
            '"$scheme://$host$request_uri","$http_host",$bytes_sent,$msec',
            r'"http://a-b.example.com-","x/y, \x22z",3,1780000000.000',
            (1780000000.0, "a-b.example.com", None, "-", b"3"),
        ),
        (
            '"$scheme://$http_host$request_uri",$bytes_sent,$msec',
            '"http://--",3,1780000000.000',
            (1780000000.0, "", None, "--", b"3"),
        ),
        (
            "[$time_local] $host $bytes_sent $http_user_agent",
            f"[{TIME}] a.example.com 3 Mozilla/5.0 (X11; Linux)",
            (EPOCH, "a.example.com", None, "", b"3"),
        ),
    ],
)
def test_nginx_lines(log_format: str, line: str, expected: object) -> None:
    assert read(parse_format(log_format, "nginx"), line) == expected


@pytest.mark.parametrize(
    ("status", "hit"),
    [
        *((status, True) for status in ("HIT", "STALE", "UPDATING", "REVALIDATED")),
        *((status, False) for status in ("MISS", "EXPIRED", "BYPASS", "SCARCE", "-", "")),
    ],
)
def test_nginx_hits(status: str, hit: bool) -> None:
    assert read(parse_format("$msec $bytes_sent $upstream_cache_status"), f"1.000 1 {status}")[2] is hit


@pytest.mark.parametrize(
    ("code", "hit"),
    [
        *(
            (code, True)
            for code in (
                *("TCP_HIT", "TCP_MEM_HIT", "TCP_IMS_HIT", "TCP_INM_HIT", "TCP_NEGATIVE_HIT", "TCP_OFFLINE_HIT"),
                *("TCP_STALE_HIT", "TCP_ASYNC_HIT", "TCP_REFRESH_HIT", "TCP_REF_FAIL_HIT", "TCP_REFRESH_UNMODIFIED"),
                *("TCP_REFRESH_FAIL", "TCP_REFRESH_FAIL_OLD", "TCP_CF_HIT", "TCP_HIT_ABORTED", "TCP_MEM_HIT_TIMEDOUT"),
                "TCP_REFRESH_UNMODIFIED_ABORTED",
            )
        ),
        *(
            (code, False)
            for code in (
                *("TCP_MISS", "TCP_MISS_ABORTED", "TCP_REFRESH_MODIFIED", "TCP_REFRESH_MISS", "TCP_REFRESH_FAIL_ERR"),
                *("TCP_CLIENT_REFRESH_MISS", "TCP_SWAPFAIL_MISS", "TCP_TUNNEL", "TCP_DENIED", "TCP_REDIRECT"),
                *("NONE", "NONE_NONE", "TAG_NONE", "UDP_HIT", "UDP_MISS"),
            )
        ),
    ],
)
def test_squid_hits(code: str, hit: bool) -> None:
    line = f"1780000000.123      1 ::1 {code}/200 5 GET http://a.example.com/ - HIER_NONE/- text/html"
    assert read(FORMATS["squid"], line)[2] is hit


@pytest.mark.parametrize(
    ("rest", "host", "path"),
    [
        (
            "TCP_MISS/200 5 GET http://WWW.example.com:8080/a?b - HIER_DIRECT/192.0.2.1 text/html",
            "www.example.com",
            "/a",
        ),
        ("TCP_MISS/200 5 GET http://user:pw@h.example.com/ joe FIRST_UP_PARENT/p.example.com -", "h.example.com", "/"),
        ("TCP_TUNNEL/200 5 CONNECT example.com:443 - HIER_DIRECT/2001:db8::1 -", "example.com", ""),
        ("TCP_TUNNEL/200 5 CONNECT [2001:DB8::1]:443 - HIER_DIRECT/2001:db8::1 -", "[2001:db8::1]", ""),
        ("TCP_MISS/200 5 GET http://[2001:db8::1]:80/x - HIER_DIRECT/2001:db8::1 text/html", "[2001:db8::1]", "/x"),
        ('TCP_MISS/200 5 get http://a.example.com/"q\\"? - HIER_NONE/- text/plain', "a.example.com", '/"q\\"'),
        ("NONE/400 5 GET error:invalid-request - NONE/- text/html", "", ""),
        ("NONE_NONE/000 0 - error:transaction-end-before-headers - HIER_NONE/- -", "", ""),
        ("TCP_MISS/503 5 GET /no/host - NONE/- text/html", "", "/no/host"),
        ("TCP_MISS/200 5 GET http://a.example.com - DIRECT/192.0.2.1", "a.example.com", ""),  # without content type
    ],
)
def test_squid_lines(rest: str, host: str, path: str) -> None:
    time, found_host, _, found_path, _ = read(FORMATS["squid"], f"1780000000.123     -1 2001:db8::7 {rest}")
    assert (time, found_host, found_path) == (1780000000.123, host, path)


@pytest.mark.parametrize(
    "line",
    [
        f'192.0.2.1 - - [{TIME}] "-" 408 - "-" "-"',
        f'192.0.2.1 - - [{TIME}] "" 400 0 "-" "-"',
        f'192.0.2.1 - - [{TIME}] "\\x16\\x03\\x01\\x02" 400 226 "-" "-"',
        f'::1 - - [{TIME}] "GET / HTTP/1.1" 200 5 "-" "say \\"hi\\" \\\\"',
        f'client.example.com - john doe [{TIME}] "GET / HTTP/1.1" 200 5 "-" "-"',
        f'192.0.2.1 - a\\x22[b \\x5C [{TIME}] "GET / HTTP/1.1" 200 5 "-" "-"',
        f'192.0.2.1 - "" [{TIME}] "GET / HTTP/1.1" 401 5 "-" "-"',
        f'192.0.2.1 - - [{TIME}] "GET /a b c HTTP/1.1" 200 5 "-" "caf\u00e9"',
    ],
)
def test_odd_lines_that_servers_write_fit_combined(line: str) -> None:
    assert fits(FORMATS["combined"], line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('192.0.2.1 - - [10/Oct/2026] "GET / HTTP/1.1" 200 5 "-" "-"', "expected %t at column 16"),
        (f'192.0.2.1 - - [{TIME}] "GET / HTTP/1.1" 200 +5 "-" "-"', "expected %b at column 65"),
        (f'192.0.2.1 - - [{TIME}] "GET / HTTP/1.1" 200 1_0 "-" "-"', "expected ' \"' at column 66"),
        (f'192.0.2.1 - - [{TIME}] "GET / HTTP/1.1" 200 ５ "-" "-"', "expected %b at column 65"),
        (f'192.0.2.1 - - [{TIME}] "GET / HTTP/1.1" 200 5 "-" "cut', "expected '\"' at its end"),
        (
            f'192.0.2.1 - - [{TIME}] "GET / HTTP/1.1" 200 5 "-" "-" more',
            "it goes on after the format's end, in column 74",
        ),
        (f'192.0.2.1 - - [{TIME}] "GET /\0 HTTP/1.1" 200 5 "-" "-"', "it holds NUL bytes, the first in column 50"),
        (f'192.0.2.1 - - [{TIME}] "GET / HTTP/1.1" 200 1234567890123456 "-" "-"', "expected ' \"' at column 80"),
        ("", "expected %h at its end"),
    ],
)
def test_a_line_that_does_not_fit_has_a_reason(line: str, reason: str) -> None:
    fmt = FORMATS["combined"]
    assert not fits(fmt, line)
    assert fmt.explain(line.encode()) == reason


@pytest.mark.parametrize("name", FORMATS)
def test_two_records_torn_into_one_line_fit_nothing(name: str) -> None:
    """Torn anywhere after the fields in front of the time: what comes before can look like a client's name."""
    fmt, line = FORMATS[name], FORMATS[name].example
    start = line.index("[") if "[" in line else 1
    for cut in range(start + 2, len(line) + 1):
        if name == "squid" and cut <= 5:
            continue  # `1780` and another record: the digits of a time in the year 2535
        assert not fits(fmt, line[:cut] + line), line[:cut]


@pytest.mark.parametrize("name", FORMATS)
@given(
    edits=st.lists(
        st.tuples(
            st.floats(0, 1), st.integers(0, 4), st.sampled_from([b"", b'"', b"\\", b"-", b"9" * 20, b"[", b"{", b"\0"])
        )
    )
)
def test_every_line_is_counted_or_rejected(name: str, edits: list[tuple[float, int, bytes]]) -> None:
    line = bytearray(FORMATS[name].example.encode())
    for place, length, new in edits:
        at = int(place * len(line))
        line[at : at + length] = new
    found = tally([io.BytesIO(bytes(line) + b"\n")], FORMATS[name], None)
    assert found.lines == (1 if line.strip() else 0)
    assert len(found.rejects) == found.rejected


@pytest.mark.parametrize("name", FORMATS)
def test_no_line_takes_long(name: str) -> None:
    """However long, and wherever it leaves the format: a pattern that tries each place anew would take hours."""
    fmt, line = FORMATS[name], FORMATS[name].example
    loose, started = fmt.matcher(True).loose, process_time()
    for filling in ("a", "/", "1", '"a":1,', "{}", "[1]", "a "):
        for found in re.finditer(r"[ /{\[]", line):
            long = fmt.blanked((line[: found.end()] + filling * 20_000 + chr(1)).encode())
            assert not fmt.matcher(True).pattern.fullmatch(long)
            assert loose is None or not loose.fullmatch(long)
    assert process_time() - started < 20


@pytest.mark.parametrize(
    "time",
    [
        *("31/Feb/2026:00:00:00 +0000", "00/Oct/2026:00:00:00 +0000", "10/Oct/2026:24:00:00 +0000"),
        *("10/Oct/2026:23:60:00 +0000", "10/Oct/2026:23:59:60 +0000", "10/Okt/2026:00:00:00 +0000"),
        *("10/Oct/2026:00:00:00 +1560", "10/Oct/2026:00:00:00 +9900", "31/Dec/1969:23:59:59 +0000"),
        "10/Oct/0000:00:00:00 +0000",
    ],
)
def test_a_time_that_is_no_time_is_refused(time: str) -> None:
    line = f'192.0.2.1 - - [{time}] "GET / HTTP/1.1" 200 5\n'.encode()
    found = tally([io.BytesIO(line)], FORMATS["common"], None)
    assert (found.lines, found.rejected, found.rejects[0].reason) == (1, 1, "its time is no time")


@pytest.mark.parametrize(
    ("raw", "host"),
    [
        (b"Example.COM", "example.com"),
        (b"example.com.", "example.com"),
        (b"example.com.:8080", "example.com"),
        (b"[2001:DB8::1]:443", "[2001:db8::1]"),
        (b"2001:db8::1", "[2001:db8::1]"),
        (b"-", ""),
        (b"", ""),
        (b":80", ""),
        (b"[::1", ""),
        (b"caf\xe9", "caf\\xe9"),
        (b"a" * 300, "a" * 253),
    ],
)
def test_hosts_have_one_form(raw: bytes, host: str) -> None:
    assert normal_host(raw) == host


@pytest.mark.parametrize(
    ("text", "server", "message"),
    [
        ("combind", "", "format 'combind' is not known: did you mean 'combined'?"),
        ("Squid", "", "format 'Squid' is not known: did you mean 'squid'?"),
        ("zzz", "", "format 'zzz' is not known: name one of combined, common, vhost_combined, squid, varnish, "),
        ("squid", "nginx", "format 'squid' is squid's, but the log's server is 'nginx': correct one of them"),
        ("$msec $bytes_sent", "squid", "a format with $variables is nginx's, but the log's server is 'squid'"),
        ("log_format m '$host $bytes_sent';", "", "log_format m does not say the time: add $msec or $time_iso8601 or"),
        ("$time_local $host", "", "log_format nginx does not say the bytes: add $bytes_sent or $body_bytes_sent"),
        ("$time_local $byte_sent", "", "log_format nginx does not say the bytes: did you mean $bytes_sent?"),
        ("log_format m '$host $msec;", "", "log_format: a quote is not closed: '$host $msec;"),
        ("log_format m;", "", "log_format: the format itself is missing"),
        ("log_format", "", "log_format: the format itself is missing"),
        ("log_format m escape=xml '$msec $bytes_sent';", "", "log_format m: escape=xml is not known"),
        ("log_format m '$msec$bytes_sent';", "", "log_format m: $msec and $bytes_sent stand side by side"),
        ("log_format a '$msec'; log_format b '$msec';", "", "log_format: paste one directive only; after its ; comes"),
        ("log_format m '$msec\\n$bytes_sent';", "", "log_format m: the format holds a line break"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused_in_one_sentence(text: str, server: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text, server)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("server", PASTED)
def test_what_is_shown_as_right_is_right(server: str) -> None:
    fmt = parse_format(PASTED[server][1])
    assert fmt.server == server
    assert (fmt.bytes_meaning, fmt.has_host, fmt.has_path, fmt.has_duration) == ("wire", True, True, True)
    assert fmt.warnings == []


@pytest.mark.parametrize("text", ['%h %l %u %t "%r" %s %b', '%t %O "%{Host}i" "%{User-Agent}i"'])
def test_a_format_of_several_servers_asks_whose_it_is(text: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).endswith("could be Apache's, Varnish's or lighttpd's: say with --server which one it is")
    assert [parse_format(text, server).server for server in ("apache", "varnish")] == ["apache", "varnish"]


@pytest.mark.parametrize(
    ("text", "server", "message"),
    [
        ("%t %O %V", "squid", "the format '%t %O %V' looks like apache's, but the log's server is 'squid': name a"),
        ("%ts %<st", "haproxy", "the format '%ts %<st' looks like squid's, but the log's server is 'haproxy'"),
        ("combined", "ngnix", "server 'ngnix' is not known: did you mean 'nginx'?"),
        ("%t %O", "caddy", "caddy's formats have names: `edgetally formats` lists them; '%t %O' is none"),
        ("caddy", "traefik", "format 'caddy' is caddy's, but the log's server is 'traefik'"),
        ("combined", "zzz", "server 'zzz' is not known: name one of nginx, apache, squid, varnish, trafficserver, h"),
    ],
)
def test_a_format_of_another_server_is_refused(text: str, server: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text, server)
    assert str(caught.value).startswith(message)


def test_a_format_says_what_is_weak_about_it() -> None:
    weak = parse_format("escape=none '$msec $http_user_agent $body_bytes_sent'").warnings
    assert [next(word for word in ("body", "host", "none", "unquoted") if word in warning) for warning in weak] == [
        "body",
        "host",
        "none",
        "unquoted",
    ]
    assert parse_format('$msec "$http_user_agent" $bytes_sent $host').warnings == []
    # nginx takes `Host: a,b`.
    assert parse_format("$msec,$bytes_sent,${host},$status").warnings == [
        "$host stands unquoted: a line where it holds ',' is rejected; put it in double quotes"
    ]
    assert parse_format('$msec,$bytes_sent,"$host",$host$request_uri').warnings == []


@pytest.mark.parametrize("server", ["nginx", "apache", "squid", "varnish", "trafficserver", "haproxy"])
def test_the_how_to_of_a_server_shows_the_format_that_is_recommended(server: str) -> None:
    page = (ROOT / "docs" / "how-to" / "servers" / f"{server}.md").read_text("utf-8")
    assert PASTED[server][1] in [line.strip() for line in page.splitlines()]
