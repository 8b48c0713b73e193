"""A day is judged by the days before it: what is usual, what is odd, and what nobody can say."""

from __future__ import annotations

import pytest

from edgetally.ledger.beside import EdgeDay, Judged, Sums, judge, odd_text, usual
from edgetally.limits import DAY

GB = 10**9


def day(logged: int, wire: int = 100, server: int | None = None, known: int = DAY) -> Sums:
    return Sums(logged * GB, wire * GB, known, (server or 0) * GB, known if server is not None else 0)


def judged(*days: Sums) -> EdgeDay:
    """The last of some days."""
    return judge(days, [DAY] * len(days))[-1]


def band(*parts: float) -> tuple[float, float]:
    found = usual(parts)
    assert found is not None
    return round(found.low, 6), round(found.high, 6)


def test_what_is_usual_is_about_the_median_of_the_days_before() -> None:
    assert band(0.90, 0.91, 0.92, 0.93, 0.94) == (0.874, 0.966)
    assert band(*[0.95] * 14) == (0.9025, 0.9975)
    assert band(*[0.1] * 14) == (0.08, 0.12)
    assert band(0.80, 0.84, 0.88, 0.92, 0.96) == (0.72, 1.04)
    assert band(*[0.95] * 13, 0.2) == band(*[0.95] * 14)  # one bad day does not make the next one usual
    assert usual([0.95] * 4) is None


@pytest.mark.parametrize(
    ("today", "odd"),
    [
        (day(95), False),
        (day(93), False),
        (day(60), True),  # a log that stopped
        (day(95, wire=190), True),  # other traffic
        (day(190, wire=100), True),  # a log that is counted twice
        (day(0), True),
        (day(60, known=DAY // 2), False),  # half a day is not a day
        (day(0, wire=0), False),  # nothing was sent
    ],
)
def test_a_day_that_leaves_the_band_is_odd(today: Sums, odd: bool) -> None:
    assert judged(*[day(95)] * 14, today).is_odd is odd


def test_a_server_tells_a_log_that_stopped_from_other_traffic() -> None:
    usual_days = [day(95, server=95)] * 14
    backup = judged(*usual_days, day(95, wire=300, server=95))
    assert (backup.wire.is_odd, backup.server.is_odd) == (True, False)
    stopped = judged(*usual_days, day(60, server=95))
    assert (stopped.wire.is_odd, stopped.server.is_odd) == (True, True)
    assert "edge e1 logged 63.2% of what its servers say they sent, usual are 90.2%" not in odd_text("e1", backup)
    assert "its interface sent" in odd_text("e1", backup)
    assert "edge e1 logged 63.2% of what its servers say they sent" in odd_text("e1", stopped)


def test_days_without_counters_are_no_part_of_what_is_usual() -> None:
    """As those before the upgrade."""
    unknown = Sums(95 * GB)
    assert not judged(*[unknown] * 14, day(60)).is_odd
    assert judged(*[unknown] * 9, *[day(95)] * 5, day(60)).is_odd
    assert judged(*[day(20)] * 20, *[day(95)] * 14, day(95)).wire == Judged(0.95, usual([0.95] * 14))


def test_a_day_that_is_not_over_is_not_judged() -> None:
    """Its hours are others than those of the days before."""
    days = [*[day(95)] * 14, day(60, known=3600)]
    (*_, today) = judge(days, [*[DAY] * 14, 3600])
    assert today.wire.part == pytest.approx(0.6)
    assert not today.is_odd


def test_what_it_may_be_depends_on_the_side() -> None:
    low = odd_text("e1", judged(*[day(95)] * 14, day(60)))
    assert "a log that stopped" in low
    assert "other traffic of the host" in low
    high = odd_text("e1", judged(*[day(80)] * 14, day(160)))
    assert "a log that is counted twice, another interface" in high
