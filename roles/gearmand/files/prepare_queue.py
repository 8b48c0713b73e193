#!/usr/bin/python3
"""Make gearmand's SQLite queue fit the version that is about to start. The unit runs it before each start.

usage: prepare_queue.py FILE old|new       old: gearmand before 1.0, new: 1.0 and later

gearmand 0.14 keeps four columns and one key, the job's id. Later versions want a fifth column and a key of id and
function, and do not start on a row of 0.14. So the table is rebuilt in one transaction wherever it is not the wanted
one, or has a row on which gearmand would refuse to start: killed in the middle, the queue is as it was, and the next
start does it again. No job is lost; each keeps its place. Before that the queue is copied to FILE.before-<UTC time>.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import time
from pathlib import Path

TABLE = "gearman_queue"
BACKUPS = 3
LONGEST_ID = 63
"""Bytes. gearmand cuts a longer id in memory, 0.14 then never finds its row again, and later ones refuse to start."""

COLUMNS = {
    "old": "unique_key TEXT PRIMARY KEY, function_name TEXT, priority INTEGER, data BLOB",
    "new": "unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB, when_to_run INTEGER,"
    " PRIMARY KEY (unique_key, function_name)",
}
KEYS = {
    "old": {"unique_key": 1, "function_name": 0, "priority": 0, "data": 0},
    "new": {"unique_key": 1, "function_name": 2, "priority": 0, "data": 0, "when_to_run": 0},
}
"""Each column with its place in the primary key; 0 is none."""

TYPES = {"unique_key": "text", "function_name": "text", "priority": "integer", "data": "blob", "when_to_run": "integer"}
"""What gearmand wants each value to be. An empty payload is stored as NULL, which it then refuses to read."""


class QueueError(Exception):
    """The queue cannot be made to fit; the text is one sentence that says why and how to mend it."""


def other_id(name: bytes, function: bytes) -> str:
    """The id of a job that cannot keep its own: 60 hex digits, the same each time."""
    return hashlib.sha256(function + b"\0" + name).hexdigest()[:60]


def columns(queue: sqlite3.Connection) -> dict[str, int]:
    """Return the table's columns, each with its place in the primary key; empty where there is no table."""
    return {row[1]: row[5] for row in queue.execute(f"PRAGMA table_info({TABLE})")}


def has_bad_row(queue: sqlite3.Connection, kind: str) -> bool:
    """Return whether gearmand would refuse to start on a row, or never find it again."""
    wrong = [f"typeof({name}) <> '{type_}'" for name, type_ in TYPES.items() if name in KEYS[kind]]
    wrong.append(f"length(CAST(unique_key AS BLOB)) > {LONGEST_ID}")
    query = f"SELECT EXISTS (SELECT 1 FROM {TABLE} WHERE {' OR '.join(wrong)})"  # noqa: S608 (our own words)
    return bool(queue.execute(query).fetchone()[0])


def back_up(queue: sqlite3.Connection, file: Path) -> Path:
    """Copy the queue beside itself, under its name only once it is whole, and drop the oldest copies."""
    backup = file.with_name(f"{file.name}.before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    copy = sqlite3.connect(part)
    queue.backup(copy)
    copy.close()
    part.replace(backup)
    for old in sorted(file.parent.glob(f"{file.name}.before-*"))[:-BACKUPS]:
        old.unlink()
    return backup


def rebuild(queue: sqlite3.Connection, kind: str) -> str:
    """Put all rows into a table of the wanted kind, in their order; return what became of them. One transaction.

    Where two rows would have the same key, or an id is too long, the later one gets an id of its own.
    """
    there = columns(queue)
    when = "coalesce(when_to_run, 0)" if "when_to_run" in there else "0"
    same_key = "unique_key" if kind == "old" else "unique_key, function_name"
    rows = f"""
        SELECT unique_key, function_name, coalesce(priority, 1) AS priority,
            CASE WHEN data IS NULL THEN zeroblob(0) ELSE CAST(data AS BLOB) END AS data, {when} AS when_to_run,
            length(CAST(unique_key AS BLOB)) > {LONGEST_ID}
                OR row_number() OVER (PARTITION BY {same_key} ORDER BY rowid) > 1 AS renamed, rowid AS place
        FROM {TABLE}"""  # noqa: S608 (our own words)
    names = ", ".join(KEYS[kind])
    values = names.replace(
        "unique_key",
        "CASE WHEN renamed THEN other_id(CAST(unique_key AS BLOB), CAST(function_name AS BLOB)) ELSE unique_key END",
    )
    queue.create_function("other_id", 2, other_id, deterministic=True)
    queue.execute("BEGIN IMMEDIATE")
    try:
        count, renamed, later = queue.execute(
            f"SELECT count(*), total(renamed), total(when_to_run > unixepoch_now()) FROM ({rows})"  # noqa: S608
        ).fetchone()
        queue.execute(f"CREATE TABLE {TABLE}_next ({COLUMNS[kind]})")
        queue.execute(f"INSERT INTO {TABLE}_next ({names}) SELECT {values} FROM ({rows}) ORDER BY place")  # noqa: S608
        queue.execute(f"DROP TABLE {TABLE}")
        queue.execute(f"ALTER TABLE {TABLE}_next RENAME TO {TABLE}")
        queue.execute("COMMIT")
    except BaseException:
        queue.execute("ROLLBACK")
        raise
    told = f"{count} jobs are now as gearmand {'before' if kind == 'old' else 'from'} 1.0 keeps them"
    if renamed:
        told += f", {renamed:.0f} of them under another id"
    if kind == "old" and later:
        told += f", {later:.0f} that were to run later run at once, because it cannot wait"
    return told


def prepare(file: Path, kind: str) -> str:
    """Make the queue's file fit, and make it where there is none; return what was done, empty when it was nothing."""
    queue = sqlite3.connect(file, timeout=10, isolation_level=None)
    try:
        queue.create_function("unixepoch_now", 0, lambda: int(time.time()))
        mode = queue.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise QueueError(f"its journal stays in mode {mode}; look whether {file.parent} is on a local file system")
        there = columns(queue)
        if not there or (there == KEYS[kind] and not has_bad_row(queue, kind)):
            return ""
        if not there.keys() >= KEYS["old"].keys():
            raise QueueError(f"its table {TABLE} is none of gearmand's; move {file} away and start again")
        queue.execute("PRAGMA synchronous=FULL")
        backup = back_up(queue, file)
        return f"{rebuild(queue, kind)}; {backup} is the queue before that"
    finally:
        queue.close()


def main(arguments: list[str]) -> int:
    """Run the program; return its exit status."""
    if len(arguments) != 2 or arguments[1] not in COLUMNS:
        print("usage: prepare_queue.py FILE old|new", file=sys.stderr)
        return 2
    file = Path(arguments[0])
    try:
        told = prepare(file, arguments[1])
    except (QueueError, sqlite3.Error, OSError) as error:
        hint = "" if isinstance(error, QueueError) else f"; look at `ls -la {file.parent}` and at the room on its disk"
        print(f"The queue {file} cannot be made ready: {error}{hint}.", file=sys.stderr)
        return 1
    if told:
        print(f"The queue {file}: {told}.")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))
