"""The bill's tables as Parquet, by pyarrow or DuckDB, whichever this host's python3 has: both are compiled code, so the
program has neither. docs/reference/parquet.md has the columns.
"""

from __future__ import annotations

import csv
import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from edgetally.bill.closed import AnyBill
from edgetally.bill.percentile import mbps
from edgetally.bill.series import Counts
from edgetally.errors import EdgetallyError
from edgetally.limits import SLOT_SECONDS

# What a column can be: as Arrow's and as DuckDB's types are called.
TEXT, WHOLE, NUMBER, MOMENT = ("string", "VARCHAR"), ("int64", "BIGINT"), ("float64", "DOUBLE"), ("s", "TIMESTAMP")

Kind = tuple[str, str]


class Table(NamedTuple):
    """A table: its columns, in order, and its rows. Moments are ISO 8601, UTC."""

    columns: dict[str, Kind]
    rows: Iterable[Sequence[Any]]


_PERIOD = {"period": TEXT, "zone": TEXT, "channel": TEXT}
_DAYS = {**_PERIOD, "date": TEXT, **dict.fromkeys(Counts._fields, WHOLE), "peak_mbps": NUMBER}
_SERIES = {**_PERIOD, "time": MOMENT, "epoch": WHOLE, "bytes": WHOLE, "mbps": NUMBER}
_QUANTITIES = ("measured", "low", "high", "billable", "commit", "overage")
_LINES = {
    "period": TEXT,
    "zone": TEXT,
    "contract": TEXT,
    "channels": TEXT,
    "group": TEXT,
    "rule": TEXT,
    "unit": TEXT,
    **dict.fromkeys(_QUANTITIES, NUMBER),
}


def write_folder(bill: AnyBill, out: str) -> None:
    """lines.parquet, days.parquet and series.parquet, into a folder; each takes the place of the one before when it is
    whole."""
    write = _writer()
    try:
        os.makedirs(out, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".edgetally-", dir=out) as folder:
            for name, table in _tables(bill).items():
                made = Path(folder, f"{name}.parquet")
                write(_as_csv(Path(folder, f"{name}.csv"), table), table.columns, made)
                made.replace(Path(out, made.name))
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another folder with --out") from None


# --- the tables


def _tables(bill: AnyBill) -> dict[str, Table]:
    return {
        "lines": Table(_LINES, _lines(bill)),
        "days": Table(_DAYS, _days(bill)),
        "series": Table(_SERIES, _series(bill)),
    }


def _head(bill: AnyBill) -> tuple[str, str]:
    period = bill.data["period"]
    return period["name"] or f"{period['from_local']}/{period['to_local']}", period["zone"]


def _lines(bill: AnyBill) -> Iterator[Sequence[Any]]:
    for line in bill.data["contracts"]:
        group = line["contract"] if line["group"] else None
        names = (line["contract"], ", ".join(line["channels"]), group, line["terms"]["rule"], line["unit"])
        yield (*_head(bill), *names, *(line[name] for name in _QUANTITIES))


def _days(bill: AnyBill) -> Iterator[Sequence[Any]]:
    for channel, series in bill.each_series():
        for (date, first, slots), counts in zip(bill.data["period"]["days"], series.days):
            peak = max(series.sizes[first : first + slots], default=0)
            yield (*_head(bill), channel, date, *counts, round(mbps(peak), 6))


def _series(bill: AnyBill) -> Iterator[Sequence[Any]]:
    begin = bill.data["period"]["from"]
    slots = range(begin, begin + SLOT_SECONDS * bill.data["period"]["slots"], SLOT_SECONDS)
    times = [datetime.fromtimestamp(slot, timezone.utc).strftime("%Y-%m-%d %H:%M:%S") for slot in slots]
    for channel, series in bill.each_series():
        head = (*_head(bill), channel)
        for time, slot, size in zip(times, slots, series.sizes):
            yield (*head, time, slot, size, round(mbps(size), 6))


def _as_csv(path: Path, table: Table) -> Path:
    """A table on the disk, as both libraries read it fast. What is none is empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(table.rows)
    return path


# --- the libraries


def _writer() -> Callable[[Path, dict[str, Kind], Path], None]:
    """What writes a table: the library that is there."""
    if _library("pyarrow") is not None:
        return _by_pyarrow
    if _library("duckdb") is not None:
        return _by_duckdb
    raise EdgetallyError(
        "Parquet is written by pyarrow or DuckDB, and this host's python3 has neither: `pip install pyarrow` for "
        f"{sys.executable}, or take --output csv"
    )


def _library(name: str) -> Any:
    """A library of this host's python3, which the program itself does without; None where it is not there."""
    import site

    sys.path += [folder for folder in site.getsitepackages() if folder not in sys.path]
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _by_pyarrow(source: Path, columns: dict[str, Kind], out: Path) -> None:
    arrow, read, write = _library("pyarrow"), _library("pyarrow.csv"), _library("pyarrow.parquet")

    def arrows(kind: Kind) -> Any:
        return arrow.timestamp("s") if kind is MOMENT else getattr(arrow, kind[0])()

    types = {name: arrows(kind) for name, kind in columns.items()}
    options = read.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
    write.write_table(read.read_csv(str(source), convert_options=options), str(out))


def _by_duckdb(source: Path, columns: dict[str, Kind], out: Path) -> None:
    types = {name: kind[1] for name, kind in columns.items()}
    with _library("duckdb").connect() as connection:
        table = connection.read_csv(str(source), header=True, delimiter=",", quotechar='"', escapechar='"', dtype=types)
        table.write_parquet(str(out))
