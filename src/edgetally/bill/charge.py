"""Applies a contract to the slots of a month: the quantity that is billed, its bounds, and the rule in words.

All of it is exact: bytes are integers, quantities fractions, and only what is shown is rounded, to six decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from edgetally.bill.contracts import Contract
from edgetally.bill.percentile import at_rank, rank, rate
from edgetally.bill.period import Day, Period
from edgetally.bill.price import Billed, amount, price_text
from edgetally.bill.regions import divided, divided_text
from edgetally.bill.sample import Sample
from edgetally.bill.units import UNITS, unit_of
from edgetally.bill.values import plain

WHOLE = Fraction(1)


@dataclass(frozen=True)
class _Kept:
    """The slots that a contract counts, as bytes: `sizes`, and for the bounds `low` and `high`.

    The bounds leave no slot out because it is missing. Where empty slots are left out, one that is perhaps empty only
    because something is missing counts for the low bound, and for the high one it does not: that has `fewest` slots.
    """

    sizes: Sequence[int]
    low: Sequence[int]
    high: Sequence[int]
    fewest: int


class Charge:
    """One line of the bill: a contract applied to the sample of one channel, or of a group's sum."""

    def __init__(
        self,
        contract: Contract,
        channels: Sequence[str],
        sample: Sample,
        period: Period,
        share: Fraction = WHOLE,
        regions: Mapping[str, int] | None = None,
    ) -> None:
        """period: the time in which the contract is in force; share: of the days of the bill's whole period; regions:
        what each region had of the sample, bytes, where the contract has prices for them."""
        self.contract = contract
        self.regions = divided(contract, regions or {}, sum(sample.sizes)) if contract.regions else None
        self.share = share
        self.channels = list(channels)
        self.sample = sample
        self.period = period
        self.days = period.days()
        self.valid = self.days
        if sample.missing:
            self.valid = [day for day in self.days if not sample.affected.intersection(range(*_range(day)))]
        self.unit = unit_of(contract.rule, contract.base)
        self.base = UNITS[self.unit]

    # --- which slots count

    def _keep(self, day: Day) -> _Kept:
        """The slots of a day, or of the whole period as one long day, that the contract counts."""
        first, after = _range(day)
        sample, skip_zero = self.sample, self.contract.zero == "skip"
        sizes, most = sample.sizes[first:after], sample.most[first:after]
        if not skip_zero and not sample.missing:
            same = sample.ordered if len(sizes) == len(sample.sizes) else sizes
            return _Kept(same, same, same, after - first)
        affected = sample.affected
        left_out = self.contract.missing != "zero"
        invalid = affected
        if self.contract.missing == "prorate":
            invalid = frozenset(range(first, after)).difference(*(range(*_range(day)) for day in self.valid))
        kept = [
            size
            for slot, size in enumerate(sizes, first)
            if not (left_out and slot in invalid) and not (skip_zero and not size)
        ]
        bounded = [
            (size, upper)
            for slot, (size, upper) in enumerate(zip(sizes, most), first)
            if size or slot in affected or not skip_zero
        ]
        fewest = sum(1 for size, _upper in bounded if size or not skip_zero)
        return _Kept(kept, [size for size, _ in bounded], [upper for _, upper in bounded], fewest)

    # --- the rules

    def line(self) -> dict[str, Any]:
        """The line as docs/reference/bill.md describes it."""
        contract = self.contract
        counted, sizes = self._measure()
        measured, low, high = map(self._quantity, sizes)
        factor = self.share
        if contract.missing == "prorate":
            factor *= Fraction(len(self.valid), len(self.days))
        billed = self._bill(measured, factor)
        overage = None if billed.commit is None else max(Fraction(0), billed.quantity - billed.commit) * billed.share
        percentile = contract.rule == "percentile"
        return {
            "contract": contract.name,
            "channels": self.channels,
            "group": contract.group,
            "terms": contract.terms(),
            "text": self._text(counted, factor),
            "unit": self.unit,
            "slots": counted,
            "rank": rank(counted, contract.share) if percentile and counted else None,
            "from": self.period.start,
            "to": self.period.end,
            "share": f"{self.share.numerator}/{self.share.denominator}",
            "days": len(self.days),
            "valid_days": len(self.valid),
            "measured_bytes": _whole(sizes[0]),
            "measured": shown(measured),
            "low_bytes": _whole(sizes[1]),
            "low": shown(low),
            "high_bytes": _whole(sizes[2]),
            "high": shown(high),
            "billable": shown(billed.quantity * billed.share),
            "commit": None if contract.commit is None else shown(Fraction(contract.commit)),
            "overage": None if overage is None else shown(overage),
            "regions": self.regions,
            "amount": self._amount(billed),
            "projection": self._projection(counted, sizes[0], factor) if self._is_in_hand() else None,
        }

    def _measure(self) -> tuple[int, tuple[Fraction, Fraction, Fraction]]:
        """How many slots count; and the rule's bytes, the low bound and the high bound.

        Bytes of a slot, or of all; the average's may be no whole number.
        """
        rule, share = self.contract.rule, self.contract.share
        if rule == "daily_peak":
            days = [self._keep(day) for day in self.days]
            peaks = [_percentiles(kept, share) for kept in days]
            return sum(len(kept.sizes) for kept in days), _triple(max(column) for column in zip(*peaks))
        kept = self._keep(Day("", 0, len(self.sample.sizes)))
        if rule == "percentile":
            return len(kept.sizes), _triple(_percentiles(kept, share))
        sums = _triple((sum(kept.sizes), sum(kept.low), sum(kept.high)))
        if rule == "volume":
            return len(kept.sizes), sums
        counts = (len(kept.sizes), len(kept.low), kept.fewest)
        return len(kept.sizes), _triple(size / max(1, count) for size, count in zip(sums, counts))

    def _quantity(self, size: Fraction) -> Fraction:
        """Bytes as the unit's quantity."""
        return size / self.base if self.contract.rule == "volume" else size * rate(1, self.base)

    def _bill(self, measured: Fraction, factor: Fraction) -> Billed:
        """What is billed. factor: the share of the days that are valid; of a volume the commit alone is prorated."""
        quantity = measured * Fraction(self.contract.uplift)
        commit = None if self.contract.commit is None else Fraction(self.contract.commit)
        if self.contract.rule == "volume":
            commit = None if commit is None else commit * factor
            factor = WHOLE
        return Billed(max(commit or Fraction(0), quantity), commit, factor)

    def _amount(self, billed: Billed) -> dict[str, Any] | None:
        return amount(self.contract, billed, self.unit, self.share, self.regions)

    # --- before the month is over

    def _is_in_hand(self) -> bool:
        return self.period.slots < self.period.whole_slots

    def _projection(self, counted: int, size: Fraction, factor: Fraction) -> dict[str, Any]:
        """The quantity that the month comes to if it goes on like this, and the one that is certain already."""
        contract, period = self.contract, self.period
        rest = period.whole_slots - period.slots
        expected = certain = size
        above = allowed = left = None
        if contract.rule == "percentile":
            ordered = sorted(self._keep(Day("", 0, period.slots)).sizes)
            certain = Fraction(at_rank(ordered, counted + rest, contract.share))
            if contract.commit is not None:
                allowed = counted + rest - rank(counted + rest, contract.share)
                above = sum(1 for slot_size in reversed(ordered) if self._is_above(slot_size))
                left = max(0, allowed - above)
        elif contract.rule == "average":
            certain = size * counted / max(1, counted + rest)
        elif contract.rule == "volume":
            expected = size * period.whole_slots / period.slots
        elif contract.share < 100:  # the day of now may still fall
            before = [at_rank(sorted(self._keep(day).sizes), day.slots, contract.share) for day in self.days[:-1]]
            certain = Fraction(max(before, default=0))
        measured, least = self._quantity(expected), self._quantity(certain)
        later, sure = self._bill(measured, factor), self._bill(least, factor)
        cost = self._amount(later)
        return {
            "measured": shown(measured),
            "certain": shown(least),
            "billable": shown(later.quantity * later.share),
            "certain_billable": shown(sure.quantity * sure.share),
            "net": cost["net"] if cost else None,
            "above": above,
            "allowed": allowed,
            "left": left,
        }

    def _is_above(self, size: int) -> bool:
        return rate(size, self.base) * Fraction(self.contract.uplift) > Fraction(self.contract.commit or 0)

    # --- in words

    def _text(self, counted: int, factor: Fraction) -> list[str]:
        contract = self.contract
        what = "the sum of all channels of the group" if contract.group else "the channel"
        text = [f"Of {what}, the five-minute sums over all edges decide.", _RULES[contract.rule](contract, counted)]
        text.append(f"Slots without traffic {'count as zero' if contract.zero == 'count' else 'are left out'}.")
        affected, slots = len(self.sample.affected), len(self.sample.sizes)
        result = "the commit" if contract.rule == "volume" else "the result"
        missing = f"Slots in which an edge is missing ({affected:,} of {slots:,})"
        if contract.missing == "zero":
            text.append(f"{missing} count as what was received.")
        elif contract.missing == "skip":
            text.append(f"{missing} are left out.")
        else:
            text.append(
                f"Days in which an edge is missing are left out: {len(self.valid)} of {len(self.days)} days are valid, "
                f"and {result} is prorated to them."
            )
        if self.share != 1:
            text.append(self._in_force_text(result))
        text.append(
            f"{self.unit}: {self.base:,} bytes."
            if contract.rule == "volume"
            else f"{self.unit}: bytes x 8 / 300 / {self.base:,}."
        )
        if Fraction(contract.uplift) != 1:
            text.append(f"The result is multiplied by {contract.uplift}.")
        if contract.commit is not None:
            text.append(f"At least {contract.commit} {self.unit} are billed; what is above is overage.")
        text += price_text(contract)
        return text if self.regions is None else [*text, divided_text(self.regions)]

    def _in_force_text(self, result: str) -> str:
        days = self.period.whole_days()
        return (
            f"The contract is in force from {days[0].date} to {days[-1].date}: {len(days)} of "
            f"{len(days) / self.share} days, to which {result} is prorated."
        )


