"""What the lines of a bill stand for: the sum whose curve shows that a line is right, and its terms in words."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Any, NamedTuple

from edgetally.bill.closed import AnyBill
from edgetally.bill.series import Counts, Series
from edgetally.limits import SLOT_SECONDS


def billed_series(bill: AnyBill, line: dict[str, Any]) -> Series:
    """The sum of the channels of a line of `contracts`, as far as the line bills them; nothing elsewhere."""
    period = bill.data["period"]
    sizes = [0] * period["slots"]
    days = [Counts()] * len(period["days"])
    there = {one["channel"] for one in bill.data["channels"]}
    names = [name for name in line["channels"] if name in there]
    for name, series in bill.each_series(names):
        spans = line["parts"].get(name) or [_slots(line, period)]
        for first, after in spans:
            sizes[first:after] = map(add, sizes[first:after], series.sizes[first:after])
        for number, (_date, begin, _count) in enumerate(period["days"]):
            if any(first <= begin < after for first, after in spans):
                days[number] = Counts(*map(add, days[number], series.days[number]))
    return Series(sizes, days)


class Terms(NamedTuple):
    """The terms of a contract in sentences: those of all its lines, and beside them what a line has of its own."""

    contract: str
    text: list[str]
    own: list[tuple[str, list[str]]]


def terms_of(lines: Sequence[dict[str, Any]]) -> list[Terms]:
    """The terms of each contract of a bill, once."""
    by_contract: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_contract.setdefault(line["contract"], []).append(line)
    return [_terms(name, several) for name, several in by_contract.items()]


def _terms(name: str, lines: Sequence[dict[str, Any]]) -> Terms:
    common = [sentence for sentence in lines[0]["text"] if all(sentence in line["text"] for line in lines)]
    own = [(", ".join(line["channels"]), [one for one in line["text"] if one not in common]) for line in lines]
    return Terms(name, common, [(channels, text) for channels, text in own if text])


def _slots(line: dict[str, Any], period: dict[str, Any]) -> tuple[int, int]:
    """The slots of the period in which a line's contract is in force."""
    first, after = ((line[name] - period["from"]) // SLOT_SECONDS for name in ("from", "to"))
    return first, after
