"""The bill's tables for finance as Parquet, by pyarrow or DuckDB, whichever this host's python3 has: both are compiled
code, so the program has neither. The tables are those of exports; docs/reference/parquet.md has the types of columns.
"""

from __future__ import annotations

import csv
import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgetally.bill import exports
from edgetally.bill.closed import AnyBill
from edgetally.bill.series import Counts
from edgetally.errors import EdgetallyError

# What a column can be, as DuckDB calls it. No currency has more than four decimals.
TEXT, WHOLE, NUMBER, EXACT = "VARCHAR", "BIGINT", "DOUBLE", "DECIMAL(38, 4)"

_KINDS = {
    **dict.fromkeys((*Counts._fields, "epoch", "missing_slots"), WHOLE),
    **dict.fromkeys(("hit_ratio", "byte_hit_ratio", "mbps", "quantity", "price"), NUMBER),
    **dict.fromkeys(("closed_billable", "billable", "change", "overage_change"), NUMBER),
    **dict.fromkeys(("amount", "closed_net", "net", "net_change"), EXACT),
}


def write_folder(bill: AnyBill, out: str) -> None:
    """A file for each table, into a folder; each takes the place of the one before when it is whole."""
    write = _writer()
    try:
        os.makedirs(out, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".edgetally-", dir=out) as folder:
            exports.write_folder(bill, folder)
            for source in sorted(Path(folder).glob("*.csv")):
                made = source.with_suffix(".parquet")
                write(source, _kinds(source), made)
                made.replace(Path(out, made.name))
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another folder with --out") from None


def _kinds(table: Path) -> dict[str, str]:
    """What each column of a table is."""
    with table.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file))
    return {name: NUMBER if name.endswith("_mbps") else _KINDS.get(name, TEXT) for name in names}


# --- the libraries


def _writer() -> Callable[[Path, dict[str, str], Path], None]:
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


def _by_pyarrow(source: Path, kinds: dict[str, str], out: Path) -> None:
    arrow, read, write = _library("pyarrow"), _library("pyarrow.csv"), _library("pyarrow.parquet")
    types = {TEXT: arrow.string(), WHOLE: arrow.int64(), NUMBER: arrow.float64(), EXACT: arrow.decimal128(38, 4)}
    options = read.ConvertOptions(
        column_types={name: types[kind] for name, kind in kinds.items()}, strings_can_be_null=True, null_values=[""]
    )
    write.write_table(read.read_csv(str(source), convert_options=options), str(out))


def _by_duckdb(source: Path, kinds: dict[str, str], out: Path) -> None:
    with _library("duckdb").connect() as connection:
        table = connection.read_csv(str(source), header=True, delimiter=",", quotechar='"', escapechar='"', dtype=kinds)
        table.write_parquet(str(out))
