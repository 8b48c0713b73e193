"""Real web servers, odd traffic: what their logs are tallied to is what the clients received.

A server writes logs of several formats at once, and beside them one of bare sizes, which says by itself what the sum
is. The traffic comes once for all. Every kind of request has a host of its own, see tests/support/odd_traffic.py.
"""

from __future__ import annotations

import collections
import dataclasses
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edgetally.formats.catalogue import PASTED, parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.formats.servers.squid import NATIVE as SQUID_NATIVE
from edgetally.formats.servers.trafficserver import NAMED as TRAFFICSERVER_NAMED
from edgetally.tally.count import tally
from edgetally.tally.result import Tally
from tests.integration.conftest import wait_for
from tests.support import servers
from tests.support.odd_traffic import BIG, HOST, LAST, Crowd, Origin, Seen, get, make_odd_traffic, origin
from tests.support.result import by_host

RECOMMENDED = {server: text for server, (_, text) in PASTED.items()}


@dataclasses.dataclass(frozen=True)
class Kind:
    """How one server logs.

    formats: by a log's name, what edgetally is told of it. refused: visits that are not booked to their host, since the
    server refuses them before it knows it; by a log's name, "" for all. lines: how many it writes, one a request.
    rejected: by a log's name, the visits whose lines cannot be read. interim, framing: whether the size has `100
    Continue` and chunks' sizes. lacks: how many bytes of a response the size may lack, and all of an answer to what
    cannot be read. bare: whether there are logs of bare sizes beside the others; hits: whether hits are told.
    """

    formats: dict[str, str]
    refused: dict[str, str]
    lines: int
    rejected: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    interim: bool = True
    framing: bool = True
    lacks: int = 0
    bare: bool = True
    hits: bool = True


@dataclasses.dataclass
class Run:
    """What was seen and logged of one server. last_part: a moment before the slow transfer ended, epoch seconds."""

    server: str
    kind: Kind
    folder: Path
    seen: dict[str, Seen]
    asked: collections.Counter[str]
    last_part: float

    def tally(self, name: str) -> tuple[LogFormat, Tally]:
        """The format of a log, and what the log is tallied to."""
        fmt = parse_format(self.kind.formats[name], self.server.partition(" ")[0])
        return fmt, tally([self.folder / f"{name}.log"], fmt, None)

    def sizes(self, name: str) -> int:
        """The sum of a log of bare sizes."""
        lines = (self.folder / f"{name}.log").read_text().splitlines()
        return sum(int(line) for line in lines if line != "-")

    def logged(self, name: str) -> int:
        """The bytes that a log has of a visit that stayed until its end."""
        seen = self.seen[name]
        return seen.bytes - (not self.kind.interim) * seen.interim - (not self.kind.framing) * seen.framing


NGINX = Kind(
    {
        "combined": "combined",
        "edgetally": RECOMMENDED["nginx"],
        "json": """log_format json escape=json '{"time":"$time_iso8601","host":"$host","request":"$request",'
            '"user":"$remote_user","agent":"$http_user_agent","bytes":$bytes_sent,"cache":"$upstream_cache_status"}';""",
        "csv": """log_format csv '$time_local,"$host",$status,$bytes_sent,$upstream_cache_status,"$request",'
            '"$http_referer","$http_user_agent"';""",
        "uri": """log_format uri '$msec $bytes_sent "$host$request_uri" $upstream_cache_status "$http_user_agent"';""",
    },
    refused={"": 'urlcontrol urltab urlspace forged userinfo options get ge"t connect nopath toolong'},
    lines=84,  # none of a connection without a byte
    # A user whose name has a [ and a digit looks like a record that was cut off; the recommended format has no user.
    rejected={"combined": ("user.test", "user.test")},
)


@contextmanager
def nginx(folder: Path, behind: Origin) -> Iterator[servers.Server]:
    texts = "\n".join(text for text in NGINX.formats.values() if text != "combined")
    logs = "\n".join(f"access_log {{folder}}/{name}.log {name};" for name in (*NGINX.formats, "wire", "body"))
    config = f"""
        {texts}
        log_format wire '$bytes_sent';
        log_format body '$body_bytes_sent';
        {logs}
        proxy_cache_path {{folder}}/cache keys_zone=z:1m;
        client_header_timeout 1s;
        server {{
            listen {HOST}:{{port}};
            listen [::1]:{{port}};
            location / {{
                proxy_pass http://{HOST}:{behind.port};
                proxy_cache z;
                proxy_cache_key $host$request_uri;
                proxy_set_header Host $host;
                proxy_http_version 1.1;
            }}
        }}"""
    with servers.nginx(config, folder) as server:
        yield server


