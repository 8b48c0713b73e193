"""What `edgetally tally` prints: each channel's sums, peak and 95th percentile, as JSON, table or CSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone

from edgetally import table
from edgetally.bill.percentile import mbps, nearest_rank
from edgetally.limits import SLOT_SECONDS
from edgetally.outside import cell
from edgetally.tally.result import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

COLUMNS = ("channel", "requests", "bytes", "hits", "hit_bytes", "peak_mbps", "p95_mbps")


def summarise(tally: Tally) -> dict[str, Any]:
    """The object that `--output json` prints. Channels come by bytes, the biggest first; times are epoch seconds."""
    slots = {slot for slot, _ in tally.cells}
    count = (max(slots) - min(slots)) // SLOT_SECONDS + 1 if slots else 0
    of_channel: dict[str, list[int]] = {}
    for slot, channel in tally.cells:
        of_channel.setdefault(channel, []).append(slot)
    channels = [
        _channel(name, [tally.cells[slot, name] for slot in starts], count) for name, starts in of_channel.items()
    ]
    return {
        "lines": tally.lines,
        "counted": tally.counted,
        "rejected": tally.rejected,
        "bytes": tally.bytes,
        "requests": tally.counted,
        "first": tally.first,
        "last": tally.last,
        "channels": sorted(channels, key=lambda row: (-row["bytes"], row["channel"])),
        "rejects": [reject._asdict() for reject in tally.rejects],
    }


def _channel(name: str, rows: Sequence[Sequence[int | None]], slots: int) -> dict[str, Any]:
    """One channel's line. rows: its cells, one a slot."""
    sizes = [size or 0 for _, size, _, _ in rows]
    known = all(hits is not None for _, _, hits, _ in rows)
    return {
        "channel": name,
        "requests": sum(requests or 0 for requests, _, _, _ in rows),
        "bytes": sum(sizes),
        "hits": sum(hits or 0 for _, _, hits, _ in rows) if known else None,
        "hit_bytes": sum(size or 0 for _, _, _, size in rows) if known else None,
        "peak_mbps": mbps(max(sizes)),
        "p95_mbps": mbps(nearest_rank(sizes, slots)),
    }


def write_json(tally: Tally, out: TextIO) -> None:
    """Write the summary as one JSON object, piece by piece: the text of many channels is long."""
    json.dump(summarise(tally), out, indent=2, ensure_ascii=False)
    out.write("\n")


def write_csv(tally: Tally, out: TextIO) -> None:
    """Write the channels as CSV with a header line; an unknown hit count is an empty field."""
    import csv  # which the others do without

    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "channel": cell(row["channel"])} for row in summarise(tally)["channels"])


def write_table(tally: Tally, out: TextIO) -> None:
    """Write the channels for people, with a line of sums below and the span of time above."""
    summary = summarise(tally)
    rows = [list(COLUMNS)] + [[_shown(row[column]) for column in COLUMNS] for row in summary["channels"]]
    if len(rows) > 2:
        rows.append(["total", _shown(tally.counted), _shown(tally.bytes), *_total_hits(summary["channels"]), "", ""])
    span = f"{_moment(tally.first)} to {_moment(tally.last)}, {tally.lines} lines, {tally.rejected} rejected"
    out.writelines(f"{line}\n" for line in (span, "", *table.render(rows)))


def _total_hits(channels: Sequence[dict[str, Any]]) -> list[str]:
    known = all(row["hits"] is not None for row in channels)
    return [_shown(sum(row[column] for row in channels) if known else None) for column in ("hits", "hit_bytes")]


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _moment(time: float | None) -> str:
    return "-" if time is None else datetime.fromtimestamp(int(time), timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
