"""The machines that have spoken for each edge, and which edges had two at once: a clone, or a name given twice."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from edgetally.wire.machine import Machine

AGAIN_SECONDS = 3600  # a machine that is known is noted again so often
KEEP_SECONDS = 400 * 86400


class Sighting(NamedTuple):
    """A machine that has spoken for an edge, from when to when, epoch s by the database's clock."""

    machine: Machine
    first: float
    last: float

    def is_beside(self, other: Sighting) -> bool:
        """Whether one was heard between two words of the other: after a boot, a machine is never the old one again."""
        return self.first < other.last and other.first < self.last


class Watch:
    """What has to be noted: of an edge that one machine speaks for, that is little."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Machine, float]] = {}

    def is_new(self, edge: str, machine: Machine) -> bool:
        """Whether an edge's machine is another one than the last time, or was noted long ago."""
        known, noted = self._last.get(edge, (None, 0.0))
        return known != machine or time.monotonic() - noted > AGAIN_SECONDS

    def noted(self, machines: Mapping[str, Machine]) -> None:
        """These are in the database."""
        self._last.update((edge, (machine, time.monotonic())) for edge, machine in machines.items())


def note(cursor: Any, machines: Mapping[str, Machine]) -> None:
    """Note that each edge's machine spoke just now."""
    cursor.executemany(
        "INSERT INTO machine (edge, boot, host, address, first_seen, last_seen) "
        "VALUES (%s, UNHEX(%s), %s, %s, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)) "
        "ON DUPLICATE KEY UPDATE address = VALUES(address), last_seen = UTC_TIMESTAMP(6)",
        [(edge.encode(), one.boot, one.host.encode(), one.address.encode()) for edge, one in sorted(machines.items())],
    )


def forget(cursor: Any) -> None:
    """Delete the machines of long ago."""
    cursor.execute("DELETE FROM machine WHERE last_seen < UTC_TIMESTAMP(6) - INTERVAL %s SECOND", (KEEP_SECONDS,))


def twins(cursor: Any, start: float, end: float) -> dict[str, list[Sighting]]:
    """The edges that had several machines at the same time, in some part of a time (epoch s), and these."""
    cursor.execute(
        "SELECT edge, LOWER(HEX(boot)), host, address, UNIX_TIMESTAMP(first_seen), UNIX_TIMESTAMP(last_seen) "
        "FROM machine WHERE last_seen >= FROM_UNIXTIME(%s) AND first_seen < FROM_UNIXTIME(%s) "
        "ORDER BY edge, first_seen, boot, host",
        (start, end),
    )
    seen: dict[str, list[Sighting]] = {}
    for edge, boot, host, address, first, last in cursor.fetchall():
        machine = Machine(boot, host.decode(), address.decode())
        seen.setdefault(edge.decode(), []).append(Sighting(machine, float(first), float(last)))
    found = {edge: _beside(sightings) for edge, sightings in seen.items()}
    return {edge: sightings for edge, sightings in found.items() if sightings}


def _beside(sightings: Iterable[Sighting]) -> list[Sighting]:
    every = list(sightings)
    return [one for one in every if any(one is not other and one.is_beside(other) for other in every)]


def machine_text(host: str, address: str) -> str:
    """A machine as a person would name it."""
    return f"{host} ({address or 'address unknown'})"


def twins_text(edge: str, machines: Iterable[str]) -> str:
    """What a person has to know of an edge that had several. machines: their texts."""
    return (
        f"several machines spoke for edge {edge} at the same time: {', '.join(machines)}; what one of them counted is "
        "refused as an overlap: give each a name of its own, and let the copy begin with an empty spool"
    )
