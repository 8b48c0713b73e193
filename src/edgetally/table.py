"""A table for people: the first column to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edgetally.outside import visible

WIDTH = 110  # of the sentences beside a table


def render(rows: Sequence[Sequence[str]], rules: Collection[int] = ()) -> list[str]:
    """The rows as aligned lines; a rule follows each row whose index is in `rules`."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown)]
    lines = []
    for number, row in enumerate(shown):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
        if number in rules:
            lines.append("  ".join("-" * width for width in widths))
    return lines
