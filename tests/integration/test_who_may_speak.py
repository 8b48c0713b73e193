"""What the roles make of the inventory: who is admitted, whose batches count, and where gearmand listens."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

PLAY = [
    {
        "hosts": "jobs1",
        "gather_facts": False,
        "connection": "local",
        "tasks": [
            {"import_role": {"name": "edgetally", "tasks_from": "defaults"}},
            {"include_vars": {"file": str(ROOT / "roles/gearmand/defaults/main.yml")}},
            {"include_vars": {"file": str(ROOT / "roles/gearmand/vars/main.yml")}},
            {"include_vars": {"file": str(ROOT / "roles/aggregator/vars/main.yml")}},
            {"set_fact": {"conf": "{{ lookup('template', template) }}"}},
            {
                "copy": {
                    "content": "{{ {'edges': __aggregator_edges, 'own': __gearmand_own, 'conf': conf} | to_json }}",
                    "dest": "{{ out }}",
                    "mode": "0600",
                }
            },
        ],
    }
]
HOSTS = {
    "gearmand": {"hosts": {"jobs1": {"gearmand_listen": "192.0.2.10"}}},
    "aggregator": {"hosts": {"agg1": {}}},
    "edges": {"hosts": {"edge1": {}, "edge7": {"edge_shipper_edge": "seven"}, "edge8": {"edge_shipper_edge": "eight"}}},
}


def made(folder: Path, **variables: Any) -> dict[str, Any]:
    """The edges that the aggregator counts, where gearmand listens, and stunnel's configuration."""
    (folder / "play.yml").write_text(json.dumps(PLAY))
    (folder / "hosts.json").write_text(json.dumps({"all": {"children": HOSTS}}))
    more = {
        "template": str(ROOT / "roles/gearmand/templates/stunnel.conf.j2"),
        "out": str(folder / "out.json"),
        **variables,
    }
    done = subprocess.run(
        ["ansible-playbook", "-i", folder / "hosts.json", folder / "play.yml", "-e", json.dumps(more)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return found


@pytest.mark.parametrize(("mode", "own"), [(True, "127.0.0.1"), ("migrate", "192.0.2.10"), (False, "192.0.2.10")])
def test_gearmand_is_its_own_hosts_alone_only_with_tls_alone(tmp_path: Path, mode: object, own: str) -> None:
    found = made(tmp_path, edgetally_tls=mode)
    assert found["own"] == own
    assert f"\nconnect = {own}:7003\n" in found["conf"]
    assert "\naccept = 192.0.2.10:7004\n" in found["conf"]


def test_who_is_revoked_is_admitted_nowhere(tmp_path: Path) -> None:
    found = made(tmp_path, edgetally_tls=True, edgetally_revoked=["edge7"])
    names = [line.removeprefix("checkHost = ") for line in found["conf"].splitlines() if line.startswith("checkHost")]
    assert names == ["agg1", "edge1", "edge8", "jobs1"]
    assert found["edges"] == ["edge1", "eight"]
