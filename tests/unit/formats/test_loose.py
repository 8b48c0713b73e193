"""Text with blanks that nothing encloses: read where a line can be read in one way only, by both engines alike."""

from __future__ import annotations

import io

import pytest

from edgetally.formats.catalogue import parse_format
from edgetally.tally.count import tally
from edgetally.tally.result import Tally
from tests.support.result import by_host

NGINX = "$remote_addr - [$time_local] $request $status $body_bytes_sent $http_referer $http_user_agent $http_cookie"
START = "192.0.2.1 - [10/Oct/2026:13:55:36 +0000] "


def read(text: str, *lines: str, server: str = "") -> Tally:
    """What some lines come to, if both engines agree."""
    data = "".join(f"{line}\n" for line in lines).encode()
    one, two = (
        tally([io.BytesIO(data)], parse_format(text, server), None, engine=name) for name in ("kernel", "reference")
    )
    assert one == two
    return one


@pytest.mark.parametrize(
    ("line", "size", "host"),
    [
        ("GET /a?b HTTP/1.1 200 1000 - curl/7.88.1 -", 1000, "all"),
        ("GET http://h.example.com/ HTTP/1.1 404 146 https://a.example.com/ Mozilla/5.0 (X11; a) b=c; d=e", 146, "h"),
        ("CONNECT h.example.com:443 HTTP/1.1 405 9 - - -", 9, "h"),
        ("- 400 0 - - -", 0, ""),
        ("- 400 0 - Mozilla/5.0 (X11) -", 0, ""),
        ("GARBAGE 400 7 - - -", 7, ""),
        ("three words here 400 7 - - -", 7, ""),
    ],
)
def test_a_request_without_quotes(line: str, size: int, host: str) -> None:
    text = NGINX.replace("$remote_addr", "$host") if host == "all" else NGINX
    result = read(text, START + line)
    assert (result.rejects, result.bytes) == ([], size)


@pytest.mark.parametrize(
    "line",
    [
        "GET /a 200 5 HTTP/1.1 404 146 - - -",  # the request, or the agent, holds what looks like a status and a size
        "GET /a HTTP/1.1 404 146 - a 200 5 b -",
        "GET /a 200 404 146 - - -",
        "- 400 0 - a 200 5 b -",
        f"GET /a HTT{START}GET /b HTTP/1.1 200 5 - - -",  # torn
        f"GET /a HTTP/1.1 200 77 - Mozilla{START}GET /b HTTP/1.1 200 5 - - -",
    ],
)
def test_what_can_be_read_in_two_ways_is_rejected_and_said(line: str) -> None:
    (reject,) = read(NGINX, START + line).rejects
    assert reject.reason == "it can be read in more than one way: $request should stand in quotes"


def test_the_host_and_the_path_of_a_request_without_quotes() -> None:
    line = START + "GET http://h.example.com/live/1?x HTTP/1.1 200 5 - a b c"
    assert by_host(read(NGINX, line)) == {"all": [1, 5, 0]}  # nginx's $request alone names a host at times only
    fmt = parse_format('%t %r %>s %O "%{Host}i"', "apache")
    data = io.BytesIO(b'[10/Oct/2026:13:55:36 +0000] GET http://H.example.com/live HTTP/1.1 200 5 "x"\n')
    assert by_host(tally([data], fmt, None)) == {"h.example.com": [1, 5, 0]}


LISTS = '[$time_local] $upstream_status $upstream_addr $status $bytes_sent $upstream_response_time "$http_user_agent"'


@pytest.mark.parametrize(
    "line",
    [
        '200 192.0.2.1:80 200 77 0.001 "a b"',
        '502, 200 192.0.2.1:80, [2001:db8::1]:80 200 77 0.001, 0.002 "a b"',
        '502, 504 : 200 unix:/a, 192.0.2.2:80 : 192.0.2.3:80 200 77 -, 0.001 : 0.002 "-"',
        '- - 400 77 - "-"',
    ],
)
def test_lists_of_the_servers_that_nginx_asked(line: str) -> None:
    assert read(LISTS, f"[10/Oct/2026:13:55:36 +0000] {line}").bytes == 77


