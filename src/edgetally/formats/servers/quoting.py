"""What stands around a format in servers' configurations: line breaks, quotes, backslashes, nicknames."""

from __future__ import annotations

import re

from edgetally.errors import EdgetallyError
from edgetally.formats.values import shorten

_WORD = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+))""", re.S)


def one_line(text: str, directive: str) -> str:
    """A directive in one line: a backslash at a line's end joins the next; other line breaks are refused."""
    joined = re.sub(r"\\\r?\n[ \t]*", "", text).strip()
    if "\n" in joined:
        raise EdgetallyError(f"{directive}: paste one directive only; after its line comes {second_line(joined)}")
    return joined


def second_line(text: str) -> str:
    """What comes after the first line, short enough for a message."""
    return shorten(text.partition("\n")[2].strip())


def quoted(text: str, directive: str) -> tuple[str, str]:
    r"""(content, rest) of a text that begins with a quoted string; the quote's and the backslash's escapes undone."""
    match = _WORD.match(text)
    if match is None or match[3]:
        raise EdgetallyError(f"{directive}: a quote is not closed: {shorten(text)}")
    quote = '"' if match[1] is not None else "'"
    content = match[1] if match[1] is not None else match[2]
    return re.sub(rf"\\([{quote}\\])", r"\1", content), text[match.end() :].strip()


def is_quoted(text: str) -> bool:
    """Whether the text begins with a quote that also ends it, or ends before a nickname."""
    match = _WORD.match(text)
    return match is not None and match[3] is None and "%" not in text[match.end() :]
