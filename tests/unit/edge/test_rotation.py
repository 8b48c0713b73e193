"""The rotation: names that carry everything, no rename over another file, and no file tallied while it is written."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgetally import files
from edgetally.edge import closing
from edgetally.edge.closing import is_closed, reopen, wait_closed
from edgetally.edge.live_log import Live
from edgetally.edge.renamed import Renamed
from edgetally.edge.rotation import extend, rotate
from edgetally.edge.spool import BatchName
from edgetally.edge.state import State, load_state, note_again, read_state, record_live, save_state
from edgetally.edge.streams import Stream, find_streams, installed
from edgetally.errors import EdgetallyError
from edgetally.files import rename_exclusively
from tests.support import SOURCE
from tests.support.edge import Edge, Writer, wait_for

GENERATION = "0123456789abcdef"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def turn(edge: Edge) -> tuple[list[Renamed], list[str]]:
    """One rotation of the first log, and the note of its new live log."""
    stream = edge.stream
    result = rotate(edge.config, edge.spool, stream, load_state(edge.spool, stream))
    record_live(edge.spool, stream)
    return result


def started(edge: Edge, seq: int = 5, **fields: Any) -> State:
    """The state of a log that was rotated before, 300 s ago."""
    live = edge.log.stat() if edge.log.exists() else None
    state = State(
        edge.stream.name,
        str(edge.log),
        GENERATION,
        seq,
        round(time.time() - 300, 3),
        Live(live.st_dev, live.st_ino, live.st_size) if live else None,
        tuple((path.name, path.stat().st_ino) for path in sorted(edge.log.parent.glob("access.log?*"))),
    )
    state = state._replace(**fields)
    save_state(edge.spool, "access", state)
    return state


# --- names


@pytest.mark.parametrize("mark", ["", "absent", "broken"])
@pytest.mark.parametrize("file", ["access.log", "a-b", "x.edgetally-y"])
def test_a_renamed_logs_name_says_everything(tmp_path: Path, file: str, mark: str) -> None:
    item = Renamed(tmp_path, file, GENERATION, 12, 0.0, 1780000000.125, mark)
    assert Renamed.parse(tmp_path, item.name) == item


@pytest.mark.parametrize("name", ["access.log", "access.log.1", "access.log.edgetally-x", "a.edgetally-0-1-2-3.gz"])
def test_other_names_are_not_ours(tmp_path: Path, name: str) -> None:
    assert Renamed.parse(tmp_path, name) is None


def test_renamed_logs_come_oldest_first(edge: Edge) -> None:
    names = [Renamed(edge.log.parent, "access.log", GENERATION, seq, seq - 1.0, float(seq)) for seq in (10, 9, 11)]
    for item in names:
        item.path.touch()
    (edge.log.parent / f"other.log.edgetally-{GENERATION}-1-0.000-1.000").touch()
    assert [item.seq for item in edge.stream.renamed()] == [9, 10, 11]


def test_a_glob_gives_each_file_its_stream(edge: Edge) -> None:
    for name in ("a.log", "b.log", "a.log.1", "a.log.edgetally-x"):
        (edge.log.parent / name).touch()
    (edge.log.parent / f"gone.log.edgetally-{GENERATION}-1-0.000-1.000").touch()
    edge.set(path=str(edge.log.parent / "*.log"))
    streams, problems = find_streams(edge.config)
    assert [(stream.name, stream.path.name) for stream in streams] == [
        ("edge1/access.a", "a.log"),
        ("edge1/access.b", "b.log"),
        ("edge1/access.gone", "gone.log"),
    ]
    assert problems == []


def test_a_glob_that_matches_nothing_is_said(edge: Edge) -> None:
    edge.set(path=str(edge.log.parent / "*.log"))
    streams, (problem,) = find_streams(edge.config)
    assert streams == []
    assert "matches no file" in problem


def test_two_files_never_share_a_stream(edge: Edge) -> None:
    for name in ("one", "two"):
        (edge.folder / name).mkdir()
        (edge.folder / name / "access.log").touch()
    edge.set(path=str(edge.folder / "*" / "access.log"))
    streams, problems = find_streams(edge.config)
    assert len(streams) == 1
    assert "is left out" in problems[0]


def test_a_name_that_cannot_be_a_stream_is_said(edge: Edge) -> None:
    (edge.log.parent / "what is this.log").touch()
    edge.set(path=str(edge.log.parent / "*.log"))
    streams, problems = find_streams(edge.config)
    assert streams == []
    assert "'access.what is this'" in problems[0]


def test_a_linked_log_is_renamed_where_it_lies(edge: Edge) -> None:
    real = edge.folder / "real.log"
    real.write_text("line\n")
    edge.log.symlink_to(real)
    (item,), _ = turn(edge)
    assert item.folder == edge.folder
    assert edge.log.is_symlink()


# --- rename


def test_a_rename_never_goes_over_another_file(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("new")
    (tmp_path / "old").write_text("old")
    with pytest.raises(FileExistsError):
        rename_exclusively(tmp_path / "live", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "old"
    rename_exclusively(tmp_path / "live", tmp_path / "new")
    assert (tmp_path / "new").read_text() == "new"


def test_the_same_without_the_system_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_options: SimpleNamespace())
    test_a_rename_never_goes_over_another_file(tmp_path)


# --- the closed check


def closes_with(server: Writer, path: Path) -> None:
    """A renamed log is open until its writer has reopened, the live one until the writer has ended."""
    renamed = path.rename(path.with_name("renamed"))
    assert not is_closed(renamed)
    server.reopen()
    wait_for("closed file", lambda: is_closed(renamed))
    assert not is_closed(path)
    server.stop()
    assert is_closed(path)


def test_a_file_is_closed_when_its_last_writer_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Writer(path) as server, path.open("rb"):
        closes_with(server, path)


@pytest.mark.skipif(os.geteuid() != 0, reason="drops capabilities, which only root has")
def test_a_lease_is_granted_to_root_without_capabilities_as_in_a_container(tmp_path: Path) -> None:
    """There a lease needs the file's owner, and the processes of others cannot be read."""
    path = tmp_path / "log"
    command = ["setpriv", "--bounding-set=-lease,-sys_ptrace", "--inh-caps=-lease,-sys_ptrace", sys.executable, "-c"]
    script = (
        "import sys, pathlib; from edgetally.edge.closing import is_closed; print(is_closed(pathlib.Path(sys.argv[1])))"
    )
    source = str(SOURCE)

    def asked() -> str:
        done = subprocess.run(
            [*command, script, str(path)], env={**os.environ, "PYTHONPATH": source}, capture_output=True, text=True
        )
        return done.stdout.strip() or done.stderr

    with Writer(path):
        shutil.chown(path, "nobody")
        assert asked() == "False"
    assert asked() == "True"


