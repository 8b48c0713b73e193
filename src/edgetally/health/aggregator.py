"""How the aggregator is doing, by its database and job servers: who writes, what is late, what was refused."""

from __future__ import annotations

import time
from typing import Any, Literal

import pymysql

from edgetally.config import AggregatorConfig, load_aggregator, parse_server
from edgetally.health import gearman_queue_info
from edgetally.health.certificate import own_certificate
from edgetally.health.gearman_queue_info import ServerError
from edgetally.health.status import (
    AggregatorStatus,
    BesideStatus,
    Books,
    GapStatus,
    JobServer,
    LineCounts,
    LostStatus,
    TwinStatus,
    WriterStatus,
)
from edgetally.ledger.beside import EdgeDay, days_before, edge_days, odd_text
from edgetally.ledger.database import (
    DatabaseError,
    check_schema,
    connect,
    durability_problem,
    error_code,
    refusal_text,
    write_problem,
)
from edgetally.ledger.gaps import gaps_of, notable_covers, other_gaps, streams
from edgetally.ledger.machines import machine_text, twins, twins_text
from edgetally.ledger.writer import read_writer
from edgetally.limits import DAY, HOUR, LATE_SLOT_SECONDS
from edgetally.times import span
from edgetally.wire import clock_offset
from edgetally.wire.batch import CANARY_STREAM, FUNCTION
from edgetally.wire.receipts import RECEIPT_FUNCTION
from edgetally.wire.tls import ends_soon
from edgetally.words import count, some

UNION_STREAMS = 200
SHOWN = 3  # streams that a sentence names
REJECTED_SHARE = 0.01  # of a stream's lines, beyond which a person should look: servers write hardly any of these
JOB_SERVER_SECONDS = 3.0


def aggregator_status(path: str) -> AggregatorStatus:
    """How the aggregator of a configuration file is doing. Raises EdgetallyError where the database cannot be asked."""
    config = load_aggregator(path)
    connection = connect(config.database)
    try:
        check_schema(connection, config.database)
        with connection.cursor() as cursor:
            refusal = write_problem(cursor)
            unsynced = durability_problem(cursor)
            books = _books(cursor, config)
    except pymysql.MySQLError as error:
        raise DatabaseError(
            f"the database at {config.database.address} does not answer what status asks ({refusal_text(error)}): "
            "mend it, or run `edgetally migrate`",
            error_code(error),
        ) from None
    finally:
        connection.close()
    job_servers = [job_server(server, config.tls) for server in config.job_servers]
    critical, warnings = _judge(books, job_servers)
    critical += _full_problems(job_servers, config.max_waiting)
    certificate, wrongs = own_certificate(config.tls)
    warnings += [*wrongs, *([unsynced] if unsynced else [])]
    if refusal:
        critical.insert(
            0,
            f"the database at {config.database.address} cannot be written ({refusal}): batches wait; mend it, or run "
            "`edgetally migrate`",
        )
    return {
        "role": "aggregator",
        "state": "critical" if critical else "warning" if warnings else "ok",
        "problems": critical + warnings,
        "critical": critical,
        "time": round(time.time(), 3),
        "database": config.database.address,
        **books,
        "tls": bool(config.tls),
        "certificate": certificate,
        "job_servers": job_servers,
    }


def lost_status(path: str, error: DatabaseError) -> LostStatus:
    """The status where the database cannot be asked: monitoring wants one even then."""
    config = load_aggregator(path)
    return {
        "role": "aggregator",
        "state": "critical",
        "problems": [str(error)],
        "critical": [str(error)],
        "time": round(time.time(), 3),
        "database": config.database.address,
        "tls": bool(config.tls),
        "certificate": own_certificate(config.tls)[0],
        "job_servers": [job_server(server, config.tls) for server in config.job_servers],
    }


# --- the database


