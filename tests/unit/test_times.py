"""Spans of time as people read them."""

from __future__ import annotations

import pytest

from edgetally.times import span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 min"),
        (1860, "31 min"),
        (3600, "1 h 0 min"),
        (7000, "1 h 56 min"),
        (86399, "23 h 59 min"),
        (200_000, "2 d 7 h"),
        (107_984 * 60, "74 d 23 h"),
    ],
)
def test_a_span_has_two_units(seconds: float, said: str) -> None:
    assert span(seconds) == said
