"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Mapping

from edgetally.config import AGGREGATOR_CONFIG
from edgetally.errors import EdgetallyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

CONTRACTS_HELP = "without, contracts.json beside the configuration"


def add_config(parser: argparse.ArgumentParser, default: str = AGGREGATOR_CONFIG) -> None:
    """--config, the configuration file."""
    parser.add_argument("--config", default=default, metavar="FILE")


def add_output(parser: argparse.ArgumentParser, *choices: str) -> None:
    """--output: how the result is printed; the first of the choices by default."""
    parser.add_argument("--output", choices=choices, default=choices[0])


def add_format(parser: argparse.ArgumentParser, name_help: str, server_help: str) -> None:
    """--format, --log-format, --server and --hit: what the lines of logs look like, and which of them are hits."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--format", metavar="NAME", help=name_help)
    which.add_argument("--log-format", metavar="TEXT", help="what the server's configuration says")
    parser.add_argument("--server", default="", metavar="NAME", help=server_help)
    parser.add_argument(
        "--hit", default="", metavar="FIELD:WORD,…", help="the field with the cache's verdict, and the words for a hit"
    )


def check_format_name(name: str | None) -> None:
    """Refuse a pasted format where a name is wanted."""
    from edgetally.formats.detect import is_pasted

    if name and is_pasted(name):
        raise EdgetallyError("--format takes a name: give the pasted format with --log-format")


def add_actions(parser: argparse.ArgumentParser, helps: Mapping[str, str]) -> dict[str, argparse.ArgumentParser]:
    """A command's actions, each with --config: their parsers by name. Which one was chosen is in `action`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    parsers = {name: actions.add_parser(name, help=text) for name, text in helps.items()}
    for action in parsers.values():
        add_config(action)
    return parsers
