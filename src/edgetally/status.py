"""`edgetally status`: how this host's edge or aggregator is doing, in one table or as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgetally import __version__, clock, table
from edgetally.config import AGGREGATOR_CONFIG, EDGE_CONFIG, EdgeConfig, load_edge
from edgetally.errors import EdgetallyError
from edgetally.quota import free_bytes, make_room, mib, used_bytes
from edgetally.rotate import Renamed, Stream, find_streams, is_closed
from edgetally.spool import BatchName, Spool

LATE_SECONDS = 900  # a rotation or a confirmation that is older is worth a look
OPEN_SECONDS = 3600  # and so is a renamed log that a server still writes to


def run(path: str | None, output: str, metrics: str | None = None) -> int:
    """Print the status of the host, or of one configuration file; with metrics, only write them to that file.

    output: table, json or nagios. 0: ok; 1: a warning or worse. Nagios gets 0 ok, 1 warning, 2 critical, 3 unknown.
    """
    if output == "nagios":
        from edgetally import nagios

        return nagios.run(lambda: ask(path, lost=True))
    if metrics:
        from edgetally.metrics import write

        write(metrics, ask(path, lost=True))
        return 0
    found = ask(path)
    if output == "json":
        print(json.dumps(found[0] if len(found) == 1 else found, indent=2))
    else:
        print("\n\n".join(_table(status) for status in found))
    return int(any(status["state"] != "ok" for status in found))


def ask(path: str | None, lost: bool = False) -> list[dict[str, Any]]:
    """The status of each part of the host. lost: a database that cannot be asked is a status, too, and no error."""
    paths = [path] if path else [name for name in (EDGE_CONFIG, AGGREGATOR_CONFIG) if os.path.exists(name)]
    if not paths:
        raise EdgetallyError(
            f"neither {EDGE_CONFIG} nor {AGGREGATOR_CONFIG} is here: run this on an edge or the aggregator, or name a "
            "file with --config"
        )
    return [_status_of(name, lost) for name in paths]


def _status_of(path: str, lost: bool) -> dict[str, Any]:
    try:
        is_edge = "edge" in json.loads(Path(path).read_bytes())
    except (OSError, ValueError, TypeError):
        is_edge = True  # loading it says what is wrong
    if is_edge:
        return edge_status(load_edge(path))
    from edgetally.aggregator_status import aggregator_status, lost_status
    from edgetally.database import DatabaseError

    try:
        return aggregator_status(path)
    except DatabaseError as error:
        if not lost:
            raise
        return lost_status(path, error)


# --- the edge


def edge_status(config: EdgeConfig) -> dict[str, Any]:
    """What lies in the spool and beside the logs. Times in epoch seconds, ages in seconds, sizes in bytes.

    {"role": "edge", "version", "edge", "state": ok|warning|critical, "problems": [sentence], "time", "paused",
     "ledger", "clock": {"offset", "accuracy", "age"} or None, "spool": {"path", "used", "quota", "free"} or None,
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
    offset = clock.load(spool.clock)
    wrong = clock.problem(offset)
    problems += [wrong] if wrong else []
    critical = bool(no_room) or any(log["held"] for log in logs)
    return {
        "role": "edge",
        "version": __version__,
        "edge": config.edge,
        "state": "critical" if critical else "warning" if problems else "ok",
        "problems": problems,
        "time": round(now, 3),
        "clock": offset,
        "spool": _room(config, spool),
        "paused": paused,
        "ledger": spool.ledger.read_text(encoding="utf-8").strip() if spool.ledger.exists() else None,
        "logs": logs,
    }


def _room(config: EdgeConfig, spool: Spool) -> dict[str, Any] | None:
    """What the spool takes and may take, and what is free on its disk, in bytes; None where there is none."""
    if not spool.root.is_dir():
        return None
    return {
        "path": str(spool.root),
        "used": used_bytes(spool),
        "quota": config.quota_bytes,
        "free": free_bytes(spool.root),
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
    if log["path"] and _is_gone(log["path"]):
        problems.append(f"log '{name}': {log['path']} is not there: see that its server runs, and `edgetally check`")
    if log["path"] and not idle and now - (log["last_rotation"] or 0.0) > LATE_SECONDS:
        ago = _age(now - log["last_rotation"]) + " ago" if log["last_rotation"] else "never"
        problems.append(f"log '{name}' was rotated {ago}: see that cron runs `edgetally ship`")
    if (log["oldest_outbox"] or 0) > LATE_SECONDS:
        problems.append(
            f"log '{name}': {log['outbox']} batches wait, the oldest for {log['oldest_outbox'] / 60:.0f} min: "
            "`edgetally ship --now` says why"
        )
    if len(log["renamed"]) > 1:
        problems.append(
            f"log '{name}': {len(log['renamed'])} renamed files are not finished, such as {log['renamed'][0]}: "
            "`edgetally ship --now` says why"
        )
    if log["renamed"] and _is_stuck(Path(log["renamed"][0]), now):
        problems.append(
            f"log '{name}': its server still writes to {log['renamed'][0]}, which was renamed long ago: see that the "
            "reopen command works, and that the server may write to the log's folder; `edgetally ship --now` goes on"
        )
    return problems


def _is_stuck(path: Path, now: float) -> bool:
    """Whether a server still writes to a renamed log that has been waiting for long."""
    item = Renamed.parse(path.parent, path.name)
    with suppress(OSError):  # this account may not look
        return item is not None and now - (item.start or item.end) > OPEN_SECONDS and not is_closed(path)
    return False


def _is_gone(path: str) -> bool:
    """Whether a log is missing for longer than a rotation takes, which renames it and has the server make a new one."""
    for _ in range(4):
        if os.path.exists(path):
            return False
        time.sleep(0.5)
    return not os.path.exists(path)


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
    room = status["spool"]
    return [
        f"edge {status['edge']}: {status['state']}, ledger {status['ledger'] or 'not known yet'}, "
        f"clock {clock.say(status['clock'])}"
        + (f", spool {mib(room['used'])} of {mib(room['quota'])}, {mib(room['free'])} free" if room else ""),
        *table.render(rows),
    ]


def _aggregator_lines(status: dict[str, Any]) -> list[str]:
    writer = status["writer"]
    return [
        f"aggregator on {status['database']}: {status['state']}, ledger {status['ledger']}, "
        f"clock {clock.say(status['clock'])}",
        f"writer      {writer['holder'] or 'none'}, epoch {writer['epoch']}, renewed {_age(writer['age'])} ago",
        f"batches     about {status['batches']} of {status['streams']} streams, "
        f"the last {_age(status['last_commit'])} ago",
        *(f"job server  {_job_server_line(server)}" for server in status["job_servers"]),
        f"quarantine  {', '.join(f'{count} {reason}' for reason, count in status['quarantine'].items()) or 'empty'}",
    ]


def _job_server_line(server: dict[str, Any]) -> str:
    if not server["up"]:
        return f"{server['server']}: not reached"
    queues = (f"{queue['waiting']} {name} wait" for name, queue in server["queues"].items())
    workers = (one["client_id"] or one["address"] for one in server["workers"])
    return f"{server['server']}, {server['version']}: {', '.join(queues)}; worked by {', '.join(workers) or 'nobody'}"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
