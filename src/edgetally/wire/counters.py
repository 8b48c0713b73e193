"""What an edge's interface and servers counted between two moments, as a batch carries it: the bytes that no log has.

It is in `extra`, where a reader leaves out what it does not know: a part of another version, as well.
"""

from __future__ import annotations

from edgetally.record import NamedTuple
from edgetally.wire.bounded import is_count, is_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1


class Counters(NamedTuple):
    """start, end: epoch seconds. wire: bytes that the interface sent; server: those that the servers say they sent to
    clients. None where that is not known. device: the interface, empty where none is known."""

    start: float
    end: float
    wire: int | None
    server: int | None
    device: str = ""

    @property
    def seconds(self) -> int:
        """How long the time between is."""
        return int(self.end) - int(self.start)

    @property
    def most(self) -> int:
        """The larger of its counts."""
        return max(self.wire or 0, self.server or 0)

    def data(self) -> dict[str, Any]:
        """The counters as a body has them."""
        return {
            "version": VERSION,
            "time": [self.start, self.end],
            "wire": self.wire,
            "server": self.server,
            "device": self.device,
        }


def read_counters(value: Any) -> Counters | None:
    """The counters of a body; None where it has none, or those of another version. Raises ValueError for others."""
    if value is None or value["version"] != VERSION:
        return None
    start, end = value["time"]
    counters = Counters(start, end, value["wire"], value["server"], value["device"])
    if not (all(map(is_time, (start, end))) and start <= end):
        raise ValueError("its counters have no time")
    if not all(count is None or is_count(count) for count in (counters.wire, counters.server)):
        raise ValueError("its counters are no counts")
    if not (isinstance(counters.device, str) and len(counters.device) < 16 and counters.device.isprintable()):
        raise ValueError("its counters name no interface")
    return counters
