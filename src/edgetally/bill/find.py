"""Find the bill that somebody means: of a closed month its snapshot, of any other time what the database has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from edgetally.bill import contracts
from edgetally.bill.aliases import list_channels
from edgetally.bill.bill import PERCENTS, open_bill
from edgetally.bill.closed import AnyBill, find_closed
from edgetally.bill.period import named_month, parse_period, parse_zone
from edgetally.bill.regions import known_regions, unknown_text
from edgetally.bill.unbilled import idle_contracts, idle_text
from edgetally.config import AggregatorConfig, load_aggregator
from edgetally.errors import EdgetallyError


@contextmanager
def find_bill(
    config: AggregatorConfig,
    *,
    month: str | None = None,
    start: str | None = None,
    end: str | None = None,
    zone: str | None = None,
    channel: str = "*",
    percentiles: Sequence[str] = (),
    contract_file: str | None = None,
) -> Iterator[AnyBill]:
    """The bill of a closed month from its snapshot, of any other time from the database; options as people give them.

    month (a name, or last), or start and end; without all of them this month so far. zone: without one, that of the
    closing or of the contracts, else UTC.
    """
    percents = parse_percents(percentiles)
    agreed = load_contracts(config, contract_file)
    month = named_month(month, parse_zone(zone or agreed.zone() or "UTC"))
    closed = find_closed(config, month, zone) if month else None
    if closed is not None:
        with closed:
            closed.narrow(channel, percents)
            yield closed
        return
    period = parse_period(month, start, end, zone or agreed.zone() or "UTC")
    with open_bill(config, period, agreed, channel, percents) as bill:
        yield bill


def check_contracts(config_file: str, file: str) -> list[str]:
    """Check a file of contracts. Where the database is there: what in it fits no channel that ever had traffic, and no
    region that an edge has named."""
    agreed = contracts.load(file)
    try:
        config = load_aggregator(config_file)
        known, regions = set(list_channels(config).values()), known_regions(config)
    except EdgetallyError:
        return []
    if not known:
        return []
    idle = [idle_text(one) for one in idle_contracts(agreed.listed, agreed, known)]
    return idle + [text for contract in agreed.listed for text in unknown_text(contract, regions)]


def parse_percents(texts: Sequence[str]) -> tuple[Fraction, ...]:
    """The percentiles of a bill: the 95th, and what else is asked for."""
    percents = list(PERCENTS)
    for text in texts:
        try:
            percent = Fraction(text if "/" not in text else "x")
        except ValueError:
            percent = Fraction(0)
        if not 0 < percent <= 100:
            raise EdgetallyError(f"--percentile {text!r} is none: write a number above 0 and at most 100, such as 99.9")
        if percent not in percents:
            percents.append(percent)
    return tuple(percents)


def load_contracts(config: AggregatorConfig, file: str | None) -> contracts.Contracts:
    """The contracts of a file, or those beside the aggregator's configuration, where there are any."""
    beside = Path(config.path).with_name(contracts.FILE)
    if not file and not beside.exists():
        return contracts.Contracts()
    return contracts.load(file or str(beside))
