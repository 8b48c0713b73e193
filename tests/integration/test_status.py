"""`edgetally status` on the aggregator's host, against a real database."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig
from tests import servers
from tests.integration.conftest import aggregator, aggregator_file, queue, run, wait_for


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
    done = wait_for("bad status", lambda: (one := status(file, output)).returncode == 1 and one)
    assert done.stderr == ""
    assert "no aggregator is at work" in done.stdout
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
