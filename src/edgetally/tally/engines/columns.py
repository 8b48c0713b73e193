"""The plain engine's faster way: all lines of a block are matched at once, and added up column by column.

One call of a pattern cuts a block into what does not fit, and the fields of the lines that do; of these every n-th is a
column. What is the same in many lines (a time, a host) is looked at once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from operator import add
from typing import Any, Callable, Union

from edgetally.formats import clocks
from edgetally.formats.log_format import Key, LogFormat, Quick
from edgetally.formats.pattern import SHORT
from edgetally.tally.running_tally import RunningTally

_MICROSECONDS = 1_000_000
# How a duration of whole seconds is written: an earlier text of this length, and a shorter one, are less.
_WHOLE = {"seconds": b"%d.000", "ms": b"%d000", "us": b"%d000000", "ns": b"%d000000000"}
_OPEN_SLOTS = 2
_OPEN_KINDS = 20_000
_ONE = 1 << 90  # a line, in a number that has its bytes below that; no log has so many

# A line's hosts, and its path where that is asked for: one text, or several.
Rest = Union[bytes, tuple[bytes, ...], None]
_Sums = defaultdict[Any, "defaultdict[Any, int]"]  # by the cache's word and the rest: lines and bytes in one number


def newlines_in(data: bytes) -> int:
    """How many lines end in the data. Of one byte, count() is many times slower than this."""
    return len(data) - len(data.replace(b"\n", b""))


def numbers_of(sizes: Sequence[bytes]) -> list[int]:
    """Sizes as logged; `-` is 0."""
    try:
        return list(map(int, sizes))
    except ValueError:
        return [0 if size == b"-" else int(size) for size in sizes]


def total(sizes: Sequence[bytes]) -> int:
    """The sum of sizes as logged."""
    return sum(numbers_of(sizes))


class Columns:
    """Counts blocks of lines into a book."""

    def __init__(self, fmt: LogFormat, book: RunningTally) -> None:
        self._format, self._book = fmt, book
        self._quick: Quick = fmt.quick(book.paths, book.spreads, short=False)
        self._full: Quick | None = None
        self._kind = fmt.parts[fmt.roles["time"][0]].kind
        self._clock, self._shape = clocks.reader(self._kind), re.compile(clocks.shape(self._kind))
        self._duration = fmt.parts[fmt.roles["duration"][0]].kind if self._quick.duration is not None else ""
        self._lasted = _duration_reader(self._duration)
        self._open: dict[int, _Sums] = {}

    def count(self, data: bytes, lines: int) -> list[bytes] | None:
        """Count the lines that fit, of whole ones without control characters.

        Returns the gaps: the lines that are left before each line that was counted, and after the last one. None:
        nothing was counted, since a match went over the end of a line, or a time is none.
        """
        found = self._quick.split(data)
        gaps = found[:: self._quick.groups + 1]
        left = b"".join(gaps) if any(gaps) else b""
        if len(gaps) - 1 + (newlines_in(left) if left else 0) != lines:
            return None
        if len(gaps) > 1 and not self._add(data, found):
            return None
        return gaps if left else []

    def _add(self, data: bytes, found: list[bytes]) -> bool:
        """Add the lines that were found in the data; nothing where a time is none."""
        columns = self._columns(self._quick, found)
        moments = self._moments(columns)
        if moments is None:
            return False
        slot = moments.common_slot(self._book)
        if not self._quick.short and (slot is None or moments.bounds[0] < slot + SHORT):
            self._full = self._full or self._format.quick(self._book.paths, durations=True)
            columns = self._columns(self._full, self._full.split(data))
        table = self._table(columns, moments)
        if slot is not None:
            self._add_slot(slot, table, moments.bounds[0])
            return True
        rows_of: dict[int | None, list[int]] = defaultdict(list)
        for row, slot in enumerate(moments.slots(self._book)):
            rows_of[slot].append(row)
        for slot, rows in rows_of.items():
            if slot is None:
                self._add_singly(table.chosen(rows))
            else:
                self._add_slot(slot, table.chosen(rows), min(map(moments.time, rows)))
        return True

    @staticmethod
    def _columns(quick: Quick, found: list[bytes]) -> list[list[bytes]]:
        """The groups of all lines, one after the other."""
        return [found[group :: quick.groups + 1] for group in range(1, quick.groups + 1)]

    def _table(self, columns: list[list[bytes]], moments: _Moments) -> _Table:
        """The columns that are added up."""
        quick = self._quick
        sizes = numbers_of(columns[quick.sizes[0]])
        for group in quick.sizes[1:]:
            sizes = list(map(add, sizes, numbers_of(columns[group])))
        hits: list[Any] = columns[quick.hit] if quick.hit is not None else [b""] * len(sizes)
        chosen = [*quick.hosts, *(() if quick.path is None else (quick.path,))]
        rests: list[Any] = columns[chosen[0]] if len(chosen) == 1 else list(zip(*(columns[group] for group in chosen)))
        lasted = columns[quick.duration] if quick.duration is not None else []
        return _Table(moments, sizes, hits, rests or [()] * len(sizes), lasted)

    def _add_slot(self, slot: int, table: _Table, first: float) -> None:
        """Add lines of one slot. first: the time of the first of them, or one before that."""
        groups = self._open.get(slot)
        if groups is None:
            if len(self._open) >= _OPEN_SLOTS:
                self.flush()
            groups = self._open[slot] = defaultdict(lambda: defaultdict(int))
        for hit, rest, size in zip(table.hits, table.rests, table.sizes):
            groups[hit][rest] += _ONE + size
        if self._book.spreads and any(table.lasted):
            self._spread(slot, table, first, groups)
        if sum(len(kinds) for groups in self._open.values() for kinds in groups.values()) > _OPEN_KINDS:
            self.flush()

    def _spread(self, slot: int, table: _Table, first: float, groups: _Sums) -> None:
        """Spread the transfers that began before their slot, which has them already."""
        margin = int(first - slot)
        bound = _WHOLE.get(self._duration, b"%d") % margin if margin else b""
        size_of_bound = len(bound)  # most are shorter
        texts = [(row, text) for row, text in enumerate(table.lasted) if text and len(text) >= size_of_bound]
        for row in [row for row, text in texts if len(text) > size_of_bound or text >= bound]:
            time, took = table.moments.time(table.places[row]), self._lasted(table.lasted[row]) // 1000
            if round(time * _MICROSECONDS) // 1000 - took < slot * 1000:
                hit, rest, size = table.hits[row], table.rests[row], table.sizes[row]
                self._book.spread(time, took, self._kind_of(hit, rest), size)
                groups[hit][rest] -= _ONE + size

    def _add_singly(self, table: _Table) -> None:
        """Add lines of which the book has to look at each: outside its window, or before its beginning."""
        for row, (hit, rest, size) in enumerate(zip(table.hits, table.rests, table.sizes)):
            time, kind = table.moments.time(table.places[row]), self._kind_of(hit, rest)
            if self._book.spreads:
                self._book.spread(time, self._lasted(table.lasted[row]) // 1000, kind, size)
            else:
                self._book.add(time, kind, 1, size)

    def _kind_of(self, hit: bytes | None, rest: Rest) -> Key:
        """A kind, as the book wants it. Without a text are the groups of what a line does not have."""
        values = rest if isinstance(rest, tuple) else (rest,)
        hosts = len(self._quick.hosts)
        told = () if self._quick.hit is None else (hit or b"",)
        return (*(value or b"" for value in values[:hosts]), *told, *(value or b"" for value in values[hosts:]))

    def flush(self) -> None:
        """Put all that is counted into the book."""
        for slot, groups in self._open.items():
            for hit, by_rest in groups.items():
                for rest, sums in by_rest.items():
                    lines, size = divmod(sums, _ONE)
                    if lines:
                        self._book.add_to_slot(slot, self._kind_of(hit, rest), lines, size)
        self._open.clear()

    def _moments(self, columns: list[list[bytes]]) -> _Moments | None:
        """The times of lines; None where one is none."""
        times = columns[self._quick.time]
        if self._kind == "epoch" and not self._format.adds_duration:
            return _Epochs(times)
        seconds = {}
        for text in set(times):
            time = self._clock(text) if self._shape.fullmatch(text) else None
            if time is None:
                return None
            seconds[text] = time
        if not self._format.adds_duration:
            return _Texts(seconds, times)
        starts = {text: round(time * _MICROSECONDS) for text, time in seconds.items()}
        lasted = map(self._lasted, columns[self._quick.duration or 0])
        return _Numbers([starts[text] + took for text, took in zip(times, lasted)], _MICROSECONDS)


def _duration_reader(kind: str) -> Callable[[bytes], int]:
    """What gives a duration in microseconds. The faster pattern takes only digits for the two that servers log most."""
    if kind in ("ms", "us"):
        return (lambda text: int(text) * 1000) if kind == "ms" else int
    return clocks.microseconds(kind or "us")


class _Table:
    """Lines, column by column. places: where in the moments the time of each is."""

    def __init__(
        self,
        moments: _Moments,
        sizes: list[int],
        hits: list[Any],
        rests: list[Any],
        lasted: list[bytes],
        places: Sequence[int] = (),
    ) -> None:
        self.moments, self.sizes, self.hits, self.rests, self.lasted = moments, sizes, hits, rests, lasted
        self.places = places or range(len(sizes))

    def chosen(self, rows: Sequence[int]) -> _Table:
        """Some of the lines. A column that the format does not have stays empty."""
        columns: tuple[Sequence[Any], ...] = (self.sizes, self.hits, self.rests, self.lasted, self.places)
        return _Table(self.moments, *([column[row] for row in rows] if column else [] for column in columns))


class _Moments:
    """When the transfers of some lines ended, in epoch seconds."""

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The first and the last of them."""
        raise NotImplementedError

    def common_slot(self, book: RunningTally) -> int | None:
        """The slot of all of them, if they have one."""
        return _slot_of(self.bounds, book)

    def slots(self, book: RunningTally) -> list[int | None]:
        """The slot of each, None where the book has to look at the time itself."""
        raise NotImplementedError

    def time(self, row: int) -> float:
        """One of them."""
        raise NotImplementedError


