"""Where a log lies, reached so that nobody can lead root astray, and the private place that only root can change.

The folder of a log may be its server's own, and whoever owns a folder can put a link, a pipe or another file under any
name in it, at any moment. So a path is walked folder by folder, and a link is followed only where root owns it and the
folder that it stands in. In the log's own folder only one thing is ever done: what stands under the log's name is
exchanged, or renamed, with a name of the private place. What else lies there has no meaning.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgetally.edge.renamed import Renamed
from edgetally.errors import EdgetallyError
from edgetally.files import birth_of, exchange_at, rename_exclusively, sync_folder
from edgetally.record import NamedTuple

PRIVATE = ".edgetally"
PRIVATE_MODE = 0o700
PIN = "live"  # a second name of the live log: its lines stay ours, whatever becomes of the first
NEXT = "next"  # an empty file that is to be the live log
TOOK = "took"  # what stood under the log's name until now
_ATTRIBUTES = ("system.posix_acl_access", "security.selinux")
_LINKS = 20  # followed at most


class Step(NamedTuple):
    """A folder on the way to a log. trusted: whether nobody but root can put another one in its place."""

    descriptor: int
    status: os.stat_result
    path: str
    trusted: bool

    @property
    def is_roots(self) -> bool:
        """Whether only root can change what is in it."""
        return self.trusted and is_ours(self.status) and not self.status.st_mode & 0o022

    @property
    def mount(self) -> str:
        """What it is mounted by: within that alone can files be renamed and linked, whatever their device."""
        with open(f"/proc/self/fdinfo/{self.descriptor}", encoding="ascii") as lines:
            return next((line for line in lines if line.startswith("mnt_id:")), str(self.status.st_dev))


def is_ours(status: os.stat_result) -> bool:
    """Whether a file is root's, or this process's user's where that is another one."""
    return status.st_uid in (0, os.geteuid())


