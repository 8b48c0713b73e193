"""The bill: per channel bytes, requests, hit ratio, peak and 95th percentile, and how complete it is."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import timezone as fixed
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pymysql.cursors import SSCursor

from edgetally import SLOT_SECONDS, table
from edgetally.batch import CANARY_STREAM
from edgetally.config import AggregatorConfig
from edgetally.database import check_schema, connect
from edgetally.errors import EdgetallyError
from edgetally.moment import epoch_seconds
from edgetally.percentile import mbps, nearest_rank, rank

LATE_SECONDS = 1800
PERCENT = 95


@dataclass(frozen=True)
class Period:
    """From one slot up to, and not including, another (epoch s), and the zone that the bill speaks in."""

    start: int
    end: int
    zone: ZoneInfo

    @property
    def slots(self) -> int:
        return (self.end - self.start) // SLOT_SECONDS

    def say(self, moment: float) -> str:
        return datetime.fromtimestamp(moment, self.zone).strftime("%Y-%m-%d %H:%M")


@dataclass
class Line:
    """One line of the bill. sizes holds the bytes of every slot that had traffic."""

    channel: str
    requests: int = 0
    hits: int = 0
    hit_bytes: int = 0
    cache_requests: int = 0
    cache_bytes: int = 0
    sizes: dict[int, int] = field(default_factory=dict)

    def add(self, slot: int, size: int, counts: tuple[int, ...]) -> None:
        self.sizes[slot] = self.sizes.get(slot, 0) + size
        self.requests += counts[0]
        self.hits += counts[1]
        self.hit_bytes += counts[2]
        self.cache_requests += counts[3]
        self.cache_bytes += counts[4]

    def figures(self, slots: int) -> dict[str, Any]:
        """The line as JSON and CSV have it. Rates are in Mbit/s; a ratio is None where no log tells hits."""
        sizes = self.sizes.values()
        return {
            "channel": self.channel,
            "bytes": sum(sizes),
            "requests": self.requests,
            "hit_ratio": _ratio(self.hits, self.cache_requests),
            "byte_hit_ratio": _ratio(self.hit_bytes, self.cache_bytes),
            "peak_mbps": round(mbps(max(sizes, default=0)), 6),
            "p95_mbps": round(mbps(nearest_rank(sizes, slots, PERCENT)), 6),
        }


@dataclass(frozen=True)
class Gap:
    """Time of a stream that no batch vouches for (epoch s)."""

    stream: str
    start: float
    end: float
    reason: str


@dataclass(frozen=True)
class Completeness:
    """How many (stream, slot) pairs of the period were expected, and what became of them."""

    streams: int
    expected: int
    missing: int
    late: int
    gaps: tuple[Gap, ...]


def run(
    config: AggregatorConfig,
    *,
    month: str | None = None,
    start: str | None = None,
    end: str | None = None,
    zone: str = "UTC",
    channel: str = "*",
    output: str = "table",
    out: str | None = None,
) -> int:
    """`edgetally report`: print the bill, or write it to a file. Exit status 0 when it is complete, else 1."""
    period = parse_period(month, start, end, zone)
    connection = connect(config.database)
    try:
        check_schema(connection, config.database)
        lines = list(_lines(connection, period, channel))
        completeness = _completeness(connection, period)
    finally:
        connection.close()
    bill = _bill(period, lines, completeness)
    text = {"table": _table, "csv": _csv, "json": _json}[output](bill)
    if out is None:
        print(text, end="")
    else:
        _write(out, text)
    return 1 if completeness.missing else 0


def parse_period(month: str | None, start: str | None, end: str | None, zone: str) -> Period:
    """The period that the options name; without any, this month. A month that is not over ends with the slot of now."""
    try:
        where = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise EdgetallyError(f"zone {zone!r} is not known: write one such as UTC or Europe/Berlin") from None
    if start or end:
        if month or not (start and end):
            raise EdgetallyError(
                "--from and --to go together, and not with --month: name the first moment and the last"
            )
        low, high = int(epoch_seconds(start, "--from", where)), int(epoch_seconds(end, "--to", where))
        low, high = low // SLOT_SECONDS * SLOT_SECONDS, -(-high // SLOT_SECONDS) * SLOT_SECONDS
        if low >= high:
            raise EdgetallyError(f"--from {start} is not before --to {end}: exchange them")
        return Period(low, high, where)
    name = month or datetime.now(where).strftime("%Y-%m")
    match = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", name)
    if not match or match[1] < "1971":
        raise EdgetallyError(f"--month {name!r} is not a month: write it as 2026-11")
    first = datetime(int(match[1]), int(match[2]), 1, tzinfo=where)
    after = (first + timedelta(days=32)).replace(day=1)
    begin, over = int(first.timestamp()), int(after.timestamp())
    so_far = int(time.time()) // SLOT_SECONDS * SLOT_SECONDS + SLOT_SECONDS
    if begin >= so_far:
        raise EdgetallyError(f"--month {name} has not begun yet: name an earlier one")
    return Period(begin, min(over, so_far), where)


def _lines(connection: Any, period: Period, pattern: str) -> Iterator[Line]:
    """The bill's lines by name, one channel in memory at a time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, name FROM channel")
        names = {number: name.decode() for number, name in cursor.fetchall()}
    wanted = sorted((name, number) for number, name in names.items() if fnmatchcase(name, pattern))
    for name, number in wanted:
        line = Line(name)
        with connection.cursor(SSCursor) as cursor:
            cursor.execute(
                "SELECT slot, bytes, requests, hits, hit_bytes, cache_requests, cache_bytes FROM channel_traffic "
                "WHERE channel_id = %s AND slot >= %s AND slot < %s",
                (number, period.start, period.end),
            )
            for slot, size, *counts in cursor:
                line.add(slot, size, tuple(counts))
        if line.sizes:
            yield line


