"""The role's way with logrotate, by the machine's own dpkg: what rotates a log twice loses lines."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from roles.edge_shipper.files import rotation

needed = pytest.mark.skipif(
    not (shutil.which("dpkg-divert") and shutil.which("logrotate")), reason="no dpkg, or no logrotate"
)


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution's file; diversions are noted in a folder of the test's own."""
    (tmp_path / "dpkg").mkdir()
    (tmp_path / "dpkg" / "status").touch()
    monkeypatch.setenv("DPKG_ADMINDIR", str(tmp_path / "dpkg"))
    monkeypatch.setattr(rotation, "RULES", tmp_path / "edgetally")
    (tmp_path / "logrotate.conf").write_text(f"include {tmp_path}/logrotate.d\n")
    monkeypatch.setattr(rotation, "CONF", tmp_path / "logrotate.conf")
    (tmp_path / "logrotate.d").mkdir()
    path = tmp_path / "logrotate.d" / "nginx"
    path.write_text(f'"{tmp_path}/*.log" {{\n    daily\n}}\n')
    for name in ("access.log", "a b.log"):
        (tmp_path / name).touch()
    return path


def ask(divert: list[Path], back: list[Path], rules: str = "", check: bool = False) -> list[str]:
    """What was changed, by name."""
    asked = {
        "divert": [str(path) for path in divert],
        "back": [str(path) for path in back],
        "rules": rules,
    }
    return [Path(path).name for path in rotation.main(asked, check)["changed"]]


@needed
def test_it_is_diverted_once_and_given_back(theirs: Path) -> None:
    away = Path(f"{theirs}.disabled")
    assert ask([theirs], [], "rules\n") == ["nginx", "edgetally"]
    assert (theirs.exists(), away.exists(), rotation.RULES.read_text()) == (False, True, "rules\n")
    assert ask([theirs], [], "rules\n") == []
    assert ask([theirs], [], "others\n") == ["edgetally"]
    assert ask([], [theirs]) == ["nginx", "edgetally"]
    assert (theirs.exists(), away.exists(), rotation.RULES.exists()) == (True, False, False)
    assert ask([], [theirs]) == []


@needed
def test_a_diversion_that_somebody_else_made_stays(theirs: Path) -> None:
    subprocess.run(
        ["dpkg-divert", "--local", "--rename", "--divert", f"{theirs}.own", "--add", theirs],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert ask([], [theirs]) == []
    assert Path(f"{theirs}.own").exists()
    with pytest.raises(SystemExit, match="clashes"):
        ask([theirs], [])


@needed
def test_the_logs_that_logrotate_would_rotate_are_named(theirs: Path) -> None:
    folder = theirs.parent.parent
    asked = {"divert": [], "back": [str(theirs)], "rules": ""}
    assert sorted(rotation.main(asked, False)["rotates"]) == [
        f"considering log {folder}/a b.log",
        f"considering log {folder}/access.log",
    ]
    assert rotation.main({**asked, "divert": [str(theirs)], "back": []}, False)["rotates"] == []


@needed
def test_check_mode_says_the_same_and_changes_nothing(theirs: Path) -> None:
    assert ask([theirs], [], "rules\n", check=True) == ["nginx", "edgetally"]
    asked = {"divert": [str(theirs)], "back": [], "rules": ""}
    assert rotation.main(asked, True)["rotates"] == [], "what is yet to be diverted is no reason to stop"
    assert theirs.exists()
    assert not rotation.RULES.exists()
    assert rotation.main({**asked, "divert": []}, True)["rotates"] != [], "where nothing is to be done it is asked"


def test_a_host_without_logrotate(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert rotation.main({"divert": [], "back": [str(theirs)], "rules": ""}, False) == {
        "changed": [],
        "rotates": [],
    }
