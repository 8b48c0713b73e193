"""The engine over numpy: thousands of lines at a time, by where their format says that things lie (`layout`, `scan`).

Whatever it does not like in a line it leaves to the plain engine, which alone decides what is rejected. So it counts a
line only if the format's pattern would, and then in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Callable

import numpy as np

from edgetally.formats import clocks
from edgetally.formats.log_format import Key, LogFormat
from edgetally.limits import MAX_LINE, SLOT_SECONDS
from edgetally.tally.engines.numpy.buffer import Buffer
from edgetally.tally.engines.numpy.intern import LONGEST, Interner
from edgetally.tally.engines.numpy.lanes import ZEROS, Ints, Words, number, repeated, true
from edgetally.tally.engines.numpy.layout import ANY, DIGIT, FIXED, WORD, Layout, layout_of
from edgetally.tally.engines.numpy.scan import Lines, Scan, table_of
from edgetally.tally.engines.reference import PlainEngine
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import REJECT_TEXT, TOO_LONG, RunningTally

_BLOCK = 2 << 20
_ROOM = MAX_LINE + _BLOCK  # a line that does not fit is too long
_BIG = 10**10  # bytes of one response: below it the sum of all lines that have room is exact as a float

_MICROSECONDS = 1_000_000
_SLOT = SLOT_SECONDS * _MICROSECONDS
_SLOT_MS = SLOT_SECONDS * 1000
_OPEN_SLOTS = 4
_FEW = 16
_MOST_KINDS = 1 << 18
_CACHED_MINUTES = 10_000
# What a request names its host by, where that follows from the part of it that is looked at.
_TARGET = re.compile(rb"(?:[^ ]+ )?(?:/|https?://[^/?#@ ]+)|CONNECT [^/?#@ ]+(?: HTTP)?")
_SCHEME = 8  # no / ends a host before the end of http:// and one character
_SECONDS = {"clf": 18, "iso": 17}  # where a time's second stands; what is around it changes once a minute
_EPOCH_TAIL = np.uint64(0xFFFFFF00FFFF)  # the second word of an epoch: two digits, a point, and three more
_TWO_LANES = np.uint64(16)
# The number that two characters of a word make, -1 for what are no seconds
_SIXTY = np.full(1 << 16, -1, np.int8)
_SIXTY[[int.from_bytes(b"%02d" % number_, "little") for number_ in range(60)]] = range(60)
_DURATIONS = {"us": 1, "ms": 1000, "seconds": 1_000_000}  # in microseconds


def vector_engine(fmt: LogFormat, book: RunningTally) -> VectorEngine | None:
    """The engine for a format, or None where only the plain one can read it."""
    layout = layout_of(fmt)
    if layout is None:
        return None
    gaps = {gap.part for gap in layout.gaps}
    wanted = [part for role in ("size", "host", "hit") for part in fmt.roles.get(role, ())]
    if fmt.adds_duration or book.spreads:
        wanted += fmt.roles["duration"]
        if fmt.parts[fmt.roles["duration"][0]].kind not in _DURATIONS:
            return None
    timed = any(part == fmt.roles["time"][0] for run in layout.runs for part, _ in run.fields)
    return VectorEngine(fmt, book, layout) if timed and gaps.issuperset(wanted) else None


class VectorEngine:
    """Reads files into a book. Lines whose channel depends on their path are left to the plain engine, too."""

    def __init__(self, fmt: LogFormat, book: RunningTally, layout: Layout) -> None:
        self._format, self._book, self._layout = fmt, book, layout
        self._slow = PlainEngine(fmt, book)
        self._pattern, self._key_of, _ = fmt.matcher()
        self._tables = [table_of(gap, layout) for gap in layout.gaps]
        place = {gap.part: number for number, gap in enumerate(layout.gaps)}
        self._sizes = [place[part] for part in fmt.roles["size"]]
        self._duration = place[fmt.roles["duration"][0]] if fmt.adds_duration or book.spreads else None
        self._unit = _DURATIONS[fmt.parts[fmt.roles["duration"][0]].kind] if self._duration is not None else 0
        time = fmt.roles["time"][0]
        self._clock = _Clock(fmt, layout, time)
        dates = [part for run in layout.runs for part, _ in run.fields if fmt.parts[part].kind in _SECONDS]
        self._dates = [_Clock(fmt, layout, part) for part in dates if part != time]
        for clock in (self._clock, *self._dates):
            layout = clock.looks_at(layout)
        self._layout = layout
        parts = [*fmt.roles.get("host", ()), *fmt.roles.get("hit", ())]
        self._words = [_Word(place[part], fmt.parts[part].kind, layout) for part in parts]
        # Words of few kinds are looked at once for each, too
        self._others = [
            _Word(n, WORD, layout) for n, gap in enumerate(layout.gaps) if gap.check == WORD and gap.part not in parts
        ]
        # Of a request only what names the host is learned, so that the rest of it has to be looked at
        self._skip = {word.place for word in (*self._words, *self._others) if not word.target} | set(self._sizes)
        self._sums = _Sums(book, self._words)
        self._buffer = Buffer(_ROOM, layout.anchor, layout.spaced)

    def read(self, name: str, stream: BinaryIO) -> int:
        """Count one file; return how many lines it has. name: for the lines that are rejected."""
        line = 1
        for size, head in _blocks(stream, self._buffer):
            if head:
                self._book.reject(name, line, TOO_LONG, head)
                line += 1
            else:
                line += self._count(name, line, size)
        self._sums.close()
        self._slow.flush()
        return line - 1

    def close(self) -> Tally:
        """The finished tally."""
        return self._book.close()

    def _count(self, name: str, line: int, size: int) -> int:
        """Count the whole lines at the buffer's beginning; return how many they are."""
        if self._sums.full or any(word.interner.full for word in self._others):
            self._forget()
        lines = Lines(self._buffer, size, self._layout, self._format.escapes)
        scan = Scan(lines)
        tables, odd = self._tables_for(lines)
        scan.find(tables)
        for place, places in odd.items():
            scan.forbid(place, places)
        scan.look(tables, self._skip)
        sizes = sum((scan.numbers(place) for place in self._sizes[1:]), scan.numbers(self._sizes[0]))
        times = self._clock.read(scan)
        for clock in self._dates:  # whether it is one
            clock.read(scan)
        lasted = None if self._duration is None else scan.microseconds(self._duration, self._unit)
        if lasted is not None and self._format.adds_duration:
            times += lasted
        scan.right &= sizes < _BIG
        kinds = [self._find(scan, word) for word in self._words]
        for word in self._others:
            self._find(scan, word)
        left = self._sums.add(scan, times, sizes, kinds, self._clock.whole, lasted if self._book.spreads else None)
        if left.size < lines.count:
            rest = np.ones(lines.count, np.bool_)
            rest[lines.rows[left]] = False
            self._leave(name, line, lines, true(rest))
        return lines.count

    def _tables_for(self, lines: Lines) -> tuple[list[bytes | None], dict[int, Ints]]:
        """With what each gap is to be looked at; or, of what it may not hold, where that is, since it is rare."""
        tables: list[bytes | None] = []
        odd: dict[int, Ints] = {}
        seen: dict[bytes, Ints | None] = {}
        for place, table in enumerate(self._tables):
            rare = table.rare if table is not None else b""
            if rare and rare not in seen:
                seen[rare] = lines.places(rare)
            found = seen.get(rare)
            tables.append(table.flags if table is not None and found is None else None)
            if found is not None and found.size:
                odd[place] = found
        return tables, odd

    def _find(self, scan: Scan, word: _Word) -> Ints:
        """The numbers of the values that a word has in each line; lines with a value that is not known are marked."""
        left, right = word.span(scan)
        numbers, places = word.interner.find(scan.buffer, left, right)
        rows = true((numbers < 0) & scan.right)
        if rows.size > _FEW:  # the first of each kind, and then those who are of the same
            firsts = np.array([*dict(zip(places[rows].tolist()[::-1], rows.tolist()[::-1])).values()])
            self._learn_all(scan, word, firsts, left, right, numbers, places)
            numbers[rows], _ = word.interner.find(scan.buffer, left[rows], right[rows])
            rows = rows[numbers[rows] < 0]
        self._learn_all(scan, word, rows, left, right, numbers, places)
        scan.right &= numbers >= 0
        return numbers

    def _learn_all(
        self, scan: Scan, word: _Word, rows: Ints, left: Ints, right: Ints, numbers: Ints, places: Ints
    ) -> None:
        for row in rows.tolist():
            value = scan.buffer.text(int(left[row]), int(right[row]))
            numbers[row] = self._learn(scan, row, word, value, int(places[row]))

    def _learn(self, scan: Scan, row: int, word: _Word, value: bytes, place: int) -> int:
        """The number of a value not met lately, as the format's pattern reads its line; -1 where it cannot be said."""
        known = word.interner.known(value)
        if known is None:
            if len(value) > LONGEST or (word.target and not _TARGET.fullmatch(value)):
                return -1
            line = scan.buffer.text(int(scan.starts[row]), int(scan.ends[row]))
            found = self._pattern.fullmatch(self._format.blanked(line))
            if found is None:
                return -1
            key = self._key_of(found.groups(b""))
            known = word.number_of(key[1 + self._words.index(word)] if word in self._words else b"")
        word.interner.learn(value, known, place)
        return known

    def _forget(self) -> None:
        """Begin anew with the values: clients can invent them without end."""
        self._sums.close()
        for word in (*self._words, *self._others):
            word.forget()

    def _leave(self, name: str, line: int, lines: Lines, rest: Ints) -> None:
        """Leave lines to the plain engine."""
        for row in rest[(lines.newlines - lines.starts)[rest] > MAX_LINE].tolist():
            start = int(lines.starts[row])
            self._book.reject(name, line + row, TOO_LONG, self._buffer.text(start, start + REJECT_TEXT))
        rows = rest[(lines.newlines - lines.starts)[rest] <= MAX_LINE].tolist()
        texts = [self._buffer.text(int(lines.starts[row]), int(lines.newlines[row]) + 1) for row in rows]
        self._slow.count(name, b"".join(texts), [line + row for row in rows])


