"""The command line. Each command imports only what it needs: a run of `ship` from cron must start in no time.

Exit status: 0 all is well; 1 the work was done as far as it could be, and something is wrong; 2 wrong use, wrong
configuration or unreadable input, and nothing was done. A message is one sentence on standard error.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from edgetally import __version__
from edgetally.config import AGGREGATOR_CONFIG, DATABASE_PORT, EDGE_CONFIG, LONGEST_SPREAD, load_aggregator, load_edge
from edgetally.errors import EdgetallyError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(given[0] if given else "").parse_args(given)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except EdgetallyError as error:
        print(f"edgetally: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"edgetally: the disk under {error.filename or 'the output'} is full: free some space", file=sys.stderr)
        return 1
    except ImportError as error:
        print(
            f"edgetally: the program cannot be loaded ({error}): it was replaced while it ran, or is damaged; run it "
            "again, or roll it out again",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(command: str = "") -> argparse.ArgumentParser:
    """What reads the arguments: of one command, or of all where that is none."""
    parser = argparse.ArgumentParser(prog="edgetally", description="Account the bandwidth of web caches, per channel.")
    parser.add_argument("--version", action="version", version=f"edgetally {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in [_COMMANDS[command]] if command in _COMMANDS else _COMMANDS.values():
        add(commands)
    return parser


_Commands = argparse._SubParsersAction  # argparse has no public name for it


def _add_tally(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("tally", help="tally access logs where they lie, without any server")
    command.add_argument("files", nargs="*", metavar="FILE", help="logs, plain or .gz; - or none is standard input")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--format", metavar="NAME", help="a known format: see `edgetally formats`; without, combined")
    which.add_argument("--log-format", metavar="TEXT", help="what the server's configuration says")
    command.add_argument("--server", default="", metavar="NAME", help="whose format it is, where it does not show that")
    command.add_argument("--channels", metavar="FILE", help="the channel rules; without, a channel is the line's host")
    command.add_argument("--output", choices=("table", "json", "csv"), default="table")
    command.add_argument("--spread", action="store_true", help="spread a transfer's bytes over the time that it lasted")
    command.add_argument(
        "--max-spread", type=int, default=LONGEST_SPREAD, metavar="SECONDS", help=f"at most; without, {LONGEST_SPREAD}"
    )
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="count with so many processes; without, one")
    command.add_argument(
        "--engine",
        choices=("auto", "numpy", "plain"),
        default="auto",
        help="the result is the same; auto looks at the size",
    )
    command.set_defaults(run=_tally)


def _tally(options: argparse.Namespace) -> int:
    from edgetally import tally_command

    return tally_command.run(
        options.files,
        format=options.format,
        log_format=options.log_format,
        server=options.server,
        channels=options.channels,
        output=options.output,
        engine=options.engine,
        jobs=options.jobs,
        max_spread=options.max_spread if options.spread else None,
    )


def _add_check(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "check",
        help="what of a log format, a server's configuration, a log or this edge makes a bill wrong",
        description="Without anything, this host's edge is checked. Exit status: 0 nothing is wrong, 1 something is.",
    )
    command.add_argument("files", nargs="*", metavar="FILE", help="logs and servers' configuration files; - is a log")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--format", metavar="NAME", help="the logs' format: see `edgetally formats`; without, a guess")
    which.add_argument("--log-format", metavar="TEXT", help="what the server's configuration says")
    command.add_argument(
        "--server", default="", metavar="NAME", help="whose format or file it is, if that is not plain"
    )
    command.add_argument("--config", metavar="FILE", help="an edge's configuration file")
    command.add_argument("--covers", nargs=2, metavar=("FROM", "TO"), help="the interval of the logs")
    command.add_argument("--output", choices=("table", "json"), default="table")
    command.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from edgetally.check import command

    return command.run(
        options.files,
        format=options.format,
        log_format=options.log_format,
        server=options.server,
        config=options.config,
        covers=options.covers,
        output=options.output,
    )


def _add_formats(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("formats", help="the log formats that are known by name, with an example line")
    command.set_defaults(run=_formats)


def _formats(_options: argparse.Namespace) -> int:
    from edgetally.formats import FORMATS, PASTED

    print("By name:")
    for known in FORMATS.values():
        print(f"\n{known.name}: {known.description}\n    {known.example}")
        for warning in known.warnings:
            print(f"    note: {warning}")
    print("\nPasted with --log-format, as the whole directive or as the format alone:\n")
    for server, (directive, example) in PASTED.items():
        print(f"{server}: {directive}\n    {example}")
    return 0


def _add_ship(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("ship", help="rotate, tally and deliver this edge's logs; cron runs it")
    command.add_argument("--config", default=EDGE_CONFIG, metavar="FILE")
    command.add_argument("--check-config", metavar="FILE", help="only check a configuration file")
    command.add_argument("--now", action="store_true", help="deliver at once, without the splay")
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    pause = command.add_mutually_exclusive_group()
    pause.add_argument("--pause", action="store_true", help="let the crontab's runs do nothing until --resume")
    pause.add_argument("--resume", action="store_true")
    command.add_argument("--reconcile", action="store_true", help="ask for all that was ever sent, resend what is lost")
    command.set_defaults(run=_ship)


def _ship(options: argparse.Namespace) -> int:
    from edgetally import ship

    if options.check_config:
        ship.check(load_edge(options.check_config))
        return 0
    return ship.run(load_edge(options.config), options)


def _add_replay(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "replay",
        help="correct what was sent: tally archived logs again, with today's channel map",
        description="What comes out otherwise goes into the outbox as a correction; the next run of `ship` sends it. "
        "Exit status: 0 all was done, 1 some batches had to be left as they are.",
    )
    command.add_argument("--config", default=EDGE_CONFIG, metavar="FILE")
    command.add_argument(
        "--from", dest="start", required=True, metavar="TIME", help="2026-11-23T14:05 (UTC), or epoch seconds"
    )
    command.add_argument("--to", dest="end", required=True, metavar="TIME")
    command.add_argument("--log", default="", metavar="NAME", help="only this log of the edge")
    command.add_argument("--dry-run", action="store_true", help="show the difference per channel, and do nothing")
    command.add_argument(
        "--changed-format", action="store_true", help="also where today's format of the log gives other sums"
    )
    command.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    from edgetally import replay

    return replay.run(
        load_edge(options.config), options.start, options.end, options.log, options.dry_run, options.changed_format
    )


def _add_aggregate(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("aggregate", help="the single writer: commit what the edges deliver")
    command.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
    command.add_argument("--check-config", metavar="FILE", help="only check a configuration file")
    command.set_defaults(run=_aggregate)


def _aggregate(options: argparse.Namespace) -> int:
    if options.check_config:
        load_aggregator(options.check_config)
        return 0
    from edgetally import aggregate

    return aggregate.run(load_aggregator(options.config))


def _add_migrate(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "migrate",
        help="bring the database up to this program: tables, accounts",
        description="The administrator's password is read from EDGETALLY_ADMIN_PASSWORD, the read-only account's "
        "from EDGETALLY_READONLY_PASSWORD.",
    )
    command.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
    command.add_argument("--admin-user", default="root", metavar="NAME")
    command.add_argument("--admin-socket", default="", metavar="PATH")
    command.add_argument("--admin-host", default="", metavar="HOST", help="without it and a socket, as configured")
    command.add_argument("--admin-port", type=int, default=DATABASE_PORT, metavar="PORT")
    command.add_argument("--account-host", default="localhost", metavar="HOST", help="where the service connects from")
    command.add_argument("--readonly-user", default="", metavar="NAME", help="an account for Grafana and the like")
    command.set_defaults(run=_migrate)


def _migrate(options: argparse.Namespace) -> int:
    from edgetally import migrate

    config = load_aggregator(options.config)
    admin = config.database._replace(user=options.admin_user, password=os.environ.get("EDGETALLY_ADMIN_PASSWORD", ""))
    if options.admin_socket or options.admin_host:
        place = {"host": options.admin_host, "port": options.admin_port, "socket": options.admin_socket}
        admin = admin._replace(hosts=(), **place)
    password = os.environ.get("EDGETALLY_READONLY_PASSWORD", "")
    if options.readonly_user and not password:
        raise EdgetallyError("--readonly-user needs a password: set EDGETALLY_READONLY_PASSWORD")
    readonly = (options.readonly_user, password) if options.readonly_user else None
    return migrate.run(config, admin, options.account_host, readonly)


def _add_report(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "report", help="the bill: per channel bytes, requests, hit ratio, peak, 95th percentile"
    )
    command.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
    command.add_argument("--month", metavar="YYYY-MM", help="a month, or last; without any time, this month so far")
    command.add_argument("--from", dest="start", metavar="TIME", help="2026-11-23T14:05, or epoch seconds")
    command.add_argument("--to", dest="end", metavar="TIME")
    command.add_argument(
        "--zone", metavar="ZONE", help="the bill's time zone, such as Europe/Berlin; without, the contracts', or UTC"
    )
    command.add_argument("--channel", default="*", metavar="GLOB")
    command.add_argument(
        "--percentile", action="append", default=[], metavar="P", help="one more beside the 95th, such as 99.9"
    )
    command.add_argument("--contracts", metavar="FILE", help="without, contracts.json beside the configuration")
    command.add_argument("--check-contracts", metavar="FILE", help="only check a file of contracts")
    command.add_argument("--output", choices=("table", "csv", "json", "html"), default="table")
    command.add_argument(
        "--out", metavar="FILE", help="write to a file; of html a folder of pages too, unless it ends in .html"
    )
    command.add_argument(
        "--link",
        action="append",
        default=[],
        type=_link,
        metavar="LABEL=URL",
        help="html: a link at the head of every page, such as 'Last month=last/'",
    )
    command.set_defaults(run=_report)


def _link(text: str) -> tuple[str, str]:
    label, _, url = text.partition("=")
    if not label or not url:
        raise argparse.ArgumentTypeError(f"{text!r} is no link: write it as 'Last month=last/'")
    return label, url


def _report(options: argparse.Namespace) -> int:
    from edgetally import contracts, report

    if options.check_contracts:
        contracts.load(options.check_contracts)
        return 0
    return report.run(
        load_aggregator(options.config),
        month=options.month,
        start=options.start,
        end=options.end,
        zone=options.zone,
        channel=options.channel,
        percentiles=options.percentile,
        contract_file=options.contracts,
        output=options.output,
        out=options.out,
        links=options.link,
    )


def _add_audit(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "audit",
        help="sum the bodies of all batches again, and compare with the counters",
        description="Exit status: 0 all agrees, 1 something does not, 2 wrong use.",
    )
    command.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
    command.add_argument(
        "--from", dest="start", metavar="TIME", help="2026-11-23T14:05, or epoch seconds; without, all"
    )
    command.add_argument("--to", dest="end", metavar="TIME")
    command.add_argument("--output", choices=("table", "json"), default="table")
    command.set_defaults(run=_audit)


def _audit(options: argparse.Namespace) -> int:
    from edgetally import audit

    return audit.run(load_aggregator(options.config), options.start, options.end, options.output)


def _add_quarantine(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("quarantine", help="what the aggregator refused to count: look, retry, drop")
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    helps = {
        "list": "what lies there",
        "show": "why it was refused, and what is in it",
        "retry": "check again with today's configuration, and count what is good now",
        "drop": "delete for good",
    }
    for name, text in helps.items():
        action = actions.add_parser(name, help=text)
        action.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
        if name != "list":
            action.add_argument("ids", nargs="+" if name == "show" else "*", metavar="ID", help="or its first 6 digits")
        if name != "show":
            action.add_argument("--reason", default="", metavar="WORD")
            action.add_argument("--stream", default="", metavar="GLOB")
        if name in ("retry", "drop"):
            action.add_argument("--all", action="store_true")
    actions.choices["list"].add_argument("--output", choices=("table", "csv", "json"), default="table")
    actions.choices["drop"].add_argument("--yes", action="store_true", help="do it")
    command.set_defaults(run=_quarantine)


def _quarantine(options: argparse.Namespace) -> int:
    from edgetally import quarantine

    config = load_aggregator(options.config)
    if options.action == "show":
        return quarantine.show(config, options.ids)
    if options.action == "list":
        return quarantine.show_list(config, quarantine.Choice((), options.reason, options.stream), options.output)
    choice = quarantine.Choice(options.ids, options.reason, options.stream, options.all)
    if options.action == "retry":
        return quarantine.retry(config, choice)
    return quarantine.drop(config, choice, options.yes)


def _add_canary(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "canary",
        help="prove the whole way: a batch without traffic through every job server must come back as a receipt",
        description="On the aggregator's host. Exit status: 0 each came back from the ledger, 1 one did not.",
    )
    command.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
    command.add_argument("--timeout", type=int, default=10, metavar="SECONDS", help="for each receipt; without, 10")
    command.add_argument("--output", choices=("table", "json"), default="table")
    command.set_defaults(run=_canary)


def _canary(options: argparse.Namespace) -> int:
    from edgetally import canary

    return canary.run(load_aggregator(options.config), options.timeout, options.output)


def _add_period(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("period", help="closed months: close one, list them, show what came later")
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    helps = {
        "close": "freeze a month: its bill never changes again",
        "list": "the closed months",
        "show": "a closed month, and what was committed for it later",
    }
    for name, text in helps.items():
        action = actions.add_parser(name, help=text)
        action.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
        if name != "list":
            action.add_argument("month", metavar="YYYY-MM")
            action.add_argument("--zone", metavar="ZONE", help="the month's time zone, as in `edgetally report`")
        if name != "close":
            action.add_argument("--output", choices=("table", "json"), default="table")
    close = actions.choices["close"]
    close.add_argument("--contracts", metavar="FILE", help="without, contracts.json beside the configuration")
    close.add_argument("--accept-gaps", action="store_true", help="also where something is missing; the bill says so")
    command.set_defaults(run=_period)


def _period(options: argparse.Namespace) -> int:
    from edgetally import close

    config = load_aggregator(options.config)
    if options.action == "list":
        return close.show_list(config, options.output)
    if options.action == "show":
        return close.show(config, options.month, options.zone, options.output)
    return close.close(config, options.month, options.zone, options.contracts, options.accept_gaps)


def _add_stream(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("stream", help="the edges' logs: list them, retire one that is gone for good")
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    helps = {
        "list": "every stream, and until when it is covered",
        "retire": "it is not expected any more: nothing of it is missing from then on",
        "unretire": "it is expected again",
    }
    for name, text in helps.items():
        action = actions.add_parser(name, help=text)
        action.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
        if name != "list":
            action.add_argument("stream", metavar="EDGE/LOG")
    actions.choices["list"].add_argument("--output", choices=("table", "json"), default="table")
    actions.choices["retire"].add_argument("--at", metavar="TIME", help="since when; without, since its last batch")
    command.set_defaults(run=_stream)


def _stream(options: argparse.Namespace) -> int:
    from edgetally import names

    config = load_aggregator(options.config)
    if options.action == "list":
        return names.list_streams(config, options.output)
    if options.action == "retire":
        return names.retire(config, options.stream, options.at)
    return names.unretire(config, options.stream)


def _add_channel(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("channel", help="the channels: list them, bill one under another name")
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    helps = {
        "list": "every channel, and the name that it is billed under",
        "alias": "bill OLD as NEW, as after a renaming in mid-month; the bill says so",
        "unalias": "bill OLD under its own name again",
    }
    for name, text in helps.items():
        action = actions.add_parser(name, help=text)
        action.add_argument("--config", default=AGGREGATOR_CONFIG, metavar="FILE")
        if name != "list":
            action.add_argument("old", metavar="OLD")
    actions.choices["list"].add_argument("--output", choices=("table", "json"), default="table")
    actions.choices["alias"].add_argument("new", metavar="NEW")
    command.set_defaults(run=_channel)


def _channel(options: argparse.Namespace) -> int:
    from edgetally import names

    config = load_aggregator(options.config)
    if options.action == "list":
        return names.list_channels(config, options.output)
    if options.action == "alias":
        return names.alias(config, options.old, options.new)
    return names.unalias(config, options.old)


def _add_status(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("status", help="how this host's edge or aggregator is doing")
    command.add_argument("--config", metavar="FILE", help="an edge's or an aggregator's configuration file")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--output", choices=("table", "json"), default="table")
    how.add_argument("--nagios", action="store_true", help="one line, and exit status 0, 1, 2 or 3")
    how.add_argument("--metrics", metavar="FILE", help="write them for node_exporter's textfile collector: NAME.prom")
    command.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    from edgetally import status

    return status.run(options.config, "nagios" if options.nagios else options.output, options.metrics)


_COMMANDS = {
    "tally": _add_tally,
    "check": _add_check,
    "formats": _add_formats,
    "ship": _add_ship,
    "replay": _add_replay,
    "aggregate": _add_aggregate,
    "migrate": _add_migrate,
    "report": _add_report,
    "audit": _add_audit,
    "quarantine": _add_quarantine,
    "canary": _add_canary,
    "period": _add_period,
    "stream": _add_stream,
    "channel": _add_channel,
    "status": _add_status,
}


if __name__ == "__main__":
    sys.exit(main())
