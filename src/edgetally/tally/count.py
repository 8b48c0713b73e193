"""The tally: one pass over access logs, into five-minute slots by channel."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from edgetally.errors import EdgetallyError
from edgetally.formats.log_format import LogFormat
from edgetally.tally.channels import ChannelMap
from edgetally.tally.engines.kernel.engine import KernelEngine, kernel_engine
from edgetally.tally.engines.kernel.load import kernel
from edgetally.tally.engines.reference import ReferenceEngine
from edgetally.tally.inputs import Progress, Watched, cut_of, is_packed, name_of, told_of, unpacked
from edgetally.tally.result import REJECTS, Cut, Tally
from edgetally.tally.running_tally import RunningTally, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Protocol

    from edgetally.tally.inputs import Source

    class Engine(Protocol):
        """An engine: it reads files into a book, which is a RunningTally."""

        def read(self, name: str, stream: BinaryIO) -> int:
            """Count one file; return how many lines it has. name: for the lines that are rejected."""

        def close(self) -> Tally:
            """The finished tally."""


W3C = "w3c"  # the server of formats whose logs name their own fields


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
    rejects: int = REJECTS,
) -> Tally:
    """Count logs of one format.

    files: paths (plain or packed, by content) or open binary files. channels: None makes the line's host its channel,
    or `all` where the format has none. log: the log's name, for the channel rules. since: epoch seconds; lines that end
    in an earlier second are set aside. max_spread: over how many seconds at most the bytes of a transfer are spread, 0
    for the slot of its end alone. engine: auto, kernel or reference; jobs: how many threads count, where no file is
    packed, open already, or in sections; the result depends on neither. progress: is told of bytes when they are read.
    rejects: how many lines that do not fit are kept, each with its reason, which costs more than a line that fits.
    Raises EdgetallyError for a file that cannot be read.
    """
    sources = list(files)
    if max_spread:
        fmt.check_spread()
    new_book = partial(
        RunningTally,
        channels=channels,
        log=log,
        window=window,
        since=since,
        max_spread=max_spread,
        kept_rejects=rejects,
    )
    count = partial(_count, fmt=fmt, new_book=new_book, engine=engine)
    with _without_collector():
        if jobs > 1 and fmt.server != W3C and all(isinstance(one, str) and not is_packed(one) for one in sources):
            from edgetally.tally.jobs import count_ranges

            paths: Any = sources
            return count_ranges(paths, jobs, count, progress)
        return count(sources, progress=progress)[0]


def _count(
    sources: Sequence[Source],
    *,
    fmt: LogFormat,
    new_book: Callable[[LogFormat], RunningTally],
    engine: str,
    progress: Progress | None = None,
) -> tuple[Tally, int]:
    """Count in this thread; say how many lines the last file has."""
    chosen = _engine(fmt, new_book, engine)
    lines, cut = 0, []
    for source in sources:
        name = name_of(source)
        with told_of(name), _opened(source, progress) as stream:
            lines = chosen.read(name, stream)
            if cut_of(stream):
                cut.append(Cut(name, lines, cut_of(stream)))
    result = chosen.close()
    result.cut = cut
    return result, lines


@contextmanager
def _opened(source: Source, progress: Progress | None) -> Iterator[BinaryIO]:
    """A stream that is open already as it is, a file's content unpacked."""
    if isinstance(source, (str, os.PathLike)):
        with Watched(source, progress) if progress else open(source, "rb") as stream:
            yield unpacked(stream)
    else:
        yield source


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
    """An engine by name."""
    counter = partial(_counter, name=name)
    if fmt.server == W3C:
        from edgetally.tally.engines.sections import SectionEngine

        return SectionEngine(fmt, make_book, counter)
    return counter(fmt, make_book(fmt))


def _counter(fmt: LogFormat, book: RunningTally, name: str) -> KernelEngine | ReferenceEngine:
    """What counts lines of one format: the kernel, or the reference where it is not there or cannot read the format."""
    found = kernel() if name != "reference" else None
    if name == "kernel" and found and found.run is None:
        raise EdgetallyError(f"there is no kernel: {found.why}; without --engine the reference counts")
    native = kernel_engine(found.run, fmt, book) if found and found.run else None
    return native or ReferenceEngine(fmt, book)
