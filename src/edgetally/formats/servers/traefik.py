"""Traefik's access log as its Common Log Format with more columns. It logs a transfer's start."""

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
        "path": ("request",),
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


def clf() -> LogFormat:
    """Traefik's CLF, which has no host."""
    described = "Traefik's access log, format common"
    what = "the request, the referer and the agent are written as they come"
    finding = UNESCAPED.found(what, mend="log JSON, with `accessLog.format: json`")
    return build(DIALECT, "traefik", described, _clf_pieces(), example=CLF_EXAMPLE, findings=[finding])


def _clf_pieces() -> Iterator[Piece]:
    """Old releases write a missing referer or agent without quotes."""
    yield from (Piece("client", "list"), Piece(" - ", "literal"), Piece("user", "user"), Piece(" [", "literal"))
    yield from (Piece("StartUTC", "clf"), Piece('] "', "literal"), Piece("request", "request"), Piece('" ', "literal"))
    yield from (Piece("status", "status"), Piece(" ", "literal"), Piece("DownstreamContentSize", "size"))
    yield from (Piece(" ", "literal"), Piece("referer", "maybe_quoted"), Piece(" ", "literal"))
    yield from (Piece("agent", "maybe_quoted"), Piece(" ", "literal"), Piece("count", "number"), Piece(" ", "literal"))
    yield from (Piece("router", "maybe_quoted"), Piece(" ", "literal"), Piece("server", "maybe_quoted"))
    yield from (Piece(" ", "literal"), Piece("Duration", "ms"), Piece("ms", "literal"))
