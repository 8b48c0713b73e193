"""Contracts: what is agreed on how a channel, or a group of channels, is billed. Data that Ansible renders.

docs/how-to/contracts.md says what the terms mean; what comes of them is in charge.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from fnmatch import translate
from fractions import Fraction
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from edgetally.bill.period import parse_zone
from edgetally.bill.tariff import Region, Tier, read_tariff
from edgetally.bill.units import unit_of
from edgetally.bill.values import plain, read_date, read_number, read_text, shown_value
from edgetally.errors import EdgetallyError, nearest

FILE = "contracts.json"  # beside the aggregator's configuration
EXAMPLE = '{"name": "video", "channels": ["video*"], "commit": 100}'
CHOICES = {
    "rule": ("percentile", "daily_peak", "average", "volume"),
    "zero": ("count", "skip"),
    "missing": ("zero", "skip", "prorate"),
    "base": ("decimal", "binary"),
    "partial": ("refuse", "prorate"),
    "tiering": ("graduated", "volume"),
    "rounding": ("half_up", "half_even", "up", "down"),
}
_WILD = frozenset("*?[")
_EVER = "9999-12-31"
_ENDS = {"valid_from": "first", "valid_to": "last"}


@dataclass(frozen=True)
class Contract:
    """The terms of one contract. Numbers are exact decimals as texts; docs/how-to/contracts.md says what they mean."""

    name: str
    channels: tuple[str, ...]
    group: bool = False
    rule: str = "percentile"
    percent: str = ""
    zone: str = ""
    zero: str = "count"
    missing: str = "zero"
    base: str = "decimal"
    uplift: str = "1"
    commit: str | None = None
    valid_from: str = ""
    valid_to: str = ""
    partial: str = "refuse"
    customer: str = ""
    reference: str = ""
    currency: str = ""
    price: str | None = None
    per: str = ""
    commit_price: str | None = None
    overage_price: str | None = None
    tiers: tuple[Tier, ...] = ()
    tiering: str = "graduated"
    regions: tuple[Region, ...] = ()
    minimum: str | None = None
    discount: str | None = None
    tax: str | None = None
    rounding: str = "half_up"
    places: int = 3

    @classmethod
    def of_terms(cls, terms: Mapping[str, Any]) -> Contract:
        """The contract of what `terms` gave, also of an older program's."""
        regions = tuple(Region(one["name"], one["price"], _tiers_of(one["tiers"])) for one in terms.get("regions", ()))
        own = {"channels": tuple(terms["channels"]), "percent": terms["percent"] or "", "regions": regions}
        return cls(**{**terms, **own, "tiers": _tiers_of(terms.get("tiers", ()))})

    def covers(self, channel: str) -> bool:
        """Whether a channel is billed by this contract, unless an earlier one has it."""
        names, globs = self._patterns
        return channel in names or any(glob.match(channel) for glob in globs)

    @cached_property
    def _patterns(self) -> tuple[frozenset[str], list[re.Pattern[str]]]:
        """Names and globs: a bill asks a thousand channels of hundreds of contracts."""
        globs = [name for name in self.channels if not _WILD.isdisjoint(name)]
        return frozenset(self.channels).difference(globs), [re.compile(translate(glob)) for glob in globs]

    def outlasts(self, other: Contract) -> bool:
        """Whether this contract is in force whenever another one is."""
        return self.valid_from <= other.valid_from and (other.valid_to or _EVER) <= (self.valid_to or _EVER)

    def meets(self, other: Contract) -> bool:
        """Whether both contracts are in force on some day."""
        return self.valid_from <= (other.valid_to or _EVER) and other.valid_from <= (self.valid_to or _EVER)

    @property
    def share(self) -> Fraction:
        """The percent, exactly. Of daily peaks it is 100 unless said otherwise."""
        return Fraction(self.percent or ("100" if self.rule == "daily_peak" else "95"))

    def is_priced(self) -> bool:
        """Whether its lines have amounts."""
        prices = (self.price, self.commit_price, self.overage_price, self.minimum)
        return bool(self.tiers) or any(price is not None for price in prices)

    def price_unit(self) -> str:
        """The unit that its price is of."""
        return self.per or unit_of(self.rule, self.base)

    def price_of_commit(self) -> str | None:
        """What a unit of the commit costs."""
        return self.commit_price or self.price

    def price_of_overage(self) -> str | None:
        """What a unit above the commit costs."""
        return self.overage_price or self.price

    def terms(self) -> dict[str, Any]:
        """All terms as the bill lists them, also those that were left to their defaults."""
        terms = {field.name: getattr(self, field.name) for field in fields(self)}
        percent = plain(self.share) if self.rule in ("percentile", "daily_peak") else None
        regions = [{**vars(region), "tiers": list(map(vars, region.tiers))} for region in self.regions]
        own = {"channels": list(self.channels), "percent": percent, "tiers": list(map(vars, self.tiers))}
        return {**terms, **own, "regions": regions}


class Contracts:
    """An ordered list of contracts: of those in force on a day the first one that covers a channel bills it."""

    def __init__(self, listed: Sequence[Contract] = ()) -> None:
        self.listed = tuple(listed)

    def takes(self, contract: Contract, channel: str) -> bool:
        """Whether a contract bills a channel on some day."""
        earlier = takewhile(lambda one: one is not contract, self.listed)
        return contract.covers(channel) and not any(one.covers(channel) and one.outlasts(contract) for one in earlier)

    def named(self, contract: Contract) -> list[str]:
        """The channels that a contract names whole, not by a pattern, and bills."""
        names = (name for name in contract.channels if _WILD.isdisjoint(name))
        return [name for name in names if self.takes(contract, name)]

    def zone(self) -> str | None:
        """The one zone that contracts name; None where none does. Raises EdgetallyError where they name several."""
        zones = sorted({contract.zone for contract in self.listed if contract.zone})
        if len(zones) > 1:
            raise EdgetallyError(f"the contracts are of the zones {' and '.join(zones)}: say which with --zone")
        return zones[0] if zones else None


