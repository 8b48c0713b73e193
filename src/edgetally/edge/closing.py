"""Reopening: have the servers open new logs, and know when nobody writes to an old one any more."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from edgetally.edge.place import Place
from edgetally.edge.renamed import Renamed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

REOPEN_SECONDS = 10.0
LIVE_SECONDS = 1.0  # how long a server may take to make its new log after it has closed the old one


def reopen(commands: Iterable[str]) -> list[str]:
    """Run each distinct reopen command once, a shell each. Returns a sentence for each that failed."""
    problems = (_run(command) for command in dict.fromkeys(filter(None, commands)))
    return [problem for problem in problems if problem]


def _run(command: str) -> str:
    """Run a command in a shell and a session of its own; a sentence where it failed. subprocess takes 3 ms to load."""
    deadline = time.monotonic() + REOPEN_SECONDS
    read, write = os.pipe()
    try:
        child = _shell(command, write)
    finally:
        os.close(write)
    with open(read, "rb") as pipe:
        said = _all_of(pipe, deadline)
        code = _ended(child, deadline)
    if code is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return f"`{command}` did not end in {REOPEN_SECONDS:g} s"
    reason = said.decode("utf-8", "replace").strip().replace("\n", "; ") or f"exit {code}"
    return f"`{command}` failed ({reason})" if code else ""


def _shell(command: str, errors: int) -> int:
    """Start a shell with a command, whose standard error goes to a descriptor; its process id."""
    return os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", command],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, errors, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores
    )


def _all_of(pipe: BinaryIO, deadline: float) -> bytes:
    """What is written into a pipe until all have closed it, or the time is over."""
    said = b""
    while (left := deadline - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
        data = os.read(pipe.fileno(), 1 << 16)
        if not data:
            break
        said += data
    return said


def _ended(child: int, deadline: float) -> int | None:
    """A child's exit code; None where the time is over first."""
    pause = 0.0005
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return None


def is_closed(path: Path) -> bool:
    """Whether no process has the file open for writing. False where that cannot be known.

    The kernel grants a read lease only on a file that nobody has open for writing, a renamed one too.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    except BlockingIOError:  # its owner has taken a lease for itself
        return False
    try:
        try:
            _take_lease(descriptor)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return False
            return not _open_for_writing(os.fstat(descriptor))
        return True
    finally:
        os.close(descriptor)  # also gives the lease back


def _take_lease(descriptor: int) -> None:
    """Take a read lease. Root without CAP_LEASE, as in a container, may not on another's file: then as its owner."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except PermissionError:
        if os.geteuid() != 0:
            raise
        os.seteuid(os.fstat(descriptor).st_uid)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        finally:
            os.seteuid(0)


def _open_for_writing(wanted: os.stat_result, proc: str = "/proc") -> bool:
    """Look through all processes where the file system knows no leases. What cannot be read counts as open."""
    for process in filter(str.isdigit, os.listdir(proc)):
        folder = f"{proc}/{process}"
        try:
            for number in os.listdir(f"{folder}/fd"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    found = os.stat(f"{folder}/fd/{number}")
                    if os.path.samestat(found, wanted) and _may_write(f"{folder}/fdinfo/{number}"):
                        return True
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        except OSError:
            return True
    return False


def _may_write(fdinfo: str) -> bool:
    """Whether an open file's flags, octal in /proc, allow writing."""
    with open(fdinfo, encoding="ascii") as lines:
        flags = next(line.split()[1] for line in lines if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def wait_closed(items: Sequence[Renamed], opening: Sequence[Place], timeout: float) -> None:
    """Wait until all files are closed and there are new logs in some places; at most timeout seconds.

    Servers that make their new log only with its first line are not waited for longer than LIVE_SECONDS.
    """
    deadline = time.monotonic() + timeout
    open_items = list(items)
    closed_at: float | None = None
    pause = 0.002
    while True:
        open_items = [item for item in open_items if not is_closed(item.path)]
        now = time.monotonic()
        if not open_items:
            closed_at = closed_at or now
            if now - closed_at >= LIVE_SECONDS or all(place.live() for place in opening):
                return
        if now >= deadline:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