@pytest.mark.parametrize(
    ("server", "text", "line"),
    [
        ("apache", "%t %u %{X}o %>s %O %{a}C", "[10/Oct/2026:13:55:36 +0000] a b c d 200 77 e f"),
        ("apache", "%h %u %{sec}t %{X}x %B x", "h a b 1780000000 O=a, CN=b c 77 x"),
        ("varnish", "%t %O %{Via}o %{VCL_Log:k}x %s", "[10/Oct/2026:13:55:36 +0000] 77 1.1 a (b) c d 200"),
        ("lighttpd", "%t %q %O %r", "[10/Oct/2026:13:55:36 +0000] a b 77 GET / HTTP/1.1"),
        ("trafficserver", "%<cqtq> %<{A}cqh> %<{B}cqh> %<psql>", '1780000000.123 a "b" c 77'),
        ("trafficserver", '%<cqtq> %<psql> %<{A}cqh??"none"> %<pssc>', "1780000000.123 77 none at all 200"),
        (
            "nginx",
            '$http_x_forwarded_for - $remote_user [$time_local] "$request" $status $bytes_sent',
            '192.0.2.1, 192.0.2.2 - a b [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 77',
        ),
        (
            "apache",
            '%{X-Forwarded-For}i %l %u %t "%r" %>s %O',
            '192.0.2.1, 192.0.2.2 - a b [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 77',
        ),
        (
            "nginx",  # EasyEngine's
            '$remote_addr $upstream_response_time $upstream_cache_status [$time_local] $host "$request" $bytes_sent',
            '192.0.2.1 0.001, 0.002 MISS [10/Oct/2026:13:55:36 +0000] h "GET / HTTP/1.1" 77',
        ),
        (
            "traefik",
            "traefik",
            '192.0.2.1, 192.0.2.2 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 77 "-" "-" 1 "a" "b" 1ms',
        ),
        ("squid", "%ts.%03tu %<st %'{A}>h %Ss", "1780000000.123 77 a b TCP_HIT"),
        ("squid", "%ts.%03tu %<st [%>h] [%<h]", "1780000000.123 77 [Host: a\\r\\n] [HTTP/1.1 200 OK\\r\\n]"),
        ("squid", 'logformat x %ts.%03tu %<st %/{A}>h "%un"', '1780000000.123 77 "a \\"b" "c d"'),
        ("squid", "%ts.%03tu %<st %byte{124} %<pt|%dt|%<tt|%>handshake", "1780000000.123 77 | -|-|-|R0VU"),
        ("haproxy", "%Ts %B %hrl %hsl %ST", "1780000000 77 a b c 200"),
        ("haproxy", "%Ts %B %hrl %hsl %ST", "1780000000 77 200"),
        ("haproxy", '%Ts %B "%hrl" {%hsl} %ST', '1780000000 77 "a b" {c d} 200'),
        ("haproxy", '%Ts %B "%hrl" {%hsl} %ST', '1780000000 77 "" {} 200'),
        ("haproxy", '%Ts %B "%[var(txn.a)]" %ST', '1780000000 77 "a "b" c" 200'),
        ("haproxy", "%{+X}o %trl %B %ci:%cp %Ts %pid", "10/Oct/2026:13:55:36 +0000 77 7F000001:D6F8 6B0D446D 1F"),
        ("haproxy", "%{+Q,+E}o %trl %B %OG %bi %sp %ST", '10/Oct/2026:13:55:36 +0000 77 a b "" "" 200'),
    ],
)
def test_texts_without_quotes(server: str, text: str, line: str) -> None:
    result = read(text, line, server=server)
    assert (result.rejects, result.bytes) == ([], 77)
