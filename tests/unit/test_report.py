"""The bill's period: months of every length, clock changes, and what is no time."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from edgetally.errors import EdgetallyError
from edgetally.report import _gaps, _slots, parse_period


@pytest.mark.parametrize(
    ("month", "zone", "slots"),
    [
        ("2026-02", "UTC", 8064),
        ("2025-11", "UTC", 8640),
        ("2025-12", "UTC", 8928),
        ("2026-03", "Europe/Berlin", 8916),
        ("2025-10", "Europe/Berlin", 8940),
        ("2025-11", "America/New_York", 8652),
    ],
)
def test_a_month_has_every_slot_of_its_zone(month: str, zone: str, slots: int) -> None:
    """A month with a clock change has 12 slots more or fewer."""
    assert parse_period(month, None, None, zone).slots == slots


def test_a_month_that_is_not_over_ends_with_the_slot_of_now() -> None:
    """Slots to come would count as empty and pull the percentile down."""
    now = datetime.now(timezone.utc)
    period = parse_period(now.strftime("%Y-%m"), None, None, "UTC")
    assert period == parse_period(None, None, None, "UTC")
    assert 0 <= period.end - now.timestamp() <= 600


def test_a_span_grows_to_whole_slots() -> None:
    period = parse_period(None, "2026-11-23T14:03", "2026-11-23T15:01+01:00", "UTC")
    assert (period.say(period.start), period.say(period.end)) == ("2026-11-23 14:00", "2026-11-23 14:05")


@pytest.mark.parametrize(
    ("month", "start", "end", "zone", "words"),
    [
        ("2026-13", None, None, "UTC", "is not a month"),
        ("2999-01", None, None, "UTC", "has not begun yet"),
        (None, "2026-11-01", None, "UTC", "go together"),
        ("2026-11", "2026-11-01", "2026-11-02", "UTC", "go together"),
        (None, "yesterday", "2026-11-02", "UTC", "is not a time"),
        (None, "2026-11-02", "2026-11-01", "UTC", "is not before"),
        (None, None, None, "Mars/Olympus", "zone 'Mars/Olympus' is not known"),
    ],
)
def test_what_is_no_period(month: str, start: str, end: str, zone: str, words: str) -> None:
    with pytest.raises(EdgetallyError, match=words):
        parse_period(month, start, end, zone)


def test_gaps_are_what_no_batch_vouches_for() -> None:
    """A hole, a batch that says its log was broken, and the end; half an hour at the end is still on its way."""
    covers = [
        (None, 100.0, "", 0.0),
        (100.0, 400.0, "", 0.0),
        (700.5, 1000.0, "broken", 0.0),
        (1000.2, 1300.0, "", 0.0),
    ]
    assert [(gap.start, gap.end, gap.reason) for gap in _gaps("s", 100, 1300 + 1800, covers)] == [
        (400.0, 700.5, "missing"),
        (700.5, 1000.0, "broken"),
    ]
    assert [(gap.start, gap.end) for gap in _gaps("s", 100, 3101, covers)][-1] == (1300.0, 3101)


def test_a_gap_spoils_every_slot_that_it_touches() -> None:
    assert list(_slots(299.5, 600.0)) == [0, 300]
    assert list(_slots(300.0, 601.0)) == [300, 600]
