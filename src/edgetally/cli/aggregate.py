"""`edgetally aggregate`: the single writer."""

from __future__ import annotations

from edgetally.cli.options import add_config
from edgetally.config import load_aggregator

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    parser.add_argument("--check-config", metavar="FILE", help="only check a configuration file")


def run(options: argparse.Namespace) -> int:
    """Work until a signal, or only check a configuration file."""
    if options.check_config:
        load_aggregator(options.check_config)
        return 0
    from edgetally.ledger import aggregator

    return aggregator.run(load_aggregator(options.config))