def _books(cursor: Any, config: AggregatorConfig) -> Books:
    """The status by the tables. Every question is answered from the end of an index, however long the ledger is."""
    offset = _clock(cursor)
    row = read_writer(cursor)
    cursor.execute("SELECT reason, COUNT(*) FROM quarantine GROUP BY reason ORDER BY reason")
    quarantine = {str(reason): int(count) for reason, count in cursor.fetchall()}
    cursor.execute("SELECT id FROM ledger")
    (ledger,) = cursor.fetchone() or ("",)
    cursor.execute(
        "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'batch'"
    )
    (batches,) = cursor.fetchone() or (0,)
    cursor.execute("SELECT id, name FROM stream WHERE retired_at IS NULL AND name <> %s", (CANARY_STREAM.encode(),))
    expected = {number: name.decode() for number, name in cursor.fetchall()}
    return {
        "ledger": ledger,
        "clock": offset,
        "writer": {
            **row,
            "age": round(row["age"], 1),
            "active": bool(row["holder"]) and row["age"] <= config.lease_seconds,
        },
        "batches": int(batches),
        "streams": len(expected),
        "lag": _lag(cursor, expected),
        "gaps": _gaps(cursor, expected),
        "twins": _twins(cursor),
        "lines": _lines(cursor, expected),
        "beside": _beside(cursor),
        "last_commit": _last_commit(cursor),
        "quarantine": quarantine,
    }


def _clock(cursor: Any) -> clock_offset.Clock:
    """How far this host's clock is ahead of the database's, which is the one that counts."""
    before = time.time()
    cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
    theirs = float(cursor.fetchone()[0])
    return clock_offset.measure(before, theirs, time.time())


def _last_commit(cursor: Any) -> float | None:
    """How many seconds ago the last batch was committed, but for canaries; None before the first."""
    cursor.execute(
        "SELECT TIMESTAMPDIFF(MICROSECOND, committed_at, UTC_TIMESTAMP(6)) / 1e6 FROM batch WHERE stream_id <> "
        "COALESCE((SELECT id FROM stream WHERE name = %s), 0) ORDER BY commit_no DESC LIMIT 1",
        (CANARY_STREAM.encode(),),
    )
    row = cursor.fetchone()
    return None if row is None else round(float(row[0]), 1)


def _lag(cursor: Any, names: dict[int, str]) -> dict[str, float]:
    """How many seconds ago the time that each stream's batches cover came to its end."""
    rows = _each(cursor, names, "SELECT {0}, UNIX_TIMESTAMP(NOW(6)) - MAX(covers_to) FROM batch WHERE stream_id = {0}")
    return {names[number]: round(float(lag), 1) for number, lag in rows if lag is not None}


def _gaps(cursor: Any, names: dict[int, str]) -> list[GapStatus]:
    """Where the streams are not whole in the last day, but for the time since their last batches."""
    cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
    now = float(cursor.fetchone()[0])
    gaps = set()
    for stream in streams(cursor):
        covers = notable_covers(cursor, stream, now - DAY, now) if stream.id in names else ()
        others = other_gaps(cursor, stream, now - DAY, now) if stream.id in names else ()
        for gap in (*gaps_of(stream, covers), *others):
            if gap.end > now - DAY:
                gaps.add((gap.stream, max(gap.start, now - DAY), gap.end, gap.reason))
    return [{"stream": stream, "from": low, "to": high, "reason": reason} for stream, low, high, reason in sorted(gaps)]


def _twins(cursor: Any) -> list[TwinStatus]:
    """The edges for which several machines spoke at the same time in the last day."""
    now = time.time()
    return [
        {"edge": edge, "host": sighting.machine.host, "address": sighting.machine.address}
        for edge, sightings in twins(cursor, now - DAY, now + DAY).items()
        for sighting in sightings
    ]


def _lines(cursor: Any, names: dict[int, str]) -> dict[str, LineCounts]:
    """How many lines the streams' logs of the last day had, and what of them was rejected and skewed.

    First batches do not count: what an installation finds in a log is older than it, and partly set aside.
    """
    rows = _each(
        cursor,
        names,
        "SELECT {0}, SUM(`lines`), SUM(rejected), SUM(skewed) FROM batch WHERE stream_id = {0} "
        "AND covers_to > UNIX_TIMESTAMP() - 86400 AND covers_from IS NOT NULL AND state = 'committed'",
    )
    return {
        names[number]: {"lines": int(lines), "rejected": int(rejected), "skewed": int(skewed)}
        for number, lines, rejected, skewed in rows
        if lines is not None
    }


