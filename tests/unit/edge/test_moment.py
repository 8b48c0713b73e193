"""Two clocks: how long ago something was, and whether somebody has set the time since."""

from __future__ import annotations

import pytest

from edgetally.edge.moment import Moment, this_moment

NOON = Moment(1_788_220_800.0, 5000.0, "a boot")


@pytest.mark.parametrize(
    ("wall", "up", "boot", "since", "step"),
    [
        (300, 300, "a boot", 300, 0),
        (300.3, 300, "a boot", 300, 0),  # it drifts
        (300 - 540, 300, "a boot", 300, -540),
        (300 + 60, 300, "a boot", 300, 60),
        (300, -4990, "another boot", 300, 0),  # a boot tells nothing of what was set meanwhile
        (-300, -4990, "another boot", 0, -300),  # but nothing was in the future
    ],
)
def test_how_long_ago_and_whether_the_time_was_set(
    wall: float, up: float, boot: str, since: float, step: float
) -> None:
    now = Moment(NOON.wall + wall, NOON.up + up, boot)
    assert (now.since(NOON), round(now.step(NOON), 3)) == (since, step)


def test_this_machine_has_both_clocks() -> None:
    one, two = this_moment(), this_moment()
    assert 0 <= two.since(one) < 60
    assert len(one.boot) == 32
