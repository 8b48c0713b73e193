"""The money of a contract: prices, tiers, minimum, discount, tax, and how amounts are rounded. price.py applies it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from edgetally.bill.units import of_rule
from edgetally.bill.values import plain, read_number, read_text, shown_value
from edgetally.config import NAME
from edgetally.errors import EdgetallyError

MOST = 10**12
_PRICES = ("price", "commit_price", "overage_price")
_SUMS = ("tiers", "regions", "minimum", "discount", "tax", *_PRICES)


@dataclass(frozen=True)
class Tier:
    """A tier of a price list: up to which quantity, of a month; None is the rest."""

    up_to: str | None
    price: str

    def name(self, low: Decimal) -> str:
        """The tier in words. low: where the one before it ends."""
        if self.up_to is None:
            return f"tier above {plain(Fraction(low))}"
        return f"tier up to {self.up_to}" if not low else f"tier from {plain(Fraction(low))} to {self.up_to}"


@dataclass(frozen=True)
class Region:
    """What edges of a region send has its own price, or tiers."""

    name: str
    price: str | None = None
    tiers: tuple[Tier, ...] = ()


def read_tariff(data: Mapping[str, Any], where: str, rule: str) -> dict[str, Any]:
    """The terms of money that a contract has, checked. where: its file, number and name."""
    terms: dict[str, Any] = {name: read_text(data[name], f"{where}: {name}") for name in _TEXTS if data.get(name)}
    for name in (*_PRICES, "minimum"):
        if data.get(name) is not None:
            terms[name] = read_number(data[name], f"{where}: {name}", MOST, zero=True)
    for name in ("discount", "tax"):
        if data.get(name) is not None:
            terms[name] = read_number(data[name], f"{where}: {name}", 100, zero=True)
    if "places" in data:
        terms["places"] = _places(data["places"], where)
    if data.get("tiers"):
        terms["tiers"] = _tiers(data["tiers"], f"{where}: tiers")
    if data.get("regions"):
        terms["regions"] = _regions(data["regions"], f"{where}: regions")
    _check(terms, where, rule, data.get("commit") is not None)
    return terms


_TEXTS = ("customer", "reference", "currency", "per")


def _check(terms: Mapping[str, Any], where: str, rule: str, has_commit: bool) -> None:
    """Whether the terms of money go together."""
    currency, units = terms.get("currency", ""), of_rule(rule)
    if currency and not re.fullmatch("[A-Z]{3}", currency):
        raise EdgetallyError(f"{where}: currency is {shown_value(currency)}: write its three letters, such as EUR")
    priced = [name for name in _SUMS if name in terms]
    if priced and not currency:
        raise EdgetallyError(f"{where} has {priced[0]} and no currency: write its three letters, such as EUR")
    if "per" in terms and terms["per"] not in units:
        raise EdgetallyError(
            f"{where}: per is {shown_value(terms['per'])}: with the rule {rule} it is one of {', '.join(units)}"
        )
    prices = [name for name in _PRICES if name in terms]
    if "tiers" in terms and prices:
        raise EdgetallyError(f"{where} has tiers and {prices[0]}: keep one of them")
    split = [name for name in prices if name != "price"]
    if split and not has_commit:
        raise EdgetallyError(f"{where} has {split[0]} and no commit: remove it, or say the commit")
    if len(split) == 1 and "price" not in terms:
        raise EdgetallyError(f"{where} has {split[0]} alone: say the other one, too, or price for it")
    if "regions" in terms and not prices and "tiers" not in terms:
        raise EdgetallyError(f"{where} has regions and no price: say the price, or tiers, of all that is elsewhere")


def _places(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 9:
        raise EdgetallyError(f"{where}: places is {shown_value(value)}: it is a whole number from 0 to 9")
    return value


def _regions(value: Any, where: str) -> tuple[Region, ...]:
    """The prices of regions, by their names."""
    if not isinstance(value, Mapping) or not all(isinstance(one, Mapping) for one in value.values()):
        raise EdgetallyError(
            f'{where} is {shown_value(value)}: write {{"ap": {{"price": "0.12"}}, "eu": {{"tiers": […]}}}}'
        )
    return tuple(_region(read_text(name, f"{where}: a name"), one, f"{where}: {name}") for name, one in value.items())


def _region(name: str, data: Mapping[str, Any], where: str) -> Region:
    if not re.fullmatch(NAME, name):
        raise EdgetallyError(f"{where} can be no region's name: write it as edge_shipper_region has it")
    if len(data) != 1 or set(data) - {"price", "tiers"}:
        raise EdgetallyError(f"{where} has {', '.join(sorted(data)) or 'nothing'}: a region has a price, or tiers")
    if "tiers" in data:
        return Region(name, tiers=_tiers(data["tiers"], f"{where}: tiers"))
    return Region(name, read_number(data["price"], f"{where}: price", MOST, zero=True))


def _tiers(value: Any, where: str) -> tuple[Tier, ...]:
    """The tiers, each above the one before it; the last one has no end."""
    if not isinstance(value, list) or not all(isinstance(one, Mapping) and "price" in one for one in value):
        raise EdgetallyError(
            f'{where} is {shown_value(value)}: write [{{"up_to": 10, "price": "0.08"}}, {{"price": "0.05"}}]'
        )
    tiers = [_tier(one, f"{where}, tier {number}") for number, one in enumerate(value, 1)]
    ends = [Fraction(one.up_to) for one in tiers[:-1] if one.up_to is not None]
    if len(ends) < len(tiers) - 1 or ends != sorted(set(ends)):
        raise EdgetallyError(f"{where}: each tier but the last has an up_to, above that of the one before it")
    if tiers[-1].up_to is not None:
        raise EdgetallyError(
            f"{where}: the last tier has up_to {tiers[-1].up_to}: add one without, for what is above it"
        )
    return tuple(tiers)


def _tier(data: Mapping[str, Any], where: str) -> Tier:
    unknown = sorted(set(data) - {"up_to", "price"})
    if unknown:
        raise EdgetallyError(f"{where} has the unknown key '{unknown[0]}': a tier has up_to and price")
    up_to = None if data.get("up_to") is None else read_number(data["up_to"], f"{where}: up_to", MOST)
    return Tier(up_to, read_number(data["price"], f"{where}: price", MOST, zero=True))
