"""Which contract holds when: the contracts of a period, and for each channel which of them bills which slots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from edgetally.bill.contracts import Contract, Contracts
from edgetally.bill.period import Period
from edgetally.bill.sample import Sample, Span
from edgetally.limits import SLOT_SECONDS

Slots = tuple[int, int]  # the first, and the one after the last


@dataclass(frozen=True)
class Stretch:
    """A contract, and the slots of the period that it bills: from `first` up to, not including, `after`."""

    contract: Contract
    first: int
    after: int


class Agreed:
    """The contracts of a period that are in force in it, in their order."""

    def __init__(self, contracts: Contracts, period: Period) -> None:
        self.period = period
        self.contracts = contracts
        spans = ((contract, _slots(contract, period)) for contract in contracts.listed)
        self.stretches = [Stretch(contract, *span) for contract, span in spans if span[0] < span[1]]

    @property
    def listed(self) -> list[Contract]:
        """The contracts that are in force."""
        return [stretch.contract for stretch in self.stretches]

    def of(self, channel: str) -> list[Stretch]:
        """What bills a channel, slot by slot: of several contracts at a time the first."""
        found: list[Stretch] = []
        free: list[Slots] = [(0, self.period.slots)]
        for stretch in self.stretches:
            if stretch.contract.covers(channel):
                taken, free = _take(free, (stretch.first, stretch.after))
                found += [Stretch(stretch.contract, *span) for span in taken]
        return found

    def is_here(self, contract: Contract) -> bool:
        """Whether a contract is of the period's zone: else a bill of its own zone has it."""
        return contract.zone in ("", str(self.period.zone))

    def part(self, stretch: Stretch) -> tuple[Period, Fraction]:
        """The part of the period that a stretch has, and its share of the days of the whole period."""
        period = self.period
        end = period.start + stretch.after * SLOT_SECONDS
        until = _bounds(stretch.contract, period)[1] if end == period.end else end
        part = Period(period.start + stretch.first * SLOT_SECONDS, end, period.zone, period.name, until)
        return part, Fraction(len(part.whole_days()), len(period.whole_days()))


def cut(sample: Sample, first: int, after: int) -> Sample:
    """The slots of a part of a period."""
    if (first, after) == (0, len(sample.sizes)):
        return sample
    missing = [Span(low - first, high - first, most) for low, high, most in _clip(sample, first, after)]
    return Sample(sample.sizes[first:after], missing)


def masked(sample: Sample, spans: Iterable[Slots]) -> Sample:
    """The sample with nothing outside of some spans of slots."""
    sizes, missing = [0] * len(sample.sizes), list[Span]()
    for first, after in spans:
        sizes[first:after] = sample.sizes[first:after]
        missing += _clip(sample, first, after)
    return Sample(sizes, missing)


def _clip(sample: Sample, first: int, after: int) -> list[Span]:
    clipped = (Span(max(first, span.first), min(after, span.after), span.most) for span in sample.missing)
    return [span for span in clipped if span.first < span.after]


def _take(free: Sequence[Slots], wanted: Slots) -> tuple[list[Slots], list[Slots]]:
    """What of the wanted slots is free, and what is free after that."""
    taken, rest = list[Slots](), list[Slots]()
    for first, after in free:
        low, high = max(first, wanted[0]), min(after, wanted[1])
        if low < high:
            taken.append((low, high))
            rest += [span for span in ((first, low), (high, after)) if span[0] < span[1]]
        else:
            rest.append((first, after))
    return taken, rest


def _bounds(contract: Contract, period: Period) -> tuple[int, int]:
    """From when to when (epoch s) a contract is in force within the whole period, by days of its zone."""
    low, high = period.start, max(period.end, period.whole_end)
    if contract.valid_from:
        low = max(low, _midnight(date.fromisoformat(contract.valid_from), period))
    if contract.valid_to:
        high = min(high, _midnight(date.fromisoformat(contract.valid_to) + timedelta(days=1), period))
    return low, high


def _slots(contract: Contract, period: Period) -> Slots:
    low, high = _bounds(contract, period)
    return period.index(low), min(period.slots, period.index(high))


def _midnight(day: date, period: Period) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=period.zone).timestamp())
