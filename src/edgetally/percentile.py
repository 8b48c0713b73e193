"""The arithmetic of the bill: Mbit/s of a slot, and the nearest-rank percentile."""

from __future__ import annotations

from collections.abc import Iterable

from edgetally import SLOT_SECONDS


def mbps(size: int) -> float:
    """The mean rate of a slot in Mbit/s (10^6 bit), of the bytes sent in it."""
    return size * 8 / SLOT_SECONDS / 1_000_000


def rank(slots: int, percent: int = 95) -> int:
    """The nearest rank: ceil(percent / 100 x slots), at least 1. Exact: no floating point."""
    return max(1, -(-slots * percent // 100))


def nearest_rank(sizes: Iterable[int], slots: int, percent: int = 95) -> int:
    """The bytes of the slot at the nearest rank of `slots` slots; those that are not among `sizes` count as zero."""
    ordered = sorted(sizes)
    index = rank(slots, percent) - 1 - (slots - len(ordered))
    return ordered[index] if index >= 0 and ordered else 0
