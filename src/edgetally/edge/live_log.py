"""The live log as it was last seen: with less in it, or other content, somebody has been at it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edgetally.digest import sha256
from edgetally.edge.spool import Spool
from edgetally.edge.streams import Stream
from edgetally.files import FILE_MODE, birth_of, open_plain
from edgetally.record import NamedTuple

HEAD_BYTES = 4096


class Live(NamedTuple):
    """The live log as it was last seen. head: a digest of its first bytes, empty where it had none.

    birth: when it was made, epoch s, 0 where its file system does not know: an inode's number can come again, with
    another birth.
    """

    dev: int
    inode: int
    size: int
    head: str = ""
    birth: float = 0.0

    def is_same(self, path: Path, birthless: bool = False) -> bool:
        """Whether a file is the one that was noted. birthless: also where its birth was not."""
        status = os.lstat(path)
        if (status.st_dev, status.st_ino) != (self.dev, self.inode):
            return False
        return birthless if not self.birth else self.birth == birth_of(path)

    def is_whole(self, path: Path) -> bool:
        """Whether a file has all that the log had when it was noted."""
        return os.lstat(path).st_size >= self.size and (not self.head or _head(path, self.size) == self.head)


def note(path: Path) -> Live:
    """What is noted of a log. path: its name in the private place."""
    status = os.lstat(path)
    return Live(status.st_dev, status.st_ino, status.st_size, _head(path, status.st_size), birth_of(path) or 0.0)


def _head(path: Path, size: int) -> str:
    """A digest of the first bytes of a file that has so many; empty where its owner lets nobody read, by a lease."""
    if not size:
        return ""
    with suppress(BlockingIOError), open_plain(path) as file:
        return sha256(file.read(min(size, HEAD_BYTES))).hex()[:32]
    return ""


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
