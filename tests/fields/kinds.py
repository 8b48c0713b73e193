"""How each server logs one field after the other: what stands before it, what the server is told, how it is started."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Callable, NamedTuple

from tests.support import servers
from tests.support.odd_traffic import HOST, Origin

Formats = Mapping[str, tuple[str, ...]]
Start = Callable[[Path, Origin, Formats, int], AbstractContextManager[servers.Server]]
END = "END"
MAIN, SECOND = "main", "second"  # ports


class Kind(NamedTuple):
    """One server. base: by the roles that they have, the fields that stand before the one that is tried.

    start: starts it with a log for each format, a format being its fields, which blanks part, and given a second port.
    together: it has one log for all of them, with a mark before each field: `split` makes the logs. http2, tunnel: the
    port that takes these, where one does. lacks: how many bytes a response may lack, framing: it lacks that of chunks.
    """

    base: Mapping[str, str]
    start: Start
    together: bool = False
    http2: str = ""
    tunnel: str = ""
    lacks: int = 0
    framing: bool = True


@contextmanager
def squid(folder: Path, behind: Origin, formats: Formats, second: int) -> Iterator[servers.Server]:
    lines = [f"logformat {name} {' '.join(fields)}" for name, fields in formats.items()]
    lines += [f"access_log stdio:{{folder}}/{name}.log {name}" for name in formats]
    (folder / "hosts").write_text(f"{HOST} tunnel.test\n")
    config = (
        "\n".join(lines)
        + f"""
http_port {HOST}:{{port}} accel allow-direct
http_port [::1]:{{port}} accel
http_port {HOST}:{second}
cache_peer {HOST} parent {behind.port} 0 no-query originserver
hosts_file {{folder}}/hosts
acl tunnels method CONNECT
always_direct allow tunnels
never_direct allow !tunnels
http_access allow all
strip_query_terms off
buffered_logs off
"""
    )
    with servers.squid(config, folder) as server:
        yield server


@contextmanager
def nginx(folder: Path, behind: Origin, formats: Formats, second: int) -> Iterator[servers.Server]:
    lines = [f"log_format {name} '{' '.join(fields)}';" for name, fields in formats.items()]
    lines += [f"access_log {{folder}}/{name}.log {name};" for name in formats]
    config = (
        "\n".join(lines)
        + f"""
        proxy_cache_path {{folder}}/cache keys_zone=z:1m;
        upstream origins {{
            server {HOST}:{behind.port};
        }}
        upstream first {{
            server {HOST}:{servers.free_port()} max_fails=0;
            server {HOST}:{behind.port} backup;
        }}
        server {{
            listen {HOST}:{{port}};
            listen [::1]:{{port}};
            listen {HOST}:{second} http2;
            proxy_cache z;
            proxy_cache_key $host$request_uri;
            proxy_set_header Host $host;
            proxy_http_version 1.1;
            proxy_ignore_client_abort off;
            location / {{
                proxy_pass http://origins;
            }}
            location /retried/ {{
                rewrite ^/retried(.*) $1 break;
                proxy_pass http://first;
            }}
        }}"""
    )
    with servers.nginx(config, folder) as server:
        yield server


@contextmanager
def apache(folder: Path, behind: Origin, formats: Formats, second: int) -> Iterator[servers.Server]:
    lines = [f'LogFormat "{_escaped(fields)}" {name}' for name, fields in formats.items()]
    lines += [f"GlobalLog {{folder}}/{name}.log {name}" for name in formats]
    config = (
        "\n".join(lines)
        + f"""
        Listen {HOST}:{{port}}
        Listen [::1]:{{port}}
        Protocols h2c http/1.1
        UseCanonicalName Off
        LogIOTrackTTFB on
        CacheQuickHandler off
        CacheEnable disk /
        CacheRoot {{folder}}/cache
        CacheHeader on
        CacheIgnoreNoLastMod on
        ProxyRequests on
        AllowCONNECT 1-65535
        ProxyPass / http://{HOST}:{behind.port}/
        ProxyPreserveHost On
        """
    )
    (folder / "cache").mkdir(exist_ok=True)
    (folder / "cache").chmod(0o777)
    modules = ("proxy", "proxy_http", "proxy_connect", "http2", "cache", "cache_disk", "ssl")
    with servers.apache(config, folder, modules=modules) as server:
        yield server


def _escaped(fields: tuple[str, ...]) -> str:
    return " ".join(fields).replace("\\", "\\\\").replace('"', '\\"')


@contextmanager
def lighttpd(folder: Path, behind: Origin, formats: Formats, second: int) -> Iterator[servers.Server]:
    config = f"""
server.modules = ("mod_accesslog", "mod_proxy")
server.document-root = "{{folder}}"
server.bind = "{HOST}"
server.port = {{port}}
$SERVER["socket"] == "[::1]:{{port}}" {{ }}
accesslog.format = "{_escaped((marked(formats),))}"
accesslog.filename = "{{folder}}/all.log"
proxy.server = ("" => (("host" => "{HOST}", "port" => {behind.port})))
"""
    with servers.lighttpd(config, folder) as server:
        yield server


@contextmanager
def varnish(folder: Path, behind: Origin, formats: Formats, second: int) -> Iterator[servers.Server]:
    vcl = f"""vcl 4.1;
