"""A closed month as metered usage: CloudEvents, a line of JSON each, of what every channel had on every day.

An event's id is made of the ledger, the month, the channel and the day, and what a closed month has of these never
changes: whoever takes events once by their id (OpenMeter, Lago) counts once what is sent twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from edgetally.bill.closed import AnyBill, Closed
from edgetally.bill.percentile import mbps
from edgetally.bill.series import Series
from edgetally.errors import EdgetallyError
from edgetally.limits import SLOT_SECONDS

TYPE = "edgetally.traffic.day"


def text(bill: AnyBill) -> str:
    """All events, one a line."""
    return "".join(f"{json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n" for event in events(bill))


def events(bill: AnyBill) -> Iterator[dict[str, Any]]:
    """An event for each channel and day with traffic. Raises EdgetallyError for a month that is open."""
    if not isinstance(bill, Closed):
        raise EdgetallyError(
            "--output events is of closed months, for what was sent once does not change: close it with `edgetally "
            "period close`, and name it with --month"
        )
    ledger = _ledger(bill)
    for line, (channel, series) in zip(bill.data["channels"], bill.each_series()):
        for number, (date, first, slots) in enumerate(bill.data["period"]["days"]):
            if series.days[number].requests:
                yield {
                    "specversion": "1.0",
                    "id": _id(ledger, bill.row.name, channel, date),
                    "source": f"urn:uuid:{ledger}",
                    "type": TYPE,
                    "subject": channel,
                    "time": _utc(bill, first),
                    "datacontenttype": "application/json",
                    "data": _data(bill, line, series, number, first, slots),
                }


def _data(bill: Closed, line: dict[str, Any], series: Series, number: int, first: int, slots: int) -> dict[str, Any]:
    counts = series.days[number]
    return {
        "month": bill.row.month,
        "zone": bill.row.zone,
        "date": bill.data["period"]["days"][number][0],
        "from": _utc(bill, first),
        "to": _utc(bill, first + slots),
        "channel": line["channel"],
        "contract": line["contract"],
        "bytes": counts.bytes,
        "requests": counts.requests,
        "peak_mbps": round(mbps(max(series.sizes[first : first + slots])), 6),
        "sha256": bill.row.sha256,
    }


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _ledger(bill: Closed) -> str:
    with bill.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM ledger")
        return str(cursor.fetchone()[0])


def _utc(bill: Closed, slot: int) -> str:
    moment = bill.data["period"]["from"] + SLOT_SECONDS * slot
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
