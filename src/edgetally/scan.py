"""What the vector engine sees in a block of bytes: where its lines, runs and gaps are, and what stands in them.

Everything has one element a line, and a line that is not as its layout says is just marked as not right.
"""

from __future__ import annotations

import numpy as np

from edgetally.book import MAX_LINE
from edgetally.buffer import CONTROLS, Buffer
from edgetally.lanes import (
    HIGH_NIBBLES,
    SIX,
    ZEROS,
    Bools,
    Ints,
    Words,
    decimal_before,
    digits_before,
    flags_of,
    kept,
    lowest,
    number,
)
from edgetally.layout import DECIMAL, DIGITS, SIZE, WORD, Gap, Layout, Run

_NEWLINE, _RETURN, _SPACE, _DASH, _BACKSLASH = b"\n\r -\\"
_LONGEST_SEARCH = 512  # bytes, beyond which a gap's end is not looked for
_LONGEST_NUMBER = 15


class Lines:
    """The lines of a block. starts, ends: all of them; rows: those with all anchors of their layout, and no oddity."""

    def __init__(self, buffer: Buffer, size: int, layout: Layout, escapes: bool) -> None:
        self.buffer, self.layout = buffer, layout
        controls, anchors = buffer.noted(size)
        is_newline = buffer.bytes[controls] == _NEWLINE
        clean = bool(is_newline.all())
        newlines = controls if clean else controls[is_newline]
        self.count = newlines.size
        self.starts: Ints = np.empty_like(newlines)
        self.starts[:1], self.starts[1:] = 0, newlines[:-1] + 1
        self.newlines = self.ends = newlines
        odd = np.zeros(0, np.int64)
        if not clean:
            returns = buffer.bytes[np.maximum(newlines - 1, 0)] == _RETURN
            self.ends = newlines - returns
            odd = np.searchsorted(newlines, np.setdiff1d(controls[~is_newline], self.ends[returns]))
        if size > MAX_LINE:
            odd = np.union1d(odd, np.flatnonzero(newlines - self.starts > MAX_LINE))
        self.rows, self.anchors = self._whole(anchors, odd, escapes and buffer.holds(b"\\", size))

    def _whole(self, places: Ints, odd: Ints, escapes: bool) -> tuple[Ints, Ints]:
        """The lines with the right number of anchors and no oddity, and where each of these is, one row an anchor."""
        if escapes and self.layout.anchor == ord('"'):
            places = places[~self._escaped(places)]
        wanted = self.layout.anchors
        if places.size == wanted * self.count and not odd.size:
            table = np.ascontiguousarray(places.reshape(self.count, wanted).T)
            if (table[0] >= self.starts).all() and (table[-1] < self.newlines).all():
                return np.arange(self.count), table
        last = np.searchsorted(places, self.newlines)
        good = np.diff(last, prepend=0) == wanted
        good[odd] = False
        rows = np.flatnonzero(good)
        return rows, places[(last[rows] - wanted) + np.arange(wanted)[:, None]]

    def _escaped(self, places: Ints) -> Bools:
        """Which anchors have an odd number of backslashes before them."""
        escaped: Bools = self.buffer.bytes[places - 1] == _BACKSLASH
        rest, depth = np.flatnonzero(escaped), 2
        while rest.size:
            rest = rest[self.buffer.bytes[places[rest] - depth] == _BACKSLASH]
            escaped[rest] = depth % 2 == 1
            depth += 1
        return escaped


