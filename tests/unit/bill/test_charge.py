"""What a contract makes of a month: every rule and policy, against vectors and against an independent computation."""

from __future__ import annotations

import random
from bisect import bisect_right
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edgetally.bill.charge import Charge
from edgetally.bill.contracts import Contract
from edgetally.bill.period import Period, month_bounds
from edgetally.bill.sample import Sample, Span, add_spans

MBPS = 37_500_000  # bytes of a slot at 1 Mbit/s


def month(name: str, zone: str = "UTC", so_far: int | None = None) -> Period:
    """A whole month, or its first slots."""
    start, end = month_bounds(name, ZoneInfo(zone))
    return Period(start, end if so_far is None else start + 300 * so_far, ZoneInfo(zone), name, end)


def charge(sizes: list[int], period: Period, spans: tuple[Span, ...] = (), **terms: Any) -> dict[str, Any]:
    """The bill's line of one channel with these bytes a slot."""
    assert len(sizes) == period.slots
    return Charge(Contract("c", ("video",), **terms), ["video"], Sample(sizes, spans), period).line()


@pytest.mark.parametrize(
    ("name", "zone", "slots", "rank"),
    [
        ("2026-02", "UTC", 8064, 7661),
        ("2026-04", "UTC", 8640, 8208),
        ("2026-05", "UTC", 8928, 8482),
        ("2026-03", "Europe/Berlin", 8916, 8471),
        ("2026-10", "Europe/Berlin", 8940, 8493),
        ("2026-03", "America/New_York", 8916, 8471),
        ("2026-11", "America/New_York", 8652, 8220),
    ],
)
def test_the_rank_of_every_kind_of_month(name: str, zone: str, slots: int, rank: int) -> None:
    """Sizes 1..n: the percentile is its own rank, whatever the order."""
    period = month(name, zone)
    sizes = list(range(1, period.slots + 1))
    random.Random(name + zone).shuffle(sizes)
    found = charge(sizes, period)
    assert (found["slots"], found["rank"], found["measured_bytes"]) == (slots, rank, rank)
    assert found["measured"] == round(rank * 8 / 300 / 1e6, 6)
    assert found["low_bytes"] == found["high_bytes"] == rank
    assert sum(day.slots for day in period.days()) == slots


def test_the_days_of_a_clock_change() -> None:
    """Local days: 23 hours in spring, 25 in autumn, and all the others 24."""
    for name, date, slots in (("2026-03", "2026-03-29", 276), ("2026-10", "2026-10-25", 300)):
        days = month(name, "Europe/Berlin").days()
        assert len(days) == 31
        assert {day.date: day.slots for day in days if day.slots != 288} == {date: slots}
        assert [day.first for day in days] == [sum(day.slots for day in days[:n]) for n in range(31)]


def test_a_day_whose_midnight_does_not_exist() -> None:
    """In Beirut the clock jumps from midnight to one o'clock."""
    days = month("2026-03", "Asia/Beirut").days()
    assert {day.date: day.slots for day in days if day.slots != 288} == {"2026-03-29": 276}


def test_ties_zeros_and_a_single_sample() -> None:
    april = month("2026-04")
    assert charge([5] * 8640, april)["measured_bytes"] == 5
    assert charge([0] * 8640, april)["measured_bytes"] == 0
    assert charge([0] * 8639 + [7], april)["measured_bytes"] == 0
    assert charge([5] * 8208 + [9] * 432, april)["measured_bytes"] == 5
    assert charge([5] * 8207 + [9] * 433, april)["measured_bytes"] == 9
    one = Period(april.start, april.start + 300, april.zone)
    assert charge([7], one)["measured_bytes"] == 7
    assert charge([0], one, zero="skip")["measured_bytes"] == 0
    assert charge([0], one, zero="skip")["slots"] == 0


@pytest.mark.parametrize("seed", range(40))
def test_against_its_definition(seed: int) -> None:
    """The nearest rank is the least size that so many of all sizes do not exceed."""
    draw = random.Random(seed)
    period = Period(0, 300 * draw.randint(1, 3000), ZoneInfo("UTC"))
    sizes = [draw.choice((0, 0, draw.randint(0, 9), draw.randint(0, 10**12))) for _ in range(period.slots)]
    percent = draw.choice((95, 95, 90, 99, 50, 100))
    used = [size for size in sizes if size]
    assert charge(sizes, period, percent=str(percent))["measured_bytes"] == least_size(sizes, percent)
    if used:
        measured = charge(sizes, period, percent=str(percent), zero="skip")["measured_bytes"]
        assert measured == least_size(used, percent)


def least_size(sizes: list[int], percent: int) -> int:
    """The least size that at least so many percent of all do not exceed."""
    ordered = sorted(sizes)
    return min(size for size in set(sizes) if 100 * bisect_right(ordered, size) >= percent * len(sizes))


# --- policies


