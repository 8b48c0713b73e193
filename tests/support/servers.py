"""Real servers on loopback, for the integration tests and for `bin/demo --local`.

`gearmand()`, `mariadb()`, `nginx()`, `apache()`, `squid()`, `varnish()`, `trafficserver()`, `haproxy()`, `caddy()` and
`lighttpd()` are context managers: each starts one server in the foreground, on a free port of 127.0.0.1 (or the one
given), with all its files in one folder, yields it once it is ready, and ends it by its own process group. A server can
be killed and started again on the same port and files:

    with gearmand(folder) as server:
        server.kill()           # as a crash does
        server.start()          # the same port, the same persistent queue

A program that is not installed, or a server that ends before it is ready, raises ServerError with the tail of its log.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

HOST = "127.0.0.1"
PACKAGES = {
    "gearmand": "gearman-job-server",
    "mariadbd": "mariadb-server",
    "varnishd": "varnish",
    "varnishncsa": "varnish",
    "traffic_server": "trafficserver",
    "traffic_manager": "trafficserver",
}
_SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


class ServerError(Exception):
    """A server could not be started; the text says which, why, and how to mend it."""


class Server:
    """One server process: its address, its folder, and the means to end and restart it.

    host, port: where it listens. folder: all its files. log: its output. process: the running child, or None.
    """

    host = HOST

    def __init__(
        self,
        name: str,
        command: list[str],
        folder: Path,
        port: int,
        ready: Callable[[Server], bool],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.command, self.folder, self.port = name, command, folder, port
        self.environment = {**os.environ, **(environment or {})}
        self.log = folder / f"{name}.out"
        self.process: subprocess.Popen[bytes] | None = None
        self._ready = ready

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id; ServerError when the server does not run."""
        if self.process is None:
            raise ServerError(f"{self.name} in {self.folder} does not run")
        return self.process.pid

    def start(self, timeout: float = 30.0) -> None:
        """Start the server and wait until it is ready (at most `timeout` seconds)."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                env=self.environment,
            )
        deadline = time.monotonic() + timeout
        while not self._ready(self):
            if self.process.poll() is not None:
                code = self.process.returncode
                raise ServerError(f"{self.name} ended with {code} before it was ready: {self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} was not ready after {timeout:g} s: {self.tail()}")
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """Send a signal to the server's main process, for example SIGSTOP or SIGUSR1."""
        os.kill(self.pid, number)

    def stop(self, timeout: float = 15.0) -> None:
        """End the server with SIGTERM, and with SIGKILL when it does not go within `timeout` seconds."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """End the server and its children with SIGKILL, as a crash does."""
        self._end(signal.SIGKILL, 15.0)

    def _end(self, number: int, timeout: float) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # A stopped (SIGSTOP) process would keep a SIGTERM for later.
            os.killpg(process.pid, signal.SIGCONT)
            os.kill(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout if number == signal.SIGTERM else 0.1)
        # The children (nginx workers, squid's log writer) share the session's process group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(15.0)

    def tail(self, lines: int = 5) -> str:
        """The last lines of the server's output, joined by ` | `."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return " | ".join(text.splitlines()[-lines:]) or "no output"


class MariaDB(Server):
    """A MariaDB server; `socket` is its unix socket, root has no password."""

    @property
    def socket(self) -> Path:
        """The unix socket; kept short, because a socket's path has at most 107 bytes."""
        return self.folder / "sock"

    def sql(self, statement: str, database: str = "") -> str:
        """Run SQL as root with the command-line client; the rows as tab-separated lines without a head."""
        return self.client("mariadb", "-N", "-B", *([database] if database else []), given=statement)

    def dump(self, database: str, *options: str) -> str:
        """A database as SQL."""
        return self.client("mariadb-dump", *options, database)

    def client(self, program: str, *arguments: str, given: str = "") -> str:
        """What a client prints that is run as root; ServerError with what it says where it fails."""
        command = [program, "--no-defaults", f"--socket={self.socket}", "-u", "root", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, encoding="utf-8", errors="surrogateescape")
        if done.returncode:
            raise ServerError(f"{program}: {done.stderr.strip()}")
        return done.stdout


