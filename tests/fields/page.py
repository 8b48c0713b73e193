"""Writes docs/reference/formats.md: for each server, how its fields are read, and what they are used for.

usage: python -m tests.fields.page     from the repository's folder

That the fields are read so is what tests/integration/test_fields.py has the real servers show.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from edgetally.formats import clocks
from edgetally.formats.catalogue import parse_format
from edgetally.formats.values import VERDICT_HEADERS
from tests.fields.documented import DOCUMENTED, NEWER
from tests.fields.kinds import END, KINDS
from tests.fields.trial import roles_of
from tests.support import ROOT

PAGE = ROOT / "docs" / "reference" / "formats.md"
_TITLES = {"squid": "squid", "haproxy": "HAProxy", "nginx": "nginx", "trafficserver": "Traffic Server"}
_ROLES = {"time": "the time", "size": "the bytes", "duration": "how long it lasted", "hit": "hits"}
_WORDS = {
    "text": "text",
    "raw": "text, quotes as they come",
    "name": "text",
    "shell": "text, in quotes where it has blanks",
    "word": "a word",
    "token": "a word",
    "list": "a list of the servers asked: `a, b : c`",
    "size": "bytes, or `-`",
    "status": "a status of three digits, or `-`",
    "number": "a number, `-`, or nothing",
    "signed": "a number, perhaps negative",
    "counter": "a number, perhaps with `+`",
    "ms": "milliseconds or another whole number, or `-`",
    "us": "microseconds, or `-`",
    "seconds": "seconds with three digits of a fraction, or `-`",
    "decimal": "seconds, or `-`",
    "cache": "a word in capital letters, or `-`",
    "address": "an address",
    "host": "a host",
    "url": "a URL",
    "uri": "a path with its query",
    "request": "a request line",
    "user": "a user's name",
    "is_args": "`?`, or nothing",
    "query": "a query with its `?`, or nothing",
    "keepalive": "`X`, `+` or `-`",
    "flag": "a number, `-`, or nothing",
    "squid_code": "a word in capital letters",
    "squid_peer": "a word in capital letters, or `-`",
    "haproxy_status": "a status, or `-1`",
    "haproxy_state": "two characters",
    "haproxy_cookies": "four characters",
    "haproxy_headers": "`{…}`, or nothing",
    "haproxy_list": "texts with blanks between them, or nothing",
    "haproxy_quoted": "texts in quotes, or nothing",
    "haproxy_port": 'a number, or `""`',
}
_HEADERS = textwrap.fill(", ".join(f"`{name}`" for name in VERDICT_HEADERS), 120)
_INTRO = f"""# Formats: the fields of each server

What edgetally reads of each field that a server documents, and what it can use it for. This page is made by
`python -m tests.fields.page`; `tests/integration/test_fields.py` has the real server log each field, between two
others, over hits, misses, errors, broken transfers, bad requests, tunnels, HTTP/2 and IPv6, and compares what comes of
it with what the clients saw.

A field that is not listed, or that is newer than this page, is text, and `edgetally check` says so once
(`unknown_field`). Where several fields can be used for one thing, the most exact that a format has is taken.

## Text without quotes

Text in quotes may hold anything. Without them it ends where what stands behind it begins. If that is a blank, the text
may still hold blanks where the line can be read in one way only: what is strict behind the text (a status, bytes, a
time, a letter) fits in one place of the line. A line that fits in two ways is rejected: a client could else choose
what it is billed for. So is one that holds a second time, since it may be torn from two lines. `check` names the
fields whose quotes are missing (`unquoted`).

## Hits

What is a hit is known for the fields below, for HAProxy's own cache (`%s` is `<CACHE>`), and for these headers of the
response, where the server can log them:

{_HEADERS}

In them `HIT`, `STALE`, `UPDATING`, `REVALIDATED` and the like are hits, whatever stands before (`TCP_`) and behind
(`from edge1`); of several caches the last counts, which is the nearest to the client.

For another field, or other words, say so: `edgetally tally --hit 'X-Fast:HIT,STALE'`, and `hit: "X-Fast:HIT,STALE"` of
a log in `edge_shipper_logs`. The field is written as in the format (`%{{X-Fast}}o`), or as a header's name alone. A
value is a hit if it begins with one of the words.
"""


def read_as(server: str, text: str) -> str:
    """What a field's values are, in words."""
    fmt = parse_format(" ".join((*KINDS[server].base.values(), text, END)), server)
    around = " ".join(KINDS[server].base.values())
    kinds = [part.kind for part in fmt.parts if part.name and part.name in text and part.kind not in ("literal", "pad")]
    if not kinds and text not in around:
        return "a character"
    kind = kinds[-1]
    return "a time" if clocks.is_time(kind) else _WORDS[kind]


def used_for(server: str, text: str) -> str:
    """What a bill takes from a field, in words; empty for nothing."""
    return ", ".join(_ROLES.get(role, f"the {role}") for role in roles_of(server, text))


def tables() -> Iterator[str]:
    """A part of the page for each server: the fields that are read alike are in one row."""
    for server, fields in DOCUMENTED.items():
        yield f"\n## {_TITLES.get(server, server.capitalize())}\n\n| fields | read as | used for |\n|---|---|---|\n"
        rows: dict[tuple[str, str], list[str]] = {}
        for text in (*fields, *NEWER.get(server, ())):
            rows.setdefault((used_for(server, text), read_as(server, text)), []).append(f"`{text}`")
        for (used, read), texts in sorted(rows.items(), key=lambda row: (not row[0][0], row[0])):
            yield f"| {' '.join(dict.fromkeys(texts))} | {read} | {used} |\n"


def page() -> str:
    """The whole page."""
    return _INTRO + "".join(tables())


if __name__ == "__main__":
    PAGE.write_text(page())
