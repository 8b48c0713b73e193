"""The engine in plain Python: lines are read in blocks, and counted all at once (`columns`).

What that leaves over is matched with the format's own pattern, which alone decides: what it leaves over is rejected,
and named with its reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import compress
from typing import BinaryIO

from edgetally.formats.log_format import Key, LogFormat
from edgetally.tally.engines.columns import Columns, newlines_in, total
from edgetally.tally.inputs import DIRECTIVE, blocks
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import TOO_LONG, RunningTally

_CONTROLS = [bytes([byte]) for byte in range(32) if byte != ord("\n")]


# Made and dropped once: glibc then keeps so much freed memory and gives none back to the system after each block.
bytes(4 << 20)


_BLOCK = 256 << 10  # at most MAX_LINE: only a line that began in an earlier block can be too long


def _covered(controls: Sequence[bytes], data: bytes) -> bytes:
    """The data with NUL bytes, which no line consists of, in place of the lines that hold one of some bytes."""
    covered = bytearray(data)
    for control in controls:
        place = data.find(control)
        while place >= 0:
            start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
            covered[start:end] = bytes(end - start)
            place = data.find(control, end)
    return bytes(covered)


def _lines_of(gaps: Sequence[bytes], lines: int) -> list[bool]:
    """Which lines of a block the gaps hold."""
    left = []
    for gap in gaps:
        if gap:
            left += [True] * newlines_in(gap)
        left.append(False)
    return left[:lines]


def _some(lines: Sequence[bool], text: bytes) -> bytes:
    """Some lines of a text."""
    return b"".join(line + b"\n" for line in compress(text.split(b"\n"), lines))


class PlainEngine:
    """Reads files into a book."""

    def __init__(self, fmt: LogFormat, book: RunningTally) -> None:
        self._format, self._book = fmt, book
        self._matcher = fmt.matcher(book.paths, book.spreads)
        self._columns = Columns(fmt, book)

    def read(self, name: str, stream: BinaryIO) -> int:
        """Count one file; return how many lines it has. name: for the lines that are rejected."""
        line = 1
        for block in blocks(stream, _BLOCK):
            if block.too_long:
                self._book.reject(name, line, TOO_LONG, block.data)
                line += 1
            else:
                newlines = newlines_in(block.data)
                self.count(name, block.data, range(line, line + newlines))
                line += newlines
        self.flush()
        return line - 1

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Count a block of whole lines. numbers: each line's number in the file."""
        odd = [control for control in _CONTROLS if control in block]
        if b"\r" in odd and b"\r\r\n" not in block:
            block = block.replace(b"\r\n", b"\n")
            odd = [control for control in odd if control in block]
        data = self._format.blanked(block)
        read = _covered(odd, data) if odd else data
        gaps = self._columns.count(read, len(numbers))
        if gaps is None:
            self._count_exactly(name, block, data, numbers)
        elif gaps:
            lines = _lines_of(gaps, len(numbers))
            left, blanked = (b"".join(gaps) if read is text else _some(lines, text) for text in (block, data))
            self._count_exactly(name, left, blanked, list(compress(numbers, lines)))

    def flush(self) -> None:
        """Put all that is counted into the book."""
        self._columns.flush()

    def close(self) -> Tally:
        """The finished tally."""
        return self._book.close()

    def _count_exactly(self, name: str, block: bytes, data: bytes, numbers: Sequence[int]) -> None:
        """Count lines with the format's own pattern, and reject what it does not fit. data: the block, blanked."""
        pattern, key_of, size_of = self._matcher
        rows = pattern.findall(data)
        groups: dict[Key, list[bytes]] = defaultdict(list)
        for key, size in zip(map(key_of, rows), map(size_of, rows)):
            groups[key].append(size)
        timeless = self._add_transfers(groups) if self._book.spreads else self._add(groups)
        if timeless or len(rows) != len(numbers):
            self._reject_rest(name, block, data, numbers, timeless)

    def _add(self, groups: dict[Key, list[bytes]]) -> set[Key]:
        """Book lines by their key, given their sizes; return the keys that cannot be booked: their time is no time."""
        time_of, timeless = self._format.time_of, set()
        for key, sizes in groups.items():
            time = time_of(key[0])
            if time is None:
                timeless.add(key)
            else:
                self._book.add(time, key[1:], len(sizes), total(sizes))
        return timeless

    def _add_transfers(self, groups: dict[Key, list[bytes]]) -> set[Key]:
        """The same, spreading the bytes of each."""
        transfer_of, timeless = self._format.transfer_of, set()
        for key, sizes in groups.items():
            transfer = transfer_of(key[0])
            if transfer is None:
                timeless.add(key)
                continue
            for size in sizes:
                self._book.spread(*transfer, key[1:], total([size]))
        return timeless

    def _reject_rest(self, name: str, block: bytes, data: bytes, numbers: Sequence[int], timeless: set[Key]) -> None:
        """Reject the lines of a block that do not fit the format, or that fit but whose time is no time.

        data: the block as the pattern reads it.
        """
        pattern, key_of, _ = self._matcher
        left = data if timeless else pattern.sub(b"", data)
        for number, text, read in zip(numbers, block.split(b"\n"), left.split(b"\n")):
            if not read.strip():
                continue
            found = pattern.fullmatch(read)
            if found is None:
                if not DIRECTIVE.match(text):
                    self._book.reject(name, number, "", text)
            elif key_of(found.groups(b"")) in timeless:
                self._book.reject(name, number, "its time is no time", text)
