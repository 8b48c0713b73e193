"""What the roles refuse of a host before they change anything on it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

# As if the host had said so: what the roles gather is gathered already
PLAY = """
- hosts: ledger1
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact: {os_family: RedHat, distribution: Rocky, cacheable: true}
    - ansible.builtin.include_role: {name: "{{ role }}", tasks_from: preflight}
"""


@pytest.mark.parametrize("role", ["gearmand", "aggregator"])
def test_a_host_that_is_no_debian(tmp_path: Path, role: str) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    done = subprocess.run(
        ["ansible-playbook", "-i", "ledger1,", "-c", "local", "-e", json.dumps({"role": role}), tmp_path / "play.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "ledger1 runs Rocky: " in " ".join((done.stdout + done.stderr).split())
