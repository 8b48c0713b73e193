"""Connections to MariaDB, and its errors in words."""

from __future__ import annotations

import socket
from collections.abc import Collection
from functools import lru_cache
from importlib import resources
from typing import Any

import pymysql
from pymysql.connections import Connection

from edgetally.config import DatabaseConfig
from edgetally.errors import EdgetallyError
from edgetally.sockets import dial

CONNECT_TIMEOUT = 5
STATEMENT_TIMEOUT = 60
UNKNOWN_VARIABLE = 1193
LOCK_WAIT = 1205
DUPLICATE = 1062
DEADLOCK = 1213  # on Galera also, from COMMIT too, where another node's transaction came first

# The whole transaction is worth another try: lock wait, deadlock (also from COMMIT on Galera), node not ready,
# error during COMMIT, server gone, connection lost, connection refused.
RETRY = {LOCK_WAIT, DEADLOCK, 1047, 1180, 1053, 1927, 2003, 2006, 2013, 4031}

# A full disk, by table, file or storage engine: no batch's fault, and over when somebody makes room.
NO_ROOM = {3, 1021, 1026, 1030, 1114}
RETRY |= NO_ROOM

# A value that no table takes: the one fault that is a batch's own. Whatever else a database answers is its own fault.
BAD_DATA = {1048, 1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1690}

# The tables that every transaction may write to, and the procedures that make room in them.
_WRITTEN = (
    *("batch", "batch_body", "missing", "refused", "quarantine", "stream", "channel"),
    *("traffic", "channel_traffic", "unassigned_host", "machine"),
)
_PROCEDURES = ("make_partitions", "drop_old_partitions")


class DatabaseError(EdgetallyError):
    """The database cannot be used; `code` is MariaDB's error number, 0 where there is none."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def connect(config: DatabaseConfig, first: int = 0, **options: Any) -> Connection[Any]:
    """Open a connection: UTC, utf8mb4, strict, no autocommit; on a cluster a statement waits for what others committed.

    first: the number of the address to begin with; the others are tried after it, in their order. Raises DatabaseError,
    which says what is wrong at the last address and how to mend it.
    """
    settings: dict[str, Any] = {
        "user": config.user,
        "password": config.password,
        "database": config.name,
        "charset": "utf8mb4",
        "autocommit": False,
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": STATEMENT_TIMEOUT,
        "write_timeout": STATEMENT_TIMEOUT,
        "init_command": "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'",
    }
    if config.ssl_ca:
        settings.update(ssl_ca=config.ssl_ca, ssl_verify_cert=True, ssl_verify_identity=True)
    places: list[dict[str, Any]] = [{"host": host, "port": port} for host, port in config.addresses]
    places = places or [{"unix_socket": config.socket}]
    turn = first % len(places)
    for place in [*places[turn:], *places[:turn]]:
        try:
            connection = pymysql.connect(**{**settings, **place, **options}, defer_connect=True)
            connection.connect(_greeted(**place) if "host" in place else None)
            set_where_known(connection, "wsrep_sync_wait = 3")  # before SELECT, UPDATE and DELETE
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")  # a node that is cut off from its cluster takes connections, but no query
            return connection
        except (pymysql.MySQLError, OSError) as error:
            problem = error
    raise unreachable(config, problem) from None


def set_where_known(connection: Connection[Any], setting: str) -> None:
    """Set a session variable that not every server has."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SET SESSION {setting}")
        except pymysql.MySQLError as error:
            if error_code(error) != UNKNOWN_VARIABLE:
                raise


def unreachable(config: DatabaseConfig, error: BaseException) -> EdgetallyError:
    """Why the database cannot be used, as one sentence."""
    code = error_code(error)
    if code == 1045 or code == 1698:
        return DatabaseError(
            f"the database at {config.address} refuses user '{config.user}': check the password in the configuration "
            "file, or roll the aggregator role out again",
            code,
        )
    if code in (1044, 1049):
        return DatabaseError(
            f"the database '{config.name}' is not there, or not for user '{config.user}', at {config.address}: "
            "run `edgetally migrate`, as the aggregator role does",
            code,
        )
    text = error.args[1] if len(error.args) > 1 else error
    return DatabaseError(
        f"the database at {config.address} cannot be used ({text}): check that MariaDB runs there, and the address",
        code,
    )


