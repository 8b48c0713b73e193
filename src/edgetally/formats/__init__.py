"""Log formats: what a server's configuration says a line looks like, compiled to one strict regular expression.

A format is a list of parts, literals and fields, in the words of the server that writes the log: one module per server
cuts a pasted configuration into them (nginx, apache, squid, varnish, trafficserver, haproxy). From the parts come the
pattern that lines are read with (`pattern`, `clocks`), what of a line the tally needs (`log_format`), and the reason
why a line does not fit.
"""

from __future__ import annotations

from dataclasses import replace

from edgetally.errors import EdgetallyError
from edgetally.formats import apache, caddy, haproxy, squid, traefik, trafficserver, varnish
from edgetally.formats.detect import COMPILERS, SERVERS, is_pasted, server_of
from edgetally.formats.log_format import Key, LogFormat, Matcher
from edgetally.formats.values import nearest, normal_host, shorten

__all__ = [
    "FORMATS",
    "PASTED",
    "SERVERS",
    "Key",
    "LogFormat",
    "Matcher",
    "is_pasted",
    "nearest",
    "normal_host",
    "parse_format",
]

_CLF = '192.0.2.7 - frank [10/Oct/2026:13:55:36 -0700] "GET /a.gif HTTP/1.1" 200 2326'
_AGENT = '"https://example.com/" "Mozilla/5.0"'
_EXTENDED = (
    '192.0.2.7 - - [10/Oct/2026:13:55:36 -0700] "GET http://www.example.com/a.gif HTTP/1.1" 200 2326 200 2326 0 0 211 '
    "305 254 287 1"
)


def _named(fmt: LogFormat, name: str, description: str, example: str) -> LogFormat:
    return replace(fmt, name=name, description=description, example=example)


def _clf(name: str, description: str, example: str) -> LogFormat:
    """A format that several servers write, and of which it is not known which one did."""
    either = replace(
        apache.DIALECT,
        server="",
        advice={**apache.DIALECT.advice, "wire": "$bytes_sent or %O", "host": "$host or %v"},
        logs_start=False,
    )
    return _named(apache.compile_apache(apache.NAMED[name], either), name, description, example)


def _of_trafficserver(name: str, description: str, example: str) -> LogFormat:
    fmt = trafficserver.compile_trafficserver(trafficserver.NAMED[name])
    return _named(fmt, f"trafficserver_{name}", f"Traffic Server's {description}", example)


FORMATS: dict[str, LogFormat] = {
    log_format.name: log_format
    for log_format in (
        _clf("combined", "nginx's and Apache's default access log", f"{_CLF} {_AGENT}"),
        _clf("common", "the Common Log Format, without referer and agent", _CLF),
        _named(
            apache.compile_apache(apache.NAMED["vhost_combined"]),
            "vhost_combined",
            "Debian's Apache: combined with virtual host and port in front, bytes on the wire",
            f"www.example.com:443 {_CLF} {_AGENT}",
        ),
        squid.native(),
        _named(
            varnish.compile_varnish(varnish.DEFAULT),
            "varnish",
            "varnishncsa's default: combined, with the whole URL in the request",
            f"{_CLF} {_AGENT}".replace("GET /", "GET http://www.example.com/"),
        ),
        _of_trafficserver(
            "squid",
            "log like squid's",
            "1780000000.123 37 192.0.2.7 TCP_HIT/200 4083 GET http://example.com/a.gif - NONE/- image/gif",
        ),
        _of_trafficserver("extended", "Netscape extended log", _EXTENDED),
        _of_trafficserver("extended2", "Netscape extended 2 log", f"{_EXTENDED} NONE FIN FIN TCP_HIT"),
        haproxy.http_log(),
        traefik.clf(),
        traefik.json(),
        caddy.access_log(),
    )
}
# What can be pasted of each server: its directive, and one that makes a right bill. What a client sends stands last, in
# quotes where the server leaves its blanks. Squid cuts a line at 8,191 bytes: its URL is kept shorter than that.
PASTED: dict[str, tuple[str, str]] = {
    "nginx": (
        "log_format",
        """log_format edgetally '$msec $request_time $status $bytes_sent $upstream_cache_status $host "$request"';""",
    ),
    "apache": ("LogFormat", r'LogFormat "%t %D %>s %O %a \"%V\" \"%r\"" edgetally'),
    "squid": ("logformat", "logformat edgetally %ts.%03tu %tr %Ss/%03>Hs %<st %>a %Sh %rm %.4000ru"),
    "varnish": (
        "varnishncsa -F",
        """varnishncsa -F '%t %D %s %O %{Varnish:handling}x "%{Host}i" "%r"'""",
    ),
    "trafficserver": (
        "a format of logging.yaml",
        "format: '%<cqtq> %<ttms> %<chi> %<crc>/%<pssc> %<psql> %<cqhm> %<cquuc>'",
    ),
    "haproxy": (
        "log-format",
        'log-format "[%trl] %Ta %ST %B %[res.cache_hit] %ci %{+Q}[var(txn.host)] %{+Q}r"',
    ),
    "lighttpd": ("accesslog.format", r'accesslog.format = "%t %D %>s %O %h \"%V\" \"%r\""'),
    "w3c": ("the log's #Fields:", "#Fields: date time cs-host cs-method cs-uri-stem sc-status sc-bytes time-taken"),
}
# What a server's own documentation calls its formats, where another server has the same name.
_NICKNAMES = {
    "apache": apache.NAMED,
    "lighttpd": apache.NAMED,
    "squid": {name: text for name, text in squid.NAMED.items() if name != "squid"},
    "trafficserver": trafficserver.NAMED,
    "varnish": varnish.NAMED,
}


def parse_format(text: str, server: str = "") -> LogFormat:
    """The format that a configuration names or pastes: a key of FORMATS, or what the server's configuration says.

    text: `combined`, or a log_format, LogFormat, logformat, log-format, `varnishncsa -F` or logging.yaml format: the
    whole directive, its quoted string, or the bare format. server: what writes the log, one of SERVERS, where known.
    Raises EdgetallyError for what cannot be read, and where it cannot be told whose format it is.
    """
    text = text.strip()
    if server and server not in SERVERS:
        close = nearest(server, SERVERS)
        hint = f"did you mean '{close}'?" if close else f"name one of {', '.join(SERVERS)}"
        raise EdgetallyError(f"server '{shorten(server)}' is not known: {hint}")
    nickname = _NICKNAMES.get(server, {}).get(text)
    if nickname is not None:
        return replace(COMPILERS[server](nickname), name=text)
    if text in FORMATS:
        named = FORMATS[text]
        if named.server and server and named.server != server:
            raise EdgetallyError(
                f"format '{text}' is {named.server}'s, but the log's server is '{server}': correct one of them"
            )
        return named
    if not is_pasted(text):
        close = nearest(text.lower(), FORMATS)
        hint = f"did you mean '{close}'?" if close else f"name one of {', '.join(FORMATS)}, or paste the server's own"
        raise EdgetallyError(f"format '{shorten(text)}' is not known: {hint}")
    return COMPILERS[server_of(text, server)](text)
