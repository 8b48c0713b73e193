"""`edgetally replay`: correct what was sent, and print the differences."""

from __future__ import annotations

import argparse

from edgetally import table
from edgetally.cli.options import add_config
from edgetally.config import EDGE_CONFIG, load_edge
from edgetally.edge.replay import Change, replay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.description = (
        "What comes out otherwise goes into the outbox as a correction; the next run of `ship` sends it. "
        "Exit status: 0 all was done, 1 some batches had to be left as they are."
    )
    add_config(parser, EDGE_CONFIG)
    parser.add_argument(
        "--from", dest="start", required=True, metavar="TIME", help="2026-11-23T14:05 (UTC), or epoch seconds"
    )
    parser.add_argument("--to", dest="end", required=True, metavar="TIME", help="until then")
    parser.add_argument("--log", default="", metavar="NAME", help="only this log of the edge")
    parser.add_argument("--dry-run", action="store_true", help="show the difference per channel, and do nothing")
    parser.add_argument(
        "--changed-format", action="store_true", help="also where today's format of the log gives other sums"
    )


def run(options: argparse.Namespace) -> int:
    """Replay, and print the differences. 0: all was done; 1: some was left, and messages say why."""
    config = load_edge(options.config)
    change = replay(config, options.start, options.end, options.log, options.dry_run, options.changed_format)
    _print(change, options.dry_run)
    return int(change.skipped > 0 or change.warned)


def _print(change: Change, dry_run: bool) -> None:
    """Print the differences by channel, and what to do next."""
    rows = [("channel", "requests", "bytes")]
    rows += [
        (channel, f"{requests:+d}", f"{size:+d}")
        for channel, (requests, size) in sorted(change.channels.items())
        if requests or size
    ]
    if len(rows) > 1:
        print("\n".join(table.render(rows)))
    what = f"{change.corrected} of {change.batches} batches"
    if dry_run:
        print(f"would correct {what}")
    elif change.corrected:
        print(f"corrected {what}: the next run sends them, or `edgetally ship --now` at once")
    else:
        print(f"corrected {what}: nothing to do")
