"""A tally on several cores: files are cut at lines into ranges, which processes of their own count."""

from __future__ import annotations

import io
import os
import pickle
import signal
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Callable, NamedTuple

from edgetally.errors import EdgetallyError
from edgetally.tally.result import Tally

_LEAST = 8 << 20  # a smaller range is not worth a process


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


def count_ranges(
    paths: Sequence[str], jobs: int, count: Count, progress: Callable[[int], object] | None = None
) -> Tally:
    """Tally plain files with several processes; the result is the same as that of one.

    count: counts streams, and says how many lines the last of these has. progress: is told of the bytes of a range that
    is counted. Raises OSError and EdgetallyError as counting does, and the latter where a process is killed.
    """
    ranges, total = [part for path in paths for part in _cut(path, jobs)], Tally()
    workers = [_Worker(count, ranges[number::jobs]) for number in range(min(jobs, len(ranges)))]
    before = 0  # how many lines of the same file the earlier ranges have
    try:
        for number, part in enumerate(ranges):
            subtotal, lines = workers[number % jobs].result()
            before = before if part.start else 0
            subtotal.rejects = [reject._replace(line=reject.line + before) for reject in subtotal.rejects]
            before += lines
            total.merge(subtotal)
            if progress:
                progress(part.end - part.start)
    finally:
        for worker in workers:
            worker.end()
    return total


class _Worker:
    """A process that counts some ranges. It is forked: nothing has to start anew, and all that it needs is there."""

    def __init__(self, count: Count, ranges: Sequence[Range]) -> None:
        read, write = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                os.close(read)
                with open(write, "wb") as answer:
                    _answer(answer, count, ranges)
            finally:
                os._exit(0)  # nothing of the parent's is to be done twice
        os.close(write)
        self._answer = open(read, "rb")  # noqa: SIM115

    def result(self) -> Found:
        """The tally of its next range, and how many lines that has. Raises what counting it raised."""
        try:
            outcome = pickle.load(self._answer)  # noqa: S301 written by our own process
        except (EOFError, pickle.UnpicklingError):
            raise EdgetallyError(
                "a process of --jobs was killed, perhaps for want of memory: give fewer jobs"
            ) from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        self._answer.close()
        os.kill(self._pid, signal.SIGTERM)  # it has nothing more to do, or what it does is not wanted any more
        os.waitpid(self._pid, 0)


def _answer(answer: BinaryIO, count: Count, ranges: Sequence[Range]) -> None:
    """Count ranges, and write the result of each, or the error that it failed with."""
    for part in ranges:
        try:
            with Slice(part) as stream:
                outcome: object = count([stream])
        except (OSError, EdgetallyError) as error:
            outcome = error
        pickle.dump(outcome, answer, pickle.HIGHEST_PROTOCOL)
        answer.flush()


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
