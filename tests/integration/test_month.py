"""A month whose every byte is known goes through the real pipeline, and the bill says what the generator knows.

Two edges write logs for October 2025 in Berlin: 31 days, and one hour twice. `ship` rotates them under a clock that
libfaketime sets, gearmand and the aggregator carry the batches to MariaDB, and one batch of an edge is lost.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from edgetally.config import DatabaseConfig
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, SOURCE, aggregator, aggregator_file, run, wait_for
from tests.support import servers

ZONE = ZoneInfo("Europe/Berlin")
START, END = (int(datetime(2025, month, 1, tzinfo=ZONE).timestamp()) for month in (10, 11))
SLOTS = (END - START) // 300
CHANNELS = {"news": "news.example.com", "video": "a.v.example.com", "unassigned": "else.example.org"}
RULES = [{"channel": "news", "host": "news.example.com"}, {"channel": "video", "host": "*.v.example.com"}]
NGINX = '$msec $host "$request" $status $bytes_sent $request_time $upstream_cache_status'
FORMATS = {"edge1": f"log_format edgetally '{NGINX}';", "edge2": "vhost_combined"}
# With another sleep: while it leaves the monotonic clock alone, libfaketime makes Python's own fail (EINVAL).
SHIP = """
import select, sys, time
time.sleep = lambda seconds: select.select([], [], [], max(0, seconds))
from edgetally.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
LOST = 23  # the number of edge2's rotation whose batch is lost


class Request(NamedTuple):
    """A line of an access log. hit: None where the log does not tell."""

    time: float
    channel: str
    size: int
    hit: bool | None