APACHE = Kind(
    {
        "combined": "combined",
        "vhost_combined": "vhost_combined",
        "edgetally": RECOMMENDED["apache"],
        "json": r"{\"time\":\"%{%Y-%m-%dT%H:%M:%S%z}t\",\"us\":%D,\"host\":\"%{Host}i\",\"request\":\"%r\","
        r"\"bytes\":%O,\"agent\":\"%{User-Agent}i\"}",
        "csv": r"%{end:usec}t,%>s,%O,\"%{Host}i\",\"%r\",\"%{User-Agent}i\"",
    },
    # What it refuses goes to the server's name where %V is logged, else to the Host header that came.
    refused={"": 'urlcontrol urltab urlspace forged timeout ge"t nopath toolong', "edgetally": "controls headers"},
    lines=84,  # none of a connection without a byte
    hits=False,
)


@contextmanager
def apache(folder: Path, behind: Origin) -> Iterator[servers.Server]:
    own = {
        "combined": r"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\"",
        "vhost_combined": r"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-agent}i\"",
    }
    texts = {**APACHE.formats, **own, "wire": "%O", "body": "%b"}
    lines = [text if text.startswith("LogFormat") else f'LogFormat "{text}" {name}' for name, text in texts.items()]
    lines += [f"GlobalLog {{folder}}/{name}.log {name}" for name in texts]
    config = (
        "\n".join(lines)
        + f"""
        Listen {HOST}:{{port}}
        Listen [::1]:{{port}}
        UseCanonicalName Off
        RequestReadTimeout header=1 body=1
        ProxyPass / http://{HOST}:{behind.port}/
        ProxyPreserveHost On
        """
    )
    with servers.apache(config, folder, modules=("reqtimeout", "proxy", "proxy_http")) as server:
        yield server


SQUID = Kind(
    {
        "squid": "squid",
        "common": "common",
        "combined": "combined",
        "edgetally": RECOMMENDED["squid"],
        "csv": '%ts.%03tu,%tr,%Ss,%<st,"%rm","%ru","%#{User-Agent}>h"',
        "json": '{"time":%ts.%03tu,"ms":%tr,"cache":"%Ss","status":%>Hs,"bytes":%<st,"url":"%ru",'
        '"agent":"%#{User-Agent}>h"}',
    },
    refused={"": 'urlcontrol timeout options ge"t connect nopath toolong headers'},
    lines=88,  # NONE_NONE/000, of connections without a request, and after requests that were refused
    rejected={
        # It writes these headers between quotes, as they come.
        "combined": ("quotes.test", "backslash.test", "controls.test", "forged.test"),
        # Escaped, this agent is too long for a line: it is cut.
        "csv": ("longagent.test",),
        "json": ("longagent.test",),
    },
    interim=False,
)


@contextmanager
def squid(folder: Path, behind: Origin) -> Iterator[servers.Server]:
    own = ("squid", "common", "combined")
    texts = {**{name: text for name, text in SQUID.formats.items() if name not in own}, "wire": "%<st"}
    lines = [text if text.startswith("logformat") else f"logformat {name} {text}" for name, text in texts.items()]
    lines += [f"access_log stdio:{{folder}}/{name}.log {name}" for name in (*own, *texts)]
    config = (
        "\n".join(lines)
        + f"""
http_port {HOST}:{{port}} accel
http_port [::1]:{{port}} accel
cache_peer {HOST} parent {behind.port} 0 no-query originserver
never_direct allow all
http_access allow all
strip_query_terms off
request_start_timeout 1 second
request_timeout 1 second
buffered_logs off
"""
    )
    with servers.squid(config, folder) as server:
        yield server


VARNISH = Kind(
    {
        "varnish": "varnish",
        "edgetally": RECOMMENDED["varnish"],
        "json": '{"time":"%{%Y-%m-%dT%H:%M:%S%z}t","us":%D,"bytes":%O,"cache":"%{Varnish:hitmiss}x","host":"%{Host}i",'
        '"url":"%U%q","agent":"%{User-Agent}i"}',
        "csv": '%t,%s,%O,%D,%{Varnish:handling}x,"%{Host}i","%r","%{User-Agent}i"',
    },
    # Of what it refuses it logs no header. It knows an absolute URI only by its path and http://.
    refused={
        "": "controls urlcontrol urltab urlspace forged timeout toolong headers "
        'absolutepath absolutehttps ge"t'  # `ge"t.test` is a host like any other, but a line cannot hold its quote
    },
    lines=78,  # none of what sends no line
    rejected={"varnish": ("user.test", "user.test")},  # as nginx's combined
    framing=False,
)