def test_zero_and_missing_policies() -> None:
    """100 slots: 40 without traffic, ten of these missing; the others 1 to 60."""
    period = Period(0, 30000, ZoneInfo("UTC"))
    sizes = list(range(1, 61)) + [0] * 40
    missing = (Span(90, 100, 1000),)
    assert charge(sizes, period)["measured_bytes"] == 55  # rank 95 of 100
    assert charge(sizes, period, zero="skip")["measured_bytes"] == 57  # rank 57 of 60
    found = charge(sizes, period, missing)
    assert (found["measured_bytes"], found["low_bytes"], found["high_bytes"]) == (55, 55, 1000)
    skipped = charge(sizes, period, missing, missing="skip")
    assert (skipped["slots"], skipped["rank"], skipped["measured_bytes"]) == (90, 86, 56)
    assert (skipped["low_bytes"], skipped["high_bytes"]) == (55, 1000)


def test_valid_days_only_and_prorated() -> None:
    """Two of 30 days have a missing slot: they are left out, and the quantity is charged for 28 days of 30."""
    period = month("2026-04")
    sizes = [100 * MBPS] * 8640
    sizes[0:288] = [900 * MBPS] * 288
    sizes[300:320] = [0] * 20
    missing = (Span(10, 11, MBPS), Span(300, 320, 100 * MBPS))
    found = charge(sizes, period, missing, missing="prorate", commit="80")
    assert (found["days"], found["valid_days"], found["slots"]) == (30, 28, 28 * 288)
    assert found["measured"] == 100.0
    assert found["billable"] == round(100 * 28 / 30, 6)
    assert found["overage"] == round(20 * 28 / 30, 6)
    assert "28 of 30 days are valid" in " ".join(found["text"])
    volume = charge(sizes, period, missing, missing="prorate", rule="volume", commit="1")
    assert volume["measured"] == round(28 * 288 * 100 * MBPS / 1e9, 6)
    none = charge(sizes, period, (Span(0, 8640, 1),), missing="prorate", commit="80")
    assert (none["valid_days"], none["measured"], none["billable"]) == (0, 0.0, 0.0)


def test_the_highest_of_the_daily_peaks_is_of_local_days() -> None:
    period = month("2026-03", "Europe/Berlin")
    sizes = [1] * period.slots
    sizes[5000] = 70
    assert charge(sizes, period, rule="daily_peak")["measured_bytes"] == 70
    sizes[5000] = 1
    day = next(day for day in period.days() if day.slots == 276)
    sizes[day.first : day.first + 14] = [9] * 14  # 14 of 276 are more than 5 %, of 288 they are not
    assert charge(sizes, period, rule="daily_peak", percent="95")["measured_bytes"] == 9
    sizes[day.first] = 1
    assert charge(sizes, period, rule="daily_peak", percent="95")["measured_bytes"] == 1


def test_average_volume_units_and_uplift() -> None:
    period = Period(0, 30000, ZoneInfo("UTC"))
    sizes = [0] * 50 + [2**20 * 75] * 50  # 2 Mibit/s in each second slot
    assert charge(sizes, period, rule="average", base="binary")["measured"] == 1.0
    assert charge(sizes, period, rule="average", base="binary")["unit"] == "Mibit/s"
    assert charge(sizes, period, rule="average", base="binary", zero="skip")["measured"] == 2.0
    assert charge(sizes, period, base="binary", uplift="1.05")["billable"] == 2.1
    assert charge(sizes, period)["measured"] == round(2 * 2**20 / 1e6, 6)
    volume = charge(sizes, period, rule="volume", base="binary")
    assert (volume["unit"], volume["measured"]) == ("GiB", round(50 * 75 / 1024, 6))
    assert volume["measured_bytes"] == sum(sizes)
    assert charge(sizes, period, rule="volume")["unit"] == "GB"


def test_commit_and_overage() -> None:
    period = Period(0, 30000, ZoneInfo("UTC"))
    below = charge([50 * MBPS] * 100, period, commit="100")
    assert (below["billable"], below["overage"], below["commit"]) == (100.0, 0.0, 100.0)
    above = charge([150 * MBPS] * 100, period, commit="100", uplift="1.1")
    assert (above["billable"], above["overage"]) == (165.0, 65.0)
    free = charge([150 * MBPS] * 100, period)
    assert (free["billable"], free["overage"], free["commit"]) == (150.0, None, None)


# --- before the month is over


def test_how_many_slots_are_left_before_it_costs() -> None:
    """Of 8,640 slots 432 may be above the commit. Each one more that is above takes one away; the 433rd costs."""
    for above, left, costs in ((0, 432, False), (431, 1, False), (432, 0, False), (433, 0, True)):
        period = month("2026-04", so_far=4320)
        forecast = charge([200 * MBPS] * above + [MBPS] * (4320 - above), period, commit="100")["projection"]
        assert (forecast["above"], forecast["allowed"], forecast["left"]) == (above, 432, left)
        whole = [200 * MBPS] * above + [MBPS] * (8640 - above)
        assert (charge(whole, month("2026-04"), commit="100")["overage"] > 0) is costs
        assert (forecast["certain"] > 100) is costs


