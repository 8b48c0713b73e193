"""The sums that a program found, and whether they are the true ones."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tests.bench.logs import SLOT_SECONDS, Cells, Truth

COLUMNS = ("requests", "bytes", "hits", "hit bytes")


class Row(NamedTuple):
    """One host's sums; None for what the program does not give."""

    requests: int | None
    bytes: int | None
    hits: int | None = None
    hit_bytes: int | None = None


@dataclass(frozen=True)
class Sums:
    """What a program found. cells, peaks (host -> most bytes in a slot) and rejected: None if it does not tell."""

    hosts: dict[str, Row]
    cells: Cells | None = None
    peaks: dict[str, float] | None = None
    rejected: int | None = None


def from_cells(cells: Cells) -> dict[str, Row]:
    """Each host's sums over all slots."""
    hosts: dict[str, list[int]] = {}
    for (_, host), sums in cells.items():
        mine = hosts.setdefault(host, [0, 0, 0, 0])
        for place, value in enumerate(sums):
            mine[place] += value
    return {host: Row(*sums) for host, sums in hosts.items()}


# --------------------------------------------------------------------------------------------------------------------
# Reading


def read_rows(path: Path) -> Sums:
    """Lines of `slot host requests bytes hits hit_bytes`; those of one slot and host are added up.

    slot: any time in it, as epoch seconds, as 28/May/2026:20:25 or as ISO 8601, to the minute.
    """
    cells: Cells = {}
    for line in path.read_bytes().decode("latin-1").split("\n")[:-1]:
        key, *numbers = line.rsplit(" ", 4)  # of a damaged line, a host can hold anything but a newline
        slot, _, host = key.partition(" ")
        cell = cells.setdefault((_slot(slot), host), [0, 0, 0, 0])
        for place, number in enumerate(numbers):
            cell[place] += int(number)
    return Sums(from_cells(cells), cells)


@lru_cache(maxsize=4096)
def _slot(text: str) -> int:
    for form in ("%d/%b/%Y:%H:%M", "%Y-%m-%dT%H:%M"):
        try:
            return calendar.timegm(time.strptime(text, form)) // SLOT_SECONDS * SLOT_SECONDS
        except ValueError:
            continue
    return int(text) if text.isdigit() else 0  # of a damaged line, which a program that validates nothing took as whole


def read_edgetally(path: Path) -> Sums:
    """`edgetally tally --output json`."""
    data = json.loads(path.read_text(encoding="utf-8"))
    hosts = {
        row["channel"]: Row(row["requests"], row["bytes"], row["hits"], row["hit_bytes"]) for row in data["channels"]
    }
    peaks = {row["channel"]: row["peak_mbps"] for row in data["channels"]}
    return Sums(hosts, peaks=peaks, rejected=data["rejected"])


# --------------------------------------------------------------------------------------------------------------------
# Comparing


def differences(found: Sums, truth: Truth) -> list[str]:
    """What is wrong, the sums first, one sentence each; empty where all that the program tells is true."""
    wanted = from_cells(truth.cells)
    wrong = list(_totals(found.hosts, wanted))
    if found.rejected not in (None, truth.rejected):
        wrong.append(f"rejected: {found.rejected:,}, should be {truth.rejected:,}")
    for host in sorted(set(found.hosts) | set(wanted)):
        wrong += _row(host, found.hosts.get(host, Row(0, 0)), wanted.get(host, Row(0, 0, 0, 0)))
    if found.cells is not None and not wrong:
        odd = [key for key in set(found.cells) | set(truth.cells) if found.cells.get(key) != truth.cells.get(key)]
        wrong += [
            f"slot {slot}, {host}: {found.cells.get((slot, host))}, should be {truth.cells.get((slot, host))}"
            for slot, host in sorted(odd)
        ]
    if found.peaks is not None and not wrong:
        wrong += _peaks(found.peaks, truth.cells)
    return wrong


def _totals(found: dict[str, Row], wanted: dict[str, Row]) -> Iterator[str]:
    for place, column in enumerate(COLUMNS):
        sums = [_total(row[place] for row in rows.values()) for rows in (found, wanted)]
        if sums[0] is not None and sums[0] != sums[1]:
            yield f"all {column}: {sums[0]:,}, should be {sums[1]:,}"


def _total(values: Iterable[int | None]) -> int | None:
    listed = list(values)
    return None if None in listed else sum(value or 0 for value in listed)


def _row(host: str, found: Row, wanted: Row) -> Iterator[str]:
    for column, value, right in zip(COLUMNS, found, wanted):
        if value is not None and value != right:
            yield f"{host}: {value:,} {column}, should be {right:,}"


def _peaks(found: dict[str, float], cells: Cells) -> Iterator[str]:
    most: dict[str, int] = {}
    for (_, host), sums in cells.items():
        most[host] = max(most.get(host, 0), sums[1])
    for host, value in found.items():
        right = most[host] * 8 / SLOT_SECONDS / 1_000_000
        if value != right:
            yield f"{host}: peak {value} Mbit/s, should be {right}"
