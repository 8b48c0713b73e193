"""The tally: one pass over access logs, into five-minute slots by channel."""

from __future__ import annotations

import gc
import io
import os
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, Callable, Protocol, Union, cast

from edgetally import start
from edgetally.book import NO_HOST, Book, Reject, Tally, Window
from edgetally.channels import ChannelMap
from edgetally.errors import EdgetallyError
from edgetally.formats import LogFormat
from edgetally.plain import PlainEngine

__all__ = ["ENGINES", "Reject", "Source", "Tally", "Window", "tally", "unpacked"]

ENGINES = ("auto", "numpy", "plain")

W3C = "w3c"  # the server of formats whose logs say themselves what they hold

_GZIP = b"\x1f\x8b"
_PACKED = 8  # about how many times smaller gzip makes a log
_WORTH_NUMPY = 45 << 20  # bytes that the plain engine reads in the time that numpy takes to start

Source = Union[str, "os.PathLike[str]", BinaryIO]
Progress = Callable[[int], object]


class Engine(Protocol):
    """What reads files into a book."""

    def read(self, name: str, stream: BinaryIO) -> int:
        """Count one file; return how many lines it has. name: for the lines that are rejected."""

    def close(self) -> Tally:
        """The finished tally."""


def tally(
    files: Iterable[Source],
    fmt: LogFormat,
    channels: ChannelMap | None,
    *,
    log: str = "",
    window: Window | None = None,
    since: float | None = None,
    max_spread: int = 0,
    engine: str = "auto",
    jobs: int = 1,
    progress: Progress | None = None,
) -> Tally:
    """Count logs of one format.

    files: paths (plain or gzip, by content) or open binary files. channels: None makes the line's host its channel, or
    `all` where the format has none. log: the log's name, for the channel rules. since: epoch seconds; lines that end
    in an earlier second are set aside. max_spread: over how many seconds at most the bytes of a transfer are spread, 0
    for the slot of its end alone. engine: one of ENGINES; jobs: how many processes count, where no file is packed, open
    already, or in sections; the result depends on neither. progress: is told of bytes when they are read. Raises
    EdgetallyError for a file that cannot be read.
    """
    sources = list(files)
    if max_spread:
        fmt.check_spread()
    if engine == "auto":
        engine = "numpy" if _worth_numpy(sources) else "plain"
    count = partial(
        _count, fmt=fmt, channels=channels, log=log, window=window, since=since, max_spread=max_spread, engine=engine
    )
    if jobs > 1 and fmt.server != W3C and all(isinstance(source, str) and not _is_packed(source) for source in sources):
        from edgetally.jobs import count_ranges

        if engine == "numpy":
            start.numpy()
            import edgetally.vector  # noqa: F401 once, and not in each process
        return count_ranges(cast("list[str]", sources), jobs, count, progress)
    return count(sources, progress=progress)[0]


def _count(
    sources: Sequence[Source],
    *,
    fmt: LogFormat,
    channels: ChannelMap | None,
    log: str,
    window: Window | None,
    since: float | None,
    max_spread: int,
    engine: str,
    progress: Progress | None = None,
) -> tuple[Tally, int]:
    """Count in this process; say how many lines the last file has."""
    chosen = _engine(fmt, lambda fmt: Book(fmt, channels, log, window, since, max_spread), engine)
    lines = 0
    for source in sources:
        name = _name_of(source)
        with _told_of(name), _without_collector():
            if isinstance(source, (str, os.PathLike)):
                with _Watched(source, progress) if progress else open(source, "rb") as stream:
                    lines = chosen.read(name, unpacked(stream))
            else:
                lines = chosen.read(name, source)
    return chosen.close(), lines


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let nothing look for circles in millions of matches: there are none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise EdgetallyError(f"{name} cannot be read ({why}): check its path, its mode and its content") from None


class _Watched(io.FileIO):
    """A file that tells how much of it is read."""

    def __init__(self, path: str | os.PathLike[str], progress: Progress) -> None:
        super().__init__(path)
        self._progress = progress

    def readinto(self, buffer: Any) -> int:
        got = super().readinto(buffer)
        self._progress(got)
        return got


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or what it unpacks to where it begins as gzip does."""
    peekable = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
    if peekable.peek(2)[:2] != _GZIP:
        return peekable
    import gzip

    return cast("BinaryIO", gzip.GzipFile(fileobj=peekable))


def _name_of(source: Source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", NO_HOST)
    return name if isinstance(name, str) else NO_HOST


def _engine(fmt: LogFormat, make_book: Callable[[LogFormat], Book], name: str) -> Engine:
    """An engine by name; the plain one where numpy's cannot read the format."""
    if fmt.server == W3C:
        from edgetally.sections import SectionEngine

        return SectionEngine(fmt, make_book)
    book = make_book(fmt)
    if name == "numpy":
        start.numpy()
        from edgetally.vector import vector_engine

        return vector_engine(fmt, book) or PlainEngine(fmt, book)
    return PlainEngine(fmt, book)


def _worth_numpy(sources: Sequence[Source]) -> bool:
    """Whether there is so much to read that numpy's start is worth it, and it is installed."""
    from importlib.util import find_spec

    return sum(map(_size_of, sources)) >= _WORTH_NUMPY and find_spec("numpy") is not None


def _size_of(source: Source) -> float:
    """How much there is to read; of a pipe, without end."""
    if isinstance(source, (str, os.PathLike)):
        with _told_of(os.fspath(source)):
            return os.path.getsize(source) * (_PACKED if _is_packed(source) else 1)
    try:
        status = os.fstat(source.fileno())
    except (AttributeError, OSError, ValueError):  # nothing that the system knows
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else float("inf")


def _is_packed(path: str | os.PathLike[str]) -> bool:
    with _told_of(os.fspath(path)), open(path, "rb") as file:
        return file.read(2) == _GZIP
