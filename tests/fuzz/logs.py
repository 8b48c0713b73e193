"""Logs as bad as they get: lines of any format with right, odd and wrong values, of which a quarter is damaged.

Used by the unit tests with few rounds, and by hand with many: tests/fuzz/engines.py.
"""

from __future__ import annotations

import json
import random
import time

from edgetally.formats.catalogue import FORMATS, PASTED, parse_format
from edgetally.formats.json_line import Member
from edgetally.formats.log_format import LogFormat

START = 1780000000
# The kernel has no instruction for a time of day whose date stands elsewhere.
OF_THE_REFERENCE = ("w3c_draft",)
CUSTOM = {
    "nginx_long": '$remote_addr - $remote_user [$time_local] "$request" $status $bytes_sent "$http_referer" '
    '"$http_user_agent" "$host" $request_time $upstream_cache_status',
    "nginx_csv": '$msec,$request_time,$host,$status,$bytes_sent,$upstream_cache_status,"$request","$http_user_agent"',
    "nginx_json": """log_format x escape=json '{"time":"$time_iso8601","host":"$host","status":"$status",'
    '"bytes":"$bytes_sent","duration":"$request_time","cache":"$upstream_cache_status","request":"$request"}';""",
    "nginx_quoted": '"$http_user_agent" "$http_referer" $msec $host $bytes_sent',
    "nginx_pipes": "$http_referer|$msec|$host|$bytes_sent|$request_time|$http_user_agent",
    "nginx_two_times": "$msec $host [$time_local] $bytes_sent",
    "nginx_three_times": '$time_iso8601 "$host" [$time_local] $msec "$request" $bytes_sent',
    "nginx_request": "log_format x escape=none '$msec|$request|$http_host|$bytes_sent';",
    "squid_quoted": r'logformat x %ts.%03tu %tr %>a %Ss/%03>Hs %<st "%ru" %Sh',
    "nginx_joined": '$msec $host$request_uri $bytes_sent "$http_referer"',
    "nginx_args": '$remote_addr:$remote_port [$time_local] "$uri$is_args$args" $bytes_sent $host',
    "apache_ports": r'%v:%p %a:%{remote}p %{%d.%m.%Y %H:%M:%S}t.%{msec_frac}t %q %O "%U%q" %{ms}T %X',
    "w3c_proxy": "#Fields: date time time-taken c-ip s-action cs-uri cs(User-Agent) sc-bytes cached",
    "w3c_draft": "#GMT-Offset: -0130\n#Date: 28-May-2026 20:00:00\n#Fields: time cs(Host) cs-uri-stem bytes time-taken",
    "w3c_cloud": "#Fields: date time x-edge-location sc-bytes cs(Host) cs-uri-stem x-host-header x-edge-result-type",
    "w3c_datastream": "#Fields: version reqTimeSec reqHost reqPath totalBytes transferTimeMSec cacheStatus UA",
    "nginx_loose": "$remote_addr - [$time_local] $request $status $bytes_sent $http_referer $http_user_agent",
    "nginx_loose_host": "$time_iso8601 $http_user_agent $host $bytes_sent $upstream_cache_status $uri $msec",
    "nginx_lists": '[$time_local] $upstream_status $upstream_addr $status $bytes_sent $upstream_response_time "$host"',
    "nginx_list_json": '{"a":$upstream_response_time,"b":$bytes_sent,"t":$msec,"h":"$host"}',
    "apache_loose": "%t %u %{X}o %>s %O %{a}C %V",
    "squid_loose": "logformat x %ts.%03tu %<st %[un %Ss/%03>Hs [%>h] %/{A}>h %dt %ru",
    "haproxy_flags": "log-format %{+Q,+E}o [%trl] %B %bi %sp %ST %ts %[var(txn.host)] %hrl %hsl",
    "haproxy_loose": "log-format [%trl] %B %hrl %HQ %ST %{+Q}[capture.req.hdr(0)] %s",
    "apache_quoted": r'"%{User-Agent}i" %t %D %>s %O "%{Host}i" "%r"',
}
# What a field of each kind may hold; some of it fits nothing.
_VALUES: dict[str, tuple[str, ...]] = {
    "clf": ("28/May/2026:20:29:59 +0000", "31/Feb/2026:13:55:36 +0000", "28/May/2026:20:3x:00 +0000"),
    "iso": ("2026-05-28T20:31:07+00:00", "2026-05-28T20:31:60+00:00", "2026-05-28T20:31:07Z"),
    "epoch": ("123.456", "178000000x.123"),
    "status": ("200", "304", "-", "20"),
    "size": ("0", "-", "5", "12345678", "123456789", "999999999999999", "1234567890123456", "12x", "-5"),
    "seconds": ("0.001", "1.234", "-", "12345.678", "123.4", "9999.999", ".123", "300.000", "22000.000"),
    "decimal": ("0.1", "17", "-", "1.123456789", "x"),
    "cache": ("HIT", "MISS", "-", "REVALIDATED", "STALE", "A-B", "", "x"),
    "squid_code": ("TCP_HIT", "TCP_MISS", "NONE", "TCP_REFRESH_UNMODIFIED", "_X", "-"),
    "squid_peer": ("HIER_DIRECT", "-", "NONE", "H9"),
    "squid_type": (" text/html", "", " -"),
    "pad": ("", " ", "     "),
    "ms": ("0", "17", "123456", "-1", "-", "1234567890123456"),
    "us": ("0", "17", "123456789", "-1", "-", "300000000"),
    "number": ("80", "", "-", "443"),
    "address": ("192.0.2.7", "2001:db8::1", "unix:", "x", "2001:db8:1234:5678:9abc:def0:1234:5678"),
    "word": ("-", "192.0.2.7", "frank", 'a"b', 'a\\"b', "x" * 70),
    "user": ("-", "-", "frank", "a b", "a[b", "a[1", '""'),
    "host": ("a.example.com", "b.example.com:80", "-", "", "www.a-very-long-name.example.org", "x" * 70, "[::1]", "A."),
    "request": (
        *("GET / HTTP/1.1", "GET http://h.example.com/x HTTP/1.1", "CONNECT c.example.com:443 HTTP/1.1", "-"),
        *("\\x16\\x03", "GET http://q.example.com?x=/ HTTP/1.1", "OPTIONS * HTTP/1.1", "GET " + "a" * 90),
        *("GET https://s.example.com HTTP/1.0", 'POST /p\\\\\\" HTTP/1.1', "GET app-x://abc/ HTTP/1.1", "GET  / x"),
        *("GET http://u:p@h.example.com/ x", "GET /live/1.ts HTTP/1.1", "CONNECT /x", "GET http:///y HTTP/1.1"),
    ),
    "url": (
        *(
            "http://a.example.com/x",
            "c.example.com:443",
            "[::1]:443",
            "a:b:443",
            "[]:1",
            "a:123456",
            "a\\b:80",
            "error:invalid-request",
            "/",
            "http://x",
            "app-x://abc/",
        ),
        *("https://h.example.com:8443/a/b", "http://a?b/c", "http:///x", "http://a.example.com/live/1?x"),
    ),
    "name": ("-", "frank", "a b", "joe c d"),
    "raw": ("-", "a", 'a "b" c', '"', "hit", "a b"),
    "list": ("-", "0.001", "502, 200", "a:80, [::1]:80 : unix:/x", ",", ", ", ":", "a : "),
    "shell": ('"a b"', "a", "", '"a \\" b"', "-"),
    "haproxy_port": ("80", '""', "-"),
    "haproxy_list": ("", " a", " a b", ' "'),
    "haproxy_quoted": ("", ' "a"', ' "a" "b c"', " ", '"x"'),
    "token": ("GET", "CONNECT", "-", "X"),
    "text": ("-", "Mozilla/5.0 (X)", 'a\\"b', "c\\\\", "hit", 'd\\\\\\"', "", "\x7f", "é"),
    "haproxy": ("28/May/2026:20:31:07.123", "28/May/2026:20:61:07.123"),
    "haproxy_status": ("200", "-1"),
    "haproxy_state": ("--", "CD"),
    "haproxy_cookies": ("----", "--NI"),
    "haproxy_headers": ("", " {a|b}"),
    "haproxy_end": ('"',),
    "syslog": ("", "<134>May 28 20:31:07 edge1 haproxy[123]: "),
    "counter": ("1", "+3"),
    "signed": ("1", "-1"),
    "flag": ("1", "0", "-"),
    "maybe_quoted": ("-", '"x"'),
    "rfc3339": ("2026-05-28T20:31:07.123456789Z",),
    "unix": ("1780000267.1234567", "1780000267"),
    "ns": ("1000000", "-1"),
    "uri": ("/x", "/live/2?y", "-", "*", "/a b", "x", "", "//", "/x??y", '/\\"?\\"'),
    "joined_host": ("a.example.com", "b.example.com:80", "-", "", "a-", "c\\d", "[::1]"),
    "is_args": ("", "?", "??"),
    "query": ("", "?x", "?", "??x", "?x y"),
    "keepalive": ("+", "-", "X", "x"),
    "path": ("/x", "/live/1"),
    "w3c_column": ("/x", "a b", "-", '"q q"'),
    "quote": ('"', '"', '"', ""),
    "alb_type": ("https", "h2", "ws", "x", "TLS"),
    "maybe_text": ("-", "curl/8.0", "a b", 'x"y'),
    "more": ("", " -", " a.example.com", " x[y", ' "a'),
    "more_quoted": ("", ' "-"', ' "a.example.com:80"', '"x"', " x"),
}
_VALUES["maybe_request"] = _VALUES["request"]
_HEADS = [text.encode() for name, text in CUSTOM.items() if name.startswith("w3c_")]
_ODD = [b'"', b"\\", b" ", b"\0", b"\t", b"\n", b"\r", b"\r\n", b'\\"', b"[", b"]", b"  ", b",", b":", b"/"]