def test_without_leases_the_processes_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that knows none. Only the writer and this reader are looked at, as if alone in the world."""
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    search = closing._open_for_writing
    monkeypatch.setattr(closing, "_open_for_writing", lambda wanted: search(wanted, str(proc)))

    def refuse(_descriptor: int, _command: int, _argument: int = 0) -> object:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    path = tmp_path / "log"
    with Writer(path) as server, path.open("rb"):
        (proc / str(server.pid)).symlink_to(f"/proc/{server.pid}")
        closes_with(server, path)


def test_a_process_that_hides_its_files_counts_as_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    proc = tmp_path / "proc"
    (proc / "1").mkdir(parents=True)
    assert not closing._open_for_writing(path.stat(), str(proc)), "it has no fd folder: it has ended"
    (proc / "1" / "fd").touch()  # reading it as a folder fails, as for another user's process
    assert closing._open_for_writing(path.stat(), str(proc))


def test_waiting_ends_as_soon_as_the_server_has_reopened(edge: Edge) -> None:
    with Writer(edge.log) as server:
        (item,), _ = rotate(edge.config, edge.spool, edge.stream, load_state(edge.spool, edge.stream))
        begin = time.monotonic()
        reopen([f"(sleep 0.3; kill -USR1 {server.pid}) 2>&- &"])
        wait_closed([item], [edge.stream], 10)
        assert 0.2 < time.monotonic() - begin < 2
        assert is_closed(item.path)
        assert edge.log.exists()


def test_waiting_is_bounded(edge: Edge) -> None:
    with Writer(edge.log):
        (item,), _ = rotate(edge.config, edge.spool, edge.stream, load_state(edge.spool, edge.stream))
        begin = time.monotonic()
        wait_closed([item], [edge.stream], 0.3)
        assert 0.2 < time.monotonic() - begin < 1
        assert not is_closed(item.path)


# --- reopen


def test_each_command_runs_once(tmp_path: Path) -> None:
    command = f"echo x >> {tmp_path}/runs"
    assert reopen([command, "", command]) == []
    assert (tmp_path / "runs").read_text() == "x\n"


def test_a_failing_command_is_named_with_what_it_said() -> None:
    assert reopen(["echo no such pid >&2; exit 3", "exit 4"]) == [
        "`echo no such pid >&2; exit 3` failed (no such pid)",
        "`exit 4` failed (exit 4)",
    ]


def test_a_hanging_command_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "REOPEN_SECONDS", 0.3)
    (problem,) = reopen([f"sleep 60 & echo $! > {tmp_path}/child; wait"])
    assert "did not end" in problem
    child = int((tmp_path / "child").read_text())
    wait_for("dead child", lambda: _gone(child))


def _gone(pid: int) -> bool:
    try:
        return f"{pid} (sleep) Z" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


# --- a rotation


def test_the_first_batch_begins_with_the_installation(edge: Edge) -> None:
    since = installed(edge.config, edge.config.logs[0])
    edge.log.write_text("line\n")
    (item,), problems = turn(edge)
    assert (item.seq, item.start, item.mark, problems) == (1, float(int(since)), "", [])
    assert item.path.read_text() == "line\n"


def test_a_deleted_spool_does_not_forget_the_installation(edge: Edge) -> None:
    """A new generation still counts the lines since the installation, not only those since the loss."""
    since = installed(edge.config, edge.config.logs[0])
    os.utime(edge.folder / "installed" / "access", (since - 5000, since - 5000))
    edge.log.touch()
    (item,), _ = turn(edge)
    assert item.start == int(since) - 5000


def test_existing_lines_are_counted_when_asked_for(edge: Edge) -> None:
    edge.set(include_existing=True)
    edge.log.touch()
    (item,), _ = turn(edge)
    assert item.start == 0.0


def test_rotations_follow_each_other_without_a_gap(edge: Edge) -> None:
    items = []
    for _ in range(3):
        edge.log.touch()
        items += turn(edge)[0]
    assert [item.seq for item in items] == [1, 2, 3]
    assert [item.start for item in items[1:]] == [item.end for item in items[:-1]]
    assert len({item.generation for item in items}) == 1


def test_an_absent_log_is_a_batch_that_says_so(edge: Edge) -> None:
    (item,), problems = turn(edge)
    assert item.mark == "absent"
    assert item.path.read_bytes() == b""
    assert "is not there" in problems[0]
    edge.log.touch()
    (following,), problems = turn(edge)
    assert (following.seq, following.start, following.mark, problems) == (2, item.end, "", [])


def test_a_log_that_is_no_plain_file_is_left_alone(edge: Edge) -> None:
    os.mkfifo(edge.log)
    with pytest.raises(EdgetallyError, match="not a plain file"):
        turn(edge)
    assert edge.log.is_fifo()


def test_a_missing_folder_is_said(edge: Edge) -> None:
    edge.set(path=str(edge.folder / "nowhere" / "access.log"))
    with pytest.raises(EdgetallyError, match="nowhere"):
        turn(edge)


def test_a_log_that_another_program_renamed_is_a_batch_of_its_own(edge: Edge) -> None:
    edge.log.write_text("first\n")
    started(edge)
    edge.log.rename(edge.log.with_suffix(".log.1"))
    edge.log.write_text("second\n")
    (old, new), problems = turn(edge)
    assert [old.path.read_text(), new.path.read_text()] == ["first\n", "second\n"]
    assert (old.seq, new.seq, old.mark, new.mark) == (5, 6, "", "")
    assert old.end == new.start
    assert "access.log.1" in problems[0]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_log_that_another_program_took_away_breaks_the_continuity(edge: Edge, compressed: bool) -> None:
    edge.log.write_text("first\n")
    started(edge)
    if compressed:
        edge.log.rename(edge.log.with_suffix(".log.1.gz"))
    else:
        edge.log.rename(edge.folder / "taken")
    edge.log.write_text("second\n")
    (item,), problems = turn(edge)
    assert item.mark == "broken"
    assert "counts as missing" in problems[0]


def test_a_truncated_log_breaks_the_continuity(edge: Edge) -> None:
    edge.log.write_text("first\n")
    started(edge)
    edge.log.write_text("")
    (item,), _ = turn(edge)
    assert item.mark == "broken"


@pytest.mark.parametrize("how", ["truncated", "made anew", "copied and truncated"])
def test_a_log_that_was_empty_when_it_was_noted_and_lost_its_lines_since(edge: Edge, how: str) -> None:
    """It has grown beyond its noted size again, maybe in the same inode."""
    edge.log.touch()
    turn(edge)
    edge.log.touch()
    record_live(edge.spool, edge.stream)
    with edge.log.open("a") as server:
        server.write("lost\n" * 100)
    if how == "copied and truncated":  # before its beginning was noted
        shutil.copy(edge.log, edge.log.with_suffix(".log.1"))
    else:
        note_again(edge.spool, edge.stream)
    if how == "made anew":
        edge.log.unlink()
    edge.log.write_text("line\n" * 200)
    (item,), problems = turn(edge)
    assert item.mark == "broken"
    assert "was changed by another program" in " ".join(problems)


def test_a_log_that_only_grew_is_still_the_same(edge: Edge) -> None:
    edge.log.touch()
    for text in ("", "line\n" * 10_000):
        turn(edge)
        edge.log.write_text(text)
        record_live(edge.spool, edge.stream)
        note_again(edge.spool, edge.stream)
        with edge.log.open("a") as server:
            server.write("more\n")
        note_again(edge.spool, edge.stream)
        with edge.log.open("a") as server:
            server.write("more\n")
        (item,), problems = turn(edge)
        assert (item.mark, problems) == ("", [])


def test_a_neighbour_whose_name_begins_alike_is_no_trace_of_a_rotator(edge: Edge) -> None:
    """Another log of this edge is renamed and made anew all the time; a foreign one is only written to."""
    video, foreign = (edge.log.with_name(f"{edge.log.name}{end}") for end in ("-video", ".offset"))
    edge.set(logs=[*edge.data["logs"], {**edge.data["logs"][0], "name": "video", "path": str(video)}])
    edge.log.touch()
    foreign.touch()
    turn(edge)
    for _ in range(2):
        edge.log.write_text("line\n")
        video.unlink(missing_ok=True)
        video.write_text("line\n")
        foreign.write_text("1")
        assert record_live(edge.spool, edge.stream)
        (item,), problems = turn(edge)
        assert (item.mark, problems) == ("", [])


@pytest.mark.parametrize("other", ["other.log", "access_video.log"])
def test_another_logs_file_with_the_logs_old_inode_is_left_alone(edge: Edge, other: str) -> None:
    """Where a rotator packs a log and removes it, its inode's number comes again."""
    edge.log.write_text("line\n")
    turn(edge)
    edge.log.write_text("first\n")
    record_live(edge.spool, edge.stream)
    stranger = edge.log.with_name(other)
    os.rename(edge.log, stranger)
    stranger.write_text("others\n" * 9)
    edge.log.write_text("line\n")
    (item,), _ = turn(edge)
    assert item.mark == "broken"
    assert stranger.read_text() == "others\n" * 9