import std;
backend behind {{ .host = "{HOST}"; .port = "{behind.port}"; }}
sub vcl_recv {{ std.log("key:a b"); }}
"""
    arguments = ("-a", "[::1]:{port}", "-p", "feature=+http2")
    with servers.varnish(vcl, {"all": marked(formats)}, folder, arguments=arguments) as server:
        yield server


@contextmanager
def haproxy(folder: Path, behind: Origin, formats: Formats, second: int) -> Iterator[servers.Server]:
    config = f"""
global
    log stdout len 65535 format raw local0
    maxconn 200
    tune.bufsize 65536
defaults
    mode http
    log global
    timeout client 30s
    timeout server 30s
    timeout connect 5s
    timeout http-request 1s
    unique-id-format %{{+X}}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
cache small
    total-max-size 16
    max-age 600
frontend edge
    bind {HOST}:{{port}}
    bind [::1]:{{port}}
    bind {HOST}:{second} proto h2
    capture request header User-Agent len 64
    capture response header ETag len 64
    http-request set-var(txn.host) req.hdr(host)
    log-format "{marked(formats)}"
    http-request cache-use small
    http-response cache-store small
    default_backend origin
backend origin
    server behind {HOST}:{behind.port}
"""
    with servers.haproxy(config, folder) as server:
        (folder / "all.log").symlink_to(server.log)
        yield server


@contextmanager
def trafficserver(folder: Path, behind: Origin, formats: Formats, second: int) -> Iterator[servers.Server]:
    lines = [f"    - {{name: {name}, format: '{' '.join(fields)}'}}" for name, fields in formats.items()]
    logs = [f"    - {{filename: {name}, format: {name}, mode: ascii, rolling_enabled: 0}}" for name in formats]
    logging = "\n".join(("logging:", "  formats:", *lines, "  logs:", *logs)) + "\n"
    settings = (
        *("url_remap.pristine_host_hdr INT 1", "url_remap.remap_required INT 0"),
        *(f"http.connect_ports STRING {behind.port}", "http.transaction_no_activity_timeout_in INT 3"),
    )
    with servers.trafficserver(f"{HOST}:{behind.port}", logging, folder, settings=settings) as server:
        yield server


def marked(formats: Formats) -> str:
    """All fields of all formats, each once, with a mark before it."""
    fields = dict.fromkeys(field for fields in formats.values() for field in fields)
    return " ".join(f"~{number}~ {field}" for number, field in enumerate(fields)) + " ~END~"


def split(folder: Path, formats: Formats) -> None:
    """Make the log of each format from the one that has all fields."""
    fields = list(dict.fromkeys(field for fields in formats.values() for field in fields))
    for name in formats:
        (folder / f"{name}.log").write_bytes(b"")
    for line in (folder / "all.log").read_bytes().splitlines():
        values = {fields[int(mark[1])]: mark[2] for mark in _MARKED.finditer(line)}
        for name, wanted in formats.items() if values else ():
            with (folder / f"{name}.log").open("ab") as log:
                log.write(b" ".join(values[field] for field in wanted if values[field] is not None) + b"\n")


_MARKED = re.compile(rb"~(\d+)~ (?:(.*?) )??(?=~(?:\d+|END)~)", re.S)  # HAProxy writes one blank around nothing
KINDS = {
    "apache": Kind(
        {
            "time": "%{end:usec}t",
            "duration": "%D",
            "": "%>s",
            "size": "%O",
            "hit": '"%{X-Cache}o"',
            "host": '"%V"',
            "path": '"%r"',
        },
        apache,
        http2=MAIN,
        tunnel=MAIN,
    ),
    "lighttpd": Kind(
        {"time": "%t", "duration": "%D", "": "%>s", "size": "%O", "host": '"%V"', "path": '"%r"'},
        lighttpd,
        together=True,
        http2=MAIN,
    ),
    "varnish": Kind(
        {
            "time": "%t",
            "duration": "%D",
            "": "%s",
            "size": "%O",
            "hit": "%{Varnish:handling}x",
            "host path": '"%r"',
        },
        varnish,
        together=True,
        http2=MAIN,
        framing=False,
    ),
    "haproxy": Kind(
        {
            "time": "[%trl]",
            "duration": "%Ta",
            "": "%ST",
            "size": "%B",
            "hit": "%[res.cache_hit]",
            "host": "%{+Q}[var(txn.host)]",
            "path": "%{+Q}r",
        },
        haproxy,
        together=True,
        http2=SECOND,
        lacks=28,
        framing=False,
    ),
    "trafficserver": Kind(
        {
            "time": "%<cqtq>",
            "duration": "%<ttms>",
            "": "%<pssc>",
            "size": "%<psql>",
            "hit": "%<crc>",
            "host path": "%<cquuc>",
        },
        trafficserver,
        tunnel=MAIN,
    ),
    "nginx": Kind(
        {
            "time": "$msec",
            "duration": "$request_time",
            "hit": "$upstream_cache_status",
            "": "$status",
            "size": "$bytes_sent",
            "host": "$host",
            "path": '"$request"',
        },
        nginx,
        http2=SECOND,
    ),
    "squid": Kind(
        {"time": "%ts.%03tu", "duration": "%tr", "hit": "%Ss", "": "%03>Hs", "size": "%<st", "host path": "%rm %ru"},
        squid,
        tunnel=SECOND,
    ),
}