def program(name: str) -> str:
    """The path of a server's program; ServerError names the package to install when it is not there."""
    path = shutil.which(name, path=_SBIN)
    if path is None:
        raise ServerError(f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}")
    return path


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def listening(port: int) -> bool:
    """Whether some process listens on the TCP port.

    Read from /proc, not tried with a connect: squid writes a log line for a connection without a request.
    """
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
            if any(row[1].endswith(wanted) and row[3] == "0A" for row in map(str.split, lines)):
                return True
    return False


@contextlib.contextmanager
def gearmand(
    folder: Path | None = None,
    port: int | None = None,
    *,
    queue: bool = True,
    binary: str = "gearmand",
    arguments: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A gearmand with its persistent queue (libsqlite3), unless queue=False; `binary` may be another release's path."""
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        command = [program(binary), "-L", HOST, "-p", str(chosen), "-b", "1024", "-j", "0"]
        command += ["-l", str(home / "gearmand.log")]
        if queue:
            with sqlite3.connect(home / "queue.db") as database:  # as the role makes it
                database.execute("PRAGMA journal_mode = WAL")
            command += ["-q", "libsqlite3", f"--libsqlite3-db={home / 'queue.db'}"]
        if os.getuid() == 0:
            command += ["-u", "root"]
        server = Server("gearmand", [*command, *arguments], home, chosen, _gearmand_answers, environment)
        stack.callback(server.stop)
        server.start()
        yield server


def admin_command(server: Server, command: str) -> list[str]:
    """An answer of gearmand's text protocol, without its final dot."""
    with socket.create_connection((server.host, server.port), 5) as connection:
        connection.sendall(f"{command}\r\n".encode())
        text = b""
        while not text.endswith(b".\n") and not (command.startswith("maxqueue") and text.endswith(b"\n")):
            text += connection.recv(4096)
    return text.decode().splitlines()


def queue(server: Server, function: str) -> tuple[int, int, int]:
    """(total, running, workers) of a function."""
    for line in admin_command(server, "status"):
        name, *numbers = line.split("\t")
        if name == function:
            total, running, workers = map(int, numbers)
            return total, running, workers
    return 0, 0, 0


@contextlib.contextmanager
def mariadb(
    folder: Path | None = None,
    port: int | None = None,
    *,
    arguments: tuple[str, ...] = (),
    user: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[MariaDB]:
    """A MariaDB with an empty set of databases; the data folder is initialised once a run and copied from then on.

    user: who it runs as, instead of who runs the tests.
    """
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        data = home / "data"
        if not data.exists():
            shutil.copytree(empty_database(), data)
        temporary = home / "tmp"  # of its own: a server that starts takes away what others have in a shared one
        temporary.mkdir(exist_ok=True)
        if user:
            for path in (home, temporary, data, *data.rglob("*")):
                shutil.chown(path, user)
        command = [program("mariadbd"), "--no-defaults", f"--user={user or getpass.getuser()}", f"--datadir={data}"]
        command += [f"--tmpdir={temporary}", f"--bind-address={HOST}", f"--port={chosen}", f"--pid-file={home / 'pid'}"]
        # Small, but as durable as the real one: the aggregator warns unless a commit is on disk.
        command += ["--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=1"]
        command += [f"--socket={home / 'sock'}", *arguments]
        server = MariaDB("mariadb", command, home, chosen, _mariadb_greets, environment)
        stack.callback(server.stop)
        server.start()
        yield server


@contextlib.contextmanager
def galera(count: int) -> Iterator[list[MariaDB]]:
    """A Galera cluster of MariaDB servers, with short time-outs: a silent node is given up after a second."""
    ports = [[free_port() for _node in range(count)] for _use in ("cluster", "whole copies", "what was missed")]
    peers = ",".join(f"{HOST}:{port}" for port in ports[0])
    with contextlib.ExitStack() as stack:
        nodes: list[MariaDB] = []
        for own, copies, missed in zip(*ports):
            options = f"gmcast.listen_addr=tcp://{HOST}:{own};ist.recv_addr={HOST}:{missed};gcache.size=16M;"
            options += "evs.keepalive_period=PT0.2S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1S;"
            options += "evs.inactive_timeout=PT2S;evs.install_timeout=PT2S"
            arguments = ["--wsrep-on=ON", "--wsrep-provider=/usr/lib/galera/libgalera_smm.so", "--binlog-format=ROW"]
            arguments += ["--innodb-autoinc-lock-mode=2", f"--wsrep-cluster-address=gcomm://{peers}"]
            arguments += [f"--wsrep-node-address={HOST}", f"--wsrep-sst-receive-address={HOST}:{copies}"]
            arguments += [f"--wsrep-provider-options=base_port={own};{options}", "--wsrep-sst-method=rsync"]
            if not nodes:
                arguments.append("--wsrep-new-cluster")
            # rsync, which brings a new node the data, gives root's rights up
            user = "mysql" if os.getuid() == 0 else ""
            nodes.append(stack.enter_context(mariadb(arguments=tuple(arguments), user=user)))
        yield nodes


@contextlib.contextmanager
def nginx(http: str, folder: Path | None = None, port: int | None = None, *, name: str = "nginx") -> Iterator[Server]:
    """An nginx; `http` is the body of its http block, where {port} and {folder} are replaced.

    Its process id is in `folder/nginx.pid`, so `kill -USR1 "$(cat nginx.pid)"` reopens its logs.
    """
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"    {kind}_temp_path {home}/temp/{kind};\n" for kind in kinds)
        (home / "temp").mkdir(exist_ok=True)
        body = http.replace("{port}", str(chosen)).replace("{folder}", str(home))
        user = "user root;\n" if os.getuid() == 0 else ""
        (home / "nginx.conf").write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {home}/nginx.pid;\nerror_log {home}/error.log;\n"
            f"events {{ worker_connections 512; }}\nhttp {{\n{temporary}{body}\n}}\n"
        )
        command = [program("nginx"), "-p", str(home), "-e", str(home / "error.log"), "-c", str(home / "nginx.conf")]
        server = Server(name, command, home, chosen, lambda one: listening(one.port) and (home / "nginx.pid").exists())
        stack.callback(server.stop)
        server.start()
        yield server


