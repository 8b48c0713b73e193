"""`edgetally ship`: one run of an edge."""

from __future__ import annotations

from edgetally.cli.options import add_config
from edgetally.config import EDGE_CONFIG, load_edge
from edgetally.edge import ship

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

DEFAULTS = {"config": EDGE_CONFIG, "check_config": None, **ship.Options()._asdict()}
PLAIN = ("config", "now", "reconcile")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser, EDGE_CONFIG)
    parser.add_argument("--check-config", metavar="FILE", help="only check a configuration file")
    parser.add_argument("--now", action="store_true", help="deliver at once, without the splay")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    pause = parser.add_mutually_exclusive_group()
    pause.add_argument("--pause", action="store_true", help="let the crontab's runs do nothing until --resume")
    pause.add_argument("--resume", action="store_true", help="go on after --pause")
    pause.add_argument("--leave", action="store_true", help="take what is ours away from the logs, to uninstall")
    parser.add_argument("--reconcile", action="store_true", help="ask for all that was ever sent, resend what is lost")


def run(options: argparse.Namespace) -> int:
    """Do one run, or only check a configuration file."""
    if options.check_config:
        ship.check(load_edge(options.check_config))
        return 0
    chosen = {name: getattr(options, name) for name in ship.Options._fields}
    return ship.run(load_edge(options.config), ship.Options(**chosen))
