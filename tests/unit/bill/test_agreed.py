"""Contracts come and go: which of them bills which days of a month, and what for."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from edgetally.bill.agreed import Agreed, cut, masked
from edgetally.bill.bill import BillBuilder
from edgetally.bill.contracts import parse
from edgetally.bill.period import Period, month_bounds
from edgetally.bill.sample import Sample, Span
from edgetally.bill.series import Counts

MBPS = 37_500_000  # bytes of a slot at 1 Mbit/s
ZONE = ZoneInfo("Europe/Berlin")
APRIL = Period(*month_bounds("2026-04", ZONE), ZONE, "2026-04")
OLD = {"name": "old", "channels": ["v*"], "commit": 100, "valid_to": "2026-04-15", "partial": "prorate"}
NEW = {"name": "new", "channels": ["v*"], "commit": 300, "valid_from": "2026-04-16", "partial": "prorate"}


def bill(contracts: list[Any], period: Period = APRIL, **channels: list[int]) -> BillBuilder:
    builder = BillBuilder(
        period, parse(contracts, "x"), (Fraction(95),), {one["name"] for one in contracts}, lambda *_: {}
    )
    for name, sizes in channels.items():
        builder.add(name, [], Counts(len(sizes), sum(sizes)), Sample(sizes), None)
    builder.add_idle("*")
    return builder


def lines(builder: BillBuilder) -> list[tuple[Any, ...]]:
    names = ("contract", "slots", "days", "share", "measured", "billable", "overage")
    return [tuple(line[name] for name in names) for line in builder.all_charges()]


def test_a_contract_that_changes_in_mid_month_is_billed_by_days() -> None:
    """15 days of 100 Mbit/s at most, then 15 days of 300: each line of its own slots."""
    sizes = [150 * MBPS] * 4320 + [250 * MBPS] * 4320
    made = bill([OLD, NEW], video=sizes)
    assert lines(made) == [
        ("old", 4320, 15, "1/2", 150.0, 75.0, 25.0),
        ("new", 4320, 15, "1/2", 250.0, 150.0, 0.0),
    ]
    assert (made.lines[0]["contract"], made.free) == ("old, new", {"video": 0})
    text = " ".join(made.all_charges()[0]["text"])
    assert "in force from 2026-04-01 to 2026-04-15: 15 of 30 days, to which the result is prorated." in text


def test_a_change_with_the_month_leaves_each_month_alone() -> None:
    """Neither does next month's contract bill this one, nor last month's."""
    whole = {"channels": ["video"], "commit": 5}
    before = {**whole, "name": "before", "valid_to": "2026-03-31"}
    now = {**whole, "name": "now", "valid_from": "2026-04-01", "valid_to": "2026-04-30"}
    after = {**whole, "name": "after", "valid_from": "2026-05-01"}
    made = bill([before, now, after], video=[MBPS] * 8640)
    assert lines(made) == [("now", 8640, 30, "1/1", 1.0, 5.0, 0.0)]
    assert lines(bill([before, after])) == [], "no commit either"


def test_a_flat_rate_is_billed_without_traffic() -> None:
    """A minimum alone: of a channel that the contract names whole, and of a group; not of a glob, which names none."""
    flat = {"currency": "EUR", "minimum": "25"}
    contracts = [
        {**flat, "name": "one", "channels": ["quiet", "dark*"]},
        {**flat, "name": "all", "channels": ["sport*"], "group": True},
    ]
    charges = bill(contracts).all_charges()
    assert [(one["contract"], one["channels"], one["amount"]["net"]) for one in charges] == [
        ("one", ["quiet"], "25.00"),
        ("all", ["sport*"], "25.00"),
    ]


def test_days_without_a_contract_are_not_billed() -> None:
    made = bill([OLD], video=[1] * 8640, news=[1] * 8640)
    assert made.free == {"video": 4320, "news": 8640}


def test_a_group_bills_the_days_that_are_its_own() -> None:
    """Its sum has of each channel only the slots that no earlier contract bills."""
    group = {"name": "all", "channels": ["*"], "group": True, "percent": 100}
    single = {**OLD, "percent": 100}
    made = bill([single, group], video=[10 * MBPS] * 4320 + [20 * MBPS] * 4320, news=[MBPS] * 8640)
    assert [line[:2] + line[4:5] for line in lines(made)] == [("old", 4320, 10.0), ("all", 8640, 21.0)]
    earlier = bill([single, {**group, "percent": 50}], video=[10 * MBPS] * 8640, news=[MBPS] * 8640)
    assert lines(earlier)[1][4] == 1.0, "in the first half it is news alone"


def test_a_month_in_hand_knows_the_whole_of_each_contract() -> None:
    """On the tenth: the old one is in force, of 15 days; the new one is no line yet."""
    so_far = replace(APRIL, end=APRIL.start + 9 * 86400, whole_end=APRIL.end)
    (line,) = bill([OLD, NEW], so_far, video=[50 * MBPS] * 2592).all_charges()
    assert (line["contract"], line["share"], line["billable"]) == ("old", "1/2", 50.0)
    assert line["projection"]["allowed"] == 216, "of 4,320 slots 216 may be above"


def test_the_hour_that_comes_twice_is_the_days() -> None:
    """Berlin's 25th of October has 300 slots."""
    october = Period(*month_bounds("2026-10", ZONE), ZONE, "2026-10")
    one = {"name": "one", "channels": ["*"], "valid_from": "2026-10-25", "valid_to": "2026-10-25", "partial": "prorate"}
    (stretch,) = Agreed(parse([one], "x"), october).of("video")
    assert stretch.after - stretch.first == 300
    assert Agreed(parse([one], "x"), october).part(stretch)[1] == Fraction(1, 31)


def test_parts_of_a_sample_keep_what_is_missing() -> None:
    sample = Sample([1, 2, 3, 4], [Span(0, 2, 7), Span(3, 4, 9)])
    assert (list(cut(sample, 1, 4).sizes), cut(sample, 1, 4).missing) == ([2, 3, 4], [Span(0, 1, 7), Span(2, 3, 9)])
    assert (masked(sample, [(1, 3)]).sizes, masked(sample, [(1, 3)]).missing) == ([0, 2, 3, 0], [Span(1, 2, 7)])
