"""`edgetally audit`: sum the bodies of all counted batches again, and print what does not agree."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from edgetally import table
from edgetally.cli.options import add_config, add_output
from edgetally.config import load_aggregator
from edgetally.ledger.audit import Audit, audit

SHOWN = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.description = "Exit status: 0 all agrees, 1 something does not, 2 wrong use."
    add_config(parser)
    parser.add_argument("--from", dest="start", metavar="TIME", help="2026-11-23T14:05, or epoch seconds; without, all")
    parser.add_argument("--to", dest="end", metavar="TIME", help="until then")
    add_output(parser, "table", "json")


def run(options: argparse.Namespace) -> int:
    """Print what was compared. 0: all agrees; 1: something does not."""
    return show(audit(load_aggregator(options.config), options.start, options.end), options.output)


def show(done: Audit, output: str) -> int:
    """Print what an audit has found; the exit status."""
    if output == "json":
        differences = list(map(asdict, done.differences))
        figures = {"batches": done.batches, "cells": done.cells, "differences": differences}
        json.dump(figures, sys.stdout, indent=1, ensure_ascii=False)
        print()
    else:
        _print_table(done)
    return 1 if done.differences else 0


def _print_table(done: Audit) -> None:
    differences = list(done.differences)
    if differences:
        print("\n".join(f"{difference.where}: {difference.what}" for difference in differences[:SHOWN]))
    if len(differences) > SHOWN:
        print(f"and {len(differences) - SHOWN} more: --output json shows all")
    result = f"{len(differences)} differences" if differences else "all agrees"
    print("\n".join(table.render([("batches", "cells", "result"), (str(done.batches), str(done.cells), result)])))
