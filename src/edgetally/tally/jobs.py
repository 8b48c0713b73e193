"""A tally on several cores: files are cut at lines into ranges, which threads count: the kernel runs beside Python."""

from __future__ import annotations

import io
import os
from _queue import SimpleQueue
from collections.abc import Callable, Iterator, Sequence
from threading import Thread

from edgetally.record import NamedTuple
from edgetally.tally.result import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LEAST = 8 << 20  # a smaller range is not worth a thread


class Range(NamedTuple):
    """Whole lines of a file: from the byte `start` up to, and without, the byte `end`."""

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


Found = tuple[Tally, int]
Count = Callable[[list[Slice]], Found]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def count_ranges(
    paths: Sequence[str], jobs: int, count: Count, progress: Callable[[int], object] | None = None
) -> Tally:
    """Tally plain files with several threads; the result is the same as that of one.

    count: counts streams, and says how many lines the last of these has. progress: is told of the bytes of a range that
    is counted. Raises what counting raises.
    """
    ranges, total = [part for path in paths for part in _cut(path, jobs)], Tally()
    workers = [_Worker(count, ranges[number::jobs]) for number in range(min(jobs, len(ranges)))]
    before = 0  # how many lines of the same file the earlier ranges have
    for number, part in enumerate(ranges):
        subtotal, lines = workers[number % jobs].result()
        before = before if part.start else 0
        subtotal.rejects = [reject._replace(line=reject.line + before) for reject in subtotal.rejects]
        before += lines
        total.merge(subtotal)
        if progress:
            progress(part.end - part.start)
    return total


class _Worker:
    """A thread that counts some ranges, one after the other."""

    def __init__(self, count: Count, ranges: Sequence[Range]) -> None:
        self._count, self._found = count, SimpleQueue["Found | BaseException"]()
        Thread(target=self._run, args=(ranges,), daemon=True).start()

    def _run(self, ranges: Sequence[Range]) -> None:
        for part in ranges:
            try:
                with Slice(part) as stream:
                    self._found.put(self._count([stream]))
            except BaseException as error:
                self._found.put(error)
                return

    def result(self) -> Found:
        """The tally of its next range, and how many lines that has. Raises what counting it raised."""
        outcome = self._found.get()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


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