def test_a_noted_log_that_is_gone_is_no_server_that_never_reopened(edge: Edge) -> None:
    """A long transfer still goes to the renamed log, and somebody has moved the new one away."""
    with Writer(edge.log) as server:
        server.write(1)
        rotate(edge.config, edge.spool, edge.stream, load_state(edge.spool, edge.stream))
        edge.log.write_text("line\n" * 9)
        record_live(edge.spool, edge.stream)
        os.rename(edge.log, edge.log.with_name("moved-away"))
        made, problems = turn(edge)
    assert [one.mark for one in made] == ["absent"]
    assert "was changed by another program" in problems[0]


def test_a_server_that_may_not_write_its_new_log_goes_on_in_the_old_one(edge: Edge) -> None:
    """Its master makes the new file, and its workers may not open it: those slots are not idle."""
    with Writer(edge.log) as server:
        server.write(1)
        (item,), _ = rotate(edge.config, edge.spool, edge.stream, load_state(edge.spool, edge.stream))
        edge.log.touch()
        record_live(edge.spool, edge.stream)
        time.sleep(0.02)
        server.write(1)
        (longer,), problems = turn(edge)
        assert (longer.seq, longer.start, problems) == (item.seq, item.start, [])
        assert longer.end > item.end
    (following,), _ = turn(edge)
    assert (following.seq, following.start) == (item.seq + 1, longer.end)


