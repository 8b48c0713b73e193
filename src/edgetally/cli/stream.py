"""`edgetally stream`: the edges' logs."""

from __future__ import annotations

import argparse
import json
from typing import Any

from edgetally import table
from edgetally.bill.streams import list_streams, retire, unretire
from edgetally.cli.options import add_actions, add_output
from edgetally.config import AggregatorConfig, load_aggregator
from edgetally.ledger.gaps import LedgerStream
from edgetally.times import utc


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its actions and their options."""
    actions = add_actions(
        parser,
        {
            "list": "every stream, and until when it is covered",
            "retire": "it is not expected any more: nothing of it is missing from then on",
            "unretire": "it is expected again",
        },
    )
    for name, action in actions.items():
        if name != "list":
            action.add_argument("stream", metavar="EDGE/LOG", help="as `edgetally stream list` has it")
    add_output(actions["list"], "table", "json")
    actions["retire"].add_argument("--at", metavar="TIME", help="since when; without, since its last batch")


def run(options: argparse.Namespace) -> int:
    """Do one of the actions."""
    config = load_aggregator(options.config)
    if options.action == "list":
        _list(config, options.output)
    elif options.action == "retire":
        _retire(config, options.stream, options.at)
    else:
        unretire(config, options.stream)
        print(f"{options.stream} is expected again")
    return 0


def _list(config: AggregatorConfig, output: str) -> None:
    """Every stream, its state, and until when it is covered."""
    streams, now = list_streams(config)
    if output == "json":
        print(json.dumps([_data(stream, now) for stream in streams], indent=1))
    elif streams:
        head = ("stream", "state", "first", "covered until", "retired")
        rows = [
            (stream.name, stream.state(now), utc(stream.first), utc(stream.last), utc(stream.retired))
            for stream in streams
        ]
        print("\n".join(table.render([head, *rows])))
    else:
        print("no stream has delivered anything yet")


def _data(stream: LedgerStream, now: float) -> dict[str, Any]:
    """A stream as JSON has it. Times in epoch seconds."""
    return {
        "stream": stream.name,
        "state": stream.state(now),
        "first": stream.first,
        "last": stream.last,
        "retired": stream.retired,
    }


def _retire(config: AggregatorConfig, name: str, at: str | None) -> None:
    stream, until = retire(config, name, at)
    print(f"{name} is retired since {utc(until)}: from then on nothing of it is missing")
    if until > stream.last + 1:
        print(f"it is covered until {utc(stream.last)} only: the time between stays a gap")
