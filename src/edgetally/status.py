"""`edgetally status`: how this host's edge or aggregator is doing, in one table or as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgetally import table
from edgetally.config import AGGREGATOR_CONFIG, EDGE_CONFIG, EdgeConfig, load_aggregator, load_edge
from edgetally.errors import EdgetallyError
from edgetally.quota import make_room
from edgetally.rotate import Stream, find_streams
from edgetally.spool import BatchName, Spool

LATE_SECONDS = 900  # a rotation or a confirmation that is older is worth a look


def run(path: str | None, output: str) -> int:
    """Print the status of the host, or of one configuration file. 0: ok; 1: a warning or worse."""
    paths = [path] if path else [name for name in (EDGE_CONFIG, AGGREGATOR_CONFIG) if os.path.exists(name)]
    if not paths:
        raise EdgetallyError(
            f"neither {EDGE_CONFIG} nor {AGGREGATOR_CONFIG} is here: run this on an edge or the aggregator, or name a "
            "file with --config"
        )
    found = [_status_of(name) for name in paths]
    if output == "json":
        print(json.dumps(found[0] if len(found) == 1 else found, indent=2))
    else:
        print("\n\n".join(_table(status) for status in found))
    return int(any(status["state"] != "ok" for status in found))


def _status_of(path: str) -> dict[str, Any]:
    try:
        is_edge = "edge" in json.loads(Path(path).read_bytes())
    except (OSError, ValueError, TypeError):
        is_edge = True  # loading it says what is wrong
    return edge_status(load_edge(path)) if is_edge else aggregator_status(path)


# --- the edge


def edge_status(config: EdgeConfig) -> dict[str, Any]:
    """What lies in the spool and beside the logs. Times in epoch seconds, ages in seconds, sizes in bytes.

    {"role": "edge", "edge", "state": ok|warning|critical, "problems": [sentence], "paused", "ledger",
     "logs": [{"log", "path", "generation", "next_seq", "last_rotation", "renamed": [path], "outbox", "outbox_bytes",
               "oldest_outbox", "sent", "held": [{"batch", "reason"}]}]}
    """
    spool = Spool(config.spool)
    now = time.time()
    streams, problems = find_streams(config)
    waiting = {folder: _by_log(spool.batches(folder)) for folder in (spool.outbox, spool.sent, spool.held)}
    known = {stream.log: stream for stream in streams}
    names = sorted(set(known).union(*waiting.values()))
    logs = [
        _log_status(spool, name, known.get(name), [found.get(name, []) for found in waiting.values()], now)
        for name in names
    ]
    paused = spool.paused.exists()
    if paused:
        problems.append("shipping is paused: `edgetally ship --resume` goes on")
    for log in logs:
        problems += _log_problems(log, now, paused or now - os.path.getmtime(config.path) < LATE_SECONDS)
    no_room = make_room(config, spool, remove=False) if spool.root.is_dir() else None
    if no_room:
        problems.append(no_room)
    critical = bool(no_room) or any(log["held"] for log in logs)
    return {
        "role": "edge",
        "edge": config.edge,
        "state": "critical" if critical else "warning" if problems else "ok",
        "problems": problems,
        "paused": paused,
        "ledger": spool.ledger.read_text(encoding="utf-8").strip() if spool.ledger.exists() else None,
        "logs": logs,
    }


def _by_log(names: Iterable[BatchName]) -> dict[str, list[BatchName]]:
    found: dict[str, list[BatchName]] = {}
    for name in names:
        found.setdefault(name.log, []).append(name)
    return found


def _log_status(
    spool: Spool, log: str, stream: Stream | None, batches: list[list[BatchName]], now: float
) -> dict[str, Any]:
    """One log's part; a log that is no longer configured has no path, and may still have batches."""
    outbox, sent, held = batches
    state = spool.load_state(log)
    sizes = []
    changed = []
    for name in outbox:
        try:
            status = (spool.outbox / str(name)).stat()
        except FileNotFoundError:
            continue  # confirmed in this moment
        sizes.append(status.st_size)
        changed.append(status.st_mtime)
    return {
        "log": log,
        "path": str(stream.path) if stream else None,
        "generation": state.generation if state else None,
        "next_seq": state.next_seq if state else None,
        "last_rotation": state.last_to if state else None,
        "renamed": _renamed(stream),
        "outbox": len(sizes),
        "outbox_bytes": sum(sizes),
        "oldest_outbox": round(max(0.0, now - min(changed)), 1) if changed else None,
        "sent": len(sent),
        "held": [{"batch": str(name), "reason": spool.reason(name)} for name in held],
    }


def _renamed(stream: Stream | None) -> list[str]:
    try:
        return [str(item.path) for item in stream.renamed()] if stream else []
    except EdgetallyError:
        return []  # the folder is missing, and so is the log: that is said


