"""The engine in plain Python: lines are read in blocks and matched all at once with the format's pattern.

Equal keys (time, host, cache status) are added up before anything is looked up for them. A line that the pattern leaves
over is rejected, and named with its reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from edgetally.book import MAX_LINE, REJECT_TEXT, TOO_LONG, Book
from edgetally.formats import Key, LogFormat

_BLOCK = 512 << 10  # at most MAX_LINE: only a line that began in an earlier block can be too long
# Of W3C logs, by their names: any other # can be the beginning of a client's text, and is rejected.
_DIRECTIVE = re.compile(rb"#(?:Version|Fields|Software|Date|Start-Date|End-Date|Remark):")


class _Block(NamedTuple):
    """Some whole lines with their newlines, or the beginning of one line that is too long to be one."""

    data: bytes
    too_long: bool = False


def _blocks(stream: BinaryIO, size: int) -> Iterator[_Block]:
    """Cut a stream into blocks of whole lines, in bounded memory whatever the lines' length."""
    rest = b""  # the line that is not finished yet
    head = b""  # the beginning of a line too long, while its end is looked for
    for chunk in iter(lambda: stream.read(size), b""):
        if head:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            yield _Block(head, too_long=True)
            head, chunk = b"", chunk[end + 1 :]
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            rest += chunk
        elif len(rest) + chunk.find(b"\n") > MAX_LINE:
            yield _Block(rest[:REJECT_TEXT], too_long=True)
            yield _Block(chunk[chunk.find(b"\n") + 1 : cut])
            rest = chunk[cut:]
        else:
            yield _Block(rest + chunk[:cut])
            rest = chunk[cut:]
        if len(rest) > MAX_LINE:
            head, rest = rest[:REJECT_TEXT], b""
    if head:
        yield _Block(head, too_long=True)
    elif rest:
        yield _Block(rest + b"\n")


def _total(sizes: list[bytes]) -> int:
    """The sum of sizes as logged; `-` is 0."""
    try:
        return sum(map(int, sizes))
    except ValueError:
        return sum(int(size) for size in sizes if size != b"-")


class PlainEngine:
    """Reads files into a book."""

    def __init__(self, fmt: LogFormat, book: Book) -> None:
        self._format, self._book = fmt, book
        self._matcher = fmt.matcher(book.paths)

    def read(self, name: str, stream: BinaryIO) -> None:
        """Count one file. name: for the lines that are rejected."""
        line = 1
        for block in _blocks(stream, _BLOCK):
            if block.too_long:
                self._book.reject(name, line, TOO_LONG, block.data)
                line += 1
            else:
                newlines = block.data.count(b"\n")
                self.count(name, block.data, range(line, line + newlines))
                line += newlines

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Count a block of whole lines. numbers: each line's number in the file."""
        pattern, key_of, size_of = self._matcher
        data = self._format.blanked(block)
        rows = pattern.findall(data)
        groups: dict[Key, list[bytes]] = defaultdict(list)
        for key, size in zip(map(key_of, rows), map(size_of, rows)):
            groups[key].append(size)
        timeless = self._add(groups)
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
                self._book.add(time, key[1:], len(sizes), _total(sizes))
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
                if not _DIRECTIVE.match(text):
                    self._book.reject(name, number, "", text)
            elif key_of(found.groups(b"")) in timeless:
                self._book.reject(name, number, "its time is no time", text)