def _completeness(connection: Any, period: Period) -> Completeness:
    """Walk every stream's covers. A stream is expected from its first batch on, until it is retired."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
        now = float(cursor.fetchone()[0])
        cursor.execute(
            "SELECT s.name, UNIX_TIMESTAMP(s.retired_at), MIN(b.covers_to), MAX(b.covers_to) "
            "FROM stream s JOIN batch b ON b.stream_id = s.id WHERE b.state = 'committed' AND s.name <> %s "
            "GROUP BY s.id",
            (CANARY_STREAM.encode(),),
        )
        known = {name.decode(): (retired, float(first)) for name, retired, first, _last in cursor.fetchall()}
        cursor.execute(
            "SELECT s.name, MAX(b.covers_from), MAX(b.covers_to), MAX(b.continuity), MAX(b.log), "
            "UNIX_TIMESTAMP(MAX(b.committed_at)) FROM batch b JOIN stream s ON s.id = b.stream_id "
            "WHERE b.state = 'committed' AND b.covers_to > %s AND COALESCE(b.covers_from, b.covers_to) < %s "
            "GROUP BY b.stream_id, b.generation, b.seq, b.revision HAVING COUNT(*) = MAX(b.parts) ORDER BY 3",
            (period.start, period.end),
        )
        covers: dict[str, list[tuple[float | None, float, str, float]]] = {}
        for name, low, high, continuity, log, committed in cursor.fetchall():
            reason = continuity if continuity != "ok" else log if log != "ok" else ""
            cover = (None if low is None else float(low), float(high), reason, float(committed))
            covers.setdefault(name.decode(), []).append(cover)
    gaps: list[Gap] = []
    expected = missing = late = 0
    for name, (retired, first) in sorted(known.items()):
        low, high = max(period.start, first), min(period.end, now, float(retired) if retired else now)
        if low >= high:
            continue
        found = list(_gaps(name, low, high, covers.get(name, [])))
        gaps += found
        expected += len(_slots(low, high))
        missing += len({slot for gap in found for slot in _slots(gap.start, gap.end)})
        late += len(
            {
                slot
                for start, end, reason, committed in covers.get(name, [])
                for slot in _slots(max(low, start or end), min(high, end))
                if not reason and committed > slot + SLOT_SECONDS + LATE_SECONDS
            }
        )
    return Completeness(len(known), expected, missing, late, tuple(gaps))


def _gaps(stream: str, low: float, high: float, covers: list[tuple[float | None, float, str, float]]) -> Iterator[Gap]:
    """The parts of low..high that no batch vouches for. Time that is still to be shipped is none: half an hour."""
    at = low
    for start, end, reason, _committed in covers:
        begin = end if start is None else start
        if begin > at + 1:
            yield Gap(stream, at, min(begin, high), "missing")
        if reason:
            yield Gap(stream, max(begin, low), min(end, high), reason)
        at = max(at, end)
    if at + LATE_SECONDS < high:
        yield Gap(stream, at, high, "missing")


def _slots(start: float, end: float) -> range:
    """The slots that a span of time touches."""
    return range(int(start) // SLOT_SECONDS * SLOT_SECONDS, -int(-end // SLOT_SECONDS) * SLOT_SECONDS, SLOT_SECONDS)


def _bill(period: Period, lines: list[Line], completeness: Completeness) -> dict[str, Any]:
    """The bill as data: what every output is made of."""
    total = Line("total")
    for line in lines:
        for slot, size in line.sizes.items():
            total.add(slot, size, (0, 0, 0, 0, 0))
        counts = (line.requests, line.hits, line.hit_bytes, line.cache_requests, line.cache_bytes)
        total.add(period.start, 0, counts)
    return {
        "from": datetime.fromtimestamp(period.start, fixed.utc).isoformat(),
        "to": datetime.fromtimestamp(period.end, fixed.utc).isoformat(),
        "zone": str(period.zone),
        "slots": period.slots,
        "percentile": {"percent": PERCENT, "rule": "nearest rank", "rank": rank(period.slots, PERCENT)},
        "channels": [line.figures(period.slots) for line in lines],
        "total": total.figures(period.slots),
        "completeness": {
            "complete": not completeness.missing,
            "streams": completeness.streams,
            "expected": completeness.expected,
            "missing": completeness.missing,
            "late": completeness.late,
            "gaps": [
                {"stream": gap.stream, "from": period.say(gap.start), "to": period.say(gap.end), "reason": gap.reason}
                for gap in completeness.gaps
            ],
        },
        "title": f"{period.say(period.start)} to {period.say(period.end)} {period.zone}",
        "made": int(time.time()),
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _json(bill: dict[str, Any]) -> str:
    return json.dumps(bill, indent=2) + "\n"


def _csv(bill: dict[str, Any]) -> str:
    text = io.StringIO()
    rows = [*bill["channels"], bill["total"]]
    writer = csv.DictWriter(text, list(bill["total"]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _table(bill: dict[str, Any]) -> str:
    """The bill for people."""
    head = ("channel", "bytes", "requests", "hits", "hit bytes", "peak Mbit/s", "p95 Mbit/s")
    rows = [head]
    for line in (*bill["channels"], bill["total"]):
        rows.append(
            (
                line["channel"],
                f"{line['bytes']:,}",
                f"{line['requests']:,}",
                *("-" if line[name] is None else f"{line[name]:.1%}" for name in ("hit_ratio", "byte_hit_ratio")),
                *(f"{line[name]:,.3f}" for name in ("peak_mbps", "p95_mbps")),
            )
        )
    text = [f"Bandwidth, {bill['title']} ({_count(bill['slots'], 'slot')} of five minutes)", ""]
    text += table.render(rows, rules=(0, len(rows) - 2))
    rule = bill["percentile"]
    slots = _count(bill["slots"], "slot")
    text += ["", f"p{rule['percent']}: {rule['rule']} {rule['rank']:,} of {slots}, empty slots count as zero;"]
    text += ["Mbit/s: bytes x 8 / 300 / 10^6, five-minute sums over all edges."]
    text += _completeness_text(bill["completeness"])
    return "\n".join(text) + "\n"


def _completeness_text(completeness: dict[str, Any]) -> list[str]:
    streams, expected = completeness["streams"], completeness["expected"]
    if not expected:
        return ["Completeness: no stream has delivered anything for this time."]
    late = f", {completeness['late']:,} of them late" if completeness["late"] else ""
    if completeness["complete"]:
        return [f"Completeness: complete ({_count(streams, 'stream')}, {_count(expected, 'slot')}{late})."]
    gaps = [f"  {gap['stream']}: {gap['from']} to {gap['to']} ({gap['reason']})" for gap in completeness["gaps"]]
    missing = f"{completeness['missing']:,} of {_count(expected, 'slot')} of {_count(streams, 'stream')}"
    return [f"Completeness: {missing} missing:", *gaps]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _write(out: str, text: str) -> None:
    try:
        with open(out, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another file with --out") from None
