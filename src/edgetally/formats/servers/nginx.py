"""nginx: log_format, as the whole directive, its quoted strings, or the bare format."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgetally.errors import EdgetallyError
from edgetally.formats.build import Dialect, build
from edgetally.formats.finding import JSON_ESCAPE, UNESCAPED, UNQUOTED, Finding
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece, kinds_of
from edgetally.formats.values import VERDICT_HEADERS, VERDICT_HIT, shorten

_HEADERS = [name.replace("-", "_") for name in VERDICT_HEADERS]
_VERDICTS = tuple(f"${whose}_http_{name}" for whose in ("sent", "upstream") for name in _HEADERS)
DIALECT = Dialect(
    server="nginx",
    title="nginx",
    directive="log_format",
    roles={
        "time": ("$msec", "$time_iso8601", "$time_local"),
        "size": ("$bytes_sent", "$body_bytes_sent"),
        "host": ("$host", "$request", "$http_host", "$server_name"),
        "path": ("$request_uri", "$request", "$uri", "$document_uri"),
        "hit": ("$upstream_cache_status", "$srcache_fetch_status", *_VERDICTS),
        "duration": ("$request_time",),
    },
    advice={
        "time": "$msec or $time_iso8601 or $time_local",
        "size": "$bytes_sent or $body_bytes_sent",
        "wire": "$bytes_sent",
        "host": "$host",
        "duration": "$request_time",
        "hit": "$upstream_cache_status",
    },
    body_only=("$body_bytes_sent",),
    sure_host="$host",  # it is the request line's already, else the Host header, else the server's name
    requests=("$request",),
    hits=dict.fromkeys(_VERDICTS, VERDICT_HIT),
    sent=re.compile(r"\$(?:http_|arg|cookie_|request$|request_body$)"),
)
# In stream{} most variables of http{} do not exist.
STREAM = DIALECT._replace(
    roles={
        "time": DIALECT.roles["time"],
        "size": ("$bytes_sent",),
        "host": ("$ssl_preread_server_name", "$ssl_server_name"),
        "duration": ("$session_time",),
    },
    advice={
        "time": "$msec or $time_iso8601 or $time_local",
        "size": "$bytes_sent",
        "wire": "$bytes_sent",
        "host": "$ssl_preread_server_name",
        "duration": "$session_time",
    },
    sure_host="",
    requests=(),
)
_OF_STREAMS = re.compile(r"\$\{?(?:session_time|bytes_received|protocol|ssl_preread_\w+)\b")
_KINDS = kinds_of(
    {
        "clf": "$time_local",
        "iso": "$time_iso8601",
        "epoch": "$msec",
        "size": "$bytes_sent $body_bytes_sent",
        "status": "$status",
        "request": "$request",
        "user": "$remote_user",
        "host": "$host $http_host $server_name $ssl_preread_server_name $ssl_server_name",
        "uri": "$request_uri $uri $document_uri",
        "is_args": "$is_args",
        "cache": "$upstream_cache_status",
        "seconds": "$request_time $session_time",
        "address": "$remote_addr",
        "number": "$request_length $connection $connection_requests $remote_port $server_port $pid",
        "text": "$pipe",
        # Of each server that was asked: `a, b`, and behind a redirect `a : c`.
        "list": "$upstream_addr $upstream_status $upstream_response_time $upstream_connect_time $upstream_header_time "
        "$upstream_queue_time $upstream_first_byte_time $upstream_session_time $upstream_response_length "
        "$upstream_bytes_received $upstream_bytes_sent $upstream_last_addr",
    }
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
# A host can hold all but blanks, controls and slashes, as its client likes.
_WEAK_HOST = re.compile(r"\$(?:host\b|\{host\})([^\s/\"$])")
_CONF_TOKEN = re.compile(
    r"""(?:\s|\#[^\n]*)*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|((?:[^\s;'"\\]|\\.)(?:[^\s;\\]|\\.)*)|(;))""",
    re.S,
)


def compile_nginx(text: str, stream: bool = False) -> LogFormat:
    """Compile a pasted log_format. stream: it is known to be one of stream{}; else its variables show it."""
    name, escape, template = _directive(text)
    if escape not in ("default", "json", "none"):
        raise EdgetallyError(f"log_format {name}: escape={escape} is not known: it is default, json or none")
    if "\n" in template or "\r" in template:
        raise EdgetallyError(f"log_format {name}: the format holds a line break: one request must be one line")
    described, findings = f"nginx log_format {template}", list(_findings(escape, template))
    dialect = STREAM if stream or _OF_STREAMS.search(template) else DIALECT
    return build(dialect, name, described, _pieces(template), escapes=escape != "none", findings=findings)


def _findings(escape: str, template: str) -> Iterator[Finding]:
    if escape == "none":
        yield UNESCAPED.found("escape=none", mend="use escape=default or json")
    after = _WEAK_HOST.search(template)
    if after:
        yield UNQUOTED.found("$host stands unquoted", cost=f"a line where it holds '{after[1]}' is rejected")
    if escape != "none" and template.lstrip().startswith("{") != (escape == "json"):
        yield JSON_ESCAPE.found("escape=json without JSON" if escape == "json" else "JSON without escape=json")


def _directive(text: str) -> tuple[str, str, str]:
    """(name, escape, format) of what was pasted: the whole directive, its quoted strings, or the bare format."""
    if not re.match(r"log_format\b|escape=|'", text):
        return "nginx", "default", text
    tokens, end = [], 0
    while end < len(text.rstrip()):
        match = _CONF_TOKEN.match(text, end)
        if match is None:
            raise EdgetallyError(f"log_format: a quote is not closed: {shorten(text[end:].strip())}")
        if match[4]:
            more = text[match.end() :].strip()
            if more:
                raise EdgetallyError(f"log_format: paste one directive only; after its ; comes {shorten(more)}")
            break
        tokens.append(match)
        end = match.end()
    words = [_unescape(next(group for group in token.groups() if group is not None)) for token in tokens]
    name = "nginx"
    if words[0] == "log_format":
        name, words = (words[1] if len(words) > 1 else ""), words[2:]
    escape = words.pop(0)[len("escape=") :] if words and words[0].startswith("escape=") else "default"
    if not words:
        raise EdgetallyError("log_format: the format itself is missing: paste the whole directive, up to its ;")
    return name, escape, "".join(words)


def _unescape(word: str) -> str:
    r"""A word as nginx reads it from its configuration: \" \' \\ and \t \n \r are undone; other backslashes stay."""
    special = {"t": "\t", "n": "\n", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: special.get(match[1], match[0]), word, flags=re.S)


def _pieces(template: str) -> Iterator[Piece]:
    """Cut a log_format into its variables and literals."""
    end = 0
    for match in _VARIABLE.finditer(template):
        yield Piece(template[end : match.start()], "literal")
        variable = "$" + (match[1] or match[2])
        yield Piece(variable, _KINDS.get(variable, "text"))
        end = match.end()
    yield Piece(template[end:], "literal")
