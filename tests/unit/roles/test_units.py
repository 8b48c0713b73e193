"""Every unit that a role installs: systemd takes it, and its exposure is at most 2.0 of 10."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

ROLES = ROOT / "roles"
UNITS = {path.name.removesuffix(".j2"): path for path in ROLES.glob("*/templates/*.service.j2")}
RUNS = ("edgetally-ship", "edgetally-reconcile", "edgetally-edge-metrics")
# What is not said of a role's variables when it runs. __gearmand_… are what it finds out on a host.
GIVEN = {
    "edgetally_bin": "/usr/bin/true",
    "aggregator_metrics_dir": "/var/lib/prometheus/node-exporter",
    "metrics": {"of": "the aggregator", "file": "a.prom", "command": "status", "at_most": 50, "at": "*:*:00"},
    "page": {"month": "last", "link": "a=b", "folder": "last"},
    "__edgetally_walled": {"name": "gearmand", "ports": [7003], "hosts": ["edge1"]},
    "edge_shipper_edge": "edge1",
    "edge_shipper_logs": [{"name": "access", "path": "/var/log/nginx/access.log"}],
    "edge_shipper_metrics_dir": "/var/lib/prometheus/node-exporter",
    "__edge_shipper_log": {"path": "/var/log/varnish/access.log"},
    "__gearmand_program": "/usr/bin/true",
    "__gearmand_is_old": False,
    "__gearmand_flags": ["--listen=127.0.0.1"],
    "gearmand_listen": "127.0.0.1",
}


def play(role: str, templates: list[Path]) -> str:
    """A play that writes a role's units, with its own defaults."""
    files = [str(path) for one in ("edgetally", role) for path in sorted(ROLES.glob(f"{one}/[dv]*/main.yml"))]
    tasks = [
        f'    - ansible.builtin.template: {{src: "{path}", dest: "{{{{ folder }}}}/{path.stem}", mode: "0644"}}'
        if "edgetally-run" not in path.name
        else f'    - ansible.builtin.template: {{src: "{path}", dest: "{{{{ folder }}}}/{{{{ item.name }}}}.service", '
        'mode: "0644"}\n      loop: "{{ __edge_shipper_runs }}"'
        for path in templates
    ]
    head = f"- hosts: localhost\n  gather_facts: false\n  vars_files: {json.dumps(files)}\n  tasks:\n"
    return head + "\n".join(tasks) + "\n"


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("units")
    roles = sorted({path.parent.parent.name for path in UNITS.values()})
    text = "".join(play(role, [path for path in UNITS.values() if path.parent.parent.name == role]) for role in roles)
    (folder / "play.yml").write_text(text)
    given = json.dumps({**GIVEN, "folder": str(folder)})
    subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", given, folder / "play.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=120,
    )
    return folder


NAMES = sorted({*UNITS, *(f"{run}.service" for run in RUNS)} - {"edgetally-run.service"})


# These have to be root, as docs/reference/security.md says: to rename what is other users' and have any server reopen
# it.
ROOTS = {"edgetally-ship.service": 36, "edgetally-reconcile.service": 36}


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_exposed_little(units: Path, name: str) -> None:
    """A part that is taken over can do next to nothing else on its host."""
    most = f"--threshold={ROOTS.get(name, 20)}"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", most, "--no-pager", str(units / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_systemd_takes_a_unit(units: Path, name: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(units / name)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [said for said in done.stderr.splitlines() if name in said]) == (0, [])


@pytest.mark.parametrize("name", ["edgetally-metrics.service", "edgetally-edge-metrics.service"])
def test_metrics_are_not_written_by_root(units: Path, name: str) -> None:
    assert "\nUser=edgetally\n" in (units / name).read_text()
