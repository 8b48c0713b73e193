"""The edge.json that the role edge_shipper writes: the program reads it, and one of the release before can."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from edgetally.config import CounterConfig, load_edge
from tests.support import ROOT

ROLE = ROOT / "roles" / "edge_shipper"
INVENTORY = {
    "edgetally_master_key": "k" * 32,
    "edgetally_gearmand_servers": ["job1:7003"],
    "__edgetally_tls": False,
    "edge_shipper_edge": "edge1",
    "edge_shipper_logs": [{"name": "access", "path": "/var/log/a.log", "format": "combined", "server": "nginx"}],
}


def rendered(out: Path, **values: Any) -> dict[str, Any]:
    """The file as the role writes it."""
    parts = [one / name / "main.yml" for one in (ROLE.parent / "edgetally", ROLE) for name in ("defaults", "vars")]
    files = [word for part in parts for word in ("-e", f"@{part}")]
    command = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "ansible.builtin.template"]
    command += ["-a", f"src={ROLE / 'templates' / 'edge.json.j2'} dest={out}", *files]
    command += ["-e", json.dumps({**INVENTORY, **values})]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_what_is_not_wanted_is_not_in_it(tmp_path: Path) -> None:
    """So that an edge that goes back to the release before can read it."""
    assert not {"interface", "counters", "region", "tls"} & set(rendered(tmp_path / "edge.json"))


def test_what_is_wanted_is_read_by_the_program(tmp_path: Path) -> None:
    counters = [{"program": "squid", "at": "127.0.0.1:3128"}, {"program": "varnish"}]
    values = {"edge_shipper_interface": "bond0", "edge_shipper_counters": counters, "edge_shipper_region": "eu"}
    rendered(tmp_path / "edge.json", **values)
    config = load_edge(str(tmp_path / "edge.json"))
    assert (config.interface, config.region) == ("bond0", "eu")
    assert config.counters == (CounterConfig("squid", "127.0.0.1:3128"), CounterConfig("varnish"))