def test_what_the_month_comes_to_is_uplifted() -> None:
    """It is what will be billed: with the factor, and at least the commit."""
    period = month("2026-04", so_far=4320)
    sizes = [0] * 4000 + [10 * MBPS] * 320
    found = charge(sizes, period, uplift="1.1", commit="5")["projection"]
    assert (found["measured"], found["billable"], found["certain"], found["certain_billable"]) == (10.0, 11.0, 0.0, 5.0)


def test_the_projection() -> None:
    period = month("2026-04", so_far=4320)
    sizes = [MBPS] * 4000 + [9 * MBPS] * 320
    found = charge(sizes, period)["projection"]
    assert (found["measured"], found["certain"], found["left"]) == (9.0, 1.0, None)
    average = charge(sizes, period, rule="average")["projection"]
    assert average["certain"] == round(average["measured"] / 2, 6)
    volume = charge(sizes, period, rule="volume")
    assert volume["projection"]["measured"] == round(volume["measured"] * 2, 6)
    assert volume["projection"]["certain"] == volume["measured"]
    assert charge(sizes * 2, month("2026-04"))["projection"] is None


@pytest.mark.parametrize("seed", range(30))
def test_what_is_certain_is_never_undercut(seed: int) -> None:
    """Whatever the rest of the month brings, the result is at least what was called certain."""
    draw = random.Random(seed)
    so_far = draw.randint(1, 8639)
    first = [draw.choice((0, draw.randint(1, 1000))) for _ in range(so_far)]
    rest = [draw.choice((0, draw.randint(1, 1500 * (seed % 2)) if seed % 2 else 0)) for _ in range(8640 - so_far)]
    daily = {"rule": "daily_peak", "percent": "95"}
    every: list[dict[str, Any]] = [{}, {"zero": "skip"}, {"rule": "average"}, {"rule": "volume"}, daily]
    for terms in every:
        forecast = charge([one * MBPS for one in first], month("2026-04", so_far=so_far), **terms)["projection"]
        final = charge([one * MBPS for one in first + rest], month("2026-04"), **terms)
        assert forecast["certain"] <= final["measured"] + 1e-6, terms


# --- bounds


@pytest.mark.parametrize("seed", range(60))
def test_the_true_value_lies_within_the_bounds(seed: int) -> None:
    """Whatever was lost, if no cell was more than the most that is said to be possible: for every rule and policy."""
    draw = random.Random(seed)
    period = Period(0, 300 * draw.randint(288, 2000), ZoneInfo("UTC"))
    true = [draw.choice((0, draw.randint(0, 500))) for _ in range(period.slots)]
    spans = []
    for _ in range(draw.randint(1, 4)):
        first = draw.randrange(period.slots)
        spans.append(Span(first, draw.randint(first + 1, period.slots), draw.randint(1, 700)))
    missing = add_spans([[span] for span in spans])
    received = list(true)
    for first, after, most in missing:
        for slot in range(first, after):
            received[slot] = true[slot] - draw.randint(0, min(most, true[slot]))
    for rule in ("percentile", "daily_peak", "average", "volume"):
        for zero in ("count", "skip"):
            for policy in ("zero", "skip", "prorate"):
                terms: dict[str, Any] = {
                    "rule": rule,
                    "zero": zero,
                    "percent": "95" if rule in ("percentile", "daily_peak") else "",
                }
                truth = charge(true, period, **terms)["measured"]
                found = charge(received, period, tuple(missing), missing=policy, **terms)
                assert found["low"] - 1e-6 <= truth <= found["high"] + 1e-6, (rule, zero, policy)


def test_spans_that_overlap_add_up() -> None:
    assert add_spans([[Span(0, 10, 5)], [Span(5, 20, 7)], [Span(20, 30, 7)]]) == [
        Span(0, 5, 5),
        Span(5, 10, 12),
        Span(10, 30, 7),
    ]
    assert add_spans([[Span(0, 2, 1), Span(8, 9, 1)]]) == [Span(0, 2, 1), Span(8, 9, 1)]
    assert add_spans([]) == []


def test_the_rule_is_said_in_words() -> None:
    text = " ".join(charge([1] * 8640, month("2026-04"), commit="100", uplift="1.05")["text"])
    assert "of 8,640 slots, sorted, the one at rank 8,208 decides; no interpolation." in text
    assert "Slots without traffic count as zero." in text
    assert "bytes x 8 / 300 / 1,000,000" in text
    assert "multiplied by 1.05" in text
    assert "At least 100 Mbit/s" in text


def test_a_percent_is_exact() -> None:
    """99.9 % of 1,000 slots is rank 999, and not 1,000, as floating point may have it."""
    period = Period(0, 300_000, ZoneInfo("UTC"))
    assert charge(list(range(1000)), period, percent="99.9")["rank"] == 999
    assert Contract("c", (), percent="99.9").share == Fraction(999, 10)
