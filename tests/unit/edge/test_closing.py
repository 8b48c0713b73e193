"""Closing: servers are asked once to reopen their logs, and no file is tallied while somebody writes to it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgetally.edge import closing
from edgetally.edge.closing import is_closed, reopen, wait_closed
from tests.support import SOURCE
from tests.support.edge import Edge, Writer, wait_for


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


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


def test_a_pipe_does_not_hold_the_check_up(tmp_path: Path) -> None:
    """Nothing but a plain file is ever taken; but should one be there, nobody waits for its other end."""
    os.mkfifo(tmp_path / "pipe")
    is_closed(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="symbolic links"):
        is_closed(tmp_path / "link")


# --- waiting


def test_waiting_ends_as_soon_as_the_server_has_reopened(edge: Edge) -> None:
    with Writer(edge.log) as server:
        (item,), _ = edge.turn()
        begin = time.monotonic()
        reopen([f"(sleep 0.3; kill -USR1 {server.pid}) 2>&- &"])
        wait_closed([item], [], 10)
        assert 0.2 < time.monotonic() - begin < 2
        assert is_closed(item.path)


def test_waiting_ends_as_soon_as_there_is_a_new_log_where_none_was_left(edge: Edge) -> None:
    edge.log.touch()
    with edge.stream.place() as place:
        edge.log.unlink()
        begin = time.monotonic()
        reopen([f"(sleep 0.3; touch {edge.log}) 2>&- &"])
        wait_closed([], [place], 10)
        assert 0.2 < time.monotonic() - begin < 1
        assert edge.log.exists()
        edge.log.unlink()
        begin = time.monotonic()
        wait_closed([], [place], 10)
        assert time.monotonic() - begin < 3, "some make it only with its first line"


def test_waiting_is_bounded(edge: Edge) -> None:
    with Writer(edge.log):
        (item,), _ = edge.turn()
        begin = time.monotonic()
        wait_closed([item], [], 0.3)
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


def test_a_command_that_never_stops_talking_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "REOPEN_SECONDS", 0.3)
    assert reopen(["exec yes >&2"]) == ["`exec yes >&2` did not end in 0.3 s"]


def test_a_child_that_a_command_leaves_behind_is_ended_if_it_may_still_speak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "REOPEN_SECONDS", 0.3)
    assert reopen([f"sleep 60 2>&- & echo $! > {tmp_path}/quiet"]) == []
    quiet = int((tmp_path / "quiet").read_text())
    assert not _gone(quiet)
    os.kill(quiet, signal.SIGKILL)
    (problem,) = reopen([f"sleep 60 & echo $! > {tmp_path}/child"])
    assert "did not end" in problem
    child = int((tmp_path / "child").read_text())
    wait_for("dead child", lambda: _gone(child))


def test_a_command_does_not_inherit_that_python_ignores_a_broken_pipe(tmp_path: Path) -> None:
    assert reopen([f"grep SigIgn /proc/self/status > {tmp_path}/ignored"]) == []
    ignored = int((tmp_path / "ignored").read_text().split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))


def _gone(pid: int) -> bool:
    try:
        return f"{pid} (sleep) Z" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
