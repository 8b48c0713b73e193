"""The verdict: every (stream, slot, channel) of the database against what the writers wrote."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.world import Cache, World
from tests.chaos.writer import Account, read_line

NEAR_SECONDS = 5.0  # a run's time: what was taken away in its middle may be called missing with the time after it
FARTHEST_STEP = 160.0  # of a clock; covers that it pushed ahead stay ahead for so long


@dataclass
class Verdict:
    """Requests lost, doubled and misplaced, of those written; problems: all that is wrong, in words.

    held: in batches that a person must look at. missing: in files that another program moved away, in time that a
    batch of their stream calls missing.
    """

    lost: int = 0
    doubled: int = 0
    misplaced: int = 0
    written: int = 0
    held: int = 0
    missing: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether the bill is right."""
        return not (self.lost or self.doubled or self.misplaced or self.problems)


def judge(world: World) -> Verdict:
    """Compare all."""
    verdict = Verdict()
    counted = _counted(world)
    for cache in world.caches:
        _judge(verdict, world, cache, counted.pop(cache.stream, Account()))
    verdict.problems += [f"the database has a stream {name} that nobody wrote" for name in counted]
    verdict.problems += _invariants(world)
    return verdict


def _judge(verdict: Verdict, world: World, cache: Cache, found: Account) -> None:
    """Compare one stream. found: what the database has of it; what is held or declared missing is added to that."""
    written = cache.writer.account
    verdict.written += cache.writer.lines
    for path in (cache.folder / "spool" / "held").glob("*.json"):
        body = json.loads(path.read_bytes())
        if not _counted_as_clone(world, body):
            verdict.held += _add_batch(found, body)
    for path in cache.writer.log.parent.glob("access.log.[0-9]*"):
        if _calls_missing(world, cache, int(path.suffix[1:]) / 1e9):
            verdict.missing += _add_lines(found, path)
    less = more = 0
    for cell in sorted({*written.requests, *found.requests}):
        difference = found.requests[cell] - written.requests[cell]
        size = found.bytes[cell] - written.bytes[cell]
        less += max(0, -difference)
        more += max(0, difference)
        if difference or size:
            verdict.problems.append(f"{cache.stream} {cell[0]} {cell[1]}: {difference:+d} requests, {size:+d} bytes")
    verdict.misplaced += min(less, more)
    verdict.lost += less - min(less, more)
    verdict.doubled += more - min(less, more)


def _counted_as_clone(world: World, body: dict[str, Any]) -> bool:
    """Whether the copy of a batch was first: where the database had been rolled back, and the copy came before it."""
    clone = world.clones.get((body["stream"], body["generation"], body["seq"]))
    query = f"SELECT COUNT(*) FROM batch WHERE HEX(generation) = UPPER('{clone}')"
    return clone is not None and world.mariadb.sql(query, "edgetally") == "1\n"


def _add_batch(account: Account, body: dict[str, Any]) -> int:
    for slot, channel, requests, size, *_hits in body["rows"]:
        account.add((slot, body["channels"][channel]), requests, size)
    return sum(row[2] for row in body["rows"])


def _calls_missing(world: World, cache: Cache, moment: float) -> bool:
    """Whether a batch calls the time missing in which another program took the log away, as the edge's clock had it."""
    stepped = any(-NEAR_SECONDS < moment - step < FARTHEST_STEP for step in cache.steps)
    near = FARTHEST_STEP if stepped else NEAR_SECONDS
    return world.mariadb.sql(
        "SELECT COUNT(*) > 0 FROM batch b JOIN stream s ON s.id = b.stream_id "
        f"WHERE (continuity, log) <> ('ok', 'ok') AND s.name = '{cache.stream}' AND covers_to > {moment - near} "
        f"AND COALESCE(covers_from, covers_to) < {moment + near}",
        "edgetally",
    ).startswith("1")


def _add_lines(account: Account, path: Path) -> int:
    lines = path.read_bytes().splitlines()
    for line in lines:
        account.add(*read_line(line))
    return len(lines)


def _counted(world: World) -> dict[str, Account]:
    rows = world.mariadb.sql(
        "SELECT s.name, slot, c.name, requests, bytes FROM traffic t JOIN stream s ON s.id = t.stream_id "
        "JOIN channel c ON c.id = t.channel_id",
        "edgetally",
    )
    accounts: dict[str, Account] = {}
    for line in rows.splitlines():
        stream, slot, channel, requests, size = line.split("\t")
        accounts.setdefault(stream, Account()).add((int(slot), channel), int(requests), int(size))
    return accounts


def _invariants(world: World) -> list[str]:
    """What must hold beside the sums."""
    problems = []
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
            problems.append(f"{number} {what}")
    marks = Counter(world.mariadb.sql("SELECT continuity, log FROM batch", "edgetally").splitlines())
    marks.pop("ok\tok", None)
    foreign = any(world.counts.get(f"fault: {kind}") for kind in ("foreign rotation", "copy and truncate"))
    restored = world.counts.get("fault: restore a spool")
    if foreign or restored:
        marks.pop("broken\tok", None)  # who cannot know whether a file is gone must say so
    if foreign:
        marks.pop("ok\tabsent", None)  # between the renaming and the new log
    if marks:
        problems.append(f"batches that call time missing, and none is: {dict(marks)}")
    return problems
