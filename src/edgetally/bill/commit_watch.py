"""How each contract stands against its commit: as metrics while the month runs, and month by month behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from edgetally.bill.closed import Closed, rows
from edgetally.config import AggregatorConfig
from edgetally.ledger.database import check_schema, connect

TREND_MONTHS = 13  # so that a month stands beside the same one of the year before


class Metric(NamedTuple):
    """A metric of a contract: its name, what it is, its value, its labels."""

    name: str
    what: str
    value: float | None
    labels: dict[str, str]


def metrics(bill: dict[str, Any]) -> Iterator[Metric]:
    """The metrics of all contracts' lines of a bill."""
    for line in bill["contracts"]:
        labels = {"contract": line["contract"], "channel": said_channel(line), "unit": line["unit"]}
        forecast = line["projection"] or {"measured": line["measured"], "certain": line["measured"], "left": None}
        uplift = float(line["terms"]["uplift"])
        for name, what, value in (
            ("quantity", "What the rule gives of the month so far, uplifted", line["measured"] * uplift),
            ("certain", "What it gives if nothing more comes, uplifted", forecast["certain"] * uplift),
            ("projected", "What it gives if the month goes on like this, uplifted", forecast["measured"] * uplift),
            ("commit", "What was agreed", line["commit"]),
            ("slots_left", "Slots that may still be above the commit before it costs", forecast["left"]),
            ("amount", "What is to be paid of the month so far, without tax", _net(line)),
        ):
            yield Metric(f"contract_{name}", what, None if value is None else float(value), labels)


def said_channel(line: dict[str, Any]) -> str:
    """The channel of a contract's line; of a group none, for its channels may change."""
    return "" if line["group"] else ", ".join(line["channels"])


def _net(line: dict[str, Any]) -> str | None:
    """What is to be paid of a contract's line, without tax, exactly; None where it has no price."""
    amount = line.get("amount")
    return None if not amount else str(amount["net"])


# --- the trend


class Month(NamedTuple):
    """What a contract came to in a month. amount: None where it has no price."""

    month: str
    zone: str
    contract: str
    channel: str
    unit: str
    measured: float
    billable: float
    commit: float | None
    overage: float | None
    amount: str | None


def trend(config: AggregatorConfig, bill: dict[str, Any]) -> list[Month]:
    """The contracts' last 13 months: those that are closed, from their snapshots, and the month of a bill, oldest
    first."""
    with closing(connect(config.database)) as connection:
        check_schema(connection, config.database)
        mine = bill["period"]["name"] or ""
        closed = [row for row in rows(connection) if row.zone == bill["period"]["zone"] and row.month < mine]
        found = [month for row in closed[1 - TREND_MONTHS :] for month in _months(Closed(connection, row).data)]
    return [*found, *_months(bill)]


def _months(bill: dict[str, Any]) -> list[Month]:
    period = bill["period"]
    return [
        Month(
            *(period["name"], period["zone"], line["contract"], said_channel(line), line["unit"]),
            *(line["measured"], line["billable"], line["commit"], line["overage"], _net(line)),
        )
        for line in bill["contracts"]
    ]
