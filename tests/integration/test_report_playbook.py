"""playbooks/report.yml: the bill, and a file of it, also where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig
from tests.integration.conftest import aggregator_file, environment
from tests.integration.test_bill import START, batch, commit
from tests.support import ROOT


@pytest.fixture
def program(tmp_path: Path, database: DatabaseConfig) -> Path:
    """The program on the aggregator's host: this source, with the configuration of a real database."""
    config = aggregator_file(tmp_path, database, "127.0.0.1:1")
    path = tmp_path / "edgetally"
    source = environment()["PYTHONPATH"]
    path.write_text(
        f'#!/bin/sh\ncommand=$1\nshift\nPYTHONPATH={source} exec {sys.executable} -m edgetally "$command" '
        f'--config {config} "$@"\n'
    )
    path.chmod(0o755)
    return path


def report(program: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the playbook with this machine as the aggregator's host."""
    inventory = program.parent / "inventory"
    if not inventory.exists():
        shutil.copytree(ROOT / "inventory.example", inventory)
        hosts = inventory / "hosts.yml"
        hosts.write_text(hosts.read_text().replace("ansible_host: 192.0.2.20", "ansible_connection: local"))
    command = ["ansible-playbook", "-i", str(inventory), "playbooks/report.yml", *options]
    command += ["-e", f"edgetally_bin={program}", "-e", "ansible_become=false"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_bill_with_a_gap_is_shown_and_written(program: Path, database: DatabaseConfig) -> None:
    """`edgetally report` ends with 1 where something is missing: that is no failure of the playbook."""
    commit(database, [batch("edge1/access", 1, (None, START + 600), {START + 300: 1000})])
    period = ["-e", f"report_from={START}", "-e", f"report_to={START + 3600}"]
    written = program.parent / "september.csv"
    done = report(program, "-e", "report_output=csv", "-e", f"report_file={written}", *period)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The bill is not complete" in done.stdout
    assert written.read_text().startswith("\ufeffperiod,zone,channel,")
    assert "Completeness: " in report(program, *period).stdout


def test_where_there_is_no_bill_one_sentence_says_why(program: Path) -> None:
    done = report(program, "-e", "report_month=2026-13")
    assert done.returncode != 0
    assert "There is no bill: " in done.stderr
    assert "2026-13" in done.stderr.partition("There is no bill: ")[2]
