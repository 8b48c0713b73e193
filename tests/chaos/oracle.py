"""The verdict: every line that was written against the bill, which counts it once, or calls its moment missing."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from edgetally.bill.coverage import coverage
from edgetally.bill.period import Period
from edgetally.ledger.database import connect
from edgetally.ledger.gaps import REFUSED, Gap
from edgetally.limits import DAY, SLOT_SECONDS
from edgetally.wire.batch import Batch
from edgetally.wire.counters import Counters
from edgetally.wire.envelope import content_hash, edge_of
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
BEFORE, AFTER, TOLD = 12.0, 4.0, 15  # what is told of an edge's history beside a loss: seconds, and events at most
APART = 5.0  # lines that were written so far apart have not one cause, seconds
TOLD_BESIDE = "told beside the logs"  # how often edges told what they had counted there
TRIES = 100_000  # to tell which lines a cell counts

Found = dict[Cell, tuple[int, int]]  # requests, bytes


@dataclass
class Verdict:
    """Lines lost, doubled and misplaced, of those written; problems: all that is wrong, in words.

    missing: not counted, and at the moment when they were written the bill has a gap. needless: counted, though it has
    one there, too. gaps: how long all of them are together, seconds.
    """

    lost: int = 0
    doubled: int = 0
    misplaced: int = 0
    written: int = 0
    missing: int = 0
    needless: int = 0
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
    teller = _Teller(world, gaps)
    for stream, lines in _written(world).items():
        verdict.written += len(lines)
        verdict.gaps += sum(max(0.0, gap.end - gap.start) for gap in gaps[stream])
        count = compare(lines, counted.pop(stream, {}))
        said = [line for line in count.absent if any(holds(gap, line) for gap in gaps[stream])]
        told = {line.size for line in said}
        silent = [line for line in count.absent if line.size not in told]
        verdict.missing += len(said)
        verdict.needless += sum(any(holds(gap, line) for gap in gaps[stream]) for line in lines) - len(said)
        verdict.lost += len(silent)
        verdict.misplaced += len(count.moved)
        verdict.doubled += len(count.again) + sum(max(1, abs(requests)) for _cell, requests, _size in count.strange)
        verdict.problems += teller.say(stream, "lost", silent, said)
        verdict.problems += teller.say(stream, "counted again", count.again)
        verdict.problems += teller.say(stream, "counted in another slot", count.moved)
        verdict.problems += [
            f"{stream} {cell[0]} {cell[1]}: {requests:+d} requests, {size:+d} bytes, and nobody wrote that"
            for cell, requests, size in count.strange
        ]
    verdict.problems += [f"the database has a stream {name} that nobody wrote" for name in counted]
    verdict.problems += world.wrong
    verdict.problems += _invariants(world)
    every = [gap for some in gaps.values() for gap in some]
    verdict.problems += [f"a gap of the bill ends before it begins: {gap}" for gap in every if gap.end < gap.start]
    if not any(world.counts.get(f"fault: {kind}") for kind in LOSING):
        cloned = world.counts.get("fault: clone a machine")
        false = [gap for gap in every if not (cloned and _is_clones(gap))]
        verdict.problems += [f"the bill calls time missing, and none is: {gap}" for gap in false]
    return verdict


def _is_clones(gap: Gap) -> bool:
    """Whether a gap is a copied batch's: it, or its original, is refused, and it has the number 2 without a 1."""
    return gap.reason == REFUSED or (gap.first_seq, gap.last_seq) == (1, 1)


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


class _Count(NamedTuple):
    """Lines that are not counted, those that are counted once more, those counted in another slot, and what nobody
    wrote: cell, requests, bytes."""

    absent: list[Line]
    again: list[Line]
    moved: list[Line]
    strange: list[tuple[Cell, int, int]]


def compare(lines: Sequence[Line], found: Found) -> _Count:
    """Tell of each line whether it is counted."""
    cells: defaultdict[Cell, list[Line]] = defaultdict(list)
    channels: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        cells[line.cell].append(line)
        channels[line.cell[1]].append(line)
    lost: dict[int, Line] = {}
    more: list[Line] = []  # in cells that are not theirs, or once more in theirs
    count = _Count([], [], [], [])
    for cell in sorted({*cells, *found}):
        here = cells.get(cell, [])
        requests, size = found.get(cell, (0, 0))
        told = _explain(here, channels[cell[1]], requests, size)
        if told is None:
            count.strange.append((cell, requests - len(here), size - _sum(here)))
        else:
            lost.update((line.size, line) for line in told[0])
            more += told[1]
    for line in more:
        (count.moved if lost.pop(line.size, None) else count.again).append(line)
    count.absent.extend(lost.values())
    return count


def _sum(lines: Iterable[Line]) -> int:
    return sum(line.size for line in lines)


def _explain(
    here: Sequence[Line], every: Sequence[Line], requests: int, size: int
) -> tuple[Sequence[Line], Sequence[Line]] | None:
    """What makes a cell's sums of its lines: those that are not counted, and those of its channel that are besides.

    As few as possible of either; None where nothing explains it, or only what takes too long to find.
    """
    tries = 0
    for fewer in range(max(0, len(here) - requests), len(here) + 1):
        besides = requests - len(here) + fewer
        tries += math.comb(len(here), fewer) * math.comb(len(every), max(0, besides - 1))
        if tries > TRIES:
            return None
        for lost in combinations(here, fewer):
            more = _with_sum(every, besides, size - _sum(here) + _sum(lost))
            if more is not None:
                return lost, more
    return None


def _with_sum(lines: Sequence[Line], number: int, size: int) -> Sequence[Line] | None:
    """Those lines, so many, whose sizes have this sum; None where there are no such."""
    if not number:
        return None if size else ()
    last = {line.size: line for line in lines}
    for some in combinations(lines, number - 1):
        rest = last.get(size - _sum(some))
        if rest is not None and rest not in some:
            return *some, rest
    return None