def _log_problems(log: dict[str, Any], now: float, idle: bool) -> list[str]:
    """What is wrong with one log, a sentence each. idle: no rotation is due, paused or just installed."""
    problems = [
        f"batch {item['batch']} is held ({item['reason']}): it is not counted; {_held_mend(item['reason'])}"
        for item in log["held"]
    ]
    name = log["log"]
    if log["path"] and not os.path.exists(log["path"]):
        problems.append(f"log '{name}': {log['path']} is not there")
    if log["path"] and not idle and now - (log["last_rotation"] or 0.0) > LATE_SECONDS:
        ago = _age(now - log["last_rotation"]) + " ago" if log["last_rotation"] else "never"
        problems.append(f"log '{name}' was rotated {ago}: see that cron runs `edgetally ship`")
    if (log["oldest_outbox"] or 0) > LATE_SECONDS:
        problems.append(
            f"log '{name}': {log['outbox']} batches wait, the oldest for {log['oldest_outbox'] / 60:.0f} min"
        )
    if len(log["renamed"]) > 1:
        problems.append(
            f"log '{name}': {len(log['renamed'])} renamed files are not finished, such as {log['renamed'][0]}"
        )
    return problems


def _held_mend(reason: str) -> str:
    """What a person does with a held batch. The edge itself never sends it again, and deletes nothing."""
    if reason == "conflict":
        return (
            "the ledger counts another one of this number, as after a restored or copied spool: compare `edgetally "
            "tally` of its raw log, in raw/, with the bill, and remove its files from held/ once that is settled"
        )
    return (
        "mend the cause, have the aggregator take it with `edgetally quarantine retry`, and run "
        "`edgetally ship --reconcile` here"
    )


# --- the aggregator


def aggregator_status(path: str) -> dict[str, Any]:
    """What the database says: who writes, how long ago, and what was refused.

    {"role": "aggregator", "state", "problems": [sentence], "database", "ledger", "writer": {"holder", "epoch",
     "commit_no", "age"}, "batches", "streams", "last_commit": seconds ago or None, "quarantine": {reason: payloads}}
    """
    from edgetally.database import check_schema, connect

    config = load_aggregator(path)
    connection = connect(config.database)
    try:
        check_schema(connection, config.database)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT holder, epoch, txn, TIMESTAMPDIFF(MICROSECOND, renewed_at, UTC_TIMESTAMP(6)) / 1e6 FROM writer"
            )
            holder, epoch, commit_no, age = cursor.fetchone() or (b"", 0, 0, 0)
            cursor.execute(
                "SELECT COUNT(*), COUNT(DISTINCT stream_id), "
                "TIMESTAMPDIFF(MICROSECOND, MAX(committed_at), UTC_TIMESTAMP(6)) / 1e6 FROM batch"
            )
            batches, streams, last = cursor.fetchone() or (0, 0, None)
            cursor.execute("SELECT reason, COUNT(*) FROM quarantine GROUP BY reason ORDER BY reason")
            quarantine = {str(reason): int(count) for reason, count in cursor.fetchall()}
            cursor.execute("SELECT id FROM ledger")
            (ledger,) = cursor.fetchone() or ("",)
    finally:
        connection.close()
    problems = []
    silent = not holder or float(age) > config.lease_seconds
    if silent:
        problems.append("no aggregator is at work: check `systemctl status edgetally-aggregator`")
    if quarantine:
        problems.append(f"{sum(quarantine.values())} payloads are in quarantine: they are not counted")
    return {
        "role": "aggregator",
        "state": "critical" if silent else "warning" if problems else "ok",
        "problems": problems,
        "database": config.database.address,
        "ledger": ledger,
        "writer": {
            "holder": holder.decode(),
            "epoch": epoch,
            "commit_no": commit_no,
            "age": round(float(age), 1),
        },
        "batches": batches,
        "streams": streams,
        "last_commit": None if last is None else round(float(last), 1),
        "quarantine": quarantine,
    }


# --- printing


def _table(status: dict[str, Any]) -> str:
    """The status for people: a headline, the details, and the problems."""
    lines = _edge_lines(status) if status["role"] == "edge" else _aggregator_lines(status)
    return "\n".join([*lines, *(f"! {problem}" for problem in status["problems"])])


def _edge_lines(status: dict[str, Any]) -> list[str]:
    head = ("log", "next", "rotated", "unfinished", "outbox", "bytes", "oldest", "sent", "held")
    rows = [head]
    now = time.time()
    for log in status["logs"]:
        rotated = None if log["last_rotation"] is None else now - log["last_rotation"]
        rows.append(
            (
                *(log["log"], str(log["next_seq"] or "-"), _age(rotated), str(len(log["renamed"]))),
                *(str(log["outbox"]), str(log["outbox_bytes"]), _age(log["oldest_outbox"])),
                *(str(log["sent"]), str(len(log["held"]))),
            )
        )
    return [
        f"edge {status['edge']}: {status['state']}, ledger {status['ledger'] or 'not known yet'}",
        *table.render(rows),
    ]


def _aggregator_lines(status: dict[str, Any]) -> list[str]:
    writer = status["writer"]
    return [
        f"aggregator on {status['database']}: {status['state']}, ledger {status['ledger']}",
        f"writer      {writer['holder'] or 'none'}, epoch {writer['epoch']}, renewed {_age(writer['age'])} ago",
        f"batches     {status['batches']} of {status['streams']} streams, the last {_age(status['last_commit'])} ago",
        f"quarantine  {', '.join(f'{count} {reason}' for reason, count in status['quarantine'].items()) or 'empty'}",
    ]


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
