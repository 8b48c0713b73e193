"""Customers read their own statement on the aggregator's page, and nothing of anybody else: the role's site."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetally.bill.page.statement import customer_folder
from tests.support import ROOT, servers

CUSTOMERS = ("Globex GmbH", "Globex", "映画")
TEMPLATE = "roles/aggregator/templates/edgetally-page.conf.j2"
PLAY = """
- hosts: localhost
  gather_facts: false
  vars_files: [{root}/roles/aggregator/defaults/main.yml, {root}/roles/aggregator/vars/main.yml]
  tasks:
    - ansible.builtin.template: {{src: {root}/{template}, dest: {home}/site.conf}}
    - ansible.builtin.copy: {{content: "{{{{ __aggregator_page_folders | to_json }}}}", dest: {home}/folders.json}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """What the page units have rendered, and the password files; a word of its own in each page."""
    own = [f"customers{last}/{customer_folder(one)}" for one in CUSTOMERS for last in ("", "-last")]
    for place in ("html", "last", *own):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "index.html").write_text(f"the page {place}")
    (tmp_path / "customers/index.html").write_text("the index of all customers")
    (tmp_path / "passwords").mkdir()
    (tmp_path / "page.htpasswd").write_text("edgetally:{PLAIN}operator\n")
    for one in CUSTOMERS:
        folder = customer_folder(one)
        (tmp_path / "passwords" / folder).write_text(f"{folder}:{{PLAIN}}secret of {folder}\n")
    return tmp_path


@pytest.fixture
def site(home: Path) -> Iterator[servers.Server]:
    """The site of the role, as Ansible renders it."""
    port = servers.free_port()
    variables = {
        "ansible_python_interpreter": sys.executable,
        "aggregator_page_listen": f"127.0.0.1:{port}",
        "aggregator_page_customers": [{"customer": one, "password": "x"} for one in CUSTOMERS],
        "__aggregator_page_home": str(home),
        "__aggregator_page_passwords": str(home / "page.htpasswd"),
        "__aggregator_page_customer_passwords": str(home / "passwords"),
    }
    (home / "play.yml").write_text(PLAY.format(root=ROOT, home=home, template=TEMPLATE))
    command = [
        "ansible-playbook",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        json.dumps(variables),
        str(home / "play.yml"),
    ]
    done = subprocess.run(command, cwd=home, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((home / "folders.json").read_text()) == [customer_folder(one) for one in CUSTOMERS]
    with servers.nginx((home / "site.conf").read_text(), home / "nginx", port) as server:
        yield server


def get(site: servers.Server, path: str, user: str = "", password: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    connection.request("GET", path, headers={"Authorization": f"Basic {token}"} if user else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    assert "Content-Security-Policy" in answer.headers, "every answer has it"
    connection.close()
    return answer.status, body


def test_each_password_opens_its_own_folder_and_nothing_else(site: servers.Server) -> None:
    """Also not by a name that begins like another's, nor by way of another folder; nor does the operator's."""
    folders = [customer_folder(one) for one in CUSTOMERS]
    own = {f"/customers/{folder}/{last}": folder for folder in folders for last in ("", "last/")}
    others = ["/", "/last/", "/index.html", "/customers/", "/customers/index.html", "/customers/x/"]
    for user in (*folders, "edgetally"):
        password = "operator" if user == "edgetally" else f"secret of {user}"
        for path, folder in own.items():
            status, body = get(site, path, user, password)
            last = "-last" if path.endswith("last/") else ""
            assert (status, body if status == 200 else "") == (
                (200, f"the page customers{last}/{folder}") if user == folder else (401, "")
            ), (user, path)
        for path in others:
            status, _ = get(site, path, user, password)
            assert (status in (200, 404)) is (user == "edgetally"), (user, path)
            assert status == 401 or user == "edgetally"
        ways = ("../", "..%2f..%2fhtml/index.html", "../../html/index.html")
        for way in (*(f"/customers/{user}/{one}" for one in ways), f"/customers/{user}../html/index.html"):
            assert get(site, way, user, password)[0] != 200 or user == "edgetally", way
    assert [get(site, path)[0] for path in (*own, *others)] == [401] * (len(own) + len(others))
    assert get(site, "/", "edgetally", "operator") == (200, "the page html")
