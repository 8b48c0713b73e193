"""The result of a tally: the sums by slot and channel, and the first few lines that were not counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgetally.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    Cell = list[Optional[int]]

REJECTS = 20

_BITS = 80
_MASK = (1 << _BITS) - 1


class Reject(NamedTuple):
    """A line that was not counted. line counts from 1; text is its beginning, fit to be printed."""

    file: str
    line: int
    reason: str
    text: str


class Cut(NamedTuple):
    """A packed file that is damaged or cut. lines: how many whole ones come before that; why: in unpacking's words."""

    file: str
    lines: int
    why: str

    def __str__(self) -> str:
        return f"{self.file} is cut or damaged ({self.why}): what follows its first {self.lines} lines is lost"


class Cells(Mapping[tuple[int, str], "Cell"]):
    """(slot, channel) -> [requests, bytes, hits, hit bytes], in little memory: there is one for each slot and host.

    The four are kept in one number, each in 80 bits, so that adding numbers adds all four. hit_known: whether the
    format tells hits; else they are None.
    """

    def __init__(self) -> None:
        self.hit_known = True
        self._slots: dict[int, dict[str, int]] = {}

    def add(self, slot: int, channel: str, requests: int, size: int, hits: int = 0, hit_bytes: int = 0) -> None:
        """Add requests and their bytes, and those of them that are hits."""
        added = requests | size << _BITS
        if hits or hit_bytes:
            added |= (hits | hit_bytes << _BITS) << 2 * _BITS
        cells = self._slots.get(slot)
        if cells is None:
            cells = self._slots[slot] = {}
        cells[channel] = cells.get(channel, 0) + added

    def merge(self, other: Cells) -> None:
        """Add those of another tally."""
        self.hit_known = (self.hit_known or not self._slots) and (other.hit_known or not other._slots)
        for slot, cells in other._slots.items():
            own = self._slots.setdefault(slot, {})
            for channel, added in cells.items():
                own[channel] = own.get(channel, 0) + added

    def __getitem__(self, place: tuple[int, str]) -> Cell:
        slot, channel = place
        packed = self._slots[slot][channel]
        hits, size = packed >> 2 * _BITS, packed >> _BITS & _MASK
        return [packed & _MASK, size, *((hits & _MASK, hits >> _BITS) if self.hit_known else (None, None))]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return ((slot, channel) for slot, cells in self._slots.items() for channel in cells)

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass
class Tally:
    """The sums of a pass over logs.

    cells: (slot, channel) -> [requests, bytes, hits, hit bytes]; slot in epoch seconds, UTC; the hits are None where
    the format does not tell. first, last: ends of the earliest and latest line counted, as logged (epoch seconds).
    skewed: of those counted, the ones outside the window; clipped: the ones whose bytes are not spread over all slots
    that they were sent in. set_aside: lines from before `since`, counted nowhere else.
    cut: the packed files that are not whole. unassigned_hosts: host -> [requests, bytes]; the biggest ones only, where
    there are very many.
    """

    counted: int = 0
    rejected: int = 0
    skewed: int = 0
    clipped: int = 0
    set_aside: int = 0
    bytes: int = 0
    first: float | None = None
    last: float | None = None
    cells: Cells = field(default_factory=Cells)
    unassigned_hosts: dict[str, list[int]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    cut: list[Cut] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Lines read: those counted and those rejected. Blank lines and W3C directives are not lines."""
        return self.counted + self.rejected

    def merge(self, other: Tally) -> None:
        """Add another tally."""
        for name in ("counted", "rejected", "skewed", "clipped", "set_aside", "bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first = min((time for time in (self.first, other.first) if time is not None), default=None)
        self.last = max((time for time in (self.last, other.last) if time is not None), default=None)
        self.cells.merge(other.cells)
        for host, (requests, size) in other.unassigned_hosts.items():
            before = self.unassigned_hosts.get(host, [0, 0])
            self.unassigned_hosts[host] = [before[0] + requests, before[1] + size]
        self.rejects = [*self.rejects, *other.rejects][:REJECTS]
        self.cut = [*self.cut, *other.cut]
