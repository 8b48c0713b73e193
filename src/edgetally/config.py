"""The configuration files on the hosts: strict JSON, and one clear sentence for whatever is wrong in one.

Ansible renders them from its variables; `edgetally … --check-config FILE` validates them before they are installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from edgetally.errors import EdgetallyError, nearest
from edgetally.limits import LONGEST_SPREAD
from edgetally.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn, TypeVar

    Check = Callable[[Any], "str | None"]
    T = TypeVar("T", bound=NamedTuple)

EDGE_CONFIG = "/etc/edgetally/edge.json"
AGGREGATOR_CONFIG = "/etc/edgetally/aggregator.json"
DEFAULT_PORT = 7003
DATABASE_PORT = 3306
MASTER_KEY_LENGTH = 32
LEAST_DETAIL_DAYS = 100
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
ENGINES = ("auto", "kernel", "reference")
COUNTING = ("haproxy", "squid", "trafficserver", "varnish")  # servers whose own counters are read
_MAY_BE_EMPTY = (".hosts", "edges", "counters")  # the lists that need not have anything in them


class LogConfig(NamedTuple):
    """One access log: its stream's name, its path (a glob is allowed), its server, format and reopen command.

    fields: of a format that is JSON, which members are what, as `json` in formats/servers says; empty for others.
    spread: whether a transfer's bytes are spread over the time that it lasted, over max_spread seconds at most.
    private: the folder for the log's private place, empty for the nearest above the log that only root can change.
    hit: the field that has the cache's verdict and the words for a hit, as in `X-Cache:HIT,STALE`; empty for those that
    are known.
    """

    name: str
    path: str
    format: str
    server: str = ""
    reopen: str = ""
    spread: bool = False
    max_spread: int = LONGEST_SPREAD
    private: str = ""
    hit: str = ""
    fields: str = ""

    @property
    def whole_format(self) -> str:
        """The format with its fields."""
        return f"{self.format} {self.fields}" if self.fields else self.format


class CounterConfig(NamedTuple):
    """A server that counts what it sends. program: its name, one of COUNTING; at: where it tells that, empty for where
    it does by default: squid's host:port, HAProxy's socket, Traffic Server's run root, Varnish's instance."""

    program: str
    at: str = ""


class EdgeConfig(NamedTuple):
    """What `edgetally ship` needs. Times are in seconds; job servers are `host:port`; the key is 64 hex digits.

    linger_timeout: so long after another program's rotation an old process of the server may write to a file that
    nobody knows. quota_bytes: what the spool may take; reserve_bytes: what it leaves free on its file system. user: who
    tallies and talks to the network, where root runs it; empty for root itself. engine: what reads the logs, one of
    ENGINES. interface: whose transmit counter is read, empty for the default route's; counters: the servers whose own
    are; region: where the edge is, empty where no bill asks. tls: the folder of what TLS to the job servers needs, as
    wire/tls says; empty for plain TCP.
    """

    edge: str
    key_id: str
    key: str
    job_servers: tuple[str, ...]
    channels: str
    logs: tuple[LogConfig, ...]
    spool: str = "/var/spool/edgetally"
    splay: int = 60
    close_timeout: int = 20
    receipt_wait: int = 30
    linger_timeout: int = 600
    keep_raw_days: int = 7
    quota_bytes: int = 20 << 30
    reserve_bytes: int = 64 << 20
    include_existing: bool = False
    user: str = "edgetally"
    engine: str = "auto"
    interface: str = ""
    counters: tuple[CounterConfig, ...] = ()
    region: str = ""
    tls: str = ""
    path: str = EDGE_CONFIG


class DatabaseConfig(NamedTuple):
    """How to reach MariaDB. A socket wins over all, hosts (`host:port`, the nodes of a cluster) over host and port.

    ssl_ca: the CA file that other hosts' certificates are verified with; unencrypted: that passwords and figures may
    travel to them in clear, where there is none.
    """

    user: str
    password: str
    name: str = "edgetally"
    host: str = "localhost"
    port: int = 3306
    socket: str = ""
    ssl_ca: str = ""
    hosts: tuple[str, ...] = ()
    unencrypted: bool = False

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of every node, in their order; none where the socket is used."""
        if self.socket:
            return []
        return [parse_server(text, DATABASE_PORT) for text in self.hosts] or [(self.host, self.port)]

    @property
    def address(self) -> str:
        """The address as a person would write it, for messages."""
        return self.socket or ", ".join(f"{host}:{port}" for host, port in self.addresses)


