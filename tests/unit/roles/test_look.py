"""The role's look at an edge before it changes anything: a renamed edge or a wrong path was a green rollout once."""

from __future__ import annotations

import getpass
import grp
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from roles.edge_shipper.files.look import __file__ as look_file
from roles.edge_shipper.files.look import answer_of, lacks, look, state_of, stopped, system


def known(folder: Path, **values: object) -> Path:
    """An edge.json as the role wrote it before."""
    config = folder / "edge.json"
    config.write_text(json.dumps({"edge": "edge1", "logs": [{"name": "access", "path": "/gone/old.log"}], **values}))
    return config


def test_a_new_edge_whose_logs_are_there(tmp_path: Path) -> None:
    (tmp_path / "access.log").touch()
    paths = [str(tmp_path / "access.log"), str(tmp_path / "*.log")]
    assert look(paths, tmp_path / "edge.json") == {"edge": None, "missing": []}


def test_the_name_that_it_ships_under(tmp_path: Path) -> None:
    assert look([], known(tmp_path))["edge"] == "edge1"


def test_a_new_log_that_is_not_there(tmp_path: Path) -> None:
    paths = ["/gone/old.log", "/gone/new.log", str(tmp_path / "*.log")]
    assert look(paths, known(tmp_path))["missing"] == paths[1:], "the first was there once: it may be away"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"edge": "edge1"}'])
def test_a_damaged_configuration_says_nothing(tmp_path: Path, text: str) -> None:
    config = tmp_path / "edge.json"
    config.write_text(text)
    assert look(["/gone/new.log"], config) == {"edge": None, "missing": ["/gone/new.log"]}


@pytest.mark.parametrize(
    ("text", "debian", "name"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', True, "Debian GNU/Linux 12 (bookworm)"),
        ('ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu 24.04"\n', True, "Ubuntu 24.04"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nPRETTY_NAME="Rocky Linux 9"\n', False, "Rocky Linux 9"),
        (None, False, "no Linux that tells its name"),
    ],
)
def test_what_system_it_is(tmp_path: Path, text: str | None, debian: bool, name: str) -> None:
    if text is not None:
        (tmp_path / "os-release").write_text(text)
    assert system(tmp_path / "os-release") == {"debian": debian, "system": name}


def test_what_it_lacks() -> None:
    assert lacks(["no-such-package", "python3"], ["root", "no-such-user"]) == ["no-such-package", "no-such-user"]


@pytest.mark.parametrize(
    ("active", "enabled", "is_stopped"),
    [
        ("active", "enabled", False),
        ("active", "disabled", True),
        ("inactive", "enabled", True),
        ("failed", "disabled", True),
    ],
)
def test_a_service_runs_now_and_after_the_next_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, active: str, enabled: str, is_stopped: bool
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        f"#!/bin/sh\n[ $2 = cron.service ] || exit 4\n[ $1 = is-active ] && echo {active} || echo {enabled}\n"
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert stopped(["cron.service"]) == ["cron.service"] * is_stopped


def test_a_service_that_is_not_there_is_stopped() -> None:
    assert stopped([]) == []
    assert stopped(["no-such.service"]) == ["no-such.service"]


def test_what_a_file_is_now(tmp_path: Path) -> None:
    file, link = tmp_path / "held", tmp_path / "link"
    file.write_text("held")
    file.chmod(0o755)
    link.symlink_to(file)
    (tmp_path / "to_folder").symlink_to(tmp_path)
    mine = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getegid()).gr_name}
    sha256 = hashlib.sha256(b"held").hexdigest()
    assert state_of(file) == {**mine, "state": "file", "sha256": sha256, "mode": "0755"}
    assert (state_of(link)["state"], state_of(link)["sha256"]) == ("other", ""), "a link is not the file itself"
    tmp_path.chmod(0o2750)
    assert state_of(tmp_path / "to_folder") == {**mine, "state": "folder", "sha256": "", "mode": "2750"}


def test_what_a_script_says() -> None:
    assert answer_of("import sys; print(sys.argv[1:])", "a", "b") == "['a', 'b']\n"
    assert answer_of("pass") == ""
    assert answer_of("raise SystemExit('no')") is None


def test_all_that_it_prints(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("held")
    paths = [str(tmp_path / "there"), str(tmp_path / "gone")]
    asked = {"logs": [], "packages": [], "users": [], "files": paths, "services": [], "certificate": paths[0]}
    done = subprocess.run(
        [sys.executable, look_file, json.dumps({**asked, "scripts": {"one": ["print(1)"]}})],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert (list(found["files"]), found["certificate"], found["said"]) == (paths[:1], "held", {"one": "1\n"})
