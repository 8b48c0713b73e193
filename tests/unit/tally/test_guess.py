"""The guess of a log's format: it looks at most formats only shortly, and comes to what a tally by each comes to."""

from __future__ import annotations

import io
from itertools import chain, repeat
from pathlib import Path

import pytest

from edgetally.formats.catalogue import FORMATS
from edgetally.tally.count import tally
from edgetally.tally.guess import guess

NAMES = list(FORMATS)
CORPUS = sorted((Path(__file__).parent / "corpus" / "named").glob("*.log"))


def by_all(head: list[bytes]) -> tuple[int, set[str]]:
    """How many lines the best formats fit, and which these are."""
    scores = {known: tally([io.BytesIO(b"".join(head))], fmt, None).counted for known, fmt in FORMATS.items()}
    best = max(scores.values())
    return best, {known for known, score in scores.items() if score == best}


def guessed(head: list[bytes]) -> tuple[int, set[str]]:
    found = guess(head)
    return found.fits, {found.format.name, *found.equal}


def lines_of(known: str, count: int) -> list[bytes]:
    return [FORMATS[known].example.encode() + b"\n"] * count


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_best_format_is_that_of_a_tally_by_each(path: Path) -> None:
    head = [line for line in path.read_bytes().splitlines(keepends=True) if line.strip()]
    assert guessed(head) == by_all(head)


@pytest.mark.parametrize("known", NAMES)
def test_lines_of_another_format_at_the_beginning_do_not_decide(known: str) -> None:
    """Servers are set up anew, and go on with the same log. More lines than those that sort the formats."""
    other = NAMES[NAMES.index(known) - 1]
    head = lines_of(other, 12) + lines_of(known, 30)
    found = guessed(head)
    assert found == by_all(head)
    assert found[0] >= 30
    assert known in found[1]


def test_formats_that_fit_as_many_are_named() -> None:
    """Also where they fit different lines."""
    head = list(chain(*zip(lines_of("squid", 20), lines_of("s3", 20), repeat(b"nonsense\n"))))
    assert guessed(head) == by_all(head) == (20, {"squid", "s3"})


def test_what_fits_nothing_fits_nothing() -> None:
    head = [b"nonsense\n"] * 40
    assert guess(head).fits == 0