def write_problem(cursor: Any) -> str:
    """Why this account cannot write what an aggregator writes; empty where it can. Nothing is written."""
    try:
        for table in _WRITTEN:
            cursor.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE FALSE")  # noqa: S608
        cursor.execute("UPDATE writer SET txn = txn WHERE FALSE")
        cursor.execute("DELETE FROM quarantine WHERE FALSE")
    except pymysql.MySQLError as error:
        return refusal_text(error)
    cursor.execute("SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()")
    lost = sorted(set(_PROCEDURES).difference(name for (name,) in cursor.fetchall()))
    return f"PROCEDURE {lost[0]} does not exist" if lost else ""


def durability_problem(cursor: Any) -> str:
    """What a power loss would take, though it was confirmed; empty where every COMMIT is on disk."""
    cursor.execute("SELECT @@innodb_flush_log_at_trx_commit")
    (flush,) = cursor.fetchone()
    if flush == 1:
        return ""
    return (
        f"the database does not sync every COMMIT (innodb_flush_log_at_trx_commit is {flush}), so a power loss may "
        "take batches that were confirmed: set it to 1, and after a power loss run `edgetally ship --reconcile` on the "
        "edges, as they do once a day"
    )


def refusal_text(error: BaseException) -> str:
    """What a database says when it refuses a statement, with its number."""
    return f"{error.args[-1]}, error {error_code(error)}" if error.args else str(error)


def is_bad_data(error: BaseException) -> bool:
    """Whether the database refuses a value, and not the statement: no retry and no mending would help."""
    return isinstance(error, pymysql.MySQLError) and error_code(error) in BAD_DATA


def error_code(error: BaseException) -> int:
    """MariaDB's error number of an exception, 0 where it has none. A closed connection counts as lost (2013)."""
    if isinstance(error, pymysql.err.InterfaceError):
        return 2013
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else 0


def migrations() -> list[tuple[str, str]]:
    """All migrations of this program: (file name, SQL), by number."""
    entries = (resources.files("edgetally.ledger") / "migrations").iterdir()
    return sorted((entry.name, entry.read_text("utf-8")) for entry in entries if entry.name.endswith(".sql"))


@lru_cache(maxsize=1)
def schema_versions() -> frozenset[int]:
    """The numbers of all migrations of this program."""
    return frozenset(int(name[:4]) for name, _text in migrations())


def check_schema(connection: Connection[Any], config: DatabaseConfig) -> None:
    """Refuse a database that lacks one of this program's migrations, or has one that this program does not know."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT version FROM schema_version")
            versions = {version for (version,) in cursor.fetchall()}
        except pymysql.err.ProgrammingError:
            versions = set()
    connection.rollback()
    wanted = schema_versions()
    if versions != wanted:
        mend = "upgrade edgetally on this host" if versions > wanted else "run `edgetally migrate`"
        raise DatabaseError(
            f"the database '{config.name}' at {config.address} has schema version {_versions(versions)}, "
            f"and this program needs {_versions(wanted)}: {mend}, or roll the aggregator role out again",
            0,
        )


def _greeted(host: str, port: int) -> socket.socket:
    """A connection to a server that has begun its greeting: a frozen one takes connections, but says nothing."""
    link = dial(host, port, CONNECT_TIMEOUT)
    try:
        link.recv(1, socket.MSG_PEEK)  # dial's time-out is still on
    except OSError:
        link.close()
        raise
    return link


def _versions(numbers: Collection[int]) -> str:
    """The highest number, and which are missing below it."""
    last = max(numbers, default=0)
    missing = sorted(version for version in schema_versions() if version < last and version not in numbers)
    return f"{last} without {', '.join(map(str, missing))}" if missing and numbers else str(last)
