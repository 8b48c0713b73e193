"""Prices: what the quantity of a contract's line costs, item by item. Exact: decimals and fractions, never floats.

A quantity is rounded once, in the unit that its price is of; then each item is rounded to what the currency has, and
the line is the sum of its items. So whoever has the bill can multiply and add, and comes to the same.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from edgetally.bill.contracts import Contract
from edgetally.bill.regions import NOWHERE
from edgetally.bill.units import UNITS, decimals
from edgetally.bill.values import plain

ROUNDINGS = {
    "half_up": (decimal.ROUND_HALF_UP, "half up"),
    "half_even": (decimal.ROUND_HALF_EVEN, "half to even"),
    "up": (decimal.ROUND_UP, "up"),
    "down": (decimal.ROUND_DOWN, "down"),
}
_CONTEXT = decimal.Context(prec=100)  # more digits than any of our fractions needs to be told from a half
WHOLE = Fraction(1)


@dataclass(frozen=True)
class Billed:
    """What a line bills, in its unit: all, and what of it is the commit; by which share of the month it is charged."""

    quantity: Fraction
    commit: Fraction | None
    share: Fraction

    def part(self, part: Fraction) -> Billed:
        """A part of the quantity, and of the commit."""
        commit = None if self.commit is None else self.commit * part
        return Billed(self.quantity * part, commit, self.share)


class _Part(NamedTuple):
    """What of a line has the prices of a contract, and where, in words."""

    contract: Contract
    billed: Billed
    where: str


@dataclass(frozen=True)
class _Item:
    what: str
    quantity: Decimal | None
    price: Fraction | None
    amount: Decimal
    share: Fraction = WHOLE


def amount(
    contract: Contract, billed: Billed, unit: str, in_force: Fraction = WHOLE, regions: Mapping[str, int] | None = None
) -> dict[str, Any] | None:
    """What a line costs, as docs/reference/bill.md describes it; None where its contract has no price.

    unit: of the quantity; in_force: the share of the month in which the contract was, by which a minimum is charged;
    regions: the bytes of each that the contract prices, and of the rest, by which the quantity is divided.
    """
    if not contract.is_priced():
        return None
    places = decimals(contract.currency)
    items = [item for part in _parts(contract, billed, regions or {}) for item in _usage(part, unit, places)]
    items += _discount(contract, _sum(items), places)
    items += _minimum(contract, _sum(items), in_force, places)
    return {
        "currency": contract.currency,
        "items": [_shown(item, contract) for item in items],
        "net": f"{_sum(items):f}" if items else f"{rounded(Fraction(0), places, contract.rounding):f}",
        "tax": contract.tax,
    }


def totals(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each customer is to pay in each currency: the sum of the lines, and the tax of each rate apart."""
    keys = dict.fromkeys((line["terms"]["customer"], line["amount"]["currency"]) for line in lines if line["amount"])
    return [_total(customer, currency, lines) for customer, currency in keys]


def rounded(value: Fraction, places: int, rule: str) -> Decimal:
    """A fraction as a decimal of so many places."""
    exact = _CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))
    return exact.quantize(Decimal(1).scaleb(-places), ROUNDINGS[rule][0], _CONTEXT)


def price_text(contract: Contract) -> list[str]:
    """The price in sentences."""
    if not contract.is_priced():
        return []
    money, unit = contract.currency, contract.price_unit()
    text = []
    if contract.tiers:
        text.append(_tiers_text(contract, "Price"))
    elif contract.commit_price or contract.overage_price:
        of_commit, above = contract.price_of_commit(), contract.price_of_overage()
        text.append(f"Price: {of_commit} {money} per {unit} of the commit, {above} {money} of what is above it.")
    elif contract.price:
        text.append(f"Price: {contract.price} {money} per {unit}.")
    text += _regions_text(contract)
    if contract.discount:
        text.append(f"Discount: {contract.discount} %.")
    if contract.minimum:
        text.append(f"At least {contract.minimum} {money} a month.")
    text.append(
        f"Quantities are rounded to {contract.places} decimals of a {unit}, amounts to {decimals(money)} of a {money}, "
        f"{ROUNDINGS[contract.rounding][1]}."
    )
    return text


# --- items


def _parts(contract: Contract, billed: Billed, regions: Mapping[str, int]) -> Iterator[_Part]:
    """What of the quantity has which price: all of it the contract's, or that of a region what its edges sent."""
    if not contract.regions:
        yield _Part(contract, billed, "")
        return
    total = sum(regions.values())
    for region in contract.regions:
        if regions[region.name]:
            own = replace(contract, price=region.price, tiers=region.tiers, commit_price=None, overage_price=None)
            part = billed.part(Fraction(regions[region.name], total))
            yield _Part(own, replace(part, commit=None), f" in {region.name}")
    if regions[NOWHERE] or not total:
        yield _Part(contract, billed.part(Fraction(regions[NOWHERE], total) if total else WHOLE), " elsewhere")


