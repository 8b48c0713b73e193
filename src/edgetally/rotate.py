"""The rotation: rename a live log, have the server reopen it, and know when nobody writes to the old file any more.

The new name, `<file>.edgetally-<generation>-<seq>-<from>-<to>[-absent|-broken|-full]`, fixes the batch's identity
before anything else can fail. Every step can be cut off anywhere: what the next run needs is in the names alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edgetally.config import NAME, EdgeConfig, LogConfig
from edgetally.errors import EdgetallyError
from edgetally.spool import FILE_MODE, BatchName, Live, Spool, State, sync_folder

REOPEN_SECONDS = 10.0
LIVE_SECONDS = 1.0  # how long a server may take to make its new log after it has closed the old one
TICK = 0.001  # times in names have three decimals
HEAD_BYTES = 4096
NOWHERE = Live(0, 0, 0)
BACKWARDS_SECONDS = 1.0  # a clock that went back by more is worth a message

_MARK = ".edgetally-"
_RENAMED = re.compile(
    r"(?P<file>.+)\.edgetally-(?P<generation>[0-9a-f]{16})-(?P<seq>\d+)-(?P<start>\d+\.\d{3})-(?P<end>\d+\.\d{3})"
    r"(?:-(?P<mark>absent|broken|full))?"
)
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z")
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100


class Renamed(NamedTuple):
    """A renamed log. start and end are epoch seconds; mark is empty, `absent`, `broken` or `full`."""

    folder: Path
    file: str
    generation: str
    seq: int
    start: float
    end: float
    mark: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        mark = f"-{self.mark}" if self.mark else ""
        return f"{self.file}{_MARK}{self.generation}-{self.seq}-{self.start:.3f}-{self.end:.3f}{mark}"

    @property
    def path(self) -> Path:
        """The file's whole path."""
        return self.folder / self.name

    @classmethod
    def parse(cls, folder: Path, name: str) -> Renamed | None:
        """Read a file's name; None where it is not a renamed log's."""
        found = _RENAMED.fullmatch(name)
        if found is None:
            return None
        number = int(found["seq"])
        times = float(found["start"]), float(found["end"])
        return cls(folder, found["file"], found["generation"], number, *times, found["mark"] or "")