@contextlib.contextmanager
def apache(
    config: str, folder: Path | None = None, port: int | None = None, *, modules: tuple[str, ...] = ()
) -> Iterator[Server]:
    """An Apache httpd; `config` is its configuration, where {port} and {folder} are replaced; it has the Listen lines.

    modules: what it loads besides mod_mpm_event and mod_authz_core, for example `proxy_http`. Its process id is in
    `folder/apache.pid`, so `kill -USR1 "$(cat apache.pid)"` reopens its logs.
    """
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        loaded = "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in ("mpm_event", "authz_core", *modules)
        )
        user = "User www-data\nGroup www-data\n" if os.getuid() == 0 else ""
        common = (
            f"{loaded}{user}ServerName localhost\nServerRoot {home}\nPidFile {home}/apache.pid\n"
            f"ErrorLog {home}/error.log\nStartServers 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nServerLimit 1\n"
        )
        (home / "apache.conf").write_text(common + config.replace("{port}", str(chosen)).replace("{folder}", str(home)))
        command = [program("apache2"), "-d", str(home), "-f", str(home / "apache.conf"), "-DFOREGROUND"]
        server = Server(
            "apache", command, home, chosen, lambda one: listening(one.port) and (home / "apache.pid").exists()
        )
        stack.callback(server.stop)
        server.start()
        yield server


@contextlib.contextmanager
def varnish(
    vcl: str,
    formats: Mapping[str, str],
    folder: Path | None = None,
    port: int | None = None,
    *,
    arguments: tuple[str, ...] = (),
) -> Iterator[Server]:
    """A varnishd, and a varnishncsa for each of `formats`: a log's name to what comes after -F.

    vcl, arguments: where {folder} and {port} are replaced. A log is `folder/NAME.log`, its writer's process id is in
    `folder/NAME.pid`.
    """
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        words = [word.replace("{folder}", str(home)).replace("{port}", str(chosen)) for word in (vcl, *arguments)]
        (home / "default.vcl").write_text(words[0])
        work = ["-n", str(home / "work")]
        command = [program("varnishd"), "-F", *work, "-a", f"{HOST}:{chosen}", "-f", str(home / "default.vcl")]
        # Without the jail the working folder needs no user of its own.
        command += ["-j", "none", "-s", "malloc,32m", "-T", "none", *words[1:]]
        server = Server("varnish", command, home, chosen, lambda one: listening(one.port))
        stack.callback(server.stop)
        server.start()
        for name, text in formats.items():
            pid = home / f"{name}.pid"
            writer = [program("varnishncsa"), *work, "-F", text, "-w", str(home / f"{name}.log"), "-P", str(pid)]
            ncsa = Server(f"varnishncsa-{name}", writer, home, chosen, _reads_shared_log)
            stack.callback(ncsa.stop)
            ncsa.start()
        yield server


