"""What the role refuses of an edge's variables and of its host: sentences that an operator can act on."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest
import yaml

from roles.edge_shipper.filter_plugins.edge_problems import (
    KEYS,
    diverted,
    edge_problems,
    host_problems,
    logrotate_files,
    rotation_problems,
    unlike,
)
from tests.support import ROOT

SERVERS = yaml.safe_load((ROOT / "roles/edge_shipper/vars/main.yml").read_text(encoding="utf-8"))[
    "__edge_shipper_servers"
]
LISTS: dict[str, list[Any]] = {
    "edgetally_channels": [{"channel": "all"}],
    "edgetally_gearmand_servers": ["192.0.2.10:7003"],
}
LOG = {"name": "access", "path": "/var/log/nginx/access.log", "server": "nginx", "format": "combined"}
INSTALLED = {"name": "access", "path": "/var/log/nginx/edgetally", "server": "nginx", "install": True}
FOUND = {"debian": True, "system": "Debian GNU/Linux 12 (bookworm)", "edge": None, "missing": []}


def problems(*logs: dict[str, Any], key_length: int = 32, edge: str = "edge1", **lists: list[Any]) -> list[str]:
    """What the filter says of an edge called host1."""
    return edge_problems(list(logs), "host1", key_length, {**LISTS, **lists}, edge, SERVERS)


@pytest.mark.parametrize(
    "logs",
    [
        [LOG],
        [INSTALLED],
        [LOG, {**INSTALLED, "name": "all"}],
        [
            {
                "name": "own",
                "path": "/srv/*/log",
                "format": "squid",
                "reopen": "true",
                "spread": True,
                "max_spread": 60,
                "private": "/srv",
            }
        ],
        [{**LOG, "install": False}],
    ],
)
def test_what_is_well(logs: list[dict[str, Any]]) -> None:
    assert problems(*logs) == []


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ([], "edge_shipper_logs is an empty list on host1: give it at least one entry"),
        (
            [{"name": "access", "format": "combined"}],
            "Entry 1 of edge_shipper_logs on host1 has the keys name, format: it needs name, path",
        ),
        (
            [LOG, {**LOG, "nmae": "x"}],
            "Entry 2 of edge_shipper_logs on host1 has the keys name, path, server, format, nmae: it needs",
        ),
        (
            [{**LOG, "install": True}],
            "The log access in edge_shipper_logs needs either `format`, which says what its server writes",
        ),
        ([{**INSTALLED, "install": False}], "The log access in edge_shipper_logs needs either `format`"),
        ([{**INSTALLED, "install": "yes"}], "The log access in edge_shipper_logs needs either `format`"),
        (
            [{**INSTALLED, "server": "caddy", "reopen": "true"}],
            "which the role can do for nginx, squid, apache, varnish: for another server",
        ),
        ([{**INSTALLED, "path": LOG["path"]}], "it needs a plain path that none of nginx's other logs has"),
        ([{**INSTALLED, "path": "/var/log/$x"}], "it needs a plain path that none of nginx's other logs has"),
        (
            [INSTALLED, {**INSTALLED, "name": "b", "path": "/var/b"}],
            "no second installed log of nginx beside it, because each would count",
        ),
        ([{**LOG, "name": "a b"}], "`a b` cannot name an edge or a log: use letters, digits, dot, dash and underscore"),
        (
            [LOG, {**LOG, "path": "/other"}],
            "Two entries of edge_shipper_logs have the same name on host1 (access, access)",
        ),
        (
            [{**LOG, "path": "access.log"}],
            "needs an absolute path, and a server (nginx, squid, apache, varnish) or else the command",
        ),
        (
            [{**LOG, "server": "caddy"}],
            "needs an absolute path, and a server (nginx, squid, apache, varnish) or else the command",
        ),
    ],
)
def test_what_is_wrong_with_the_logs(logs: list[dict[str, Any]], said: str) -> None:
    assert [said in sentence for sentence in problems(*logs)].count(True) >= 1


def test_the_keys_that_it_names_are_those_that_it_takes() -> None:
    (said,) = problems({"nmae": "x"})
    named = said.partition("it needs ")[2].removesuffix(".").replace(" and may have ", " and ")
    assert re.split(r", and |, | or | and ", named) == list(KEYS)


def test_what_is_wrong_with_the_rest() -> None:
    assert problems(LOG, key_length=31)[0].startswith(
        "edgetally_master_key has 31 characters and needs at least 32: make one"
    )
    assert problems(LOG, edgetally_channels=[])[0].startswith("edgetally_channels is an empty list on host1")
    assert problems(LOG, edgetally_gearmand_servers=[])[0].startswith(
        "edgetally_gearmand_servers is an empty list on host1"
    )
    assert problems(LOG, edgetally_gearmand_servers=["jobs"])[0].startswith(
        "`jobs` in edgetally_gearmand_servers is not host:port"
    )
    assert problems(LOG, edge="edge one")[0].startswith("`edge one` cannot name an edge or a log")


def test_a_host_that_is_well() -> None:
    assert host_problems(FOUND, "host1", "edge1") == []
    assert host_problems({**FOUND, "edge": "edge1"}, "host1", "edge1") == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"debian": False, "system": "Rocky Linux 9"},
            "host1 runs Rocky Linux 9: edgetally's roles need Debian 11, 12 or 13.",
        ),
        (
            {"edge": "old"},
            "host1 ships as old and was to ship as edge1: from now on the bill would miss the one. Set edge_ship",
        ),
        ({"missing": ["/a", "/b"]}, "/a, /b of edge_shipper_logs is not there on host1: correct the path"),
    ],
)
def test_a_host_that_is_not(found: dict[str, Any], said: str) -> None:
    (sentence,) = host_problems({**FOUND, **found}, "host1", "edge1")
    assert sentence.startswith(said)


@pytest.mark.parametrize(
    ("path", "is_diverted"),
    [
        ("/var/log/nginx/access.log", True),
        ("/var/log/nginx/*", True),
        ("/var/log/nginx/edgetally", False),
        ("/var/log/nginx/sites/access.log", False),
        ("/srv/nginx/access.log", False),
    ],
)
def test_the_logs_that_a_distribution_s_file_rotates(path: str, is_diverted: bool) -> None:
    logs = [{**LOG, "path": path}, {"name": "x", "path": "/var/log/nginx/own.log", "reopen": "true"}]
    assert diverted(logs, SERVERS) == ["nginx"] * is_diverted


def test_what_is_diverted_and_what_is_given_back() -> None:
    logs = [{**LOG, "server": kind, "path": f"/var/log/{kind}/access.log"} for kind in ("squid", "nginx")]
    kinds = diverted(logs, SERVERS)
    assert kinds == ["nginx", "squid"], "their order is the servers'"
    files = {"divert": ["/etc/logrotate.d/nginx", "/etc/logrotate.d/squid"]}
    back = ["/etc/logrotate.d/apache2", "/etc/logrotate.d/varnish"]
    assert logrotate_files(SERVERS, kinds, "rules") == {**files, "back": back, "rules": "rules"}
    assert logrotate_files(SERVERS, [], "rules")["rules"] == ""


def test_a_log_that_logrotate_rotates_too() -> None:
    lines = ["considering log /var/log/nginx/access.log", "considering log /var/log/nginx/access.log.1"]
    names = "considering log (/var/log/nginx/access[.]log)$"
    (said,) = rotation_problems(lines, "host1", names)
    assert said.startswith(
        "logrotate on host1 still rotates a log of edge_shipper_logs (considering log /var/log/nginx/"
    )
    assert "access.log.1" not in said
    assert rotation_problems(lines[1:], "host1", names) == []


HELD = hashlib.sha256(b"held").hexdigest()
THERE = {"state": "file", "sha256": HELD, "owner": "root", "group": "edgetally", "mode": "0640"}
WISHED = {"path": "/x", "content": base64.b64encode(b"held").decode(), "owner": "root", "mode": "0640", "shown": False}


@pytest.mark.parametrize(
    ("entry", "found", "is_like"),
    [
        ({}, {}, True),
        ({"group": "edgetally"}, {}, True),
        ({"mode": "640"}, {}, True),
        ({"content": None, "sha256": HELD}, {}, True),
        ({"content": None}, {"sha256": "another"}, True),  # any content will do
        ({}, {"sha256": "another"}, False),
        ({"content": None, "sha256": "another"}, {}, False),
        ({"content": ""}, {}, False),
        ({"owner": "edgetally"}, {}, False),
        ({"group": "root"}, {}, False),
        ({}, {"mode": "0644"}, False),
        ({}, {"state": "other"}, False),
        ({"content": None, "state": "folder"}, {}, False),
        ({"content": None, "state": "folder"}, {"state": "folder", "sha256": ""}, True),
    ],
)
def test_what_nobody_need_write(entry: dict[str, Any], found: dict[str, str], is_like: bool) -> None:
    wished = {**WISHED, **entry}
    assert unlike([wished], {"/x": {**THERE, **found}}) == ([] if is_like else [wished])


def test_what_is_not_there_is_written_with_the_rights_that_files_have() -> None:
    assert unlike([WISHED], {}) == [WISHED]
    assert unlike([{"path": "/x"}], {"/x": {**THERE, "mode": "0644"}}) == []
