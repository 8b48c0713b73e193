"""JSON by the names of its members: which fields there are, what a line gives, what is refused, and in which words."""

from __future__ import annotations

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from tests.unit.formats.test_catalogue import fits, read

PLAIN = parse_format(
    "json time=ts,bytes=size,host=request.host,path=request.uri,duration=duration:ms,hit=cache:HIT,STALE"
)
LINE = '{"ts":1780000000.5,"size":7,"request":{"host":"a.example.com","uri":"/x?y"},"duration":4,"cache":"HIT"}'
SAID = (1780000000.5, "a.example.com", True, "/x", b"7")


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        '{"cache":"STALE","request":{"uri":"/x","host":"a.example.com"},"size":"7","duration":"4.5","ts":"1780000000.5"}',
        ' { "ts" : 1.7800000005e9 ,\t"size":7.0, "request":{"host":"A.example.com:80","a":[1,{}],"uri":"/x"},'
        ' "cache":"HIT" } ',
        LINE.replace("1780000000.5", "1780000000500"),
        LINE.replace("1780000000.5", "1780000000500000000"),
        LINE.replace("1780000000.5", '"2026-05-28T20:26:40.5Z"'),
        LINE.replace("1780000000.5", '"2026-05-28T22:26:40.500+0200"'),
        LINE.replace("a.example", r"\u0061.\u0065xample"),
        LINE.replace('"ts"', r'"\u0074s"'),
        LINE.replace('"HIT"', '["HIT"]'),
        LINE.replace('"a.example.com"', '["a.example.com"]'),
        LINE.replace('"duration":4', '"upstream":"0.001, 0.002","times":[0.001,0.002],"duration":null'),
        LINE[:-1] + ',"x":"\\ud83d\\ude00\\ud800","y":"\xe9","":{"ts":1,"size":2}}',
    ],
)
def test_members_stand_where_they_like(line: str) -> None:
    assert read(PLAIN, line) == SAID


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{}", "it has no ts"),
        (LINE.replace('"size":7,', ""), "it has no size"),
        (LINE.replace("1780000000.5", '"x"'), "ts is no time: "),
        (LINE.replace(":7,", ':"x",'), "size is no number of bytes: "),
        (LINE.replace(":7,", ":7.5,"), "size is no number of bytes: "),
        (LINE.replace(":7,", ":-7,"), "size is no number of bytes: "),
        (LINE.replace(":4,", ':"x",'), "duration is no duration: "),
        (LINE[:-1] + ',"size":7}', "it has size twice"),
        (LINE.replace('"uri"', '"host":"b","uri"'), "it has request.host twice"),
        (LINE[:-1] + ',"request":{}}', "it has request twice"),
        (LINE.replace('"a.example.com"', "{}"), "request.host holds an object"),
        (LINE[:-1], "it is no JSON: Expecting ',' delimiter, in column"),
        (LINE[:40] + LINE, "it is no JSON: "),
        (LINE + "{}", "it is no JSON: Extra data, in column"),
        (LINE.replace(":4,", ":04,"), "it is no JSON: "),
        (LINE.replace(":4,", ":4.,"), "it is no JSON: "),
        (LINE.replace(":4,", ":NaN,"), "it is no JSON: NaN is no value"),
        (LINE.replace(":4,", ":0.001, 0.002,"), "it is no JSON: a list such as 0.001, 0.002 needs quotes, in column "),
        (LINE.replace("/x", "\\x"), "it is no JSON: Invalid \\escape"),
        (LINE.replace("/x", "\t"), "it is no JSON: Invalid control character"),
        (LINE.replace(":4,", ":" + "[" * 70 + "]" * 70 + ","), "it has more than 64 objects and arrays in each other"),
        (LINE.replace(":4,", ":" + "[" * 5000 + "]" * 5000 + ","), "it has more than 64 objects and arrays"),
        (f"[{LINE}]", "it is JSON, but no object"),
        ("17", "it is JSON, but no object"),
        ("", "it is no JSON: Expecting value"),
    ],
)
def test_a_line_that_does_not_fit_has_a_reason(line: str, why: str) -> None:
    assert not fits(PLAIN, line)
    assert PLAIN.explain(line.encode()).startswith(why)


def test_bytes_that_are_no_utf_8_are_taken_as_they_are() -> None:
    """nginx writes them so, and a client could else keep its line off the bill."""
    matcher = PLAIN.matcher(True)
    (row,) = matcher.pattern.findall(LINE.encode().replace(b"/x", b"/\xff"))
    assert matcher.key_of(row)[-1] == b"/\xff"


