"""Channel rules by path prefix, as the cases with `paths` have them, and which one a request belongs to."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

from tests.bench.columns import WORDS

UNASSIGNED = "unassigned"
_FEW = ("/live", "/hls", "/images", "/static-content", "/article")
_CHANNELS = 50
_PLAIN = [word for word in WORDS if word.isalpha() and len(word) > 1]


def rules(count: int) -> dict[str, str]:
    """So many prefixes and their channels. No prefix begins another, so their order does not matter.

    The five are folders; the hundreds are a word and two digits: a third of all folders have a number.
    """
    if count == len(_FEW):
        return {prefix: f"p{number}" for number, prefix in enumerate(_FEW)}
    many = [f"/{word}{digits}" for digits, word in product(range(10, 100), _PLAIN)][:count]
    return {prefix: f"p{number % _CHANNELS}" for number, prefix in enumerate(many)}


class Paths:
    """Finds the channel of a request, which is a method, a blank and a path."""

    def __init__(self, count: int) -> None:
        self._rules = rules(count)
        self._lengths = sorted(set(map(len, self._rules)))

    def channel(self, request: str) -> str:
        """The channel of a request."""
        path = request[request.index(" ") + 1 :]
        found = (self._rules.get(path[:length]) for length in self._lengths)
        return next(filter(None, found), UNASSIGNED)


def write_rules(count: int, path: Path) -> None:
    """Write the rules as edgetally reads them, and beside it as awk does: a prefix and its channel a line."""
    listed = rules(count)
    path.write_text(json.dumps([{"channel": name, "path": prefix} for prefix, name in listed.items()]), "utf-8")
    path.with_suffix(".txt").write_text("".join(f"{prefix} {name}\n" for prefix, name in listed.items()), "utf-8")
