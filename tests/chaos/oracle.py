"""The verdict: every (stream, slot, channel) of the database against what the writers wrote."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.world import Cache, World
from tests.chaos.writer import Account


@dataclass
class Verdict:
    """Requests lost, doubled and misplaced; held: in batches that a person must look at; problems: all else."""

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
        _judge(verdict, cache, counted.pop(cache.stream, Account()))
    verdict.problems += [f"the database has a stream {name} that nobody wrote" for name in counted]
    verdict.problems += _invariants(world)
    return verdict


def _judge(verdict: Verdict, cache: Cache, counted: Account) -> None:
    written = cache.writer.account
    verdict.written += cache.writer.lines
    held = Account()
    for path in (cache.folder / "spool" / "held").glob("*.json"):
        verdict.held += _add_batch(held, path)
    less = more = 0
    cells = {*written.requests, *counted.requests, *held.requests}
    for cell in sorted(cells):
        found = counted.requests[cell] + held.requests[cell]
        difference = found - written.requests[cell]
        size = counted.bytes[cell] + held.bytes[cell] - written.bytes[cell]
        less += max(0, -difference)
        more += max(0, difference)
        if difference or size:
            verdict.problems.append(f"{cache.stream} {cell[0]} {cell[1]}: {difference:+d} requests, {size:+d} bytes")
    verdict.misplaced += min(less, more)
    verdict.lost += less - min(less, more)
    verdict.doubled += more - min(less, more)


def _add_batch(account: Account, path: Path) -> int:
    body = json.loads(path.read_bytes())
    for slot, channel, requests, size, *_hits in body["rows"]:
        account.add((slot, body["channels"][channel]), requests, size)
    return sum(row[2] for row in body["rows"])


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
        "connections that wrote under two epochs, so past the fence": "SELECT COUNT(*) FROM (SELECT boot, connection "
        "FROM witness GROUP BY 1, 2 HAVING COUNT(*) > 1) two",
    }.items():
        number = int(world.mariadb.sql(query, "edgetally"))
        if number:
            problems.append(f"{number} {what}")
    marks = Counter(world.mariadb.sql("SELECT continuity, log FROM batch", "edgetally").splitlines())
    marks.pop("ok\tok", None)
    foreign, restored = (world.counts.get(f"fault: {kind}") for kind in ("foreign rotation", "restore a spool"))
    if foreign or restored:
        marks.pop("broken\tok", None)  # who cannot know whether a file is gone must say so
    if foreign:
        marks.pop("ok\tabsent", None)  # between the renaming and the new log
    if marks:
        problems.append(f"batches that call time missing, and none is: {dict(marks)}")
    return problems
