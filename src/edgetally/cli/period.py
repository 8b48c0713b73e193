"""`edgetally period`: closed months."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from decimal import Decimal
from typing import Any

from edgetally import table
from edgetally.bill.adjustments import Adjustment, adjustments, total
from edgetally.bill.close import Accept, close
from edgetally.bill.closed import Closed, Row, find_closed, rows
from edgetally.bill.credit import changed_lines
from edgetally.cli.options import CONTRACTS_HELP, add_actions, add_output
from edgetally.config import AggregatorConfig, load_aggregator
from edgetally.errors import EdgetallyError
from edgetally.ledger.database import check_schema, connect
from edgetally.words import count, some

SHOWN = 3  # channels that a line names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its actions and their options."""
    actions = add_actions(
        parser,
        {
            "close": "freeze a month: its bill never changes again",
            "list": "the closed months",
            "show": "a closed month, and what was committed for it later",
        },
    )
    for name, action in actions.items():
        if name != "list":
            action.add_argument("month", metavar="YYYY-MM", help="the month")
            action.add_argument("--zone", metavar="ZONE", help="the month's time zone, as in `edgetally report`")
        if name != "close":
            add_output(action, "table", "json")
    actions["close"].add_argument("--contracts", metavar="FILE", help=CONTRACTS_HELP)
    actions["close"].add_argument(
        "--accept-gaps", action="store_true", help="also where something is missing; the bill says so"
    )
    actions["close"].add_argument(
        "--accept-unbilled", action="store_true", help="also where something is not billed; the bill says so"
    )


def run(options: argparse.Namespace) -> int:
    """Do one of the actions. 1 where something was committed for a month later; else 0."""
    config = load_aggregator(options.config)
    if options.action == "list":
        return _list(config, options.output)
    if options.action == "show":
        return _show(config, options.month, options.zone, options.output)
    accept = Accept(options.accept_gaps, options.accept_unbilled)
    closed = close(config, options.month, options.zone, options.contracts, accept)
    said = ", with gaps that were accepted" if closed.accepted else ""
    said += f", with {closed.unbilled:,} bytes that are not billed" if closed.unbilled else ""
    print(f"closed {options.month} ({closed.zone}) at commit {closed.commit_no}{said}: sha256 {closed.sha256}")
    return 0


def _list(config: AggregatorConfig, output: str) -> int:
    """All closed months."""
    with closing(connect(config.database)) as connection:
        check_schema(connection, config.database)
        months = rows(connection)
    if output == "json":
        print(json.dumps([_row_data(row) for row in months], indent=1))
    elif months:
        head = ("month", "zone", "commit", "closed", "sha256")
        lines = [(row.month, row.zone, str(row.commit_no), row.closed_at, row.sha256) for row in months]
        print("\n".join(table.render([head, *lines])))
    else:
        print("no month is closed")
    return 0


def _row_data(row: Row) -> dict[str, Any]:
    names = ("month", "zone", "start", "end", "commit_no", "sha256", "closed_at")
    return {name: getattr(row, name) for name in names}


def _show(config: AggregatorConfig, month: str, zone: str | None, output: str) -> int:
    """A closed month, and what was committed for it later. 1 where there is such a thing."""
    bill = find_closed(config, month, zone)
    if bill is None:
        raise EdgetallyError(f"{month} is not closed{f' in {zone}' if zone else ''}: see `edgetally period list`")
    with bill:
        changes = adjustments(bill.connection, bill)
        if output == "json":
            difference = [
                {"channel": name, "requests": requests, "bytes": size}
                for name, (requests, size) in sorted(total(changes).items())
            ]
            listed = [adjustment.data() for adjustment in changes]
            lines = changed_lines(bill, changes)
            data = {**_row_data(bill.row), "adjustments": listed, "difference": difference, "lines": lines}
            print(json.dumps(data, indent=1, ensure_ascii=False))
        else:
            _print(bill, changes)
    return int(bool(changes))


def _print(bill: Closed, changes: list[Adjustment]) -> None:
    row, complete = bill.row, bill.data["completeness"]
    print(f"{row.month} ({row.zone}), closed {row.closed_at} at commit {row.commit_no}, sha256 {row.sha256}")
    state = "complete" if complete["complete"] else f"{complete['missing']:,} slots missing, accepted"
    print(f"{len(bill.data['channels'])} channels, {bill.data['total']['bytes']:,} bytes, {state}")
    if not changes:
        print("nothing was committed for it later")
        return
    were = "was" if len(changes) == 1 else "were"
    print(f"\n{count(len(changes), 'batch')} {were} committed for it later, not in it:\n")
    head = ("stream", "batch", "commit", "committed", "channel", "requests", "bytes")
    lines = []
    for adjustment in changes:
        batch = f"{adjustment.generation}-{adjustment.seq}"
        batch += f" revision {adjustment.revision}" if adjustment.revision else ""
        for name, (requests, size) in sorted(adjustment.difference.items()) or [("-", (0, 0))]:
            shown = (name, f"{requests:+,}", f"{size:+,}")
            lines.append((adjustment.stream, batch, str(adjustment.commit_no), adjustment.committed_at, *shown))
    print("\n".join(table.render([head, *lines])))
    print("\nThe difference that they make:\n")
    sums = [(name, f"{requests:+,}", f"{size:+,}") for name, (requests, size) in sorted(total(changes).items())]
    print("\n".join(table.render([("channel", "requests", "bytes"), *sums])))
    moved = [_line(one) for one in changed_lines(bill, changes)]
    if moved:
        heads = ("contract", "channels", "measured", "billable", "change", "unit", "overage", "net", "currency")
        print("\nThe lines of the contracts as they would be, and by how much they change:\n")
        print("\n".join(table.render([heads, *moved])))


def _line(one: dict[str, Any]) -> tuple[str, ...]:
    """A line that changes."""
    adjusted, change = one["adjusted"], one["change"]
    figures = [f"{value or 0:,.3f}" for value in (adjusted["measured"], adjusted["billable"])]
    overage = "-" if change["overage"] is None else f"{change['overage']:+,.3f}"
    net = f"{Decimal(change['net']):+}" if change["net"] else "-"
    names = (one["contract"], some(one["channels"], SHOWN))
    return (*names, *figures, f"{change['billable'] or 0:+,.3f}", one["unit"], overage, net, one["currency"] or "-")
