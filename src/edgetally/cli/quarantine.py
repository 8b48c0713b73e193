"""`edgetally quarantine`: what the aggregator refused to count, and what becomes of it."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from edgetally import table
from edgetally.cli.options import add_actions, add_output
from edgetally.config import AggregatorConfig, load_aggregator
from edgetally.errors import EdgetallyError
from edgetally.ledger.quarantine import ID_DIGITS, Choice, Entry, Quarantine
from edgetally.ledger.transaction import RECORDED
from edgetally.outside import cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its actions and their options."""
    actions = add_actions(
        parser,
        {
            "list": "what lies there",
            "show": "why it was refused, and what is in it",
            "retry": "check again with today's configuration, and count what is good now",
            "drop": "delete for good",
        },
    )
    for name, action in actions.items():
        if name != "list":
            action.add_argument("ids", nargs="+" if name == "show" else "*", metavar="ID", help="or its first 6 digits")
        if name != "show":
            action.add_argument("--reason", default="", metavar="WORD", help="only those refused for it")
            action.add_argument("--stream", default="", metavar="GLOB", help="only those of these streams")
        if name in ("retry", "drop"):
            action.add_argument("--all", action="store_true", help="all of them")
    add_output(actions["list"], "table", "csv", "json")
    actions["drop"].add_argument("--yes", action="store_true", help="do it")


def run(options: argparse.Namespace) -> int:
    """Do one of the actions."""
    config = load_aggregator(options.config)
    if options.action == "show":
        return show(config, options.ids)
    if options.action == "list":
        return show_list(config, Choice((), options.reason, options.stream), options.output)
    choice = Choice(options.ids, options.reason, options.stream, options.all)
    return retry(config, choice) if options.action == "retry" else drop(config, choice, options.yes)


def show_list(config: AggregatorConfig, choice: Choice, output: str) -> int:
    """`edgetally quarantine list`. 0, also where there is nothing."""
    entries = [entry for entry in Quarantine(config).entries() if choice.fits(entry)]
    if output == "json":
        json.dump([asdict(entry) for entry in entries], sys.stdout, indent=1, ensure_ascii=False)
        print()
    elif output == "csv":
        writer = csv.DictWriter(sys.stdout, list(Entry.__dataclass_fields__))
        writer.writeheader()
        writer.writerows({**asdict(entry), "detail": cell(entry.detail)} for entry in entries)
    elif entries:
        heading = ("id", "reason", "stream", "bytes", "times", "first seen", "last seen")
        print("\n".join(table.render([heading, *map(_row, entries)])))
    else:
        print("the quarantine is empty")
    return 0


def show(config: AggregatorConfig, ids: Sequence[str]) -> int:
    """`edgetally quarantine show`: why they were refused, and what is in them."""
    choice = Choice(ids)
    choice.check()
    quarantine = Quarantine(config)
    for entry in quarantine.entries(choice):
        for name, value in asdict(entry).items():
            print(f"{name.replace('_', ' ') + ':':12} {value}")
        header, _newline, body = quarantine.payload(entry).partition(b"\n")
        print(f"{'header:':12} {ascii(header[:400].decode('utf-8', 'replace'))[1:-1]}")
        print(f"{'body:':12} {_readable(body)}\n")
    return 0


def retry(config: AggregatorConfig, choice: Choice) -> int:
    """`edgetally quarantine retry`. 0: all are counted now; 1: some are refused again, and say why."""
    choice.check()
    quarantine = Quarantine(config)
    entries = quarantine.entries(choice)
    states = quarantine.retry(entries)
    for entry, state in zip(entries, states):
        print(f"{entry.id[:ID_DIGITS]} of {entry.stream or 'an unknown sender'}: {_outcome(state)}")
    if not entries:
        print("nothing fits")
    return int(any(state not in RECORDED for state in states))


def drop(config: AggregatorConfig, choice: Choice, sure: bool) -> int:
    """`edgetally quarantine drop`: delete for good. Asks for --yes."""
    choice.check()
    quarantine = Quarantine(config)
    entries = quarantine.entries(choice)
    for entry in entries:
        print(f"{'dropped' if sure else 'would drop'} {' '.join(_row(entry)[:4])} bytes")
    if not sure and entries:
        raise EdgetallyError("nothing is dropped: what is in the quarantine may be traffic to be billed; say --yes")
    if entries:
        quarantine.drop(entries)
    return 0


def _row(entry: Entry) -> tuple[str, ...]:
    numbers = (str(entry.size), str(entry.count))
    return (entry.id[:ID_DIGITS], entry.reason, entry.stream or "-", *numbers, entry.first_seen, entry.last_seen)


def _readable(body: bytes) -> str:
    """A body as JSON where it is some, else its beginning, safe for a terminal."""
    try:
        return json.dumps(json.loads(body), indent=1)
    except (ValueError, RecursionError):
        return ascii(body[:2000])


def _outcome(state: str) -> str:
    known = {
        "committed": "counted",
        "already": "counted before",
        "superseded": "noted; a newer revision of it counts",
    }
    return known.get(state, f"refused again ({state})")
