"""What the vector engine sees in a block of bytes: where its lines, runs and gaps are, and what stands in them.

Everything has one element a line, and a line that is not as its layout says is just marked as not right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from edgetally.limits import MAX_LINE
from edgetally.tally.engines.numpy.buffer import CONTROLS, Buffer, Bytes
from edgetally.tally.engines.numpy.lanes import (
    HIGH_NIBBLES,
    SIX,
    ZEROS,
    Bools,
    Ints,
    Words,
    decimal_before,
    digits_before,
    kept,
    lowest_bit,
    number,
    true,
)
from edgetally.tally.engines.numpy.layout import DECIMAL, DIGITS, SIZE, WORD, Check, Gap, Layout, Run

_NEWLINE, _RETURN, _SPACE, _DASH, _BACKSLASH = b"\n\r -\\"
_NARROW, _WIDE = 16, 64  # bytes in which the end of a gap is looked for at once
_LONGEST_SEARCH = 512  # bytes, beyond which it is not looked for
_LONGEST_NUMBER = 15
_VIEWS = {1: "bytes", 4: "halves", 8: "words"}
_RARE = 2  # bytes that a gap may not hold, which are looked for among all
_RARELY = 8  # a block with one of them in more than every n-th line is looked at field by field
# What keeps the first n of 16 flags
_FIRST_OF_16 = np.frombuffer(b"".join(bytes([255] * kept_ + [0] * (16 - kept_)) for kept_ in range(17)), "V16")


class Lines:
    """The lines of a block. starts, newlines, ends: of all of them; rows: those with all anchors, and no oddity.

    An oddity is a control character, or too great a length.
    """

    def __init__(self, buffer: Buffer, size: int, layout: Layout, escapes: bool) -> None:
        self.buffer, self.layout, self._size = buffer, layout, size
        hits = buffer.noted(size)
        bytes_ = buffer.bytes.take(hits)
        if escapes and layout.anchor == ord('"') and self.holds(b"\\"):
            hits, bytes_ = _kept(hits, bytes_, ~self._escaped(hits, bytes_))
        last = true(bytes_ == _NEWLINE)
        self.count = last.size
        self.newlines = self.ends = hits.take(last)
        anchors = int(np.count_nonzero(bytes_ == layout.anchor))
        clean = anchors + self.count == hits.size
        if not clean:
            hits, bytes_, last = self._without_returns(hits, bytes_, last)
        self.starts: Ints = np.empty_like(self.newlines)
        self.starts[:1], self.starts[1:] = 0, self.newlines[:-1] + 1
        self._hits, self._first = hits, last - layout.anchors
        good = last == layout.anchors
        good[1:] = last[1:] - last[:-1] == layout.anchors + 1
        if not clean:
            good[np.searchsorted(last, true((bytes_ != _NEWLINE) & (bytes_ != layout.anchor)))] = False
        if size > MAX_LINE:
            good &= self.newlines - self.starts <= MAX_LINE
        self.rows = true(good)
        self.all = self.rows.size == self.count
        if not self.all:
            self._first = self._first[self.rows]

    def holds(self, byte: bytes) -> bool:
        """Whether a byte is in the block."""
        return self.buffer.holds(byte, self._size)

    def places(self, rare: bytes) -> Ints | None:
        """Where some bytes are in the block; None where they are in many places."""
        found: list[int] = []
        for place in range(len(rare)):
            more = self.buffer.places(rare[place : place + 1], self._size, self.count // _RARELY)
            if more is None:
                return None
            found += more
        return np.array(found, np.int64)

    def anchor(self, number: int) -> Ints:
        """Where one of the anchors is, in each of the rows."""
        if self.all:  # they lie side by side
            table = self._hits.reshape(self.count, self.layout.anchors + 1)
            return np.ascontiguousarray(table[:, number])
        return self._hits.take(self._first + number)

    def _without_returns(self, hits: Ints, bytes_: Bytes, last: Ints) -> tuple[Ints, Bytes, Ints]:
        """What was noted, but for carriage returns that belong to a line's end."""
        before = np.maximum(last - 1, 0)
        returns = (bytes_[before] == _RETURN) & (hits[before] == self.newlines - 1)
        keep = np.ones(hits.size, np.bool_)
        keep[before[returns]] = False
        self.ends = self.newlines - returns
        hits, bytes_ = _kept(hits, bytes_, keep)
        return hits, bytes_, true(bytes_ == _NEWLINE)

    def _escaped(self, places: Ints, bytes_: Bytes) -> Bools:
        """Which anchors have an odd number of backslashes before them."""
        escaped: Bools = self.buffer.bytes[places - 1] == _BACKSLASH
        escaped &= bytes_ == self.layout.anchor
        rest, depth = true(escaped), 2
        while rest.size:
            rest = rest[self.buffer.bytes[places[rest] - depth] == _BACKSLASH]
            escaped[rest] = depth % 2 == 1
            depth += 1
        return escaped