def _slot_of(bounds: tuple[float, float], book: RunningTally) -> int | None:
    slot = book.common_slot(*bounds)
    if slot is not None:
        book.saw(*bounds)
    return slot


class _Texts(_Moments):
    """Times as texts that come again and again. seconds: of each text the epoch seconds."""

    def __init__(self, seconds: dict[bytes, float], texts: list[bytes]) -> None:
        self._seconds, self._texts = seconds, texts

    @cached_property
    def bounds(self) -> tuple[float, float]:
        return min(self._seconds.values()), max(self._seconds.values())

    def slots(self, book: RunningTally) -> list[int | None]:
        found = {text: _slot_of((time, time), book) for text, time in self._seconds.items()}
        return [found[text] for text in self._texts]

    def time(self, row: int) -> float:
        return self._seconds[self._texts[row]]


class _Numbers(_Moments):
    """Times as numbers, which differ from line to line. unit: how many of them are a second."""

    def __init__(self, values: list[int], unit: int) -> None:
        self._values, self._unit = values, unit

    @cached_property
    def bounds(self) -> tuple[float, float]:
        return min(self._values) / self._unit, max(self._values) / self._unit

    def slots(self, book: RunningTally) -> list[int | None]:
        unit, bounds = self._unit, dict[int, tuple[int, int]]()
        seconds = [value // unit for value in self._values]
        for second, value in zip(seconds, self._values):
            low, high = bounds.get(second, (value, value))
            bounds[second] = (min(low, value), max(high, value))
        found = {second: _slot_of((low / unit, high / unit), book) for second, (low, high) in bounds.items()}
        return [found[second] for second in seconds]

    def time(self, row: int) -> float:
        return self._values[row] / self._unit


class _Epochs(_Moments):
    """Times as texts of ten digits, a dot and three more: the lowest number is the text that sorts first."""

    def __init__(self, texts: list[bytes]) -> None:
        self._texts = texts

    @cached_property
    def bounds(self) -> tuple[float, float]:
        return float(min(self._texts)), float(max(self._texts))

    def slots(self, book: RunningTally) -> list[int | None]:
        return _Numbers([int(text.replace(b".", b"")) for text in self._texts], 1000).slots(book)

    def time(self, row: int) -> float:
        return float(self._texts[row])
