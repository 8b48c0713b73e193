"""The private place: where it lies, who can reach it, and what is ever done with the log's own folder."""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetally.edge import place as places
from edgetally.edge.place import NEXT, PIN, TOOK, Place, open_place
from edgetally.edge.renamed import Renamed
from edgetally.errors import EdgetallyError
from tests.support.edge import ODD, put_odd

GENERATION = "0123456789abcdef"
STRANGER = 12345  # a user that owns folders of these tests


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log in a folder of root's."""
    path = tmp_path / "log" / "access.log"
    path.parent.mkdir()
    path.write_text("live\n")
    return path


@pytest.fixture
def place(log: Path) -> Iterator[Place]:
    with open_place(log, "access") as place:
        yield place


def private(log: Path, given: str = "") -> Path:
    with open_place(log, "access", given) as place:
        return place.private


# --- where it lies


def test_the_new_log_may_be_read_by_whom_the_old_one_could(log: Path, place: Place) -> None:
    """Its access list goes with it: who follows the log by that goes on."""
    entries = ((1, 6, -1), (2, 4, STRANGER), (4, 4, -1), (16, 4, -1), (32, 0, -1))  # tag, rights, whose
    access = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(log, "system.posix_acl_access", access)
    except OSError:
        pytest.skip("this file system knows no access lists")
    status = place.live()
    assert status is not None
    assert place.exchange(status)
    assert log.read_text() == ""
    assert os.getxattr(log, "system.posix_acl_access") == access


def test_it_lies_beside_a_log_of_roots(log: Path) -> None:
    folder = private(log)
    assert folder == log.parent / ".edgetally" / "access"
    for one in (folder, folder.parent):
        assert stat.S_IMODE(one.stat().st_mode) == 0o700
    assert private(log) == folder, "it is there already"


@pytest.mark.parametrize("how", ["owner", "group", "others"])
def test_it_lies_above_a_folder_that_another_can_change(log: Path, how: str) -> None:
    if how == "owner":
        os.chown(log.parent, STRANGER, -1)
    else:
        log.parent.chmod(0o775 if how == "group" else 0o757)
    assert private(log) == log.parent.parent / ".edgetally" / "access"


def test_a_folder_of_roots_in_another_ones_folder_is_not_roots_alone(log: Path) -> None:
    """Its owner could put another one in its place."""
    inner = log.parent / "inner"
    inner.mkdir()
    os.chown(log.parent, STRANGER, -1)
    assert private(inner / "access.log") == log.parent.parent / ".edgetally" / "access"


@pytest.mark.parametrize(("mode", "trusted"), [(0o1777, True), (0o777, False)])
def test_a_sticky_folder_keeps_what_is_roots(log: Path, mode: int, trusted: bool) -> None:
    """As /tmp does: nobody can rename another's folder there."""
    inner = log.parent / "inner"
    inner.mkdir()
    log.parent.chmod(mode)
    expected = inner if trusted else log.parent.parent
    assert private(inner / "access.log") == expected / ".edgetally" / "access"


def mount(*arguments: str) -> None:
    if subprocess.run(["mount", *arguments], capture_output=True).returncode:
        pytest.skip("this machine mounts nothing")


@pytest.mark.parametrize("bind", [False, True])
def test_it_lies_on_the_logs_own_mount(log: Path, bind: bool) -> None:
    """Files are neither renamed nor linked to another mount, be it of the same file system."""
    other = log.parent.parent / "other"
    other.mkdir()
    mount(*(("--bind", str(other)) if bind else ("-t", "tmpfs", "-o", "mode=755", "tmpfs")), str(log.parent))
    try:
        log.write_text("line\n")
        with open_place(log, "access") as place:
            assert place.private == log.parent / ".edgetally" / "access"
            assert place.exchange(log.stat())
        os.chown(log.parent, STRANGER, -1)
        with pytest.raises(EdgetallyError, match="name it as the log's `private`"):
            private(log)
        given = log.parent / "given"
        given.mkdir()
        with pytest.raises(EdgetallyError, match=f"{given}, the private folder of log 'access', is not root's alone"):
            private(log, str(given))
    finally:
        subprocess.run(["umount", "-l", str(log.parent)], check=True)


