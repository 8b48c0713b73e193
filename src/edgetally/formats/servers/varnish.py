"""Varnish: varnishncsa's -F, bare or as the command has it.

The time is that of the request's arrival; the duration is added where it is there. %r holds an absolute URI, made with
the Host header.
"""

from __future__ import annotations

import re

from edgetally.errors import EdgetallyError
from edgetally.formats.build import Dialect, build
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import kinds_of
from edgetally.formats.servers.apache import VERDICTS, cut, odd_fields
from edgetally.formats.servers.quoting import is_quoted, one_line, quoted
from edgetally.formats.values import VARNISH_HIT, VERDICT_HIT, shorten

DEFAULT = '%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-agent}i"'
DIALECT = Dialect(
    server="varnish",
    title="Varnish",
    directive="varnishncsa -F",
    roles={
        "time": ("%t", "%{}t"),
        "size": ("%O", "%b"),
        "host": ("%r", "%{host}i"),
        "path": ("%r", "%U"),
        "hit": ("%{Varnish:handling}x", "%{Varnish:hitmiss}x", *VERDICTS),
        "duration": ("%{us}T", "%{ms}T", "%T"),
    },
    advice={
        "time": "%t",
        "size": "%O",
        "wire": "%O",
        "host": "%{Host}i",
        "duration": "%D",
        "hit": "%{Varnish:handling}x",
        "offset": "add %z to its format, or log %t",
    },
    body_only=("%b",),
    # Varnish has put an absolute URI's host into it already, and writes %r with it, whatever the request's target is.
    sure_host="%{host}i",
    logs_start=True,
    hit=VARNISH_HIT,
    hits=dict.fromkeys(VERDICTS, VERDICT_HIT),
    sent=re.compile(r"%.*(?:\}[iC]|r)$"),
)
NAMED = {"combined": DEFAULT, "varnish": DEFAULT}
_KINDS = kinds_of(
    {
        "word": "h l m H {Varnish:handling}x {Varnish:hitmiss}x",
        "size": "b O",
        "text": "i o x",
        "number": "I",
        "uri": "U",
        "query": "q",
        "request": "r",
        "status": "s",
        "user": "u",
    }
)


def compile_varnish(text: str) -> LogFormat:
    """Compile a pasted varnishncsa format."""
    text = one_line(text, DIALECT.directive)
    command = re.match(r"varnishncsa\b.*?\s-F\s*|-F\s*", text)
    rest = text[command.end() :] if command else text
    if command and rest[:1] not in ("'", '"'):
        raise EdgetallyError(f"varnishncsa -F: the format is missing, or not in quotes: {shorten(rest)}")
    if command or is_quoted(rest):
        rest, _ = quoted(rest, DIALECT.directive)
    template = rest.replace("\\t", "\t").replace("\\n", "\n").rstrip("\n")
    pieces = list(cut(DIALECT, "varnish", template, _KINDS))
    findings = list(odd_fields(pieces))
    return build(DIALECT, "varnish", f"varnishncsa -F {template}", pieces, findings=findings)
