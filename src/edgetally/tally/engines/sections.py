"""Logs that name their own fields: each `#Fields:` line of a W3C log begins a section of a format of its own.

Servers write one when they start, and when somebody changes what they log. The lines of a section whose fields make no
bill are rejected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import BinaryIO, Callable, Protocol

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.tally.engines.reference import read_blocks
from edgetally.tally.inputs import DIRECTIVE
from edgetally.tally.result import REJECTS, Tally
from edgetally.tally.running_tally import RunningTally

_MARK = b"#Fields:"
_SECTIONS = re.compile(rb"(?m)^(?=#Fields:)")


class Counter(Protocol):
    """A counter of blocks of whole lines of one format, which have numbers without a gap."""

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None: ...

    def flush(self) -> None: ...


class SectionEngine:
    """Reads files whose sections have formats of their own; what stands before the first is of the format given.

    make_book: makes a book, one for each format, since a book reads a line's key by its format; make_counter: makes
    what counts into it.
    """

    def __init__(
        self,
        fmt: LogFormat,
        make_book: Callable[[LogFormat], RunningTally],
        make_counter: Callable[[LogFormat, RunningTally], Counter],
    ) -> None:
        self._format, self._make_book, self._make_counter = fmt, make_book, make_counter
        self._books = [make_book(fmt)]
        self._book = self._books[0]
        self._given = self._now = make_counter(fmt, self._book)
        self._counters: dict[bytes, Counter] = {}

    def read(self, name: str, stream: BinaryIO) -> int:
        """Count one file; return how many lines it has. name: for the lines that are rejected."""
        self._now = self._given
        lines = read_blocks(name, stream, self.count, self._book)
        for counter in (self._given, *self._counters.values()):
            counter.flush()
        return lines

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Count a block of whole lines, section by section. numbers: each line's number in the file."""
        at = 0
        for part in _SECTIONS.split(block) if _MARK in block else (block,):
            if part.startswith(_MARK):
                self._now = self._counter_of(part.partition(b"\n")[0])
            lines = part.count(b"\n")
            self._now.count(name, part, numbers[at : at + lines])
            at += lines

    def close(self) -> Tally:
        """The finished tally of all sections."""
        total, *others = [book.close() for book in self._books]
        rejects = sorted(reject for part in (total, *others) for reject in part.rejects)
        for part in others:
            total.merge(part)
        total.rejects = rejects[:REJECTS]
        return total

    def _counter_of(self, fields: bytes) -> Counter:
        """The counter for sections with this #Fields: line."""
        if fields not in self._counters:
            self._counters[fields] = self._new_counter(fields.decode("utf-8", "backslashreplace"))
        return self._counters[fields]

    def _new_counter(self, fields: str) -> Counter:
        try:
            fmt = parse_format(fields, "w3c")
            if self._book.spreads:
                fmt.check_spread()
        except EdgetallyError as error:
            return _Refusal(self._book, f"what the log says of itself makes no bill: {error}")
        if fmt.parts == self._format.parts:
            return self._given
        self._books.append(self._make_book(fmt))
        return self._make_counter(fmt, self._books[-1])


class _Refusal:
    """Rejects all lines, for one reason."""

    def __init__(self, book: RunningTally, reason: str) -> None:
        self._book, self._reason = book, reason

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Reject a block of whole lines."""
        for number, text in zip(numbers, block.split(b"\n")):
            if text.strip() and not DIRECTIVE.match(text):
                self._book.reject(name, number, self._reason, text)

    def flush(self) -> None:
        """Do nothing: no line was counted."""
