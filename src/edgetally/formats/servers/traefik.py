"""Traefik's access log: its Common Log Format with more columns, and JSON. Both log a transfer's start."""

from __future__ import annotations

from collections.abc import Iterator

from edgetally.formats.build import Dialect, build
from edgetally.formats.finding import UNESCAPED
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece

DIALECT = Dialect(
    server="traefik",
    title="Traefik",
    directive="accessLog",
    roles={
        "time": ("StartUTC",),
        "size": ("DownstreamContentSize",),
        "host": ("RequestHost",),
        "path": ("RequestPath", "request"),
        "duration": ("Duration",),
    },
    advice={"wire": "the bytes where a server in front or behind counts them", "host": "JSON"},
    body_only=("DownstreamContentSize",),
    logs_start=True,
)
CLF_EXAMPLE = (
    '192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET /a.gif HTTP/1.1" 200 2326 "-" "curl/8.0" 262 "www@docker" '
    '"http://192.0.2.9:80" 2ms'
)
JSON_EXAMPLE = (
    '{"ClientHost":"192.0.2.7","DownstreamContentSize":2326,"DownstreamStatus":200,"Duration":2500000,'
    '"RequestHost":"www.example.com","RequestMethod":"GET","RequestPath":"/a.gif?b",'
    '"StartUTC":"2026-10-10T20:55:36.250123456Z","level":"info","msg":"","time":"2026-10-10T20:55:36Z"}'
)


def clf() -> LogFormat:
    """Traefik's CLF, which has no host."""
    described = "Traefik's access log, format common"
    what = "the request, the referer and the agent are written as they come"
    finding = UNESCAPED.found(what, mend="log JSON, with `accessLog.format: json`")
    return build(DIALECT, "traefik", described, _clf_pieces(), example=CLF_EXAMPLE, findings=[finding])


def json() -> LogFormat:
    """Traefik's JSON, whose members are sorted by their names."""
    described = "Traefik's access log, format json"
    return build(DIALECT, "traefik_json", described, _json_pieces(), example=JSON_EXAMPLE)


def _clf_pieces() -> Iterator[Piece]:
    """Old releases write a missing referer or agent without quotes."""
    yield from (Piece("client", "list"), Piece(" - ", "literal"), Piece("user", "user"), Piece(" [", "literal"))
    yield from (Piece("StartUTC", "clf"), Piece('] "', "literal"), Piece("request", "request"), Piece('" ', "literal"))
    yield from (Piece("status", "status"), Piece(" ", "literal"), Piece("DownstreamContentSize", "size"))
    yield from (Piece(" ", "literal"), Piece("referer", "maybe_quoted"), Piece(" ", "literal"))
    yield from (Piece("agent", "maybe_quoted"), Piece(" ", "literal"), Piece("count", "number"), Piece(" ", "literal"))
    yield from (Piece("router", "maybe_quoted"), Piece(" ", "literal"), Piece("server", "maybe_quoted"))
    yield from (Piece(" ", "literal"), Piece("Duration", "ms"), Piece("ms", "literal"))


def _json_pieces() -> Iterator[Piece]:
    members = Piece("members", "json_members")
    yield from (Piece("{", "literal"), members, Piece('"DownstreamContentSize":', "literal"))
    yield from (Piece("DownstreamContentSize", "size"), Piece(",", "literal"), members, Piece('"Duration":', "literal"))
    yield from (Piece("Duration", "ns"), Piece(",", "literal"), members, Piece('"RequestHost":"', "literal"))
    yield from (Piece("RequestHost", "host"), Piece('",', "literal"), members, Piece('"RequestPath":"', "literal"))
    yield from (Piece("RequestPath", "uri"), Piece('",', "literal"), members, Piece('"StartUTC":"', "literal"))
    yield from (Piece("StartUTC", "rfc3339"), Piece('"', "literal"), Piece("members", "json_rest"))
    yield Piece("}", "literal")
