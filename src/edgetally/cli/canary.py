"""`edgetally canary`: prove the whole way."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from edgetally import table
from edgetally.cli.options import add_config, add_output
from edgetally.config import load_aggregator
from edgetally.health.canary import fly


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.description = "On the aggregator's host. Exit status: 0 each came back from the ledger, 1 one did not."
    add_config(parser)
    parser.add_argument("--timeout", type=int, default=10, metavar="SECONDS", help="for each receipt; without, 10")
    add_output(parser, "table", "json")


def run(options: argparse.Namespace) -> int:
    """Send a canary through each job server, and print what came of them. 0: all are committed; 1: not all."""
    canaries = list(fly(load_aggregator(options.config), options.timeout))
    if options.output == "json":
        json.dump({"canaries": list(map(asdict, canaries))}, sys.stdout, indent=2)
        print()
    else:
        rows = [("job server", "canary", "after")]
        rows += [(canary.server, canary.state, f"{canary.seconds:.2f} s") for canary in canaries]
        print("\n".join([*table.render(rows), *(f"! {canary.problem}" for canary in canaries if canary.problem)]))
    return int(any(canary.problem for canary in canaries))
