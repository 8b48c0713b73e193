"""The collection: installed offline into an empty home, and run from there by its full names."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ROOT, servers
from tests.support.build import build, copy_of_the_repository

PLAYBOOKS = [*sorted(path.stem for path in (ROOT / "playbooks").iterdir()), "site"]
LOCAL = "ansible_connection: local, ansible_python_interpreter: /usr/bin/python3"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command in an empty folder, with a home that holds the collection and nothing else."""
    folder = tmp_path_factory.mktemp("collection")
    root = copy_of_the_repository(folder / "copy")
    build(root, "--collection")
    (folder / "empty").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}

    def run_there(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder / "empty",
            env={**kept, "HOME": str(folder / "home"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    tarball = root / "dist/edgetally-edgetally-0.1.0.tar.gz"
    done = run_there("ansible-galaxy", "collection", "install", "--offline", tarball)
    assert done.returncode == 0, done.stderr
    return run_there


def written(folder: Path, inventory: str, play: str = "") -> list[str | Path]:
    """The arguments of ansible-playbook for an inventory, and a play if one is given."""
    (folder / "hosts.yml").write_text(inventory)
    (folder / "play.yml").write_text(play)
    return ["-i", folder / "hosts.yml", *([folder / "play.yml"] if play else [])]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_what_was_installed_is_what_was_built(run: Run) -> None:
    done = run("ansible-galaxy", "collection", "verify", "--offline", "edgetally.edgetally")
    assert done.returncode == 0, done.stderr
    assert "edgetally.edgetally.gearman_queue_info" in run("ansible-doc", "-l", "edgetally.edgetally").stdout


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbooks_run_by_name(run: Run, playbook: str) -> None:
    """Every role and every file that they import is found."""
    example = ROOT / "inventory.example"
    done = run("ansible-playbook", "-i", example, f"edgetally.edgetally.{playbook}", "--syntax-check")
    assert done.returncode == 0, done.stderr


def test_the_inventory_is_checked(run: Run, tmp_path: Path) -> None:
    """It reads the other roles' argument_specs, where they are in the collection."""
    good = run("ansible-playbook", "-i", ROOT / "inventory.example", "edgetally.edgetally.inventory")
    assert good.returncode == 0, good.stdout
    bad = run("ansible-playbook", *written(tmp_path, "{gearmand: {hosts: {jobs1: }}}"), "edgetally.edgetally.gearmand")
    assert bad.returncode != 0
    assert "gearmand_listen is not set for jobs1" in one_line(bad)


@pytest.mark.parametrize("role", ["aggregator", "edge_shipper"])
def test_a_play_of_ones_own_is_checked_before_anything_is_done(run: Run, tmp_path: Path, role: str) -> None:
    play = f"[{{hosts: all, gather_facts: false, roles: [edgetally.edgetally.{role}]}}]"
    inventory = f"{{all: {{hosts: {{here: {{{LOCAL}, edgetally_gearmand_servers: ['192.0.2.1:7003']}}}}}}}}"
    done = run("ansible-playbook", *written(tmp_path, inventory, play))
    assert done.returncode != 0
    assert "missing required arguments: " in one_line(done)
    assert "edgetally_master_key" in one_line(done)
    assert "changed=0" in done.stdout


def test_the_health_report_is_made_of_module_and_filter(run: Run, tmp_path: Path) -> None:
    """A job server without workers: the collection's module asks it, and its filter makes the screen."""
    with servers.gearmand() as server:
        host = f"{{{LOCAL}, gearmand_listen: 127.0.0.1, gearmand_port: {server.port}}}"
        play = "[{hosts: all, gather_facts: false, roles: [edgetally.edgetally.health]}]"
        done = run("ansible-playbook", *written(tmp_path, f"{{gearmand: {{hosts: {{jobs1: {host}}}}}}}", play))
    assert done.returncode != 0
    assert "! jobs1: edgetally.batch: 0 workers, at least 1 wanted" in one_line(done)
    assert "job server version queue" in one_line(done)


def test_the_filters_of_the_edges_are_found(run: Run, tmp_path: Path) -> None:
    template = "{{ '' | edgetally.edgetally.nginx_left_out('/x') }}{{ '' | edgetally.edgetally.nginx_log_files }}"
    play = f'[{{hosts: localhost, gather_facts: false, tasks: [{{debug: {{msg: "found {template}"}}}}]}}]'
    done = run("ansible-playbook", *written(tmp_path, "{}", play))
    assert "found [][]" in one_line(done), one_line(done)


def test_no_role_calls_a_filter_by_its_short_name(run: Run) -> None:
    """A short name is not found in a collection, and only when the task is run."""
    place = run("ansible-galaxy", "collection", "list", "edgetally.edgetally", "--format", "json").stdout
    roles = Path(re.findall(r'"(/[^"]+)"', place)[0]) / "edgetally/edgetally/roles"
    texts = {path: path.read_text() for path in roles.rglob("*") if path.suffix in (".yml", ".j2")}
    names = r"nginx_left_out|nginx_log_files|health_report"
    assert not [path for path, text in texts.items() if re.search(rf"\|\s*({names})\b", text)]
    assert sum(len(re.findall(rf"\|\s*edgetally\.edgetally\.({names})\b", text)) for text in texts.values()) >= 3
