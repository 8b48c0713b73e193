"""The reference: a format's strict regular expression, line by line.

It decides what a line comes to, and why it does not fit. The kernel leaves to it what it does not like, and where there
is no kernel it counts all lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from edgetally.formats.log_format import LogFormat
from edgetally.tally.inputs import DIRECTIVE, blocks
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import TOO_LONG, RunningTally

_BLOCK = 256 << 10


class ReferenceEngine:
    """Reads files into a book."""

    def __init__(self, fmt: LogFormat, book: RunningTally) -> None:
        self._format, self._book = fmt, book
        pattern, self._key_of, self._size_of = fmt.matcher(book.paths, book.spreads)
        self._match = pattern.fullmatch
        self._add = self._spread if book.spreads else self._count
        self._time_of, self._transfer_of = fmt.time_of, fmt.transfer_of if book.spreads else None

    def read(self, name: str, stream: BinaryIO) -> int:
        """Count one file; return how many lines it has. name: for the lines that are rejected."""
        line = 1
        for block in blocks(stream, _BLOCK):
            if block.too_long:
                self._book.reject(name, line, TOO_LONG, block.data)
                line += 1
            else:
                newlines = block.data.count(b"\n")
                self.count(name, block.data, range(line, line + newlines))
                line += newlines
        return line - 1

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Count a block of whole lines. numbers: each line's number in the file."""
        for number, text, read in zip(numbers, block.split(b"\n"), self._format.blanked(block).split(b"\n")):
            found = self._match(read)
            if found is not None:
                row = found.groups(b"")
                size = self._size_of(row)
                if not self._add(self._key_of(row), 0 if size == b"-" else int(size)):
                    self._book.reject(name, number, "its time is no time", text)
            elif read.strip() and not DIRECTIVE.match(text):
                self._book.reject(name, number, "", text)

    def flush(self) -> None:
        """Do nothing: what is counted is in the book."""

    def close(self) -> Tally:
        """The finished tally."""
        return self._book.close()

    def _count(self, key: tuple[bytes, ...], size: int) -> bool:
        """Book a line. False where its time is no time."""
        time = self._time_of(key[0])
        if time is None:
            return False
        self._book.add(time, key[1:], 1, size)
        return True

    def _spread(self, key: tuple[bytes, ...], size: int) -> bool:
        """The same, spreading its bytes."""
        transfer = self._transfer_of(key[0]) if self._transfer_of else None
        if transfer is None:
            return False
        self._book.spread(*transfer, key[1:], size)
        return True