@contextlib.contextmanager
def trafficserver(
    origin: str,
    logging: str,
    folder: Path | None = None,
    port: int | None = None,
    *,
    settings: tuple[str, ...] = (),
    managed: bool = False,
) -> Iterator[Server]:
    """A Traffic Server in front of `origin` (host:port), whose logging.yaml is `logging`; logs are `folder/NAME.log`.

    settings: lines of records.config besides those that make it small and its logs prompt, as `http.x INT 1`. managed:
    whether traffic_manager runs it, whom traffic_ctl asks, as Debian's unit does.
    """
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        for name in ("etc", "run", "cache"):
            (home / name).mkdir(exist_ok=True)
        places = {"prefix": "/usr", "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/sbin"}
        places |= {"includedir": "/usr/include", "libdir": "/usr/lib/trafficserver"}
        places |= {"libexecdir": "/usr/lib/trafficserver/modules", "sysconfdir": f"{home}/etc", "logdir": f"{home}"}
        places |= {"localstatedir": f"{home}", "runtimedir": f"{home}/run"}
        places |= dict.fromkeys(("datadir", "cachedir"), f"{home}/cache")
        (home / "runroot.yaml").write_text("".join(f"{name}: {path}\n" for name, path in places.items()))
        small = (
            *(f"http.server_ports STRING {chosen}:ip-in={HOST} {chosen}:ipv6:ip-in=[::1]", "log.logging_enabled INT 3"),
            *("exec_thread.autoconfig INT 0", "exec_thread.limit INT 1", "task_threads INT 1"),
            *("log.max_secs_per_buffer INT 1", "log.periodic_tasks_interval INT 1", "admin.user_id STRING #-1"),
            "cache.ram_cache.size INT 8M",
        )
        (home / "etc/records.config").write_text(
            "".join(f"CONFIG proxy.config.{line}\n" for line in (*small, *settings))
        )
        (home / "etc/remap.config").write_text(f"map / http://{origin}/\n")
        (home / "etc/storage.config").write_text(f"{home}/cache 64M\n")
        (home / "etc/logging.yaml").write_text(logging)
        (home / "etc/ip_allow.yaml").write_text(
            f"ip_allow:\n  - {{apply: in, ip_addrs: [{HOST}, '::1'], action: allow, methods: ALL}}\n"
        )
        command = [program("traffic_manager" if managed else "traffic_server"), f"--run-root={home}/runroot.yaml"]
        server = Server("trafficserver", command, home, chosen, _trafficserver_serves)
        stack.callback(server.stop)
        server.start()
        yield server


@contextlib.contextmanager
def haproxy(config: str, folder: Path | None = None, port: int | None = None) -> Iterator[Server]:
    """An HAProxy; `config` is its configuration, where {port} and {folder} are replaced.

    What it logs to stdout (`log stdout format raw local0`) is in `folder/haproxy.out`, like a syslog's file but for the
    prefix.
    """
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        (home / "haproxy.cfg").write_text(config.replace("{port}", str(chosen)).replace("{folder}", str(home)))
        command = [program("haproxy"), "-db", "-f", str(home / "haproxy.cfg")]
        server = Server("haproxy", command, home, chosen, lambda one: listening(one.port))
        stack.callback(server.stop)
        server.start()
        yield server