class Stream(NamedTuple):
    """One log file of this edge. name: `<edge>/<log>`; path: the live log, links resolved; others: other logs."""

    name: str
    log: str
    path: Path
    config: LogConfig
    others: frozenset[Path] = frozenset()

    def renamed(self) -> list[Renamed]:
        """The log's renamed files that are not archived yet, oldest first."""
        try:
            names = os.listdir(self.path.parent)
        except OSError as error:
            raise EdgetallyError(
                f"{self.path.parent}, the folder of log '{self.log}', cannot be read ({error.strerror}): "
                "correct the log's path, or make the folder"
            ) from None
        prefix = self.path.name + _MARK
        found = (Renamed.parse(self.path.parent, name) for name in names if name.startswith(prefix))
        return sorted(filter(None, found), key=lambda item: (item.end, item.seq))

    def live(self) -> os.stat_result | None:
        """The live log's state; None where it is not there."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise EdgetallyError(f"{self.path} is not a plain file: log '{self.log}' cannot be rotated")
        return status


def find_streams(config: EdgeConfig) -> tuple[list[Stream], list[str]]:
    """The logs to rotate now, globs resolved, and a sentence for each that cannot be.

    Links are resolved, so that a log is renamed where it really lies.
    """
    streams: dict[str, Stream] = {}
    paths: dict[Path, str] = {}
    problems = []
    for log in config.logs:
        files = _expand(log)
        if not files:
            problems.append(f"{log.path} matches no file: correct the path of log '{log.name}' in {config.path}")
        for name, path in files:
            if not NAME.fullmatch(name):
                problems.append(f"{path} cannot be a stream: {name!r} has other than letters, digits, '.', '_' and '-'")
            elif name in streams or path in paths:
                other = f"log '{paths[path]}'" if path in paths else str(streams[name].path)
                problems.append(f"{path} (log '{name}') is left out: {other} is the same; mend {config.path}")
            else:
                paths[path] = name
                streams[name] = Stream(f"{config.edge}/{name}", name, path, log)
    all_paths = frozenset(paths)
    return [stream._replace(others=all_paths - {stream.path}) for stream in streams.values()], problems


def _expand(log: LogConfig) -> list[tuple[str, Path]]:
    """The stream's log name and path of each file that a log's path or glob means, whether live or only renamed."""
    import glob

    if not glob.has_magic(log.path):
        return [(log.name, Path(os.path.realpath(log.path)))]
    found = {path for path in glob.glob(log.path) if _MARK not in os.path.basename(path)}
    found |= {path.rpartition(_MARK)[0] for path in glob.glob(f"{log.path}{_MARK}*")}
    return [
        (f"{log.name}.{os.path.basename(path).removesuffix('.log')}", Path(os.path.realpath(path)))
        for path in sorted(found)
    ]


def installed(config: EdgeConfig, log: LogConfig, make: bool = True) -> float:
    """When this log was first seen, epoch s: lines that ended before are not counted in a generation's first batch.

    It is the time of a marker beside the configuration, which outlives the spool: a deleted spool begins a new
    generation, and still counts all lines since the installation.
    """
    marker = Path(config.path).parent / "installed" / log.name
    try:
        if make and not marker.exists():
            marker.parent.mkdir(mode=0o755, exist_ok=True)
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
            sync_folder(marker.parent)
        return marker.stat().st_mtime
    except FileNotFoundError:
        return time.time()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise EdgetallyError(f"{marker} cannot be made ({error.strerror}): make its folder writable") from None


def load_state(spool: Spool, stream: Stream) -> State:
    """The log's state, mended from what lies on the disk, or a new generation's.

    The rename comes before the state, so a crash between the two leaves a renamed file that the state does not know.
    """
    state = spool.load_state(stream.log)
    if state is None or state.stream != stream.name:
        mended = State(stream.name, str(stream.path), os.urandom(8).hex())
    elif spool.conflicted(stream.log, state.generation):
        mended = state._replace(generation=os.urandom(8).hex(), next_seq=1)
    else:
        mended = _mend(spool, stream, state)
    if mended != state:
        spool.save_state(stream.log, mended)
    return mended


def _mend(spool: Spool, stream: Stream, state: State) -> State:
    """Take number and time over from the newest file of this generation, so that no number comes twice."""
    last_to = state.last_to or 0.0
    for item in stream.renamed():
        known = item.seq < state.next_seq - 1 or (item.seq == state.next_seq - 1 and item.end <= last_to)
        if item.generation == state.generation and not known:
            last_to = max(last_to, item.end)
            state = state._replace(next_seq=item.seq + 1, last_to=last_to, live=None, size=0)
    while published := spool.find(BatchName(stream.log, state.generation, state.next_seq)):
        last_to = max(last_to, _covers_end(published))
        state = state._replace(next_seq=state.next_seq + 1, last_to=last_to, live=None, size=0)
    return state


def _covers_end(body: Path) -> float:
    """The end of a published batch's covers, epoch s; 0 where the file cannot be read."""
    import json

    with suppress(OSError, ValueError, LookupError, TypeError):
        return float(json.loads(body.read_bytes())["covers"][1])
    return 0.0


# --- renaming


def rotate(config: EdgeConfig, spool: Spool, stream: Stream, state: State) -> tuple[list[Renamed], list[str]]:
    """Rename the live log, and what another rotator made of it, into batches of their own.

    Returns the renamed files (usually one) and a sentence for each thing that is not as it should be.
    """
    rotation = _Rotation(config, spool, stream, state)
    rotation.run()
    return rotation.made, rotation.problems


class _Seen(NamedTuple):
    """A live log, and what lay beside it before."""

    live: os.stat_result
    beside: tuple[tuple[str, int], ...]

    def is_gone(self, status: os.stat_result, beside: Sequence[tuple[str, int]]) -> bool:
        """Whether another rotator came before the log was renamed, of which this is told after that."""
        same = (status.st_dev, status.st_ino) == (self.live.st_dev, self.live.st_ino)
        return not same or status.st_size < self.live.st_size or not set(beside).issubset(self.beside)


