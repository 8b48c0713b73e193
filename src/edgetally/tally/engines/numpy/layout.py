"""How the lines of a format lie in memory: what the vector engine needs to read thousands of them at once.

A line is a row of runs and gaps. A run is text whose length is always the same: literals, and fields such as a status
or a time. A gap is a field of any length between two runs. Runs that hold an anchor, a character that no field can
hold, are found at once in all lines; the others follow the gap before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Part, pattern_of

# A run's characters are their bytes, or one of these: what is looked at elsewhere, and any digit.
ANY, DIGIT = -1, -2
# Fields of one length, as nearly all lines have them. A line with another form is left to the format's pattern.
FIXED: dict[str, tuple[int, ...]] = {
    "status": (DIGIT,) * 3,
    "clf": (ANY,) * 26,
    "iso": (ANY,) * 25,
    "epoch": (*(DIGIT,) * 10, ord("."), *(DIGIT,) * 3),
}
SIZE, DIGITS, DECIMAL, WORD, TEXT = "size", "digits", "decimal", "word", "text"
_CHECKS = {
    "size": SIZE,
    "seconds": DECIMAL,
    **dict.fromkeys(("number", "flag", "ms", "us", "ns", "signed", "counter"), DIGITS),
    **dict.fromkeys(("cache", "squid_code", "squid_peer"), WORD),
    **dict.fromkeys(("address", "word", "token", "path", "text", "user", "host", "url", "request", "uri"), TEXT),
}
_SPACE = ord(" ")
_LANES = 8


class Check(NamedTuple):
    """What up to eight bytes of a run must be: where they begin in it, which bits count, what these are, which are
    digits, and how many bytes are to be fetched for that.
    """

    offset: int
    mask: int
    value: int
    digits: int
    width: int


class Run(NamedTuple):
    """Text of one length. anchor: which of a line's anchors it holds first, and inset: how far in; -1 for none.

    fields: (part, offset) of those in it.
    """

    cells: tuple[int, ...]
    fields: tuple[tuple[int, int], ...]
    anchor: int
    inset: int
    checks: tuple[Check, ...]


class Gap(NamedTuple):
    """A field of any length. check: how it is looked at; allowed: the bytes that it may hold; filled: at least one.

    padded: spaces may stand before it. stop: the byte that ends it where the run after it holds no anchor, else -1.
    """

    part: int
    check: str
    allowed: frozenset[int]
    filled: bool
    padded: bool
    stop: int = -1


class Layout(NamedTuple):
    """A line: runs[0], gaps[0], runs[1] and so on to runs[-1]. anchor: the byte; anchors: how many a line has.

    spaced: the anchor is a space, and several side by side count as one.
    """

    anchor: int
    anchors: int
    spaced: bool
    runs: tuple[Run, ...]
    gaps: tuple[Gap, ...]


def layout_of(fmt: LogFormat) -> Layout | None:
    """The layout of a format's lines, or None where only its pattern can read them."""
    literals = "".join(part.name for part in fmt.parts if part.kind in ("literal", "squid_type"))
    anchor = '"' if '"' in literals else max(" \t,|;", key=literals.count)
    if anchor not in literals or not literals.isascii():
        return None
    runs: list[tuple[list[int], list[tuple[int, int]]]] = [([], [])]
    gaps: list[Gap] = []
    padded = False
    for number, part in enumerate(fmt.parts):
        cells, fields = runs[-1]
        if part.kind == "literal":
            cells.extend(part.name.encode())
        elif part.kind in FIXED:
            fields.append((number, len(cells)))
            cells.extend(FIXED[part.kind])
        elif part.kind == "pad" and anchor == " ":
            padded = True
        else:
            if part.kind == "squid_type":  # it may be missing; few servers' lines do
                cells.append(_SPACE)
                part = Part(part.name, "token")
            gap = _gap(number, part, padded)
            if gap is None or (gaps and not cells):
                return None
            gaps.append(gap)
            runs.append(([], []))
            padded = False
    return None if padded else _anchored(ord(anchor), runs, gaps)


def _checks(cells: Sequence[int]) -> Iterator[Check]:
    """The fewest words that look at every character of a run that is not known."""
    place = 0
    while place < len(cells):
        if cells[place] == ANY:
            place += 1
            continue
        lanes = [(lane, cell) for lane, cell in enumerate(cells[place : place + _LANES]) if cell != ANY]
        mask = sum(0xFF << 8 * lane for lane, cell in lanes if cell >= 0)
        value = sum(cell << 8 * lane for lane, cell in lanes if cell >= 0)
        digits = sum(0xFF << 8 * lane for lane, cell in lanes if cell == DIGIT)
        width = next(width for width in (1, 4, _LANES) if lanes[-1][0] < width)
        yield Check(place, mask, value, digits, width)
        place += _LANES


def _gap(number: int, part: Part, padded: bool) -> Gap | None:
    """A field as a gap, or None where its kind has no check here."""
    check = _CHECKS.get(part.kind)
    if check is None or (padded and check != DIGITS):
        return None
    bytes_of = re.compile(pattern_of(part, ()))
    if check in (SIZE, DIGITS, DECIMAL):
        allowed = frozenset(b"0123456789" + (b"." if check == DECIMAL else b"") + (b" " if padded else b""))
    else:
        allowed = frozenset(
            byte for byte in range(256) if bytes_of.fullmatch(b"A" * (check == WORD) + bytes([byte]) * 2)
        )
        allowed -= frozenset(b'["') if part.kind == "user" else frozenset()  # it may hold them in some places only
    filled = check in (SIZE, DECIMAL) or bytes_of.fullmatch(b"") is None
    return Gap(number, check, allowed, filled, padded)


def _tells(stop: int, before: Gap, after: Gap, following: Sequence[int], anchor: int) -> bool:
    """Whether the first `stop` is where a gap ends, however the pattern might cut what it and the next one hold."""
    if stop < 0:
        return False
    if stop not in before.allowed:
        return True
    return stop not in after.allowed and not (set(following) - {anchor}) & before.allowed


def _anchored(
    anchor: int, runs: Sequence[tuple[list[int], list[tuple[int, int]]]], gaps: Sequence[Gap]
) -> Layout | None:
    """Say of every run which anchors it holds, and of the gaps before those without one what ends them."""
    placed, known, count = [], [], 0
    for number, (cells, fields) in enumerate(runs):
        inset = cells.index(anchor) if anchor in cells else -1
        # But for the first, the run is found by its anchor
        unknown = [ANY if place == inset and number else cell for place, cell in enumerate(cells)]
        placed.append(Run(tuple(cells), tuple(fields), count if inset >= 0 else -1, inset, tuple(_checks(unknown))))
        count += cells.count(anchor)
        if number and inset < 0 and number < len(runs) - 1:
            if not _tells(cells[0], gaps[number - 1], gaps[number], runs[number + 1][0][0:1], anchor):
                return None
            known.append(gaps[number - 1]._replace(stop=cells[0]))
        elif number:
            known.append(gaps[number - 1])
    twice = any(pair == (_SPACE, _SPACE) for cells, _ in runs for pair in zip(cells, cells[1:]))
    if anchor == _SPACE and twice:
        return None
    return Layout(anchor, count, anchor == _SPACE, tuple(placed), tuple(known))
