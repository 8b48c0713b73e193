"""Caddy's access log: JSON, one object a line, with its members in Caddy's own order. The time is that of the end."""

from __future__ import annotations

from collections.abc import Iterator

from edgetally.formats.build import Dialect, build
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece

DIALECT = Dialect(
    server="caddy",
    title="Caddy",
    directive="log",
    roles={
        "time": ("ts",),
        "size": ("size",),
        "host": ("host",),
        "path": ("uri",),
        "duration": ("duration",),
    },
    advice={"wire": "the bytes where a server in front or behind counts them"},
    body_only=("size",),
)
EXAMPLE = (
    '{"level":"info","ts":1780000000.123456,"logger":"http.log.access","msg":"handled request","request":'
    '{"remote_ip":"192.0.2.7","remote_port":"51234","proto":"HTTP/2.0","method":"GET","host":"www.example.com",'
    '"uri":"/a.gif?b","headers":{"User-Agent":["curl/8.0"]}},"bytes_read":0,"user_id":"","duration":0.0015,'
    '"size":2326,"status":200,"resp_headers":{"Server":["Caddy"]}}'
)


def access_log() -> LogFormat:
    """Caddy's access log, also with the name in front that `docker compose logs` puts there."""
    return build(DIALECT, "caddy", "Caddy's access log in JSON", _pieces(), example=EXAMPLE)


def _pieces() -> Iterator[Piece]:
    members, rest = Piece("members", "json_members"), Piece("members", "json_rest")
    yield from (Piece("a container's name", "container"), Piece('{"level":"info","ts":', "literal"))
    yield from (Piece("ts", "unix"), Piece(",", "literal"), members, Piece('"request":{', "literal"), members)
    yield from (Piece('"host":"', "literal"), Piece("host", "host"), Piece('","uri":"', "literal"))
    yield from (Piece("uri", "uri"), Piece('"', "literal"), rest, Piece("},", "literal"), members)
    yield from (Piece('"duration":', "literal"), Piece("duration", "decimal"), Piece(',"size":', "literal"))
    yield from (Piece("size", "size"), Piece(',"status":', "literal"), Piece("status", "number"), rest)
    yield Piece("}", "literal")