def _blocks(stream: BinaryIO, buffer: Buffer) -> Iterator[tuple[int, bytes]]:
    """Fill the buffer with whole lines, and say how many bytes these are; or else how a line too long begins."""
    while buffer.fill(stream, _BLOCK if buffer.filled < _BLOCK else buffer.room):
        size = buffer.end_of_lines()
        if size:
            yield size, b""
        elif buffer.filled == buffer.room:
            yield 0, buffer.text(0, REJECT_TEXT)
            while not (size := buffer.end_of_line()):
                buffer.drop(buffer.filled)
                if not buffer.fill(stream, _BLOCK):
                    break
        buffer.drop(size)
    if buffer.filled:
        buffer.end_line()
        yield buffer.filled, b""
        buffer.drop(buffer.filled)


class _Word:
    """A field with few distinct values, which stand in the keys: its gap, and what was seen of it.

    target: it is a request or a URL, of which only what names the host is looked at.
    """

    def __init__(self, place: int, kind: str, layout: Layout) -> None:
        self.place, self.target = place, kind in ("request", "url")
        self._has_method = kind == "request"
        self._method = place - 1 if place and kind == "url" and layout.runs[place].cells == (ord(" "),) else place
        self.forget()

    def forget(self) -> None:
        """Know nothing."""
        self.interner = Interner()
        self.values: list[bytes] = []
        self._numbers: dict[bytes, int] = {}

    def number_of(self, value: bytes) -> int:
        """The number of what stands in a key."""
        found = self._numbers.setdefault(value, len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found

    def span(self, scan: Scan) -> tuple[Ints, Ints]:
        """What is looked at: from where to where."""
        left, right = scan.lefts[self.place], scan.rights[self.place]
        if not self.target:
            return left, right
        target = np.minimum(scan.next(left, ord(" ")) + 1, right) if self._has_method else left
        left = scan.lefts[self._method]
        short = scan.buffer.bytes[target] == ord("/")
        end = np.where(short, target + 1, right)
        long = true(~short)
        if long.size:
            end[long] = np.minimum(scan.next(target[long] + _SCHEME, ord("/")), right[long])
        return left, end


class _Clock:
    """Reads the times in one field, in microseconds of the epoch. whole: the log has whole seconds."""

    def __init__(self, fmt: LogFormat, layout: Layout, part: int) -> None:
        self._run, self._offset = next(
            (number, offset) for number, run in enumerate(layout.runs) for place, offset in run.fields if place == part
        )
        self._kind, self._time_of = fmt.parts[part].kind, clocks.reader(fmt.parts[part].kind)
        self._shape = re.compile(clocks.shape(self._kind))
        self.whole = self._kind in _SECONDS and not fmt.adds_duration
        self._minutes: dict[bytes, int] = {}
        if self._kind in _SECONDS:
            length, cells = len(FIXED[self._kind]), layout.runs[self._run].cells
            self._whole_run = len(cells) <= 64 and DIGIT not in cells and cells.count(ANY) == length
            if self._whole_run:  # what stands around it is looked at with it
                self._cells, self._from = cells, 0
            else:
                self._cells, self._from = FIXED[self._kind], self._offset
            self._second = self._offset - self._from + _SECONDS[self._kind]
            self._words = 4 if len(self._cells) <= 32 else 8
            kept = [lane < len(self._cells) and lane - self._second not in (0, 1) for lane in range(8 * self._words)]
            self._mask = self._masks = np.frombuffer(bytes(255 * lane for lane in kept), np.uint64)

    def looks_at(self, layout: Layout) -> Layout:
        """The layout without the checks of the run that are made here."""
        if self._kind not in _SECONDS or not self._whole_run:
            return layout
        runs = [run._replace(checks=()) if place == self._run else run for place, run in enumerate(layout.runs)]
        return layout._replace(runs=tuple(runs))

    def read(self, scan: Scan) -> Ints:
        """The times that the log has; what is no time is marked."""
        place = scan.runs[self._run]
        return self._epoch(scan, place) if self._kind == "epoch" else self._calendar(scan, place)

    def _epoch(self, scan: Scan, place: Ints) -> Ints:
        """Ten digits, a point, and three more, of which it is known that they are."""
        words = scan.buffer.at("V16", self._offset)[place].view(np.uint64).reshape(-1, 2)
        tail = (words[:, 1] ^ ZEROS) & _EPOCH_TAIL
        tail <<= _TWO_LANES
        rest = number(tail)
        head = self._of_changes(words[:, 0].copy(), lambda rows: number(words[rows, 0] ^ ZEROS))
        head *= 100 * _MICROSECONDS
        head += rest * 1000
        head -= rest // 10_000 * (10_000_000 - _MICROSECONDS)  # what stands before the point is seconds
        return head

    def _calendar(self, scan: Scan, place: Ints) -> Ints:
        """A time with a date: it is looked up when more than its second changes from one line to the next."""
        if not place.size:
            return place
        each = self._words
        seconds = _SIXTY.take(scan.buffer.at("<u2", self._from + self._second)[place])
        words = scan.buffer.at(f"V{8 * each}", self._from)[place].view(np.uint64)
        if words.size > self._masks.size:
            self._masks = np.concatenate([self._mask] * place.size)
        words &= self._masks[: words.size]
        changed = np.empty(place.size, np.bool_)
        changed[0] = True
        np.not_equal((words[each:] != words[:-each]).view(f"u{each}"), 0, out=changed[1:])
        firsts = true(changed)
        minutes = np.array([self._minute(scan, int(at)) for at in place[firsts]], np.int64)
        spread = minutes if minutes.size == 1 else repeated(minutes, firsts, place.size)
        if seconds.min() < 0 or minutes.min() < 0:
            scan.right &= (seconds >= 0) & (spread >= 0)
        times: Ints = spread + seconds
        times *= _MICROSECONDS
        return times

    @staticmethod
    def _of_changes(words: Words, values: Callable[[Ints], Ints]) -> Ints:
        """A value of each line that is the same as long as a word is. values: gives those of some lines."""
        changed = np.empty(words.size, np.bool_)
        changed[:1] = True
        np.not_equal(words[1:], words[:-1], out=changed[1:])
        firsts = true(changed)
        return repeated(values(firsts), firsts, words.size)

    def _minute(self, scan: Scan, place: int) -> int:
        """Epoch seconds of a time's minute, or -1, also where something else stands around it."""
        place += self._from
        text = scan.buffer.text(place, place + len(self._cells))
        text = text[: self._second] + b"00" + text[self._second + 2 :]
        found = self._minutes.get(text)
        if found is None:
            if len(self._minutes) >= _CACHED_MINUTES:
                self._minutes.clear()
            shown = text[self._second - _SECONDS[self._kind] :][: len(FIXED[self._kind])]
            fits = len(text) == len(self._cells) and all(cell in (ANY, byte) for cell, byte in zip(self._cells, text))
            time = self._time_of(shown) if fits and self._shape.fullmatch(shown) else None
            found = self._minutes[text] = -1 if time is None else int(time)
        return found


class _Sums:
    """Requests and bytes of the slots that lines are counted in right now, by kind, until they go into the book."""

    def __init__(self, book: RunningTally, words: list[_Word]) -> None:
        self._book, self._words = book, words
        self._shape: tuple[int, ...] = ()
        self._slots: dict[int, tuple[Ints, Ints]] = {}

    @property
    def full(self) -> bool:
        """Whether there are too many kinds to add them up side by side."""
        return any(word.interner.full for word in self._words) or _room(self._words) > _MOST_KINDS

    def add(
        self, scan: Scan, times: Ints, sizes: Ints, kinds: list[Ints], whole: bool, lasted: Ints | None = None
    ) -> Ints:
        """Count the lines that are right; return which these are. lasted: for how long bytes are to be spread."""
        rows = true(scan.right)
        if not rows.size:
            return rows
        if rows.size < times.size:
            times, sizes, kinds = times[rows], sizes[rows], [numbers[rows] for numbers in kinds]
        shape = tuple(_power(len(word.values)) for word in self._words)
        if shape != self._shape:
            self.close()
            self._shape = shape
        kind = np.zeros(rows.size, np.int64) if not kinds else kinds[0]
        for numbers, size in zip(kinds[1:], shape[1:]):
            kind = kind * size + numbers
        if self._book.paths:
            asks = np.zeros(_room(self._words), np.bool_)
            for one in true(np.bincount(kind) > 0).tolist():
                asks[one] = self._asks_path(one)
            asked = true(~asks[kind])
            rows, times, sizes, kind = rows[asked], times[asked], sizes[asked], kind[asked]
            if not rows.size:
                return rows
        counted = rows
        if lasted is not None:
            milliseconds, took = times // 1000, lasted[rows] // 1000
            before = milliseconds - took < milliseconds // _SLOT_MS * _SLOT_MS
            for time, one, size, number_ in zip(*(part[before].tolist() for part in (times, took, sizes, kind))):
                self._book.spread(_seconds(time, whole), one, self._key(number_), size)
            times, sizes, kind = (part[~before] for part in (times, sizes, kind))
            if not times.size:
                return counted
        first, last = int(times.min()), int(times.max())
        slots = times // _SLOT if first // _SLOT != last // _SLOT else None
        for slot in [first // _SLOT] if slots is None else sorted(set(slots.tolist())):
            inside = slice(None) if slots is None else true(slots == slot)
            self._add_to(times[inside], sizes[inside], kind[inside], whole)
        return counted

    def _add_to(self, times: Ints, sizes: Ints, kind: Ints, whole: bool) -> None:
        """Count lines whose times lie in one slot."""
        first, last = (_seconds(int(time), whole) for time in (times.min(), times.max()))
        slot = self._book.common_slot(first, last)
        if slot is None:
            for time, size, number_ in zip(times.tolist(), sizes.tolist(), kind.tolist()):
                self._book.add(_seconds(time, whole), self._key(number_), 1, size)
            return
        self._book.saw(first, last)
        room = _room(self._words)
        if slot not in self._slots:
            if len(self._slots) >= _OPEN_SLOTS:
                self._close(next(iter(self._slots)))
            self._slots[slot] = np.zeros(room, np.int64), np.zeros(room, np.int64)
        requests, total = self._slots[slot]
        requests += np.bincount(kind, minlength=room)
        total += np.bincount(kind, sizes, room).astype(np.int64)

    def _asks_path(self, kind: int) -> bool:
        return self._book.asks_path(self._key(kind)[:-1])

    def _key(self, kind: int) -> Key:
        """The part of a key after its time; where channels look at paths, one that none of them needs."""
        values = []
        for word, size in zip(reversed(self._words), reversed(self._shape)):
            kind, number_ = divmod(kind, size)
            values.append(word.values[number_])
        return (*reversed(values), b"") if self._book.paths else tuple(reversed(values))

    def close(self) -> None:
        """Put all sums into the book."""
        for slot in list(self._slots):
            self._close(slot)

    def _close(self, slot: int) -> None:
        requests, total = self._slots.pop(slot)
        for kind in true(requests > 0).tolist():
            self._book.add_to_slot(slot, self._key(kind), int(requests[kind]), int(total[kind]))


def _room(words: list[_Word]) -> int:
    """How many kinds there can be."""
    room = 1
    for word in words:
        room *= _power(len(word.values))
    return room


def _power(count: int) -> int:
    """The next power of two, and at least 16: numbers are added one by one, and rooms are not."""
    return max(16, 1 << (count - 1).bit_length()) if count else 16


def _seconds(time: int, whole: bool) -> float:
    return time // _MICROSECONDS if whole else time / _MICROSECONDS
