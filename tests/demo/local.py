"""`bin/demo --local`: the whole pipeline as processes on loopback, under one temporary folder; no containers.

gearmand, MariaDB, an origin, an nginx edge and a squid edge are the real programs; `edgetally migrate`, `aggregate`,
`ship` and `report` run from dist/edgetally.pyz. This program stands in for cron. The bill and the reconciliation are
those of the lab's demo. Everything is ended at the end, by process id.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetally.wire.envelope import derive_key
from tests.demo import reconcile, result, traffic
from tests.demo.steps import DemoError, end_cleanly, heading, positive, say, step
from tests.support import servers

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "dist" / "edgetally.pyz"
MASTER = "the-demos-master-key-is-known-to-everybody"

CHANNELS = [
    {"channel": "news", "host": "news.example.com"},
    {"channel": "video", "host": "video.example.com"},
    {"channel": "video", "host": "*.v.example.com", "path": "/live/"},
    {"channel": "shop", "host": "shop.example.com"},
    {"channel": "images", "host": "img.example.com"},
]

CONTRACTS = [
    {
        "name": "all channels",
        "channels": ["*"],
        "group": True,
        "rule": "volume",
        "customer": "Example & Co",
        "currency": "EUR",
        "price": "0.08",
        "minimum": "1",
        "tax": "19",
    }
]

# The sites of tests/lab/prepare.yml: names, and the smallest and largest file of each.
SITES = (
    (("news.example.com",), 2_000, 60_000),
    (("video.example.com", "*.v.example.com"), 200_000, 4_000_000),
    (("shop.example.com",), 4_000, 200_000),
    (("img.example.com",), 10_000, 800_000),
)

LOG_FORMAT = (
    'log_format edgetally \'$remote_addr - $remote_user [$time_local] $msec $host "$request" $status $bytes_sent '
    '$request_time $upstream_cache_status "$http_referer" "$http_user_agent"\';'
)

# gzip makes chunked responses: their framing is on the wire, too.
GZIP = "gzip on; gzip_types application/octet-stream; gzip_proxied any; gzip_vary on;"

NGINX_EDGE = """
%(format)s
proxy_cache_path {folder}/cache keys_zone=site:10m max_size=1g;
%(gzip)s
server {
    listen 127.0.0.1:{port};
    access_log {folder}/access.log edgetally;
    location / {
        proxy_pass http://%(origin)s;
        proxy_set_header Host $host;
        proxy_cache site;
        proxy_cache_key $host$uri;
        proxy_cache_valid 200 10m;
    }
}
"""

SQUID_EDGE = """
http_port 127.0.0.1:{port} accel vhost
cache_peer 127.0.0.1 parent %(port)d 0 no-query originserver name=origin
acl sites dstdomain .example.com
http_access allow localhost manager
http_access allow sites
cache_peer_access origin allow sites
cache_mem 256 MB
maximum_object_size_in_memory 8 MB
access_log daemon:{folder}/access.log squid !manager
logfile_rotate 0
"""

LEFT_OUT = (
    "What --local leaves out: Ansible and its roles, ssh, cron, systemd, logrotate, separate hosts and their network.\n"
    "`bin/demo` shows those, on a machine that can run the lab's containers."
)


@dataclass(frozen=True)
class Edge:
    """A running edge: its web server and its edge.json."""

    name: str
    kind: str
    server: servers.Server
    config: Path

    @property
    def spool(self) -> Path:
        """The edge's spool."""
        return self.config.parent / "spool"

    def ship(self) -> None:
        """One run of `edgetally ship`, as cron does it; what it says is shown."""
        done = edgetally("ship", "--config", str(self.config), "--now")
        for line in done.stderr.splitlines():
            say(f"    {self.name}: {line}")


