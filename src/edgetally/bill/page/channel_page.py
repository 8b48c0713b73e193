"""Makes the sheet of a channel, which is what its page shows: its curve, its days, its figures."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edgetally.bill.percentile import mbps
from edgetally.bill.series import Series
from edgetally.bill.zones import zone_named
from edgetally.limits import SLOT_SECONDS

SPARK_POINTS = 124
RATES = {"Mbit/s": 10**6, "Mibit/s": 2**20}


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
class Sheet:
    """A channel's page."""

    line: dict[str, Any]  # the bill's line of the channel
    id: str  # the name of its file, without .html, and of its anchor
    days: list[Day]
    contracts: Sequence[dict[str, Any]]  # the lines of the bill in which the channel is billed
    group: bool  # whether it is a group's, whose sum is billed, and not one channel's
    peak_at: str
    spark: str
    mark: dict[str, Any]  # the line of the percentile across the curve: label and mbps
    commit: dict[str, Any] | None  # the line of the commit
    sizes: Sequence[int]
    missing: Sequence[tuple[int, int]]
    data: str  # JSON: what the curve is drawn of


def make(
    line: dict[str, Any],
    series: Series,
    period: dict[str, Any],
    contracts: Sequence[dict[str, Any]] = (),
    group: bool = False,
) -> Sheet:
    """A channel's sheet, or a group's. line, period, contracts: as docs/reference/bill.md describes them."""
    peak = line["peak_slot"]
    missing = _merged([tuple(span) for span in line["missing"]])
    mark, commit = _line(line, contracts, group), _commit(contracts, group)
    data = {
        "zone": period["zone"],
        "start": period["from"],
        "step": SLOT_SECONDS,
        "days": [first for _date, first, _slots in period["days"]],
        "missing": missing,
        "line": mark,
        "commit": commit,
        "peak": None if peak is None else {"slot": peak, "mbps": line["peak_mbps"]},
        "bytes": series.sizes,
    }
    return Sheet(
        line=line,
        id=identify_group(line["channel"]) if group else identify(line["channel"]),
        days=[_day(missing, series, period, number) for number in range(len(period["days"]))],
        contracts=contracts,
        group=group,
        peak_at="" if peak is None else _local(period, peak).strftime("%d %b %H:%M"),
        spark=_spark(series.sizes, line["peak_bytes"]),
        mark=mark,
        commit=commit,
        sizes=series.sizes,
        missing=missing,
        data=json.dumps(data, separators=(",", ":")),
    )


def identify(channel: str) -> str:
    """A name for a channel's file and anchor: what is harmless of its own, and a digest that no other has."""
    readable = re.sub(r"[^a-z0-9]+", "-", channel.lower()).strip("-")[:40].rstrip("-") or "channel"
    return f"{readable}-{hashlib.sha256(channel.encode()).hexdigest()[:16]}"


def identify_group(contract: str) -> str:
    """The same for the group of a contract: no channel has a line break in its name."""
    return identify(f"group\n{contract}")


def _merged(spans: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
    """Spans of slots without overlaps: two streams can be missing at once."""
    merged: list[tuple[int, int]] = []
    for first, after, *_ in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], after))
        else:
            merged.append((first, after))
    return merged


def _line(line: dict[str, Any], contracts: Sequence[dict[str, Any]], group: bool) -> dict[str, Any]:
    """The line across the curve: the percentile that this sum is billed by, else the 95th."""
    for contract in contracts:
        if contract["terms"]["rule"] == "percentile" and contract["group"] == group:
            return {"label": f"p{contract['terms']['percent']}", "mbps": round(mbps(contract["measured_bytes"]), 6)}
    percentile = line["percentiles"][0]
    return {"label": f"p{percentile['percent']}", "mbps": percentile["mbps"]}


def _commit(contracts: Sequence[dict[str, Any]], group: bool) -> dict[str, Any] | None:
    """The line of the commit, where it is a rate."""
    for contract in contracts:
        base = RATES.get(contract["unit"])
        if base and contract["commit"] and contract["group"] == group:
            return {"label": "commit", "mbps": round(contract["commit"] * base / 1e6, 6)}
    return None


def _day(missing: Sequence[tuple[int, int]], series: Series, period: dict[str, Any], number: int) -> Day:
    date, first, slots = period["days"][number]
    sums = series.days[number]
    sizes = series.sizes[first : first + slots]
    peak = max(sizes, default=0)
    return Day(
        date=date,
        name=_local(period, first).strftime("%a %d %b %Y"),
        bytes=sums.bytes,
        requests=sums.requests,
        hit_ratio=sums.hit_ratio,
        byte_hit_ratio=sums.byte_hit_ratio,
        peak_mbps=round(mbps(peak), 6),
        peak_at=_local(period, first + sizes.index(peak)).strftime("%H:%M") if peak else "",
        missing=sum(max(0, min(after, first + slots) - max(low, first)) for low, after in missing),
    )


def _local(period: dict[str, Any], slot: int) -> datetime:
    """When a slot of the period begins, in its zone."""
    return datetime.fromtimestamp(period["from"] + slot * SLOT_SECONDS, zone_named(period["zone"]))


def _spark(sizes: Sequence[int], peak: int) -> str:
    """A small curve: the highest slot of each part of the period, in hundredths of the peak."""
    width = max(1, -(-len(sizes) // SPARK_POINTS))
    tops = (max(sizes[at : at + width]) for at in range(0, len(sizes), width))
    return ",".join(str(top * 100 // peak if peak else 0) for top in tops)
