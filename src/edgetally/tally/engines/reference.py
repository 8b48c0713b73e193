"""The reference: a format's strict regular expression, line by line.

It decides what a line comes to, and why it does not fit. The kernel leaves to it what it does not like, and where there
is no kernel it counts all lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from edgetally.formats.log_format import Key, LogFormat
from edgetally.formats.wrapped import unwrapped
from edgetally.limits import SLOT_SECONDS
from edgetally.tally.inputs import blocks
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import TOO_LONG, RunningTally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

_BLOCK = 256 << 10
_CONTROLS = bytes(byte for byte in range(32) if byte != ord("\n"))
_OPEN_KINDS = 20_000
_ONE = 1 << 90  # a line, in a number that has its bytes below that; no log has so many


def read_blocks(
    name: str, stream: BinaryIO, count: Callable[[str, bytes, Sequence[int]], None], book: RunningTally
) -> int:
    """Have the lines of one file counted, block by block; returns how many it has. What is too long is rejected."""
    line = 1
    for block in blocks(stream, _BLOCK):
        if block.too_long:
            book.reject(name, line, TOO_LONG, block.data)
            line += 1
        else:
            newlines = block.data.count(b"\n")
            count(name, block.data, range(line, line + newlines))
            line += newlines
    return line - 1


class ReferenceEngine:
    """Reads files into a book."""

    def __init__(self, fmt: LogFormat, book: RunningTally) -> None:
        self._format, self._book = fmt, book
        self._matcher = fmt.matcher(book.paths, book.spreads)
        self._time_of, self._transfer_of = fmt.time_of, fmt.transfer_of if book.spreads else None
        self._add = self._spread if book.spreads else self._add_up
        self._slot = self._end = 0  # the slot that lines are added up for: by their kind, in one number
        self._kinds: defaultdict[Key, int] = defaultdict(int)
        self._first = self._last = 0.0

    def read(self, name: str, stream: BinaryIO) -> int:
        """Count one file; return how many lines it has. name: for the lines that are rejected."""
        lines = read_blocks(name, stream, self.count, self._book)
        self.flush()
        return lines

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Count a block of whole lines. numbers: each line's number in the file."""
        strict, key_of, size_of = self._matcher.pattern.fullmatch, self._matcher.key_of, self._matcher.size_of
        clean = len(block.translate(None, _CONTROLS)) == len(block)
        fitting = self._matcher.without_controls.fullmatch if clean else strict
        texts, blanked = block.split(b"\n"), self._format.blanked(block)
        for number, text, read in zip(numbers, texts, texts if blanked is block else blanked.split(b"\n")):
            found = fitting(read) or self._otherwise(text, read)
            if found is None:
                self._reject(name, number, text)
                continue
            row = found.groups(b"")
            size = size_of(row)
            if not self._add(key_of(row), int(size) if size != b"-" else 0):
                self._book.reject(name, number, "its time is no time", text)
        if len(self._kinds) > _OPEN_KINDS:
            self.flush()

    def _otherwise(self, text: bytes, read: bytes) -> Any:
        """What fits of a line whose texts hold blanks, or that others put something around."""
        loose = self._matcher.loose
        found = loose.fullmatch(read) if loose else None
        inner = unwrapped(text) if found is None else None
        if inner is None:
            return found
        read = self._format.blanked(inner)
        return self._matcher.pattern.fullmatch(read) or (loose.fullmatch(read) if loose else None)

    def flush(self) -> None:
        """Put all that is counted into the book."""
        for kind, sums in self._kinds.items():
            lines, size = divmod(sums, _ONE)
            self._book.add_to_slot(self._slot, kind, lines, size)
        if self._kinds:
            self._book.saw(self._first, self._last)
        self._kinds.clear()
        self._slot = self._end = 0

    def close(self) -> Tally:
        """The finished tally."""
        return self._book.close()

    def _add_up(self, key: Key, size: int) -> bool:
        """Count a line. False where its time is no time."""
        time = self._time_of(key[0])
        if time is None:
            return False
        if not self._slot <= time < self._end and not self._begin(time):
            self._book.add(time, key[1:], 1, size)
            return True
        self._kinds[key[1:]] += _ONE + size
        if time > self._last:
            self._last = time
        elif time < self._first:
            self._first = time
        return True

    def _begin(self, time: float) -> bool:
        """Begin with another slot. False where the book has to look at each of its lines."""
        self.flush()
        if not self._book.is_whole(time):
            return False
        self._slot = int(time // SLOT_SECONDS * SLOT_SECONDS)
        self._end = self._slot + SLOT_SECONDS
        self._first = self._last = time
        return True

    def _spread(self, key: Key, size: int) -> bool:
        """Count a line, and spread its bytes."""
        transfer = self._transfer_of(key[0]) if self._transfer_of else None
        if transfer is None:
            return False
        self._book.spread(*transfer, key[1:], size)
        return True

    def _reject(self, name: str, number: int, text: bytes) -> None:
        """Reject a line that does not fit, if it is one."""
        if self._format.is_line(text):
            self._book.reject(name, number, "", text)
