"""The rotation: one batch after the other without a gap, and missing time where another program was at the log."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from edgetally.edge import place as places
from edgetally.edge.live_log import note
from edgetally.edge.place import NEXT, PIN, TOOK, Place
from edgetally.edge.renamed import Renamed
from edgetally.edge.rotation import Rotation, extend
from edgetally.edge.state import State, load_state, save_state
from edgetally.edge.streams import installed
from tests.support.edge import ODD, Edge, Writer, put_odd

GENERATION = "0123456789abcdef"
WAYS = ("exchanged", "taken")


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the live log is taken: `taken` where the file system cannot exchange."""
    if request.param == "taken":

        def refuse(*_: object) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(places, "exchange_at", refuse)
    return str(request.param)


def older(edge: Edge, seq: int = 5, **fields: Any) -> State:
    """The state of a log that an older program rotated 300 s ago: it pinned nothing, and noted no birth."""
    live = note(edge.log)._replace(birth=0.0) if edge.log.exists() else None
    state = State(edge.stream.name, str(edge.log), GENERATION, seq, round(time.time() - 300, 3), live)
    state = state._replace(**fields)
    save_state(edge.spool, "access", state)
    return state


def wait_a_tick() -> None:
    """Until the clock of the file system has gone on."""
    time.sleep(0.02)


def anew(edge: Edge, text: str) -> None:
    """Another program moves the log away, and the server makes a new one."""
    edge.log.rename(edge.log.with_suffix(f".log.{len(list(edge.log.parent.iterdir()))}"))
    edge.log.write_text(text)


# --- an ordinary rotation


def test_the_first_batch_begins_with_the_installation(edge: Edge) -> None:
    since = installed(edge.config, edge.config.logs[0])
    edge.log.write_text("line\n")
    (item,), problems = edge.turn()
    assert (item.seq, item.start, item.mark, problems) == (1, float(int(since)), "", [])
    assert item.path.read_text() == "line\n"


def test_a_deleted_spool_does_not_forget_the_installation(edge: Edge) -> None:
    """A new generation still counts the lines since the installation, not only those since the loss."""
    since = installed(edge.config, edge.config.logs[0])
    os.utime(edge.folder / "installed" / "access", (since - 5000, since - 5000))
    edge.log.touch()
    (item,), _ = edge.turn()
    assert item.start == int(since) - 5000


def test_existing_lines_are_counted_when_asked_for(edge: Edge) -> None:
    edge.set(include_existing=True)
    edge.log.touch()
    (item,), _ = edge.turn()
    assert item.start == 0.0


def test_rotations_follow_each_other_without_a_gap(edge: Edge, way: str) -> None:
    items = []
    for text in ("one\n", "two\n", "three\n"):
        with edge.log.open("a") as log:
            log.write(text)
        edge.note()
        (item,), problems = edge.turn()
        assert (item.path.read_text(), item.mark, problems) == (text, "", [])
        items.append(item)
        edge.log.touch()  # the server makes a new one where there is none
        if way == "taken":
            with edge.stream.place() as place:
                assert place.pin()
            edge.note()
    assert [item.seq for item in items] == [1, 2, 3]
    assert [item.start for item in items[1:]] == [item.end for item in items[:-1]]
    assert len({item.generation for item in items}) == 1


def test_the_new_log_has_the_owner_and_the_mode_of_the_old_one(edge: Edge) -> None:
    """And is pinned from its first moment."""
    edge.log.touch()
    os.chown(edge.log, 12345, 23456)
    edge.log.chmod(0o4664)
    edge.turn()
    status = edge.log.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777, status.st_size) == (12345, 23456, 0o664, 0)
    assert os.path.samefile(edge.log, edge.private / PIN)
    assert status.st_nlink == 2


def test_traffic_server_makes_its_new_log_itself(edge: Edge) -> None:
    """It opens none while one stands under the name; what it makes is pinned when it is there."""
    edge.data["logs"][0]["server"] = "trafficserver"
    edge.set()
    edge.log.write_text("line\n")
    (item,), _ = edge.turn()
    assert item.path.read_text() == "line\n"
    assert not edge.log.exists()
    assert edge.kept() == [item.name]
    edge.log.write_text("more\n")
    with edge.stream.place() as place:
        assert place.pin()
    edge.note()
    (item,), problems = edge.turn()
    assert (item.seq, item.mark, item.path.read_text(), problems) == (2, "", "more\n", [])


