"""What the database and the job servers say of the aggregator: who writes, what is late, what was refused."""

from __future__ import annotations

import time
from typing import Any

from edgetally import clock, gearman_queue_info
from edgetally.batch import CANARY_STREAM, FUNCTION, RECEIPT_FUNCTION
from edgetally.config import AggregatorConfig, load_aggregator, parse_server
from edgetally.database import DatabaseError, check_schema, connect
from edgetally.gearman_queue_info import ServerError

SILENT_SECONDS = 1800  # since the end of the last batch of a stream
UNION_STREAMS = 200
SHOWN = 3  # streams that a sentence names
REJECTED_SHARE = 0.01  # of a stream's lines, beyond which a person should look: servers write hardly any of these
JOB_SERVER_SECONDS = 3.0


def aggregator_status(path: str) -> dict[str, Any]:
    """How the aggregator of a configuration file is doing. Raises EdgetallyError where the database cannot be asked.

    {"role": "aggregator", "state": ok|warning|critical, "problems": [sentence], "time", "database", "ledger",
     "clock": {"offset", "accuracy", "age"}, "writer": {"holder", "epoch", "commit_no", "age", "active"},
     "batches": about how many, "streams": how many are expected, "lag": {stream: seconds since its last batch's end},
     "gaps": [{"stream", "from", "to", "reason"}] of the last day, "last_commit": seconds ago or None,
     "lines": {stream: {"lines", "rejected", "skewed"}} of the last day,
     "quarantine": {reason: payloads},
     "job_servers": [{"server", "up", "version", "problem", "queues": {name: {"waiting", "running"}},
                      "workers": [{"address", "client_id"}]}]}
    """
    config = load_aggregator(path)
    connection = connect(config.database)
    try:
        check_schema(connection, config.database)
        with connection.cursor() as cursor:
            found = _books(cursor, config)
    finally:
        connection.close()
    found["job_servers"] = [job_server(server) for server in config.job_servers]
    critical, warnings = _judge(found)
    return {
        "role": "aggregator",
        "state": "critical" if critical else "warning" if warnings else "ok",
        "problems": critical + warnings,
        "time": round(time.time(), 3),
        "database": config.database.address,
        **found,
    }


def lost_status(path: str, error: DatabaseError) -> dict[str, Any]:
    """The status where the database cannot be asked: for those who must be told even so."""
    config = load_aggregator(path)
    return {
        "role": "aggregator",
        "state": "critical",
        "problems": [str(error)],
        "time": round(time.time(), 3),
        "database": config.database.address,
        "job_servers": [job_server(server) for server in config.job_servers],
    }


# --- the database


def _books(cursor: Any, config: AggregatorConfig) -> dict[str, Any]:
    """What the tables say. Every question is answered from the end of an index, however long the ledger is."""
    offset = _clock(cursor)
    cursor.execute(
        "SELECT holder, epoch, txn, TIMESTAMPDIFF(MICROSECOND, renewed_at, UTC_TIMESTAMP(6)) / 1e6 FROM writer"
    )
    holder, epoch, commit_no, age = cursor.fetchone() or (b"", 0, 0, 0)
    cursor.execute("SELECT reason, COUNT(*) FROM quarantine GROUP BY reason ORDER BY reason")
    quarantine = {str(reason): int(count) for reason, count in cursor.fetchall()}
    cursor.execute("SELECT id FROM ledger")
    (ledger,) = cursor.fetchone() or ("",)
    cursor.execute(
        "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'batch'"
    )
    (batches,) = cursor.fetchone() or (0,)
    cursor.execute("SELECT id, name FROM stream WHERE retired_at IS NULL AND name <> %s", (CANARY_STREAM.encode(),))
    streams = {number: name.decode() for number, name in cursor.fetchall()}
    return {
        "ledger": ledger,
        "clock": offset,
        "writer": {
            "holder": holder.decode(),
            "epoch": epoch,
            "commit_no": commit_no,
            "age": round(float(age), 1),
            "active": bool(holder) and float(age) <= config.lease_seconds,
        },
        "batches": int(batches),
        "streams": len(streams),
        "lag": _lag(cursor, streams),
        "gaps": _gaps(cursor, streams),
        "lines": _lines(cursor, streams),
        "last_commit": _last_commit(cursor),
        "quarantine": quarantine,
    }


