"""The bill as CSV for finance: a file a table, every row with its period, zone and currency, so that columns add up.

One rule for all files: UTF-8 with a byte order mark, which spreadsheets need; commas, lines that end with a line feed,
decimal points. A text that a spreadsheet would take for a formula gets an apostrophe. docs/reference/exports.md has the
columns.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from edgetally.bill.adjustments import adjustments
from edgetally.bill.closed import AnyBill, Closed
from edgetally.bill.credit import changed_lines
from edgetally.bill.percentile import mbps
from edgetally.bill.series import Counts, Series
from edgetally.bill.zones import zone_named
from edgetally.errors import EdgetallyError
from edgetally.limits import SLOT_SECONDS
from edgetally.outside import cell

MARK = "\ufeff"
PERIOD = ("period", "zone")
LINES = (
    *("period", "zone", "from", "to", "state", "customer", "reference", "contract", "kind", "name", "rule"),
    *("item", "quantity", "unit", "price", "share", "amount", "currency", "sha256"),
)
DAYS = (*PERIOD, "channel", "date", *Counts._fields, "peak_mbps")
SERIES = (*PERIOD, "channel", "from", "epoch", "bytes", "mbps")
ADJUSTMENTS = (
    *(*PERIOD, "contract", "name", "unit", "closed_billable", "billable", "change", "overage_change"),
    *("closed_net", "net", "net_change", "currency", "sha256"),
)
_CHANNEL = (*PERIOD, "channel", "contract", *Counts._fields, "hit_ratio", "byte_hit_ratio", "peak_mbps")

Row = Sequence[Any]


def channels_text(bill: AnyBill) -> str:
    """channels.csv: a row a channel, and neither groups nor totals."""
    file = io.StringIO()
    data = bill.data
    percents = [one["percent"] for one in data["total"]["percentiles"]]
    rates = [f"p{percent}{bound}_mbps" for percent in percents for bound in ("", "_low", "_high")]
    rows = ([*_period(bill), *_channel(line)] for line in data["channels"])
    _write(file, (*_CHANNEL, *rates, "missing_slots"), rows)
    return file.getvalue()


def write_folder(bill: AnyBill, out: str) -> None:
    """All files, into a folder; each takes the place of the one before when it is whole."""
    tables: dict[str, Callable[[TextIO], None]] = {
        "channels.csv": lambda file: print(channels_text(bill), end="", file=file),
        "lines.csv": lambda file: _write(file, LINES, _lines(bill)),
        "adjustments.csv": lambda file: _write(file, ADJUSTMENTS, _adjustments(bill)),
    }
    try:
        os.makedirs(out, exist_ok=True)
        for name, fill in tables.items():
            with _Files(out, [name]) as (file,):
                fill(file)
        with _Files(out, ["days.csv", "series.csv"]) as (days, series):
            _write_series(bill, days, series)
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another folder with --out") from None


class _Files:
    """Files of a folder under temporary names, which get their own where all went well."""

    def __init__(self, folder: str, names: Sequence[str]) -> None:
        self._places = {Path(folder, f".{name}.part"): Path(folder, name) for name in names}
        self._stack = ExitStack()

    def __enter__(self) -> list[TextIO]:
        opened = (path.open("w", encoding="utf-8", newline="") for path in self._places)
        return [self._stack.enter_context(file) for file in opened]

    def __exit__(self, kind: object, *_error: object) -> None:
        self._stack.close()
        for part, place in self._places.items():
            if kind is None:
                part.replace(place)
            else:
                part.unlink(missing_ok=True)


# --- rows


def _period(bill: AnyBill) -> list[Any]:
    period = bill.data["period"]
    return [period["name"] or f"{period['from_local']}/{period['to_local']}", period["zone"]]


def _channel(line: dict[str, Any]) -> list[Any]:
    names = ("hit_ratio", "byte_hit_ratio", "peak_mbps")
    rates = [one[name] for one in line["percentiles"] for name in ("mbps", "low_mbps", "high_mbps")]
    sums = [line[name] for name in Counts._fields]
    own = [line[name] for name in names]
    return [cell(line["channel"]), cell(line["contract"] or ""), *sums, *own, *rates, line["missing_slots"]]


def _lines(bill: AnyBill) -> Iterator[Row]:
    """A row for each item of each line; of a line without a price its quantity alone."""
    data = bill.data
    sha256 = bill.row.sha256 if isinstance(bill, Closed) else ""
    for line in data["contracts"]:
        terms, money = line["terms"], line.get("amount") or {}
        span = [_local(bill, line.get(end, data["period"][end])) for end in ("from", "to")]
        kind, name = ("group", line["contract"]) if line["group"] else ("channel", line["channels"][0])
        texts = [cell(terms.get(key) or "") for key in ("customer", "reference")]
        head = [*_period(bill), *span, data["state"], *texts, cell(line["contract"]), kind, cell(name), terms["rule"]]
        for item in money.get("items") or [_quantity(line)]:
            figures = [item[key] for key in ("what", "quantity", "unit", "price", "share", "amount")]
            yield [*head, *figures, money.get("currency"), sha256]


def _quantity(line: dict[str, Any]) -> dict[str, Any]:
    """A line without a price as an item."""
    none = dict.fromkeys(("price", "share", "amount"))
    return {**none, "what": "usage", "quantity": line["billable"], "unit": line["unit"]}


def _adjustments(bill: AnyBill) -> Iterator[Row]:
    """What came after a month was closed, a row a line of the contracts; nothing where it is open."""
    if not isinstance(bill, Closed):
        return
    for one in changed_lines(bill, adjustments(bill.connection, bill)):
        closed, adjusted, change = one["closed"], one["adjusted"], one["change"]
        quantities = [closed["billable"], adjusted["billable"], change["billable"], change["overage"]]
        nets = [closed["net"], adjusted["net"], change["net"], one["currency"]]
        names = [cell(one["contract"]), cell(", ".join(one["channels"])), one["unit"]]
        yield [*_period(bill), *names, *quantities, *nets, bill.row.sha256]


def _write_series(bill: AnyBill, days: TextIO, series: TextIO) -> None:
    """days.csv and series.csv, one channel in memory at a time."""
    head = _period(bill)
    starts = [_local(bill, bill.data["period"]["from"] + SLOT_SECONDS * n) for n in range(bill.data["period"]["slots"])]
    _write(days, DAYS, ())
    _write(series, SERIES, ())
    for name, one in bill.each_series():
        csv.writer(days, lineterminator="\n").writerows([*head, cell(name), *row] for row in _days(bill, one))
        csv.writer(series, lineterminator="\n").writerows(
            [*head, cell(name), start, bill.data["period"]["from"] + SLOT_SECONDS * number, size, round(mbps(size), 6)]
            for number, (start, size) in enumerate(zip(starts, one.sizes))
        )


def _days(bill: AnyBill, series: Series) -> Iterator[Row]:
    for (date, first, slots), counts in zip(bill.data["period"]["days"], series.days):
        yield [date, *counts, round(mbps(max(series.sizes[first : first + slots], default=0)), 6)]


def _local(bill: AnyBill, moment: int) -> str:
    """A moment in the bill's zone, ISO 8601."""
    return datetime.fromtimestamp(moment, zone_named(bill.data["period"]["zone"])).isoformat()


def _write(file: TextIO, head: Sequence[str], rows: Iterable[Row]) -> None:
    file.write(MARK)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
