"""What `edge_shipper_prove` takes for a proof: each log rotated since, each batch confirmed, nothing critical."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support import ROOT

START = 1_800_000_000
PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: [{ROOT}/roles/edge_shipper/vars/main.yml]
  tasks:
    - ansible.builtin.debug: {{msg: "{{{{ __edge_shipper_proved }}}}"}}
      vars: {{__edge_shipper_tried: {{stdout: "{{{{ item }}}}"}}}}
      loop: "{{{{ said }}}}"
"""


def log(**fields: Any) -> dict[str, Any]:
    """A log of a status, as it is after a good try."""
    return {"log": "access", "path": "/var/log/access.log", "last_rotation": START + 0.2, "outbox": 0, **fields}


def status(*logs: dict[str, Any], state: str = "ok") -> str:
    """What a try prints."""
    return f"{START}\n{json.dumps({'state': state, 'problems': [], 'logs': logs}, indent=2)}"


CASES = {
    status(log()): True,
    status(log(), state="warning"): True,
    status(log(), state="critical"): False,
    status(log(outbox=1)): False,
    status(log(), log(last_rotation=START - 20.0)): False,
    status(log(last_rotation=None)): False,
    status(log(), log(path=None, last_rotation=None)): True,  # is configured no more
    f"{START}\n": False,  # no status at all
    "": False,
}


def test_every_case(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-e", json.dumps({"said": list(CASES)}), tmp_path / "play.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line.split(": ")[1] == "true" for line in done.stdout.splitlines() if line.strip().startswith('"msg": ')]
    assert said == list(CASES.values()), done.stdout + done.stderr