def test_a_log_that_another_program_rotated_twice_breaks_the_continuity(edge: Edge) -> None:
    edge.log.write_text("first\n")
    started(edge)
    os.utime(edge.log, (time.time() - 60, time.time() - 60))
    edge.log.rename(edge.log.with_suffix(".log.2"))
    edge.log.with_suffix(".log.1").write_text("between\n")
    edge.log.write_text("second\n")
    (old, new), _ = turn(edge)
    assert old.path.read_text() == "first\n"
    assert (old.mark, new.mark) == ("", "broken")


def test_a_file_that_changed_while_nothing_was_known_breaks_the_continuity(edge: Edge) -> None:
    """After a crash no live log is recorded; then a rotator's traces are all there is to see."""
    edge.log.write_text("line\n")
    started(edge, live=None)
    (item,), problems = turn(edge)
    assert (item.mark, problems) == ("", [])
    edge.log.write_text("line\n")
    started(edge, seq=6, last_to=time.time() - 1, live=None)
    edge.log.with_suffix(".log.1").touch()
    (item,), _ = turn(edge)
    assert item.mark == "broken"


def test_a_rotator_is_seen_after_the_clock_was_ahead(edge: Edge) -> None:
    """The last rotation's time lies in the future then: what files have of the kernel's clock tells."""
    edge.log.with_suffix(".log.1").write_text("old\n")
    time.sleep(0.02)  # the tick of the file system's clock
    edge.log.write_text("line\n")
    started(edge, last_to=time.time() + 150, live=None)
    (item,), _ = turn(edge)
    assert item.mark == ""
    edge.log.write_text("line\n")
    started(edge, seq=6, last_to=time.time() + 150, live=None)
    edge.log.with_suffix(".log.2").write_text("lines\n")
    (item,), problems = turn(edge)
    assert item.mark == "broken"
    assert "access.log.2 may hold lines" in " ".join(problems)


