"""The engine over the kernel: it reads files into the kernel's memory, and answers what the kernel asks.

Formats, dates, hosts, hits and rules are decided here, once for each that is new, so that there is one rule for each.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Sequence
from ctypes import addressof, sizeof

from edgetally.errors import EdgetallyError
from edgetally.formats import clocks
from edgetally.formats.log_format import Key, LogFormat
from edgetally.limits import MAX_LINE, SLOT_SECONDS
from edgetally.tally.engines.kernel import structures as k
from edgetally.tally.engines.kernel.load import Count
from edgetally.tally.engines.kernel.memory import Memory
from edgetally.tally.engines.kernel.program import program_of
from edgetally.tally.engines.kernel.rules import Rules
from edgetally.tally.engines.kernel.shared import ClockText, Program
from edgetally.tally.engines.reference import ReferenceEngine
from edgetally.tally.inputs import Buffer
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import REJECT_TEXT, TOO_LONG, Place, RunningTally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_ROOM = MAX_LINE + (512 << 10)  # for a line that began in an earlier block, and for the blocks of the sections' engine
_MICROSECONDS = 1_000_000
_FAR = 1 << 62
_CELL = struct.Struct("<IIII4Q")
_ENTRY = struct.Struct("<QI4H")  # of its beginning
_LEFT = struct.Struct("<QQQ")


def kernel_engine(count: Count, fmt: LogFormat, book: RunningTally) -> KernelEngine | None:
    """The engine for a format; None where the kernel has no instruction for something in it."""
    program = program_of(fmt, book.paths, book.spreads)
    return None if program is None else KernelEngine(count, program, fmt, book)


class KernelEngine:
    """Reads files into a book. count: the kernel's function."""

    def __init__(self, count: Count, program: Program, fmt: LogFormat, book: RunningTally) -> None:
        self._call, self._format, self._book = count, fmt, book
        self._reference: ReferenceEngine | None = None  # its pattern is compiled when a line is left
        self._memory = Memory(_ROOM, program.ops)
        self._buffer = Buffer(self._memory.text, _ROOM)
        self._state: k.State = self._memory.context.state
        self._clocks = [_Clock(text) for text in program.clocks]
        self._rules = Rules(self._memory, _stops(program.options))
        time = fmt.parts[fmt.roles["time"][0]].kind
        self._whole = time in ("clf", "iso") and not fmt.adds_duration
        self._set_state(program)

    def _set_state(self, program: Program) -> None:
        state, book = self._state, self._book
        state.options = program.options | k.ADDS * self._format.adds_duration | k.HITS * self._format.hit_known
        state.options |= k.SPREADS * book.spreads | k.PATHS * book.paths
        state.hosts, state.target = program.hosts, program.target
        state.seed = int.from_bytes(os.urandom(8), "little")  # hosts are the clients' choice
        state.longest = book.longest
        since, early, late = book.bounds
        state.since = -_FAR if since == float("-inf") else int(since) * _MICROSECONDS
        # Near the bounds of the window the reference decides, to which they are no whole microseconds
        state.low = 0 if early <= 0 else int(early * _MICROSECONDS) + 3
        state.high = _FAR if late == float("inf") else int(late * _MICROSECONDS) - 3
        state.first, state.last = _FAR, -_FAR

    def read(self, name: str, stream: BinaryIO) -> int:
        """Count one file; return how many lines it has. name: for the lines that are rejected."""
        line = 1
        for size in self._buffer.blocks(stream):
            if size:
                line = self._run(name, line, size)
            else:
                self._book.reject(name, line, TOO_LONG, self._memory.text[:REJECT_TEXT])
                line += 1
        self.flush()
        return line - 1

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Count a block of whole lines. numbers: each line's number in the file, without a gap."""
        if block:
            self._memory.text[: len(block)] = block
            self._run(name, numbers[0], len(block))

    def close(self) -> Tally:
        """The finished tally."""
        return self._book.close()

    def _run(self, name: str, line: int, size: int) -> int:
        """Count the lines at the buffer's beginning. Returns the number of the next one."""
        state = self._state
        state.pos, state.end, state.line = 0, size, line
        context = addressof(self._memory.context)
        while True:
            answer = self._call(context)
            if state.left and answer in (k.DONE, k.FULL):
                self._count_left(name)
            if answer == k.DONE:
                following: int = state.line
                return following
            if answer != k.FULL:
                self._answer(answer)

    def _answer(self, answer: int) -> None:
        """Do what the kernel stopped for."""
        answers = {
            k.FLUSH: self.flush,
            k.ASK_WORD: self._learn_word,
            k.ASK_MINUTE: self._learn_minute,
            k.ASK_ENTRY: self._learn_entry,
        }
        if answer not in answers:
            raise EdgetallyError("the kernel refuses what it is given, which is a fault of its own: use another engine")
        answers[answer]()

    def _count_left(self, name: str) -> None:
        """Have the reference count the lines that the kernel left."""
        text, lines, numbers = self._memory.text, [], []
        for start, end, line in _LEFT.iter_unpack(self._memory.view("left", self._state.left)):
            if end - start > MAX_LINE:
                self._book.reject(name, line, TOO_LONG, text[start : start + REJECT_TEXT])
            else:
                lines.append(text[start : end + 1])
                numbers.append(line)
        self._state.left = 0
        if lines:
            self._reference = self._reference or ReferenceEngine(self._format, self._book)
            self._reference.count(name, b"".join(lines), numbers)

    # ----------------------------------------------------------------------------------------------------------------
    # What is decided once

    def _learn_word(self) -> None:
        word = self._memory.arrays["words"][self._state.asked]
        at = self._state.asked_at
        word.hit = self._format.is_hit(self._format.blanked(self._memory.text[at : at + word.len]))

    def _learn_minute(self) -> None:
        state = self._state
        clock = self._clocks[state.asked_clock]
        minute = clock.minute(self._memory.text[state.asked_at : state.asked_at + clock.longest])
        self._memory.arrays["minutes"][state.asked].time = -1 if minute is None else minute * _MICROSECONDS

    def _learn_entry(self) -> None:
        place = self._place(self._state.asked)
        if place.rules is not None:
            self._memory.arrays["entries"][self._state.asked].rules = self._rules.group_of(place.rules)

    def _place(self, entry: int) -> Place:
        return self._book.place_of(self._hosts(entry))

    def _hosts(self, number: int) -> Key:
        """The hosts of an entry, as the format's pattern would have found them."""
        _, at, *lengths = _ENTRY.unpack_from(self._memory.raw["entries"], sizeof(k.Entry) * number)
        arena, hosts = self._memory.raw["arena"], []
        for length in lengths[: self._state.hosts]:
            hosts.append(self._format.blanked(arena[at : at + length]))
            at += length
        return tuple(hosts)

    def flush(self) -> None:
        """Put all that is counted into the book."""
        if self._reference:
            self._reference.flush()
        state, book = self._state, self._book
        places: dict[int, Place] = {}
        cells = _CELL.iter_unpack(self._memory.view("cells", state.cells))
        for slot, entry, number, _, misses, hits, missed_bytes, hit_bytes in cells:
            channel = host = ""
            if number != k.NONE:
                channel = self._rules.channels[number]
            else:
                place = places.get(entry) or places.setdefault(entry, self._place(entry))
                channel, host = place.rules.without_path if place.rules else place.channel, place.host
            requests, size = misses + hits, missed_bytes + hit_bytes
            book.add_to_channel(slot * SLOT_SECONDS, channel, host, requests, size, hits, hit_bytes)
        if state.last >= 0:
            book.saw(self._seconds(state.first), self._seconds(state.last))
        book.note(state.aside, state.clipped)
        state.aside = state.clipped = 0
        self._memory.forget()

    def _seconds(self, time: int) -> float:
        return time // _MICROSECONDS if self._whole else time / _MICROSECONDS


class _Clock:
    """Reads the minutes of one kind of time."""

    def __init__(self, text: ClockText) -> None:
        self._read, self._shape = clocks.reader(text.kind), re.compile(clocks.shape(text.kind))
        self._written = text.written
        self.longest = text.written.head + 10 + (6 if text.written.tail is None else text.written.tail)

    def minute(self, text: bytes) -> int | None:
        """The epoch seconds of a time's minute, None where there is no such time. text: begins with the time."""
        found = self._shape.match(text)
        if found is None:
            return None
        at = self._written.seconds
        seconds = self._read(text[:at] + b"00" + text[at + 2 : found.end()])
        return None if seconds is None else int(seconds)


def _stops(options: int) -> str:
    """What no path of a program's has: there it ends."""
    if options & k.OF_TARGET:
        return " ?#"
    return "?" if options & k.OF_URI else ""
