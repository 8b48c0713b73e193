"""What this host has sent by its interface's counter, and by its servers' own: the bytes that no log has.

They belong to the edge and not to a log: one reading a run, and one batch that carries what was counted since the
reading before. Which batch that is gets noted before it is published, so after a crash it is known whether what was
counted is on its way, or still to be told: nothing is told twice.
"""

from __future__ import annotations

import json
import socket
import time

from edgetally.config import CounterConfig, EdgeConfig
from edgetally.edge.interface import default_device, transmitted
from edgetally.edge.spool import BatchName, Spool
from edgetally.errors import EdgetallyError
from edgetally.files import read_plain, write_atomic
from edgetally.record import NamedTuple
from edgetally.wire.counters import Counters
from edgetally.wire.machine import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from edgetally.wire.batch import Batch

TICK = 0.001
WIRE = "wire"
_WRAP = 1 << 32  # old kernels and some drivers count to here, and begin again


class Count(NamedTuple):
    """A counter. of: what counted, a device from one boot to the next, empty where it could not be read; size: bytes
    since that began."""

    of: str
    size: int

    def since(self, before: Count | None) -> int | None:
        """The bytes between two looks at a counter; None where it began anew, or was not there."""
        if before is None or before.of != self.of or not self.of:
            return None
        grown = self.size - before.size
        if grown < 0 and _WRAP // 2 <= before.size < _WRAP:
            grown += _WRAP
        return grown if grown >= 0 else None


class Reading(NamedTuple):
    """The counters at a moment (epoch s): the interface's as WIRE, and each server's under its name."""

    time: float
    counts: dict[str, Count]

    def since(self, before: Reading) -> Counters | None:
        """What was counted since another reading; None where nothing of it is known."""
        counts = {source: count.since(before.counts.get(source)) for source, count in self.counts.items()}
        wire = counts.pop(WIRE, None)
        known = [size for size in counts.values() if size is not None]
        server = sum(known) if known and len(known) == len(counts) else None
        if wire is None and server is None:
            return None
        return Counters(before.time, self.time, wire, server, self._device if wire is not None else "")

    @property
    def _device(self) -> str:
        return self.counts[WIRE].of.split(" ")[0]


class Meter:
    """The counters of one run. problems: a sentence for each that could not be read."""

    def __init__(self, config: EdgeConfig, spool: Spool) -> None:
        self.config = config
        self.spool = spool
        self.problems: list[str] = []
        self.base = self._told()
        self.now: Reading | None = None
        self._carrier: BatchName | None = None

    def read(self) -> None:
        """Look at all counters."""
        before = self.base.time if self.base else 0.0
        self.now = Reading(round(max(time.time(), before + TICK), 3), self._counts())
        if self.base is None or self.now.since(self.base) is None:
            self._note(self.now)

    def give_to(self, name: BatchName, batch: Batch) -> Batch:
        """The batch, with what was counted where no other of this run has it. It is noted before it is given."""
        counters = self.now.since(self.base) if self.now and self.base else None
        if counters is None or self._carrier not in (None, name):
            return batch
        self._note(self.base, self.now, name)
        self._carrier = name
        return batch._replace(counters=counters)

    def _counts(self) -> dict[str, Count]:
        """What can be read of all that is configured."""
        counts = {}
        for source, look in ((WIRE, self._wire), *self._servers()):
            try:
                found = look()
            except (EdgetallyError, OSError, ValueError) as error:
                self.problems.append(f"the counters of {source} cannot be read ({error}): see docs/reference/edge.md")
                found = Count("", 0)
            if found is not None:
                counts[source] = found
        return counts

    def _wire(self) -> Count | None:
        device = self.config.interface or default_device()
        size = transmitted(device) if device else None
        if size is None:
            if self.config.interface:
                raise EdgetallyError(f"there is no interface {device}")
            return None
        return Count(f"{device} {socket.if_nametoindex(device)} {boot_id()}", size)

    def _servers(self) -> list[tuple[str, Callable[[], Count]]]:
        """The name of each server that is configured, and how to look at its counter. What reads them is loaded only
        where there is one."""
        if not self.config.counters:
            return []
        from edgetally.edge.server_counters import counted

        def look(one: CounterConfig) -> Callable[[], Count]:
            return lambda: Count(boot_id(), counted(one, self.spool.user))

        return [(f"{one.program} {one.at}".strip(), look(one)) for one in self.config.counters]

    # --- what was told

    def _told(self) -> Reading | None:
        """The reading up to which all was told: the newest of those whose batch was published."""
        try:
            data = json.loads(read_plain(self.spool.counters))
            base, following = _reading(data["base"]), _reading(data["next"])
            name = BatchName.parse(data["batch"] or "")
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
        if name is None:
            return base
        if self.spool.find(name):
            return following
        self._note(base)  # its batch is made without them, if it is
        return base

    def _note(self, base: Reading | None, following: Reading | None = None, name: BatchName | None = None) -> None:
        data = {"base": base and base._asdict(), "next": following and following._asdict(), "batch": name and str(name)}
        write_atomic(self.spool.counters, json.dumps(data).encode() + b"\n")


def _reading(data: dict[str, Any] | None) -> Reading | None:
    """A reading as it was noted."""
    if data is None:
        return None
    return Reading(float(data["time"]), {source: Count(*count) for source, count in data["counts"].items()})
