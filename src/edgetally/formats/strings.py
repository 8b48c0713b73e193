"""Strings in double quotes, among values that stand between single blanks, as in W3C logs."""

from __future__ import annotations

import re

_STRING = re.compile(rb'(?<![^ ])"[^"]*(?:""[^"]*)*"(?![^ \r])')
_WHOLE = re.compile(rb'(?<![^ ])"([^ ]+)"(?![^ \r])')


def unquoted(line: bytes, blanks: int) -> bytes:
    """A line whose values hold no blanks: those of strings in quotes are replaced by ~, and the quotes are gone.

    blanks: how many stand between its values. A line that has as many can be read in one way only, whatever quotes a
    client sends: then a quote begins no string.
    """
    if line.count(b" ") != blanks:
        line = _STRING.sub(lambda found: found[0].replace(b" ", b"~"), line)
    return _WHOLE.sub(rb"\1", line)