@pytest.mark.parametrize(
    ("fields", "line", "time"),
    [
        ("time=t:unix_ms", '{"t":1780000000500.25,"b":1}', 1780000000.50025),
        ("time=t:unix_us", '{"t":1780000000500000,"b":1}', 1780000000.5),
        ("time=t:rfc3339", '{"t":"2026-05-28T20:26:40.5+00:00","b":1}', 1780000000.5),
        ("time=t:clf", '{"t":"28/May/2026:22:26:40 +0200","b":1}', 1780000000),
        ("time=t:%d.%m.%Y %H:%M:%S", '{"t":"28.05.2026 20:26:40","b":1}', 1780000000),
        ("time=t,start,duration=d:us", '{"t":1780000000,"d":500000,"b":1}', 1780000000.5),
        ("time=t,start,duration=d:ns", '{"t":1780000000,"d":500000000.0,"b":1}', 1780000000.5),
        ("time=t,start,duration=d", '{"t":1780000000,"d":"0.5s","b":1}', 1780000000.5),
        ("time=t,start,duration=d", '{"t":1780000000,"d":5E-1,"b":1}', 1780000000.5),
        (r"time=a\.b.c\,d", '{"a.b":{"c,d":1780000000},"b":1}', 1780000000),
    ],
)
def test_times_and_durations_have_units(fields: str, line: str, time: float) -> None:
    assert read(parse_format(f"json {fields},bytes=b"), line)[0] == time


def test_a_url_and_a_request_have_a_host_and_a_path() -> None:
    line = '{"t":1,"b":1,"c":"2","u":"https://H.example.com:8443/a?b","h":"z"}'
    fields = "json time=t,bytes=b,bytes=c,host=u:url,host=h,path=u:url"
    assert read(parse_format(fields), line) == (1, "h.example.com", None, "/a", b"3")
    line = '{"t":1,"b":1,"r":"GET /a\\u0000\\"b c?d HTTP/1.1","h":"z"}'
    fields = "json time=t,bytes=b,host=r:request,host=h,path=r:request"
    assert read(parse_format(fields), line)[1:4] == (
        "z",
        None,
        '/a~"b',
    )


def test_a_presets_fields_can_be_given_anew() -> None:
    fmt = parse_format("caddy hit=resp_headers.X-Cache:HIT,bytes=bytes_sent")
    line = FORMATS["caddy"].example.replace('"Server":["Caddy"]', '"X-Cache":["HIT"]').replace("size", "bytes_sent")
    assert read(fmt, line) == (1780000000.123456, "www.example.com", True, "/a.gif", b"2326")
    assert (fmt.bytes_meaning, fmt.warnings) == ("wire", [])


def test_sizes_that_are_the_bodys_are_only_so_where_they_are_called_so() -> None:
    assert parse_format("json time=t,bytes=b:body,host=h").bytes_meaning == "body"
    assert [finding.code for finding in parse_format("json time=t,start,bytes=b:body").findings] == [
        *("body_bytes", "no_host", "start_time"),
    ]


def test_what_traefik_and_google_leave_out() -> None:
    for name, member in (("traefik_json", '"RequestHost":"www.example.com",'), ("google_lb", '"cacheHit":true,')):
        fmt = FORMATS[name]
        assert member in fmt.example
        found = read(fmt, fmt.example.replace(member, ""))
        assert found[1:3] == (("", None) if name == "traefik_json" else ("www.example.com", False))
    with_address = FORMATS["traefik_json"].example.replace("RequestHost", "RequestAddr")
    assert read(FORMATS["traefik_json"], with_address)[1] == "www.example.com"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("json tme=ts", "--fields: 'tme' is no field: did you mean 'time'?"),
        ("json time=ts", "json does not say the bytes: add bytes=MEMBER to --fields"),
        ("json bytes=b", "json does not say the time: add time=MEMBER to --fields"),
        ("json time=ts:unixms,bytes=b", "--fields: 'unixms' is no way to read ts: did you mean 'unix_ms'?"),
        ("json time=ts,bytes=b:ms", "--fields: 'ms' is no way to read b: it is one of body, wire"),
        (
            "json time=ts,bytes=b,duration=d:minutes",
            "--fields: 'minutes' is no way to read d: it is one of s, ms, us, ns",
        ),
        ("json time=a,bytes=a.b", "--fields: a.b and a are read in two ways"),
        ("json time=ts,bytes=", "--fields: 'bytes=' names no member: write the names with dots between them"),
        ("json time=a..b,bytes=c", "--fields: 'time=a..b' names no member"),
        ("json time=ts:%Y,bytes=s", "--fields: the format '%Y' lacks a whole date and time: correct it"),
        ("json time=a,time=b,bytes=c", "--fields: time stands there 2 times: at most 1 can be used"),
        ("json bytes=a:", "--fields: 'bytes=a:' ends with a colon"),
        ("combined time=ts", "--fields go with json or one of caddy, "),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format(text)
    assert str(caught.value).startswith(message)