JSON = {
    "json_units": "json time=t:unix_ms,start,bytes=b,bytes=c,host=h.a.b,host=h.c,path=h.u,duration=d:us,hit=x.y:HIT",
    "json_request": "json time=@time,bytes=b,host=r.q:request,path=r.q:request,host=h,hit=c",
    "json_clf": "json time=t:clf,bytes=b,host=u:url,path=p,duration=d:ns",
    "json_nanoseconds": "json time=t:unix_ns,bytes=b,host=h",
    "json_strftime": "json time=t:%Y-%m-%dT%H:%M:%S.%3%z,bytes=b,duration=d,path=u:url",
    "json_short": "json time=a.t:%d.%m.%Y %H:%M:%S,bytes=a.b",
}


def formats() -> dict[str, LogFormat]:
    """All named formats, one pasted of each server, and some that operators write."""
    pasted = {f"pasted_{server}": parse_format(text, server) for server, (_, text) in PASTED.items()}
    return {**FORMATS, **pasted, **{name: parse_format(text) for name, text in {**CUSTOM, **JSON}.items()}}


def log(fmt: LogFormat, chance: random.Random) -> bytes:
    """A log of one to some hundred lines."""
    end, around = chance.choice([b"\n", b"\n", b"\r\n"]), chance.random() < 0.2
    lines = [_line(fmt, chance) for _ in range(chance.choice([1, 3, 30, 200]))]
    if fmt.server == "w3c" and chance.random() < 0.3:  # its fields are others from here on
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(_HEADS))
    lines = [_wrapped(line, chance) for line in lines] if around else lines
    return end.join(lines) + chance.choice([b"", b"\n"])