def _beside(cursor: Any) -> list[BesideStatus]:
    """What every edge counted beside its logs in the last 24 hours, up to this one, judged by the two weeks before."""
    cursor.execute("SELECT UNIX_TIMESTAMP()")
    until = int(cursor.fetchone()[0]) // HOUR * HOUR
    days = edge_days(cursor, [*days_before(until - DAY), until - DAY, until])
    return [_beside_of(edge, judged[-1]) for edge, judged in days.items()]


def _beside_of(edge: str, day: EdgeDay) -> BesideStatus:
    return {
        "edge": edge,
        "logged": day.sums.logged,
        "server": day.sums.server if day.sums.server_seconds else None,
        "wire": day.sums.wire if day.sums.wire_seconds else None,
        "of_server": day.server.part,
        "of_wire": day.wire.part,
        "usual_of_server": day.server.band.shown if day.server.band else None,
        "usual_of_wire": day.wire.band.shown if day.wire.band else None,
        "text": odd_text(edge, day) if day.is_odd else "",
    }


def _each(cursor: Any, names: dict[int, str], query: str) -> list[Any]:
    """The rows of one query for each stream, many streams in one statement. {0} is the stream's number."""
    numbers = list(names)
    rows: list[Any] = []
    for start in range(0, len(numbers), UNION_STREAMS):
        cursor.execute(" UNION ALL ".join(query.format(number) for number in numbers[start : start + UNION_STREAMS]))
        rows += cursor.fetchall()
    return rows


# --- the job servers


def job_server(server: str, tls: str = "") -> JobServer:
    """The status of one job server: the aggregator's queues there, and their workers."""
    host, port = parse_server(server)
    where = {"host": host, "port": port, "tls": tls, "timeout": JOB_SERVER_SECONDS}
    wanted = {"queues": [FUNCTION, RECEIPT_FUNCTION], "max_waiting": None, "min_workers": None}
    try:
        answer = gearman_queue_info.examine({**where, **wanted})
    except ServerError as error:
        return _lost(server, str(error))
    return {
        "server": server,
        "up": True,
        "version": answer["server"]["version"],
        "problem": "",
        "certificate_ends": answer["server"]["certificate_ends"],
        "queues": {
            name: {"waiting": queue["waiting"], "running": queue["running"], "workers": queue["workers"]}
            for name, queue in answer["queues"].items()
        },
        "workers": [
            {"address": worker["address"], "client_id": worker["client_id"]}
            for worker in answer["workers"]
            if FUNCTION in worker["queues"]
        ],
    }


def _lost(server: str, problem: str) -> JobServer:
    """The status of one that cannot be asked."""
    return {
        "server": server,
        "up": False,
        "version": "",
        "problem": problem,
        "certificate_ends": None,
        "queues": {},
        "workers": [],
    }


# --- what a person should look at


def _judge(books: Books, job_servers: list[JobServer]) -> tuple[list[str], list[str]]:
    """The critical problems and the others, a sentence each with the command that shows more."""
    critical: list[str] = []
    warnings: list[str] = []
    writer = books["writer"]
    frozen = _is_frozen(writer, job_servers)
    if frozen:
        critical.append(
            f"the aggregator {writer['holder']} is frozen: it has not renewed its lease for {span(writer['age'])}; "
            "`systemctl restart edgetally-aggregator` on its host, nothing is lost"
        )
    elif not writer["active"]:
        critical.append("no aggregator is at work: look at `systemctl status edgetally-aggregator`")
    down = [server for server in job_servers if not server["up"]]
    (critical if len(down) == len(job_servers) else warnings).extend(server["problem"] for server in down)
    for server in job_servers:
        warnings += [*_workers_problems(server, writer, frozen), *_certificate_problems(server)]
    wrong = clock_offset.problem(books["clock"])
    warnings += [wrong] if wrong else []
    silent = {stream: lag for stream, lag in books["lag"].items() if lag > LATE_SLOT_SECONDS}
    if silent:
        names = [f"{name} ({span(silent[name])})" for name in sorted(silent, key=lambda name: -silent[name])]
        warnings.append(
            f"{_streams(names)} sent nothing for so long: look at `edgetally status` on the edge; `edgetally stream "
            "retire` is for one that is gone for good"
        )
    by_edge: dict[str, list[str]] = {}
    for twin in books["twins"]:
        by_edge.setdefault(twin["edge"], []).append(machine_text(twin["host"], twin["address"]))
    critical += [twins_text(edge, machines) for edge, machines in by_edge.items()]
    gaps = sorted({gap["stream"] for gap in books["gaps"]})
    if gaps:
        warnings.append(f"{_streams(gaps)} had gaps in the last day: `edgetally report` names them")
    warnings += _lines_problems(books["lines"])
    warnings += [f"in the last day {edge['text']}" for edge in books["beside"] if edge["text"]]
    if books["quarantine"]:
        warnings.append(
            f"{count(sum(books['quarantine'].values()), 'payload')} in quarantine, not counted: look at "
            "`edgetally quarantine list`"
        )
    return critical, warnings


