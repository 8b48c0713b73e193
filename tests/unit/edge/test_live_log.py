"""The live log as it was last seen: the same file or another, whole or not."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from edgetally.edge.live_log import HEAD_BYTES, Live, note, note_full
from edgetally.files import birth_of
from tests.support.edge import Edge


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("line\n" * 10)
    return path


def test_a_log_that_grows_is_the_same_and_whole(log: Path) -> None:
    noted = note(log)
    with log.open("a") as file:
        file.write("line\n" * HEAD_BYTES)
    assert noted.is_same(log)
    assert noted.is_whole(log)
    assert note(log).is_whole(log)
    assert note(log) != noted


def test_a_renamed_log_is_the_same(log: Path) -> None:
    assert note(log).is_same(log.rename(log.with_suffix(".1")))


def test_an_inode_whose_number_comes_again_is_another_file(log: Path) -> None:
    noted = note(log)
    if not noted.birth:
        pytest.skip("this file system knows no births")
    again = noted._replace(birth=noted.birth - 1)
    assert not again.is_same(log)
    assert not again.is_same(log, birthless=True)


@pytest.mark.parametrize("birthless", [False, True])
def test_a_log_whose_birth_was_not_noted(log: Path, birthless: bool) -> None:
    assert note(log)._replace(birth=0.0).is_same(log, birthless) is birthless


def test_another_file_is_not_the_same(log: Path) -> None:
    noted = note(log)
    other = log.with_suffix(".other")
    shutil.copy(log, other)
    assert not noted.is_same(other)
    assert noted.is_whole(other), "though there is all in it"


@pytest.mark.parametrize("text", ["", "line\n", "otherwise\n" * 10])
def test_a_truncated_log_is_not_whole(log: Path, text: str) -> None:
    noted = note(log)
    log.write_text(text)
    assert noted.is_same(log)
    assert not noted.is_whole(log)


def test_of_an_empty_log_nothing_can_be_missing(log: Path) -> None:
    os.truncate(log, 0)
    noted = note(log)
    assert (noted.size, noted.head) == (0, "")
    log.write_text("line\n")
    assert noted.is_whole(log)


def test_only_the_beginning_is_compared(log: Path) -> None:
    log.write_bytes(b"x" * (HEAD_BYTES + 1))
    noted = note(log)
    log.write_bytes(b"x" * HEAD_BYTES + b"y" * HEAD_BYTES)
    assert noted.is_whole(log)


@pytest.mark.parametrize("odd", ["link", "pipe"])
def test_only_a_plain_file_is_read(log: Path, odd: str) -> None:
    path = log.with_suffix(".odd")
    if odd == "link":
        path.symlink_to(log)
        with pytest.raises(OSError, match="symbolic links"):
            note(path)
    else:
        os.mkfifo(path)
        assert note(path) == Live(path.stat().st_dev, path.stat().st_ino, 0, "", birth_of(path) or 0.0)


# --- a full disk

Room = namedtuple("Room", "f_blocks f_bavail")


@pytest.mark.parametrize(("room", "full"), [(Room(100, 0), True), (Room(100, 1), False), (Room(0, 0), False)])
def test_a_full_disk_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: Room, full: bool) -> None:
    """For a server that is not root; a file system without a size has always room."""
    edge = Edge(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _path: room)
    assert note_full(edge.spool, edge.stream) is full
    assert edge.spool.full_path("access").exists() is full


def test_a_folder_that_is_gone_has_no_disk(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.set(path=str(tmp_path / "nowhere" / "access.log"))
    assert not note_full(edge.spool, edge.stream)