_PREFIXES = (
    *(b"Oct 10 13:55:36 lb1 nginx[2451]: ", b"<134>Oct  1 13:55:36 caddy: ", b"2026-10-10T13:55:36+02:00 lb1 x: "),
    *(
        b"2026-10-06T00:17:09.669794202Z stdout F ",
        b"2026-10-06T00:17:09Z stderr F ",
        b"2026-10-06T00:17:09Z stdout P ",
    ),
    *(b"<134>1 2026-10-10T13:55:36Z lb1 nginx 2451 - - ", b"Oct 10 13:55:36 a b: ", b"2026-10-06T00:17:09Z - x: ", b""),
)


def _wrapped(line: bytes, chance: random.Random) -> bytes:
    """A line as others write it on."""
    if chance.random() < 0.3:
        text = json.dumps(line.decode("utf-8", "surrogateescape") + "\n", ensure_ascii=False)
        whole = f'{{"log":{text},"stream":"stdout","time":"2026-10-06T00:17:09.66Z"}}'
        return whole.encode("utf-8", "surrogateescape")
    return chance.choice(_PREFIXES) + line


def _line(fmt: LogFormat, chance: random.Random) -> bytes:
    if fmt.members:
        whole = _object_line(fmt, chance)
        return whole if chance.random() < 0.75 else _damaged(bytearray(whole), chance)
    whole = "".join(part.name if part.kind == "literal" else _value(part.kind, chance) for part in fmt.parts).encode()
    return whole if chance.random() < 0.75 else _damaged(bytearray(whole), chance)


def _value(kind: str, chance: random.Random) -> str:
    common = chance.random() < 0.7
    if kind == "epoch" and common:
        return f"{START + chance.randrange(900)}.{chance.randrange(1000):03d}"
    if kind == "clf" and common:
        return f"28/May/2026:20:{chance.randrange(26, 42)}:{chance.randrange(60):02d} +0000"
    if kind == "size" and common:
        return str(chance.randrange(100_000))
    values = _VALUES.get(kind)
    if values is None:  # a strftime format
        day = f"2026-05-28{chr(9) if chr(9) in kind else ' '}" * ("%H" in kind and not kind.startswith("given 2"))
        fraction = chance.choice(["", "", ".25", "."]) if "%?" in kind else ""
        return f"{day}20:{chance.randrange(26, 42)}:{chance.randrange(60):02d}{fraction}"
    return chance.choice(values[:3] if common else values)