def shown(quantity: Fraction) -> float:
    """A quantity as the bill shows it."""
    return round(float(quantity), 6)


def _percentile_text(contract: Contract, counted: int) -> str:
    share = plain(contract.share)
    if not counted:
        return f"Percentile {share} by nearest rank: no slot counts, so it is zero."
    return (
        f"Percentile {share} by nearest rank: of {counted:,} slots, sorted, the one at rank "
        f"{rank(counted, contract.share):,} decides; no interpolation."
    )


def _daily_text(contract: Contract, _counted: int) -> str:
    if contract.share == 100:
        return "Highest of the daily peaks: the busiest slot of each day, and of these the highest."
    return f"Highest of the daily percentiles {plain(contract.share)}, each by nearest rank over the slots of its day."


_RULES: dict[str, Callable[[Contract, int], str]] = {
    "percentile": _percentile_text,
    "daily_peak": _daily_text,
    "average": lambda _contract, counted: f"Average of {counted:,} slots.",
    "volume": lambda _contract, counted: f"Total volume of {counted:,} slots.",
}


def _percentiles(kept: _Kept, share: Fraction) -> tuple[int, int, int]:
    """The percentile of what is kept, and its bounds: see _Kept."""
    size = at_rank(sorted(kept.sizes), len(kept.sizes), share)
    if kept.high is kept.sizes:
        return size, size, size
    return (
        size,
        at_rank(sorted(kept.low), len(kept.low), share),
        at_rank(sorted(kept.high), kept.fewest, share),
    )


def _triple(values: Iterable[int | Fraction]) -> tuple[Fraction, Fraction, Fraction]:
    first, second, third = map(Fraction, values)
    return first, second, third


def _range(day: Day) -> tuple[int, int]:
    return day.first, day.first + day.slots


def _whole(size: Fraction) -> int | None:
    return int(size) if size.denominator == 1 else None
