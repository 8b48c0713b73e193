"""A table for people: text to the left, numbers to the right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from edgetally.outside import visible

WIDTH = 110  # of the sentences beside a table
_NUMBER = re.compile(r"-?|[+-]?[0-9][0-9,]*(?:\.[0-9]+)?(?: ?[%A-Za-z]{1,3})?")  # also with a unit, or none at all


def render(rows: Sequence[Sequence[str]], rules: Collection[int] = ()) -> list[str]:
    """The rows as aligned lines, the first of them the head; a rule follows each row whose index is in `rules`."""
    shown = [[visible(cell) for cell in row] for row in rows]
    columns = list(zip(*shown))
    widths = [max(map(width, column)) for column in columns]
    right = [bool(place) and all(map(_NUMBER.fullmatch, column[1:])) for place, column in enumerate(columns)]
    lines = []
    for number, row in enumerate(shown):
        lines.append("  ".join(map(_put, row, widths, right)).rstrip())
        if number in rules:
            lines.append("  ".join("-" * wide for wide in widths))
    return lines


def width(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese, Japanese and Korean letters take two, accents none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _put(text: str, wide: int, right: bool) -> str:
    space = " " * (wide - width(text))
    return space + text if right else text + space