class Place:
    """A log's name in its folder, and the log's private place.

    folder: the log's folder, as a descriptor; name: the log's name there; private: the private place's path, which only
    root can change, so that it can be used by its names.
    """

    def __init__(self, folder: int, name: str, private: Path) -> None:
        self.folder = folder
        self.name = name
        self.private = private

    @property
    def path(self) -> Path:
        """The log, by a path that leads through its folder's descriptor."""
        return Path(f"/proc/self/fd/{self.folder}/{self.name}")

    # --- looking

    def live(self) -> os.stat_result | None:
        """What stands under the log's name; None where there is nothing. A link is not followed."""
        with suppress(FileNotFoundError):
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        return None

    def status(self, name: str) -> os.stat_result | None:
        """A file of the private place; None where it is not there."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.lstat(self.private / name)
        return None

    def birth(self, name: str) -> float | None:
        """When a file of the private place was made, epoch s; None where its file system does not know."""
        return birth_of(self.private / name)

    def is_pinned(self, status: os.stat_result | None) -> bool:
        """Whether this is the file that is pinned."""
        pin = self.status(PIN)
        return status is not None and pin is not None and os.path.samestat(status, pin)

    def is_plain(self, status: os.stat_result) -> bool:
        """Whether this is a plain file, and the log's own: pinned, or without another name."""
        return stat.S_ISREG(status.st_mode) and (status.st_nlink == 1 or self.is_pinned(status))

    def is_batch(self, status: os.stat_result) -> bool:
        """Whether this is a renamed log that waits: somebody has given it the log's name again."""
        return any((one := self.status(item.name)) and os.path.samestat(status, one) for item in self.batches())

    def batches(self) -> list[Renamed]:
        """The log's renamed files that are not archived yet, oldest first."""
        try:
            names = os.listdir(self.private)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []
        items = filter(None, (Renamed.parse(self.private, name) for name in names))
        plain = (item for item in items if (status := self.status(item.name)) and stat.S_ISREG(status.st_mode))
        return sorted(plain, key=lambda item: (item.end, item.seq))

    # --- taking

    def exchange(self, status: os.stat_result) -> bool:
        """Put an empty file under the log's name, pinned from its first moment, and take what stood there, in one step.

        status: of the log, whose owner, mode, access list and label the new one gets. False, and nothing is changed,
        where the file system cannot do that.
        """
        self.forget_next()
        descriptor = os.open(self.private / NEXT, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o666)
            self._copy_attributes(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(self.private / NEXT, self.private / TOOK)
            exchange_at(self.private / TOOK, self.folder, self.name)
        except OSError as error:
            self.forget_next()
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            return False
        sync_folder(self.private)
        return True

    def _copy_attributes(self, target: int) -> None:
        """Give a file the live log's access list and security label, where it has any."""
        for name in _ATTRIBUTES:
            with suppress(OSError):
                os.setxattr(target, name, os.getxattr(self.path, name, follow_symlinks=False))

    def take(self) -> None:
        """Take what stands under the log's name; nothing stands there then."""
        rename_exclusively(self.name, self.private / TOOK, self.folder)
        sync_folder(self.private)

    def is_taken(self) -> bool:
        """Whether something was taken that has no place among the batches yet."""
        took, following = self.status(TOOK), self.status(NEXT)
        return took is not None and not (following is not None and os.path.samestat(took, following))

    def forget_next(self) -> None:
        """Remove an empty file that never came under the log's name."""
        if not self.is_taken():
            for name in (TOOK, NEXT):
                self.remove(name)

    def pin(self) -> bool:
        """Link the live log into the private place. False where there is none, or it is no plain file.

        It is taken for that moment: as long as it has a name in another's folder, nobody can say whose its second is.
        """
        status = self.live()
        if status is None or self.status(PIN) or not self.is_plain(status):
            return False
        try:
            self.take()
            with suppress(FileExistsError):  # somebody made a new one in that moment: the next run counts both
                self._link_taken()
                rename_exclusively(self.private / TOOK, self.path)
            sync_folder(self.private)
        except (OSError, EdgetallyError):
            return False
        return self.status(PIN) is not None

    def _link_taken(self) -> None:
        """Pin what was taken where it is a plain file, and the file system knows hard links."""
        took = self.status(TOOK)
        if took is not None and self.is_plain(took):
            with suppress(PermissionError):
                os.link(self.private / TOOK, self.private / PIN)

    def rename(self, name: str, target: str) -> None:
        """Give a file of the private place another name."""
        rename_exclusively(self.private / name, self.private / target)
        sync_folder(self.private)

    def remove(self, name: str) -> None:
        """Remove a file of the private place, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self.private / name)

    def has_unfinished(self) -> bool:
        """Whether lines lie here alone: in batches, in what was taken, or in a pinned log whose name another has."""
        return bool(self.batches() or self.is_taken() or (self.status(PIN) and not self.is_pinned(self.live())))

    def leave(self) -> bool:
        """Take the private place away: the pin, and an empty file that never came under the log's name.

        Returns whether there was a pin.
        """
        had = self.status(PIN) is not None
        self.forget_next()
        self.remove(PIN)
        for folder in (self.private, self.private.parent):  # the second where this was the last log of it
            with suppress(OSError):
                os.rmdir(folder)
        return had

    def put_away(self, name: str, time: float) -> None:
        """Remove what is no file, or where it is a folder that holds something, give it a name without a meaning."""
        path = self.private / name
        try:
            os.unlink(path)
        except (IsADirectoryError, PermissionError):
            try:
                os.rmdir(path)
            except OSError:
                self.rename(name, f"odd-{time:.3f}")

    def bring(self, before: Path, log: str) -> None:
        """Bring in what lies where the log's private place was before. What is on another file system stays there."""
        steps: list[Step] = []
        try:
            with suppress(EdgetallyError):
                _walk(before / PIN, log, steps)
                if before.parts[-2:] == (PRIVATE, log) and all(_is_made_by_us(step.status) for step in steps[-2:]):
                    folder = steps[-1].descriptor
                    for name in os.listdir(f"/proc/self/fd/{folder}"):
                        with suppress(FileExistsError):
                            rename_exclusively(name, self.private / name, folder)
                    sync_folder(self.private)
        finally:
            for step in steps:
                os.close(step.descriptor)


def _is_made_by_us(status: os.stat_result) -> bool:
    return is_ours(status) and stat.S_IMODE(status.st_mode) == PRIVATE_MODE


@contextmanager
def open_place(path: Path, log: str, given: str = "", make: bool = True) -> Iterator[Place]:
    """The place of a log. given: the folder for the private place, where the configuration names one.

    make: make what is missing of the private place. Raises EdgetallyError where the log's folder cannot be reached
    safely, and where there is no folder for the private place.
    """
    steps: list[Step] = []
    try:
        name = _walk(path, log, steps)
        private = Path(_anchor(steps, path, log, given)) / PRIVATE / log
        if make:
            _make(private)
        yield Place(steps[-1].descriptor, name, private)
    finally:
        for step in steps:
            os.close(step.descriptor)


def _walk(path: Path, log: str, steps: list[Step]) -> str:
    """Open each folder on the way to a log; returns its name in the last of them."""
    ahead = _parts(str(path))
    links = 0
    _begin(steps)
    while ahead:
        name = ahead.pop(0)
        try:
            status = os.stat(name, dir_fd=steps[-1].descriptor, follow_symlinks=False)
        except FileNotFoundError:
            if not ahead:
                return name
            raise _unreachable(path, log, steps, name, "it is not there") from None
        except OSError as error:
            raise _unreachable(path, log, steps, name, str(error.strerror)) from None
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if not (is_ours(status) and steps[-1].is_roots) or links > _LINKS:
                if not ahead:
                    return name  # the log itself: what stands there is looked at by whoever takes it
                raise _unreachable(path, log, steps, name, "it is a link that root does not own")
            target = os.readlink(name, dir_fd=steps[-1].descriptor)
            ahead[:0] = _parts(target)
            if target.startswith("/"):
                _begin(steps)
            continue
        if not ahead:
            return name
        _enter(path, log, steps, name)
    raise _unreachable(path, log, steps, "", "it is a folder")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _begin(steps: list[Step]) -> None:
    """Begin with the root of all folders."""
    for step in steps:
        os.close(step.descriptor)
    descriptor = os.open("/", os.O_PATH | os.O_DIRECTORY)
    steps[:] = [Step(descriptor, os.fstat(descriptor), "/", True)]


def _enter(path: Path, log: str, steps: list[Step], name: str) -> None:
    if name == "..":
        if len(steps) > 1:
            os.close(steps.pop().descriptor)
        return
    before = steps[-1]
    try:
        descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=before.descriptor)
    except OSError as error:
        raise _unreachable(path, log, steps, name, str(error.strerror)) from None
    # Nobody can replace an entry of a folder that only root writes to, nor root's own entry where the folder is sticky
    status = os.fstat(descriptor)
    kept = not before.status.st_mode & 0o022 or (bool(before.status.st_mode & stat.S_ISVTX) and is_ours(status))
    trusted = before.trusted and is_ours(before.status) and kept
    steps.append(Step(descriptor, status, os.path.join(before.path, name), trusted))


