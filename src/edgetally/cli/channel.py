"""`edgetally channel`: the channels, and the names that they are billed under."""

from __future__ import annotations

import argparse
import json

from edgetally import table
from edgetally.bill.aliases import add_alias, list_channels, remove_alias
from edgetally.cli.options import add_actions, add_output
from edgetally.config import AggregatorConfig, load_aggregator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its actions and their options."""
    actions = add_actions(
        parser,
        {
            "list": "every channel, and the name that it is billed under",
            "alias": "bill OLD as NEW, as after a renaming in mid-month; the bill says so",
            "unalias": "bill OLD under its own name again",
        },
    )
    for name, action in actions.items():
        if name != "list":
            action.add_argument("old", metavar="OLD", help="the name that its traffic is counted under")
    add_output(actions["list"], "table", "json")
    actions["alias"].add_argument("new", metavar="NEW", help="the name that it is billed under")


def run(options: argparse.Namespace) -> int:
    """Do one of the actions."""
    config = load_aggregator(options.config)
    if options.action == "list":
        _list(config, options.output)
    elif options.action == "alias":
        add_alias(config, options.old, options.new)
        print(f"{options.old} is billed as {options.new} from now on, in every month that is not closed")
    else:
        remove_alias(config, options.old)
        print(f"{options.old} is billed under its own name again, in every month that is not closed")
    return 0


def _list(config: AggregatorConfig, output: str) -> None:
    channels = list_channels(config)
    if output == "json":
        listed = [{"channel": name, "billed_as": billed} for name, billed in channels.items()]
        print(json.dumps(listed, indent=1, ensure_ascii=False))
    elif channels:
        print("\n".join(table.render([("channel", "billed as"), *channels.items()])))
    else:
        print("no channel has had traffic yet")
