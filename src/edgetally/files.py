"""Files and folders that are whole after any crash: written aside, synced, and put in place in one step."""

from __future__ import annotations

import errno
import os
import stat
import struct
from contextlib import suppress
from pathlib import Path

from edgetally.errors import EdgetallyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

TEMPORARY = ".tmp"
FILE_MODE = 0o640
FOLDER_MODE = 0o750

_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW, _STATX_BTIME = 0x100, 0x800
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2


def temporary(path: Path) -> Path:
    """The name under which a file is written before it gets its own."""
    return path.with_name(path.name + TEMPORARY)


def open_plain(path: Path) -> BinaryIO:
    """Open a file that another may have put there: a plain one, and no link. Raises OSError for all else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no plain file", str(path))


def read_plain(path: Path) -> bytes:
    """What is in a file that another may have put there, as open_plain opens it."""
    with open_plain(path) as file:
        return file.read()


def write_synced(path: Path, data: bytes, owner: tuple[int, int] | None = None) -> None:
    """Write a file anew and sync it. A failure leaves no file; its OSError names the file.

    owner: user and group that it is given to.
    """
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
        with open(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(descriptor, *owner)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, whole."""
    write_synced(temporary(path), data)
    os.rename(temporary(path), path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a rename alone may be undone by a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_exclusively(source: Path | str, target: Path, folder: int = _AT_FDCWD) -> None:
    """Rename a file within its file system, never over another. folder: of a source that is a name, a descriptor.

    In one step where the kernel and the file system can. Elsewhere the rotate lock makes up for it: nobody else makes
    names of this kind.
    """
    number = _renameat2(folder, source, _AT_FDCWD, target, _RENAME_NOREPLACE)
    if number == 0:
        return
    if number == errno.EXDEV:
        raise EdgetallyError(f"{source} lies on another file system than {target.parent}: correct the log's path")
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), str(source), None, str(target))
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(source), None, str(target))
    os.rename(source, target, src_dir_fd=None if folder == _AT_FDCWD else folder)


def exchange_at(path: Path, folder: int, name: str) -> None:
    """Let a file and a name in a folder, a descriptor, change places in one step. Raises OSError where they cannot."""
    number = _renameat2(_AT_FDCWD, path, folder, name, _RENAME_EXCHANGE)
    if number:
        raise OSError(number, os.strerror(number), str(path), None, name)


def exchange(new: str, old: str) -> None:
    """Let two folders change places in one step; in two where the file system cannot, and where there is none yet."""
    if not os.path.exists(old):
        os.rename(new, old)
    elif _renameat2(_AT_FDCWD, new, _AT_FDCWD, old, _RENAME_EXCHANGE) != 0:
        import shutil

        aside = f"{new}.old"
        os.rename(old, aside)
        os.rename(new, old)
        shutil.rmtree(aside)


def _renameat2(folder: int, source: str | Path, other: int, target: str | Path, flags: int) -> int:
    """Rename as the flags say; names begin in the folders, descriptors. Returns 0, or the error's number: ENOSYS where
    the C library does not know the call."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return errno.ENOSYS
    if libc.renameat2(folder, os.fsencode(source), other, os.fsencode(target), flags) == 0:
        return 0
    return ctypes.get_errno() or errno.ENOSYS


def birth_of(path: Path) -> float | None:
    """When a file was made (epoch s), which its owner cannot change; None where that is not known. See statx(2)."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    answer = ctypes.create_string_buffer(256)
    if not hasattr(libc, "statx") or libc.statx(
        _AT_FDCWD, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, answer
    ):
        return None
    (mask,) = struct.unpack_from("=I", answer, 0)
    seconds, nanoseconds = struct.unpack_from("=qI", answer, 80)
    return float(seconds + nanoseconds / 1e9) if mask & _STATX_BTIME else None
