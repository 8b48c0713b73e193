"""Logs that name their own fields: the directives of a W3C log begin a section of a format of its own.

Servers write some when they start, and when somebody changes what they log. The lines of a section whose fields make no
bill are rejected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Callable, Protocol

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.formats.servers.w3c import header
from edgetally.formats.values import DIRECTIVE
from edgetally.tally.engines.reference import read_blocks
from edgetally.tally.result import REJECTS, Tally
from edgetally.tally.running_tally import RunningTally

# The directives that change how the lines below them are read
_MARKS = re.compile(rb"(?m)^#(Fields|Software|Date|GMT-Offset):[ \t]*(.*?)\s*$")
_SECTIONS = re.compile(rb"(?m)^(?=#(?:Fields|Software|Date|GMT-Offset):)")


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
        self._given = make_counter(fmt, self._book)
        self._now: Counter | None = self._given
        self._said: dict[str, str] = {}
        self._counters: dict[str, Counter] = {}

    def read(self, name: str, stream: BinaryIO) -> int:
        """Count one file; return how many lines it has. name: for the lines that are rejected."""
        self._now, self._said = self._given, {}
        lines = read_blocks(name, stream, self.count, self._book)
        for counter in (self._given, *self._counters.values()):
            counter.flush()
        return lines

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Count a block of whole lines, section by section. numbers: each line's number in the file."""
        at = 0
        for part in _SECTIONS.split(block) if b"#" in block else (block,):
            mark = _MARKS.match(part)
            if mark:
                self._said[mark[1].decode()] = mark[2].decode("utf-8", "backslashreplace")
                self._now = None
            lines = part.count(b"\n")
            first = _first_line(part) if self._now is None else part
            if first:
                self._now = self._now or self._counter_of(first)
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

    def _counter_of(self, line: bytes) -> Counter:
        """The counter for the section that begins with this line."""
        if "Fields" not in self._said:
            return self._given
        text = header(self._said, line.decode("utf-8", "backslashreplace"))
        if text not in self._counters:
            self._counters[text] = self._new_counter(text)
        return self._counters[text]

    def _new_counter(self, fields: str) -> Counter:
        try:
            fmt = parse_format(fields, "w3c")
            with suppress(EdgetallyError):  # a section without the field that tells hits is counted without hits
                fmt = fmt.with_hit(self._format.hit_given)
            if self._book.spreads:
                fmt.check_spread()
        except EdgetallyError as error:
            return _Refusal(self._book, f"what the log says of itself makes no bill: {error}")
        if (fmt.parts, fmt.roles) == (self._format.parts, self._format.roles):
            return self._given
        self._books.append(self._make_book(fmt))
        return self._make_counter(fmt, self._books[-1])


def _first_line(part: bytes) -> bytes:
    """The first line that is no directive and not blank; empty for none."""
    return next((line for line in part.split(b"\n") if line.strip() and not DIRECTIVE.match(line)), b"")


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
