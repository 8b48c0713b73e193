"""Rollouts in steps: which edges are reached where some fail. docs/how-to/upgrade.md says the same.

With edges that are all this machine, of which some are refused by the role's check of its variables; the tasks after it
are left out. The scenario `rolling` rolls out to hosts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

EDGES = [f"edge{number}" for number in range(1, 7)]
SHARED = {
    "ansible_connection": "local",
    "ansible_become": False,
    "edgetally_gearmand_servers": ["192.0.2.1:7003"],
    "edgetally_channels": [{"channel": "all", "log": "access"}],
    "edgetally_master_key": "0123456789abcdef0123456789abcdef",
    "edge_shipper_logs": [
        {"name": "access", "path": "/var/log/nginx/access.log", "server": "nginx", "format": "combined"}
    ],
}


def reached(folder: Path, bad: set[str], steps: dict[str, Any]) -> list[str]:
    """The edges that a rollout has got to."""
    hosts = {edge: {"edge_shipper_splay": "soon"} if edge in bad else {} for edge in EDGES}
    inventory = folder / "hosts.yml"
    inventory.write_text(json.dumps({"edges": {"hosts": hosts, "vars": SHARED}}))
    only = ["--tags", "none"]  # what always runs
    done = subprocess.run(
        ["ansible-playbook", "-i", inventory, "playbooks/edge_shipper.yml", *only, "-e", json.dumps(steps)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_GATHERING": "explicit"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode != 0) == bool(bad), done.stdout + done.stderr
    found = re.findall(r"^(edge\d+) +:", done.stdout.partition("PLAY RECAP")[2], re.MULTILINE)
    return sorted(found, key=EDGES.index)


CANARY = {"edge_shipper_serial": [1, "40%"]}
STRICT = {**CANARY, "edge_shipper_max_fail_percentage": 0}


@pytest.mark.parametrize(
    ("bad", "steps", "expected"),
    [
        pytest.param({"edge3"}, {}, EDGES, id="all at once: a dead edge stops nobody"),
        pytest.param({"edge1"}, CANARY, EDGES[:1], id="the canary stops all"),
        pytest.param({"edge3"}, CANARY, EDGES, id="later a single edge stops nobody"),
        pytest.param({"edge2", "edge3"}, CANARY, EDGES[:3], id="a whole step does"),
        pytest.param({"edge3"}, STRICT, EDGES[:3], id="a single one does where that is wished"),
    ],
)
def test_who_is_reached(tmp_path: Path, bad: set[str], steps: dict[str, Any], expected: list[str]) -> None:
    assert reached(tmp_path, bad, steps) == expected
