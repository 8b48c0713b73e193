"""The percentile is what is paid: every rank is exact."""

from __future__ import annotations

import random

import pytest

from edgetally.bill.percentile import mbps, nearest_rank, rank


@pytest.mark.parametrize(("days", "expected"), [(28, 7661), (30, 8208), (31, 8482)])
def test_ranks_of_whole_months(days: int, expected: int) -> None:
    assert rank(days * 288) == expected


def test_ranks_are_exact_where_floating_point_is_not() -> None:
    """0.95 * 20 is 19.0 and 0.95 * 8640 is 8208.0 only by luck: ranks are computed in integers."""
    assert [rank(slots) for slots in (1, 2, 19, 20, 21, 100)] == [1, 2, 19, 19, 20, 95]


def test_empty_slots_count_as_zero() -> None:
    assert nearest_rank([], 8640) == 0
    assert nearest_rank([5], 1) == 5
    assert nearest_rank([5], 20) == 0
    assert nearest_rank([5, 7], 20) == 5


@pytest.mark.parametrize("seed", range(20))
def test_against_a_full_list(seed: int) -> None:
    """The plain definition: fill in the zeros, sort, take the element at the rank."""
    draw = random.Random(seed)
    slots = draw.randint(1, 500)
    sizes = [draw.randint(1, 1000) for _ in range(draw.randint(0, slots))]
    whole = sorted(sizes + [0] * (slots - len(sizes)))
    assert nearest_rank(sizes, slots) == whole[-(-95 * slots // 100) - 1]


def test_the_unit() -> None:
    assert mbps(37_500_000) == 1.0