def _kept(hits: Ints, bytes_: Bytes, keep: Bools) -> tuple[Ints, Bytes]:
    return hits[keep], bytes_[keep]


class Scan:
    """The whole lines of a block, and where their runs and gaps are. right: which are as the layout says, so far."""

    def __init__(self, lines: Lines) -> None:
        self.lines, self.buffer, self.layout = lines, lines.buffer, lines.layout
        self.starts = lines.starts if lines.all else lines.starts[lines.rows]
        self.ends = lines.ends if lines.all else lines.ends[lines.rows]
        self.right: Bools = np.ones(lines.rows.size, np.bool_)
        self.runs: list[Ints] = []
        self.lefts: list[Ints] = []
        self.rights: list[Ints] = []

    def find(self, tables: Sequence[bytes | None]) -> None:
        """Find runs and gaps, and look at both. tables: for each gap, which bytes it may not hold."""
        layout, last = self.layout, len(self.layout.runs) - 1
        place = self.starts
        known: Ints | None = None
        for number_, run in enumerate(layout.runs):
            if number_:
                left, known = place, self._place_of(number_)
                gap, table = layout.gaps[number_ - 1], tables[number_ - 1]
                place = self._end_of(left, gap.stop, table) if known is None else known
                self.right &= place >= left
                self.lefts.append(left)
                self.rights.append(place)
            self.runs.append(place)
            if len(run.cells) > 1 or run.anchor >= 0 or not number_ or known is not None or tables[number_ - 1]:
                self._check(run, place)  # of others it is known already
            place = place + len(run.cells) if run.cells else place
        if layout.runs[last].anchor >= 0 or not last:
            self.right &= place == self.ends
        self._forget_wrong()

    def forbid(self, place: int, odd: Ints) -> None:
        """Mark the lines of which a gap holds one of some places."""
        rows = np.searchsorted(self.starts, odd, "right") - 1
        rows, odd = rows[rows >= 0], odd[rows >= 0]
        inside = (odd >= self.lefts[place][rows]) & (odd < self.rights[place][rows])
        self.right[rows[inside]] = False

    def _forget_wrong(self) -> None:
        """Put the parts of lines that are not right at places that can be looked at, whatever was found of them."""
        wrong = true(~self.right)
        if wrong.size:
            for places in (self.runs, self.lefts, self.rights):
                for number_, place in enumerate(places):
                    places[number_] = place = place.copy()
                    place[wrong] = 0

    def _place_of(self, number_: int) -> Ints | None:
        """Where a run is that holds an anchor, or ends the line."""
        run = self.layout.runs[number_]
        if run.anchor >= 0:
            anchors = self.lines.anchor(run.anchor)
            return np.asarray(anchors - run.inset) if run.inset else anchors
        if number_ < len(self.layout.runs) - 1:
            return None
        return self.ends - len(run.cells) if run.cells else self.ends

    def _check(self, run: Run, place: Ints) -> None:
        for check in run.checks:
            self.right &= self._fits(check, place)

    def _fits(self, check: Check, place: Ints) -> Bools:
        """Whether some bytes of a run are what they should be."""
        view: np.ndarray[Any, Any] = getattr(self.buffer, _VIEWS[check.width])
        type_ = view.dtype.type
        found = view[check.offset :][place]
        if not check.digits:
            whole = 8 * check.width == check.mask.bit_length() and check.mask & (check.mask + 1) == 0
            return np.asarray((found if whole else found & type_(check.mask)) == type_(check.value))
        lanes = found ^ type_(int(ZEROS) & check.digits | check.value)
        odd = lanes + type_(int(SIX) & check.digits)
        odd |= lanes
        odd &= type_(int(HIGH_NIBBLES) & check.digits | check.mask)
        return np.asarray(odd == 0)

    def _end_of(self, left: Ints, stop: int, table: bytes | None) -> Ints:
        """The first place from left on where a byte is that ends a gap: its stop, or one that it may not hold."""
        offsets, rest = self._first(left, stop, table, _NARROW)
        end, place = left + offsets, left[rest] + _NARROW
        for _ in range(_LONGEST_SEARCH // _WIDE):
            if not rest.size:
                return end
            offsets, missed = self._first(place, stop, table, _WIDE)
            end[rest] = place + offsets
            rest, place = rest[missed], place[missed] + _WIDE
        self.right[rest], end[rest] = False, left[rest]
        return end

    def _first(self, place: Ints, stop: int, table: bytes | None, width: int) -> tuple[Ints, Ints]:
        """How far from each place the first byte is that ends a gap, within so many; and which places have none."""
        seen = self.buffer.at(f"V{width}")[place]
        if table is None:
            ending = seen.view(np.uint8) == np.uint8(stop)
        else:
            ending = np.frombuffer(seen.tobytes().translate(table), np.uint8)
        bits = np.packbits(ending, bitorder="little").view(f"u{width // 8}")
        return lowest_bit(bits), true(bits == 0)

    def look(self, tables: Sequence[bytes | None], skip: set[int]) -> None:
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
        rest = true(length > 1)
        if rest.size * 4 < length.size:
            self.right &= (np.frombuffer(table, np.uint8)[self.buffer.bytes[left]] == 0) | (length <= 0)
            left, length = left[rest], length[rest]
        else:
            flags = _translated(self.buffer.at("V16")[left], table)
            flags = flags & _FIRST_OF_16.take(length, mode="clip").view(np.uint64)
            if flags.any():
                self.right &= flags[::2] | flags[1::2] == 0
            rest = true(length > 16)
            left, length = left[rest] + 16, length[rest] - 16
        while rest.size:
            words = _translated(self.buffer.words[left], table)
            bad = kept(words, length) != 0
            if bad.any():
                self.right[rest[bad]] = False
            more = true(length > 8)
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
        lanes, good = digits_before(self.buffer.before[right], length)
        value = number(lanes)
        long = true(length > 8)
        if long.size:
            right, length = right[long], length[long]
            lanes, good[long] = digits_before(self.buffer.before[right], np.full(long.size, 8))
            value[long] = number(lanes)
            lanes, fine = digits_before(self.buffer.before[right - 8], np.minimum(length - 8, 8))
            value[long] += number(lanes) * 10**8
            good[long] &= fine & (length <= _LONGEST_NUMBER)
        return value, good

    def _decimal(self, left: Ints, right: Ints) -> tuple[Words, Bools]:
        """Numbers below 10,000 with three decimals, as lanes, and whether they are that."""
        length = right - left
        lanes, good = decimal_before(self.buffer.before[right], length)
        good &= length > 4
        good &= length <= 8
        return lanes, good

    def next(self, place: Ints, byte: int) -> Ints:
        """Where a byte is, from a place on; where it is not within 64, far behind it."""
        offsets, missed = self._first(place, byte, None, _WIDE)
        offsets[missed] = 1 << 20
        offsets += place
        return offsets


class Table(NamedTuple):
    """What maps the bytes that a gap may not hold to flags. rare: these are all of them, if they are few."""

    flags: bytes
    rare: bytes


def table_of(gap: Gap, layout: Layout) -> Table | None:
    """What the bytes of a gap are looked up in; None where they need not be looked at."""
    if gap.check in (DECIMAL, WORD) or (gap.check in (DIGITS, SIZE) and not gap.padded):
        return None
    never = frozenset(range(CONTROLS, 256)) - gap.allowed - {layout.anchor, gap.stop}
    if not never:
        return None
    rare = bytes(never) if len(never) <= _RARE and (gap.stop < 0 or gap.stop not in gap.allowed) else b""
    return Table(bytes(0 if byte in gap.allowed else 0x80 for byte in range(256)), rare)


def _translated(words: np.ndarray[Any, Any], table: bytes) -> Words:
    return np.frombuffer(words.tobytes().translate(table), np.uint64)
