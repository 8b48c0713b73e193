"""Secrets as inventory.example recommends them, with the oldest ansible-core that README promises and with today's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

SECRETS = {"edgetally_master_key": "a-master-key-of-32-characters-or-more", "aggregator_db_password": "its-password"}
CORES = {"oldest": str(Path(sys.prefix) / "oldest-core"), "today's": ""}
RENDER = """
- hosts: aggregator
  gather_facts: false
  vars_files:
    - {role}/../edgetally/defaults/main.yml
    - {role}/../edgetally/vars/main.yml
    - {role}/defaults/main.yml
    - {role}/vars/main.yml
  tasks:
    - ansible.builtin.template: {{src: "{role}/templates/aggregator.json.j2", dest: "{out}"}}
"""


def ansible(core: str, program: str, *options: str | Path, stdin: str = "") -> str:
    """Run one of Ansible's programs of a version, which must end well; what it prints."""
    environment = {**os.environ, "PYTHONPATH": CORES[core], "ANSIBLE_NOCOLOR": "1"}
    command = [sys.executable, "-m", "ansible", program, *map(str, options)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=CORES)
def core(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def inventory(tmp_path: Path, core: str) -> Path:
    """The example for this machine, with each secret as `ansible-vault encrypt_string` prints it."""
    folder = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory.example", folder)
    (tmp_path / "password").write_text("the vault's password\n")
    for path in (folder / "group_vars").glob("*.yml"):
        for name, secret in SECRETS.items():
            options: list[str | Path] = [
                "encrypt_string",
                "--vault-password-file",
                tmp_path / "password",
                "--stdin-name",
                name,
            ]
            text = path.read_text()
            if re.search(f"^{name}:", text, re.MULTILINE):
                sealed = ansible(core, "vault", *options, stdin=secret)
                path.write_text(re.sub(f"^{name}:.*", lambda _: sealed, text, flags=re.MULTILINE))  # noqa: B023
    with (folder / "group_vars" / "all.yml").open("a") as file:
        file.write("ansible_connection: local\nansible_become: false\n")
    return folder


OF_OTHERS = {
    "all.yml": """edgetally_gearmand_servers: ["{{ hostvars['jobs1'].ansible_host }}:7004"]\n""",
    "gearmand.yml": """gearmand_listen: "{{ hostvars[inventory_hostname].ansible_host }}"\n""",
    "aggregator.yml": """aggregator_db_password: "{{ hostvars['jobs1'].inventory_hostname }} has it"\n""",
}


def test_what_is_another_hosts_can_be_named(inventory: Path, core: str) -> None:
    """As most inventories do. Ansible itself does not let one host's variables lead to another's through a third."""
    for name, line in OF_OTHERS.items():
        path = inventory / "group_vars" / name
        variable = line.partition(":")[0]
        rest = re.sub(rf"^{variable}:.*\n(?:[ \t].*\n)*", "", path.read_text(), flags=re.MULTILINE)
        path.write_text(rest + line)
    options: list[str | Path] = ["-i", inventory, "--vault-password-file", inventory.parent / "password"]
    said = ansible(core, "playbook", *options, "--tags", "none", "playbooks/aggregator.yml")
    assert "Note that all is well" in said
    with (inventory / "group_vars" / "gearmand.yml").open("a") as file:
        file.write("gearmand_tls_port: 7005\n")
    with pytest.raises(AssertionError, match="jobs1 is to listen on port 7005"):
        ansible(core, "playbook", *options, "--tags", "none", "playbooks/aggregator.yml")


@pytest.mark.parametrize("playbook", ["aggregator", "edge_shipper"])
def test_a_role_takes_inline_secrets(inventory: Path, core: str, playbook: str) -> None:
    """No tag but what always runs: the inventory's check, and Ansible's own of the arguments. Neither shows them."""
    options: list[str | Path] = [
        "-i",
        inventory,
        "--vault-password-file",
        inventory.parent / "password",
        "--tags",
        "none",
        "-vvv",
    ]
    said = ansible(core, "playbook", *options, f"playbooks/{playbook}.yml")
    assert "Validating arguments against arg spec 'main'" in said
    assert not [name for name, secret in SECRETS.items() if secret in said]


def test_they_are_in_the_configuration(inventory: Path, core: str) -> None:
    written = inventory.parent / "aggregator.json"
    playbook = inventory.parent / "render.yml"
    playbook.write_text(RENDER.format(role=ROOT / "roles" / "aggregator", out=written))
    options: list[str | Path] = ["-i", inventory, "--vault-password-file", inventory.parent / "password"]
    ansible(core, "playbook", *options, "-e", f"ansible_python_interpreter={sys.executable}", playbook)
    config = json.loads(written.read_text())
    assert config["master_keys"] == [SECRETS["edgetally_master_key"]]
    assert config["database"]["password"] == SECRETS["aggregator_db_password"]
