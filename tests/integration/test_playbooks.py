"""What a wrong inventory gets: one sentence and a failure, before any host is touched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT


def site(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run site.yml against an inventory."""
    return subprocess.run(
        ["ansible-playbook", "-i", str(folder), "site.yml", *options],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A copy of the example."""
    shutil.copytree(ROOT / "inventory.example", tmp_path / "inventory")
    return tmp_path / "inventory"


def test_without_an_inventory(tmp_path: Path) -> None:
    """Ansible alone says that no hosts matched, and ends with success."""
    done = site(tmp_path / "nowhere")
    assert done.returncode != 0
    assert "Run `cp -r inventory.example inventory`, edit the lines marked CHANGE" in one_line(done)


@pytest.mark.parametrize(
    ("file", "variable"),
    [
        ("all.yml", "edgetally_master_key"),
        ("all.yml", "edgetally_gearmand_servers"),
        ("edges.yml", "edgetally_channels"),
        ("squid_edges.yml", "edge_shipper_logs"),
        ("aggregator.yml", "aggregator_db_password"),
        ("gearmand.yml", "gearmand_listen"),
    ],
)
def test_a_missing_variable_is_named(inventory: Path, file: str, variable: str) -> None:
    path = inventory / "group_vars" / file
    lines = path.read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{variable}:"))
    end = next((n for n in range(start + 1, len(lines)) if re.match(r"\S", lines[n])), len(lines))
    path.write_text("".join(lines[:start] + lines[end:]))
    done = site(inventory)
    assert done.returncode != 0
    assert variable in one_line(done)
    assert "UNREACHABLE" not in done.stdout, "no host was touched"


# Of the whole inventory, whatever --limit says: the other playbooks' hosts are what a host does not fit.
@pytest.mark.parametrize("limit", [[], ["--limit", "edge1"]])
def test_a_port_that_nobody_calls_is_named(inventory: Path, limit: list[str]) -> None:
    with (inventory / "group_vars" / "gearmand.yml").open("a") as file:
        file.write("gearmand_tls_port: 7005\n")
    done = site(inventory, *limit)
    assert done.returncode != 0
    assert "jobs1 is to listen on port 7005 (gearmand_tls_port" in one_line(done)
    assert "UNREACHABLE" not in done.stdout, "no host was touched"


@pytest.mark.parametrize("limit", [[], ["--limit", "edge1"]])
def test_two_aggregators_with_a_database_each_are_named(inventory: Path, limit: list[str]) -> None:
    hosts = inventory / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("        ledger1:", "        ledger2:\n        ledger1:"))
    done = site(inventory, *limit)
    assert done.returncode != 0
    assert "ledger2 and ledger1 are aggregators with a database each" in one_line(done)
    assert "UNREACHABLE" not in done.stdout, "no host was touched"


def test_the_health_check_is_the_end_of_site() -> None:
    """A rollout is green only where what was rolled out works."""
    listed = site(ROOT / "inventory.example", "--list-tasks").stdout
    assert listed.index("edge_shipper : ") < listed.index("health : Fail where there is a problem")
    assert "health : " not in site(ROOT / "inventory.example", "--list-tasks", "--skip-tags", "health").stdout


def test_the_inventory_is_looked_at_once() -> None:
    """Each playbook of site.yml begins with the look; of hundreds of hosts it took long."""
    said = site(ROOT / "inventory.example", "--tags", "none").stdout
    assert len(re.findall(r"^TASK \[inventory_check : Look at the inventory\].*\nok:", said, re.MULTILINE)) == 1
    assert len(re.findall(r"^TASK \[inventory_check : Look at the inventory\].*\nskipping:", said, re.MULTILINE)) > 1
