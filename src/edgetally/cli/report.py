"""`edgetally report`: the bill."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgetally.cli.options import CONTRACTS_HELP, add_config
from edgetally.config import load_aggregator
from edgetally.errors import EdgetallyError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    parser.add_argument("--month", metavar="YYYY-MM", help="a month, or last; without any time, this month so far")
    parser.add_argument("--from", dest="start", metavar="TIME", help="2026-11-23T14:05, or epoch seconds")
    parser.add_argument("--to", dest="end", metavar="TIME")
    parser.add_argument(
        "--zone", metavar="ZONE", help="the bill's time zone, such as Europe/Berlin; without, the contracts', or UTC"
    )
    parser.add_argument("--channel", default="*", metavar="GLOB")
    parser.add_argument(
        "--percentile", action="append", default=[], metavar="P", help="one more beside the 95th, such as 99.9"
    )
    parser.add_argument("--contracts", metavar="FILE", help=CONTRACTS_HELP)
    parser.add_argument(
        "--check-contracts", metavar="FILE", help="only check a file of contracts, and say which fit no channel"
    )
    parser.add_argument("--output", choices=("table", "csv", "json", "html"), default="table")
    parser.add_argument(
        "--out", metavar="FILE", help="write to a file; of html a folder of pages too, unless it ends in .html"
    )
    parser.add_argument(
        "--link",
        action="append",
        default=[],
        type=_link,
        metavar="LABEL=URL",
        help="html: a link at the head of every page, such as 'Last month=last/'",
    )


def run(options: argparse.Namespace) -> int:
    """Print a bill, or write it to a file. Exit status 0 when it is complete, else 1."""
    if options.check_contracts:
        from edgetally.bill.find import check_contracts

        print("".join(f"{sentence}\n" for sentence in check_contracts(options.config, options.check_contracts)), end="")
        return 0
    return _report(options)


def _link(text: str) -> tuple[str, str]:
    label, _, url = text.partition("=")
    if not label or not url:
        raise argparse.ArgumentTypeError(f"{text!r} is no link: write it as 'Last month=last/'")
    return label, url


def _report(options: argparse.Namespace) -> int:
    from edgetally.bill.adjustments import adjusted_text
    from edgetally.bill.closed import Closed
    from edgetally.bill.find import find_bill
    from edgetally.bill.text import OUTPUTS

    if options.output == "html":
        from edgetally.bill.page import publish
    with find_bill(
        load_aggregator(options.config),
        month=options.month,
        start=options.start,
        end=options.end,
        zone=options.zone,
        channel=options.channel,
        percentiles=options.percentile,
        contract_file=options.contracts,
    ) as bill:
        later = adjusted_text(bill) if isinstance(bill, Closed) else ""
        if later:
            print(f"edgetally: {later}", file=sys.stderr)
        if options.output == "html":
            publish.write(bill, options.out, options.link)
        else:
            _put(OUTPUTS[options.output](bill), options.out)
        return 0 if bill.data["completeness"]["complete"] else 1


def _put(text: str, out: str | None) -> None:
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        return
    try:
        Path(out).write_bytes(text.encode())
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another file with --out") from None