class _Rotation:
    """The rotation of one log in one run."""

    def __init__(self, config: EdgeConfig, spool: Spool, stream: Stream, state: State) -> None:
        self.config = config
        self.spool = spool
        self.stream = stream
        self.state = state
        self.made: list[Renamed] = []
        self.problems: list[str] = []
        self.full = False

    def run(self) -> None:
        beside = _beside(self.stream)
        live = self.stream.live()
        if (live is None or not live.st_size) and self._extend(live):
            return
        now = time.time()
        if self.state.last_to is not None and now < self.state.last_to - BACKWARDS_SECONDS:
            self.problems.append(
                f"the clock went back by {self.state.last_to - now:.0f} s since the last rotation of "
                f"{self.stream.path}: look at this host's time service"
            )
        self.full = self._was_full()
        mark = self._continuity(live)
        if live is None:
            self.problems.append(
                f"{self.stream.path} is not there: the time since the last rotation counts as missing; start the "
                f"server, or correct the path of log '{self.stream.log}' in {self.config.path}"
            )
            mark = "absent"
        self._take(self.stream.path, time.time(), mark, _Seen(live, beside) if live else None)
        if self.full and not note_full(self.spool, self.stream):
            self.spool.full_path(self.stream.log).unlink(missing_ok=True)

    def _was_full(self) -> bool:
        """Whether any run since the last rotation, or that one, found the log's disk full."""
        full = note_full(self.spool, self.stream) or self.spool.full_path(self.stream.log).exists()
        if full:
            self.problems.append(
                f"the disk of {self.stream.path} is or was full, so that its server could not write all lines: the "
                "time since the last rotation counts as missing; free some space"
            )
        return full

    def _extend(self, live: os.stat_result | None) -> bool:
        """The server never reopened its log and still writes to the last renamed one: let that cover this time too.

        Its batch was not tallied yet, so its covers may still grow. An `absent` or an empty batch beside it would call
        time missing, or idle, whose lines are all there, and these would lie outside their own batch's covers. But not
        where a new log was there that is gone: another rotator may have it.
        """
        newest, known = self._newest_renamed(), self.state.live
        if newest is None or newest.mark == "absent" or is_closed(newest.path):
            return False
        if live is None and known is not None:
            return False
        if live is not None and not (
            known and (live.st_dev, live.st_ino, live.st_size) == known[:3] and newest.path.stat().st_mtime > newest.end
        ):
            return False
        self.made.append(extend(self.spool, self.stream, newest, time.time()))
        return True

    def _newest_renamed(self) -> Renamed | None:
        for item in self.stream.renamed():
            if (item.generation, item.seq) == (self.state.generation, self.state.next_seq - 1):
                return item
        return None

    def _continuity(self, live: os.stat_result | None) -> str:
        """Compare the live log with the one left at the last rotation. Gives the mark of the batch: '' or `broken`."""
        known = self.state.live
        if known is None:
            return self._unwatched() if live else ""
        if live and (live.st_dev, live.st_ino) == (known.dev, known.inode):
            if not _is_still(known, self.stream.path):
                return self._broken("it was truncated, or made anew")
            return self._unwatched()
        old = self._find(known)
        if old is None:
            return self._broken("it was replaced, and the old file is gone")
        if Renamed.parse(old.parent, old.name):
            return ""  # ours already
        return self._adopt(old)

    def _adopt(self, old: Path) -> str:
        """Make the file that another rotator renamed a batch of its own."""
        changed = old.stat().st_mtime
        later = [
            path.name
            for path in rotated_since(self.stream, self.state)
            if path != old and path.stat().st_mtime > changed
        ]
        if str(old) != self.state.path:  # else it is the live log of a path that was changed in the configuration
            self.problems.append(
                f"another program rotated {self.stream.path} to {old.name}: its lines are counted, but take this log "
                "out of logrotate (the role edge_shipper does)"
            )
        self._take(old, min(changed, time.time()) if is_closed(old) else time.time(), "")
        return self._broken(f"{later[0]} may hold lines too") if later else ""

    def _unwatched(self) -> str:
        """What is known of the log tells nothing (a crash, an absent log, a copy): a new file beside it tells more."""
        changed = rotated_since(self.stream, self.state)
        return self._broken(f"{changed[0].name} may hold lines") if changed else ""

    def _broken(self, why: str) -> str:
        self.problems.append(
            f"{self.stream.path} was changed by another program ({why}): the time since the last rotation counts as "
            "missing; look for logrotate or another rotator of this log"
        )
        return "broken"

    def _find(self, known: Live) -> Path | None:
        """The file with the recorded inode, beside the log or where the log lay before its path was changed.

        An inode's number comes again: the file must also have a name like the log's, be no other log, and begin alike.
        """
        here = self.stream.path.parent
        stems = (self.stream.path.stem, Path(self.state.path).stem)
        for folder in {here, Path(self.state.path).parent}:
            with suppress(FileNotFoundError), os.scandir(folder) as entries:
                if folder.stat().st_dev != here.stat().st_dev:
                    continue  # it could not be renamed to here
                for entry in entries:
                    path = folder / entry.name
                    if entry.inode() != known.inode or entry.name.endswith(_COMPRESSED) or path in self.stream.others:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    ours = Renamed.parse(folder, entry.name)
                    if (
                        status.st_dev == known.dev
                        and stat.S_ISREG(status.st_mode)
                        and entry.name.startswith(stems)
                        and (ours is None or ours.file in (self.stream.path.name, Path(self.state.path).name))
                        and _is_still(known, path)
                    ):
                        return path
        return None

    def _take(self, source: Path, end: float, mark: str, seen: _Seen | None = None) -> None:
        """Rename one file to the next batch's name, then note it in the state. seen: how it was looked at before."""
        state = self.state
        mark = mark or ("full" if self.full else "")
        end = round(max(end, (state.last_to or 0.0) + TICK), 3)
        if state.next_seq > 1 and state.last_to is not None:
            start = state.last_to
        elif self.config.include_existing:
            start = 0.0
        else:  # whole seconds, as many formats write them: no line since the installation may look older
            start = min(float(int(installed(self.config, self.stream.config))), end)
        item = Renamed(
            self.stream.path.parent, self.stream.path.name, state.generation, state.next_seq, start, end, mark
        )
        if mark == "absent":
            os.close(os.open(item.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        else:
            rename_exclusively(source, item.path)
        beside, status = _beside(self.stream), item.path.stat()
        if seen and not item.mark and seen.is_gone(status, beside):
            item = marked(item, self._broken("while it was rotated"))
        sync_folder(item.folder)
        self.state = state._replace(
            path=str(self.stream.path),
            next_seq=state.next_seq + 1,
            last_to=item.end,
            live=None,
            beside=beside,
            size=status.st_size,
        )
        self.spool.save_state(self.stream.log, self.state)
        self.made.append(item)


def _siblings(stream: Stream) -> list[os.DirEntry[str]]:
    """Files beside a log that another rotator may have made of it; none where there is no such folder."""
    name = stream.path.name
    with suppress(FileNotFoundError), os.scandir(stream.path.parent) as entries:
        return sorted(
            (
                entry
                for entry in entries
                if entry.name.startswith((f"{name}.", f"{name}-"))
                and _MARK not in entry.name
                and stream.path.parent / entry.name not in stream.others
                and entry.is_file(follow_symlinks=False)
            ),
            key=lambda entry: entry.name,
        )
    return []


def _beside(stream: Stream) -> tuple[tuple[str, int], ...]:
    """The names and inodes of these files."""
    return tuple((entry.name, entry.inode()) for entry in _siblings(stream))


def rotated_since(stream: Stream, state: State) -> list[Path]:
    """Files that may hold lines of a live log that nobody has noted: renamed or made since the last rotation."""
    if state.beside is None:
        return []
    known = set(state.beside)
    return [Path(entry.path) for entry in _siblings(stream) if (entry.name, entry.inode()) not in known]


def _note(path: Path, status: os.stat_result) -> Live:
    return Live(status.st_dev, status.st_ino, status.st_size, _head(path, status.st_size))


def _head(path: Path, size: int) -> str:
    """A digest of the first bytes of a file that has so many."""
    import hashlib

    if not size:
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(min(size, HEAD_BYTES))).hexdigest()[:32]


def _is_still(known: Live, path: Path) -> bool:
    """Whether a file has all that the log had when it was noted."""
    try:
        return path.stat().st_size >= known.size and (not known.head or _head(path, known.size) == known.head)
    except FileNotFoundError:
        return False


def is_shorter(state: State | None, item: Renamed) -> bool:
    """Whether a renamed log is the newest, and has lost bytes since: another rotator had begun to copy it before."""
    if state is None or (item.generation, item.seq) != (state.generation, state.next_seq - 1):
        return False
    return item.path.stat().st_size < state.size


def marked(item: Renamed, mark: str) -> Renamed:
    """Give a renamed log that is not tallied yet a mark."""
    other = item._replace(mark=mark)
    rename_exclusively(item.path, other.path)
    sync_folder(item.folder)
    return other


def extend(spool: Spool, stream: Stream, item: Renamed, end: float) -> Renamed:
    """Let the newest renamed log, not yet tallied, cover more time: it was written to until then."""
    longer = item._replace(end=round(max(end, item.end + TICK), 3))
    rename_exclusively(item.path, longer.path)
    sync_folder(item.folder)
    state = spool.load_state(stream.log)
    if state is not None:
        spool.save_state(stream.log, state._replace(last_to=longer.end, live=None))
    return longer


def note_full(spool: Spool, stream: Stream) -> bool:
    """Whether the log's file system has no room for a server that is not root; noted until the next rotation.

    The note is an empty file, for which there is room where there is none for data.
    """
    try:
        status = os.statvfs(stream.path.parent)
    except OSError:
        return False
    full = status.f_blocks > 0 and status.f_bavail == 0
    if full:
        with suppress(OSError):
            spool.full_path(stream.log).touch(FILE_MODE)
    return full


def record_live(spool: Spool, stream: Stream) -> bool:
    """Note the live log that the server made. False where there is none.

    Where another rotator has been here in the meantime, it may not be the log that the server made first: then a log is
    noted that is nowhere, and the next rotation says so.
    """
    live = stream.live()
    state = spool.load_state(stream.log)
    if live is None or state is None:
        return False
    if rotated_since(stream, state):
        spool.save_state(stream.log, state._replace(live=NOWHERE, beside=_beside(stream)))
        return False
    spool.save_state(stream.log, state._replace(live=_note(stream.path, live)))
    return True


def note_again(spool: Spool, stream: Stream) -> None:
    """Note how the live log begins, where it was still empty when it was noted: so a truncated one is known."""
    live = stream.live()
    state = spool.load_state(stream.log)
    if live is None or state is None or state.live is None or state.live.size or not live.st_size:
        return
    if (live.st_dev, live.st_ino) == (state.live.dev, state.live.inode):
        spool.save_state(stream.log, state._replace(live=_note(stream.path, live)))


def rename_exclusively(source: Path, target: Path) -> None:
    """Rename a file within its file system, never over another.

    In one step where the kernel and the file system can (renameat2). Elsewhere the rotate lock makes up for it: nobody
    else makes names of this kind.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        paths = _AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target)
        if libc.renameat2(*paths, _RENAME_NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number == errno.EXDEV:
            raise EdgetallyError(f"{source} lies on another file system than {target.parent}: correct the log's path")
        if number not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(number, os.strerror(number), str(source), None, str(target))
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(source), None, str(target))
    os.rename(source, target)


# --- reopening and closing


def reopen(commands: Iterable[str]) -> list[str]:
    """Run each distinct reopen command once, a shell each. Returns a sentence for each that failed."""
    import signal
    import subprocess

    problems = []
    for command in dict.fromkeys(filter(None, commands)):
        with subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                said = process.communicate(timeout=REOPEN_SECONDS)[1].decode("utf-8", "replace").strip()
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                problems.append(f"`{command}` did not end in {REOPEN_SECONDS:g} s")
                continue
        if process.returncode:
            reason = said.replace("\n", "; ") or f"exit {process.returncode}"
            problems.append(f"`{command}` failed ({reason})")
    return problems


def is_closed(path: Path) -> bool:
    """Whether no process has the file open for writing. False where that cannot be known.

    The kernel grants a read lease only on a file that nobody has open for writing, a renamed one too.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
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


def wait_closed(items: Sequence[Renamed], streams: Sequence[Stream], timeout: float) -> None:
    """Wait until all files are closed and the streams' new live logs are there; at most timeout seconds.

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
            if now - closed_at >= LIVE_SECONDS or all(stream.live() for stream in streams):
                return
        if now >= deadline:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
