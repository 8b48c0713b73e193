"""How far a host's clock is from the database's, which decides: batches ahead of it by ten minutes are refused."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from edgetally.files import read_plain
from edgetally.record import TypedDict

OFFSET_SECONDS = 30.0  # a problem, as lines that are a minute off the rotation's time are booked in the nearest slot


class Clock(TypedDict):
    """A measured offset, positive where the host is ahead, how exact it is, and how long ago it was measured (s)."""

    offset: float
    accuracy: float
    age: float


def measure(before: float, theirs: float, after: float) -> Clock:
    """What an answer tells: `theirs` is its time, before and after are the host's around it, epoch seconds."""
    return {"offset": round((before + after) / 2 - theirs, 3), "accuracy": round((after - before) / 2, 3), "age": 0.0}


def load(path: Path) -> Clock | None:
    """The offset that the last run of `ship` has noted; None where there is none yet."""
    try:
        data = json.loads(read_plain(path))
        age = max(0.0, time.time() - os.path.getmtime(path))
        return {"offset": float(data["offset"]), "accuracy": float(data["accuracy"]), "age": round(age, 1)}
    except (OSError, ValueError, TypeError, LookupError):
        return None


def say(clock: Clock | None) -> str:
    """The offset in a few words."""
    return f"{clock['offset']:+.2f} s" if clock else "not measured yet"


def problem(clock: Clock | None) -> str | None:
    """A sentence where the clock is wrong, even if the answer was as unlucky as it can be."""
    if clock is None or abs(clock["offset"]) - clock["accuracy"] <= OFFSET_SECONDS:
        return None
    side = "ahead of" if clock["offset"] > 0 else "behind"
    return (
        f"the clock is {abs(clock['offset']):.0f} s {side} the database's: traffic is booked in wrong slots, and what "
        "is 10 min ahead is refused; look at `timedatectl timesync-status`, and at `timedatectl` on the database's host"
    )
