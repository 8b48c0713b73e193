"""The verdict: every line that was written against the bill, which counts it once, or calls its moment missing."""

from __future__ import annotations

import gzip
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo

from edgetally.bill.coverage import coverage
from edgetally.bill.period import Period
from edgetally.ledger.database import connect
from edgetally.ledger.gaps import Gap
from edgetally.limits import DAY, SLOT_SECONDS
from tests.chaos.world import World
from tests.chaos.writer import Cell, Line

# Without these, nothing is ever missing: those of other programs, and what makes an edge forget what it knew.
LOSING = {
    "foreign rotation",
    "copy and truncate",
    "pair of rotators",
    "three rotators",
    "deleting rotator",
    "hostile names",
    "a glob's log goes",
    "restore a spool",
    "two machines",
    "clock hours ahead",
}
BEFORE, AFTER = 12.0, 3.0  # what is told of an edge's history beside a loss, seconds
TRIES = 300_000  # to tell which lines of a cell are missing

Found = dict[Cell, tuple[int, int]]  # requests, bytes


@dataclass
class Verdict:
    """Lines lost, doubled and misplaced, of those written; problems: all that is wrong, in words.

    missing: not counted, and at the moment when they were written the bill has a gap. gaps: how long all of them are
    together, seconds.
    """

    lost: int = 0
    doubled: int = 0
    misplaced: int = 0
    written: int = 0
    missing: int = 0
    gaps: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether the bill is right."""
        return not (self.lost or self.doubled or self.misplaced or self.problems)


def judge(world: World) -> Verdict:
    """Compare all."""
    verdict = Verdict()
    counted = _counted(world)
    gaps = _gaps(world)
    places: dict[int, str] = {}
    for stream, lines in _written(world).items():
        verdict.written += len(lines)
        verdict.gaps += sum(gap.end - gap.start for gap in gaps[stream])
        absent = _compare(verdict, stream, lines, counted.pop(stream, {}))
        silent = [line for line in absent if not any(_holds(gap, line) for gap in gaps[stream])]
        verdict.missing += len(absent) - len(silent)
        verdict.lost += len(silent)
        if silent:
            places = places or _places(world)
            verdict.problems += _say(world, stream, silent, places, gaps[stream])
    verdict.problems += [f"the database has a stream {name} that nobody wrote" for name in counted]
    verdict.problems += _invariants(world)
    if not any(world.counts.get(f"fault: {kind}") for kind in LOSING):
        verdict.problems += [
            f"the bill calls time missing, and none is: {gap}" for some in gaps.values() for gap in some
        ]
    return verdict


def _written(world: World) -> dict[str, list[Line]]:
    """The lines of each stream, in the order in which they were written."""
    found: dict[str, list[Line]] = {}
    for writer in world.writers:
        found.setdefault(writer.stream, []).extend(writer.lines)
    return {stream: sorted(lines, key=lambda line: line.began) for stream, lines in sorted(found.items())}


def _counted(world: World) -> dict[str, Found]:
    rows = world.mariadb.sql(
        "SELECT s.name, slot, c.name, requests, bytes FROM traffic t JOIN stream s ON s.id = t.stream_id "
        "JOIN channel c ON c.id = t.channel_id",
        "edgetally",
    )
    found: dict[str, Found] = {}
    for row in rows.splitlines():
        stream, slot, channel, requests, size = row.split("\t")
        found.setdefault(stream, {})[int(slot), channel] = (int(requests), int(size))
    return found


# --- which lines the bill counts


def _compare(verdict: Verdict, stream: str, lines: Sequence[Line], found: Found) -> list[Line]:
    """The lines that are not counted. Notes what is counted besides, where there should be nothing."""
    cells: defaultdict[Cell, list[Line]] = defaultdict(list)
    for line in lines:
        cells[line.cell].append(line)
    absent: list[Line] = []
    odd: list[tuple[Cell, int, int]] = []  # cells with more than their lines: requests, bytes
    for cell in sorted({*cells, *found}):
        requests, size = found.get(cell, (0, 0))
        here = cells.get(cell, [])
        fewer, less = len(here) - requests, sum(line.size for line in here) - size
        lost = _with_sum(here, fewer, less)
        if lost is not None:
            absent += lost
            continue
        lost, again = _with_repeats(here, fewer, less)
        absent += lost
        odd += [(cell, 1, line.size) for line in again]
        rest = less - sum(line.size for line in lost) + sum(line.size for line in again)
        number = fewer - len(lost) + len(again)
        if number or rest:
            odd.append((cell, -number, -rest))
    for cell, requests, size in odd:
        moved = next((line for line in absent if line.size == size and line.cell[1] == cell[1]), None)
        what = f"{stream} {cell[0]} {cell[1]}: {requests:+d} requests, {size:+d} bytes"
        if moved is not None:
            absent.remove(moved)
            verdict.misplaced += 1
            verdict.problems.append(f"{what}: of slot {moved.cell[0]}")
        else:
            verdict.doubled += max(1, requests)
            own = any(line.size == size for line in cells.get(cell, []))
            verdict.problems.append(f"{what}: {'a line is counted again' if own else 'nobody wrote that'}")
    return absent


def _with_sum(lines: Sequence[Line], number: int, size: int) -> list[Line] | None:
    """Those lines, so many, whose sizes have this sum; None where there are no such."""
    if not 0 <= number <= len(lines) or math.comb(len(lines), number) > TRIES:
        return None
    return next((list(some) for some in combinations(lines, number) if sum(line.size for line in some) == size), None)


def _with_repeats(lines: Sequence[Line], fewer: int, less: int) -> tuple[list[Line], list[Line]]:
    """The lines that are not counted, and those that are counted once more, where that explains it; else none."""
    for number in (1, 2):
        for again in combinations(lines, number):
            lost = _with_sum(lines, fewer + number, less + sum(line.size for line in again))
            if lost is not None:
                return lost, list(again)
    return [], []


# --- what the bill says of the others


def _gaps(world: World) -> defaultdict[str, list[Gap]]:
    """The bill's gaps of each stream, as they are when half an hour has passed without anything more."""
    end = max(line.ended for writer in world.writers for line in writer.lines)
    first = int(world.began) // SLOT_SECONDS * SLOT_SECONDS - SLOT_SECONDS
    period = Period(first, int(end) // SLOT_SECONDS * SLOT_SECONDS + SLOT_SECONDS, ZoneInfo("UTC"))
    connection = connect(world.local)
    try:
        with connection.cursor() as cursor:
            found = coverage(cursor, period, end + DAY)
    finally:
        connection.close()
    gaps: defaultdict[str, list[Gap]] = defaultdict(list)
    for one in found:
        gaps[one.stream.name] = [gap for gap in one.gaps if gap.start < end]
    return gaps


def _holds(gap: Gap, line: Line) -> bool:
    """Whether a gap holds the moment in which a line was written, which is as long as its writing took.

    The bill's times are whole milliseconds.
    """
    return math.floor(line.began * 1000) / 1000 <= gap.end and gap.start <= math.ceil(line.ended * 1000) / 1000


def _say(world: World, stream: str, lines: Sequence[Line], places: dict[int, str], gaps: Sequence[Gap]) -> list[str]:
    """A sentence for each file with lines that were lost without a word, and what had happened before."""
    said = []
    folders = {machine.folder.name for machine in world.machines if f"{machine.name}/" in stream}
    groups: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        groups[places.get(line.size, "nowhere")].append(line)
    for place, group in groups.items():
        first, last = group[0].began, max(line.ended for line in group)
        near = sorted(gaps, key=lambda gap: max(gap.start - last, first - gap.end))[:2]
        said.append(
            f"{stream}: {len(group)} lines lost, written {first - world.began:.3f} to {last - world.began:.3f}; "
            f"they lie in {place}; nearest gaps: "
            + (
                ", ".join(f"{gap.start - world.began:.3f} to {gap.end - world.began:.3f} {gap.reason}" for gap in near)
                or "none"
            )
            + "".join(
                f"\n        {moment - world.began:.3f} {folder}: {what}"
                for moment, folder, what in sorted(world.history)
                if folder in folders and first - BEFORE < moment < last + AFTER
            )
        )
    return said


def _places(world: World) -> dict[int, str]:
    """Where lines lie, by their sizes; the last place on the way of each."""
    found: dict[int, str] = {}
    for machine in world.machines:
        held = {path.name: path.with_suffix(".reason") for path in (machine.folder / "spool" / "held").glob("*.json")}
        reasons = {
            tuple(name.split("-")[-4:-2]): reason.read_text().strip()
            for name, reason in held.items()
            if reason.exists()
        }
        for path in sorted(machine.folder.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.suffix == ".json" or "copy" in path.parts:
                continue
            why = next((text for (generation, seq), text in reasons.items() if f"{generation}-{seq}-" in path.name), "")
            for size in _sizes(path):
                found[size] = f"{path.relative_to(world.folder)}{f' (held: {why})' if why else ''}"
    return found


def _sizes(path: Path) -> Iterable[int]:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" and data[:2] == b"\x1f\x8b" else data
    return map(int, re.findall(rb'" 200 (\d+) "-" "chaos"', data))


# --- beside the sums


def _invariants(world: World) -> Iterator[str]:
    """What must hold beside the sums."""
    for what, query in {
        "slots whose sum over the streams is another one": "SELECT COUNT(*) FROM channel_traffic c LEFT JOIN "
        "(SELECT channel_id, slot, SUM(requests) AS r, SUM(bytes) AS b FROM traffic GROUP BY 1, 2) t USING "
        "(channel_id, slot) WHERE NOT (c.requests <=> t.r AND c.bytes <=> t.b)",
        "batches without a body": "SELECT COUNT(*) FROM batch LEFT JOIN batch_body USING "
        "(stream_id, generation, seq, revision, part) WHERE body IS NULL",
        "connections that wrote while the row was of two holders, so past the fence": "SELECT COUNT(*) FROM (SELECT "
        "boot, connection FROM witness GROUP BY 1, 2 HAVING COUNT(*) > 1) two",
    }.items():
        number = int(world.mariadb.sql(query, "edgetally"))
        if number:
            yield f"{number} {what}"