class AggregatorConfig(NamedTuple):
    """What `edgetally aggregate` and `report` need. The first master key signs; the others are still accepted.

    detail_days: how long the counters of each stream are kept, 0 for good; those of all streams are kept for good.
    edges: the names of the edges that may send; none given: every edge whose key comes from a master key.
    max_slot_bytes: what a batch may count at most in one slot, channel and kind: by default, what 10 Tbit/s send.
    max_waiting: how many batches may wait in a job server, as its unit tells it. tls: as an edge's.
    """

    job_servers: tuple[str, ...]
    master_keys: tuple[str, ...]
    database: DatabaseConfig
    jobs_per_transaction: int = 1000
    max_batch_bytes: int = 8 << 20
    lease_seconds: int = 20
    detail_days: int = 400
    edges: frozenset[str] = frozenset()
    max_slot_bytes: int = 375 * 10**12
    max_waiting: int = 200_000
    tls: str = ""
    path: str = AGGREGATOR_CONFIG


def load_edge(path: str = EDGE_CONFIG) -> EdgeConfig:
    """Read and check an edge's configuration file."""
    config = _build(EdgeConfig, _read_json(path), path, "", path=path)
    names = [log.name for log in config.logs]
    for name in names:
        if names.count(name) > 1:
            raise EdgetallyError(f"{path}: two logs are named '{name}': a name is a stream, so each log needs its own")
    return config


def load_aggregator(path: str = AGGREGATOR_CONFIG) -> AggregatorConfig:
    """Read and check the aggregator's configuration file."""
    config = _build(AggregatorConfig, _read_json(path), path, "", path=path)
    database = config.database
    away = [host for host, _port in database.addresses if not _is_this_host(host)]
    if away and not (database.ssl_ca or database.unencrypted):
        raise EdgetallyError(
            f"{path}: the database at {away[0]} would be spoken to in clear: set aggregator_db_ssl_ca to the CA file "
            "that its certificate is verified with, or aggregator_db_unencrypted to true where the network is trusted"
        )
    return config


