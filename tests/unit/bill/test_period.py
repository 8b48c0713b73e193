"""The bill's period: months of every length, clock changes, and what is no time."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo

import pytest

from edgetally.bill.period import parse_period
from edgetally.errors import EdgetallyError


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


@pytest.mark.parametrize(
    ("now", "zone", "last"),
    [
        ("2026-12-01T00:00:00", "UTC", "2026-11"),
        ("2026-11-30T23:30:00", "UTC", "2026-10"),
        ("2026-11-30T23:30:00", "Europe/Berlin", "2026-11"),
        ("2026-01-31T12:00:00", "UTC", "2025-12"),
    ],
)
def test_last_is_the_month_before_in_the_bills_zone(
    monkeypatch: pytest.MonkeyPatch, now: str, zone: str, last: str
) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=timezone.utc)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls.fromtimestamp(moment.timestamp(), tz)

    monkeypatch.setattr("edgetally.bill.period.datetime", Clock)
    monkeypatch.setattr("edgetally.bill.period.time.time", moment.timestamp)
    assert parse_period("last", None, None, zone).name == last


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
