"""Finds out what becomes of lines that are cut short or torn into one, with a line that is made for the format."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from edgetally.check import defects
from edgetally.formats import clocks
from edgetally.formats.finding import UNQUOTED, Finding
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Part
from edgetally.tally.count import tally

# A value of each kind that is longer than one character, so that it can be cut.
_TEXT = "abc"
_TEXTS = ("text", "raw", "name", "request")
_VALUES = {
    "clf": "10/Oct/2026:13:55:36 +0000",
    "iso": "2026-10-10T13:55:36+00:00",
    "rfc3339": "2026-10-10T13:55:36.250Z",
    "epoch": "1780000000.123",
    "unix": "1780000000",
    "stamp": "1780000000.123",
    "haproxy": "10/Oct/2026:13:55:36.250",
    "size": "4083",
    "status": "200",
    "seconds": "12.345",
    "host": "www.example.com",
    "joined_host": "www.example.com",
    "uri": "/a.gif",
    "url": "http://www.example.com/a.gif",
    "path": "/a.gif",
    "request": "GET /a.gif HTTP/1.1",
    "cache": "HIT",
    "address": "192.0.2.7",
    "squid_code": "TCP_HIT",
    "squid_peer": "HIER_DIRECT",
    "squid_type": " image/gif",
    "haproxy_status": "200",
    "haproxy_state": "--",
    "haproxy_cookies": "----",
    "haproxy_headers": "",
    "haproxy_quoted": ' "abc"',
    "haproxy_end": '"',
    "keepalive": "+",
    "flag": "1",
    "maybe_quoted": '"abc"',
    "quote": '"',
    "alb_type": "https",
    "maybe_request": "GET /a.gif HTTP/1.1",
    "more": " abc",
    "more_quoted": ' "abc"',
    **dict.fromkeys(("number", "haproxy_port", "signed", "counter", "decimal", "ms", "us", "ns"), "1234"),
    **dict.fromkeys(("pad", "haproxy_list", "is_args", "query", "syslog"), ""),
}
# What strftime's words, and our own, give for one moment; see `clocks`.
_PARTS = (
    "Y=2026 y=26 m=10 b=Oct h=Oct d=10 e=10 H=13 M=55 S=36 a=Sat T=13:55:36 R=13:55 F=2026-10-10 D=10/10/26 z=+0000 "
    ":z=+00:00 s=1780000000 1=1780000000123 6=1780000000123456 3=123 f=123456"
)
_MOMENT = {"t": "\t", "%": "%", "?": "", **dict(word.split("=") for word in _PARTS.split())}


def sample(fmt: LogFormat) -> bytes:
    """A line of the format, without its end."""
    if fmt.members:
        return json.dumps(_objects(fmt)).encode()
    return "".join(_value(part) for part in fmt.parts).encode()


def unquoted(fmt: LogFormat) -> Iterator[Finding]:
    """A finding where texts that a blank ends cannot hold one."""
    bare = [part for part in fmt.parts if part.kind in _TEXTS and part.stop[:1] == " "]
    values = (_VALUES.get(part.kind, "a b") if part in bare else _value(part) for part in fmt.parts)
    if not bare or _counted(fmt, "".join(values).encode()) is not None:
        return
    names = ", ".join(dict.fromkeys(part.name for part in bare))
    requests = any(part.kind == "request" for part in bare)
    cost = "no request is read" if requests else "a line where one of them holds a blank is rejected"
    yield UNQUOTED.found(f"{names} cannot be told apart", severity="wrong" if requests else "risk", cost=cost)


def _objects(fmt: LogFormat) -> dict[str, Any]:
    """The members of a line of JSON."""
    whole: dict[str, Any] = {}
    for member, part in zip(fmt.members, fmt.parts):
        inner = whole
        for name in member.path[:-1]:
            inner = inner.setdefault(name, {})
        inner[member.path[-1]] = _value(part)
    return whole


def _value(part: Part) -> str:
    if part.kind == "literal":
        return part.name
    if clocks.is_free(part.kind):
        spec = part.kind.partition(":")[2]
        return re.sub(r"%(:z|.)", lambda word: _MOMENT.get(word[1], word[0]), spec)
    return _VALUES.get(part.kind, _TEXT)


def check(fmt: LogFormat) -> Iterator[Finding]:
    """Findings where two lines torn into one, or a line without its end, pass for a whole line.

    Lines are cut only behind the first field that the bill needs: one that is torn before that is lost, but the next
    is billed right.
    """
    if fmt.members:
        return  # a part of a JSON object is none
    line = sample(fmt)
    whole = _counted(fmt, line)
    if whole is None:
        return  # no line could be made: nothing is known
    billed = min(place for role in ("time", "size", "host", "hit") for place in fmt.roles.get(role, ()))
    ends = list(accumulate(len(_value(part)) for part in fmt.parts))
    cuts = range(ends[billed] + 1, len(line))
    torn = next((at for at in cuts if _counted(fmt, line[:at] + line) is not None), None)
    if torn is not None:
        part = next(part for part, end in zip(fmt.parts, ends) if torn <= end and part.kind != "literal")
        yield defects.TORN_LINE.found(f"a line that is torn in {part.name} and the next one pass for one")
    if any(_counted(fmt, line[:at]) not in (None, whole) for at in cuts):
        yield defects.SIZE_LAST.found("its bytes stand last")


def _counted(fmt: LogFormat, line: bytes) -> int | None:
    """The bytes that the tally counts in a line; None where it rejects it."""
    sums = tally([io.BytesIO(line + b"\n")], fmt, None, rejects=0)
    return sums.bytes if sums.counted else None
