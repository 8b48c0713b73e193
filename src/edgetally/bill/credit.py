"""What came after the closing, as a credit note needs it: each line of the contracts as closed, and as it would be.

The contracts are those that the closed month keeps; the series are what was closed, with all that was committed later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

from edgetally.bill.adjustments import Adjustment
from edgetally.bill.agreed import Stretch
from edgetally.bill.bill import BillBuilder
from edgetally.bill.closed import Closed
from edgetally.bill.contracts import Contract, Contracts
from edgetally.bill.period import Period
from edgetally.bill.regions import Spans, read_moves, region_at
from edgetally.bill.sample import Sample, Span
from edgetally.bill.series import Counts
from edgetally.bill.zones import zone_named
from edgetally.limits import SLOT_SECONDS
from edgetally.wire.envelope import edge_of

Key = tuple[str, str, int]  # see _key
_QUANTITIES = ("measured", "billable", "overage")


def changed_lines(closed: Closed, changes: Sequence[Adjustment]) -> list[dict[str, Any]]:
    """The lines of the contracts that change, as docs/reference/bill.md describes them."""
    if not changes:
        return []
    start = closed.data["period"]["from"]
    before = {_key(line, start): line for line in closed.data["contracts"]}
    after = {_key(line, start): line for line in _lines(closed, changes, before)}
    found = (_changed(before.get(key), after.get(key)) for key in {**before, **after})
    return [one for one in found if any(one["change"][name] for name in one["change"])]


def _lines(closed: Closed, changes: Sequence[Adjustment], before: Mapping[Key, Any]) -> list[dict[str, Any]]:
    """The lines with all changes in them. before: the lines as they were closed."""
    data = closed.data
    span = data["period"]
    period = Period(span["from"], span["to"], zone_named(span["zone"]), span["name"])
    contracts = _contracts(data)
    regional = _Regions(closed, changes, before)
    builder = BillBuilder(period, contracts, (Fraction(95),), {one.name for one in contracts.listed}, regional)
    moved = _by_channel(changes)
    known = {line["channel"]: line for line in data["channels"]}
    for name in sorted({*known, *moved}):
        sizes = closed.series(name).sizes if name in known else [0] * period.slots
        for slot, size in moved.get(name, {}).items():
            sizes[(slot - period.start) // SLOT_SECONDS] += size
        spans = [Span(*one) for one in known[name]["missing"]] if name in known else []
        builder.add(name, [], Counts(bytes=sum(sizes)), Sample(sizes, spans), None)
    builder.add_idle("*")
    return builder.all_charges()


class _Regions:
    """What each region had of a line as it was closed, with all changes in it; see regions.Regional."""

    def __init__(self, closed: Closed, changes: Sequence[Adjustment], before: Mapping[Key, Any]) -> None:
        self._start = closed.data["period"]["from"]
        self._connection = closed.connection
        self._changes = changes
        self._before = before

    def __call__(self, stretch: Stretch, spans: Spans) -> dict[str, int]:
        contract = stretch.contract
        channel = "" if contract.group else next(iter(spans))
        key = contract.name, channel, self._start + SLOT_SECONDS * stretch.first
        sums = dict(self._before.get(key, {}).get("regions") or {})
        for region, at, slot, size in self._moved:
            index = (slot - self._start) // SLOT_SECONDS
            if any(first <= index < after for first, after in spans.get(at, ())):
                sums[region] = sums.get(region, 0) + size
        return sums

    @cached_property
    def _moved(self) -> list[tuple[str, str, int, int]]:
        """What came later: (region, channel, slot, bytes)."""
        with self._connection.cursor() as cursor:
            moves = read_moves(cursor)
        return [
            (region_at(moves.get(edge_of(change.stream), ()), slot), channel, slot, size)
            for change in self._changes
            for (channel, slot), (_requests, size) in change.cells.items()
        ]


def _contracts(data: dict[str, Any]) -> Contracts:
    """The contracts that a closed month keeps; of format 1 those that had a line."""
    terms = data.get("agreed") or [line["terms"] for line in data["contracts"]]
    return Contracts(list({one["name"]: Contract.of_terms(one) for one in terms}.values()))


def _by_channel(changes: Sequence[Adjustment]) -> dict[str, dict[int, int]]:
    """The bytes that came later: {channel: {slot: bytes}}."""
    moved: dict[str, dict[int, int]] = {}
    for change in changes:
        for (channel, slot), (_requests, size) in change.cells.items():
            cells = moved.setdefault(channel, {})
            cells[slot] = cells.get(slot, 0) + size
    return moved


def _key(line: dict[str, Any], start: int) -> Key:
    """What a line is known by: of a group the contract alone, whose channels may be more now. start: of the period."""
    return line["contract"], "" if line["group"] else line["channels"][0], line.get("from", start)


def _changed(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    """A line as closed, as it would be, and the difference; nothing where there was, or would be, no line."""
    line: dict[str, Any] = after or before or {}
    closed, adjusted = _figures(before), _figures(after)
    return {
        "contract": line["contract"],
        "channels": line["channels"],
        "unit": line["unit"],
        "currency": (line.get("amount") or {}).get("currency"),
        "closed": closed,
        "adjusted": adjusted,
        "change": {name: _minus(adjusted[name], closed[name]) for name in closed},
    }


def _figures(line: dict[str, Any] | None) -> dict[str, Any]:
    figures = {name: (line or {}).get(name) for name in _QUANTITIES}
    return {**figures, "net": ((line or {}).get("amount") or {}).get("net")}


def _minus(after: float | str | None, before: float | str | None) -> float | str | None:
    if after is None and before is None:
        return None
    if isinstance(after or before, str):
        change = Decimal(after or 0) - Decimal(before or 0)
        return f"{change:f}" if change else None
    return round(float(after or 0) - float(before or 0), 6)