def test_a_given_folder_is_used(log: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    assert private(log, str(given)) == given / ".edgetally" / "access"
    os.chown(given, STRANGER, -1)
    with pytest.raises(EdgetallyError, match="is not root's alone"):
        private(log, str(given))
    with pytest.raises(EdgetallyError, match="it is not there"):
        private(log, str(tmp_path / "nowhere" / "given"))


@pytest.mark.parametrize("odd", ["owner", "mode", "link", "file"])
def test_what_another_has_put_there_is_refused(log: Path, odd: str) -> None:
    """As where the folder was another's, once."""
    folder = log.parent / ".edgetally"
    if odd in ("owner", "mode"):
        folder.mkdir()
        os.chown(folder, STRANGER if odd == "owner" else 0, -1)
        folder.chmod(0o777 if odd == "mode" else 0o700)
    elif odd == "link":
        (log.parent / "target").mkdir()
        folder.symlink_to("target")
    else:
        folder.touch()
    with pytest.raises(EdgetallyError, match=f"{folder} is not a folder of root's alone: remove it"):
        private(log)
    assert not (folder / "access").exists()


def test_a_look_makes_nothing(log: Path) -> None:
    with open_place(log, "access", make=False) as place:
        assert place.batches() == []
        assert not place.is_taken()
    assert [path.name for path in log.parent.iterdir()] == ["access.log"]


# --- the way to it


def test_a_link_of_roots_is_followed(log: Path, tmp_path: Path) -> None:
    """The whole path, a part of it, and the log itself; relative ones, and ones that go up."""
    (tmp_path / "link").symlink_to("log")
    (tmp_path / "log" / "up").symlink_to("../log/../link")
    (tmp_path / "log" / "linked.log").symlink_to(tmp_path / "link" / "access.log")
    for path in ("link/access.log", "log/up/access.log", "log/linked.log", "log/../log/./access.log"):
        with open_place(tmp_path / path, "access") as place:
            assert place.name == "access.log"
            assert place.path.read_text() == "live\n"
            assert place.private.parent == log.parent / ".edgetally"


def test_a_link_of_another_is_not_followed(log: Path, tmp_path: Path) -> None:
    """Nor one of root's in a folder of another's, who may have moved it there."""
    link = tmp_path / "link"
    link.symlink_to("log")
    os.lchown(link, STRANGER, -1)
    with pytest.raises(EdgetallyError, match=f"by way of {link} .it is a link that root does not own.") as caught:
        private(link / "access.log")
    assert "\n" not in str(caught.value)
    inner = log.parent / "inner"
    inner.symlink_to("/etc")
    os.chown(log.parent, STRANGER, -1)
    with pytest.raises(EdgetallyError, match="it is a link that root does not own"):
        private(inner / "access.log")


def test_a_log_that_is_anothers_link_is_looked_at_as_a_link(log: Path, tmp_path: Path) -> None:
    link = log.with_name("link.log")
    link.symlink_to(log)
    os.lchown(link, STRANGER, -1)
    with open_place(link, "access") as place:
        status = place.live()
        assert status is not None
        assert stat.S_ISLNK(status.st_mode)
        assert not place.is_plain(status)
        assert not place.pin()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere/access.log", "it is not there"),
        ("log/access.log/access.log", "Not a directory"),
        ("loop/access.log", "it is a link that root does not own"),
        ("root", "it is a folder"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_sentence(log: Path, tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "root").symlink_to("/")
    with pytest.raises(EdgetallyError, match=why) as caught:
        private(tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


def test_descriptors_are_closed(log: Path, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in (log, tmp_path / "nowhere" / "access.log"):
        for given in ("", str(tmp_path), "/nowhere/at/all"):
            try:
                private(path, given)
            except EdgetallyError:
                continue
    assert len(os.listdir("/proc/self/fd")) == before


# --- taking


def test_the_log_and_an_empty_file_change_places(log: Path, place: Place) -> None:
    status = log.stat()
    assert place.exchange(status)
    assert (place.private / TOOK).read_text() == "live\n"
    assert os.path.samefile(log, place.private / NEXT)
    assert log.stat().st_size == 0
    assert place.is_taken()
    assert not place.is_pinned(place.live())


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_exchange(
    log: Path, place: Place, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(places, "exchange_at", refuse)
    assert not place.exchange(log.stat())
    assert os.listdir(place.private) == []
    assert log.read_text() == "live\n"
    place.take()
    assert (place.private / TOOK).read_text() == "live\n"
    assert not log.exists()
    assert place.is_taken()


def test_a_log_that_is_gone_leaves_nothing_behind(log: Path, place: Place) -> None:
    status = log.stat()
    log.unlink()
    with pytest.raises(FileNotFoundError):
        place.exchange(status)
    assert os.listdir(place.private) == []
    with pytest.raises(FileNotFoundError):
        place.take()


@pytest.mark.parametrize("names", [[NEXT], [NEXT, TOOK]])
def test_an_empty_file_that_never_came_under_the_name_is_forgotten(log: Path, place: Place, names: list[str]) -> None:
    for name in names:
        if name == NEXT:
            (place.private / NEXT).touch()
        else:
            os.link(place.private / NEXT, place.private / name)
    assert not place.is_taken()
    place.forget_next()
    assert os.listdir(place.private) == []


def test_a_file_that_was_taken_is_not_forgotten(log: Path, place: Place) -> None:
    place.exchange(log.stat())
    place.forget_next()
    assert sorted(os.listdir(place.private)) == [NEXT, TOOK]


def test_a_pin_is_a_second_name_of_the_log(log: Path, place: Place) -> None:
    assert place.pin()
    assert place.is_pinned(log.stat())
    assert place.is_plain(log.stat()), "its second name is ours"
    assert not place.pin(), "it is pinned already"
    assert place.is_pinned(log.stat())


@pytest.mark.parametrize("odd", ["nothing", *ODD])
def test_only_a_plain_file_without_another_name_is_pinned(log: Path, place: Place, odd: str) -> None:
    target = log.with_name("target")
    log.rename(target)
    if odd != "nothing":
        put_odd(odd, log, target)
    assert not place.pin()
    assert os.listdir(place.private) == []
    assert target.read_text() == "live\n"


def test_another_name_that_comes_after_the_look_is_seen(
    log: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hard link to another's file, whose name in the log's folder was gone for a moment."""
    before = log.stat()
    os.link(log, log.with_name("other"))
    monkeypatch.setattr(Place, "live", lambda _self: before)
    assert not place.pin()
    assert os.listdir(place.private) == []
    assert log.stat().st_ino == before.st_ino


def test_a_new_log_that_comes_while_one_is_pinned(log: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays; the other is kept for the next run."""
    link = Place._link_taken

    def late(self: Place) -> None:
        log.write_text("new\n")
        link(self)

    monkeypatch.setattr(Place, "_link_taken", late)
    place.pin()
    assert log.read_text() == "new\n"
    assert (place.private / TOOK).read_text() == "live\n"
    assert place.is_taken()


# --- what lies in it


def test_batches_come_oldest_first(place: Place) -> None:
    """Nothing but plain files of their names, whatever came in with an older program's."""
    for seq in (10, 9, 11):
        Renamed(place.private, GENERATION, seq, seq - 1.0, float(seq)).path.touch()
    (place.private / f"access.log.edgetally-{GENERATION}-1-0.000-1.000").touch()
    (place.private / "live").touch()
    os.mkfifo(place.private / f"{GENERATION}-1-0.000-1.000")
    (place.private / f"{GENERATION}-2-0.000-1.000").symlink_to("/etc/passwd")
    (place.private / f"{GENERATION}-3-0.000-1.000").mkdir()
    assert [item.seq for item in place.batches()] == [9, 10, 11]


@pytest.mark.parametrize("odd", [*ODD, "folder with a file"])
def test_what_is_no_file_is_put_away(log: Path, place: Place, odd: str) -> None:
    """A folder is kept where something is in it."""
    put_odd(odd.removesuffix(" with a file"), place.private / TOOK, log)
    if odd == "folder with a file":
        (place.private / TOOK / "in it").touch()
    place.put_away(TOOK, 1780000000.125)
    assert os.listdir(place.private) == (["odd-1780000000.125"] if odd == "folder with a file" else [])
    assert log.read_text() == "live\n"


def test_a_file_never_takes_anothers_name(place: Place) -> None:
    (place.private / PIN).write_text("pin")
    (place.private / NEXT).write_text("next")
    with pytest.raises(FileExistsError):
        place.rename(NEXT, PIN)
    assert (place.private / PIN).read_text() == "pin"


# --- where it was before


def test_a_place_moves_along_when_the_folder_gets_another_owner(log: Path) -> None:
    """Else the log had a second name for ever, and what waits there were forgotten."""
    with open_place(log, "access") as before:
        before.pin()
        Renamed(before.private, GENERATION, 1, 0.0, 1.0).path.touch()
    os.chown(log.parent, STRANGER, -1)
    with open_place(log, "access") as place:
        assert place.private != before.private
        place.bring(before.private, "access")
        assert place.is_pinned(log.stat())
        assert [item.seq for item in place.batches()] == [1]
        assert os.listdir(before.private) == []
        place.bring(before.private, "access")
        place.bring(log.parent / "nowhere" / ".edgetally" / "access", "access")


@pytest.mark.parametrize("odd", ["link", "owner", "mode", "name"])
def test_nothing_is_brought_from_where_another_leads(log: Path, tmp_path: Path, odd: str) -> None:
    """The owner of the log's folder may have put something else where the private place was."""
    before, secret = log.parent / ".edgetally" / "access", tmp_path / "secret" / "access"
    for folder in (secret.parent, secret) if odd == "link" else (before.parent, before):
        folder.mkdir(mode=0o700)
    if odd == "link":
        before.parent.symlink_to(secret.parent)
        os.lchown(before.parent, STRANGER, -1)
    (before / PIN).write_text("root's\n")
    if odd == "owner":
        os.chown(before, STRANGER, -1)
    elif odd == "mode":
        before.chmod(0o755)
    os.chown(log.parent, STRANGER, -1)
    with open_place(log, "access") as place:
        place.bring(before if odd != "name" else before.parent, "access")
        assert os.listdir(place.private) == []
    assert (before / PIN).read_text() == "root's\n"
