"""Lines that fit no format: what a crash, a full disk or a second writer leaves in a log.

Each kind is made so that no reading of the format can take the line for a whole one: it is cut behind the time, where
two joined records can no longer look like one, and before the last words, which a cut could leave complete.
"""

from __future__ import annotations

from random import Random

_BEHIND_TIME = 64  # bytes from a line's beginning; the client's address and the time stand before, in both layouts


def damaged(draw: Random, line: str, following: str) -> str:
    """A damaged form of a line. following: the line that a second writer may begin in its middle."""
    return draw.choice((_torn, _truncated, _junk, _zeros))(draw, line, following)


def _torn(draw: Random, line: str, following: str) -> str:
    return line[: _cut(draw, line)] + following


def _truncated(draw: Random, line: str, _following: str) -> str:
    return line[: _cut(draw, line)]


def _junk(draw: Random, _line: str, _following: str) -> str:
    """Bytes of another file; no newline, and no # that could make it a directive."""
    codes = [draw.choice((0x7F, 0x22, 0x5C, draw.randint(11, 255))) for _ in range(draw.randint(1, 300))]
    return "~" + "".join(map(chr, codes))


def _zeros(draw: Random, line: str, _following: str) -> str:
    """A hole: blocks that the file system never wrote, seen as NUL bytes."""
    cut = _cut(draw, line)
    return line[:cut] + "\0" * draw.randint(1, 500) + line[cut:]


def _cut(draw: Random, line: str) -> int:
    end = len(line)
    for _ in range(3):
        end = line.rindex(" ", 0, end)
    return draw.randint(min(_BEHIND_TIME, end), end)