# --- what the bill says of the others


def _gaps(world: World) -> defaultdict[str, list[Gap]]:
    """The bill's gaps of each stream, as they are when half an hour has passed without anything more."""
    end = max(line.ended for writer in world.writers for line in writer.lines)
    begin = min(line.began for writer in world.writers for line in writer.lines)
    first = int(begin) // SLOT_SECONDS * SLOT_SECONDS - SLOT_SECONDS
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


def holds(gap: Gap, line: Line) -> bool:
    """Whether a gap holds the moment in which a line was written, which is as long as its writing took.

    The bill's times are whole milliseconds.
    """
    return math.floor(line.began * 1000) / 1000 <= gap.end and gap.start <= math.ceil(line.ended * 1000) / 1000


class _Teller:
    """Tells what became of lines, as far as it helps to find out why."""

    def __init__(self, world: World, gaps: Mapping[str, Sequence[Gap]]) -> None:
        self._world = world
        self._gaps = gaps
        self._places: dict[int, str] = {}

    def say(self, stream: str, what: str, lines: Sequence[Line], said: Sequence[Line] = ()) -> list[str]:
        """A sentence for lines of one file and about one time. said: lost ones of which the bill tells."""
        if not lines:
            return []
        self._places = self._places or _places(self._world)
        more = Counter(map(self._place, said))
        groups: list[list[Line]] = []
        for line in sorted(lines, key=lambda line: (self._place(line), line.began)):
            near = bool(groups) and self._place(groups[-1][-1]) == self._place(line)
            if near and line.began - groups[-1][-1].began < APART:
                groups[-1].append(line)
            else:
                groups.append([line])
        groups.sort(key=lambda group: group[0].began)
        return [self._sentence(stream, what, group, more[self._place(group[0])]) for group in groups]

    def _place(self, line: Line) -> str:
        return self._places.get(line.size, "no file")

    def _sentence(self, stream: str, what: str, lines: Sequence[Line], more: int) -> str:
        first, last = min(line.began for line in lines), max(line.ended for line in lines)
        nearest = sorted(self._gaps[stream], key=lambda gap: max(gap.start - last, first - gap.end))[:2]
        gaps = [f"{self._span(gap.start, gap.end)} {gap.reason}" for gap in nearest]
        folders = {machine.folder.name for machine in self._world.machines if machine.name == stream.partition("/")[0]}
        history = [
            f"\n        {moment - self._world.began:.3f} {folder}: {said}"
            for moment, folder, said in sorted(self._world.history)
            if folder in folders and first - BEFORE < moment < first + AFTER
        ]
        return (
            f"{stream}: {len(lines)} lines {what}, written {self._span(first, last)}; they lie in "
            f"{self._place(lines[0])}, of which the bill tells {more} more; nearest gaps: {', '.join(gaps) or 'none'}"
            + "".join(history[-TOLD:])
        )

    def _span(self, start: float, end: float) -> str:
        return f"{start - self._world.began:.3f} to {end - self._world.began:.3f}"


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
        "payloads of strangers more than are kept": "SELECT IF(COUNT(*) > 220, COUNT(*), 0) FROM quarantine WHERE "
        "stream IS NULL",  # 100, and as many until it is cut again, and a group
        "payloads of strangers that are kept whole": "SELECT COUNT(*) FROM quarantine WHERE stream IS NULL AND "
        "LENGTH(payload) > 4096",
        "connections that wrote while the row was of two holders, so past the fence": "SELECT COUNT(*) FROM (SELECT "
        "boot, connection FROM witness GROUP BY 1, 2 HAVING COUNT(*) > 1) two",
    }.items():
        number = int(world.mariadb.sql(query, "edgetally"))
        if number:
            yield f"{number} {what}"
    known = set(world.mariadb.sql("SELECT LOWER(HEX(sha256)) FROM batch", "edgetally").split())
    for machine in world.machines:
        sent = (machine.folder / "spool" / "sent").glob("*.json")
        strange = sorted(path.name for path in sent if content_hash(path.read_bytes()) not in known)
        if strange:
            yield f"{len(strange)} batches that {machine.folder.name} takes for counted, and none is: {strange[:3]}"
    yield from _counters(world)


def _counters(world: World) -> Iterator[str]:
    """What must hold of what the edges tell beside their logs: no time is told twice, and the sums are the bodies'."""
    told: dict[str, list[Counters]] = defaultdict(list)
    with closing(connect(world.local)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT body FROM batch_body")
        for (body,) in cursor.fetchall():
            batch = Batch.decode(zlib.decompress(body))
            if batch.counters:
                told[edge_of(batch.stream)].append(batch.counters)
        cursor.execute("SELECT edge, SUM(wire) FROM edge_hour GROUP BY edge")
        sums = {edge.decode(): int(wire) for edge, wire in cursor.fetchall()}
    for edge, every in told.items():
        every.sort()
        for one, other in zip(every, every[1:]):
            if other.start < one.end and edge not in world.telling_twice:
                yield f"{edge} tells the time from {other.start} to {one.end} twice"
        wire = sum(one.wire or 0 for one in every)
        if sums.get(edge) != wire:
            yield f"{edge} has told {wire} bytes of its interface, and the database has {sums.get(edge)}"
    if set(sums) != set(told):
        yield f"{sorted(told)} have told what they counted beside their logs, and the database has it of {sorted(sums)}"
    yield from (f"{cache.name} has told nothing beside its logs" for cache in world.caches if cache.name not in told)
    world.counts[TOLD_BESIDE] = sum(map(len, told.values()))
