"""Regions: where each edge was, and what of a contract's line the edges of each region sent; price.py prices it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

from edgetally.bill.agreed import Slots, Stretch
from edgetally.bill.contracts import Contract
from edgetally.bill.period import Period
from edgetally.config import AggregatorConfig
from edgetally.ledger.database import check_schema, connect
from edgetally.limits import SLOT_SECONDS
from edgetally.wire.envelope import edge_of

NOWHERE = "-"  # the region of an edge that says none

Spans = Mapping[str, Sequence[Slots]]  # of each channel of a line: the slots that the line bills
Regional = Callable[[Stretch, Spans], Mapping[str, int]]  # what each region had of a line, bytes
Moves = Sequence[tuple[int, str]]  # where an edge was, (from a slot on, region), oldest first


def read_streams(cursor: Any) -> dict[int, str]:
    """The names of all streams by id."""
    cursor.execute("SELECT id, name FROM stream")
    return {number: name.decode() for number, name in cursor.fetchall()}


def read_moves(cursor: Any) -> dict[str, list[tuple[int, str]]]:
    """Where each edge was."""
    cursor.execute("SELECT edge, slot, region FROM edge_region ORDER BY edge, slot")
    moves: dict[str, list[tuple[int, str]]] = {}
    for edge, slot, region in cursor.fetchall():
        moves.setdefault(edge.decode(), []).append((slot, region.decode()))
    return moves


def known_regions(config: AggregatorConfig) -> list[str]:
    """The regions that edges have named, by name."""
    with closing(connect(config.database)) as connection:
        check_schema(connection, config.database)
        with connection.cursor() as cursor:
            return sorted({region for moves in read_moves(cursor).values() for _slot, region in moves})


def region_at(moves: Moves, slot: int) -> str:
    """Where an edge was in a slot (epoch s)."""
    place = bisect_right([since for since, _region in moves], slot)
    return moves[place - 1][1] if place else NOWHERE


class Regions:
    """What each region had, from the detail of each stream: for each contract's line that asks for it."""

    def __init__(self, cursor: Any, period: Period, ids: Mapping[str, Sequence[int]]) -> None:
        """ids: of the channels, by name."""
        self._cursor = cursor
        self._period = period
        self._ids = ids

    def __call__(self, _stretch: Stretch, spans: Spans) -> dict[str, int]:
        """What each region had of the channels of a line, bytes; what has no detail any more is in none."""
        sums: dict[str, int] = {}
        for (first, after), ids in self._together(spans).items():
            for start, end in self._unmoved(first, after):
                for stream, size in self._read(ids, start, end):
                    region = region_at(self._moves.get(self._edges[stream], ()), start)
                    sums[region] = sums.get(region, 0) + size
        return sums

    def _together(self, spans: Spans) -> dict[Slots, list[int]]:
        """The ids of the channels that have the same slots: all of a group are asked for at once."""
        ids: dict[Slots, list[int]] = {}
        for channel, listed in spans.items():
            for span in listed:
                ids.setdefault(span, []).extend(self._ids.get(channel, ()))
        return ids

    def _unmoved(self, first: int, after: int) -> Iterator[tuple[int, int]]:
        """The time of some slots (epoch s), cut where an edge moved."""
        start, end = (self._period.start + SLOT_SECONDS * number for number in (first, after))
        cuts = {slot for moves in self._moves.values() for slot, _region in moves if start < slot < end}
        places = [start, *sorted(cuts), end]
        return zip(places, places[1:])

    def _read(self, ids: Sequence[int], start: int, end: int) -> list[tuple[int, int]]:
        """(stream id, bytes) of some channels."""
        if not ids:
            return []
        self._cursor.execute(
            "SELECT stream_id, SUM(bytes) FROM traffic WHERE channel_id IN %s AND slot >= %s AND slot < %s "
            "GROUP BY stream_id",
            (ids, start, end),
        )
        return [(stream, int(size)) for stream, size in self._cursor.fetchall()]

    @cached_property
    def _edges(self) -> dict[int, str]:
        return {number: edge_of(name) for number, name in read_streams(self._cursor).items()}

    @cached_property
    def _moves(self) -> dict[str, list[tuple[int, str]]]:
        return read_moves(self._cursor)


def divided(contract: Contract, sums: Mapping[str, int], total: int) -> dict[str, int]:
    """The bytes of a line by the regions that its contract prices, and under NOWHERE the rest: together the total."""
    named = {region.name: sums.get(region.name, 0) for region in contract.regions}
    return {**named, NOWHERE: total - sum(named.values())}


def divided_text(regions: Mapping[str, int]) -> str:
    """What each region had, in a sentence."""
    named = [f"{name} {size:,}" for name, size in regions.items() if name != NOWHERE]
    return f"Bytes by region of the edges that sent them: {', '.join(named)}, elsewhere {regions[NOWHERE]:,}."


def unknown_text(contract: Contract, known: Sequence[str]) -> Iterator[str]:
    """A sentence for each region of a contract that no edge has named yet. known: those that edges have named."""
    for region in contract.regions:
        if region.name not in known:
            yield (
                f"Contract {contract.name} has a price in the region {region.name}, which no edge names: known "
                f"{'are ' + ', '.join(known) if known else 'is none'} (edge_shipper_region)."
            )
