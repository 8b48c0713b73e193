"""Migrations: bring database, tables and accounts up to this program, as an administrator.

Every step looks before it changes, so that a second run has nothing to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pymysql

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.database import DatabaseError, connect, migrations

LOCK_SECONDS = 50
SERVICE = ("SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE")
READONLY = ("SELECT", "SHOW VIEW")
_MADE = re.compile(r"^CREATE (?:OR REPLACE VIEW|PROCEDURE|TRIGGER) (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Account:
    """A database account and what it may do on the edgetally database."""

    user: str
    host: str
    password: str
    privileges: tuple[str, ...]


def migrate(
    config: AggregatorConfig, admin: DatabaseConfig, account_host: str, readonly: tuple[str, str, str] | None
) -> list[str]:
    """Do what is missing. Returns a line for each change.

    admin: the administrator's account; account_host: where the service connects from; readonly: user, host and password
    of an account that may only read.
    """
    accounts = [Account(config.database.user, account_host, config.database.password, SERVICE)]
    if readonly:
        accounts.append(Account(*readonly, READONLY))
    connection = connect(admin, database=None, autocommit=True)
    try:
        with connection.cursor() as cursor:
            # One at a time. The lock is this server's alone: on a cluster the role lets aggregators in one by one
            cursor.execute("SELECT GET_LOCK('edgetally migrate', %s)", (LOCK_SECONDS,))
            done = _database(cursor, config.database.name) + _tables(cursor) + _lost(cursor)
            for account in accounts:
                done += _account(cursor, config.database, account)
            if readonly:
                done += _bound(cursor, *readonly[:2])
    except pymysql.MySQLError as error:
        raise EdgetallyError(
            f"the database at {admin.address} refused a step of the migration ({error.args[-1]}): "
            "check that the administrator's account may create databases, procedures and users, and run it again"
        ) from None
    finally:
        connection.close()
    return done


def statements(text: str) -> list[str]:
    """Cut a migration at its empty lines."""
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text))
    return [block for block in blocks if block and not all(line.startswith("--") for line in block.splitlines())]


def _database(cursor: Any, name: str) -> list[str]:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", name):
        raise EdgetallyError(f"database name {name!r} is not usable: use letters, digits and _ only")
    created = []
    cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (name,))
    if cursor.fetchone() is None:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        created.append(f"created database {name}")
    cursor.execute(f"USE {name}")
    return created


def _tables(cursor: Any) -> list[str]:
    """Apply the migrations that the database has not seen, in the order of their numbers."""
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version INT UNSIGNED NOT NULL PRIMARY KEY, "
        "applied_at DATETIME(6) NOT NULL) ENGINE = InnoDB"
    )
    cursor.execute("SELECT version FROM schema_version")
    seen = {version for (version,) in cursor.fetchall()}
    applied = []
    for name, text in migrations():
        version = int(name[:4])
        if version in seen:
            continue
        for statement in statements(text):
            cursor.execute(statement)
        cursor.execute("INSERT IGNORE INTO schema_version VALUES (%s, UTC_TIMESTAMP(6))", (version,))
        applied.append(f"applied {name}")
    if applied:
        cursor.execute("CALL make_partitions()")
    return applied


def _lost(cursor: Any) -> list[str]:
    """Make views, procedures and triggers that are gone: a default mariadb-dump has no procedures.

    A table that is gone is not made anew: what was in it is lost, and an empty one would hide that.
    """
    texts: dict[str, str] = {}
    for _name, text in migrations():
        for statement in statements(text):
            made = _MADE.search(statement)
            if made:
                texts[made[1]] = statement
    cursor.execute(
        "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() UNION ALL "
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() UNION ALL "
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()"
    )
    lost = sorted(texts.keys() - {name for (name,) in cursor.fetchall()}, key=list(texts).index)
    for name in lost:
        cursor.execute(texts[name])
    return [f"made {name}, which was gone" for name in lost]


def _account(cursor: Any, database: DatabaseConfig, account: Account) -> list[str]:
    """Create an account, set its password where it cannot log in with it, and give it its privileges."""
    name = (account.user, account.host)
    done = []
    cursor.execute("SELECT 1 FROM mysql.user WHERE user = %s AND host = %s", name)
    if cursor.fetchone() is None:
        cursor.execute("CREATE USER %s@%s IDENTIFIED BY %s", (*name, account.password))
        done.append(f"created account {account.user}@{account.host}")
    elif not _can_log_in(database, account):
        before = _password_hash(cursor, name)  # an account of another host cannot log in from here
        cursor.execute("ALTER USER %s@%s IDENTIFIED BY %s", (*name, account.password))
        if _password_hash(cursor, name) != before:
            done.append(f"set the password of {account.user}@{account.host}")
    cursor.execute("SHOW GRANTS FOR %s@%s", name)
    grant = next((row[0] for row in cursor.fetchall() if f"`{database.name}`.*" in row[0]), "")
    given = {word.strip() for word in grant[len("GRANT ") : grant.find(" ON ")].split(",")} if grant else set()
    if given != set(account.privileges):
        if given:
            cursor.execute(f"REVOKE ALL PRIVILEGES ON {database.name}.* FROM %s@%s", name)
        cursor.execute(f"GRANT {', '.join(account.privileges)} ON {database.name}.* TO %s@%s", name)
        done.append(f"granted {', '.join(account.privileges)} to {account.user}@{account.host}")
    return done


def _bound(cursor: Any, user: str, host: str) -> list[str]:
    """Remove the account of the same name for any host, which earlier programs made."""
    cursor.execute("SELECT 1 FROM mysql.user WHERE user = %s AND host = '%%'", (user,))
    if host == "%" or cursor.fetchone() is None:
        return []
    cursor.execute("DROP USER %s@'%%'", (user,))
    return [f"removed account {user}@%: it is bound to {host} now"]


def _password_hash(cursor: Any, name: tuple[str, str]) -> Any:
    cursor.execute("SELECT authentication_string FROM mysql.user WHERE user = %s AND host = %s", name)
    return cursor.fetchone()


def _can_log_in(database: DatabaseConfig, account: Account) -> bool:
    try:
        connect(database._replace(user=account.user, password=account.password)).close()
    except DatabaseError as error:
        return error.code not in (1045, 1698)
    return True
