"""The bytes of each slot of a period, with their bounds where some are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from edgetally.bill.percentile import at_rank


class Span(NamedTuple):
    """Slots in which something is missing: from `first` up to, not including, `after`; at most `most` bytes in each."""

    first: int
    after: int
    most: int


class Sample:
    """The bytes of every slot of a period, and where some are missing.

    Sorted once, however many percentiles are asked for.
    """

    def __init__(self, sizes: Sequence[int], missing: Sequence[Span] = ()) -> None:
        self.sizes = sizes
        self.missing = missing

    @cached_property
    def affected(self) -> frozenset[int]:
        """The slots in which something is missing."""
        return frozenset(slot for span in self.missing for slot in range(span.first, span.after))

    @cached_property
    def most(self) -> Sequence[int]:
        """The sizes with everything that is missing at its most."""
        if not self.missing:
            return self.sizes
        sizes = list(self.sizes)
        for first, after, most in self.missing:
            sizes[first:after] = [size + most for size in sizes[first:after]]
        return sizes

    @cached_property
    def ordered(self) -> list[int]:
        """The sizes as they are counted, sorted."""
        return sorted(self.sizes)

    @cached_property
    def ordered_most(self) -> list[int]:
        """The sizes at their most, sorted."""
        return sorted(self.most) if self.missing else self.ordered

    def percentile(self, percent: Fraction) -> tuple[int, int, int]:
        """The nearest-rank percentile of all slots, and its low and high bound: bytes of the slot."""
        slots = len(self.sizes)
        size = at_rank(self.ordered, slots, percent)
        return size, size, at_rank(self.ordered_most, slots, percent)


def add_spans(listed: Iterable[Sequence[Span]]) -> list[Span]:
    """Several lists of spans as one without overlaps: where two overlap, both amounts can be missing."""
    edges: dict[int, int] = {}
    open_at: dict[int, int] = {}
    for spans in listed:
        for first, after, most in spans:
            edges[first] = edges.get(first, 0) + most
            edges[after] = edges.get(after, 0) - most
            open_at[first] = open_at.get(first, 0) + 1
            open_at[after] = open_at.get(after, 0) - 1
    merged: list[Span] = []
    most = depth = 0
    places = sorted(edges)
    for place, following in zip(places, places[1:]):
        most, depth = most + edges[place], depth + open_at[place]
        if depth and merged and merged[-1].after == place and merged[-1].most == most:
            merged[-1] = Span(merged[-1].first, following, most)
        elif depth:
            merged.append(Span(place, following, most))
    return merged
