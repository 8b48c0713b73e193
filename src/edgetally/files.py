"""Files and folders that are whole after any crash: written aside, synced, and put in place in one step."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from edgetally.errors import EdgetallyError

TEMPORARY = ".tmp"
FILE_MODE = 0o640
FOLDER_MODE = 0o750

_AT_FDCWD = -100
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2


def temporary(path: Path) -> Path:
    """The name under which a file is written before it gets its own."""
    return path.with_name(path.name + TEMPORARY)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and sync it. A failure leaves no file; its OSError names the file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with open(descriptor, "wb") as file:
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


def rename_exclusively(source: Path, target: Path) -> None:
    """Rename a file within its file system, never over another.

    In one step where the kernel and the file system can. Elsewhere the rotate lock makes up for it: nobody else makes
    names of this kind.
    """
    number = _renameat2(source, target, _RENAME_NOREPLACE)
    if number == 0:
        return
    if number == errno.EXDEV:
        raise EdgetallyError(f"{source} lies on another file system than {target.parent}: correct the log's path")
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), str(source), None, str(target))
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(source), None, str(target))
    os.rename(source, target)


def exchange(new: str, old: str) -> None:
    """Let two folders change places in one step; in two where the file system cannot, and where there is none yet."""
    if not os.path.exists(old):
        os.rename(new, old)
    elif _renameat2(new, old, _RENAME_EXCHANGE) != 0:
        aside = f"{new}.old"
        os.rename(old, aside)
        os.rename(new, old)
        shutil.rmtree(aside)


def _renameat2(source: str | Path, target: str | Path, flags: int) -> int:
    """Rename as the flags say. Returns 0, or the error's number: ENOSYS where the C library does not know the call."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return errno.ENOSYS
    if libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return 0
    return ctypes.get_errno() or errno.ENOSYS
