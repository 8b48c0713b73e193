"""The one exception that a person is meant to read, and a guess at what a mistyped word was meant to be."""

from __future__ import annotations

from collections.abc import Iterable


class EdgetallyError(Exception):
    """One sentence for a person: what is wrong, where, how to mend it. The command line prints it and exits with 2."""


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The known word that was probably meant, or an empty text."""
    from difflib import get_close_matches  # needed for mistakes only

    return next(iter(get_close_matches(word, list(known), 1, likeness)), "")
