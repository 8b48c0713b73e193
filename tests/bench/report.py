"""bin/bench report: the bill of a month of many channels from a real MariaDB, beside what MariaDB needs to add it up.

Every five channels are a customer's, each second customer's as a group; pages and statements of all of them are made.

The limit is one SQL statement that sums the same columns of the same rows. All sums are compared with its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgetally.config import DatabaseConfig
from tests.bench import measure
from tests.bench.edgetally import Edgetally
from tests.bench.goals import Goal
from tests.bench.measure import BenchError, Cost
from tests.bench.session import conclude, say
from tests.bench.table import table
from tests.support import servers

MONTH = "2025-10"
START, END = (int(datetime(2025, month, 1, tzinfo=timezone.utc).timestamp()) for month in (10, 11))
SLOTS = (END - START) // 300
EDGES = 20
# As much memory as a server with such a month has: its rows are in it. Filled without waiting for the disk.
MARIADB = ("--innodb-buffer-pool-size=2G", "--innodb-log-file-size=512M", "--innodb-flush-log-at-trx-commit=0")
REPORT_SECONDS, PAGE_SECONDS, PAGE_MB, GROWTH = 10.0, 60.0, 2.0, 1.5
OF_CUSTOMER = 5  # channels
_COLUMNS = "bytes, requests, hits, hit_bytes, cache_requests, cache_bytes"


@dataclass
class Bench:
    """One run: its server, and what was found."""

    edgetally: Edgetally
    runs: int
    folder: Path
    database: DatabaseConfig
    mariadb: servers.MariaDB
    goals: list[Goal] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The aggregator's configuration file."""
        file = self.folder / "aggregator.json"
        data = {"job_servers": ["127.0.0.1:1"], "master_keys": ["k" * 32], "database": self.database._asdict()}
        file.write_text(json.dumps(data), encoding="utf-8")
        return file

    def agree(self, channels: int) -> int:
        """Write the contracts of all channels; how many of them are groups."""
        contracts = [
            {
                "name": f"contract {low}",
                "customer": f"customer {low}",
                "channels": [f"channel {low + n}" for n in range(OF_CUSTOMER)],
                "group": low % 2 == 0,
                "currency": "EUR",
                "price": "0.5",
            }
            for low in range(1, channels + 1, OF_CUSTOMER)
        ]
        (self.folder / "contracts.json").write_text(json.dumps(contracts), encoding="utf-8")
        return sum(bool(one["group"]) for one in contracts)

    def fill(self, channels: int) -> None:
        """A whole month of so many channels, and the ledger of some edges that vouch for all of it."""
        self.mariadb.sql(f"DROP DATABASE IF EXISTS {self.database.name}")
        command = self.edgetally.command("migrate", "--config", str(self.config))
        measure.run([*command, "--admin-socket", str(self.mariadb.socket)], self.folder)
        self._sql(f"INSERT INTO channel (id, name) SELECT seq, CONCAT('channel ', seq) FROM seq_1_to_{channels}")
        size = "(c.id * 7919 + s.seq * 104729) % 1000003 * 300"
        for low in range(1, channels + 1, 50):
            self._sql(
                f"INSERT INTO channel_traffic (channel_id, slot, {_COLUMNS}) "
                f"SELECT c.id, {START} + 300 * s.seq, {size}, {size} DIV 20000, {size} DIV 25000, {size} DIV 2, "
                f"{size} DIV 20000, {size} FROM channel c STRAIGHT_JOIN seq_0_to_{SLOTS - 1} s "
                f"WHERE c.id >= {low} AND c.id < {low + 50}"
            )
        self._sql(f"INSERT INTO stream (id, name) SELECT seq, CONCAT('edge', seq, '/access') FROM seq_1_to_{EDGES}")
        self._sql(
            f"INSERT INTO batch SELECT e.id, 'generate', s.seq, 0, 0, 1, '', {START} + 300 * s.seq, "
            f"{START + 300} + 300 * s.seq, 'ok', 'ok', 1, 0, 0, 1, 'committed', s.seq, '2025-10-01' "
            f"FROM stream e STRAIGHT_JOIN seq_0_to_{SLOTS - 1} s"
        )

    def _sql(self, statement: str) -> str:
        return self.mariadb.sql(statement, self.database.name)

    def limit(self) -> Cost:
        """One statement that sums the rows of the month; its result is in the folder's stdout."""
        sums = ", ".join(f"SUM({name})" for name in _COLUMNS.split(", "))
        statement = f"SELECT {sums} FROM channel_traffic WHERE slot >= {START} AND slot < {END}"
        client = ["mariadb", "--no-defaults", f"--socket={self.mariadb.socket}", "-u", "root", "-N", "-B"]
        return measure.run([*client, self.database.name, "-e", statement], self.folder)

    def report(self, *options: str) -> Cost:
        """A report of the month."""
        command = self.edgetally.command("report", "--config", str(self.config), "--month", MONTH, *options)
        return measure.run(command, self.folder)