def _tiers_of(terms: Sequence[Mapping[str, Any]]) -> tuple[Tier, ...]:
    return tuple(Tier(**tier) for tier in terms)


def load(file: str) -> Contracts:
    """Read and check a file of contracts: a JSON list. Raises EdgetallyError with one sentence for what is wrong."""
    try:
        data = json.loads(Path(file).read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise EdgetallyError(f"{file} is not there: name the file that holds the contracts") from None
    except OSError as error:
        raise EdgetallyError(f"{file} cannot be read ({error.strerror}): name the file of the contracts") from None
    except (ValueError, RecursionError) as error:
        raise EdgetallyError(f"{file} is not JSON ({error}): write a list of contracts such as [{EXAMPLE}]") from None
    if not isinstance(data, list):
        raise EdgetallyError(f"{file} is not a list of contracts: write [{EXAMPLE}, …]")
    return parse(data, file)


def parse(data: Sequence[Any], source: str) -> Contracts:
    """Contracts of a list of objects. source: named in messages."""
    listed: list[Contract] = []
    for number, item in enumerate(data, 1):
        contract = _contract(item, f"{source}: contract {number}")
        for earlier in listed:
            if earlier.name == contract.name:
                raise EdgetallyError(f"{source}: two contracts are named '{contract.name}': give each its own name")
            taken = [name for name in contract.channels if not _WILD & set(name) and earlier.covers(name)]
            if taken and earlier.meets(contract):
                raise EdgetallyError(
                    f"{source}: contract {number} ('{contract.name}') has channel '{taken[0]}', which '{earlier.name}' "
                    "before it has already: remove it from one of them"
                )
        listed.append(contract)
    return Contracts(listed)


def _contract(data: Any, where: str) -> Contract:
    """One contract, checked. where: the file and the contract's number."""
    if not isinstance(data, Mapping):
        raise EdgetallyError(f"{where} is not an object: write it as {EXAMPLE}")
    known = [field.name for field in fields(Contract)]
    for key in data:
        if key not in known:
            close = nearest(str(key), known)
            hint = f"did you mean '{close}'?" if close else f"a contract has {', '.join(known)}"
            raise EdgetallyError(f"{where} has the unknown key '{key}': {hint}")
    for key in ("name", "channels"):
        if key not in data:
            raise EdgetallyError(f"{where} has no {key}: write it as {EXAMPLE}")
    values: dict[str, Any] = {"name": read_text(data["name"], f"{where}: name")}
    where = f"{where} ('{values['name']}')"
    values["channels"] = _channels(data["channels"], where)
    for key, choices in CHOICES.items():
        if key in data:
            if data[key] not in choices:
                raise EdgetallyError(f"{where}: {key} is {shown_value(data[key])}: it is one of {', '.join(choices)}")
            values[key] = data[key]
    if data.get("zone"):
        values["zone"] = str(parse_zone(read_text(data["zone"], f"{where}: zone"), f"{where}: "))
    if not isinstance(data.get("group", False), bool):
        raise EdgetallyError(f"{where}: group is {shown_value(data['group'])}: it is true or false")
    values["group"] = data.get("group", False)
    values.update(_dates(data, where))
    rule = values.get("rule", "percentile")
    return Contract(**values, **_numbers(data, where, rule), **read_tariff(data, where, rule))


def _dates(data: Mapping[str, Any], where: str) -> dict[str, str]:
    """The first and the last day of a contract, as texts that sort by time."""
    days = {key: read_date(data[key], f"{where}: {key}") for key in ("valid_from", "valid_to") if data.get(key)}
    first, last = days.get("valid_from"), days.get("valid_to")
    if first and last and last < first:
        raise EdgetallyError(f"{where}: valid_to {last} is before valid_from {first}: exchange them")
    cut = [key for key, day in days.items() if (day if key == "valid_from" else day + timedelta(days=1)).day != 1]
    if cut and data.get("partial") != "prorate":
        raise EdgetallyError(
            f"{where}: {cut[0]} {days[cut[0]]} is within a month: let it be a month's {_ENDS[cut[0]]} day, or say "
            "`partial: prorate`, which bills by days"
        )
    return {key: day.isoformat() for key, day in days.items()}


def _numbers(data: Mapping[str, Any], where: str, rule: str) -> dict[str, Any]:
    """The numbers of a contract, as exact decimals."""
    numbers: dict[str, Any] = {}
    if data.get("percent") is not None:
        if rule not in ("percentile", "daily_peak"):
            raise EdgetallyError(f"{where}: percent means nothing with the rule {rule}: remove it")
        numbers["percent"] = read_number(data["percent"], f"{where}: percent", 100)
    if "uplift" in data:
        numbers["uplift"] = read_number(data["uplift"], f"{where}: uplift", 1000)
    if data.get("commit") is not None:
        numbers["commit"] = read_number(data["commit"], f"{where}: commit", 10**12)
    return numbers


def _channels(value: Any, where: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise EdgetallyError(f'{where}: channels is {shown_value(value)}: write a list of names, such as ["video*"]')
    return tuple(read_text(name, f"{where}: a channel") for name in listed)
