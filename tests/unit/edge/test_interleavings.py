"""Other programs and kills, at every moment: each line is in one batch, or its moment lies in one that is marked.

A line's moment is when it was written; times are told to a hundredth of a second, which is what a file's birth is.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from edgetally import files
from edgetally.edge import live_log
from edgetally.edge import place as places
from edgetally.edge import rotation as rotations
from edgetally.edge import state as states
from edgetally.edge.moment import Moment
from edgetally.edge.renamed import Renamed
from edgetally.edge.rotation import Rotation
from edgetally.edge.spool import BatchName
from edgetally.edge.state import save_state
from edgetally.limits import SLOT_SECONDS
from tests.support.edge import Edge

NOON = 1_788_220_800.0
TICK = 0.012  # the clock of the file system goes on in steps of ten milliseconds at most


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


class Killed(BaseException):
    """As kill -9: nothing catches it."""


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def slots(items: list[Renamed]) -> set[int]:
    """The slots that marked batches touch, and those that they call missing."""
    spans = [span for item in items if item.mark for span in ((item.start, item.end), item.missing) if span]
    return {
        slot
        for start, end in spans
        for slot in range(int(start) // SLOT_SECONDS * SLOT_SECONDS, int(-(-end // 1)), SLOT_SECONDS)
    }


def marks(items: list[Renamed]) -> list[str]:
    return [item.mark for item in items]


class Clock:
    """The time of rotations and of files' births, which the tests set. ahead: by how much it is wrong, seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON - 300
        self.ahead = 0.0
        self._born: dict[int, float] = {}
        monkeypatch.setattr(rotations, "this_moment", lambda: Moment(self.now, self.now - self.ahead, "a boot"))
        monkeypatch.setattr(places, "birth_of", self._birth)

    def _birth(self, path: Path) -> float | None:
        """When a file was first asked for: the tests do that when they make it."""
        return self._born.setdefault(path.lstat().st_ino, self.now)

    def born(self, path: Path) -> None:
        self._born[path.lstat().st_ino] = self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def noted_empty(edge: Edge) -> None:
    edge.log.touch()
    edge.turn()
    edge.log.touch()  # a server makes its new log itself where there is none
    with edge.stream.place() as place:
        place.pin()
    edge.note()
    assert edge.state.live is not None


# --- what was found in the rotation before this one: the live log's own folder told what other programs had done


def test_copied_and_truncated_then_renamed_while_noted_empty(edge: Edge) -> None:
    noted_empty(edge)
    add(edge.log, "lost\n" * 18)
    shutil.copy(edge.log, edge.log.with_suffix(".log.1"))  # copytruncate …
    os.truncate(edge.log, 0)
    time.sleep(TICK)
    add(edge.log, "line\n" * 3)
    edge.log.rename(edge.log.with_suffix(".log.2"))  # … then renamed
    edge.log.write_text("new\n")
    made, _ = edge.turn()
    assert "broken" in marks(made)


def test_the_same_with_the_note_after_the_truncation(edge: Edge) -> None:
    noted_empty(edge)
    add(edge.log, "lost\n" * 18)
    shutil.copy(edge.log, edge.log.with_suffix(".log.1"))
    os.truncate(edge.log, 0)
    time.sleep(TICK)
    add(edge.log, "line\n" * 3)
    edge.note()
    edge.log.rename(edge.log.with_suffix(".log.2"))
    edge.log.write_text("new\n")
    made, _ = edge.turn()
    assert "broken" in marks(made)


def test_renamed_twice_and_a_slow_transfer_ends_in_the_first(edge: Edge) -> None:
    noted_empty(edge)
    add(edge.log, "first\n")
    edge.note()
    one, two = edge.log.with_suffix(".log.1"), edge.log.with_suffix(".log.2")
    edge.log.rename(one)
    edge.log.write_text("between\n" * 18)
    edge.log.rename(two)
    edge.log.write_text("second\n")
    time.sleep(TICK)
    add(one, "a long download ends\n")  # an old child still holds the first
    made, _ = edge.turn()
    assert "broken" in marks(made)
    assert made[0].path.read_text() == "first\na long download ends\n"


