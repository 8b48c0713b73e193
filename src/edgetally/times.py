"""Times as people write and read them."""

from __future__ import annotations

import re
from datetime import datetime, timezone, tzinfo

from edgetally.errors import EdgetallyError


def epoch_seconds(text: str, option: str, zone: tzinfo = timezone.utc) -> float:
    """Epoch seconds of a text: their number, or a time as 2026-11-23T14:05, which is of `zone` where it has no offset.

    option: what the command line calls it, for the message. Raises EdgetallyError for any other text.
    """
    if re.fullmatch(r"[0-9]{9,10}(?:\.[0-9]+)?", text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise EdgetallyError(f"{option} {text}: it is not a time: write 2026-11-23T14:05 or epoch seconds") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def age(seconds: float | None) -> str:
    """A span of time in the largest unit that goes into it at least twice; `-` for none."""
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def span(seconds: float) -> str:
    """A span of time in days and hours, or in hours and minutes, or in minutes: exact enough to act on it."""
    for size, unit, part, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} {seconds % size // part:.0f} {small}"
    return f"{seconds / 60:.0f} min"


def utc(moment: float | None) -> str:
    """A moment (epoch s) to the second, in UTC; `-` for none."""
    if moment is None:
        return "-"
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