def _is_this_host(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def parse_server(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Split `host:port` (or `[v6]:port`); without a port it is the default one, a job server's."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text.strip("[]"), default_port
    return host.strip("[]"), int(port)


def _read_json(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise EdgetallyError(
            f"{path} cannot be read ({error.strerror}): run the playbook on this host, or name a file with --config"
        ) from None
    except ValueError as error:
        raise EdgetallyError(f"{path} is not JSON ({error}): mend it, or roll it out again with Ansible") from None


def _build(kind: type[T], data: Any, file: str, where: str, **given: Any) -> T:
    """Make a named tuple of a JSON object: every key known, every required key there, every value of its type."""
    if not isinstance(data, Mapping):
        _fail(file, where or "the file", "must be an object", '{"key": value, …}')
    known = {name: text for name, text in _fields(kind).items() if name not in given}
    for key in data:
        if key not in known:
            raise EdgetallyError(f"{file}: unknown key '{where}{key}'{_nearest(key, known)}")
    values = dict(given)
    for name, text in known.items():
        if name in data:
            values[name] = _value(text, data[name], file, f"{where}{name}")
        elif name not in kind._field_defaults:
            raise EdgetallyError(
                f"{file}: key '{where}{name}' is missing: add it, or roll the file out again with Ansible"
            )
    values = {**kind._field_defaults, **values}
    return kind._make(values[name] for name in kind._fields)


def _fields(kind: type[T]) -> dict[str, str]:
    """The fields of a named tuple, and their types as they are written."""
    return dict(kind.__annotations__)


def _value(kind: str, value: Any, file: str, where: str) -> Any:
    """Check one value against the type that it is declared with, and against its own rule."""
    listed = re.fullmatch(r"(tuple|frozenset)\[(\w+).*\]", kind)
    if listed:
        if not isinstance(value, list) or not (value or where.endswith(_MAY_BE_EMPTY)):
            _fail(file, where, "must be a list of at least one", "")
        items = [_value(listed[2], item, file, f"{where}[{number}]") for number, item in enumerate(value, 1)]
        return tuple(items) if listed[1] == "tuple" else frozenset(items)
    nested: dict[str, type[LogConfig] | type[CounterConfig] | type[DatabaseConfig]] = {
        "LogConfig": LogConfig,
        "CounterConfig": CounterConfig,
        "DatabaseConfig": DatabaseConfig,
    }
    if kind in nested:
        return _build(nested[kind], value, file, f"{where}.")
    wanted = {"str": str, "int": int, "bool": bool}[kind]
    if type(value) is not wanted:
        words = {"str": "a text", "int": "a whole number", "bool": "true or false"}[kind]
        _fail(file, where, f"must be {words}", f"not {json.dumps(value)}")
    rule = _RULES.get(where.rsplit(".", 1)[-1].split("[")[0])
    complaint = rule(value) if rule else None
    if complaint:
        raise EdgetallyError(f"{file}: key '{where}' {complaint}")
    return value


def _fail(file: str, where: str, what: str, hint: str) -> NoReturn:
    raise EdgetallyError(f"{file}: key '{where}' {what}{', ' + hint if hint else ''}")


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    close = nearest(key, known)
    return f": did you mean '{close}'?" if close else f": known are {', '.join(sorted(known))}"


def _name(value: str) -> str | None:
    if re.fullmatch(NAME, value):
        return None
    return f"is {value!r}: use letters, digits, '.', '_' and '-' only, beginning with a letter or digit"


def _hex(digits: int) -> Check:
    def check(value: str) -> str | None:
        if re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
            return None
        return f"must be {digits} lower-case hex digits, as Ansible derives them from edgetally_master_key"

    return check


def _server(value: str) -> str | None:
    if re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", value):
        return None
    return f"is {value!r}: write host:port, such as job1.example.com:{DEFAULT_PORT}"


def _database_host(value: str) -> str | None:
    return _server(value) and f"is {value!r}: write host or host:port, such as db1.example.com:{DATABASE_PORT}"


def _master_key(value: str) -> str | None:
    if len(value) >= MASTER_KEY_LENGTH:
        return None
    return f"is too short: edgetally_master_key needs at least {MASTER_KEY_LENGTH} characters"


def _at_least(smallest: int) -> Check:
    return lambda value: None if value >= smallest else f"is {value}: it must be at least {smallest}"


def _spread(value: int) -> str | None:
    if 0 < value <= LONGEST_SPREAD:
        return None
    return f"is {value}: it must be from 1 to {LONGEST_SPREAD} seconds"


def _engine(value: str) -> str | None:
    return None if value in ENGINES else f"is {value!r}: it must be one of {', '.join(ENGINES)}"


def _interface(value: str) -> str | None:
    if re.fullmatch(r"[^\s/]{0,15}", value):
        return None
    return f"is {value!r}: write the interface's name as `ip link` shows it, or nothing for the default route's"


def _program(value: str) -> str | None:
    return None if value in COUNTING else f"is {value!r}: of these alone counters are read: {', '.join(COUNTING)}"


def _detail_days(value: int) -> str | None:
    if value == 0 or value >= LEAST_DETAIL_DAYS:
        return None
    return (
        f"is {value}: it must be 0, which keeps all, or at least {LEAST_DETAIL_DAYS}: what bounds a bill with gaps is "
        "in the detail of its month"
    )


def _path(value: str) -> str | None:
    return None if value.startswith("/") else f"is {value!r}: write the whole path, beginning with /"


# The rule of each key, wherever it stands. `name` is a log's, and the database's.
_RULES: dict[str, Check] = {
    "hosts": _database_host,
    "edge": _name,
    "edges": _name,
    "name": _name,
    "key_id": _hex(8),
    "key": _hex(64),
    "job_servers": _server,
    "master_keys": _master_key,
    "channels": _path,
    "spool": _path,
    "path": _path,
    "private": lambda value: _path(value) if value else None,
    "tls": lambda value: _path(value) if value else None,
    "engine": _engine,
    "interface": _interface,
    "program": _program,
    "region": lambda value: _name(value) if value else None,
    "splay": _at_least(0),
    "close_timeout": _at_least(0),
    "max_spread": _spread,
    "receipt_wait": _at_least(0),
    "linger_timeout": _at_least(0),
    "keep_raw_days": _at_least(0),
    "quota_bytes": _at_least(1 << 20),
    "reserve_bytes": _at_least(0),
    "jobs_per_transaction": _at_least(1),
    "max_batch_bytes": _at_least(1024),
    "lease_seconds": _at_least(2),
    "detail_days": _detail_days,
    "max_slot_bytes": _at_least(1),
    "max_waiting": _at_least(1),
}