def test_traffic_server_is_known_by_a_named_format(edge: Edge) -> None:
    edge.set(format="trafficserver_extended")
    edge.log.touch()
    edge.turn()
    assert not edge.log.exists()


def test_a_file_system_without_hard_links_knows_the_log_again(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its inode and its birth; and another one is still another one."""

    def refuse(*_: object, **_options: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    edge.log.touch()
    edge.turn(over=False)
    for _ in range(3):
        edge.log.write_text("line\n")  # the server makes it before the run ends
        edge.note()
        (item,), problems = edge.turn(over=False)
        assert (item.path.read_text(), item.mark, problems) == ("line\n", "", [])
    edge.log.write_text("lost\n")
    edge.note()
    anew(edge, "line\n")
    made, problems = edge.turn(over=False)
    assert [(item.path.read_text(), item.mark) for item in made] == [("", "broken"), ("line\n", "broken")]
    assert len(problems) == 1


def test_a_new_log_that_comes_while_the_one_before_is_pinned(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinning takes the log away for a moment: where a server makes another then, both are counted."""
    edge.data["logs"][0]["server"] = "trafficserver"
    edge.set()
    edge.log.touch()
    edge.turn(over=False)
    edge.log.write_text("one\n")
    link = Place._link_taken

    def late(self: Place) -> None:
        edge.log.write_text("two\n")
        link(self)

    with monkeypatch.context() as patch, edge.stream.place() as place:
        patch.setattr(Place, "_link_taken", late)
        place.pin()
    edge.note()
    wait_a_tick()
    made, _ = edge.turn()
    assert [(item.path.read_text(), item.mark) for item in made] == [("one\n", ""), ("", "broken"), ("two\n", "broken")]


# --- what is not as it should be


def test_an_absent_log_is_a_batch_that_says_so(edge: Edge) -> None:
    (item,), problems = edge.turn()
    assert item.mark == "absent"
    assert item.path.read_bytes() == b""
    assert "is not there" in problems[0]
    wait_a_tick()
    edge.log.write_text("line\n")
    (gap, following), problems = edge.turn()
    assert (gap.seq, gap.start, gap.mark) == (2, item.end, "broken"), "another log may have been there before"
    assert (following.seq, following.start, following.mark) == (3, gap.end, "broken")
    assert following.path.read_text() == "line\n"
    edge.log.write_text("line\n")
    (item,), problems = edge.turn()
    assert (item.mark, problems) == ("", [])


def test_a_log_that_comes_back_within_the_run_is_known(edge: Edge) -> None:
    edge.turn(over=False)
    edge.log.touch()
    with edge.stream.place() as place:
        assert place.pin()
    edge.note()
    (empty, item), problems = edge.turn()
    assert (empty.mark, item.mark, problems) == ("broken", "broken", [])
    assert empty.end - empty.start < 60, "until the log was made, the server may have written to another one"


def test_a_log_that_is_gone_leaves_what_was_pinned(edge: Edge) -> None:
    edge.log.touch()
    edge.turn()
    with Writer(edge.log) as server:
        server.write(1)
        edge.log.unlink()
        (item,), _ = edge.turn()
        assert item.mark == "absent"
        server.write(1)
    assert item.path.read_text().count("\n") == 2


def test_an_absent_log_whose_batch_is_open_for_nobody_is_absent_again(edge: Edge) -> None:
    edge.turn()
    (item,), _ = edge.turn()
    assert (item.seq, item.mark) == (2, "absent")


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_plain_file_is_left_where_it_is(edge: Edge, odd: str) -> None:
    """What was pinned before is a batch, and its time is missing."""
    edge.log.touch()
    edge.turn()
    edge.log.write_text("pinned\n")
    edge.log.rename(edge.folder / "away")
    other = edge.folder / "other"
    other.write_text("other\n")
    put_odd(odd, edge.log, other)
    if odd == "link":
        os.lchown(edge.log, 12345, 12345)
    before = os.lstat(edge.log)
    (item,), problems = edge.turn()
    assert (item.mark, item.path.read_text()) == ("odd", "pinned\n")
    (again,), problems = edge.turn()
    assert (again.mark, again.path.read_text(), len(problems)) == ("odd", "", 1)
    assert "is no plain file, or has another name" in problems[0]
    assert (os.lstat(edge.log).st_ino, os.lstat(edge.log).st_mode) == (before.st_ino, before.st_mode)
    assert other.read_text() == "other\n"


def test_a_log_that_another_program_renamed_is_a_batch_of_its_own(edge: Edge, way: str) -> None:
    """All of it is counted; between the last rotation and the new log's birth, another may have come and gone."""
    edge.log.write_text("line\n")
    edge.turn()
    edge.log.write_text("first\n")
    if way == "taken":
        with edge.stream.place() as place:
            place.pin()
    wait_a_tick()
    anew(edge, "second\n")
    wait_a_tick()
    (old, new), problems = edge.turn()
    assert [old.path.read_text(), new.path.read_text()] == ["first\n", "second\n"]
    assert (old.seq, new.seq, old.mark, new.mark) == (2, 3, "broken", "broken")
    assert old.end == new.start < new.end
    assert "was changed by another program (it was replaced)" in problems[0]


def test_without_births_the_time_is_missing_up_to_the_rotation(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "birth_of", lambda _path: None)
    edge.log.touch()
    edge.turn()
    edge.log.write_text("first\n")
    anew(edge, "second\n")
    wait_a_tick()
    before = time.time()
    (old, new), _ = edge.turn()
    assert (old.mark, new.mark) == ("broken", "broken")
    assert old.end >= round(before, 3)
    assert new.start == old.end


@pytest.mark.parametrize("how", ["renamed", "packed", "deleted"])
def test_nothing_of_a_pinned_log_is_lost_whatever_becomes_of_its_name(edge: Edge, how: str) -> None:
    edge.log.touch()
    edge.turn()
    edge.log.write_text("first\n")
    if how == "renamed":
        edge.log.rename(edge.folder / "taken")
    else:
        if how == "packed":
            edge.log.with_suffix(".log.1.gz").write_bytes(edge.log.read_bytes())
        edge.log.unlink()
    edge.log.write_text("second\n")
    (old, new), problems = edge.turn()
    assert [old.path.read_text(), new.path.read_text()] == ["first\n", "second\n"]
    assert (old.mark, new.mark) == ("broken", "broken")
    assert "counts as missing" in problems[0]


def test_an_old_process_may_write_to_an_unknown_file_for_a_while(edge: Edge) -> None:
    """A log that came and went between two runs has a child of the server that ends its transfer after the next."""
    edge.set(linger_timeout=3600)
    edge.log.touch()
    edge.turn()
    anew(edge, "")
    with edge.log.open("a") as child:
        anew(edge, "line\n")
        edge.turn()
        child.write("lost\n")
    (item,), problems = edge.turn()
    assert (item.mark, problems) == ("broken", [])
    edge.set(linger_timeout=0)
    (item,), problems = edge.turn()
    assert (item.mark, problems) == ("", []), "it is done by now"


def test_nothing_is_missing_of_what_an_installation_finds(edge: Edge) -> None:
    edge.set(linger_timeout=3600, include_existing=True)
    edge.log.write_text("line\n")
    (item,), problems = edge.turn()
    assert (item.start, item.mark, problems) == (0.0, "", [])


def test_that_is_known_after_a_kill(edge: Edge) -> None:
    """The batches have their names, and the state does not know them yet."""
    edge.set(linger_timeout=3600)
    edge.log.touch()
    edge.turn()
    before = edge.state
    anew(edge, "line\n")
    edge.turn()
    save_state(edge.spool, "access", before)
    (item,), _ = edge.turn()
    assert item.mark == "broken"


def test_a_truncated_log_has_no_such_processes(edge: Edge) -> None:
    edge.set(linger_timeout=3600)
    edge.log.write_text("first\n")
    edge.turn()
    edge.log.write_text("second\n")
    edge.note()
    edge.log.write_text("3\n")
    (cut,), _ = edge.turn()
    (item,), _ = edge.turn()
    assert (cut.mark, item.mark) == ("broken", "")


def test_a_log_that_nobody_knows_breaks_the_continuity(edge: Edge) -> None:
    """As after a restore: no pin, and another log than the one that was noted."""
    edge.log.touch()
    edge.turn()
    (edge.private / PIN).unlink()
    edge.log.unlink()
    (edge.log.with_name("so that the inode is another one")).touch()
    edge.log.write_text("second\n")
    (gap, item), problems = edge.turn()
    assert (gap.mark, gap.path.read_text(), item.mark, item.path.read_text()) == ("broken", "", "broken", "second\n")
    assert "nobody knows what was there before it" in problems[0]


def test_a_truncated_log_breaks_the_continuity(edge: Edge, way: str) -> None:
    edge.log.write_text("first\n")
    edge.turn()
    edge.log.write_text("first\n")
    edge.turn()
    edge.log.write_text("first\n")
    if way == "taken":
        with edge.stream.place() as place:
            place.pin()
    edge.note()
    edge.log.write_text("")
    (item,), problems = edge.turn()
    assert item.mark == "broken"
    assert "it was truncated, or made anew" in problems[0]


def test_a_truncated_log_that_has_grown_beyond_its_size_again(edge: Edge) -> None:
    edge.log.touch()
    edge.turn()
    edge.log.write_text("lost\n" * 100)
    edge.note()
    edge.log.write_text("line\n" * 200)
    (item,), problems = edge.turn()
    assert item.mark == "broken"
    assert "was changed by another program" in problems[0]


def test_a_truncated_log_is_still_known_after_a_run_that_failed_has_noted_it(edge: Edge) -> None:
    """A run notes the live log when it ends, also where it could not rotate."""
    edge.log.touch()
    edge.turn()
    edge.log.write_text("lost\n" * 100)
    edge.note()
    shutil.copy(edge.log, edge.log.with_suffix(".log.1"))
    os.truncate(edge.log, 0)
    edge.note()
    (item,), _ = edge.turn()
    assert item.mark == "broken"


def test_a_log_that_only_grew_is_still_the_same(edge: Edge) -> None:
    edge.log.touch()
    for text in ("", "line\n" * 10_000):
        edge.turn()
        edge.log.write_text(text)
        edge.note()
        for _ in range(2):
            with edge.log.open("a") as server:
                server.write("more\n")
            edge.note()
        (item,), problems = edge.turn()
        assert (item.mark, problems) == ("", [])


def test_what_lies_beside_the_log_means_nothing(edge: Edge) -> None:
    """Other logs of this edge, and a rotator's files, come and go."""
    beside = [edge.log.with_name(f"{edge.log.name}{end}") for end in ("-video", ".offset", ".1", ".2.gz")]
    edge.log.touch()
    edge.turn()
    for _ in range(2):
        edge.log.write_text("line\n")
        for path in beside:
            path.unlink(missing_ok=True)
            path.write_text("line\n")
        (item,), problems = edge.turn()
        assert (item.mark, problems) == ("", [])
        assert [path.read_text() for path in beside] == ["line\n"] * 4


@pytest.mark.parametrize("how", ["renamed", "deleted", "copied and truncated", "truncated", "not at all"])
def test_a_rotator_between_the_look_at_the_log_and_its_taking(
    edge: Edge, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.log.touch()
    edge.turn()
    edge.log.write_text("lines\n")
    edge.note()
    exchange = Place.exchange

    def late(self: Place, status: os.stat_result) -> bool:
        monkeypatch.setattr(Place, "exchange", exchange)
        if how == "copied and truncated":
            shutil.copy(edge.log, edge.log.with_suffix(".log.1"))
        elif how in ("renamed", "deleted"):
            edge.log.rename(edge.log.with_suffix(".log.1"))
        if how == "deleted":
            edge.log.with_suffix(".log.1").unlink()
        if how != "not at all":
            edge.log.write_text("x\n")
        return exchange(self, status)

    monkeypatch.setattr(Place, "exchange", late)
    made, problems = edge.turn()
    found = [(item.path.read_text(), item.mark) for item in made]
    if how in ("renamed", "deleted"):
        assert found == [("lines\n", "broken"), ("x\n", "broken")]
    else:
        assert found == [("lines\n", "")] if how == "not at all" else [("x\n", "broken")]
    assert len(problems) == (how != "not at all")
    (item,), problems = edge.turn()
    assert (item.mark, problems) == ("", [])


def test_what_is_put_under_the_name_between_the_look_and_the_taking_is_removed(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = edge.folder / "other"
    other.write_text("other\n")
    edge.log.touch()
    edge.turn()
    exchange = Place.exchange

    def late(self: Place, status: os.stat_result) -> bool:
        edge.log.unlink()
        edge.log.symlink_to(other)
        return exchange(self, status)

    monkeypatch.setattr(Place, "exchange", late)
    (item,), problems = edge.turn()
    assert (item.mark, item.path.read_text()) == ("blind", "")
    assert "what stood under its name was no plain file" in problems[0]
    assert (edge.log.is_symlink(), edge.log.stat().st_size) == (False, 0)
    assert other.read_text() == "other\n"


def test_a_folder_that_is_put_under_the_name_is_kept_apart(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.log.touch()
    edge.turn()
    exchange = Place.exchange

    def late(self: Place, status: os.stat_result) -> bool:
        edge.log.unlink()
        edge.log.mkdir()
        (edge.log / "what is in it").touch()
        return exchange(self, status)

    monkeypatch.setattr(Place, "exchange", late)
    (item,), _ = edge.turn()
    (odd,) = (name for name in edge.kept() if name.startswith("odd-"))
    assert item.mark == "blind"
    assert (edge.private / odd / "what is in it").exists()
    assert edge.log.is_file()


def test_a_clock_that_went_back_is_said_and_times_still_rise(edge: Edge) -> None:
    edge.log.touch()
    edge.turn()
    state = edge.state._replace(last_to=round(time.time() + 3600, 3))
    save_state(edge.spool, "access", state)
    (item,), problems = edge.turn()
    assert item.start == state.last_to
    assert item.end > item.start
    assert "went back by 36" in problems[0]


def test_a_changed_path_takes_the_old_log_along(edge: Edge) -> None:
    edge.log.touch()
    edge.turn()
    edge.log.write_text("old\n")
    edge.set(path=str(edge.log.parent / "new.log"))
    (edge.log.parent / "new.log").write_text("new\n")
    made, problems = edge.turn()
    assert [(item.path.read_text(), item.mark) for item in made] == [("old\n", ""), ("new\n", "")]
    assert problems == []


def test_a_changed_path_tells_nothing_of_a_log_that_was_moved_away(edge: Edge) -> None:
    edge.log.touch()
    edge.turn()
    edge.log.write_text("old\n")
    edge.set(path=str(edge.log.parent / "new.log"))
    edge.log.rename(edge.log.with_suffix(".log.1"))
    (edge.log.parent / "new.log").write_text("new\n")
    made, _ = edge.turn()
    assert [(item.path.read_text(), item.mark) for item in made] == [("old\n", "broken"), ("new\n", "broken")]


@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_that_gets_another_owner_takes_the_private_place_along(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """As with an upgrade of a server's package: the private place lies above the folder then, and in it again later."""
    edge.log.write_text("one\n")
    edge.turn()
    before = edge.private
    for owner, text in ((12345, "two\n"), (0, "three\n")):
        edge.log.write_text(text)
        edge.note()
        if killed:
            killed_before(monkeypatch, edge, "remove", 5)
        os.chown(edge.log.parent, owner, owner)
        assert (edge.private == before) is (owner == 0)
        made, problems = edge.turn()
        assert [(item.path.read_text(), item.mark) for item in made if item.path.read_text()] == [(text, "")]
        assert problems == []
    texts = [item.path.read_text() for item in edge.stream.renamed()]
    assert [text for text in texts if text] == ["one\n", "two\n", "three\n"]


# --- a server that goes on in the old log


def test_a_server_that_may_not_write_its_new_log_goes_on_in_the_old_one(edge: Edge) -> None:
    """Its slots are not idle."""
    with Writer(edge.log) as server:
        server.write(1)
        (item,), _ = edge.turn()
        wait_a_tick()
        server.write(1)
        (longer,), problems = edge.turn()
        assert (longer.seq, longer.start, longer.mark, problems) == (item.seq, item.start, "", [])
        assert longer.end > item.end
        assert edge.files() == sorted(["access.log", longer.name])
    (following,), _ = edge.turn()
    assert (following.seq, following.start) == (item.seq + 1, longer.end)


@pytest.mark.parametrize("how", ["moved away", "truncated", "replaced"])
def test_a_new_log_that_lost_lines_is_no_server_that_never_reopened(edge: Edge, how: str) -> None:
    """A long transfer still goes to the renamed log, and somebody has been at the new one."""
    with Writer(edge.log) as server:
        server.write(1)
        edge.turn()
        edge.log.write_text("line\n" * 9)
        edge.note()
        if how == "truncated":
            os.truncate(edge.log, 0)
        else:
            os.rename(edge.log, edge.log.with_name("moved-away"))
        if how == "replaced":
            edge.log.touch()
        wait_a_tick()
        server.write(1)
        made, problems = edge.turn()
    marks = {"moved away": ["absent"], "truncated": ["broken"], "replaced": ["broken", "blind"]}
    assert [one.mark for one in made] == marks[how]
    assert len(problems) == 1


def test_a_log_that_was_never_seen_is_no_server_that_never_reopened(edge: Edge, way: str) -> None:
    """Where no new log was pinned, one may have been there. The transfer's lines keep their slots all the same."""
    with Writer(edge.log) as server:
        server.write(1)
        edge.turn(over=False)
        if way == "exchanged":
            edge.log.write_text("lines\n")
            edge.log.rename(edge.log.with_suffix(".log.1"))
        wait_a_tick()
        server.write(1)
        made, _ = edge.turn()
    assert [item.mark for item in made] == ["absent"]
    assert made[0].path.read_text() == ("lines\n" if way == "exchanged" else "")


def test_a_full_disk_marks_a_batch_that_is_extended(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    with Writer(edge.log) as server:
        edge.turn()
        wait_a_tick()
        server.write(1)
        edge.spool.full_path("access").touch()
        (longer,), _ = edge.turn()
        assert longer.mark == "full"


# --- what a kill leaves


class Killed(BaseException):
    """As kill -9: nothing catches it."""


def killed_before(monkeypatch: pytest.MonkeyPatch, edge: Edge, name: str, call: int = 1) -> None:
    """A rotation that ends before a step of the place is done for the nth time."""
    step, calls = getattr(Place, name), 0

    def last(self: Place, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Place, name, last)
        with pytest.raises(Killed):
            edge.turn()


def test_killed_between_the_rename_and_the_state(edge: Edge) -> None:
    edge.log.touch()
    edge.turn()
    before = edge.state
    (item,), _ = edge.turn()
    save_state(edge.spool, "access", before)
    edge.log.write_text("next\n")
    (following,), problems = edge.turn()
    assert (following.seq, following.start, following.mark, problems) == (item.seq + 1, item.end, "", [])


def test_killed_after_the_exchange(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken gets the time at which it was taken, and what came after is the next batch's."""
    edge.log.touch()
    edge.turn()
    edge.log.write_text("first\n")
    killed_before(monkeypatch, edge, "remove", 5)
    assert edge.kept()[1:] == [PIN, NEXT, TOOK]
    turn = edge.state.turn
    wait_a_tick()
    edge.log.write_text("second\n")
    made, problems = edge.turn()
    assert [(item.path.read_text(), item.mark) for item in made] == [("first\n", ""), ("second\n", "")]
    assert (made[0].end, problems) == (turn, [])


def test_killed_between_the_exchange_and_the_pin_and_the_new_log_is_moved_away(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.log.touch()
    edge.turn()
    edge.log.write_text("first\n")
    killed_before(monkeypatch, edge, "rename", 2)
    assert NEXT in edge.kept()
    assert PIN not in edge.kept()
    edge.log.write_text("second\n")
    wait_a_tick()
    anew(edge, "third\n")
    made, problems = edge.turn()
    assert [(item.path.read_text(), item.mark) for item in made] == [("second\n", "broken"), ("third\n", "broken")]
    assert len(problems) == 1


def test_killed_after_a_foreign_rotation_got_its_batch(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without births, the taken log's covers end after the rotation began: its successor is still pinned."""
    monkeypatch.setattr(places, "birth_of", lambda _path: None)
    edge.log.touch()
    edge.turn()
    anew(edge, "second\n")
    killed_before(monkeypatch, edge, "rename", 3)
    edge.log.write_text("third\n")
    (item,), problems = edge.turn()
    assert (item.path.read_text(), item.mark, problems) == ("third\n", "", [])


def test_killed_twice_before_the_pinned_log_was_noted(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state knows another log than the pinned one, which is no sign of another program."""
    edge.log.touch()
    edge.turn()
    with monkeypatch.context() as patch:
        patch.setattr(Rotation, "_note_pinned", lambda _self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            edge.turn()
    killed_before(monkeypatch, edge, "rename")
    assert PIN not in edge.kept()
    made, problems = edge.turn()
    assert ([item.mark for item in made], problems) == (["", ""], [])


@pytest.mark.parametrize("rotated", [True, False])
def test_a_rotator_after_a_kill_before_the_servers_new_log_was_pinned(
    edge: Edge, rotated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traffic Server's first new log may be gone before anybody has seen it."""
    edge.data["logs"][0]["server"] = "trafficserver"
    edge.set()
    edge.log.touch()
    edge.turn()
    edge.log.touch()
    with edge.stream.place() as place:
        place.pin()
    edge.note()
    killed_before(monkeypatch, edge, "rename")
    wait_a_tick()
    if rotated:
        edge.log.write_text("lost\n")
        edge.log.rename(edge.log.with_suffix(".log.1"))
        wait_a_tick()
    edge.log.write_text("line\n")
    made, _ = edge.turn()
    assert [item.mark for item in made] == ["", "broken", "broken"]
    assert made[1].start == made[0].end
    assert made[2].path.read_text() == "line\n"


def test_killed_before_the_server_was_asked_to_reopen(edge: Edge) -> None:
    """It goes on writing to the renamed log for a whole interval: that batch must cover the time, and nothing else."""
    with Writer(edge.log) as server:
        server.write(1)
        (item,), _ = edge.turn(over=False)
        wait_a_tick()
        server.write(1)
        (longer,), problems = edge.turn()
        assert (longer.seq, longer.start, longer.mark, problems) == (item.seq, item.start, "", [])
        assert longer.end > item.end
        server.reopen()
        (following,), _ = edge.turn()
        assert (following.seq, following.start) == (item.seq + 1, longer.end)


def test_killed_after_a_log_was_extended(edge: Edge) -> None:
    """The state still has the shorter time; the name is right, and the live log is still known."""
    with Writer(edge.log) as server:
        edge.turn()
        state = edge.state
        wait_a_tick()
        server.write(1)
        (longer,), _ = edge.turn()
        save_state(edge.spool, "access", state)
        with edge.stream.place() as place:
            assert load_state(edge.spool, edge.stream, place) == state._replace(last_to=longer.end)
        server.reopen()
        (following,), problems = edge.turn()
        assert (following.seq, following.start, problems) == (2, longer.end, [])


def test_a_rotator_is_seen_though_the_last_batch_was_extended_past_it(edge: Edge) -> None:
    edge.log.touch()
    (item,), _ = edge.turn(over=False)
    edge.log.write_text("lines\n")
    wait_a_tick()
    edge.log.rename(edge.log.with_suffix(".log.1"))
    extend(edge.spool, edge.stream, item, time.time() + 1)
    edge.log.write_text("line\n")
    made, _ = edge.turn()
    assert [(item.path.read_text(), item.mark) for item in made] == [("lines\n", "broken"), ("line\n", "broken")]


def test_a_full_disk_that_was_seen_before_a_kill_marks_what_was_taken(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was written after that, for there may have been no room yet."""
    edge.log.touch()
    edge.turn()
    edge.spool.full_path("access").touch()
    killed_before(monkeypatch, edge, "remove", 5)
    made, _ = edge.turn()
    assert [item.mark for item in made] == ["full", "full"]
    (item,), _ = edge.turn()
    assert item.mark == ""


# --- an older program's files


def old_name(edge: Edge, item: Renamed) -> Path:
    return edge.log.with_name(f"access.log.edgetally-{item.name}")


def test_the_first_rotation_after_an_upgrade_is_like_any_other(edge: Edge) -> None:
    """The older program noted the log, and pinned nothing."""
    edge.log.write_text("line\n")
    state = older(edge)
    (item,), problems = edge.turn()
    assert (item.seq, item.start, item.mark, problems) == (5, state.last_to, "", [])
    edge.log.write_text("line\n")
    (item,), problems = edge.turn()
    assert (item.seq, item.mark, problems) == (6, "", [])


def test_so_it_is_where_it_was_killed(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.log.write_text("line\n")
    older(edge)
    killed_before(monkeypatch, edge, "remove", 5)
    made, problems = edge.turn()
    assert ([item.mark for item in made], problems) == (["", ""], [])


def test_what_an_older_program_renamed_is_taken_in_once(edge: Edge) -> None:
    edge.log.write_text("line\n")
    state = older(edge)
    assert state.last_to is not None
    late = Renamed(edge.private, GENERATION, 3, state.last_to - 600, state.last_to - 300)
    newest = Renamed(edge.private, GENERATION, 4, state.last_to - 300, state.last_to)
    for item in (late, newest):
        old_name(edge, item).write_text(f"{item.seq}\n")
    made, problems = edge.turn()
    assert [(item.seq, item.mark) for item in made] == [(5, "")]
    assert [item.path.read_text() for item in edge.stream.renamed()] == ["3\n", "4\n", "line\n"]
    assert problems == []
    forged = old_name(edge, newest._replace(seq=5))
    forged.write_text("forged\n")
    edge.turn()
    assert forged.exists()


def test_an_older_program_renamed_a_linked_log_where_it_lies(edge: Edge) -> None:
    edge.log.write_text("line\n")
    state = older(edge)
    assert state.last_to is not None
    item = Renamed(edge.private, GENERATION, 4, state.last_to - 300, state.last_to)
    old_name(edge, item).write_text("old\n")
    (edge.folder / "linked.log").symlink_to(edge.log)
    edge.set(path=str(edge.folder / "linked.log"))
    made, problems = edge.turn()
    assert [one.path.read_text() for one in edge.stream.renamed()] == ["old\n", "line\n"]
    assert ([one.mark for one in made], problems) == ([""], [])


@pytest.mark.parametrize(
    "fields", [{"generation": "f" * 16}, {"seq": 7}, {"seq": 10**15}, {"end": 99_999_999_999.0}], ids=str
)
def test_a_name_that_the_older_program_cannot_have_made_is_left(edge: Edge, fields: dict[str, Any]) -> None:
    edge.log.write_text("line\n")
    older(edge)
    forged = old_name(edge, Renamed(edge.private, GENERATION, 4, 0.0, 1.0)._replace(**fields))
    forged.write_text("forged\n")
    (item,), _ = edge.turn()
    assert (item.seq, item.mark) == (5, "")
    assert forged.read_text() == "forged\n"


def test_an_older_program_that_was_killed_before_it_wrote_its_state(edge: Edge) -> None:
    """Its last rename is known by the name; but nobody knows what came between that and the log that is there now."""
    edge.log.write_text("line\n")
    state = older(edge)
    assert state.last_to is not None
    item = Renamed(edge.private, GENERATION, 5, state.last_to, round(time.time() - 10, 3))
    old_name(edge, item).write_text("old\n")
    made, _ = edge.turn()
    assert [(one.seq, one.start, one.mark) for one in made[:1]] == [(6, item.end, "broken")]
    assert [one.path.read_text() for one in edge.stream.renamed()] == ["old\n", "", "line\n"]


def test_the_time_is_missing_until_the_server_has_made_the_log_that_was_absent(edge: Edge) -> None:
    """It may have gone on with a file that was made and moved away since the last look."""
    edge.log.touch()
    edge.turn()
    edge.log.unlink()
    edge.turn()
    wait_a_tick()
    edge.log.write_text("line\n")
    made = os.stat(edge.log).st_mtime
    with edge.stream.place() as place:
        assert place.pin()
    (empty, item), _ = edge.turn()
    assert [empty.mark, item.mark, item.path.read_text()] == ["broken", "broken", "line\n"]
    assert empty.start < made <= empty.end + 0.05


def test_a_server_that_nobody_knows_where_it_writes_is_missing_until_a_line_shows_it(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link was put under the name: the server may hold what stood there before, until it writes to our new file."""
    edge.log.touch()
    edge.turn()
    exchange = Place.exchange

    def late(self: Place, status: os.stat_result) -> bool:
        edge.log.unlink()
        edge.log.symlink_to("/nowhere")
        return exchange(self, status)

    with monkeypatch.context() as patch:
        patch.setattr(Place, "exchange", late)
        edge.turn()
    marks = [edge.turn()[0][0].mark]
    edge.log.write_text("line\n")
    marks += [edge.turn()[0][0].mark, edge.turn()[0][0].mark]
    assert marks == ["blind", "broken", ""]
