"""What was counted beside the logs, by the edge and day: is what the logs have the usual part of what was sent?

A log has the bytes of answers; a server counts those, and what nobody logs; an interface besides that TCP, TLS and all
else that the host sends. So the parts differ from edge to edge, and stay alike from day to day: a day is judged by the
two weeks before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from edgetally.limits import DAY
from edgetally.wire.batch import CANARY_STREAM
from edgetally.wire.envelope import edge_of

BAND_DAYS = 14
LEAST_DAYS = 5  # of those that are wanted to say what is usual
KNOWN = 0.9  # of a day, that counters must have told to be compared
SPREADS = 4  # how often as far from the median as half of the days are a day may be
LEAST_SHARE = 0.05  # of the median, that it may be off in any case
LEAST = 0.02  # and absolutely


class Sums(NamedTuple):
    """Bytes of an edge's logs in some time; what its interface sent, and its servers say they did, and for how many
    seconds that is known."""

    logged: int = 0
    wire: int = 0
    wire_seconds: int = 0
    server: int = 0
    server_seconds: int = 0

    def of_wire(self, seconds: int) -> float | None:
        """The part of what the interface sent that is logged; None where that is not known for a time of so long."""
        return self.logged / self.wire if self.wire and self.wire_seconds >= KNOWN * seconds else None

    def of_server(self, seconds: int) -> float | None:
        """The same of what the servers say."""
        return self.logged / self.server if self.server and self.server_seconds >= KNOWN * seconds else None


class Band(NamedTuple):
    """From where to where a part is usual."""

    low: float
    high: float

    @property
    def shown(self) -> list[float]:
        """The band as bill and status have it: nothing is less than nothing."""
        return [round(max(0.0, self.low), 6), round(self.high, 6)]

    def holds(self, part: float) -> bool:
        """Whether a part is usual."""
        return self.low <= part <= self.high


class Judged(NamedTuple):
    """A part of a day, and what is usual: None for what is not known."""

    part: float | None
    band: Band | None

    @property
    def is_odd(self) -> bool:
        """Whether the part has left its band."""
        return self.part is not None and self.band is not None and not self.band.holds(self.part)


class EdgeDay(NamedTuple):
    """An edge's day: its sums, and the parts that are logged of what interface and servers sent."""

    sums: Sums
    wire: Judged
    server: Judged

    @property
    def is_odd(self) -> bool:
        """Whether one of the parts has left its band."""
        return self.wire.is_odd or self.server.is_odd


def edge_days(cursor: Any, bounds: Sequence[int]) -> dict[str, list[EdgeDay]]:
    """Every edge's days, oldest first, each judged by those before it.

    bounds: where each day begins, and the last one ends, epoch s; an hour is of the day in which it begins. Edges that
    have told nothing in this time are left out.
    """
    found = _sums(cursor, bounds)
    seconds = [after - first for first, after in zip(bounds, bounds[1:])]
    return {edge: judge(days, seconds) for edge, days in sorted(found.items()) if any(map(_has_told, days))}


def days_before(start: int) -> list[int]:
    """Where the days begin that a day is judged by."""
    return [start - number * DAY for number in range(BAND_DAYS, 0, -1)]


def judge(days: Sequence[Sums], seconds: Sequence[int]) -> list[EdgeDay]:
    """The days of one edge, each judged by the two weeks before it. seconds: how long each is."""
    of_wire = [day.of_wire(long) for day, long in zip(days, seconds)]
    of_server = [day.of_server(long) for day, long in zip(days, seconds)]
    whole = [long >= KNOWN * DAY for long in seconds]  # a part of a day has other hours than the days before
    return [
        EdgeDay(day, _judged(of_wire, whole, number), _judged(of_server, whole, number))
        for number, day in enumerate(days)
    ]


def usual(parts: Iterable[float]) -> Band | None:
    """The band of what is usual, by the parts of other days; None where those are too few."""
    known = list(parts)
    if len(known) < LEAST_DAYS:
        return None
    middle = median(known)
    spread = median(abs(part - middle) for part in known)
    width = max(SPREADS * spread, LEAST_SHARE * middle, LEAST)
    return Band(middle - width, middle + width)


def _judged(parts: Sequence[float | None], whole: Sequence[bool], number: int) -> Judged:
    before = parts[max(0, number - BAND_DAYS) : number]
    return Judged(parts[number], usual(part for part in before if part is not None) if whole[number] else None)


def _has_told(day: Sums) -> bool:
    return day.wire_seconds > 0 or day.server_seconds > 0


def _sums(cursor: Any, bounds: Sequence[int]) -> dict[str, list[Sums]]:
    """The sums of every edge in each day."""
    days = len(bounds) - 1
    found: dict[str, list[Sums]] = {}
    day = f"INTERVAL(hour, {', '.join(map(str, bounds))}) - 1"
    span = (bounds[0], bounds[-1])
    cursor.execute(
        f"SELECT edge, {day} AS day, SUM(wire), SUM(wire_seconds), SUM(server), SUM(server_seconds) "  # noqa: S608
        "FROM edge_hour WHERE hour >= %s AND hour < %s GROUP BY edge, day",
        span,
    )
    for edge, number, *told in cursor.fetchall():
        found.setdefault(edge.decode(), [Sums()] * days)[number] = Sums(0, *map(int, told))
    cursor.execute(
        f"SELECT name, {day} AS day, SUM(bytes) FROM stream_hour JOIN stream ON id = stream_id "  # noqa: S608
        "WHERE hour >= %s AND hour < %s AND name <> %s GROUP BY name, day",
        (*span, CANARY_STREAM.encode()),
    )
    for name, number, size in cursor.fetchall():
        of_edge = found.setdefault(edge_of(name.decode()), [Sums()] * days)
        of_edge[number] = of_edge[number]._replace(logged=of_edge[number].logged + int(size))
    return found


# --- in words


def part_text(part: float | None, usual: Sequence[float] | None) -> str:
    """A part, and what is usual: `94.1% (91% to 97%)`."""
    if part is None:
        return "-"
    return f"{part:.1%}" + (f" ({usual[0]:.0%} to {usual[1]:.0%})" if usual else "")


def odd_text(edge: str, day: EdgeDay) -> str:
    """What a person has to know of an edge's day that has left its band."""
    sides = (("its servers say they sent", day.server), ("its interface sent", day.wire))
    what, judged = next((what, judged) for what, judged in sides if judged.is_odd)
    part, band = judged.part or 0.0, judged.band or Band(0, 0)
    low = part < band.low
    causes = (
        "a log that stopped, a site or server that is not logged, a format that has become one of body bytes"
        if low
        else "a log that is counted twice, another interface that carries traffic"
    )
    causes += ", other traffic of the host" if judged is day.wire and low else ""
    return (
        f"edge {edge} logged {part:.1%} of what {what}, usual are {max(0.0, band.low):.1%} to {band.high:.1%}: look "
        f"for {causes}; `edgetally check` there"
    )
