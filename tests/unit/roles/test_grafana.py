"""What the role aggregator tells Grafana at its start."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

TEMPLATES = ROOT / "roles" / "aggregator" / "templates"
VARS = ROOT / "roles" / "aggregator" / "vars" / "main.yml"
DEFAULTS = ROOT / "roles" / "aggregator" / "defaults" / "main.yml"
_ANSIBLE = ("ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "ansible.builtin.template")


def rendered(name: str, out: Path, **values: str) -> Any:
    """A template as the role writes it."""
    given = ("-e", json.dumps(values))
    done = subprocess.run(
        [*_ANSIBLE, "-a", f"src={TEMPLATES / name} dest={out}", "-e", f"@{DEFAULTS}", "-e", f"@{VARS}", *given],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return yaml.safe_load(out.read_text())


@pytest.mark.parametrize(
    ("database", "url"),
    [
        ({}, "/run/mysqld/mysqld.sock"),
        ({"aggregator_db_socket": "", "aggregator_db_host": "db1.example.com"}, "db1.example.com:3306"),
    ],
)
def test_the_data_source_is_the_one_of_the_dashboards(tmp_path: Path, database: dict[str, str], url: str) -> None:
    account = {"aggregator_db_readonly_user": "reader", "aggregator_db_readonly_password": 'a"b: c'}
    (source,) = rendered("grafana-datasource.yaml.j2", tmp_path / "source.yaml", **account, **database)["datasources"]
    assert (source["uid"], source["type"], source["url"], source["user"]) == ("edgetally", "mysql", url, "reader")
    assert source["jsonData"]["database"] == "edgetally"


def test_grafana_finds_the_dashboards_where_the_role_lays_them(tmp_path: Path) -> None:
    (provider,) = rendered("grafana-dashboards.yaml.j2", tmp_path / "dashboards.yaml")["providers"]
    assert provider["options"]["path"] == yaml.safe_load(VARS.read_text())["__aggregator_grafana_dashboards"]