@contextmanager
def varnish(folder: Path, behind: Origin) -> Iterator[servers.Server]:
    default = '%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-agent}i"'
    pasted = RECOMMENDED["varnish"].removeprefix("varnishncsa -F '").removesuffix("'")
    texts = {**VARNISH.formats, "varnish": default, "edgetally": pasted, "wire": "%O", "body": "%b"}
    vcl = f'vcl 4.1; backend behind {{ .host = "{HOST}"; .port = "{behind.port}"; }}'
    with servers.varnish(vcl, texts, folder, arguments=("-a", "[::1]:{port}", "-p", "timeout_idle=1")) as server:
        yield server


TRAFFICSERVER = Kind(
    {
        "edgetally": RECOMMENDED["trafficserver"],
        "squid": TRAFFICSERVER_NAMED["squid"],
        "extended2": TRAFFICSERVER_NAMED["extended2"],
        "json": '{"time":%<cqtq>,"ms":%<ttms>,"cache":"%<crc>","bytes":%<psql>,"url":"%<cquuc>",'
        '"agent":"%<{User-Agent}ecqh>"}',
        "csv": '%<cqtq>,%<ttms>,%<psql>,%<crc>,"%<{Host}cqh>","%<cquuc>"',
    },
    # It answers `[::1]` by a spelling of its own.
    refused={
        "": 'urlcontrol urltab urlspace forged timeout options ge"t toolong utf8 blank [::1]',
        "edgetally": "controls nopath headers",
        "json": "controls nopath headers connect",
    },
    lines=84,  # none of a connection without a byte
    # It writes headers between quotes as they come, and URLs in `extended2` too.
    rejected={
        "extended2": ("quotes.test", "odd host 1", "odd host 3", "longquote.test"),
        "csv": ("odd host 1", "odd host 3"),
    },
    interim=False,
)


@contextmanager
def trafficserver(folder: Path, behind: Origin) -> Iterator[servers.Server]:
    texts = {**TRAFFICSERVER.formats, "wire": "%<psql>", "body": "%<pscl>"}
    lines = [f"    - {{name: {name}, {_logging_yaml(text)}}}" for name, text in texts.items()]
    logs = [f"    - {{filename: {name}, format: {name}, mode: ascii, rolling_enabled: 0}}" for name in texts]
    logging = "\n".join(("logging:", "  formats:", *lines, "  logs:", *logs)) + "\n"
    settings = ("url_remap.pristine_host_hdr INT 1", "http.transaction_no_activity_timeout_in INT 1")
    with servers.trafficserver(f"{HOST}:{behind.port}", logging, folder, settings=settings) as server:
        yield server


def _logging_yaml(text: str) -> str:
    return text if text.startswith("format:") else f"format: '{text}'"


HAPROXY = Kind(
    {"edgetally": RECOMMENDED["haproxy"]},
    # What it cannot read it logs as <BADREQ>, without a host, and answers with bytes that it does not count.
    refused={
        "": "absolute absolutehttps absolutepath userinfo urlcontrol urltab urlspace forged timeout "
        'ge"t nopath toolong utf8 headers badchunk'
    },
    lines=85,
    framing=False,
    lacks=28,
    bare=False,
)
HAPROXY_HTTPLOG = dataclasses.replace(HAPROXY, formats={"haproxy": "haproxy"}, hits=False)


@contextmanager
def haproxy(folder: Path, behind: Origin, logging: tuple[str, ...] = ()) -> Iterator[servers.Server]:
    host = "http-request set-var(txn.host) req.hdr(host),regsub('[^][A-Za-z0-9.:_-]','?',g)"
    logging = logging or (host, RECOMMENDED["haproxy"])
    config = f"""
global
    log stdout len 16384 format raw local0
    maxconn 200
    tune.http.logurilen 9000
defaults
    mode http
    log global
    timeout client 30s
    timeout server 30s
    timeout connect 5s
    timeout http-request 1s
cache small
    total-max-size 16
    max-age 600
frontend edge
    bind {HOST}:{{port}}
    bind [::1]:{{port}}
    {logging[0]}
    {logging[1]}
    http-request cache-use small
    http-response cache-store small
    default_backend origin
backend origin
    server behind {HOST}:{behind.port}
"""
    name = next(iter(HAPROXY.formats if RECOMMENDED["haproxy"] in logging else HAPROXY_HTTPLOG.formats))
    with servers.haproxy(config, folder) as server:
        (folder / f"{name}.log").symlink_to(server.log)
        yield server


