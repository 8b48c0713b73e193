"""The units of `edge_shipper_scheduler: systemd`: systemd takes them, they do what the crontab does, and little else.

The scenario `default` runs them, and switches both ways.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

ROLE = ROOT / "roles" / "edge_shipper"
PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: [{ROLE}/../edgetally/defaults/main.yml, {ROLE}/defaults/main.yml, {ROLE}/vars/main.yml]
  tasks:
    - ansible.builtin.template: {{src: "{ROLE}/templates/cron.j2", dest: "{{{{ folder }}}}/cron", mode: "0644"}}
    - ansible.builtin.template: {{src: "{ROLE}/templates/{{{{ from }}}}", dest: "{{{{ to }}}}", mode: "0644"}}
      vars: {{from: "edgetally-run.service.j2", to: "{{{{ folder }}}}/{{{{ item.name }}}}.service"}}
      loop: "{{{{ __edge_shipper_runs }}}}"
    - ansible.builtin.template: {{src: "{ROLE}/templates/{{{{ from }}}}", dest: "{{{{ to }}}}", mode: "0644"}}
      vars: {{from: "edgetally-run.timer.j2", to: "{{{{ folder }}}}/{{{{ item.name }}}}.timer"}}
      loop: "{{{{ __edge_shipper_runs }}}}"
"""
RUNS = ("edgetally-ship", "edgetally-reconcile", "edgetally-edge-metrics")


def written(folder: Path, log: str) -> Path:
    """The crontab and the units in a folder, as the role writes them for an edge with one log."""
    (folder / "play.yml").write_text(PLAY)
    given = {
        "folder": str(folder),
        "edge_shipper_edge": "edge1",
        "edge_shipper_logs": [{"name": "access", "path": log}],
        "edge_shipper_metrics_dir": "/var/lib/metrics",
        "edgetally_bin": "/usr/bin/true",
    }
    subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", json.dumps(given), folder / "play.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=120,
    )
    return folder


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("units"), "/var/log/nginx/access.log")


def test_systemd_takes_them(units: Path) -> None:
    names = [units / f"{name}.{kind}" for name in RUNS for kind in ("service", "timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "edgetally" in line]
    assert (done.returncode, said) == (0, [])


def test_they_run_what_the_crontab_runs(units: Path) -> None:
    """The same commands at the same minute, with the same rights, but for how a crontab bounds, locks and logs them."""
    crontab = (units / "cron").read_text()
    (metrics,) = (line for line in crontab.splitlines() if "--metrics" in line)
    assert "--ambient-caps=-all,+dac_read_search,+lease" in metrics
    assert "--reuid=edgetally" in metrics
    unit = (units / "edgetally-edge-metrics.service").read_text()
    assert "\nAmbientCapabilities=CAP_DAC_READ_SEARCH CAP_LEASE\n" in unit
    assert re.findall(r"^ExecStartPre=\+/bin/(ln .*)$", unit, re.MULTILINE)[0] in crontab
    command = r"timeout --kill-after=\d+ (\w+) (?:setpriv (?:--\S+ )+)?(.*) 2>&1 \| logger -t edgetally$"
    wanted = {found[2].strip(): found[1] for found in re.finditer(command, crontab, re.MULTILINE)}
    services = [(units / f"{name}.service").read_text() for name in RUNS]
    exec_start = [re.findall(r"^(?:ExecStart|TimeoutStartSec)=(.*)$", text, re.MULTILINE) for text in services]
    assert dict(exec_start) == wanted
    minute, hour = re.findall(r"^(\d+) (\d+) \* \* \* root .*--reconcile", crontab, re.MULTILINE)[0]
    calendar = f"OnCalendar=*-*-* {hour}:{int(minute):02}"
    assert calendar in (units / "edgetally-reconcile.timer").read_text().splitlines()


def test_they_may_do_what_a_run_needs_and_little_else(units: Path) -> None:
    """The exposure that systemd computes, 0 to 10: 9.6 without any of it."""
    for name in RUNS:
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=45", units / f"{name}.service"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout.splitlines()[-1]
    text = (units / "edgetally-ship.service").read_text()
    may = set(re.findall(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE)[0].split())
    assert {"CAP_LEASE", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE"} <= may
    assert not {"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO"} & may


def test_a_log_where_programs_lie_can_be_rotated(units: Path, tmp_path: Path) -> None:
    """nginx that was built from source logs under /usr/local."""
    there = written(tmp_path, "/usr/local/nginx/logs/access.log")
    assert "ProtectSystem" not in (there / "edgetally-ship.service").read_text()
    assert "ProtectSystem=full" in (units / "edgetally-ship.service").read_text()
