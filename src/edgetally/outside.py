"""Text from outside, such as a host's or a worker's name, before a terminal, a log or a spreadsheet gets it."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@")  # a spreadsheet takes a text that begins with one of these for a formula


def visible(text: str) -> str:
    """The text with an escape for each character that moves the cursor, turns the writing round, or cannot be seen."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def cell(text: str) -> str:
    """The text as a cell of CSV that no spreadsheet takes for a formula."""
    shown = visible(text)
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