@contextmanager
def haproxy_httplog(folder: Path, behind: Origin) -> Iterator[servers.Server]:
    with haproxy(folder, behind, ("option httplog", "capture request header Host len 64")) as server:
        yield server


LIGHTTPD = Kind(
    {"edgetally": RECOMMENDED["lighttpd"]},
    refused={
        "": "absolute absolutehttps absolutepath userinfo urlcontrol urltab timeout brew connect controls "
        'ge"t get blank nopath toolong utf8 headers'
    },
    lines=81,  # none of a connection without a whole request
    bare=False,
    hits=False,
)


@contextmanager
def lighttpd(folder: Path, behind: Origin) -> Iterator[servers.Server]:
    config = f"""
server.modules = ("mod_accesslog", "mod_proxy")
server.document-root = "{{folder}}"
server.bind = "{HOST}"
server.port = {{port}}
server.max-read-idle = 1
$SERVER["socket"] == "[::1]:{{port}}" {{ }}
{RECOMMENDED["lighttpd"]}
accesslog.filename = "{{folder}}/edgetally.log"
proxy.server = ("" => (("host" => "{HOST}", "port" => {behind.port})))
"""
    with servers.lighttpd(config, folder) as server:
        yield server


KINDS = {
    "nginx": (NGINX, nginx),
    "apache": (APACHE, apache),
    "squid": (SQUID, squid),
    "varnish": (VARNISH, varnish),
    "trafficserver": (TRAFFICSERVER, trafficserver),
    "haproxy": (HAPROXY, haproxy),
    "haproxy httplog": (HAPROXY_HTTPLOG, haproxy_httplog),
    "lighttpd": (LIGHTTPD, lighttpd),
}
LOGS = [(server, name) for server, (kind, _) in KINDS.items() for name in kind.formats]


# Apache's %v is the server's name, whatever host was asked for.
_HOSTLESS = {
    ("nginx", "combined"),
    ("apache", "combined"),
    ("apache", "vhost_combined"),
    ("haproxy httplog", "haproxy"),
}
_HOSTLESS |= {("varnish", "varnish")}  # the body's bytes
_HOSTLESS |= {("trafficserver", "squid"), ("trafficserver", "extended2")}  # the origin's host
HOST_LOGS = [log for log in LOGS if log not in _HOSTLESS]
CACHED = ("etag.test", "range.test", "ranges.test", "cached.test", "kept.test")