class Scan:
    """The whole lines of a block, and where their runs and gaps are. right: which are as the layout says, so far."""

    def __init__(self, lines: Lines) -> None:
        self.lines, self.buffer, self.layout = lines, lines.buffer, lines.layout
        self.starts, self.ends = lines.starts[lines.rows], lines.ends[lines.rows]
        self.right: Bools = np.ones(lines.rows.size, np.bool_)
        self.runs: list[Ints] = []
        self.lefts: list[Ints] = []
        self.rights: list[Ints] = []

    def find(self, tables: list[bytes | None]) -> None:
        """Find runs and gaps, and look at both. tables: for each gap, which bytes it may not hold."""
        layout = self.layout
        place = self.starts
        for number_, run in enumerate(layout.runs):
            if number_:
                gap, table = layout.gaps[number_ - 1], tables[number_ - 1]
                left = place
                known = self._place_of(run, number_ == len(layout.runs) - 1)
                place = self._end_of(left, gap, table) if known is None else known
                self.right &= place >= left
                self.lefts.append(left)
                self.rights.append(place)
            self.runs.append(place)
            self._check(run, place)
            place = place + len(run.cells) if run.cells else place
        self.right &= place == self.ends

    def _place_of(self, run: Run, last: bool) -> Ints | None:
        """Where a run is that holds an anchor, or ends the line."""
        if run.anchor >= 0:
            return np.asarray(self.lines.anchors[run.anchor] - run.inset)
        return self.ends - len(run.cells) if last else None

    def _check(self, run: Run, place: Ints) -> None:
        for check in run.checks:
            words = self.buffer.words[place + check.offset if check.offset else place]
            if check.mask:
                self.right &= words & np.uint64(check.mask) == check.value
            if check.digits:
                lanes = (words ^ ZEROS) & np.uint64(check.digits)
                self.right &= ((lanes + SIX) | lanes) & HIGH_NIBBLES & np.uint64(check.digits) == 0

    def _end_of(self, left: Ints, gap: Gap, table: bytes | None) -> Ints:
        """Where a gap ends: at its stop, or at the first byte that it may not hold."""
        end: Ints = left.copy()
        rest, place = np.arange(left.size), left
        for _ in range(_LONGEST_SEARCH // 8):
            words = self.buffer.words[place]
            flags = flags_of(words, gap.stop) if table is None else _translated(words, table)
            missed = np.flatnonzero(flags == 0)
            end[rest] = place + lowest(flags)  # right where there is one; the others are set again
            if not missed.size:
                return end
            rest, place = rest[missed], place[missed] + 8
        self.right[rest], end[rest] = False, left[rest]
        return end

    def look(self, tables: list[bytes | None], skip: set[int]) -> None:
        """Look at what stands in the gaps. skip: those that are looked at elsewhere."""
        for place, gap in enumerate(self.layout.gaps):
            left, right, table = self.lefts[place], self.rights[place], tables[place]
            if self.layout.spaced and not gap.padded:
                self.right &= self.buffer.bytes[left] != _SPACE
            if gap.filled:
                self.right &= right > left
            if gap.padded:
                self.right &= right - left <= _LONGEST_NUMBER
            if place in skip:
                continue
            if gap.check == DECIMAL:
                self.right &= self._decimal(left, right)[1]
            elif gap.check in (DIGITS, SIZE) and not gap.padded:
                self.right &= self._digits(left, right)[1]
            elif table is not None and gap.stop < 0:
                self._look_for(table, left, right)

    def _look_for(self, table: bytes, left: Ints, right: Ints) -> None:
        """Mark the lines that hold a byte where they may not. Many a field is one character, such as `-`."""
        length = right - left
        self.right &= (np.frombuffer(table, np.uint8)[self.buffer.bytes[left]] == 0) | (length == 0)
        rest = np.flatnonzero(length > 1)
        left, length = left[rest], length[rest]
        while rest.size:
            words = _translated(self.buffer.words[left], table)
            bad = kept(words, length) != 0
            if bad.any():
                self.right[rest[bad]] = False
            more = np.flatnonzero(length > 8)
            rest, left, length = rest[more], left[more] + 8, length[more] - 8

    def numbers(self, place: int) -> Ints:
        """The numbers that stand in a gap, `-` being 0; what is neither is marked."""
        left, right = self.lefts[place], self.rights[place]
        value, good = self._digits(left, right)
        if not good.all():
            dash = (right - left == 1) & (self.buffer.bytes[left] == _DASH)
            value[dash] = 0
            self.right &= good | dash
        return value

    def microseconds(self, place: int, unit: int) -> Ints:
        """The durations that stand in a gap; what is none, or unusual, is marked. unit: of a whole number."""
        left, right = self.lefts[place], self.rights[place]
        if self.layout.gaps[place].check != DECIMAL:
            value, good = self._digits(left, right)
            self.right &= good & (right > left)
            return value * unit
        lanes, good = self._decimal(left, right)
        self.right &= good
        digits = number(lanes)
        return (digits // 10_000 * 1000 + digits % 10_000) * 1000

    def _digits(self, left: Ints, right: Ints) -> tuple[Ints, Bools]:
        """Whole numbers of at most 15 digits, and whether they are that."""
        length = right - left
        lanes, good = digits_before(self.buffer.before[right], np.clip(length, 0, 8))
        value = number(lanes)
        long = np.flatnonzero(length > 8)
        if long.size:
            lanes, fine = digits_before(self.buffer.before[right[long] - 8], np.minimum(length[long] - 8, 8))
            value[long] += number(lanes) * 10**8
            good[long] &= fine & (length[long] <= _LONGEST_NUMBER)
        return value, good

    def _decimal(self, left: Ints, right: Ints) -> tuple[Words, Bools]:
        """Numbers below 10,000 with three decimals, as lanes, and whether they are that."""
        length = right - left
        lanes, good = decimal_before(self.buffer.before[right], np.clip(length, 0, 8))
        return lanes, good & (length > 4) & (length <= 8)

    def next(self, place: Ints, byte: int, words: int) -> Ints:
        """Where a byte is, from a place on; where it is not among so many words, far behind it."""
        found, rest = place + (1 << 20), np.arange(place.size)
        for _ in range(words):
            flags = flags_of(self.buffer.words[place], byte)
            hit = flags != 0
            found[rest[hit]] = place[hit] + lowest(flags[hit])
            missed = np.flatnonzero(~hit)
            if not missed.size:
                break
            rest, place = rest[missed], place[missed] + 8
        return found


def table_of(gap: Gap, layout: Layout) -> bytes | None:
    """What maps the bytes that a gap may not hold to flags; None where it need not be looked at."""
    seen = {layout.anchor, gap.stop}
    if gap.check in (DECIMAL, WORD) or (gap.check in (DIGITS, SIZE) and not gap.padded):
        return None
    if gap.allowed | seen >= frozenset(range(CONTROLS, 256)):
        return None
    return bytes(0 if byte in gap.allowed else 0x80 for byte in range(256))


def _translated(words: Words, table: bytes) -> Words:
    return np.frombuffer(words.tobytes().translate(table), np.uint64)
