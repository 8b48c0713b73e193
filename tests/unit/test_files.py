"""Files and folders: never over another, whole after any crash, and two that change places in one step."""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgetally import files
from edgetally.errors import EdgetallyError
from edgetally.files import birth_of, exchange_at, read_plain, rename_exclusively, write_atomic, write_synced
from tests.support.edge import put_odd


def test_a_rename_never_goes_over_another_file(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("new")
    (tmp_path / "old").write_text("old")
    with pytest.raises(FileExistsError):
        rename_exclusively(tmp_path / "live", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "old"
    rename_exclusively(tmp_path / "live", tmp_path / "new")
    assert (tmp_path / "new").read_text() == "new"


def test_nor_over_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("new")
    (tmp_path / "old").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        rename_exclusively(tmp_path / "live", tmp_path / "old")
    assert os.readlink(tmp_path / "old") == "nowhere"


def test_a_name_in_a_folder_is_renamed_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "live").write_text("new")
    descriptor = os.open(tmp_path / "folder", os.O_PATH | os.O_DIRECTORY)
    try:
        rename_exclusively("live", tmp_path / "took", descriptor)
    finally:
        os.close(descriptor)
    assert (tmp_path / "took").read_text() == "new"


def test_the_same_without_the_system_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_options: SimpleNamespace())
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    test_a_rename_never_goes_over_another_file(tmp_path / "one")
    test_nor_over_a_link_to_nowhere(tmp_path / "two")
    test_a_name_in_a_folder_is_renamed_out_of_it(tmp_path / "three")


def test_a_rename_to_another_file_system_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_renameat2", lambda *_: errno.EXDEV)
    with pytest.raises(EdgetallyError, match="another file system"):
        rename_exclusively(tmp_path / "one", tmp_path / "two")


def test_two_files_change_places_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "target").write_text("target")
    (tmp_path / "live").symlink_to("target")
    descriptor = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        exchange_at(tmp_path / "new", descriptor, "live")
        with pytest.raises(FileNotFoundError):
            exchange_at(tmp_path / "new", descriptor, "nothing")
    finally:
        os.close(descriptor)
    assert (tmp_path / "live").read_text() == "new"
    assert os.readlink(tmp_path / "new") == "target"
    assert (tmp_path / "target").read_text() == "target"


def test_a_files_birth_stays_what_it_was(tmp_path: Path) -> None:
    before = time.time()
    path = tmp_path / "file"
    path.touch()
    born = birth_of(path)
    if born is None:
        pytest.skip("this file system knows no births")
    assert before - 0.02 < born < time.time() + 0.02
    time.sleep(0.02)
    path.write_text("more")
    os.utime(path, (1, 1))
    assert birth_of(path.rename(tmp_path / "other")) == born
    assert birth_of(path) is None, "it is not there"


def test_no_birth_is_known_without_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_options: SimpleNamespace())
    assert birth_of(tmp_path) is None


def test_an_atomic_write_is_seen_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"a" * 5000)

    def write() -> None:
        for letter in (b"a", b"b") * 20:
            write_atomic(path, letter * 5000)

    writer = multiprocessing.get_context("fork").Process(target=write)
    writer.start()
    while writer.is_alive():
        assert path.read_bytes() in (b"a" * 5000, b"b" * 5000)
    writer.join()


@pytest.mark.parametrize("odd", ["link", "pipe", "folder"])
def test_only_a_plain_file_is_read_or_written(tmp_path: Path, odd: str) -> None:
    """Where another user may have put something else under the name."""
    path, target = tmp_path / "file", tmp_path / "target"
    target.write_text("target")
    put_odd(odd, path, target)
    with pytest.raises(OSError, match=r"\[Errno"):
        read_plain(path)
    if odd != "folder":
        write_synced(path, b"new")
        assert (read_plain(path), path.is_symlink()) == (b"new", False)
    assert target.read_text() == "target"