def test_a_rotator_between_the_rename_and_the_note_of_the_new_log_is_seen(edge: Edge) -> None:
    """The log that the server made first is gone before anybody has noted it."""
    edge.log.touch()
    rotate(edge.config, edge.spool, edge.stream, load_state(edge.spool, edge.stream))
    edge.log.write_text("lines\n")
    edge.log.rename(edge.log.with_suffix(".log.1"))
    edge.log.write_text("line\n")
    assert not record_live(edge.spool, edge.stream)
    (item,), problems = turn(edge)
    assert item.mark == "broken"
    assert "was changed by another program" in " ".join(problems)
    edge.log.write_text("line\n")
    (item,), problems = turn(edge)
    assert (item.mark, problems) == ("", [])


def test_a_rotator_is_seen_though_the_last_batch_was_extended_past_it(edge: Edge) -> None:
    """A run was killed before it noted the new log; that was moved away; old transfers still go to the renamed one."""
    edge.log.touch()
    (item,), _ = rotate(edge.config, edge.spool, edge.stream, load_state(edge.spool, edge.stream))
    edge.log.write_text("lines\n")
    edge.log.rename(edge.log.with_suffix(".log.1"))
    extend(edge.spool, edge.stream, item, time.time() + 1)
    edge.log.write_text("line\n")
    (following,), _ = turn(edge)
    assert following.mark == "broken"


