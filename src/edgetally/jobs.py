"""A tally on several cores: files are cut at lines into ranges, which processes of their own count."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any, Callable, NamedTuple

from edgetally.book import REJECTS, Tally
from edgetally.columns import newlines_in
from edgetally.errors import EdgetallyError

_LEAST = 8 << 20  # a smaller range is not worth a process


class Range(NamedTuple):
    """Whole lines of a file, from a byte on to before another."""

    path: str
    start: int
    end: int


class Slice(io.FileIO):
    """A range of a file, as a stream."""

    def __init__(self, part: Range) -> None:
        super().__init__(part.path)
        self.seek(part.start)
        self._left = part.end - part.start

    def readinto(self, buffer: Any) -> int:
        got = super().readinto(memoryview(buffer)[: self._left])
        self._left -= got
        return got

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(self._left if size is None or size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def count_ranges(
    paths: Sequence[str],
    jobs: int,
    count: Callable[[list[Slice]], Tally],
    progress: Callable[[int], object] | None = None,
) -> Tally:
    """Tally plain files with several processes; the result is the same as that of one.

    count: counts streams; it must be possible to send it to another process. progress: is told of the bytes of
    a range that is counted. Raises OSError as reading does, and EdgetallyError where a process is killed.
    """
    ranges, total = [part for path in paths for part in _cut(path, jobs)], Tally()
    with ProcessPoolExecutor(jobs, get_context("fork")) as pool, _told_of_death():
        for part, found in zip(ranges, pool.map(partial(_count_range, count), ranges)):
            if found.rejects:
                before = _lines_before(part)
                found.rejects = [reject._replace(line=reject.line + before) for reject in found.rejects]
            _add(total, found)
            if progress:
                progress(part.end - part.start)
    return total


@contextmanager
def _told_of_death() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise EdgetallyError("a process of --jobs was killed, perhaps for want of memory: give fewer jobs") from None


def _count_range(count: Callable[[list[Slice]], Tally], part: Range) -> Tally:
    with Slice(part) as stream:
        return count([stream])


def _cut(path: str, jobs: int) -> Iterator[Range]:
    """Ranges of about one size, one for each job."""
    size, start = os.path.getsize(path), 0
    step = max(-(-size // jobs), _LEAST)
    with open(path, "rb") as file:
        while start + step < size:
            file.seek(start + step)
            file.readline()
            yield Range(path, start, file.tell())
            start = file.tell()
    yield Range(path, start, size)


def _lines_before(part: Range) -> int:
    with Slice(Range(part.path, 0, part.start)) as stream:
        return sum(map(newlines_in, iter(partial(stream.read, 1 << 20), b"")))


def _add(total: Tally, found: Tally) -> None:
    """Add one tally to another."""
    for name in ("counted", "rejected", "skewed", "clipped", "set_aside", "bytes"):
        setattr(total, name, getattr(total, name) + getattr(found, name))
    total.first = min((time for time in (total.first, found.first) if time is not None), default=None)
    total.last = max((time for time in (total.last, found.last) if time is not None), default=None)
    total.cells.merge(found.cells)
    for host, (requests, size) in found.unassigned_hosts.items():
        before = total.unassigned_hosts.get(host, [0, 0])
        total.unassigned_hosts[host] = [before[0] + requests, before[1] + size]
    total.rejects = [*total.rejects, *found.rejects][:REJECTS]