def _usage(of: _Part, unit: str, places: int) -> Iterator[_Item]:
    """What a quantity costs: as a whole, as commit and overage, or tier by tier."""
    contract, billed, where = of
    factor = Fraction(UNITS[unit], UNITS[contract.price_unit()])
    quantity = rounded(billed.quantity * factor, contract.places, contract.rounding)
    parts: list[tuple[str, Decimal, str]] = []
    if contract.tiers:
        parts = _tiers(contract, quantity)
    elif billed.commit is not None and contract.price_of_commit() is not None:
        commit = rounded(billed.commit * factor, contract.places, contract.rounding)
        parts = [("commit", commit, str(contract.price_of_commit()))]
        if quantity > commit:
            parts.append(("overage", quantity - commit, str(contract.price_of_overage())))
    elif contract.price is not None:
        parts = [("usage", quantity, contract.price)]
    zeros = Decimal(0).scaleb(-contract.places)  # so that all quantities show the same decimals
    for what, part, price in parts:
        cost = rounded(Fraction(part) * Fraction(price) * billed.share, places, contract.rounding)
        yield _Item(what + where, part + zeros, Fraction(price), cost, billed.share)


def _tiers(contract: Contract, quantity: Decimal) -> list[tuple[str, Decimal, str]]:
    """The quantity of each tier with its price; a border belongs to the tier below it."""
    parts: list[tuple[str, Decimal, str]] = []
    low = Decimal(0)
    for tier in contract.tiers:
        high = quantity if tier.up_to is None else min(quantity, Decimal(tier.up_to))
        if contract.tiering == "graduated":
            if high > low:
                parts.append((tier.name(low), high - low, tier.price))
            low = max(low, high)
        elif tier.up_to is None or quantity <= Decimal(tier.up_to):
            return [(tier.name(low), quantity, tier.price)]
        else:
            low = Decimal(tier.up_to)
    return parts


def _discount(contract: Contract, net: Decimal, places: int) -> Iterator[_Item]:
    if contract.discount:
        off = rounded(-Fraction(net) * Fraction(contract.discount) / 100, places, contract.rounding)
        yield _Item(f"discount of {contract.discount} %", None, None, off)


def _minimum(contract: Contract, net: Decimal, in_force: Fraction, places: int) -> Iterator[_Item]:
    if contract.minimum:
        least = rounded(Fraction(contract.minimum) * in_force, places, contract.rounding)
        if net < least:
            yield _Item(f"up to the minimum of {least:f}", None, None, least - net)


def _sum(items: Sequence[_Item]) -> Decimal:
    return sum((item.amount for item in items), Decimal(0))


# --- as the bill has it


def _shown(item: _Item, contract: Contract) -> dict[str, Any]:
    return {
        "what": item.what,
        "quantity": None if item.quantity is None else f"{item.quantity:f}",
        "unit": None if item.quantity is None else contract.price_unit(),
        "price": None if item.price is None else plain(item.price),
        "share": f"{item.share.numerator}/{item.share.denominator}",
        "amount": f"{item.amount:f}",
    }


def _total(customer: str, currency: str, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    mine = [
        line
        for line in lines
        if line["amount"] and (line["terms"]["customer"], line["amount"]["currency"]) == (customer, currency)
    ]
    net = sum((Decimal(line["amount"]["net"]) for line in mine), Decimal(0))
    taxes = [_tax(rate, rule, mine) for rate, rule in dict.fromkeys(map(_tax_key, mine)) if rate is not None]
    gross = net + sum((Decimal(tax["tax"]) for tax in taxes), Decimal(0))
    sums = {"net": f"{net:f}", "taxes": taxes, "gross": f"{gross:f}"}
    return {"customer": customer or None, "currency": currency, **sums}


def _tax_key(line: Mapping[str, Any]) -> tuple[str | None, str]:
    return line["amount"]["tax"], line["terms"]["rounding"]


def _tax(rate: str, rule: str, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The tax of all lines of a rate, rounded once."""
    nets = [Decimal(line["amount"]["net"]) for line in lines if _tax_key(line) == (rate, rule)]
    net = sum(nets, Decimal(0))
    tax = rounded(Fraction(net) * Fraction(rate) / 100, decimals(lines[0]["amount"]["currency"]), rule)
    return {"rate": rate, "net": f"{net:f}", "tax": f"{tax:f}"}


def _regions_text(contract: Contract) -> Iterator[str]:
    for region in contract.regions:
        if region.tiers:
            yield _tiers_text(replace(contract, tiers=region.tiers), f"Price for {region.name}")
        else:
            yield f"Price for {region.name}: {region.price} {contract.currency} per {contract.price_unit()}."
    if contract.regions:
        yield (
            "The quantity is divided as the bytes that the edges of each region sent; what was sent elsewhere has the "
            "price before these."
        )


def _tiers_text(contract: Contract, what: str) -> str:
    how = (
        "each part at the price of its tier" if contract.tiering == "graduated" else "all at the price of the last tier"
    )
    low, parts = Decimal(0), []
    for tier in contract.tiers:
        parts.append(f"{tier.price} {tier.name(low).removeprefix('tier ')}")
        low = Decimal(tier.up_to or 0)
    return f"{what} in {contract.currency} per {contract.price_unit()}, {how}: {', '.join(parts)}."
