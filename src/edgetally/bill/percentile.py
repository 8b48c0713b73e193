"""The arithmetic of the bill: Mbit/s of a slot, and the nearest-rank percentile. Exact: no floating point decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgetally.limits import SLOT_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fractions import Fraction  # which takes 2 ms to load, and a tally needs none

MEGA = 1_000_000


def rate(size: int, base: int = MEGA) -> Fraction:
    """The mean rate of a slot in units of `base` bit/s, of the bytes sent in it."""
    from fractions import Fraction

    return Fraction(size * 8, SLOT_SECONDS * base)


def mbps(size: int) -> float:
    """The mean rate of a slot in Mbit/s (10^6 bit), of the bytes sent in it."""
    return size * 8 / SLOT_SECONDS / MEGA


def rank(slots: int, percent: int | Fraction = 95) -> int:
    """The nearest rank: ceil(percent / 100 x slots), at least 1."""
    return max(1, -(-slots * percent.numerator // (100 * percent.denominator)))


def nearest_rank(sizes: Iterable[int], slots: int, percent: int | Fraction = 95) -> int:
    """The bytes of the slot at the nearest rank of `slots` slots; those that are not among `sizes` count as zero."""
    return at_rank(sorted(sizes), slots, percent)


def at_rank(ordered: Sequence[int], slots: int, percent: int | Fraction = 95) -> int:
    """As nearest_rank, of sizes that are sorted already. Where there are fewer slots than sizes, the largest count."""
    above = slots - rank(slots, percent) if slots else 0
    return ordered[-1 - above] if above < len(ordered) else 0