def _unreachable(path: Path, log: str, steps: list[Step], name: str, why: str) -> EdgetallyError:
    where = os.path.join(steps[-1].path, name)
    return EdgetallyError(
        f"{path}, log '{log}', cannot be reached by way of {where} ({why}): correct the log's path, or make the folder"
    )


def _anchor(steps: list[Step], path: Path, log: str, given: str) -> str:
    """The nearest folder upwards from the log that only root can change, on the log's file system."""
    mount = steps[-1].mount
    if given:
        found: list[Step] = []
        try:
            last = _walk(Path(given) / "x", log, found)
            if last and found[-1].is_roots and found[-1].mount == mount:
                return found[-1].path
        finally:
            for step in found:
                os.close(step.descriptor)
        raise EdgetallyError(
            f"{given}, the private folder of log '{log}', is not root's alone, or not on the file system of {path}: "
            "name another one"
        )
    for step in reversed(steps):
        if step.is_roots and step.mount == mount:
            return step.path
    raise EdgetallyError(
        f"{path}, log '{log}', has no folder above it on its file system that only root can change: make one, and name "
        "it as the log's `private`"
    )


def _make(private: Path) -> None:
    """Make the private place, or see that what is there is one."""
    for folder in (private.parent, private):
        with suppress(FileExistsError):
            os.mkdir(folder, PRIVATE_MODE)
            sync_folder(folder.parent)
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or not is_ours(status) or status.st_mode & 0o022:
            raise EdgetallyError(f"{folder} is not a folder of root's alone: remove it")
