"""The module host_files: one call in place of a task for each file, so all that those tasks promised is here."""

from __future__ import annotations

import base64
import grp
import importlib.util
import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.support import ROOT

MINE = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}


def load() -> Any:
    """The module as Python; library/ is no package."""
    spec = importlib.util.spec_from_file_location("host_files", ROOT / "library" / "host_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


host_files = load()


def file(path: Path, content: str | None = "new\n", **values: Any) -> dict[str, Any]:
    """An entry for a file of the user who runs the tests."""
    held = {} if content is None else {"content": base64.b64encode(content.encode()).decode()}
    return {"path": str(path), **MINE, **held, **values}


def folder(path: Path, mode: str = "0755") -> dict[str, Any]:
    """An entry for a folder."""
    return {"path": str(path), "state": "folder", "mode": mode, **MINE}


def run(capsys: pytest.CaptureFixture[str], *files: dict[str, Any], check: bool = False) -> dict[str, Any]:
    """What the module answers."""
    with (
        patch_module_args({"files": list(files), "_ansible_check_mode": check, "_ansible_diff": True}),
        pytest.raises(SystemExit),
    ):
        host_files.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_files_and_folders_are_made_in_order_and_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [
        folder(tmp_path / "etc", "0750"),
        file(tmp_path / "etc" / "one", mode="0640"),
        file(tmp_path / "etc" / "mark", None),
    ]
    answer = run(capsys, *entries)
    assert answer["changed"]
    assert answer["paths"] == [entry["path"] for entry in entries]
    assert (tmp_path / "etc" / "one").read_text() == "new\n"
    assert (tmp_path / "etc" / "mark").read_text() == ""
    modes = [oct(Path(entry["path"]).stat().st_mode)[-4:] for entry in entries]
    assert modes == ["0750", "0640", "0644"]
    again = run(capsys, *entries)
    assert (again["changed"], again["paths"]) == (False, [])


def test_a_changed_file_is_replaced_and_shown_where_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an entry says nothing of may be a secret."""
    for name in ("open", "secret"):
        (tmp_path / name).write_text("old\n")
    answer = run(capsys, file(tmp_path / "open", shown=True), file(tmp_path / "secret", "the key\n"))
    assert len(answer["paths"]) == 2
    assert [(one["before"], one["after"], one["before_header"]) for one in answer["diff"]] == [
        ("old\n", "new\n", str(tmp_path / "open"))
    ]
    assert "the key" not in json.dumps(answer)
    assert base64.b64encode(b"the key\n").decode() not in json.dumps(answer)


def test_a_new_file_has_its_rights_and_is_on_the_disk_before_it_is_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file could be read by all; the new one, with a secret, by nobody at any time."""
    (tmp_path / "one").write_text("old\n")
    (tmp_path / "one").chmod(0o644)
    seen: list[object] = []
    sync, moves = os.fsync, {name: getattr(os, name) for name in ("rename", "replace")}

    def moved(name: str) -> Any:
        def move(source: str, target: str) -> None:
            seen.append((oct(os.stat(source).st_mode & 0o7777), os.stat(source).st_uid, Path(os.fsdecode(target))))
            moves[name](source, target)

        return move

    def synced(handle: int) -> None:
        sync(handle)
        seen.append("synced")

    monkeypatch.setattr(os, "fsync", synced)
    for name in moves:
        monkeypatch.setattr(os, name, moved(name))
    assert run(capsys, file(tmp_path / "one", mode="0600"))["changed"]
    assert seen == ["synced", ("0o600", os.geteuid(), tmp_path / "one")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_owner_who_is_not_named_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").write_text("old\n")
    os.chown(tmp_path / "one", 1, 2)
    assert run(capsys, file(tmp_path / "one", owner=None, group=None))["changed"]
    now = (tmp_path / "one").stat()
    assert ((tmp_path / "one").read_text(), now.st_uid, now.st_gid) == ("new\n", 1, 2)


def test_rights_alone_are_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").write_text("new\n")
    (tmp_path / "one").chmod(0o600)
    assert run(capsys, file(tmp_path / "one"))["paths"] == [str(tmp_path / "one")]
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o644


def test_a_mark_keeps_its_time_and_what_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mark").write_text("kept")
    os.utime(tmp_path / "mark", (1000, 1000))
    (tmp_path / "mark").chmod(0o644)
    assert not run(capsys, file(tmp_path / "mark", None))["changed"]
    assert (tmp_path / "mark").read_text() == "kept"
    assert (tmp_path / "mark").stat().st_mtime == 1000


def test_what_validation_refuses_is_not_written_nor_what_follows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").write_text("old\n")
    refuse = ["sh", "-c", 'echo "prog: $0: $(cat "$0") is refused" >&2; exit 3', "%s"]
    answer = run(capsys, file(tmp_path / "one", validate=refuse), file(tmp_path / "two"))
    assert answer["failed"]
    assert answer["path"] == str(tmp_path / "one")
    assert answer["msg"] == f"prog: {tmp_path / 'one'}: new is refused", (
        "it saw the new content, and names the true file"
    )
    assert (tmp_path / "one").read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["one"], "no file is left over"


def test_what_the_system_refuses_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, file(tmp_path / "none" / "one"))
    assert (answer["failed"], answer["msg"]) == (True, f"{tmp_path / 'none' / 'one'}: No such file or directory")
    answer = run(capsys, file(tmp_path / "one", owner="nobody-has-this-name"))
    assert answer["failed"]
    assert "nobody-has-this-name" in answer["msg"]
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").write_text("other\n")
    (tmp_path / "one").symlink_to(tmp_path / "other")
    assert run(capsys, file(tmp_path / "one"))["changed"]
    assert not (tmp_path / "one").is_symlink()
    assert (tmp_path / "other").read_text() == "other\n"


def test_the_folders_above_are_made_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Metrics that the exporter's user cannot reach are no metrics."""
    tmp_path.chmod(0o700)
    entry = folder(tmp_path / "lib" / "node" / "metrics", "0751")
    assert run(capsys, entry)["paths"] == [entry["path"]]
    modes = {path.name: oct(path.stat().st_mode)[-4:] for path in tmp_path.rglob("*")}
    assert modes == {"lib": "0751", "node": "0751", "metrics": "0751"}
    assert tmp_path.stat().st_mode & 0o777 == 0o700, "what was there stays as it is"
    assert not run(capsys, entry)["changed"]


def test_a_link_to_a_folder_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A spool that lies on another disk."""
    (tmp_path / "disk").mkdir(0o700)
    (tmp_path / "spool").symlink_to(tmp_path / "disk")
    entry = folder(tmp_path / "spool", "0750")
    assert run(capsys, entry)["changed"]
    assert (tmp_path / "spool").is_symlink()
    assert (tmp_path / "disk").stat().st_mode & 0o777 == 0o750
    assert not run(capsys, entry)["changed"]


def test_what_is_in_the_place_is_named_and_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").write_text("old\n")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    other = "is to be a folder, and something else is there: move that away"
    for name in ("one", "lost"):
        assert run(capsys, folder(tmp_path / name))["msg"] == f"{tmp_path / name} {other}"
    below = run(capsys, folder(tmp_path / "one" / "below"))
    assert (below["failed"], below["path"]) == (True, str(tmp_path / "one" / "below"))
    assert below["msg"].endswith(f"{tmp_path / 'one'} {other}")
    (tmp_path / "folder").mkdir()
    said = run(capsys, file(tmp_path / "folder"))["msg"]
    assert said == f"{tmp_path / 'folder'} is to be a file, and a folder is there: move that away"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "lost", "one"]
    assert (tmp_path / "one").read_text() == "old\n"


def test_check_mode_says_the_same_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a host that knows nothing of the role: neither the folder nor the owner is there."""
    entries = [
        {**folder(tmp_path / "etc"), "owner": "nobody-has-this-name"},
        file(tmp_path / "etc" / "one", validate=["false"]),
    ]
    assert run(capsys, *entries, check=True)["paths"] == [entry["path"] for entry in entries]
    assert list(tmp_path.iterdir()) == []