def _full_problems(job_servers: list[JobServer], most: int) -> list[str]:
    """A sentence for each job server in which as many batches wait as may."""
    return [
        f"{queue['waiting']:,} batches wait in {server['server']}, as many as may (gearmand_max_waiting): it takes no "
        "more, and nothing is lost, the edges keep theirs; look at `journalctl -u edgetally-aggregator`"
        for server in job_servers
        if (queue := server["queues"].get(FUNCTION)) and queue["waiting"] >= most
    ]


def _lines_problems(lines: dict[str, LineCounts]) -> list[str]:
    """A sentence where more than a few lines were rejected, and one where more than a few were skewed."""
    problems = []
    kinds: tuple[tuple[Literal["rejected", "skewed"], str, str], ...] = (
        ("rejected", "did not fit the log's format, and are on no bill", "look at `edgetally check` on the edge"),
        ("skewed", "ended outside the time of their log", "look at the clock of the edge and of the program that logs"),
    )
    for what, so, look in kinds:
        share = {stream: counts[what] / counts["lines"] for stream, counts in lines.items() if counts["lines"]}
        names = sorted((name for name in share if share[name] > REJECTED_SHARE), key=lambda name: -share[name])
        if names:
            problems.append(f"up to {share[names[0]]:.1%} of the last day's lines of {_streams(names)} {so}: {look}")
    return problems


def _is_frozen(writer: WriterStatus, job_servers: list[JobServer]) -> bool:
    """Whether the holder of the lease does not renew it, and is registered all the same."""
    workers = (worker["client_id"] for server in job_servers for worker in server["workers"])
    return not writer["active"] and bool(writer["holder"]) and f"edgetally {writer['holder']}" in workers


def _workers_problems(server: JobServer, writer: WriterStatus, frozen: bool) -> list[str]:
    """Exactly one aggregator works for each job server: the one that holds the lease. One that is frozen is named."""
    if not server["up"]:
        return []
    mine = f"edgetally {writer['holder']}"
    names = [worker["client_id"] for worker in server["workers"]]
    problems = []
    if writer["active"] and mine not in names:
        problems.append(
            f"the active aggregator {writer['holder']} is not registered at {server['server']}: look at "
            "`journalctl -u edgetally-aggregator` on its host"
        )
    if names.count(mine) > 1:
        problems.append(
            f"{names.count(mine)} workers at {server['server']} are called '{mine}', as the active aggregator alone "
            "is: a connection that it has lost is gone in two minutes, any other takes batches that are not counted: "
            "look at `ss -tnp` there"
        )
    for worker in server["workers"]:
        if worker["client_id"] != mine or not (writer["active"] or frozen):
            problems.append(
                f"the worker '{worker['client_id']}' from {worker['address']} is registered at {server['server']} and "
                "does not hold the lease, so what it takes is not committed: look at `systemctl status "
                "edgetally-aggregator` on its host"
            )
    return problems


def _certificate_problems(server: JobServer) -> list[str]:
    ends = server["certificate_ends"]
    problem = ends_soon(f"the job server {server['server']}", ends, time.time()) if ends else ""
    return [problem] if problem else []


def _streams(names: list[str]) -> str:
    return f"stream{'s' if len(names) > 1 else ''} {some(names, SHOWN)}"
