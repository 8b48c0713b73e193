"""The live log as it was last seen, and the files beside it: whether another program has been at it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edgetally.edge.renamed import MARK
from edgetally.edge.spool import Spool
from edgetally.edge.streams import Stream
from edgetally.files import FILE_MODE

HEAD_BYTES = 4096
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z")

Beside = tuple[
    tuple[str, int], ...
]  # name and inode of the files beside a log that another rotator may have made of it


class Live(NamedTuple):
    """The live log as it was last seen: with another inode, less, or other content, somebody has been at it.

    head: a digest of its first bytes; empty where it had none.
    """

    dev: int
    inode: int
    size: int
    head: str = ""


NOWHERE = Live(0, 0, 0)


def _siblings(stream: Stream) -> list[os.DirEntry[str]]:
    """Files beside a log that another rotator may have made of it; none where there is no such folder."""
    name = stream.path.name
    with suppress(FileNotFoundError), os.scandir(stream.path.parent) as entries:
        return sorted(
            (
                entry
                for entry in entries
                if entry.name.startswith((f"{name}.", f"{name}-"))
                and MARK not in entry.name
                and stream.path.parent / entry.name not in stream.others
                and entry.is_file(follow_symlinks=False)
            ),
            key=lambda entry: entry.name,
        )
    return []


def beside_log(stream: Stream) -> Beside:
    """The names and inodes of the files beside a log."""
    return tuple((entry.name, entry.inode()) for entry in _siblings(stream))


def rotated_since(stream: Stream, before: Beside | None) -> list[Path]:
    """Files that may hold lines of a live log that nobody has noted: renamed or made since the last rotation.

    before: what lay beside the log then, None where that is not known.
    """
    if before is None:
        return []
    known = set(before)
    return [Path(entry.path) for entry in _siblings(stream) if (entry.name, entry.inode()) not in known]


def note(path: Path, status: os.stat_result) -> Live:
    """What is noted of a live log. status: its own."""
    return Live(status.st_dev, status.st_ino, status.st_size, _head(path, status.st_size))


def _head(path: Path, size: int) -> str:
    """A digest of the first bytes of a file that has so many."""
    import hashlib

    if not size:
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(min(size, HEAD_BYTES))).hexdigest()[:32]


def is_still(known: Live, path: Path) -> bool:
    """Whether a file has all that the log had when it was noted."""
    try:
        return path.stat().st_size >= known.size and (not known.head or _head(path, known.size) == known.head)
    except FileNotFoundError:
        return False


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
