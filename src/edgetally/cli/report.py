"""`edgetally report`: the bill."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from edgetally.cli.options import CONTRACTS_HELP, add_config
from edgetally.config import AggregatorConfig, load_aggregator
from edgetally.errors import EdgetallyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from edgetally.bill.closed import AnyBill


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    parser.add_argument("--month", metavar="YYYY-MM", help="a month, or last; without any time, this month so far")
    parser.add_argument("--from", dest="start", metavar="TIME", help="2026-11-23T14:05, or epoch seconds")
    parser.add_argument("--to", dest="end", metavar="TIME", help="until then")
    parser.add_argument(
        "--zone", metavar="ZONE", help="the bill's time zone, such as Europe/Berlin; without, the contracts', or UTC"
    )
    parser.add_argument(
        "--channel", default="*", metavar="GLOB", help="only these channels: a name, or such as 'video*'"
    )
    parser.add_argument(
        "--by", choices=("edge", "region", "stream"), help="split the bill: what of it each of these had"
    )
    parser.add_argument(
        "--percentile", action="append", default=[], metavar="P", help="one more beside the 95th, such as 99.9"
    )
    parser.add_argument("--contracts", metavar="FILE", help=CONTRACTS_HELP)
    parser.add_argument("--metrics", metavar="FILE", help="write how the contracts stand for node_exporter: NAME.prom")
    parser.add_argument(
        "--trend", action="store_true", help="what the contracts came to in the last 13 months, those that are closed"
    )
    parser.add_argument(
        "--check-contracts",
        metavar="FILE",
        help="only check a file of contracts, and say what fits no channel or region",
    )
    parser.add_argument(
        "--output",
        choices=("table", "csv", "json", "html", "pdf", "parquet", "events"),
        default="table",
        help="how it is written; pdf is of statements",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write to a file; html and csv to a folder, unless it ends in .html or .csv; parquet to a folder",
    )
    parser.add_argument(
        "--customer", metavar="NAME", help="the statement of a customer of the contracts, as html or pdf"
    )
    parser.add_argument(
        "--customers-to", metavar="FOLDER", help="the statements of all customers, a folder for each; pdf: also printed"
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
    from edgetally.bill.find import find_bill, parse_percents
    from edgetally.bill.split import split
    from edgetally.bill.text import OUTPUTS

    _check_output(options)
    config = load_aggregator(options.config)
    with find_bill(
        config,
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
        if options.by:
            bill.data["split"] = split(config, bill, options.by, options.channel, parse_percents(options.percentile))
        if options.customer or options.customers_to:
            _state(options, config, bill)
        elif options.metrics:
            _write_metrics(bill.data, options.metrics)
        elif options.trend:
            _put(_trend(config, bill.data, options.output), options.out)
        elif options.output == "parquet":
            _write_parquet(bill, options.out)
        elif options.output == "html":
            from edgetally.bill.page import publish

            publish.write(bill, options.out, options.link)
        elif options.output == "csv" and options.out and not options.out.endswith(".csv"):
            from edgetally.bill.exports import write_folder

            write_folder(bill, options.out)
        else:
            _put(OUTPUTS[options.output](bill), options.out)
        return 0 if bill.data["completeness"]["complete"] else 1


def _write_parquet(bill: AnyBill, out: str | None) -> None:
    from edgetally.bill.parquet import write_folder

    if out is None:
        raise EdgetallyError("--output parquet writes several files: name a folder for them with --out")
    write_folder(bill, out)


def _write_metrics(bill: dict[str, Any], path: str) -> None:
    from edgetally.bill.commit_watch import metrics
    from edgetally.health.metrics import Figures

    figures = Figures()
    for metric in metrics(bill):
        figures.set(metric.name, metric.what, metric.value, **metric.labels)
    figures.write(path)


def _trend(config: AggregatorConfig, bill: dict[str, Any], output: str) -> str:
    from edgetally.bill.commit_watch import Month, trend
    from edgetally.bill.text import listed

    if not bill["period"]["name"]:
        raise EdgetallyError("--trend is of months: name one with --month, or none for this month")
    return listed(Month._fields, trend(config, bill), output)


def _check_output(options: argparse.Namespace) -> None:
    """Whether the options of statements go together."""
    if options.customer or options.customers_to:
        if options.customer and options.customers_to:
            raise EdgetallyError("--customer is one, and --customers-to writes all: give one of them")
        if options.output not in ("table", "html", "pdf") or options.channel != "*":
            raise EdgetallyError(
                "a statement is --output html or pdf, and of all channels of a customer: give no other"
            )
    elif options.output == "pdf":
        raise EdgetallyError("--output pdf prints statements: say whose with --customer, or --customers-to FOLDER")


def _state(options: argparse.Namespace, config: AggregatorConfig, bill: AnyBill) -> None:
    """Write statements."""
    from edgetally.bill.page import statements

    printed = options.output == "pdf"
    if options.customer:
        statements.write_one(bill, config, options.contracts, options.customer, options.out, printed)
    else:
        statements.write_all(bill, config, options.contracts, options.customers_to, printed)


def _put(text: str, out: str | None) -> None:
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        return
    try:
        Path(out).write_bytes(text.encode())
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another file with --out") from None