def edgetally(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the program to its end."""
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def must(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a command that has to succeed."""
    if done.returncode:
        raise DemoError(f"`edgetally {done.args[2]}` ended with {done.returncode}: {done.stderr.strip()}")
    return str(done.stdout)


def write_json(path: Path, data: Any) -> Path:
    """Write a configuration file, readable for its owner only: it holds a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
    return path


@contextlib.contextmanager
def origin(folder: Path) -> Iterator[servers.Server]:
    """The origin: an nginx with the sites' seeded files."""
    blocks = []
    for names, smallest, largest in SITES:
        root = folder / names[0]
        maker = [sys.executable, ROOT / "tests/lab/make_site.py", root, smallest, largest, traffic.FILES]
        subprocess.run([str(word) for word in maker], check=True)
        if "*.v.example.com" in names:
            (root / "live").symlink_to("files")
        blocks.append(
            f"server {{ listen 127.0.0.1:{{port}}; server_name {' '.join(names)}; root {root}; expires 1h; "
            f"default_type application/octet-stream; access_log off; {GZIP} }}"
        )
    with servers.nginx("\n".join(blocks), folder, name="origin") as server:
        yield server


@contextlib.contextmanager
def edges(folder: Path, job_server: str, source: servers.Server) -> Iterator[list[Edge]]:
    """An nginx edge and a squid edge in front of the origin, each with its edge.json."""
    nginx = NGINX_EDGE % {"format": LOG_FORMAT, "gzip": GZIP, "origin": source.address}
    with contextlib.ExitStack() as stack:
        cache1 = stack.enter_context(servers.nginx(nginx, folder / "edge1" / "nginx"))
        cache2 = stack.enter_context(servers.squid(SQUID_EDGE % {"port": source.port}, folder / "edge2" / "squid"))
        yield [
            Edge("edge1", "nginx", cache1, edge_config(folder / "edge1", cache1, "nginx", LOG_FORMAT, job_server)),
            Edge("edge2", "squid", cache2, edge_config(folder / "edge2", cache2, "squid", "squid", job_server)),
        ]


def edge_config(folder: Path, server: servers.Server, kind: str, log_format: str, job_server: str) -> Path:
    """Write what the role edge_shipper writes: channels.json and edge.json."""
    key = derive_key(MASTER, folder.name)
    log = {
        "name": "access",
        "path": str(server.folder / "access.log"),
        "server": kind,
        "format": log_format,
        "reopen": f'kill -USR1 "$(cat {server.folder}/{kind}.pid)"',
    }
    data = {
        "edge": folder.name,
        "user": "",
        "key_id": key.id,
        "key": key.secret.hex(),
        "job_servers": [job_server],
        "spool": str(folder / "spool"),
        "channels": str(write_json(folder / "channels.json", CHANNELS)),
        "splay": 0,
        "receipt_wait": 10,
        "interface": "lo",
        "counters": [{"program": "squid", "at": server.address}] if kind == "squid" else [],
        "logs": [log],
    }
    return write_json(folder / "edge.json", data)


@contextlib.contextmanager
def aggregator(folder: Path, job_server: str, database: servers.MariaDB) -> Iterator[Path]:
    """The aggregator, on a migrated database; yields its configuration."""
    place = {"host": "localhost", "port": 3306, "socket": str(database.socket), "ssl_ca": ""}
    account = {"user": "edgetally", "password": "the-demos-database-password", "name": "edgetally"}
    data = {"job_servers": [job_server], "master_keys": [MASTER], "database": {**place, **account}}
    config = write_json(folder / "aggregator.json", data)
    write_json(folder / "contracts.json", CONTRACTS)
    must(edgetally("migrate", "--config", str(config), "--admin-socket", str(database.socket)))
    command = [sys.executable, str(PROGRAM), "aggregate", "--config", str(config)]
    with (folder / "aggregator.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield config
        if process.poll() is not None:
            raise DemoError(f"the aggregator ended with {process.returncode}: see {folder / 'aggregator.log'}")
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def shipping(fleet: Sequence[Edge], interval: float) -> Iterator[None]:
    """Let every edge ship again and again, every `interval` seconds, as its crontab would."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(edge: Edge) -> None:
        try:
            while not stop.wait(interval):
                edge.ship()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(edge,)) for edge in fleet]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise DemoError(f"an edge could not ship: {failures[0]}")


def send(fleet: Sequence[Edge], seconds: float, sent_file: Path) -> None:
    """Send the traffic; DemoError when a request failed."""
    targets = [f"--target={edge.name}={edge.server.address}" for edge in fleet]
    if traffic.main([*targets, f"--seconds={seconds:g}", f"--out={sent_file}"]):
        raise DemoError(f"some requests failed: {sent_file} lists them under failures")


@dataclass(frozen=True)
class Pipeline:
    """All of it, running: the edges, the database, and the aggregator's configuration."""

    fleet: list[Edge]
    database: servers.MariaDB
    config: Path

    @property
    def archives(self) -> list[reconcile.Edge]:
        """The edges, as the reconciliation sees them."""
        return [reconcile.Edge(one.name, reconcile.LOCAL, one.kind, spool=str(one.spool)) for one in self.fleet]

    @property
    def ledger(self) -> reconcile.Database:
        """The database, as the reconciliation sees it."""
        client = f"mariadb --no-defaults --socket={self.database.socket} -u root -N -B edgetally"
        return reconcile.Database(client=client)

    def bill(self, since: int, to: int) -> str:
        """The report over some slots."""
        times = ("--from", str(since), "--to", str(to))
        text = must(edgetally("report", "--config", str(self.config), *times))
        return f"{text}\n{self.statement(*times)}"

    def statement(self, *times: str) -> str:
        """The customer's statement over the same, as a PDF where Chromium is: the words on it, or why there is none."""
        out = str(self.config.with_name("statement.pdf"))
        whose = ("--customer", CONTRACTS[0]["customer"], "--output", "pdf", "--out", out)
        done = edgetally("report", "--config", str(self.config), *times, *map(str, whose))
        return f"The customer's statement is {out}" if done.returncode == 0 else done.stderr.strip()


@contextlib.contextmanager
def pipeline(folder: Path) -> Iterator[Pipeline]:
    """Start everything; every edge has made its first run, so what is logged from then on is counted."""
    with contextlib.ExitStack() as stack:
        with step("start gearmand, MariaDB, the origin, an nginx edge and a squid edge"):
            jobs = stack.enter_context(servers.gearmand(folder / "gearmand"))
            database = stack.enter_context(servers.mariadb(folder / "mariadb"))
            source = stack.enter_context(origin(folder / "origin"))
            fleet = stack.enter_context(edges(folder, jobs.address, source))
        with step("create the database, start the aggregator, first run of every edge"):
            config = stack.enter_context(aggregator(folder, jobs.address, database))
            for edge in fleet:
                edge.ship()
        yield Pipeline(fleet, database, config)


def demo(pipe: Pipeline, sent_file: Path, seconds: float, interval: float) -> bool:
    """Send traffic while the edges rotate, show the result; whether the three ways agree."""
    with shipping(pipe.fleet, interval):
        with step(
            f"send traffic for {seconds:g} s, while the edges rotate and ship every {interval:g} s", remind=False
        ):
            send(pipe.fleet, seconds, sent_file)
        return result.show(sent_file, pipe.archives, pipe.ledger, pipe.bill)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, run the demo in a temporary folder."""
    parser = argparse.ArgumentParser(prog="bin/demo --local", description="The pipeline on loopback, no containers.")
    parser.add_argument("--seconds", type=positive, default=100.0, help="of traffic")
    parser.add_argument("--interval", type=positive, default=20.0, metavar="SECONDS", help="between two runs of ship")
    parser.add_argument("--keep", action="store_true", help="keep the folder, to look at it")
    options = parser.parse_args(arguments)
    end_cleanly()
    folder = Path(tempfile.mkdtemp(prefix="edgetally-demo-"))
    folder.chmod(0o755)  # squid's own user has to enter it
    try:
        with pipeline(folder) as pipe:
            equal = demo(pipe, folder / "sent.json", options.seconds, options.interval)
        heading("What next")
        print(LEFT_OUT)
        return 0 if equal else 1
    except (DemoError, servers.ServerError, reconcile.ReconcileError, subprocess.SubprocessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("interrupted; everything is ended")
        return 130
    finally:
        if options.keep:
            print(f"Kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