@dataclass
class Edge:
    """An edge: what it writes, and when it rotates (epoch s, also within slots)."""

    name: str
    folder: Path
    rotations: list[int]
    sent: list[Request] = field(default_factory=list)
    lost: list[Request] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "access.log"

    @property
    def outbox(self) -> list[Path]:
        return sorted((self.folder / "spool" / "outbox").iterdir())

    def configure(self, *job_servers: str, wait: int = 0) -> None:
        """Write the configuration, as the role does. wait: for receipts, in s."""
        key = derive_key(MASTER, self.name)
        log = {"name": "access", "path": str(self.log), "server": "nginx" if self.name == "edge1" else "apache"}
        log |= {"format": FORMATS[self.name], "reopen": f"touch {self.log}"}
        data = {
            "edge": self.name,
            "key_id": key.id,
            "key": key.secret.hex(),
            "job_servers": job_servers,
            "splay": 0,
            "user": "",
        }
        data |= {"spool": str(self.folder / "spool"), "channels": str(self.folder / "channels.json"), "logs": [log]}
        (self.folder / "channels.json").write_text(json.dumps(RULES))
        (self.folder / "edge.json").write_text(json.dumps({**data, "receipt_wait": wait}))

    def ship(self, when: int | None = None) -> int:
        """Run `ship` at a moment (epoch s), or now; its exit status."""
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TZ": "UTC"}
        if when is not None:
            library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
            clock = datetime.fromtimestamp(when, timezone.utc).strftime("@%Y-%m-%d %H:%M:%S")
            environment.update(LD_PRELOAD=str(library), FAKETIME=clock, FAKETIME_DONT_FAKE_MONOTONIC="1")
        command = [sys.executable, "-c", SHIP, "ship", "--config", str(self.folder / "edge.json"), "--now"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 or "no job server took the batches" in done.stderr, done.stderr
        return done.returncode

    def line(self, request: Request) -> str:
        """A request as this edge's server logs it."""
        host = CHANNELS[request.channel]
        if self.name == "edge1":
            verdict = "HIT" if request.hit else "MISS"
            return f'{request.time:.3f} {host} "GET /x HTTP/1.1" 200 {request.size} 0.000 {verdict}\n'
        stamp = datetime.fromtimestamp(int(request.time), ZONE).strftime("%d/%b/%Y:%H:%M:%S %z")
        return f'{host}:80 192.0.2.1 - - [{stamp}] "GET /x HTTP/1.1" 200 {request.size} "-" "test"\n'


def requests(edge: str, seed: int) -> Iterator[Request]:
    """What an edge serves in the month, by time. News sleeps at night, so many of its slots are empty."""
    draw = random.Random(seed)
    for slot in range(START, END, 300):
        hour = datetime.fromtimestamp(slot, ZONE).hour
        for channel, chance in (("news", 0 if hour < 6 else 1.2), ("video", 2), ("unassigned", 0.02)):
            count = int(chance + draw.random())
            for moment in sorted(draw.uniform(slot, slot + 299.9) for _ in range(count)):
                size = draw.randint(200, 40_000_000 * (1 + hour))
                yield Request(moment, channel, size, draw.random() < 0.8 if edge == "edge1" else None)


def live(edge: Edge, gearmand: str, seed: int) -> None:
    """The month of an edge: write, rotate, deliver; and lose one batch before it was delivered."""
    edge.folder.mkdir()
    edge.configure(gearmand)
    edge.log.touch()
    edge.ship(START - 1207)  # the first batch, empty: what follows is all counted
    written = sorted(requests(edge.name, seed))
    at = 0
    for number, when in enumerate(edge.rotations):
        upto = next((place for place in range(at, len(written)) if written[place].time >= when), len(written))
        part, at = written[at:upto], upto
        with edge.log.open("a") as log:
            log.writelines(map(edge.line, part))
        if edge.name == "edge2" and number == LOST:
            before = edge.outbox
            edge.configure("127.0.0.1:1")
            assert edge.ship(when) == 1, "no job server"
            for path in set(edge.outbox) - set(before):
                path.unlink()
            edge.configure(gearmand)
            edge.lost += part
        else:
            edge.ship(when)
            edge.sent += part
    assert at == len(written)
    edge.configure(gearmand, wait=20)
    wait_for("empty outbox", lambda: edge.ship() == 0 and not edge.outbox, 120)


def rotations(seed: int) -> list[int]:
    """When an edge rotates: every twelve to twenty-four hours, at any second; last, soon after the month's end."""
    draw = random.Random(seed)
    moments, moment = [], START
    while (moment := moment + draw.randint(12 * 3600, 24 * 3600)) < END - 4000:
        moments.append(moment)
    return [*moments, END + 250]


def figures(channel: str, found: list[Request]) -> dict[str, Any]:
    """A channel's line of the bill, added up from requests."""
    mine = [one for one in found if one.channel == channel or channel == "total"]
    told = [one for one in mine if one.hit is not None]
    sizes = Counter[int]()
    for one in mine:
        sizes[int(one.time - START) // 300] += one.size
    ordered = sorted(sizes[slot] for slot in range(SLOTS))
    return {
        "bytes": sum(one.size for one in mine),
        "requests": len(mine),
        "hits": sum(bool(one.hit) for one in told),
        "hit_bytes": sum(one.size for one in told if one.hit),
        "cache_requests": len(told),
        "cache_bytes": sum(one.size for one in told),
        "peak_bytes": ordered[-1],
        "peak_slot": sizes.most_common(1)[0][0],
        "p95": ordered[-(-SLOTS * 95 // 100) - 1],
    }


def billed(line: dict[str, Any]) -> dict[str, Any]:
    """The same of a line of the bill."""
    names = ("bytes", "requests", "hits", "hit_bytes", "cache_requests", "cache_bytes", "peak_bytes", "peak_slot")
    return {**{name: line[name] for name in names}, "p95": line["percentiles"][0]["bytes"]}


def test_a_known_month(
    gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    config = aggregator_file(tmp_path, database, gearmand.address)
    edges = [Edge(name, tmp_path / name, rotations(seed)) for seed, name in enumerate(("edge1", "edge2"), 1)]
    with aggregator(config), ThreadPoolExecutor() as pool:
        for done in [pool.submit(live, edge, gearmand.address, seed) for seed, edge in enumerate(edges, 11)]:
            done.result()
    month = ("report", "--config", str(config), "--month", "2025-10", "--zone", "Europe/Berlin", "--output", "json")
    report = run(*month)
    assert (report.returncode, report.stderr) == (1, ""), "one batch is missing"
    bill = json.loads(report.stdout)

    sent = [request for edge in edges for request in edge.sent]
    lost = edges[1].lost
    assert lost
    assert bill["period"]["slots"] == SLOTS == 31 * 288 + 12, "the clock was put back"
    assert {line["channel"]: billed(line) for line in bill["channels"]} == {
        channel: figures(channel, sent) for channel in CHANNELS
    }
    assert billed(bill["total"]) == figures("total", sent)
    for line in bill["channels"]:
        told = figures(line["channel"], sent)
        assert line["hit_ratio"] == round(told["hits"] / told["cache_requests"], 6)

    low, high = edges[1].rotations[LOST - 1 : LOST + 1]
    (gap,) = bill["completeness"]["gaps"]
    assert (gap["stream"], gap["reason"]) == ("edge2/access", "missing")
    assert abs(gap["from"] - low) < 10, "from the rotation before"
    assert abs(gap["to"] - high) < 10, "to the one that was lost; each run takes a while"
    missing = range(int(gap["from"]) // 300, -int(-gap["to"] // 300))
    found = bill["completeness"]
    assert (found["missing"], found["expected"]) == (len(missing), 2 * SLOTS)
    assert found["received"] + found["empty"] == found["expected"] - found["missing"]

    for line in bill["channels"]:  # what was lost did happen: the bill's bounds know of it
        one = line["percentiles"][0]
        true = figures(line["channel"], sent + lost)["p95"]
        assert one["low_bytes"] <= true <= one["high_bytes"]
    assert run("audit", "--config", str(config)).returncode == 0
