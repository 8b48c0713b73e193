"""The tally: one pass over access logs, into five-minute slots by channel."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, Callable, Protocol, cast

from edgetally import lazy
from edgetally.formats.log_format import LogFormat
from edgetally.tally.channels import ChannelMap
from edgetally.tally.engines.reference import PlainEngine
from edgetally.tally.inputs import Progress, Source, Watched, is_packed, name_of, size_of, told_of, unpacked
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import RunningTally, Window

W3C = "w3c"  # the server of formats whose logs name their own fields
_WORTH_NUMPY = 45 << 20  # bytes that the plain engine reads in the time that numpy takes to start


class Engine(Protocol):
    """An engine: it reads files into a book, which is a RunningTally."""

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
    for the slot of its end alone. engine: auto, numpy or plain; jobs: how many processes count, where no file is
    packed, open already, or in sections; the result depends on neither. progress: is told of bytes when they are read.
    Raises EdgetallyError for a file that cannot be read.
    """
    sources = list(files)
    if max_spread:
        fmt.check_spread()
    if engine == "auto":
        engine = "numpy" if _worth_numpy(sources) else "plain"
    count = partial(
        _count, fmt=fmt, channels=channels, log=log, window=window, since=since, max_spread=max_spread, engine=engine
    )
    if jobs > 1 and fmt.server != W3C and all(isinstance(source, str) and not is_packed(source) for source in sources):
        from edgetally.tally.processes import count_ranges

        if engine == "numpy":
            lazy.numpy()
            import edgetally.tally.engines.numpy.vector  # noqa: F401 once, and not in each process
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
    chosen = _engine(fmt, lambda fmt: RunningTally(fmt, channels, log, window, since, max_spread), engine)
    lines = 0
    for source in sources:
        name = name_of(source)
        with told_of(name), _without_collector():
            if isinstance(source, (str, os.PathLike)):
                with Watched(source, progress) if progress else open(source, "rb") as stream:
                    lines = chosen.read(name, unpacked(stream))
            else:
                lines = chosen.read(name, source)
    return chosen.close(), lines


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switch the garbage collector off: it would look for circles in millions of matches, and there are none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _engine(fmt: LogFormat, make_book: Callable[[LogFormat], RunningTally], name: str) -> Engine:
    """An engine by name; the plain one where numpy's cannot read the format."""
    if fmt.server == W3C:
        from edgetally.tally.engines.sections import SectionEngine

        return SectionEngine(fmt, make_book)
    book = make_book(fmt)
    if name == "numpy":
        lazy.numpy()
        from edgetally.tally.engines.numpy.vector import vector_engine

        return vector_engine(fmt, book) or PlainEngine(fmt, book)
    return PlainEngine(fmt, book)


def _worth_numpy(sources: Sequence[Source]) -> bool:
    """Whether there is so much to read that numpy's start is worth it, and it is installed."""
    from importlib.util import find_spec

    if sum(map(size_of, sources)) < _WORTH_NUMPY:
        return False
    lazy.find_installed()
    return find_spec("numpy") is not None
