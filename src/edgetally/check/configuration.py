"""Tells which server's a configuration file is, and gives its findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Callable

from edgetally.check.servers import apache, haproxy, lighttpd, nginx, squid, trafficserver, varnish
from edgetally.check.servers.source import Source
from edgetally.errors import EdgetallyError, nearest
from edgetally.formats.finding import Finding

CHECKERS: dict[str, Callable[[Source], Iterator[Finding]]] = {
    "nginx": nginx.check,
    "apache": apache.check,
    "squid": squid.check,
    "varnish": varnish.check,
    "trafficserver": trafficserver.check,
    "haproxy": haproxy.check,
    "lighttpd": lighttpd.check,
}
# What stands at the beginning of a line in one server's files only. A log's lines begin with nothing of the kind.
_SIGNS = {
    "nginx": r"\s*(?:log_format|access_log)\s[^;#]*;|\s*log_format\s|\s*(?:http|server|events)\s*\{",
    "apache": r"(?i:\s*LogFormat\s+[\"'%]|\s*(?:CustomLog|TransferLog|GlobalLog|BufferedLogs)\s|\s*<VirtualHost\s)",
    "varnish": r"(?!\s*#).*\bvarnishncsa\s+-|DAEMON_OPTS=",
    "trafficserver": r"(?:logging|formats|logs):\s*$",
    "haproxy": r"(?:global|defaults|frontend|listen)\b[^:=;{]*$",
    "lighttpd": r"\s*(?:accesslog\.[\w-]+|server\.(?:modules|document-root))\s*\+?=",
    "squid": r"(?:logformat|access_log|logfile_rotate|buffered_logs|log_mime_hdrs|http_port|http_access)\s+[^;]*$",
}


def server_of(text: str) -> str:
    """The server whose configuration a text is; empty where it is no configuration."""
    return next((name for name, sign in _SIGNS.items() if re.search(f"(?m)^(?:{sign})", text)), "")


def check(source: Source, server: str = "") -> Iterator[Finding]:
    """The findings of a configuration file. server: the one that it is of, where that is known."""
    server = server or server_of(source.text)
    if server not in CHECKERS:
        close = nearest(server, CHECKERS)
        hint = f"did you mean '{close}'?" if close else f"they can be of {', '.join(CHECKERS)}"
        raise EdgetallyError(f"{source.path}: configuration files of '{server}' are not known: {hint}")
    return CHECKERS[server](source)