@pytest.mark.parametrize("how", ["renamed", "deleted", "copied and truncated", "truncated", "not at all"])
def test_a_rotator_between_the_look_at_the_log_and_its_renaming_is_seen(
    edge: Edge, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.log.write_text("line\n")
    turn(edge)
    edge.log.write_text("lines\n")
    rename = files.rename_exclusively

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr("edgetally.edge.rotation.rename_exclusively", rename)
        if how == "renamed":
            edge.log.rename(edge.log.with_suffix(".log.1"))
        elif how == "copied and truncated":
            edge.log.with_suffix(".log.1").write_bytes(edge.log.read_bytes())
        elif how == "deleted":
            edge.log.with_suffix(".other").touch()  # so that the inode is another one
            edge.log.with_suffix(".other").rename(edge.log)
        if how != "not at all":
            edge.log.write_text("x\n")
        rename(source, target)

    monkeypatch.setattr("edgetally.edge.rotation.rename_exclusively", late)
    (item,), problems = turn(edge)
    assert item.path.read_text() == ("lines\n" if how == "not at all" else "x\n")
    assert (item.mark, len(problems)) == (("", 0) if how == "not at all" else ("broken", 1))
    edge.log.write_text("line\n")
    (item,), problems = turn(edge)
    assert (item.mark, problems) == ("", [])


@pytest.mark.parametrize("rotated", [True, False])
def test_a_rotator_after_a_kill_between_the_rename_and_the_state(edge: Edge, rotated: bool) -> None:
    edge.log.touch()
    turn(edge)
    edge.log.write_text("line\n")
    edge.log.with_suffix(".log.1").touch()
    time.sleep(0.02)
    record_live(edge.spool, edge.stream)
    before = read_state(edge.spool, "access")
    assert before is not None
    save_state(edge.spool, "access", before)
    time.sleep(0.02)
    rotate(edge.config, edge.spool, edge.stream, before)
    save_state(edge.spool, "access", before)
    if rotated:
        edge.log.with_suffix(".log.2").write_text("lines\n")
    edge.log.write_text("line\n")
    (item,), _ = turn(edge)
    assert item.mark == ("broken" if rotated else "")


def test_a_clock_that_went_back_is_said_and_times_still_rise(edge: Edge) -> None:
    edge.log.touch()
    state = started(edge, last_to=round(time.time() + 3600, 3))
    (item,), problems = turn(edge)
    assert item.start == state.last_to
    assert item.end > item.start
    assert "went back by 36" in problems[0]


def test_a_changed_path_takes_the_old_log_along(edge: Edge) -> None:
    edge.log.write_text("old\n")
    turn(edge)
    edge.log.write_text("old\n")
    record_live(edge.spool, edge.stream)
    edge.set(path=str(edge.folder / "new.log"))
    (edge.folder / "new.log").write_text("new\n")
    (old, new), problems = turn(edge)
    assert [old.path.read_text(), new.path.read_text()] == ["old\n", "new\n"]
    assert problems == []


# --- what a kill leaves


def test_killed_between_the_rename_and_the_state(edge: Edge) -> None:
    edge.log.touch()
    before = started(edge)
    (item,), _ = turn(edge)
    save_state(edge.spool, "access", before)
    edge.log.write_text("next\n")
    (following,), _ = turn(edge)
    assert (following.seq, following.start, following.mark) == (6, item.end, "")


@pytest.mark.parametrize("folder", ["outbox", "sent", "held"])
def test_a_number_is_never_used_twice_even_with_an_older_state(edge: Edge, folder: str) -> None:
    edge.log.touch()
    state = started(edge)
    for seq in (5, 6):
        name = BatchName("access", GENERATION, seq)
        body = json.dumps({"covers": [0, state.last_to + seq if state.last_to else 0]})
        (edge.spool.root / folder / str(name)).write_text(body)
    (item,), _ = turn(edge)
    assert item.seq == 7
    assert state.last_to is not None
    assert item.start == pytest.approx(state.last_to + 6)


def test_killed_before_the_server_was_asked_to_reopen(edge: Edge) -> None:
    """It goes on writing to the renamed log for a whole interval: that batch must cover the time, and nothing else."""
    with Writer(edge.log) as server:
        server.write(1)
        (item,), _ = rotate(edge.config, edge.spool, edge.stream, load_state(edge.spool, edge.stream))
        server.write(1)
        (longer,), problems = turn(edge)
        assert (longer.seq, longer.start, longer.mark, problems) == (item.seq, item.start, "", [])
        assert longer.end > item.end
        assert edge.files() == [longer.name]
        server.reopen()
        record_live(edge.spool, edge.stream)
        (following,), _ = turn(edge)
        assert (following.seq, following.start) == (item.seq + 1, longer.end)


def test_killed_after_a_log_was_extended(edge: Edge) -> None:
    """The state still has the shorter time; the name is right."""
    with Writer(edge.log) as server:
        turn(edge)
        state = read_state(edge.spool, "access")
        assert state is not None
        (longer,), _ = turn(edge)
        save_state(edge.spool, "access", state)
        server.reopen()
        (following,), _ = turn(edge)
        assert (following.seq, following.start) == (2, longer.end)


def test_an_absent_log_whose_batch_is_open_for_nobody_is_absent_again(edge: Edge) -> None:
    turn(edge)
    (item,), _ = turn(edge)
    assert (item.seq, item.mark) == (2, "absent")


# --- generations


def test_a_lost_or_damaged_state_begins_a_generation(edge: Edge) -> None:
    edge.log.touch()
    started(edge)
    (edge.spool.state / "access.json").write_text("{")
    (item,), _ = turn(edge)
    assert item.seq == 1
    assert item.generation != GENERATION


def test_another_edge_name_begins_a_generation(edge: Edge) -> None:
    edge.log.touch()
    started(edge)
    edge.set(edge="edge2")
    (item,), _ = turn(edge)
    assert (item.seq, item.generation != GENERATION) == (1, True)


def test_a_conflict_begins_a_generation_once(edge: Edge) -> None:
    edge.log.touch()
    started(edge)
    name = BatchName("access", GENERATION, 4)
    edge.spool.publish(name, [b"{}"])
    edge.spool.hold(name, "conflict")
    (item,), _ = turn(edge)
    edge.log.touch()
    (following,), _ = turn(edge)
    assert (item.seq, following.seq) == (1, 2)
    assert item.generation == following.generation != GENERATION


def test_a_stream_is_hashable_and_knows_its_live_log(edge: Edge) -> None:
    stream = edge.stream
    assert isinstance(stream, Stream)
    assert stream.live() is None
    edge.log.write_text("x")
    live = stream.live()
    assert live is not None
    assert live.st_size == 1
