"""The input: plain or gzip files and open streams, read in blocks of whole lines."""

from __future__ import annotations

import io
import mmap
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgetally.errors import EdgetallyError
from edgetally.limits import MAX_LINE
from edgetally.record import NamedTuple
from edgetally.tally.running_tally import NO_HOST, REJECT_TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Union

    Source = Union[str, "os.PathLike[str]", BinaryIO]

# The directives of W3C logs, by name. Any other # can be the beginning of a client's text: such a line is rejected.
DIRECTIVE = re.compile(rb"#(?:Version|Fields|Software|Date|Start-Date|End-Date|Remark):")


class Block(NamedTuple):
    """Some whole lines with their newlines, or the beginning of one line that is too long to be one."""

    data: bytes
    too_long: bool = False


def blocks(stream: BinaryIO, size: int) -> Iterator[Block]:
    """Cut a stream into blocks of whole lines, in bounded memory whatever the lines' length."""
    rest = b""  # the line that is not finished yet
    head = b""  # the beginning of a line too long, while its end is looked for
    for chunk in iter(lambda: stream.read(size), b""):
        if head:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            yield Block(head, too_long=True)
            head, chunk = b"", chunk[end + 1 :]
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            rest += chunk
        elif len(rest) + chunk.find(b"\n") > MAX_LINE:
            yield Block(rest[:REJECT_TEXT], too_long=True)
            yield Block(chunk[chunk.find(b"\n") + 1 : cut])
            rest = chunk[cut:]
        else:
            yield Block(b"".join((rest, memoryview(chunk)[:cut])))
            rest = chunk[cut:]
        if len(rest) > MAX_LINE:
            head, rest = rest[:REJECT_TEXT], b""
    if head:
        yield Block(head, too_long=True)
    elif rest:
        yield Block(rest + b"\n")


_BLOCK = 256 << 10  # what is read at once: it stays in a core's cache


class Buffer:
    """Memory that a stream is read into, a block of whole lines at its beginning. room: how much of it is for lines."""

    def __init__(self, memory: mmap.mmap, room: int) -> None:
        self._memory, self._room = memory, room
        self._view = memoryview(memory)

    def blocks(self, stream: BinaryIO) -> Iterator[int]:
        """Read a stream. Yields how many bytes are whole lines; 0 where they are the beginning of a line too long."""
        filled = 0
        while True:
            got = self._read(stream, filled)
            if not got:
                break
            filled += got
            end = self._memory.rfind(b"\n", 0, filled) + 1
            if end:
                yield end
                filled = self._keep(end, filled)
            elif filled == self._room - 1:
                yield 0
                filled = self._after_line(stream)
        if filled and self._memory[filled - 1] != _NEWLINE:
            self._memory[filled] = _NEWLINE
            filled += 1
        if filled:
            yield filled

    def _read(self, stream: BinaryIO, filled: int) -> int:
        """Read up to a block behind what is there."""
        part = self._view[filled : min(filled + _BLOCK, self._room - 1)]
        return stream.readinto(part)  # type: ignore[attr-defined, no-any-return]

    def _keep(self, start: int, end: int) -> int:
        """Move some bytes to the beginning; how many they are."""
        self._memory.move(0, start, end - start)
        return end - start

    def _after_line(self, stream: BinaryIO) -> int:
        """Read up to the end of a line; how many bytes behind it are there then."""
        while True:
            got = self._read(stream, 0)
            end = self._memory.find(b"\n", 0, got) + 1
            if end or not got:
                return self._keep(end, got)


_NEWLINE = ord("\n")
_GZIP = b"\x1f\x8b"
_PACKED = 8  # about how many times smaller gzip makes a log

Progress = Callable[[int], object]


@contextmanager
def told_of(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise EdgetallyError(f"{name} cannot be read ({why}): check its path, its mode and its content") from None


class Watched(io.FileIO):
    """A file that tells how much of it is read."""

    def __init__(self, path: str | os.PathLike[str], progress: Progress) -> None:
        super().__init__(path)
        self._progress = progress

    def readinto(self, buffer: Any) -> int:
        got = super().readinto(buffer)
        self._progress(got)
        return got


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or one of its unpacked content where it begins as gzip does."""
    raw: Any = stream
    peekable = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(raw)
    if peekable.peek(2)[:2] != _GZIP:
        return peekable
    import gzip

    packed: Any = gzip.GzipFile(fileobj=peekable)
    return packed  # type: ignore[no-any-return]


def name_of(source: Source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", NO_HOST)
    return name if isinstance(name, str) else NO_HOST


def size_of(source: Source) -> float:
    """How many bytes there are to read, about; infinite for a pipe."""
    if isinstance(source, (str, os.PathLike)):
        with told_of(os.fspath(source)):
            return os.path.getsize(source) * (_PACKED if is_packed(source) else 1)
    try:
        status = os.fstat(source.fileno())
    except (AttributeError, OSError, ValueError):  # an object in memory, not a file
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else float("inf")


def is_packed(path: str | os.PathLike[str]) -> bool:
    with told_of(os.fspath(path)), open(path, "rb") as file:
        return file.read(2) == _GZIP
