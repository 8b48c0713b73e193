"""`edgetally migrate`: bring the database up to this program."""

from __future__ import annotations

import argparse
import os
import sys

from edgetally.cli.options import add_config
from edgetally.config import DATABASE_PORT, load_aggregator
from edgetally.errors import EdgetallyError
from edgetally.ledger import migrate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.description = (
        "The administrator's password is read from EDGETALLY_ADMIN_PASSWORD, the read-only account's "
        "from EDGETALLY_READONLY_PASSWORD, or both from standard input."
    )
    add_config(parser)
    parser.add_argument("--admin-user", default="root", metavar="NAME", help="the administrator's account")
    parser.add_argument("--admin-socket", default="", metavar="PATH", help="the database's unix socket")
    parser.add_argument("--admin-host", default="", metavar="HOST", help="without it and a socket, as configured")
    parser.add_argument(
        "--admin-port", type=int, default=DATABASE_PORT, metavar="PORT", help="with --admin-host; without, 3306"
    )
    parser.add_argument("--account-host", default="localhost", metavar="HOST", help="where the service connects from")
    parser.add_argument("--readonly-user", default="", metavar="NAME", help="an account for Grafana and the like")
    parser.add_argument("--readonly-host", default="", metavar="HOST", help="where that connects from")
    parser.add_argument(
        "--passwords-stdin",
        action="store_true",
        help="read the passwords from standard input: the administrator's, on the next line the read-only account's",
    )


def run(options: argparse.Namespace) -> int:
    """Do what is missing, and print it."""
    config = load_aggregator(options.config)
    admin_password, password = _passwords(options.passwords_stdin)
    admin = config.database._replace(user=options.admin_user, password=admin_password)
    if options.admin_socket or options.admin_host:
        place = {"host": options.admin_host, "port": options.admin_port, "socket": options.admin_socket}
        admin = admin._replace(hosts=(), **place)
    if options.readonly_user and not password:
        raise EdgetallyError("--readonly-user needs a password: set EDGETALLY_READONLY_PASSWORD, or --passwords-stdin")
    if options.readonly_user and not options.readonly_host:
        raise EdgetallyError(
            "--readonly-user needs --readonly-host: the address that Grafana connects from, or localhost"
        )
    readonly = (options.readonly_user, options.readonly_host, password) if options.readonly_user else None
    for line in migrate.migrate(config, admin, options.account_host, readonly) or ["nothing to do"]:
        print(line)
    return 0


def _passwords(from_stdin: bool) -> tuple[str, str]:
    """The administrator's password and the read-only account's."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n"), sys.stdin.readline().rstrip("\n")
    return os.environ.get("EDGETALLY_ADMIN_PASSWORD", ""), os.environ.get("EDGETALLY_READONLY_PASSWORD", "")
