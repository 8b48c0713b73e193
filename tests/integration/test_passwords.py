"""The administrator's passwords: whoever is on the aggregator's host, or reads Ansible's output, must not see them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig
from tests.integration.conftest import aggregator_file, run
from tests.support import ROOT, servers

ODD = 'it\'s "odd" \\ #1; {really} 100%'
"""A password that shells, option files and templates would all like to read in their own way."""

CLIENT = """
- hosts: localhost
  gather_facts: false
  vars_files: [{role}/defaults/main.yml, {role}/vars/main.yml]
  tasks:
    - ansible.builtin.command:
        argv: "{{{{ __aggregator_client + ['--execute', 'SELECT CURRENT_USER()'] }}}}"
        stdin: "{{{{ __aggregator_client_options }}}}"
      no_log: true
      register: said
    - ansible.builtin.debug:
        msg: "{{{{ said.stdout }}}}"
"""


@pytest.fixture
def chief(mariadb: servers.MariaDB) -> str:
    """An administrator with an odd password."""
    quoted = ODD.replace("\\", "\\\\").replace("'", "\\'")
    mariadb.sql(f"CREATE OR REPLACE USER chief@localhost IDENTIFIED BY '{quoted}'")
    mariadb.sql("GRANT ALL ON *.* TO chief@localhost WITH GRANT OPTION")
    return "chief"


def test_migrate_reads_both_passwords_from_standard_input(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, chief: str
) -> None:
    config = str(aggregator_file(tmp_path, database, "127.0.0.1:1"))
    options = ["migrate", "--config", config, "--admin-user", chief, "--readonly-user", "viewer", "--passwords-stdin"]
    options += ["--readonly-host", "localhost"]
    wrong = run(*options, input="wrong\nviewers\n")
    assert (wrong.returncode, "chief" in wrong.stderr) == (2, True)
    done = run(*options, input=f"{ODD}\nviewers\n")
    assert done.returncode == 0, done.stderr
    found = aggregator_file(tmp_path, database._replace(user="viewer", password="viewers"), "127.0.0.1:1")
    assert run("stream", "list", "--config", str(found)).returncode == 0, "the account has the second line's password"
    assert run(*options, input=ODD).returncode == 2, "a read-only account without a password"


def test_the_roles_client_reads_the_password_from_standard_input(
    tmp_path: Path, mariadb: servers.MariaDB, chief: str
) -> None:
    playbook, values = tmp_path / "client.yml", tmp_path / "values.json"
    playbook.write_text(CLIENT.format(role=ROOT / "roles" / "aggregator"))
    given = {"user": chief, "password": ODD}
    told = {f"aggregator_db_admin_{name}": value for name, value in given.items()}
    values.write_text(json.dumps({**told, "aggregator_db_socket": str(mariadb.socket)}))
    done = subprocess.run(
        [
            "ansible-playbook",
            "-vvv",
            "-e",
            f"@{values}",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            playbook,
        ],
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "chief@localhost" in done.stdout, done.stdout + done.stderr
    assert "odd" not in done.stdout.replace(str(values), "")
