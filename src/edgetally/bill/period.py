"""The time that a bill is about: from one slot to another, the zone that it speaks in, and the days of that zone."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edgetally.bill.zones import zone_named
from edgetally.errors import EdgetallyError
from edgetally.limits import SLOT_SECONDS
from edgetally.times import epoch_seconds


class Day(NamedTuple):
    """A local day: its date, the number of its first slot in the period, and how many of the period's slots it has."""

    date: str
    first: int
    slots: int


@dataclass(frozen=True)
class Period:
    """From one slot up to, and not including, another (epoch s), and the zone that the bill speaks in.

    name: the month, such as 2026-11, or empty. whole_end: where a month ends that is not over yet.
    """

    start: int
    end: int
    zone: ZoneInfo
    name: str = ""
    whole_end: int = 0

    @property
    def slots(self) -> int:
        return (self.end - self.start) // SLOT_SECONDS

    @property
    def whole_slots(self) -> int:
        """How many slots the period has when it is over."""
        return (max(self.end, self.whole_end) - self.start) // SLOT_SECONDS

    def say(self, moment: float) -> str:
        """A moment (epoch s) in the zone, to the minute, for people."""
        return datetime.fromtimestamp(moment, self.zone).strftime("%Y-%m-%d %H:%M")

    def iso(self, moment: float) -> str:
        """A moment (epoch s) in the zone, with its offset, as ISO 8601 writes it."""
        return datetime.fromtimestamp(moment, self.zone).isoformat()

    def days(self) -> list[Day]:
        """The local days of the period, the first and the last perhaps not whole."""
        days: list[Day] = []
        at = self.start
        while at < self.end:
            date = datetime.fromtimestamp(at, self.zone).date()
            after = date + timedelta(days=1)
            midnight = int(datetime(after.year, after.month, after.day, tzinfo=self.zone).timestamp())
            upto = min(self.end, max(midnight // SLOT_SECONDS * SLOT_SECONDS, at + SLOT_SECONDS))
            days.append(Day(date.isoformat(), self.index(at), (upto - at) // SLOT_SECONDS))
            at = upto
        return days

    def whole_days(self) -> list[Day]:
        """The local days that the period has when it is over."""
        return replace(self, end=max(self.end, self.whole_end)).days()

    def index(self, moment: float) -> int:
        """The number of the slot that a moment lies in."""
        return (int(moment) - self.start) // SLOT_SECONDS


def parse_zone(zone: str, where: str = "") -> ZoneInfo:
    """A time zone by its name. where: named first in the EdgetallyError that an unknown one raises."""
    try:
        return zone_named(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EdgetallyError(f"{where}zone {zone!r} is not known: write one such as UTC or Europe/Berlin") from None


def parse_period(month: str | None, start: str | None, end: str | None, zone: str) -> Period:
    """The period that the options name; without any, this month. A month that is not over ends with the slot of now."""
    where = parse_zone(zone)
    if start or end:
        if month or not (start and end):
            raise EdgetallyError(
                "--from and --to go together, and not with --month: name the first moment and the last"
            )
        low, high = int(epoch_seconds(start, "--from", where)), int(epoch_seconds(end, "--to", where))
        low, high = low // SLOT_SECONDS * SLOT_SECONDS, -(-high // SLOT_SECONDS) * SLOT_SECONDS
        if low >= high:
            raise EdgetallyError(f"--from {start} is not before --to {end}: exchange them")
        return Period(low, high, where)
    name = named_month(month, where) or datetime.now(where).strftime("%Y-%m")
    begin, over = month_bounds(name, where)
    so_far = int(time.time()) // SLOT_SECONDS * SLOT_SECONDS + SLOT_SECONDS
    if begin >= so_far:
        raise EdgetallyError(f"--month {name} has not begun yet: name an earlier one")
    return Period(begin, min(over, so_far), where, name, over)


def named_month(month: str | None, zone: ZoneInfo) -> str | None:
    """A month's own name: `last` is the one before this one."""
    if month != "last":
        return month
    return (datetime.now(zone).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


def month_bounds(name: str, zone: ZoneInfo) -> tuple[int, int]:
    """When a month such as 2026-11 begins and ends in a zone, epoch s. Raises EdgetallyError for what is no month."""
    match = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", name)
    if not match or match[1] < "1971":
        raise EdgetallyError(f"--month {name!r} is not a month: write it as 2026-11, or last")
    first = datetime(int(match[1]), int(match[2]), 1, tzinfo=zone)
    after = (first + timedelta(days=32)).replace(day=1)
    return int(first.timestamp()), int(after.timestamp())