def main(options: argparse.Namespace) -> int:
    """0: all goals met, 1: a goal is missed. Raises BenchError where sums differ or a server failed."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgetally-bench-")))
        mariadb = stack.enter_context(servers.mariadb(arguments=MARIADB))
        database = DatabaseConfig("edgetally", "secret", "edgetally", socket=str(mariadb.socket))
        bench = Bench(Edgetally(options.edgetally.absolute()), options.runs, folder, database, mariadb)
        rows = []
        for channels in (max(1, options.channels // 10), options.channels):
            bench.fill(channels)
            rows += _measure(bench, channels)
        heading = ["channels", "what", "seconds", "x the sum", "CPU seconds", "peak MB", "largest page, MB"]
        say(f"\n{table([heading, *rows])}")
        bench.goals += _goals(bench.figures, options.channels)
        return conclude(bench.goals, bench.figures, options.out)


def _measure(bench: Bench, channels: int) -> list[list[str]]:
    """The lines of the table for a month of so many channels; medians of the rounds."""
    pages, statements = bench.folder / "pages", bench.folder / "statements"
    groups = bench.agree(channels)
    costs: dict[str, list[Cost]] = {"SQL sum": [], "report": [], "pages": [], "statements": []}
    bench.limit()  # brings the rows into memory
    for _round in range(bench.runs):
        costs["SQL sum"].append(bench.limit())
        sums = [int(word) for word in (bench.folder / "stdout").read_text(encoding="ascii").split()]
        costs["report"].append(bench.report("--output", "json"))
        _compare(sums, json.loads((bench.folder / "stdout").read_bytes())["total"], "the report")
        costs["pages"].append(bench.report("--output", "html", "--out", str(pages)))
        _compare(sums, json.loads((pages / "bill.json").read_bytes())["total"], "the page")
        costs["statements"].append(bench.report("--customers-to", str(statements)))
    stated = len(list(statements.glob("*/index.html")))
    if stated != -(-channels // OF_CUSTOMER):
        raise BenchError(f"{stated:,} statements were written for {channels:,} channels, {OF_CUSTOMER} a customer")
    files = list(pages.glob("*.html"))
    if len(files) != channels + groups + 1:
        raise BenchError(f"{len(files):,} pages were written for {channels:,} channels and {groups:,} groups")
    largest = max(file.stat().st_size for file in files) / 1_000_000
    middle = {what: measure.median(rounds) for what, rounds in costs.items()}
    bench.figures[str(channels)] = {**{what: cost._asdict() for what, cost in middle.items()}, "largest page": largest}
    return [
        [f"{channels:,}", what, f"{cost.wall:.2f}", f"{cost.wall / middle['SQL sum'].wall:.2f}"]
        + ([f"{cost.cpu:.2f}", f"{cost.peak:.0f}"] if what != "SQL sum" else ["", ""])
        + [f"{largest:.2f}" if what == "pages" else ""]
        for what, cost in middle.items()
    ]


def _compare(sums: list[int], total: dict[str, Any], what: str) -> None:
    found = [total[name] for name in _COLUMNS.split(", ")]
    if found != sums:
        raise BenchError(f"{what} has the sums {found}, and the database {sums}")


def _goals(figures: dict[str, Any], channels: int) -> list[Goal]:
    few, all_ = figures[str(max(1, channels // 10))], figures[str(channels)]
    return [
        Goal(f"report of {channels:,} channels", all_["report"]["wall"], REPORT_SECONDS, "s"),
        Goal("report: memory, to that of a tenth", all_["report"]["peak"] / few["report"]["peak"], GROWTH),
        Goal(f"pages of {channels:,} channels", all_["pages"]["wall"], PAGE_SECONDS, "s"),
        Goal("pages: memory, to that of a tenth", all_["pages"]["peak"] / few["pages"]["peak"], GROWTH),
        Goal(f"statements of {channels // OF_CUSTOMER:,} customers", all_["statements"]["wall"], PAGE_SECONDS, "s"),
        Goal("largest page", all_["largest page"], PAGE_MB, "MB"),
    ]
