"""Finds what the logs of an edge do not see, by its own confirmed batches: a log that fell silent, or much that is sent
and not logged."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from edgetally.check import defects
from edgetally.config import EdgeConfig
from edgetally.edge.spool import Spool
from edgetally.files import read_plain
from edgetally.formats.finding import Finding
from edgetally.limits import DAY

LITTLE = 0.5  # a part of what is sent below which somebody should look: large files come to 0.95, small answers to 0.6


@dataclass
class _Told:
    """What the batches tell: bytes by log of the last day and of the days before; what was counted beside the logs."""

    today: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    beside: Counter[str] = field(default_factory=Counter)
    devices: set[str] = field(default_factory=set)

    def add(self, log: str, body: dict[str, Any], since: float) -> None:
        """Add a batch, but for what an installation found in its log."""
        start, end = body["covers"]
        if start is None:
            return
        (self.today if end > since else self.before)[log] += body["bytes"]
        counters = body.get("extra", {}).get("counters")
        if counters and end > since:
            self.beside.update({source: counters[source] or 0 for source in ("wire", "server")})
            self.devices.add(counters["device"])


def check_beside(config: EdgeConfig, now: float | None = None) -> Iterator[Finding]:
    """The findings of the last day's batches."""
    told = _told(Spool(config.spool), (now or time.time()) - DAY)
    for log, size in sorted(told.before.items()):
        if size and log in told.today and not told.today[log]:
            what = f"log '{log}' has had nothing for a day, and {size:,} bytes in the days before"
            yield defects.SILENT_LOG.found(what, where=config.path)
    logged = sum(told.today.values())
    who = "its servers" if told.beside["server"] else " and ".join(sorted(filter(None, told.devices)))
    sent = told.beside["server"] or told.beside["wire"]
    if logged < LITTLE * sent:
        what = f"the logs of the last day have {logged / sent:.1%} of the {sent:,} bytes that {who} sent"
        yield defects.UNSEEN.found(what, where=config.path)


def _told(spool: Spool, since: float) -> _Told:
    told = _Told()
    for name in spool.batches(spool.sent):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):  # it goes with age, or is no batch
            told.add(name.log, json.loads(read_plain(spool.sent / str(name))), since)
    return told
