"""Finds what makes a bill wrong in a log format: by its fields, and by what becomes of its lines when they are torn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from edgetally.check import defects, torn
from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.formats.finding import Finding
from edgetally.formats.log_format import LogFormat
from edgetally.formats.servers import nginx
from edgetally.tally.engines.kernel.program import program_of

# By server, fields that a format may have in place of the bytes sent, and which bytes they count.
_NOT_SENT = {
    "nginx": (r"\$\{?request_length\b", "received"),
    "apache": (r"%(?:\^?S(?![a-zA-Z])|I)", "received, or both received and sent"),
    "lighttpd": (r"%[SI](?![a-zA-Z])", "received, or both received and sent"),
    "squid": (r"%(?:http::)?(?:>?st|>sh|<sh|<bs|<sS)\b", "received, or both, or a part of those sent"),
    "varnish": (r"%I", "received"),
    "trafficserver": (r"%<(?:cqql|cqcl|cqhl|sscl|ssql)>", "received from clients or origins"),
    "haproxy": (r"%U\b", "received"),
    "w3c": (r"cs-bytes", "received"),
}


def check_text(text: str, server: str = "", where: str = "") -> Iterator[Finding]:
    """The findings of a format as a configuration has it; one that cannot be read is a finding, too.

    server: as for `parse_format`, or nginx_stream, of which nginx knows other variables.
    """
    return (finding._replace(where=where) for finding in _found(text, server))


@cache
def _found(text: str, server: str) -> Sequence[Finding]:
    """The findings of a format, which many files can use."""
    stream = server == "nginx_stream"
    try:
        fmt = nginx.compile_nginx(text, stream=True) if stream else parse_format(text, server)
    except EdgetallyError as error:
        return (unreadable(text, "nginx" if stream else server, "", error),)
    return tuple(check_format(fmt))


def check_unused(text: str, server: str, where: str) -> Iterator[Finding]:
    """The findings of a format that some other file may use; none where it makes no bill: it is not meant to."""
    return (finding for finding in check_text(text, server, where) if finding.code != "unreadable_format")


def unreadable(text: str, server: str, where: str, error: EdgetallyError) -> Finding:
    """Why a format cannot be used: its only bytes are not those sent, or whatever the error says."""
    if "does not say the bytes" in str(error):
        for name, (pattern, which) in _NOT_SENT.items():
            field = re.search(pattern, text) if server in ("", name) else None
            if field:
                return defects.RECEIVED_BYTES.found(
                    f"its only bytes, {field[0]}, are {which}", mend=str(error).rpartition(": ")[2], where=where
                )
    what, _, mend = str(error).rpartition(": ")
    return defects.UNREADABLE_FORMAT.found(f"it cannot be read, {what or mend}", mend=mend if what else "", where=where)


def check_format(fmt: LogFormat, where: str = "") -> Iterator[Finding]:
    """The findings of a format that can be read."""
    for finding in (*fmt.findings, *_fields(fmt), *torn.unquoted(fmt), *torn.check(fmt)):
        yield finding._replace(where=where)
    if program_of(fmt, paths=True, durations=True) is None:
        yield defects.SLOW_FORMAT.found("the kernel cannot read it, and leaves it to the reference", where=where)
    elif fmt.runs and any(finding.code == "unquoted" for finding in fmt.findings):
        what = "the kernel leaves texts with blanks and without quotes to the reference"
        yield defects.SLOW_FORMAT.found(what, mend="put them in double quotes", where=where)


def _fields(fmt: LogFormat) -> Iterator[Finding]:
    """The findings of a format's fields: those that are missing, and weak ones."""
    names = {part.name for part in fmt.parts}
    if not fmt.has_duration and not any(finding.code == "start_time" for finding in fmt.findings):
        yield defects.NO_DURATION.found("it does not say how long a transfer lasted", mend=_log(fmt, "duration"))
    if "hit" in fmt.advice and not fmt.hit_known:
        yield defects.NO_CACHE_STATUS.found("it does not say what came from the cache", mend=_log(fmt, "hit"))
    if "$http_host" in names and "$host" not in names:
        yield defects.CLIENT_HOST.found("$http_host is the host as the client spells it", mend="log $host instead")
    hosts = {fmt.parts[place].name for place in fmt.roles.get("host", ())}
    if hosts & {"$server_name", "%v"} and len(hosts - {"%r", "$request"}) == 1:
        mend = f"log {'$host' if fmt.server == 'nginx' else '%V, or %{Host}i,'} instead"
        yield defects.SERVER_HOST.found("its host is the first name of the virtual host", mend=mend)


def _log(fmt: LogFormat, role: str) -> str:
    """What to log for a role; empty where the server has no such field."""
    return f"log {fmt.advice[role]} as well" if role in fmt.advice else ""
