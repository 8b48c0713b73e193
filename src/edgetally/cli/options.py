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
    parser.add_argument("--config", default=default, metavar="FILE", help=f"the configuration; without, {default}")


def add_output(parser: argparse.ArgumentParser, *choices: str) -> None:
    """--output: how the result is printed; the first of the choices by default."""
    parser.add_argument("--output", choices=choices, default=choices[0], help="how it is written")


def add_format(parser: argparse.ArgumentParser, name_help: str, server_help: str) -> None:
    """--format, --log-format, --fields, --server and --hit: what logs look like, and which of their lines are hits."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--format", metavar="NAME", help=name_help)
    which.add_argument("--log-format", metavar="TEXT", help="what the server's configuration says")
    parser.add_argument(
        "--fields",
        metavar="TEXT",
        help="members of JSON, time=MEMBER,bytes=MEMBER,host=MEMBER …; beside a preset, as caddy, in place of its own",
    )
    parser.add_argument("--server", default="", metavar="NAME", help=server_help)
    parser.add_argument(
        "--hit", default="", metavar="FIELD:WORD,…", help="the field with the cache's verdict, and the words for a hit"
    )


def given_format(options: argparse.Namespace) -> str:
    """The format that is given, empty for none. Refuses a pasted one where a name is wanted, and fields beside one."""
    from edgetally.formats.detect import is_pasted

    if options.format and is_pasted(options.format):
        raise EdgetallyError("--format takes a name: give the pasted format with --log-format")
    if options.fields is None:
        return str(options.log_format or options.format or "")
    if options.log_format:
        raise EdgetallyError("--fields are those of JSON, and --log-format is a server's own format: give one of them")
    return f"{options.format or 'json'} {options.fields}"


def add_actions(parser: argparse.ArgumentParser, helps: Mapping[str, str]) -> dict[str, argparse.ArgumentParser]:
    """A command's actions, each with --config: their parsers by name. Which one was chosen is in `action`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    parsers = {name: actions.add_parser(name, help=text) for name, text in helps.items()}
    for action in parsers.values():
        add_config(action)
    return parsers
