"""The engine in plain Python: lines are read in blocks and matched all at once with the format's pattern.

Equal keys (time, host, cache status) are added up before anything is looked up for them. A line that the pattern leaves
over is rejected, and named with its reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Callable, NamedTuple, cast

from edgetally.book import MAX_LINE, REJECT_TEXT, TOO_LONG, Book
from edgetally.formats import Key, LogFormat, clocks
from edgetally.formats.log_format import Quick, Row

_CONTROLS = [bytes([byte]) for byte in range(32) if byte != ord("\n")]
_MICROSECONDS = 1_000_000
_FRACTION = {"seconds": 4, "ms": 3, "us": 6}  # characters of a duration below a second
_OPEN_SLOTS = 4
_OPEN_KINDS = 10_000
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


def newlines_in(data: bytes) -> int:
    """How many lines end in the data. Of one byte, count() is many times slower than this."""
    return len(data) - len(data.replace(b"\n", b""))


def _total(sizes: list[bytes]) -> int:
    """The sum of sizes as logged; `-` is 0."""
    try:
        return sum(map(int, sizes))
    except ValueError:
        return sum(int(size) for size in sizes if size != b"-")


def _without(bytes_: Sequence[bytes], data: bytes) -> bytes:
    """The data with empty lines in place of those that hold one of some bytes."""
    spans = set()
    for byte in bytes_:
        place = data.find(byte)
        while place >= 0:
            end = data.find(b"\n", place)
            spans.add((data.rfind(b"\n", 0, place) + 1, end))
            place = data.find(byte, end)
    pieces, last = [], 0
    for start, end in sorted(spans):
        pieces.append(data[last:start])
        last = end
    return b"".join([*pieces, data[last:]])


def _duration_reader(fmt: LogFormat) -> Callable[[bytes], int]:
    """What gives a duration in microseconds."""
    kind = fmt.parts[fmt.roles["duration"][0]].kind if fmt.has_duration else "us"
    if kind in ("ms", "us") and fmt.adds_duration:  # digits alone, of every line
        return (lambda text: int(text) * 1000) if kind == "ms" else int
    return clocks.microseconds(kind)


class PlainEngine:
    """Reads files into a book."""

    def __init__(self, fmt: LogFormat, book: Book) -> None:
        self._format, self._book = fmt, book
        self._matcher = fmt.matcher(book.paths, book.spreads)
        self._quick = fmt.quick(book.paths, book.spreads)
        time = fmt.parts[fmt.roles["time"][0]].kind
        self._clock, self._shape = clocks.reader(time), re.compile(clocks.shape(time))
        self._lasted = _duration_reader(fmt)
        self._open: dict[int, dict[Key, list[int]]] = {}
        self._dirty = False  # whether the last block had lines that do not fit

    def read(self, name: str, stream: BinaryIO) -> None:
        """Count one file. name: for the lines that are rejected."""
        line = 1
        for block in _blocks(stream, _BLOCK):
            if block.too_long:
                self._book.reject(name, line, TOO_LONG, block.data)
                line += 1
            else:
                newlines = newlines_in(block.data)
                self.count(name, block.data, range(line, line + newlines))
                line += newlines
        self.flush()

    def count(self, name: str, block: bytes, numbers: Sequence[int]) -> None:
        """Count a block of whole lines. numbers: each line's number in the file."""
        if b"\r\n" in block and b"\r\r\n" not in block:
            block = block.replace(b"\r\n", b"\n")
        data = self._format.blanked(block)
        bad = self._count_quickly(self._quick, data, len(numbers)) if self._quick else None
        if bad is None:
            self._count_exactly(name, block, data, numbers)
        elif bad:
            lines, blanked = block.split(b"\n"), data.split(b"\n")
            left, read = (b"".join(part[row] + b"\n" for row in bad) for part in (lines, blanked))
            self._count_exactly(name, left, read, [numbers[row] for row in bad])

    def _count_quickly(self, quick: Quick, data: bytes, lines: int) -> list[int] | None:
        """Count what fits the faster pattern; return which lines are left. None: nothing was counted."""
        odd = [control for control in _CONTROLS if control in data]
        if odd:
            self._dirty, data = True, _without(odd, data)
        rows = (quick.any_line if self._dirty else quick.pattern).findall(data)
        if len(rows) != lines and not self._dirty:
            self._dirty, rows = True, quick.any_line.findall(data)
        return self._add_rows(quick, rows) if len(rows) == lines else None

    def _add_rows(self, quick: Quick, rows: list[Row]) -> list[int]:
        """Book matches; return which are to be counted exactly: those of no line, of no time, or of one far off."""
        times, bad = list(map(quick.time_of, rows)), []
        places: Sequence[int] = range(len(rows))
        self._dirty = self._dirty and b"" in times
        if self._dirty:
            bad = [place for place in places if not times[place]]
            places = [place for place in places if times[place]]
            rows, times = [rows[place] for place in places], [times[place] for place in places]
        if not rows:
            return bad
        moments = self._moments(quick, rows, times)
        slot = moments.common_slot(self._book)
        if slot is not None:
            self._add_group(quick, slot, rows, moments, range(len(rows)))
            return bad
        by_slot: dict[int | None, list[int]] = defaultdict(list)
        for row, its in enumerate(moments.slots(self._book)):
            by_slot[its].append(row)
        for row in by_slot.pop(None, ()):
            bad.append(places[row])
        for its, chosen in by_slot.items():
            self._add_group(quick, cast(int, its), [rows[row] for row in chosen], moments, chosen)
        return sorted(bad)

    def _add_group(
        self, quick: Quick, slot: int, rows: list[Row], moments: _Texts | _Numbers, places: Sequence[int]
    ) -> None:
        """Book matches of one slot. places: where their times are."""
        if self._book.spreads:
            rows = self._spread(quick, slot, rows, moments, places)
        groups: dict[Key, list[bytes]] = defaultdict(list)
        for kind, size in zip(map(quick.kind_of, rows), map(quick.size_of, rows)):
            groups[kind].append(size)
        sums = self._open.setdefault(slot, {})
        for kind, sizes in groups.items():
            known = sums.get(kind)
            if known is None:
                sums[kind] = [len(sizes), _total(sizes)]
            else:
                known[0] += len(sizes)
                known[1] += _total(sizes)
        if len(self._open) > _OPEN_SLOTS or len(sums) > _OPEN_KINDS:
            self.flush()

    def _spread(
        self, quick: Quick, slot: int, rows: list[Row], moments: _Texts | _Numbers, places: Sequence[int]
    ) -> list[Row]:
        """Book the transfers that began before their slot; return the others. Most are too short to be looked at."""
        lasted = list(map(cast("Callable[[Row], bytes]", quick.duration_of), rows))
        margin = int(moments.first(places) - slot)
        safe = len(str(margin)) - 1 + _FRACTION[quick.duration] if margin else 0
        begun = set()
        for row in [row for row, text in enumerate(lasted) if len(text) > safe]:
            time, took = moments.time(places[row]), self._lasted(lasted[row]) // 1000
            if round(time * _MICROSECONDS) // 1000 - took < slot * 1000:
                self._book.spread(time, took, quick.kind_of(rows[row]), _total([quick.size_of(rows[row])]))
                begun.add(row)
        return [row for place, row in enumerate(rows) if place not in begun] if begun else rows

    def flush(self) -> None:
        """Put all that is counted into the book."""
        for slot, sums in self._open.items():
            for kind, (requests, size) in sums.items():
                self._book.add_to_slot(slot, kind, requests, size)
        self._open.clear()

    def _moments(self, quick: Quick, rows: list[Row], times: list[bytes]) -> _Texts | _Numbers:
        """The times of matches."""
        if self._format.adds_duration:
            starts = {text: self._start(text) for text in set(times)}
            lasted = map(self._lasted, map(cast("Callable[[Row], bytes]", quick.duration_of), rows))
            return _Numbers([starts[text] + took for text, took in zip(times, lasted)], _MICROSECONDS)
        if quick.time == "epoch":
            return _Numbers([int(text.replace(b".", b"")) for text in times], 1000)
        return _Texts({text: self._time(text) for text in set(times)}, times)

    def _time(self, text: bytes) -> float | None:
        """Epoch seconds of a time, if it is one."""
        return self._clock(text) if self._shape.fullmatch(text) else None

    def _start(self, text: bytes) -> int:
        """Epoch microseconds of a transfer's start; far before all times if it is none."""
        time = self._time(text)
        return -(10**18) if time is None else round(time * _MICROSECONDS)

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
                self._book.add(time, key[1:], len(sizes), _total(sizes))
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
                self._book.spread(*transfer, key[1:], _total([size]))
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


