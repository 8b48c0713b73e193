"""What a wrong inventory gets: one sentence and a failure, before any host is touched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT


def site(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run site.yml against an inventory."""
    return subprocess.run(
        ["ansible-playbook", "-i", str(folder), "site.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


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
def test_a_missing_variable_is_named(tmp_path: Path, file: str, variable: str) -> None:
    inventory = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory.example", inventory)
    path = inventory / "group_vars" / file
    lines = path.read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{variable}:"))
    end = next((n for n in range(start + 1, len(lines)) if re.match(r"\S", lines[n])), len(lines))
    path.write_text("".join(lines[:start] + lines[end:]))
    done = site(inventory)
    assert done.returncode != 0
    assert variable in one_line(done)
    assert "UNREACHABLE" not in done.stdout, "no host was touched"
