"""Lists what was committed for a month after it was closed: each batch, and its difference to each channel.

The snapshot and all differences together come to what the counters have now.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from edgetally.bill.closed import Closed
from edgetally.errors import EdgetallyError
from edgetally.limits import SPREAD_SECONDS
from edgetally.wire.batch import Batch
from edgetally.words import count

Difference = dict[str, tuple[int, int]]  # of a channel: requests, bytes
Cells = dict[tuple[str, int], tuple[int, int]]  # the same of a channel in a slot (epoch s)

K = TypeVar("K")

# All revisions of every batch number of which one came later: a correction replaces what was counted.
_LATER = """
SELECT b.stream_id, LOWER(HEX(b.generation)), b.seq, b.revision, b.commit_no, s.name, b.covers_from, b.covers_to,
       DATE_FORMAT(b.committed_at, '%%Y-%%m-%%dT%%H:%%i:%%sZ'), d.body
  FROM (SELECT DISTINCT stream_id, generation, seq FROM batch
         WHERE commit_no > %s AND covers_to > %s AND (covers_from IS NULL OR covers_from < %s)) l
  JOIN batch b USING (stream_id, generation, seq)
  JOIN batch_body d USING (stream_id, generation, seq, revision, part)
  JOIN stream s ON s.id = b.stream_id
 ORDER BY b.stream_id, b.generation, b.seq, b.commit_no, b.revision, b.part"""


@dataclass(frozen=True)
class Adjustment:
    """A batch that came later. committed_at: UTC; cells: what it changes in the month; it may change nothing."""

    stream: str
    generation: str
    seq: int
    revision: int
    covers_from: float | None
    covers_to: float
    commit_no: int
    committed_at: str
    cells: Cells

    @property
    def difference(self) -> Difference:
        """What it changes of each channel; what comes to nothing is left out."""
        sums: Difference = {}
        for (channel, _slot), cell in self.cells.items():
            sums = _add(sums, {channel: cell}, 1)
        return {channel: cell for channel, cell in sums.items() if cell != (0, 0)}

    def data(self) -> dict[str, Any]:
        """The adjustment as JSON has it."""
        difference = [
            {"channel": name, "requests": requests, "bytes": size}
            for name, (requests, size) in sorted(self.difference.items())
        ]
        own = {name: value for name, value in vars(self).items() if name != "cells"}
        return {**own, "difference": difference}


@dataclass(frozen=True)
class _Part:
    """One part of a batch in the ledger, and what it has in the month."""

    key: tuple[int, str, int]  # stream id, generation, seq
    revision: int
    commit_no: int
    row: tuple[Any, ...]
    sums: Cells


def adjustments(connection: Any, closed: Closed) -> list[Adjustment]:
    """All adjustments of a closed month, in the order of their commits; those that do not touch its slots are none."""
    row = closed.row
    billed = {alias["old"]: alias["new"] for alias in closed.data["aliases"]}
    with connection.cursor() as cursor:
        cursor.execute(_LATER, (row.commit_no, row.start - SPREAD_SECONDS, row.end + SPREAD_SECONDS))
        parts = [_part(record, row.start, row.end, billed) for record in cursor.fetchall()]
    connection.rollback()
    changes = [change for group in _by_number(parts) for change in _replay(group, row.commit_no)]
    return sorted(
        changes,
        key=lambda change: (change.commit_no, change.stream, change.generation, change.seq, change.revision),
    )


def total(changes: Iterable[Adjustment]) -> Difference:
    """The difference that some adjustments make together."""
    sums: Difference = {}
    for change in changes:
        sums = _add(sums, change.difference, 1)
    return sums


def adjusted_text(closed: Closed) -> str:
    """A sentence where something was committed after the closing, else nothing."""
    later, row = adjustments(closed.connection, closed), closed.row
    if not later:
        return ""
    return (
        f"{count(len(later), 'batch')} for {row.month} {'was' if len(later) == 1 else 'were'} committed after it was "
        "closed, not in it: "
        f"`edgetally period show {row.month} --zone {row.zone}` lists them"
    )


def _part(record: tuple[Any, ...], start: int, end: int, billed: dict[str, str]) -> _Part:
    stream_id, generation, seq, revision, commit_no, *row, body = record
    try:
        batch = Batch.decode(zlib.decompress(body))
    except (zlib.error, EdgetallyError):
        raise EdgetallyError(
            f"the body of batch {generation}-{seq} cannot be read: `edgetally audit` says what else is damaged"
        ) from None
    sums: Cells = {}
    names = [billed.get(name, name) for name in batch.channels]
    for slot, channel, requests, size, _hits, _hit_bytes in batch.rows:
        if start <= slot < end:
            known = sums.get((names[channel], slot), (0, 0))
            sums[names[channel], slot] = (known[0] + requests, known[1] + size)
    return _Part((stream_id, generation, seq), revision, commit_no, tuple(row), sums)


def _by_number(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """The parts, which come in the order of their numbers, in a list for each number."""
    group: list[_Part] = []
    for part in parts:
        if group and part.key != group[0].key:
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _replay(parts: list[_Part], closed_at: int) -> Iterator[Adjustment]:
    """The history of one number: what each later commit of it changed. The highest revision so far is what counts."""
    counted: Cells = {}
    revision = 0
    for part in parts:
        change: Cells = {}
        if part.revision == revision or not counted:
            change = dict(part.sums) if part.revision >= revision else {}
        elif part.revision > revision:
            change = _add(part.sums, counted, -1)
        if part.revision >= revision:
            revision = part.revision
        counted = _add(counted, change, 1)
        if part.commit_no > closed_at and (part.sums or change):
            name, low, high, at = part.row
            covers = (None if low is None else float(low), float(high))
            kept = {cell: sums for cell, sums in change.items() if sums != (0, 0)}
            identity = (name.decode(), part.key[1], part.key[2], part.revision)
            yield Adjustment(*identity, *covers, part.commit_no, at, kept)


def _add(first: dict[K, tuple[int, int]], second: dict[K, tuple[int, int]], sign: int) -> dict[K, tuple[int, int]]:
    sums = dict(first)
    for name, (requests, size) in second.items():
        known = sums.get(name, (0, 0))
        sums[name] = (known[0] + sign * requests, known[1] + sign * size)
    return sums