class _Texts:
    """Times as texts that come again and again. seconds: of each text the epoch seconds, None for no time."""

    def __init__(self, seconds: dict[bytes, float | None], texts: list[bytes]) -> None:
        self._seconds, self._texts = seconds, texts

    def common_slot(self, book: Book) -> int | None:
        """The slot of all of them, if they have one."""
        times = [time for time in self._seconds.values() if time is not None]
        if len(times) < len(self._seconds):
            return None
        first, last = min(times), max(times)
        slot = book.common_slot(first, last)
        if slot is not None:
            book.saw(first, last)
        return slot

    def time(self, place: int) -> float:
        """Epoch seconds of one."""
        return cast(float, self._seconds[self._texts[place]])

    def first(self, places: Sequence[int]) -> float:
        """The earliest of some."""
        return min(map(self.time, places))

    def slots(self, book: Book) -> list[int | None]:
        """The slot of each, None where the book has to look at the time itself."""
        found: dict[bytes, int | None] = {}
        for text, time in self._seconds.items():
            found[text] = None if time is None else book.common_slot(time, time)
            if time is not None and found[text] is not None:
                book.saw(time, time)
        return [found[text] for text in self._texts]


class _Numbers:
    """Times as numbers, which differ from line to line. unit: how many of them are a second."""

    def __init__(self, values: list[int], unit: int) -> None:
        self._values, self._unit = values, unit

    def common_slot(self, book: Book) -> int | None:
        """The slot of all of them, if they have one."""
        return self._slot(min(self._values), max(self._values), book)

    def _slot(self, first: int, last: int, book: Book) -> int | None:
        low, high = first / self._unit, last / self._unit
        slot = book.common_slot(low, high) if first >= 0 else None
        if slot is not None:
            book.saw(low, high)
        return slot

    def time(self, place: int) -> float:
        """Epoch seconds of one."""
        return self._values[place] / self._unit

    def first(self, places: Sequence[int]) -> float:
        """The earliest of some."""
        return min(map(self._values.__getitem__, places)) / self._unit

    def slots(self, book: Book) -> list[int | None]:
        """The slot of each, None where the book has to look at the time itself."""
        seconds = [value // self._unit for value in self._values]
        bounds: dict[int, tuple[int, int]] = {}
        for second, value in zip(seconds, self._values):
            low, high = bounds.get(second, (value, value))
            bounds[second] = (min(low, value), max(high, value))
        found = {second: self._slot(low, high, book) for second, (low, high) in bounds.items()}
        return [found[second] for second in seconds]
