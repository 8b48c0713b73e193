"""`edgetally status` on the aggregator's host, against a real database."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgetally.config import DatabaseConfig, load_aggregator
from edgetally.ledger.database import connect
from edgetally.ledger.incoming import open_batch
from edgetally.ledger.ledger import Ledger
from edgetally.wire import submit as job_servers
from edgetally.wire.batch import CANARY_STREAM, FUNCTION, Batch
from edgetally.wire.envelope import derive_key, seal
from tests.integration.conftest import MASTER, aggregator, aggregator_file, queue, run, wait_for
from tests.support import servers


@pytest.mark.parametrize("output", ["json", "table"])
def test_an_aggregator_at_work_and_one_that_is_gone(
    tmp_path: Path, database: DatabaseConfig, gearmand: servers.Server, output: str
) -> None:
    file = aggregator_file(tmp_path, database, gearmand.address, lease_seconds=2)
    with aggregator(file) as process:
        wait_for("active aggregator", lambda: queue(gearmand, "edgetally.batch")[2])
        wait_for("good status", lambda: run("status", "--config", str(file)).returncode == 0)
        process.kill()
        process.wait()
    # At once it is not registered any more; the lease runs out later
    done = wait_for("bad status", lambda: "no aggregator is at work" in (one := status(file, output)).stdout and one)
    assert (done.returncode, done.stderr) == (1, "")
    if output == "json":
        found = json.loads(done.stdout)
        assert (found["role"], found["state"], found["batches"]) == ("aggregator", "critical", 0)
        assert found["quarantine"] == {}
        assert found["ledger"]


def status(file: Path, output: str) -> subprocess.CompletedProcess[str]:
    return run("status", "--config", str(file), "--output", output)


def test_a_database_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    lost = DatabaseConfig("edgetally", "x", socket=str(tmp_path / "none"))
    done = run("status", "--config", str(aggregator_file(tmp_path, lost, "127.0.0.1:1")))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be used" in done.stderr


def test_a_job_server_in_which_as_many_batches_wait_as_may(
    tmp_path: Path, database: DatabaseConfig, gearmand: servers.Server
) -> None:
    """It takes no more: whoever looks is told that nothing is lost, and where to look."""
    file = aggregator_file(tmp_path, database, gearmand.address, max_waiting=2)
    for number, found in ((1, 0), (2, 1)):
        job_servers.submit([gearmand.address], FUNCTION, [job_servers.Job(f"job-{number}", b"payload")])
        said = [text for text in asked(file)["problems"] if "gearmand_max_waiting" in text]
        assert len(said) == found
    assert f"2 batches wait in {gearmand.address}, as many as may" in said[0]


def test_a_database_that_does_not_sync_its_commits_is_named(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server
) -> None:
    """By status at any time, and by the aggregator as it starts: a power loss would take what edges have let go of."""
    file = aggregator_file(tmp_path, database, gearmand.address)
    mariadb.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        with aggregator(file):
            wait_for("active aggregator", lambda: queue(gearmand, "edgetally.batch")[2])
            (problem,) = wait_for("order but for it", lambda: len(found := asked(file)["problems"]) == 1 and found)
    finally:
        mariadb.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert "innodb_flush_log_at_trx_commit is 2" in problem
    assert "ship --reconcile" in problem
    assert problem in (tmp_path / "aggregator.log").read_text()


# --- the truth behind the numbers


def asked(file: Path) -> dict[str, Any]:
    done = status(file, "json")
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["state"] == "ok") == (done.returncode == 0)
    return found


def test_a_worker_that_does_not_hold_the_lease(
    tmp_path: Path, database: DatabaseConfig, gearmand: servers.Server
) -> None:
    """One aggregator is frozen, another has taken over: both are registered, and jobs go to both."""
    (tmp_path / "second").mkdir()
    first = aggregator_file(tmp_path, database, gearmand.address, lease_seconds=2)
    second = aggregator_file(tmp_path / "second", database, gearmand.address, lease_seconds=2)
    with aggregator(first) as frozen:
        wait_for("the first", lambda: queue(gearmand, "edgetally.batch")[2] == 1)
        wait_for("order", lambda: asked(first)["state"] == "ok")
        os.kill(frozen.pid, signal.SIGSTOP)
        wait_for("a silent lease", lambda: asked(first)["state"] == "critical", 30)
        (problem,) = asked(first)["problems"]
        assert re.search(rf"the aggregator \S+:{frozen.pid} is frozen: it has not renewed its lease for", problem)
        assert "`systemctl restart edgetally-aggregator` on its host, nothing is lost" in problem
        assert f"\nCRITICAL: {problem[:40]}" in run("status", "--config", str(first)).stdout
        with aggregator(second) as active:
            wait_for("two workers", lambda: queue(gearmand, "edgetally.batch")[2] == 2, 40)
            found = asked(first)
            assert found["writer"]["holder"].endswith(f":{active.pid}")
            assert len(found["job_servers"][0]["workers"]) == 2
            (problem,) = found["problems"]
            assert f"{frozen.pid}' from 127.0.0.1 is registered at {gearmand.address} and does not hold" in problem
            assert "`systemctl status edgetally-aggregator`" in problem


def test_a_job_server_that_is_gone_and_one_without_the_aggregator(
    tmp_path: Path, database: DatabaseConfig, gearmand: servers.Server
) -> None:
    with servers.gearmand() as other, servers.gearmand() as stranger:
        file = aggregator_file(tmp_path, database, gearmand.address, other.address)
        with aggregator(file):
            wait_for("the aggregator", lambda: queue(other, "edgetally.batch")[2] == 1)
            wait_for("order", lambda: asked(file)["state"] == "ok")
            (tmp_path / "wide").mkdir()
            wide = aggregator_file(tmp_path / "wide", database, gearmand.address, other.address, stranger.address)
            other.kill()
            found = asked(wide)
            assert [one["up"] for one in found["job_servers"]] == [True, False, True]
            assert found["state"] == "warning"
            assert f"{other.address} refused the connection" in found["problems"][0]
            assert f"is not registered at {stranger.address}" in found["problems"][1]
            gearmand.kill()
            stranger.kill()
            found = asked(wide)
    assert (found["state"], len(found["problems"])) == ("critical", 3)


def test_streams_that_are_silent_or_have_gaps(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server, ledger: Ledger
) -> None:
    file = aggregator_file(tmp_path, database, gearmand.address, lease_seconds=600)
    now = int(mariadb.sql("SELECT UNIX_TIMESTAMP()"))
    send = Sender(file, ledger)
    send("edge1/access", 1, None, now - 600)
    send("edge1/access", 2, now - 600, now - 300)
    send("edge2/access", 1, None, now - 9000)
    send("edge2/access", 3, now - 8000, now - 7000)  # two between them never came
    send("edge3/access", 1, None, now - 900)
    send("edge3/access", 2, now - 900, now - 600, log="absent")
    send("edge4/old", 1, None, now - 3 * 86400)
    send("edge4/old", 2, now - 250_000, now - 200_000)  # a gap, but not of the last day
    send(CANARY_STREAM, 1, None, now - 90_000)
    mariadb.sql("INSERT INTO edgetally.stream (name, retired_at) VALUES ('gone/access', UTC_TIMESTAMP())")
    found = asked(file)
    assert found["streams"] == 4
    reached = {name: found["time"] - lag for name, lag in found["lag"].items()}
    ends = {
        "edge1/access": now - 300,
        "edge2/access": now - 7000,
        "edge3/access": now - 600,
        "edge4/old": now - 200_000,
    }
    assert reached == {name: pytest.approx(end, abs=20) for name, end in ends.items()}
    assert found["gaps"] == [
        {"stream": "edge2/access", "from": now - 9000, "to": now - 8000, "reason": "missing"},
        {"stream": "edge3/access", "from": now - 900, "to": now - 600, "reason": "absent"},
    ]
    problems = "\n".join(found["problems"])
    found_silent = re.search(r"streams edge4/old \((.*?)\), edge2/access \((.*?)\) sent nothing for so long", problems)
    assert found_silent, problems
    assert (found_silent[1], found_silent[2]) == ("2 d 7 h", "1 h 56 min"), "each its own"
    assert "streams edge2/access, edge3/access had gaps in the last day: `edgetally report`" in problems
    assert abs(found["clock"]["offset"]) < 5
    for problem in found["problems"]:
        assert re.search(r"`\w+ .*`", problem), problem


def test_lines_that_are_not_read_as_they_should_be(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server, ledger: Ledger
) -> None:
    file = aggregator_file(tmp_path, database, gearmand.address, lease_seconds=600)
    now = int(mariadb.sql("SELECT UNIX_TIMESTAMP()"))
    send = Sender(file, ledger)
    read = {"channels": ("video",), "rows": ((now // 300 * 300, 0, 990, 5, None, None),)}
    send("edge1/access", 1, None, now - 90_000, rejected=7, skewed=7)  # not of the last day
    send("edge1/access", 2, now - 90_000, now - 100, rejected=10, skewed=10, **read)
    send("edge2/access", 1, None, now - 300, rejected=900, skewed=900, **read)  # what an installation finds
    send("edge2/access", 2, now - 300, now - 100, rejected=11, skewed=12, **read)
    found = asked(file)
    assert found["lines"] == {
        "edge1/access": {"lines": 1000, "rejected": 10, "skewed": 10},
        "edge2/access": {"lines": 1001, "rejected": 11, "skewed": 12},
    }
    problems = [problem for problem in found["problems"] if "of the last day's lines of" in problem]
    assert problems == [
        "up to 1.1% of the last day's lines of stream edge2/access did not fit the log's format, and are on no bill: "
        "look at `edgetally check` on the edge",
        "up to 1.2% of the last day's lines of stream edge2/access ended outside the time of their log: look at the "
        "clock of the edge and of the program that logs",
    ]


def test_the_last_commit_is_no_canary_s(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server, ledger: Ledger
) -> None:
    file = aggregator_file(tmp_path, database, gearmand.address, lease_seconds=600)
    now = int(mariadb.sql("SELECT UNIX_TIMESTAMP()"))
    send = Sender(file, ledger)
    send(CANARY_STREAM, 1, None, now)
    assert (asked(file)["last_commit"], asked(file)["streams"]) == (None, 0)
    send("edge1/access", 1, None, now)
    mariadb.sql("UPDATE edgetally.batch SET committed_at = UTC_TIMESTAMP() - INTERVAL 1 HOUR WHERE seq = 1")
    send(CANARY_STREAM, 1, None, now, revision=now)
    assert asked(file)["last_commit"] >= 3600


class Sender:
    """Commits empty batches as an aggregator does."""

    def __init__(self, file: Path, ledger: Ledger) -> None:
        self.config = load_aggregator(str(file))
        self.ledger = ledger

    def __call__(self, stream: str, seq: int, low: float | None, high: float, **fields: Any) -> None:
        (body,) = Batch(stream, "0123456789abcdef", seq, (low, high), **fields).encode()
        payload = seal(stream, derive_key(MASTER, stream.partition("/")[0]), body)
        assert self.ledger.commit([open_batch(self.config, payload)]) == ["committed"]


# --- for machines


def test_a_database_that_hangs_is_told_in_time(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server
) -> None:
    """A statement waits for a lock up to a minute; monitoring has given the check up by then."""
    file = aggregator_file(tmp_path, database, gearmand.address)
    with connect(database._replace(user="root", password=""), autocommit=True) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLES quarantine WRITE")
        begun = time.monotonic()
        done = run("status", "--config", str(file), "--nagios", "--timeout", "2")
        took = time.monotonic() - begun
    assert (done.returncode, done.stdout.startswith("EDGETALLY UNKNOWN: the database or a job server")) == (3, True)
    assert "within 2 s (--timeout)" in done.stdout
    assert took < 30


def test_metrics_and_nagios(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server, ledger: Ledger
) -> None:
    file = aggregator_file(tmp_path, database, gearmand.address, lease_seconds=600)
    out = tmp_path / "edgetally.prom"
    now = int(mariadb.sql("SELECT UNIX_TIMESTAMP()"))
    send = Sender(file, ledger)
    send("edge1/access", 1, None, now - 300)
    send("edge1/access", 2, now - 300, now - 100, continuity="broken", rejected=3)

    def written() -> dict[Any, float]:
        assert run("status", "--config", str(file), "--metrics", str(out)).returncode == 0
        families = text_string_to_metric_families(out.read_text())
        return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}

    values = written()
    assert values["edgetally_database_up",] == 1
    assert values["edgetally_aggregator_active",] == 1
    assert values["edgetally_job_server_up", gearmand.address] == 1
    assert values["edgetally_queue_workers", "edgetally.batch", gearmand.address] == 0
    assert values["edgetally_queue_jobs", "edgetally.batch", gearmand.address, "waiting"] == 0
    assert values["edgetally_stream_gap_seconds", "edge1/access"] == 200
    assert (
        values["edgetally_stream_lines", "edge1/access"]
        == values["edgetally_stream_rejected_lines", "edge1/access"]
        == 3
    )
    assert values["edgetally_stream_skewed_lines", "edge1/access"] == 0
    assert abs(values["edgetally_stream_covered_timestamp_seconds", "edge1/access"] - (now - 100)) < 20
    assert values["edgetally_last_commit_timestamp_seconds",] >= now - 1
    done = run("status", "--config", str(file), "--nagios")
    assert done.returncode == 1
    assert done.stdout.startswith("EDGETALLY WARNING: aggregator: the active aggregator test is not registered at")
    assert "'quarantine'=0;0 'gaps'=1;0" in done.stdout

    lost = aggregator_file(tmp_path, DatabaseConfig("edgetally", "x", socket=str(tmp_path / "none")), gearmand.address)
    assert lost == file
    values = written()
    assert (values["edgetally_database_up",], values["edgetally_job_server_up", gearmand.address]) == (0, 1)
    assert values["edgetally_state", "aggregator"] == 2
    done = run("status", "--config", str(file), "--nagios")
    assert done.returncode == 2
    assert done.stdout.startswith("EDGETALLY CRITICAL: aggregator: the database at ")
