"""How this host's edge is doing: what lies in its spool and beside its logs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edgetally import __version__
from edgetally.config import EdgeConfig
from edgetally.edge.archive import free_bytes, make_room, used_bytes
from edgetally.edge.closing import is_closed
from edgetally.edge.deliver import read_lost
from edgetally.edge.renamed import Renamed
from edgetally.edge.spool import BatchName, Spool
from edgetally.edge.state import known_logs, read_state
from edgetally.edge.streams import Stream, find_streams
from edgetally.errors import EdgetallyError
from edgetally.files import read_plain
from edgetally.health.certificate import own_certificate
from edgetally.health.status import EdgeStatus, LogStatus, SpoolRoom
from edgetally.limits import DAY
from edgetally.tally.engines.kernel.load import engine_said
from edgetally.times import age, span, utc
from edgetally.wire import clock_offset
from edgetally.words import count

OVERDUE_SECONDS = 900  # a rotation or a confirmation that is older is worth a look
OPEN_SECONDS = 3600  # and so is a renamed log that a server still writes to


def edge_status(config: EdgeConfig) -> EdgeStatus:
    """The status of an edge, by what lies in its spool and beside its logs."""
    spool = Spool(config.spool)
    now = time.time()
    streams, problems = find_streams(config, known_logs(spool))
    waiting = {folder: _by_log(spool.batches(folder)) for folder in (spool.outbox, spool.sent, spool.held)}
    known = {stream.log: stream for stream in streams}
    names = sorted(set(known).union(*waiting.values()))
    logs = [
        _log_status(spool, name, known.get(name), [batches.get(name, []) for batches in waiting.values()], now)
        for name in names
    ]
    paused = spool.paused.exists()
    if paused:
        problems.append("shipping is paused: `edgetally ship --resume` goes on")
    for log in logs:
        problems += _log_problems(log, now, paused or now - os.path.getmtime(config.path) < OVERDUE_SECONDS)
    no_room = make_room(config, spool, remove=False) if spool.root.is_dir() else None
    if no_room:
        problems.append(no_room)
    problems += _lost_problems(config, spool, now)
    offset = clock_offset.load(spool.clock)
    wrong = clock_offset.problem(offset)
    problems += [wrong] if wrong else []
    certificate, wrongs = own_certificate(config.tls)
    problems += wrongs
    critical = [*([no_room] if no_room else []), *(said for log in logs for said in _held_problems(log))]
    return {
        "role": "edge",
        "version": __version__,
        "edge": config.edge,
        "state": "critical" if critical else "warning" if problems else "ok",
        "problems": problems,
        "critical": critical,
        "time": round(now, 3),
        "clock": offset,
        "spool": _room(config, spool),
        "paused": paused,
        "ledger": _pinned(spool),
        "engine": engine_said(config.engine),
        "tls": bool(config.tls),
        "certificate": certificate,
        "logs": logs,
    }


def _room(config: EdgeConfig, spool: Spool) -> SpoolRoom | None:
    """How much the spool takes and may take, and how much its disk has free, in bytes; None where there is no spool."""
    if not spool.root.is_dir():
        return None
    return {
        "path": str(spool.root),
        "used": used_bytes(spool),
        "quota": config.quota_bytes,
        "free": free_bytes(spool.root),
    }


def _by_log(names: Iterable[BatchName]) -> dict[str, list[BatchName]]:
    by_log: dict[str, list[BatchName]] = {}
    for name in names:
        by_log.setdefault(name.log, []).append(name)
    return by_log


def _log_status(spool: Spool, log: str, stream: Stream | None, batches: list[list[BatchName]], now: float) -> LogStatus:
    """One log's part; a log that is no longer configured has no path, and may still have batches."""
    outbox, sent, held = batches
    state = read_state(spool, log)
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


def _pinned(spool: Spool) -> str | None:
    """The id of the ledger that the edge knows; None before the first receipt."""
    with suppress(OSError):
        return read_plain(spool.ledger).decode("utf-8", "replace").strip()
    return None


def _renamed(stream: Stream | None) -> list[str]:
    try:
        return [str(item.path) for item in stream.renamed()] if stream else []
    except EdgetallyError:
        return []  # the folder is missing, and so is the log: that is said


def _held_problems(log: LogStatus) -> list[str]:
    return [
        f"batch {item['batch']} is held ({item['reason']}): it is not counted; {_held_mend(item['reason'])}"
        for item in log["held"]
    ]


def _log_problems(log: LogStatus, now: float, idle: bool) -> list[str]:
    """What is wrong with one log, a sentence each. idle: no rotation is due, paused or just installed."""
    problems, name = _held_problems(log), log["log"]
    if log["path"] and _is_gone(log["path"]):
        problems.append(f"log '{name}': {log['path']} is not there: see that its server runs, and `edgetally check`")
    if log["path"] and not idle and now - (log["last_rotation"] or 0.0) > OVERDUE_SECONDS:
        ago = age(now - log["last_rotation"]) + " ago" if log["last_rotation"] else "never"
        problems.append(f"log '{name}' was rotated {ago}: look at `systemctl status cron edgetally-ship.timer`")
    oldest = log["oldest_outbox"] or 0.0
    if oldest > OVERDUE_SECONDS:
        problems.append(
            f"log '{name}': {count(log['outbox'], 'unconfirmed batch')}, the oldest for {span(oldest)}: "
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


def _lost_problems(config: EdgeConfig, spool: Spool, now: float) -> list[str]:
    """What the ledger lost, as a backup does that was restored, and is kept here no more; for as long as what is."""
    with suppress(OSError):
        if now - os.path.getmtime(spool.lost) < config.keep_raw_days * DAY:
            return [
                f"log '{log}': the ledger had lost all that is kept here, from {utc(since)} on, and gets it again; "
                "what it lost of the time before cannot be refilled: the bill names those slots missing (a restored "
                f"backup was older than edge_shipper_keep_raw_days, {config.keep_raw_days})"
                for log, since in sorted(read_lost(spool).items())
            ]
    return []


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
    """What a person has to do with a held batch. The edge itself never sends it again, and deletes nothing."""
    if reason == "conflict":
        return (
            "the ledger counts another one of this number, as after a restored or copied spool: compare `edgetally "
            "tally` of its raw log, in raw/, with the bill, and remove its files from held/ once that is settled"
        )
    return (
        "mend the cause, have the aggregator take it with `edgetally quarantine retry`, and run "
        "`edgetally ship --reconcile` here"
    )
