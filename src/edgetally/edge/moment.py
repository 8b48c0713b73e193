"""One moment by two clocks, so that it is known how long ago another was, whoever sets the time in between."""

from __future__ import annotations

import time

from edgetally.record import NamedTuple
from edgetally.wire.machine import boot_id

STEP_SECONDS = 0.5  # in one rotation the time drifts by less, and a clock that is set is set by more


class Moment(NamedTuple):
    """wall: the time, epoch s, which somebody can set; up: since the boot, seconds, which nobody can; boot: which."""

    wall: float
    up: float
    boot: str

    def since(self, before: Moment) -> float:
        """How many seconds ago another moment was; after a boot as the time tells it."""
        return max(0.0, self.up - before.up if self.boot == before.boot else self.wall - before.wall)

    def step(self, before: Moment) -> float:
        """By how many seconds the time was set forward since another moment; 0 where it was not, or nobody knows."""
        step = self.wall - before.wall - self.since(before)
        return step if abs(step) > STEP_SECONDS else 0.0


def this_moment() -> Moment:
    """Now."""
    return Moment(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), boot_id())
