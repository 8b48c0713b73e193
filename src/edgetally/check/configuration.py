"""Tells which server's a configuration file is, and gives its findings, those of the files that it includes too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Callable

from edgetally.check.follow import together
from edgetally.check.servers import apache, haproxy, lighttpd, nginx, squid, trafficserver, varnish
from edgetally.check.servers.source import Source
from edgetally.errors import EdgetallyError, nearest
from edgetally.formats.finding import Finding

_MODULES: dict[str, Any] = {
    "nginx": nginx,
    "apache": apache,
    "squid": squid,
    "varnish": varnish,
    "trafficserver": trafficserver,
    "haproxy": haproxy,
    "lighttpd": lighttpd,
}
CHECKERS: dict[str, Callable[[Source], Iterator[Finding]]] = {name: module.check for name, module in _MODULES.items()}
# What stands at the beginning of a line in one server's files only. A log's lines begin with nothing of the kind.
_SIGNS = {
    "nginx": r"\s*(?:log_format|access_log)\s[^;#]*;|\s*log_format\s|\s*(?:http|server|events|stream)\s*\{|"
    r"\s*(?:include|server_name|listen|proxy_pass|proxy_cache_path)\s[^;{}#=]+;\s*(?:#.*)?$|"
    r"\s*(?:upstream|location|map|geo|split_clients)\s[^;{}]+\{",
    "apache": r"(?i:\s*LogFormat\s+[\"'%]|\s*(?:CustomLog|TransferLog|GlobalLog|BufferedLogs)\s|"
    r"\s*<(?:VirtualHost|Directory|Location|IfModule|IfDefine|Files|Proxy)(?:Match)?\s|"
    r"(?:ServerRoot|IncludeOptional|LoadModule|DocumentRoot)\s)",
    "varnish": r"(?!\s*#).*\bvarnishncsa\s+[-$\"']|DAEMON_OPTS=",
    "trafficserver": r"(?:logging|formats|logs):\s*$",
    "haproxy": r"(?:global|defaults|frontend|listen|backend|peers|resolvers|userlist|traces)\b[^:=;{]*$",
    "lighttpd": r"\s*(?:accesslog\.[\w-]+|server\.[\w-]+|index-file\.names|url\.[\w-]+)\s*\+?=|"
    r"include(?:_shell)?\s+\"|\$(?:HTTP|SERVER)\[",
    "squid": r"(?:logformat|access_log|logfile_rotate|buffered_logs|log_mime_hdrs|http_port|http_access|cache_dir|"
    r"cache_peer|refresh_pattern)\s+[^;]*$|include\s+/[^;\"]*$|acl\s+\w+\s+\w+",
}
# Servers whose files are known, and not looked at.
_OTHERS = {
    "Caddy": r"\s+(?:reverse_proxy|file_server|php_fastcgi|respond|encode|handle_path|output (?:file|stdout))\b|"
    r"\s+log\s*\{|\s*\"apps\"\s*:",
    "Traefik": r"(?:\[(?:entryPoints|accessLog|providers)|(?:entryPoints|accessLog|providers|certificatesResolvers):)",
    "Envoy": r"\s*(?:static_resources:|\"static_resources\"|- filter_chains:)|.*envoy\.(?:filters|access_loggers)",
    "nginx Unit": r"\s*\"listeners\"\s*:",
    "H2O": r"\s*(?:access-log|file\.dir|proxy\.reverse\.url):",
    "Tomcat": r"\s*<(?:Server\s+port|Valve\s|Connector\s)",
    "IIS": r"\s*<(?:system\.(?:webServer|applicationHost)|httpLogging|logFile)\b",
    "Varnish's VCL": r"vcl\s+\d",
}
# Lines as configurations have them, and logs do not.
_SETTING = re.compile(
    r"\s*(?:[#;].*|//.*|[\w.-]+\s*[:=](?:\s.*)?|[\w./-]+(?:\s[^\[]*)?[{;]|[{}\[\]()]+,?;?|\[[\w ./:-]+\]|"
    r"-\s+[\w.-]+(?::.*)?|\"[\w@$. -]+\"\s*:.*|</?[A-Za-z][^>]*>|[\w.-]+\s*=\s*\S.*)\s*$"
)


def server_of(text: str) -> str:
    """The server whose configuration a text is; empty where it is no configuration."""
    return next((name for name, sign in _SIGNS.items() if re.search(f"(?m)^(?:{sign})", text)), "")


def not_looked_at(text: str) -> str:
    """Whose configuration a text is that is not looked at, as words; empty where it seems to be none."""
    known = next((name for name, sign in _OTHERS.items() if re.search(f"(?m)^(?:{sign})", text)), "")
    if known and not _is_log(text):
        return f"configuration files of {known} are not looked at"
    rows = [line for line in text.splitlines() if line.strip()]
    settings = [line for line in rows if _SETTING.match(line)]
    alike = len(settings) >= 0.8 * len(rows) and any(not line.lstrip().startswith("#") for line in settings)
    return "it looks like a configuration, of a server whose files are not known" if rows and alike else ""


def _is_log(text: str) -> bool:
    """Whether a text is one JSON object a line, as a log is."""
    rows = [line for line in text.splitlines()[:-1] if line.strip()]
    return bool(rows) and all(line.startswith("{") and line.rstrip().endswith("}") for line in rows)


def check(source: Source, server: str = "") -> Iterator[Finding]:
    """The findings of a configuration file. server: the one that it is of, where that is known."""
    server = server or server_of(source.text)
    if server not in CHECKERS:
        close = nearest(server, CHECKERS)
        hint = f"did you mean '{close}'?" if close else f"they can be of {', '.join(CHECKERS)}"
        raise EdgetallyError(f"{source.path}: configuration files of '{server}' are not known: {hint}")
    return CHECKERS[server](source)


def check_all(sources: Sequence[Source], server: str = "") -> Iterator[Finding]:
    """The findings of some configuration files, and of what these include, each file in the light of the others."""
    by_server: dict[str, list[Source]] = {}
    for source in sources:
        by_server.setdefault(server or server_of(source.text), []).append(source)
    for name, named in by_server.items():
        group = together(named, _MODULES[name]) if name in _MODULES else named
        for source in group:
            yield from source.left
            yield from check(source, name)
