"""`edgetally canary`: what it proves, what it leaves behind, and what it must never touch: the bill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import DatabaseConfig, load_aggregator
from edgetally.edge.ship import check
from edgetally.ledger.incoming import open_batch
from edgetally.ledger.ledger import Ledger
from edgetally.wire.batch import CANARY_STREAM, Batch
from tests.integration.conftest import aggregator, aggregator_file, queue, run, wait_for
from tests.support import servers
from tests.support.edge import Edge

COMMITTED = "SELECT COUNT(*) FROM edgetally.batch WHERE state = 'committed'"


def canary(file: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and what became of each canary."""
    done = run("canary", "--config", str(file), "--output", "json", *options)
    assert done.stderr == ""
    found: list[dict[str, Any]] = json.loads(done.stdout)["canaries"]
    return done.returncode, found


def at_work(server: servers.Server) -> None:
    wait_for("an active aggregator", lambda: queue(server, "edgetally.batch")[2])


def test_it_comes_back_and_leaves_the_books_as_they_are(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server
) -> None:
    file = aggregator_file(tmp_path, database, gearmand.address)
    with aggregator(file):
        at_work(gearmand)
        for number in (1, 2, 3):
            status, (one,) = canary(file)
            assert (status, one["state"], one["problem"]) == (0, "committed", "")
            assert mariadb.sql("SELECT COUNT(*) FROM edgetally.batch").strip() == str(number)
            assert mariadb.sql(COMMITTED).strip() == "1"
            time.sleep(1.0)  # canaries of one second are one batch
        mariadb.sql("UPDATE edgetally.batch SET covers_to = covers_to - 7200")  # as if the last check was long ago
        for empty in ("v_stream_gaps", "traffic", "channel_traffic", "channel", "quarantine"):
            assert mariadb.sql(f"SELECT COUNT(*) FROM edgetally.{empty}").strip() == "0", empty
        report = run("report", "--config", str(file), "--output", "json")
        found = json.loads(report.stdout)
        assert (report.returncode, found["channels"], found["completeness"]["streams"]) == (1, [], 0)  # no data
        assert run("audit", "--config", str(file)).returncode == 0


def test_a_worker_that_is_registered_and_does_nothing(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server
) -> None:
    """Its registration looks as good as ever; only the canary tells."""
    file = aggregator_file(tmp_path, database, gearmand.address)
    with aggregator(file) as process:
        at_work(gearmand)
        os.kill(process.pid, signal.SIGSTOP)
        status, (one,) = canary(file, "--timeout", "1")
        assert (status, one["state"]) == (1, "unconfirmed")
        assert "did not come back" in one["problem"]
        assert "no aggregator answered in " in one["problem"]
        assert queue(gearmand, "edgetally.batch")[2] == 1
        os.kill(process.pid, signal.SIGCONT)
        wait_for("the late canary", lambda: mariadb.sql(COMMITTED).strip() == "1")
        assert canary(file)[0] == 0


def test_each_job_server_gets_its_own(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, gearmand: servers.Server
) -> None:
    with servers.gearmand() as other:
        file = aggregator_file(tmp_path, database, gearmand.address, other.address)
        with aggregator(file):
            at_work(gearmand)
            at_work(other)
            status, found = canary(file)
            assert (status, [one["state"] for one in found]) == (0, ["committed", "committed"])
            assert mariadb.sql("SELECT COUNT(*) FROM edgetally.batch").strip() == "2"
            other.kill()
            done = run("canary", "--config", str(file), "--timeout", "2")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "committed" in lines[1]
    assert "unconfirmed" in lines[2]
    assert f"{other.address}: Connection refused" in lines[3]


def test_another_master_key_is_a_refusal(tmp_path: Path, database: DatabaseConfig, gearmand: servers.Server) -> None:
    with aggregator(aggregator_file(tmp_path, database, gearmand.address)):
        at_work(gearmand)
        (tmp_path / "wrong").mkdir()
        wrong = aggregator_file(tmp_path / "wrong", database, gearmand.address, master_keys=["another key" * 4])
        status, (one,) = canary(wrong, "--timeout", "2")
    assert (status, one["state"]) == (1, "unconfirmed")
    assert "cannot be trusted" in one["problem"]


def test_old_canaries_are_forgotten(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, ledger: Ledger
) -> None:
    from edgetally.health.canary import GENERATION
    from edgetally.wire.envelope import derive_key, seal
    from tests.integration.conftest import MASTER

    config = load_aggregator(str(aggregator_file(tmp_path, database, "127.0.0.1:1")))
    now = int(mariadb.sql("SELECT UNIX_TIMESTAMP()"))

    def commit(stream: str, revision: int, moment: float) -> None:
        (body,) = Batch(stream, GENERATION, 1, (None, moment), revision=revision).encode()
        payload = seal(stream, derive_key(MASTER, stream.partition("/")[0]), body)
        ledger.commit([open_batch(config, payload)])

    old = now - 2 * 86400
    commit("edge1/access", 0, old)
    commit(CANARY_STREAM, old, old)
    commit(CANARY_STREAM, now, now)
    commit(CANARY_STREAM, now + 1, now + 7200)  # refused: ahead of the clock
    mariadb.sql("UPDATE edgetally.quarantine SET last_seen = UTC_TIMESTAMP() - INTERVAL 2 DAY")
    ledger.maintain()
    rows = mariadb.sql("SELECT name, revision FROM edgetally.batch b JOIN edgetally.stream s ON s.id = b.stream_id")
    assert rows.split() == ["edge1/access", "0", CANARY_STREAM, str(now)]
    assert mariadb.sql("SELECT COUNT(*) FROM edgetally.batch_body").strip() == "2"
    assert mariadb.sql("SELECT COUNT(*) FROM edgetally.quarantine").strip() == "0"


def test_its_stream_is_nobody_elses(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.data["logs"][0]["name"] = "canary"
    edge.set(edge="edgetally")
    with pytest.raises(Exception, match="the stream edgetally/canary is the health check's own"):
        check(edge.config)


def test_without_a_job_server_it_says_so(tmp_path: Path, database: DatabaseConfig) -> None:
    file = aggregator_file(tmp_path, database, "127.0.0.1:1")
    done: subprocess.CompletedProcess[str] = run("canary", "--config", str(file))
    assert done.returncode == 1
    assert "127.0.0.1:1: Connection refused" in done.stdout
