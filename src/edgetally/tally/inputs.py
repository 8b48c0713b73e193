"""The input: files, plain or packed, and open streams, read in blocks of whole lines."""

from __future__ import annotations

import io
import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgetally.errors import EdgetallyError
from edgetally.limits import MAX_LINE
from edgetally.record import NamedTuple
from edgetally.tally.packed import SIGN_BYTES, packing_of, unpack
from edgetally.tally.running_tally import NO_HOST, REJECT_TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Union

    Source = Union[str, "os.PathLike[str]", BinaryIO]


class Block(NamedTuple):
    """Some whole lines with their newlines, or the beginning of one line that is too long to be one."""

    data: bytes
    too_long: bool = False


def blocks(stream: BinaryIO, size: int) -> Iterator[Block]:
    """Cut a stream into blocks of whole lines, in bounded memory whatever the lines' length.

    Where what was packed is cut off, a line without its end is not given: it is a part of what is lost.
    """
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
    elif rest and not cut_of(stream):
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
        if cut_of(stream):
            return
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
    """The stream itself, or one of its unpacked content where it begins as a packed one does."""
    raw: Any = stream
    peekable = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(raw)
    packing = packing_of(peekable.peek(SIGN_BYTES))
    if not packing:
        return peekable
    content: Any = unpack(peekable, packing, name_of(stream))
    return content  # type: ignore[no-any-return]


def cut_of(stream: object) -> str:
    """Why the rest of a stream is lost, once it was read; empty where nothing is."""
    return str(getattr(stream, "cut", ""))


def lines(stream: BinaryIO, longest: int) -> Iterator[bytes]:
    """The lines of a stream as `unpacked` gives one, with their ends, or pieces of what is longer than that."""
    reader = io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream
    for line in iter(lambda: reader.readline(longest), b""):
        if line.endswith(b"\n") or not cut_of(stream):
            yield line


def name_of(source: Source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", NO_HOST)
    return name if isinstance(name, str) else NO_HOST


def is_packed(path: str | os.PathLike[str]) -> bool:
    with told_of(os.fspath(path)), open(path, "rb") as file:
        return packing_of(file.read(SIGN_BYTES)) is not None


class Replayed(io.RawIOBase):
    """A stream of which some was read already, from its beginning. cut: as that of the stream."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        super().__init__()
        self._head, self._stream = memoryview(head), stream

    @property
    def cut(self) -> str:
        """Why the rest is lost; empty where nothing is."""
        return cut_of(self._stream)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what was read already, then the stream."""
        if not self._head:
            return self._stream.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
        size = min(len(buffer), len(self._head))
        buffer[:size], self._head = self._head[:size], self._head[size:]
        return size


def replayed(stream: BinaryIO, size: int) -> tuple[BinaryIO, bytes]:
    """A stream that begins where the given one does, and its first bytes, as far as these are whole lines."""
    data, more = b"", b"\n"
    while more and len(data) < size:
        more = stream.read1(size) if isinstance(stream, io.BufferedReader) else stream.read(size)
        data += more
    whole = data[: data.rfind(b"\n") + 1] if more else data
    replay: Any = Replayed(data, stream)
    return replay, whole