def _clock(cursor: Any) -> clock.Clock:
    """How far this host's clock is ahead of the database's, which is the one that counts."""
    before = time.time()
    cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
    theirs = float(cursor.fetchone()[0])
    return clock.measure(before, theirs, time.time())


def _last_commit(cursor: Any) -> float | None:
    """How many seconds ago the last batch was committed, but for canaries; None before the first."""
    cursor.execute(
        "SELECT TIMESTAMPDIFF(MICROSECOND, committed_at, UTC_TIMESTAMP(6)) / 1e6 FROM batch WHERE stream_id <> "
        "COALESCE((SELECT id FROM stream WHERE name = %s), 0) ORDER BY commit_no DESC LIMIT 1",
        (CANARY_STREAM.encode(),),
    )
    row = cursor.fetchone()
    return None if row is None else round(float(row[0]), 1)


def _lag(cursor: Any, streams: dict[int, str]) -> dict[str, float]:
    """How many seconds ago the time that each stream's batches cover came to its end."""
    rows = _each(
        cursor, streams, "SELECT {0}, UNIX_TIMESTAMP(NOW(6)) - MAX(covers_to) FROM batch WHERE stream_id = {0}"
    )
    return {streams[number]: round(float(lag), 1) for number, lag in rows if lag is not None}


def _gaps(cursor: Any, streams: dict[int, str]) -> list[dict[str, Any]]:
    """Where the streams' logs of the last day are not whole: a batch that says so, or time that no batch covers.

    The rule is that of v_stream_gaps, which looks at the whole ledger.
    """
    rows = _each(
        cursor,
        streams,
        "SELECT {0}, previous, covers_from, covers_to, continuity, log FROM ("
        "SELECT COALESCE(covers_from, covers_to) AS covers_from, covers_to, continuity, log, "
        "LAG(covers_to) OVER (ORDER BY covers_to, part) AS previous FROM batch WHERE stream_id = {0} "
        "AND covers_to > UNIX_TIMESTAMP() - 86400 AND state = 'committed') b{0} "
        "WHERE continuity <> 'ok' OR log <> 'ok' OR covers_from > previous + 1",
    )
    found = set()
    for number, previous, low, high, continuity, log in rows:
        if continuity != "ok" or log != "ok":
            found.add((streams[number], float(low), float(high), continuity if continuity != "ok" else log))
        if previous is not None and low > previous + 1:
            found.add((streams[number], float(previous), float(low), "missing"))
    return [dict(zip(("stream", "from", "to", "reason"), gap)) for gap in sorted(found)]


def _lines(cursor: Any, streams: dict[int, str]) -> dict[str, dict[str, int]]:
    """How many lines the streams' logs of the last day had, and what of them was rejected and skewed.

    Not of the first batches: what an installation finds in a log is of before, and partly set aside.
    """
    rows = _each(
        cursor,
        streams,
        "SELECT {0}, SUM(`lines`), SUM(rejected), SUM(skewed) FROM batch WHERE stream_id = {0} "
        "AND covers_to > UNIX_TIMESTAMP() - 86400 AND covers_from IS NOT NULL AND state = 'committed'",
    )
    names = ("lines", "rejected", "skewed")
    return {streams[number]: dict(zip(names, map(int, sums))) for number, *sums in rows if sums[0] is not None}


def _each(cursor: Any, streams: dict[int, str], query: str) -> list[Any]:
    """The rows of one query for each stream, many streams in one statement. {0} is the stream's number."""
    numbers = list(streams)
    rows: list[Any] = []
    for start in range(0, len(numbers), UNION_STREAMS):
        cursor.execute(" UNION ALL ".join(query.format(number) for number in numbers[start : start + UNION_STREAMS]))
        rows += cursor.fetchall()
    return rows


# --- the job servers