@contextlib.contextmanager
def lighttpd(config: str, folder: Path | None = None, port: int | None = None) -> Iterator[Server]:
    """A lighttpd; `config` is its configuration, where {port} and {folder} are replaced."""
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        (home / "lighttpd.conf").write_text(config.replace("{port}", str(chosen)).replace("{folder}", str(home)))
        command = [program("lighttpd"), "-D", "-f", str(home / "lighttpd.conf")]
        server = Server("lighttpd", command, home, chosen, lambda one: listening(one.port))
        stack.callback(server.stop)
        server.start()
        yield server


@contextlib.contextmanager
def caddy(config: str, folder: Path | None = None, port: int | None = None) -> Iterator[Server]:
    """A Caddy; `config` is its Caddyfile, where {port} and {folder} are replaced."""
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        (home / "Caddyfile").write_text(config.replace("{port}", str(chosen)).replace("{folder}", str(home)))
        command = [program("caddy"), "run", "--config", str(home / "Caddyfile"), "--adapter", "caddyfile"]
        server = Server("caddy", command, home, chosen, lambda one: listening(one.port))
        stack.callback(server.stop)
        server.start()
        yield server


@contextlib.contextmanager
def squid(config: str, folder: Path | None = None, port: int | None = None, *, name: str = "squid") -> Iterator[Server]:
    """A squid; `config` is its squid.conf, where {port} and {folder} are replaced.

    Its process id is in `folder/squid.pid`; started by root it runs as `proxy`, which must be able to enter the folder.
    """
    with _folder(folder) as home, contextlib.ExitStack() as stack:
        chosen = port or free_port()
        common = (
            f"pid_filename {home}/squid.pid\ncache_log {home}/cache.log\ncoredump_dir {home}\n"
            "visible_hostname localhost\npinger_enable off\nnetdb_filename none\nshutdown_lifetime 0 seconds\n"
        )
        (home / "squid.conf").write_text(common + config.replace("{port}", str(chosen)).replace("{folder}", str(home)))
        if os.getuid() == 0:
            shutil.chown(home, "proxy", "proxy")
        # The service name keeps the shared memory of two squids on one machine apart.
        command = [program("squid"), "-N", "-n", f"t{chosen}", "-f", str(home / "squid.conf")]
        server = Server(name, command, home, chosen, lambda one: listening(one.port) and (home / "squid.pid").exists())
        stack.callback(server.stop)
        server.start()
        yield server


@contextlib.contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    """The given folder, made when it is not there; or a temporary one, which is removed at the end."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="et-", ignore_cleanup_errors=True) as made:
        os.chmod(made, 0o755)  # squid's `proxy` user has to enter it
        yield Path(made).resolve()


@functools.lru_cache(maxsize=1)
def _cache() -> tempfile.TemporaryDirectory[str]:
    """A folder that lives as long as this process."""
    return tempfile.TemporaryDirectory(prefix="et-mariadb-", ignore_cleanup_errors=True)


@functools.lru_cache(maxsize=1)
def empty_database() -> Path:
    """A freshly initialised data folder, made once in this process (about 2 s)."""
    data = Path(_cache().name) / "data"
    command = [program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", f"--user={getpass.getuser()}"]
    command += [f"--tmpdir={data.parent}"]
    command += ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ServerError(f"mariadb-install-db failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return data


def _reads_shared_log(server: Server) -> bool:
    """Whether varnishncsa has found varnishd's log in the shared memory: what comes from now on is written."""
    return "/_.vsm_child/_.Log" in Path(f"/proc/{server.pid}/maps").read_text()


def _trafficserver_serves(server: Server) -> bool:
    """Whether Traffic Server says that it takes requests: it listens before it has read its rules."""
    notes = server.folder / "diags.log"
    return notes.exists() and "is fully initialized" in notes.read_text("utf-8", "replace")


def _gearmand_answers(server: Server) -> bool:
    """Whether gearmand answers `version`."""
    with contextlib.suppress(OSError), socket.create_connection((server.host, server.port), 1.0) as connection:
        connection.sendall(b"version\r\n")
        return bool(connection.recv(64))
    return False


def _mariadb_greets(server: Server) -> bool:
    """Whether MariaDB sends its greeting on the unix socket."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        connection.connect(str(server.folder / "sock"))
        return len(connection.recv(64)) > 4
    return False
