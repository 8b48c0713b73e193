"""The formats that are known by name, and `parse_format`, which reads a name or a pasted configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from edgetally.errors import EdgetallyError, nearest
from edgetally.formats.detect import COMPILERS, SERVERS, is_pasted, later, module_of, server_of
from edgetally.formats.log_format import LogFormat
from edgetally.formats.values import shorten

_CLF = '192.0.2.7 - frank [10/Oct/2026:13:55:36 -0700] "GET /a.gif HTTP/1.1" 200 2326'
_AGENT = '"https://example.com/" "Mozilla/5.0"'
_EXTENDED = (
    '192.0.2.7 - - [10/Oct/2026:13:55:36 -0700] "GET http://www.example.com/a.gif HTTP/1.1" 200 2326 200 2326 0 0 211 '
    "305 254 287 1"
)


# Where nginx and Apache have different fields
_EITHERS_ADVICE = {"wire": "$bytes_sent or %O", "host": "$host or %v", "duration": "$request_time or %D"}


class _Known(Mapping[str, LogFormat]):
    """The formats that have a name. Each is compiled when it is asked for."""

    def __init__(self, makers: dict[str, Callable[[], LogFormat]]) -> None:
        self._makers = makers
        self._made: dict[str, LogFormat] = {}

    def __getitem__(self, name: str) -> LogFormat:
        if name not in self._made:
            self._made[name] = self._makers[name]()._replace(name=name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def _nicknames(server: str) -> dict[str, str]:
    """A server's formats by the names in its own documentation, which other servers may use for theirs."""
    if server not in ("apache", "lighttpd", "squid", "trafficserver", "varnish"):
        return {}
    named: dict[str, str] = module_of("apache" if server == "lighttpd" else server).NAMED
    return {name: text for name, text in named.items() if (server, name) != ("squid", "squid")}


def _compiled(server: str, nickname: str, description: str, example: str) -> LogFormat:
    return COMPILERS[server](_nicknames(server)[nickname])._replace(description=description, example=example)


def _either(nickname: str, description: str, example: str) -> LogFormat:
    """A format that several servers write, and of which it is not known which one did."""
    apache = module_of("apache")
    dialect = apache.DIALECT._replace(
        server="",
        advice={**apache.DIALECT.advice, **_EITHERS_ADVICE},
        logs_start=False,
    )
    fmt: LogFormat = apache.compile_apache(apache.NAMED[nickname], dialect)
    return fmt._replace(description=description, example=example)


FORMATS: Mapping[str, LogFormat] = _Known(
    {
        "combined": lambda: _either("combined", "nginx's and Apache's default access log", f"{_CLF} {_AGENT}"),
        "common": lambda: _either("common", "the Common Log Format, without referer and agent", _CLF),
        "vhost_combined": lambda: _compiled(
            "apache",
            "vhost_combined",
            "Debian's Apache: combined with virtual host and port in front, bytes on the wire",
            f"www.example.com:443 {_CLF} {_AGENT}",
        ),
        "squid": later("squid", "native"),
        "varnish": lambda: _compiled(
            "varnish",
            "varnish",
            "varnishncsa's default: combined, with the whole URL in the request",
            f"{_CLF} {_AGENT}".replace("GET /", "GET http://www.example.com/"),
        ),
        "trafficserver_squid": lambda: _compiled(
            "trafficserver",
            "squid",
            "Traffic Server's log like squid's",
            "1780000000.123 37 192.0.2.7 TCP_HIT/200 4083 GET http://example.com/a.gif - NONE/- image/gif",
        ),
        "trafficserver_extended": lambda: _compiled(
            "trafficserver",
            "extended",
            "Traffic Server's Netscape extended log",
            _EXTENDED,
        ),
        "trafficserver_extended2": lambda: _compiled(
            "trafficserver",
            "extended2",
            "Traffic Server's Netscape extended 2 log",
            f"{_EXTENDED} NONE FIN FIN TCP_HIT",
        ),
        "haproxy": later("haproxy", "http_log"),
        "haproxy_https": later("haproxy", "https_log"),
        "haproxy_clf": later("haproxy", "clf_log"),
        "traefik": later("traefik", "clf"),
        "alb": later("aws", "alb"),
        "s3": later("aws", "s3"),
        **{
            name: partial(later("json", "preset"), name)
            for name in (
                *("traefik_json", "caddy", "ingress_nginx"),
                *("cloudflare", "fastly", "bunny", "azure_front_door", "google_lb"),
            )
        },
    }
)
# For each server whose formats can be pasted: the name of its directive, and an example that makes a right bill. What a
# client sends stands last, in quotes where the server leaves its blanks. Squid cuts a line at 8,191 bytes: its URL is
# kept shorter than that.
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
    "json": (
        "JSON by the names of its members, --format json --fields",
        "json time=ts,bytes=size,host=request.host,path=request.uri,duration=duration:ms,hit=cache:HIT,STALE",
    ),
    "w3c": ("the log's #Fields:", "#Fields: date time cs-host cs-method cs-uri-stem sc-status sc-bytes time-taken"),
}


def parse_format(text: str, server: str = "", hit: str = "") -> LogFormat:
    """The format that a configuration names or pastes: a key of FORMATS, or what the server's configuration says.

    text: `combined`, or a log_format, LogFormat, logformat, log-format, `varnishncsa -F` or logging.yaml format: the
    whole directive, its quoted string, or the bare format. server: what writes the log, one of SERVERS, where known.
    hit: the field and the words that are hits, where the operator names them. Raises EdgetallyError for what cannot be
    read, and where it cannot be told whose format it is.
    """
    return _parse(text.strip(), server).with_hit(hit)


def _parse(text: str, server: str) -> LogFormat:
    if server and server not in SERVERS:
        close = nearest(server, SERVERS)
        hint = f"did you mean '{close}'?" if close else f"name one of {', '.join(SERVERS)}"
        raise EdgetallyError(f"server '{shorten(server)}' is not known: {hint}")
    if not is_pasted(text) and text in _nicknames(server):
        return COMPILERS[server](_nicknames(server)[text])._replace(name=text)
    if text == "json":
        raise EdgetallyError("format json needs fields: give --fields time=MEMBER,bytes=MEMBER,host=MEMBER and so on")
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