class Runs:
    """What became of each server; made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Run] = {}

    def __getitem__(self, server: str) -> Run:
        if server not in self._made:
            self._made[server] = self._make(server)
        return self._made[server]

    def _make(self, server: str) -> Run:
        """All the traffic for one server, and its logs once they are whole; the server has ended then."""
        kind, start = KINDS[server]
        folder = self._folder / server
        with origin() as behind, start(folder, behind) as one:
            crowd = Crowd(one.port)
            make_odd_traffic(crowd)
            wait_for(f"{server}'s last line", lambda: _written(folder, kind))
        return Run(server, kind, folder, crowd.seen, behind.asked, behind.last_part)


def _written(folder: Path, kind: Kind) -> bool:
    """Whether the last request is in every log; those of bare sizes then have as many lines as the others."""
    logs = [written(folder / f"{name}.log") for name in kind.formats]
    sizes = [written(log) for log in folder.glob("*.log") if log.stem in ("wire", "body")]
    return all(LAST.encode() in log for log in logs) and len({log.count(b"\n") for log in (*logs, *sizes)}) == 1


def written(log: Path) -> bytes:
    """What is in a log; nothing as long as its writer has not made it."""
    return log.read_bytes() if log.exists() else b""


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that the servers' own users can enter, which pytest's is not."""
    with TemporaryDirectory(prefix="et-real-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with open_folder() as made:
        yield Runs(made)


@pytest.mark.parametrize(("server", "name"), LOGS)
def test_every_line_is_counted_or_cannot_be_read(runs: Runs, server: str, name: str) -> None:
    run = runs[server]
    _, result = run.tally(name)
    assert (run.folder / f"{name}.log").read_bytes().count(b"\n") == run.kind.lines
    rejected = len(run.kind.rejected.get(name, ()))
    assert (result.counted, result.rejected) == (run.kind.lines - rejected, rejected), result.rejects


@pytest.mark.parametrize(("server", "name"), [log for log in LOGS if KINDS[log[0]][0].bare])
def test_the_bytes_are_those_of_the_log_of_bare_sizes(runs: Runs, server: str, name: str) -> None:
    run = runs[server]
    fmt, result = run.tally(name)
    if fmt.bytes_meaning == "body":  # whose rejected lines are two of /size/10
        assert result.bytes + 10 * result.rejected == run.sizes("body")
    else:
        unread = sum(run.logged(visit) // run.seen[visit].requests for visit in run.kind.rejected.get(name, ()))
        assert result.bytes + unread == run.sizes("wire")


@pytest.mark.parametrize(("server", "name"), HOST_LOGS)
def test_each_host_is_billed_what_its_clients_received(runs: Runs, server: str, name: str) -> None:
    run = runs[server]
    _, result = run.tally(name)
    billed = by_host(result)
    unread = set(run.kind.rejected.get(name, ()))
    refused = [word for log in ("", name) for word in run.kind.refused.get(log, "").split()]
    odd = {word if word.startswith("[") else f"{word}.test" for word in refused}
    named = {visit for visit in run.seen if visit.endswith(".test") or visit == "[::1]"} - odd - unread
    aborted = billed.pop("aborted.test")
    named.remove("aborted.test")
    assert aborted[0] == 1
    # What the server had handed to the kernel, of which a client that left read a part.
    assert run.seen["aborted.test"].bytes <= aborted[1] < BIG
    assert {host: billed.get(host, [0])[0] for host in named} == {host: run.seen[host].requests for host in named}
    lacks = {host: run.logged(host) - billed[host][1] for host in named}
    assert not {host: lack for host, lack in lacks.items() if not 0 <= lack <= run.kind.lacks * billed[host][0]}
    if run.kind.lacks:
        return
    others = run.seen.keys() - named - unread - {"aborted.test"}
    assert sum(sums[1] for host, sums in billed.items() if host not in named) == sum(map(run.logged, others))


@pytest.mark.parametrize(("server", "name"), HOST_LOGS)
def test_hits_are_what_the_origin_was_not_asked_for(runs: Runs, server: str, name: str) -> None:
    run = runs[server]
    fmt, result = run.tally(name)
    assert fmt.hit_known == run.kind.hits
    if fmt.hit_known:
        billed = by_host(result)
        saved = {host: run.seen[host].requests - run.asked[host] for host in CACHED}
        assert min(saved.values()) > 0
        assert {host: billed[host][2] for host in CACHED} == saved


@pytest.mark.parametrize(("server", "name"), LOGS)
def test_a_slow_transfer_is_booked_where_it_ended(runs: Runs, tmp_path: Path, server: str, name: str) -> None:
    run = runs[server]
    fmt, _ = run.tally(name)
    lines = (run.folder / f"{name}.log").read_bytes().splitlines(keepends=True)
    (tmp_path / "slow.log").write_bytes(b"".join(line for line in lines if b"/slow" in line))
    result = tally([tmp_path / "slow.log"], fmt, None)
    assert result.counted == 1
    assert result.last is not None
    if any("long transfers are booked too early" in warning for warning in fmt.warnings):
        assert result.last < run.last_part - 1
    else:  # it lasted for more than two seconds; some logs say whole ones, both of the start and of what it took
        assert run.last_part - 2 < result.last


NGINX_H2 = f"""
    {RECOMMENDED["nginx"]}
    server {{
        listen {HOST}:{{port}} http2;
        access_log {{folder}}/edgetally.log edgetally;
        root {{folder}};
    }}"""
APACHE_H2 = f"""
    {RECOMMENDED["apache"]}
    GlobalLog {{folder}}/edgetally.log edgetally
    Listen {HOST}:{{port}}
    Protocols h2c
    DocumentRoot {{folder}}
"""


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_a_request_of_http2_has_its_body_and_its_frames(folder: Path, server: str) -> None:
    (folder / "big").write_bytes(b"x" * 1_000_000)
    with ExitStack() as stack:
        if server == "nginx":
            one = stack.enter_context(servers.nginx(NGINX_H2, folder))
        else:
            one = stack.enter_context(servers.apache(APACHE_H2, folder, modules=("http2",)))
        command = ["curl", "--silent", "--fail", "--http2-prior-knowledge", "--output", str(folder / "got")]
        url = f"http://{one.address}/big"
        subprocess.run([*command, "--header", "Host: H2.test:80", url], check=True, timeout=20)
        wait_for("the line", lambda: b"HTTP/2.0" in written(folder / "edgetally.log"))
    (host, (requests, size, _)) = by_host(
        tally([folder / "edgetally.log"], parse_format(RECOMMENDED[server]), None)
    ).popitem()
    assert (folder / "got").stat().st_size == 1_000_000
    assert (host, requests) == ("h2.test", 1)
    assert 1_000_000 < size < 1_010_000  # a frame of 8 or 16 kB has 9 bytes of its own


SQUID_PROXY = f"""
{RECOMMENDED["squid"]}
logformat native {SQUID_NATIVE}
access_log daemon:{{folder}}/edgetally.log edgetally
access_log daemon:{{folder}}/native.log native
http_port {HOST}:{{port}}
hosts_file {{folder}}/hosts
http_access allow all
strip_query_terms off
buffered_logs off
"""


def test_a_forward_proxy_bills_the_hosts_and_the_tunnels(folder: Path) -> None:
    (folder / "hosts").write_text(f"{HOST} forward.test tunnel.test\n")
    with origin() as behind, servers.squid(SQUID_PROXY, folder) as one:
        crowd = Crowd(one.port)
        port = behind.port
        crowd.visit("forward.test", get(f"forward.test:{port}", f"http://Forward.test:{port}/size/1000"))
        connect = get(f"tunnel.test:{port}", f"tunnel.test:{port}", method="CONNECT", keep=True)
        crowd.visit("tunnel.test", connect + get("inside.test", "/size/2000"))
        log = folder / "edgetally.log"
        wait_for("two lines", lambda: written(log).count(b"\n") == 2)
    billed = by_host(tally([log], parse_format(RECOMMENDED["squid"]), None))
    assert {host: sums[:2] for host, sums in billed.items()} == {
        host: [1, crowd.seen[host].bytes] for host in ("forward.test", "tunnel.test")
    }


def test_squid_cuts_long_lines_but_not_those_of_the_recommended_format(folder: Path) -> None:
    (folder / "hosts").write_text(f"{HOST} long.test next.test\n")
    with origin() as behind, servers.squid(SQUID_PROXY, folder) as one:
        crowd = Crowd(one.port)
        for host, query in (("long.test", "?" + "x" * 8_130), ("next.test", "")):
            crowd.visit(host, get(f"{host}:{behind.port}", f"http://{host}:{behind.port}/size/10{query}"))
        logs = [folder / "edgetally.log", folder / "native.log"]
        wait_for("the last line", lambda: all(b"next.test" in written(log) for log in logs))
    recommended, native = (
        tally([log], parse_format(text, "squid"), None) for log, text in zip(logs, (RECOMMENDED["squid"], "squid"))
    )
    assert {host: sums[:2] for host, sums in by_host(recommended).items()} == {
        host: [1, crowd.seen[host].bytes] for host in ("long.test", "next.test")
    }
    # What ends in the middle of a URL cannot be told from a torn line: its client is not billed.
    assert (native.counted, native.rejected) == (1, 1)


def test_varnish_bills_all_of_a_cached_body_though_the_client_left(folder: Path) -> None:
    # As it logs it: of a miss it counts what was sent, of a hit what it began to send.
    with ExitStack() as stack:
        behind = stack.enter_context(origin())
        one = stack.enter_context(varnish(folder, behind))
        crowd = Crowd(one.port)
        crowd.visit("whole", get("big.test", f"/size/{BIG}"))
        crowd.visit("left", get("big.test", f"/size/{BIG}"), take=100_000)
        log = folder / "edgetally.log"
        wait_for("two lines", lambda: written(log).count(b"\n") == 2)
    requests, size, hits = by_host(tally([log], parse_format(RECOMMENDED["varnish"]), None))["big.test"]
    assert (requests, hits) == (2, 1)
    assert crowd.seen["whole"].bytes + BIG <= size < 2 * BIG + 1_000