def job_server(server: str) -> dict[str, Any]:
    """What one job server says of the aggregator's queues and their workers."""
    host, port = parse_server(server)
    options = {"host": host, "port": port, "timeout": JOB_SERVER_SECONDS, "queues": [FUNCTION, RECEIPT_FUNCTION]}
    try:
        found = gearman_queue_info.examine({**options, "max_waiting": None, "min_workers": None})
    except ServerError as error:
        return {"server": server, "up": False, "version": "", "problem": str(error), "queues": {}, "workers": []}
    return {
        "server": server,
        "up": True,
        "version": found["server"]["version"],
        "problem": "",
        "queues": {
            name: {"waiting": queue["waiting"], "running": queue["running"], "workers": queue["workers"]}
            for name, queue in found["queues"].items()
        },
        "workers": [
            {"address": one["address"], "client_id": one["client_id"]}
            for one in found["workers"]
            if FUNCTION in one["queues"]
        ],
    }


# --- what a person should look at


def _judge(found: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The critical problems and the others, a sentence each with the command that shows more."""
    critical: list[str] = []
    warnings: list[str] = []
    writer = found["writer"]
    if not writer["active"]:
        critical.append("no aggregator is at work: look at `systemctl status edgetally-aggregator`")
    down = [one for one in found["job_servers"] if not one["up"]]
    (critical if len(down) == len(found["job_servers"]) else warnings).extend(one["problem"] for one in down)
    for one in found["job_servers"]:
        warnings += _workers_problems(one, writer)
    wrong = clock.problem(found["clock"])
    warnings += [wrong] if wrong else []
    silent = {stream: lag for stream, lag in found["lag"].items() if lag > SILENT_SECONDS}
    if silent:
        names = sorted(silent, key=lambda name: -silent[name])
        warnings.append(
            f"{_streams(names)} sent nothing for {max(silent.values()) / 60:.0f} min: look at `edgetally status` on "
            "the edge; `edgetally stream retire` is for one that is gone for good"
        )
    gaps = sorted({gap["stream"] for gap in found["gaps"]})
    if gaps:
        warnings.append(f"{_streams(gaps)} had gaps in the last day: `edgetally report` names them")
    warnings += _lines_problems(found["lines"])
    if found["quarantine"]:
        warnings.append(
            f"{sum(found['quarantine'].values())} payloads are in quarantine and not counted: look at "
            "`edgetally quarantine list`"
        )
    return critical, warnings


def _lines_problems(lines: dict[str, dict[str, int]]) -> list[str]:
    """Whether more than a few lines are not read as they should be."""
    problems = []
    for what, so, look in (
        ("rejected", "did not fit the log's format, and are on no bill", "look at `edgetally check` on the edge"),
        ("skewed", "ended outside the time of their log", "look at the clock of the edge and of the program that logs"),
    ):
        share = {stream: one[what] / one["lines"] for stream, one in lines.items() if one["lines"]}
        names = sorted((name for name in share if share[name] > REJECTED_SHARE), key=lambda name: -share[name])
        if names:
            problems.append(f"up to {share[names[0]]:.1%} of the last day's lines of {_streams(names)} {so}: {look}")
    return problems


def _workers_problems(server: dict[str, Any], writer: dict[str, Any]) -> list[str]:
    """Exactly one aggregator works for each job server: the one that holds the lease."""
    if not server["up"]:
        return []
    mine = f"edgetally {writer['holder']}"
    names = [one["client_id"] for one in server["workers"]]
    problems = []
    if writer["active"] and mine not in names:
        problems.append(
            f"the active aggregator {writer['holder']} is not registered at {server['server']}: look at "
            "`journalctl -u edgetally-aggregator` on its host"
        )
    for one in server["workers"]:
        if one["client_id"] != mine or not writer["active"]:
            problems.append(
                f"the worker '{one['client_id']}' from {one['address']} is registered at {server['server']} and does "
                "not hold the lease, so what it takes is not committed: look at `systemctl status "
                "edgetally-aggregator` on its host"
            )
    return problems


def _streams(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"stream{'s' if len(names) > 1 else ''} {', '.join(names[:SHOWN])}{more}"