def _damaged(line: bytearray, chance: random.Random) -> bytes:
    """A line with some bytes lost, changed, put in, or written twice."""
    if chance.random() < 0.2:  # all that it has is still there, but one separator is elsewhere
        places = [place for place, byte in enumerate(line) if byte in b'" ,|']
        moved = line.pop(chance.choice(places or [0]))
        line.insert(chance.randrange(len(line) + 1), moved)
        return bytes(line)
    for _ in range(chance.randint(1, 3)):
        if not line:
            break
        place, what = chance.randrange(len(line)), chance.random()
        if what < 0.3:
            del line[place : place + chance.randint(1, 12)]
        elif what < 0.6:
            line[place:place] = chance.choice(_ODD)
        elif what < 0.8:
            line[place] = chance.randrange(256)
        else:
            line[place:place] = line[: chance.randint(0, len(line))]
    return bytes(line)


# --------------------------------------------------------------------------------------------------------------------
# JSON

_TEXTS = {
    "host": _VALUES["host"],
    "uri": (*_VALUES["uri"], "/a?b\\", "/\x01?", "/\u20ac"),
    "request": _VALUES["request"],
    "url": _VALUES["url"],
    "text": ("HIT", "MISS", "hit", "", "-", "TCP_HIT", "true", "x" * 40, "\u20ac"),
    "clf": _VALUES["clf"],
    "size": _VALUES["size"],
}
_NUMBERS = ("0", "7", "1.5", "12345678", "0.000025979", "1e-05", "2.5E+3", "01", "-1", "1.", "1234567890123456", "0.5")
_OTHERS: tuple[object, ...] = (None, True, False, [], ["HIT"], ["a", "b"], {}, {"a": 1}, [[1]], 17, "", "-", "0.25s")
_WORDS = ("a", "time", "b", "host", "\u20ac", "x" * 70, 'q"', "", "h")
_RAW = ("\\ud800", "\\u00e9", "\\/", "\\x", "\\u12", "\t", '"', "\\ud83d\\ude00", "\\u0022")


class _Number(str):
    """A number as it is written."""


def _object_line(fmt: LogFormat, chance: random.Random) -> bytes:
    """A line whose members stand in any order, with others between them."""
    whole: dict[str, object] = {}
    for member in fmt.members:
        if chance.random() < 0.96:
            _put(whole, member.path, _member_value(member, chance))
    text = _written(whole, chance, chance.choice(("", "", "", " ")), chance.random() < 0.4)
    if chance.random() < 0.1:
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice(_RAW) + text[place:]
    return chance.choice(("", "", "", "caddy  | ", " ")).encode() + text.encode("utf-8", "surrogatepass")


def _put(whole: dict[str, object], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        inner = whole.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        whole = inner
    whole[path[-1]] = value


def _member_value(member: Member, chance: random.Random) -> object:
    common = chance.random() < 0.8
    if not common:
        return chance.choice((*_OTHERS, *map(_Number, _NUMBERS), *_VALUES["rfc3339"]))
    if member.kind == "unix" or (member.kind == "stamp" and chance.random() < 0.6):
        unit = member.unit or chance.choice(("s", "ms", "us", "ns"))
        moment = START * 10**9 + chance.randrange(900 * 10**9)
        digits = {"s": 9, "ms": 6, "us": 3, "ns": 0}[unit]
        text = f"{moment // 10**digits}" + (f".{moment % 10**digits:0{digits}d}" if digits and common else "")
        return _Number(text) if chance.random() < 0.7 else text
    if "%" in member.kind:
        spec = member.kind.partition(":")[2].replace("%3", "123").replace("%z", "+0000")
        return time.strftime(spec, time.gmtime(START + chance.randrange(900)))
    if member.kind in ("stamp", "rfc3339"):
        end = chance.choice((".25+0000", ".25Z", "Z", "+02:00", ".123+0000"))
        return f"2026-05-28T20:{chance.randrange(26, 42)}:{chance.randrange(61):02d}" + end
    if member.kind in ("size", "decimal"):
        text = str(chance.randrange(100_000)) if chance.random() < 0.7 else chance.choice(_NUMBERS)
        return _Number(text) if chance.random() < 0.7 else text + chance.choice(("", "", member.unit))
    return chance.choice(_TEXTS[member.kind])


def _written(value: object, chance: random.Random, space: str, mixed: bool) -> str:
    """A value as JSON. mixed: members in another order, with more of them."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        members = [(name, item) for name, item in value.items()]
        if mixed:
            members += [(chance.choice(_WORDS), chance.choice(_OTHERS)) for _ in range(chance.randrange(4))]
            chance.shuffle(members)
        texts = [f"{_text(name, chance)}:{space}{_written(item, chance, space, mixed)}" for name, item in members]
        return "{" + f",{space}".join(texts) + "}"
    if isinstance(value, list):
        return "[" + f",{space}".join(_written(item, chance, space, mixed) for item in value) + "]"
    return _text(value, chance) if isinstance(value, str) else json.dumps(value)


def _text(text: str, chance: random.Random) -> str:
    return json.dumps(text, ensure_ascii=chance.random() < 0.3)