def test_killed_between_the_pinned_files_batch_and_the_live_logs(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    noted_empty(edge)
    add(edge.log, "first\n")
    one, two = edge.log.with_suffix(".log.1"), edge.log.with_suffix(".log.2")
    edge.log.rename(one)
    time.sleep(TICK)
    edge.log.write_text("between\n" * 18)
    edge.log.rename(two)
    edge.log.write_text("second\n")
    batch = Rotation._batch

    def once(self: Rotation, *arguments: Any) -> None:
        batch(self, *arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Rotation, "_batch", once)
        with pytest.raises(Killed):
            edge.turn()
    edge.turn()
    assert "broken" in marks(edge.stream.renamed())


def test_extended_over_a_foreign_rotation(edge: Edge, clock: Clock) -> None:
    """At 12:00 the run is killed before it ends, and a long download keeps the renamed log open; at 12:04 another
    program moves the new log away; at 12:05 the run would extend the renamed log's batch."""
    noted_empty(edge)
    add(edge.log, "x\n")
    clock.now = NOON
    with edge.log.open("a") as holder:  # an old child with a long download
        edge.turn(over=False)
        edge.log.write_text("written between 12:00 and 12:05\n" * 18)
        edge.log.rename(edge.log.with_suffix(".log.1"))
        holder.write("download\n")
        clock.now = NOON + 300
        made, _ = edge.turn()
    edge.log.write_text("new\n")
    clock.now = NOON + 600
    made += edge.turn()[0]
    assert int(NOON) in slots(made)
    assert sum(item.path.read_text().count("written") for item in edge.stream.renamed()) == 18


@pytest.mark.parametrize("server", ["", "trafficserver"])
def test_killed_right_after_the_log_was_taken_for_another_rotator_was_faster(
    edge: Edge, clock: Clock, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """Another rotation came between the look and the taking."""
    edge.data["logs"][0]["server"] = server
    edge.set()
    noted_empty(edge)
    clock.now = NOON

    def late(step: str) -> Callable[..., Any]:
        done = getattr(places.Place, step)

        def after(self: places.Place, *arguments: Any) -> Any:
            edge.log.rename(edge.log.with_suffix(".log.1"))
            edge.log.write_text("few\n")
            clock.born(edge.log)
            done(self, *arguments)
            raise Killed

        return after

    with monkeypatch.context() as patch:
        for step in ("exchange", "take"):
            patch.setattr(places.Place, step, late(step))
        with pytest.raises(Killed):
            edge.turn()
    edge.log.write_text("new\n")
    clock.now = NOON + 300
    edge.turn()
    assert int(NOON) - 300 in slots(edge.stream.renamed())


def test_a_conflict_and_a_state_that_was_not_saved(edge: Edge) -> None:
    """The disk was full when the state was to be saved (or a kill); the batch conflicts; the new log is moved away."""
    noted_empty(edge)
    add(edge.log, "x\n")
    before = edge.state
    edge.turn(over=False)
    save_state(edge.spool, "access", before)
    name = BatchName("access", before.generation, 1)
    (edge.spool.held / str(name)).write_text("{}")
    edge.spool.reason_path(name).write_text("conflict\n")
    edge.log.write_text("kept\n" * 18)
    edge.log.rename(edge.log.with_suffix(".log.1"))
    edge.log.write_text("new\n")
    made, _ = edge.turn()
    assert marks(made) == ["broken", "broken"]
    assert made[0].path.read_text() == "kept\n" * 18


def test_a_broken_batch_after_the_clock_was_ahead(edge: Edge, clock: Clock) -> None:
    """The clock was 9 minutes ahead at 12:00; another program took two logs away between 12:00 and 12:05."""
    noted_empty(edge)
    clock.now, clock.ahead = NOON + 540, 540
    edge.turn()
    add(edge.log, "kept\n")
    clock.now, clock.ahead = NOON + 200, 0
    edge.log.rename(edge.folder / "taken")
    edge.log.write_text("lost, 12:00 to 12:05\n")
    edge.log.rename(edge.folder / "taken, too")
    edge.log.write_text("new\n")
    clock.born(edge.log)
    clock.now = NOON + 300
    made, _ = edge.turn()
    assert int(NOON) in slots(made)


def test_another_rotator_while_the_clock_was_ahead(edge: Edge, clock: Clock) -> None:
    """From 12:00 to 12:20 the clock is 9 minutes ahead, and nobody knows it yet when the mark is set at 12:10."""
    noted_empty(edge)
    clock.now = NOON
    edge.turn()
    clock.now, clock.ahead = NOON + 300 + 540, 540
    edge.turn()
    edge.log.rename(edge.folder / "taken")
    edge.log.write_text("lost, 12:05 to 12:10\n")
    edge.log.rename(edge.folder / "taken, too")
    edge.log.write_text("new\n")
    clock.born(edge.log)
    clock.now += 300
    made, _ = edge.turn()
    assert slots(made) == {int(NOON) + 600, int(NOON) + 900}, "by a clock that is wrong"
    assert not any(item.missing for item in made)
    clock.now, clock.ahead = NOON + 900, 0
    (item,), _ = edge.turn()
    assert (item.mark, item.missing) == ("broken", (NOON + 300, NOON + 900))
    clock.now += 1200
    (item,), _ = edge.turn()
    assert (item.mark, item.missing) == ("", None)


@pytest.mark.parametrize("server", ["", "trafficserver"])
def test_a_server_that_goes_on_in_the_file_that_another_program_moved_away(
    edge: Edge, clock: Clock, server: str
) -> None:
    """A run is killed before it ends; the new log was moved away; the server reopens a minute after the next run."""
    edge.data["logs"][0]["server"] = server
    edge.set()
    noted_empty(edge)
    clock.now = NOON - 200
    edge.turn(over=False)
    with edge.log.open("a") as held:
        edge.log.rename(edge.log.with_suffix(".log.1"))
        clock.now = NOON
        made, _ = edge.turn()
        held.write("lost or kept, 12:00 to 12:01\n" * 18)
    clock.now = NOON + 60
    edge.log.write_text("new\n")
    clock.born(edge.log)
    clock.now = NOON + 300
    made += edge.turn()[0]
    assert int(NOON) in slots(made)


@pytest.mark.parametrize("server", ["", "trafficserver"])
def test_a_log_that_was_away_for_a_run_and_is_brought_back(edge: Edge, clock: Clock, server: str) -> None:
    """Its server never noticed. All lines are in the batch that it was made while it was away; a new log is begun."""
    edge.data["logs"][0]["server"] = server
    edge.set()
    noted_empty(edge)
    clock.now = NOON
    with edge.log.open("a") as held:
        edge.log.rename(edge.folder / "away")
        (absent,), _ = edge.turn()
        (edge.folder / "away").rename(edge.log)
        held.write("12:00 to 12:05\n")
        clock.now += 300
        made, (problem,) = edge.turn()
        assert "a file that had been moved away" in problem
    assert (absent.mark, marks(made)) == ("absent", ["blind"])
    assert absent.path.read_text() == "12:00 to 12:05\n"
    assert absent.path.stat().st_nlink == 1
    edge.log.touch()
    with edge.stream.place() as place:
        place.pin()
    edge.note()
    clock.now += 300
    _, problems = edge.turn()
    assert problems == [], "and all is well again"


def test_the_mark_lies_on_the_time_that_is_lost(edge: Edge, clock: Clock) -> None:
    """Rotated twice by another program, while an old child holds the first file, whose batch has all the time."""
    clock.now = NOON - 0.5
    noted_empty(edge)
    add(edge.log, "first\n")
    one, two = edge.log.with_suffix(".log.1"), edge.log.with_suffix(".log.2")
    with edge.log.open("a") as child:
        edge.log.rename(one)
        edge.log.write_text("lost, 12:01 to 12:03\n" * 18)
        edge.log.rename(two)
        clock.now = NOON + 180
        edge.log.write_text("new\n")
        clock.born(edge.log)
        clock.now = NOON + 300.5
        made, _ = edge.turn()
        child.write("the end\n")
    assert int(NOON) in slots(made)
    assert made[0].path.read_text() == "first\nthe end\n"


def test_an_absent_log_of_a_glob_is_a_batch_that_says_so(
    edge: Edge, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its stream would vanish with it, and its return cover the time as if all were well."""
    edge.set(path=str(edge.log.parent / "*.log"))
    edge.log.touch()
    edge.rotate()
    clock.now = NOON
    edge.log.unlink()
    edge.rotate()
    clock.now = NOON + 3600
    edge.log.write_text("x\n")
    edge.rotate()
    bodies = edge.bodies()
    assert [body["log"] for body in bodies[:2]] == ["ok", "absent"]
    assert any(body["log"] != "ok" or body["continuity"] != "ok" for body in bodies[2:])


# --- the clock


@pytest.mark.parametrize("back", [90.0, 600.0, 7200.0])
@pytest.mark.parametrize("killed", [False, True])
def test_a_clock_that_goes_back_takes_no_line_along(
    edge: Edge, clock: Clock, monkeypatch: pytest.MonkeyPatch, back: float, killed: bool
) -> None:
    """Nor does it mark one: covers still rise, and each file is in a batch; a kill in between changes nothing."""
    noted_empty(edge)
    clock.now = NOON
    for turn in range(4):
        add(edge.log, f"{turn}\n")
        clock.now += 300 if turn != 1 else -back
        if killed and turn == 1:
            with monkeypatch.context() as patch:
                patch.setattr(Rotation, "_number", lambda *_: (_ for _ in ()).throw(Killed))
                with pytest.raises(Killed):
                    edge.turn()
        made, _ = edge.turn()
        assert not any(marks(made))
    items = edge.stream.renamed()
    assert [item.path.read_text() for item in items if item.path.read_text()] == ["0\n", "1\n", "2\n", "3\n"]
    assert [item.start for item in items[1:]] == [item.end for item in items[:-1]]
    assert all(item.start < item.end for item in items[1:])


@pytest.mark.parametrize("back", [90.0, 7200.0])
def test_another_rotator_while_the_clock_is_back(edge: Edge, clock: Clock, back: float) -> None:
    """The new log's birth lies before the last rotation: the mark still lies within the batch's covers."""
    noted_empty(edge)
    clock.now = NOON
    edge.turn()
    add(edge.log, "first\n")
    clock.now = NOON - back
    edge.log.rename(edge.folder / "away")
    edge.log.write_text("second\n")
    clock.born(edge.log)
    clock.now += 10
    made, problems = edge.turn()
    assert [(item.path.read_text(), item.mark) for item in made] == [("first\n", "broken"), ("second\n", "broken")]
    assert all(item.start < item.end for item in made)
    assert len(problems) == 2


# --- a server, other rotators and a kill before every line of a rotation


class World:
    """A server that writes a line now and then, and knows when; other programs that do as they like with its log."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.written: dict[str, float] = {}
        self.items: list[Renamed] = []
        self.names = count(1)
        self.file = edge.log.open("a")

    def write(self) -> None:
        text = f"{len(self.written) + 1}\n"
        self.written[text] = time.time()
        self.file.write(text)
        self.file.flush()

    def reopen(self) -> None:
        self.file.close()
        self.file = self.edge.log.open("a")

    def away(self) -> Path:
        path = self.edge.folder / f"away-{next(self.names)}"
        with suppress(FileNotFoundError):
            self.edge.log.rename(path)
        return path

    def other(self, how: str) -> None:
        """Another program is at the log; the server reopens it where that is asked for."""
        if how == "renames":
            self.away()
            self.reopen()
        elif how == "renames, asks late":  # a child goes on in the file that is away
            self.away()
            self.write()
            self.reopen()
        elif how == "deletes":
            with suppress(FileNotFoundError):
                self.edge.log.unlink()
            self.reopen()
        elif how == "three times":
            for _ in range(3):
                self.other("renames")
                self.write()
                time.sleep(TICK)
        elif how == "makes the new one":
            self.away()
            fresh = self.edge.folder / "fresh"
            fresh.touch()
            fresh.rename(self.edge.log)
            self.reopen()
        elif how == "copies and truncates":  # a run has noted the log before that
            self.edge.turn()
            self.reopen()
            self.edge.turn()
            self.reopen()
            self.write()
            with self.edge.stream.place() as place:
                place.pin()
            self.edge.note()
            time.sleep(TICK)
            os.truncate(self.edge.log, 0)
        elif how == "takes it away for good":
            self.away()

    def turn(self) -> None:
        self.items = []
        self.edge.turn()

    def check(self) -> None:
        """Each line is once in a batch, or its moment is in a batch that is marked; batches follow each other."""
        items = self.edge.stream.renamed()
        for one, two in zip(items, items[1:]):
            assert (one.end, two.seq) == (two.start, one.seq + 1)
        found = [line for item in items for line in item.path.read_text().splitlines(keepends=True)]
        assert len(found) == len(set(found)), "a line is counted twice"
        for line, moment in self.written.items():
            inside = [item.name for item in items if item.mark and item.start - TICK <= moment <= item.end + TICK]
            assert line in found or inside, f"line {line.strip()} of {moment:.3f} is lost: {[i.name for i in items]}"


HOWS = (
    "does nothing",
    "renames",
    "renames, asks late",
    "deletes",
    "three times",
    "makes the new one",
    "copies and truncates",
    "takes it away for good",
)
TRACED = {module.__file__ for module in (rotations, places, states, files, live_log)}


def killed_before(line: int, work: Callable[[], object]) -> bool:
    """Do some work that ends before the nth line of the rotation's code; whether it came to that."""
    lines = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            lines += 1
            if lines == line:
                raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except Killed:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.fixture(params=["exchanged", "taken", "neither exchanged nor linked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file system can, and nothing is synced: this machine does not crash."""

    def refuse(*_: object, **_options: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if request.param != "exchanged":
        monkeypatch.setattr(places, "exchange_at", refuse)
    if request.param == "neither exchanged nor linked":
        monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    return str(request.param)


@pytest.mark.parametrize("how", HOWS)
def test_killed_before_any_line_with_another_program_in_between(tmp_path: Path, way: str, how: str) -> None:
    """EDGETALLY_KILLS=1000 kills before every single line."""
    step = max(1, 600 // int(os.environ.get("EDGETALLY_KILLS", "12")))
    first = 1 + HOWS.index(how) * 7 % step  # others in each case
    for line in count(first, step):
        folder = tmp_path / str(line)
        folder.mkdir()
        world = World(Edge(folder, include_existing=True))
        world.write()
        world.edge.turn()
        world.reopen()
        with world.edge.stream.place() as place:
            place.pin()
        world.edge.note()
        world.write()
        time.sleep(TICK)
        killed = killed_before(line, world.edge.turn)
        world.write()
        time.sleep(TICK)
        world.other(how)
        time.sleep(TICK)
        world.write()
        for _ in range(2):
            world.edge.turn()
            world.write()
            world.reopen()
            world.write()
        world.edge.turn()
        world.file.close()
        try:
            world.check()
        except AssertionError as error:
            raise AssertionError(f"killed before line {line}: {error}") from None
        shutil.rmtree(folder)
        if not killed:
            break
    assert line > 200
