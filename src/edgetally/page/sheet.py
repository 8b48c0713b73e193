"""What a channel's page shows: its curve, its days, its figures."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from edgetally import SLOT_SECONDS

SPARK_POINTS = 62


@dataclass
class Columns:
    """A channel's counters, column by column, by rising slot; slots without traffic may be left out."""

    slots: Sequence[int] = field(default_factory=list)
    bytes: Sequence[int] = field(default_factory=list)
    requests: Sequence[int] = field(default_factory=list)
    hits: Sequence[int] = field(default_factory=list)
    hit_bytes: Sequence[int] = field(default_factory=list)
    cache_requests: Sequence[int] = field(default_factory=list)
    cache_bytes: Sequence[int] = field(default_factory=list)


@dataclass(frozen=True)
class Day:
    """A day of the period in its zone. Rates are in Mbit/s, a ratio is None where no log tells hits."""

    date: str
    name: str
    bytes: int
    requests: int
    hit_ratio: float | None
    byte_hit_ratio: float | None
    peak_mbps: float
    peak_at: str
    missing: int


@dataclass(frozen=True)
class Frame:
    """What all channels' sheets share: the period, and where an edge's record is missing."""

    start: int
    end: int
    zone: ZoneInfo
    factor: float  # Mbit/s of a slot with one byte
    missing: Sequence[tuple[int, int]] = ()  # epoch s, by rising start

    @property
    def midnights(self) -> list[int]:
        """Where the days begin that the period touches, the first at its start."""
        found = [self.start]
        day = datetime.fromtimestamp(self.start, self.zone).replace(hour=0, minute=0, second=0)
        while True:
            day = (day + timedelta(days=1)).replace(fold=0)
            if day.timestamp() >= self.end:
                return found
            found.append(int(day.timestamp()))

    def missing_slots(self, start: int, end: int) -> int:
        """How many slots from start to end are missing from some stream."""
        found = set()
        for low, high in self.missing:
            low, high = max(low, start) // SLOT_SECONDS, -(-min(high, end) // SLOT_SECONDS)
            found.update(range(low, high))
        return len(found)


@dataclass(frozen=True)
class Sheet:
    """A channel's page."""

    line: dict[str, Any]  # as the JSON output has it
    id: str
    days: list[Day]
    peak_text: str
    spark: str
    data: str  # JSON
    missing: bool


def make(line: dict[str, Any], columns: Columns, frame: Frame, mark: tuple[str, float] | None) -> Sheet:
    """A sheet. mark: the label and the Mbit/s of the line that goes across the curve."""
    slots = (frame.end - frame.start) // SLOT_SECONDS
    dense = [0] * slots
    for slot, size in zip(columns.slots, columns.bytes):
        dense[(slot - frame.start) // SLOT_SECONDS] = size
    peak = max(dense, default=0)
    peak_slot = frame.start + dense.index(peak) * SLOT_SECONDS if peak else None
    data = {
        "channel": line["channel"],
        "zone": str(frame.zone),
        "start": frame.start,
        "step": SLOT_SECONDS,
        "factor": frame.factor,
        "days": frame.midnights,
        "missing": frame.missing,
        "line": {"label": mark[0], "mbps": mark[1]} if mark else None,
        "peak": {"slot": peak_slot, "mbps": line["peak_mbps"]} if peak_slot else None,
        "bytes": dense,
    }
    return Sheet(
        line=line,
        id=identify(line["channel"]),
        days=_days(columns, frame),
        peak_text=datetime.fromtimestamp(peak_slot, frame.zone).strftime("%d %b %H:%M") if peak_slot else "",
        spark=_spark(dense, peak),
        data=json.dumps(data, separators=(",", ":")),
        missing=bool(frame.missing),
    )


def identify(channel: str) -> str:
    """A name for a channel's file and anchor: what of its own is harmless, and a digest that tells it from all others."""
    readable = re.sub(r"[^a-z0-9]+", "-", channel.lower()).strip("-")[:40].rstrip("-") or "channel"
    return f"{readable}-{hashlib.sha256(channel.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def _days(columns: Columns, frame: Frame) -> list[Day]:
    """The days' sums."""
    begins = frame.midnights
    return [_day(columns, frame, start, end) for start, end in zip(begins, [*begins[1:], frame.end])]


def _day(columns: Columns, frame: Frame, start: int, end: int) -> Day:
    part = slice(bisect_left(columns.slots, start), bisect_left(columns.slots, end))
    sizes = columns.bytes[part]
    peak = max(sizes, default=0)
    moment = columns.slots[part.start + sizes.index(peak)] if peak else None
    local = datetime.fromtimestamp(start, frame.zone)
    return Day(
        date=local.strftime("%Y-%m-%d"),
        name=local.strftime("%a %d %b %Y"),
        bytes=sum(sizes),
        requests=sum(columns.requests[part]),
        hit_ratio=_ratio(columns.hits[part], columns.cache_requests[part]),
        byte_hit_ratio=_ratio(columns.hit_bytes[part], columns.cache_bytes[part]),
        peak_mbps=round(peak * frame.factor, 6),
        peak_at=datetime.fromtimestamp(moment, frame.zone).strftime("%H:%M") if moment else "",
        missing=frame.missing_slots(start, end),
    )


def _ratio(part: Sequence[int], whole: Sequence[int]) -> float | None:
    total = sum(whole)
    return round(sum(part) / total, 6) if total else None


def _spark(dense: list[int], peak: int) -> str:
    """A small curve: the highest slot of each part of the period, in hundredths of the peak."""
    width = max(1, -(-len(dense) // SPARK_POINTS))
    tops = (max(dense[at : at + width]) for at in range(0, len(dense), width))
    return ",".join(str(top * 100 // peak if peak else 0) for top in tops)
