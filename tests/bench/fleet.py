"""A simulated fleet: what its edges would ship, as signed payloads, and the rows that these come to in the database."""

from __future__ import annotations

import hashlib
import random
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgetally.limits import SLOT_SECONDS
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import content_hash, derive_key, seal

MASTER = "a master key for the bench, long enough"
CHANNELS = 20  # of each edge
ALL_CHANNELS = 200
STATEMENT_ROWS = 4000


class Shipped(NamedTuple):
    """A batch, its body's content hash, the body compressed, and the payload that goes to the job server."""

    edge: int
    batch: Batch
    sha256: str
    packed: bytes
    payload: bytes


def ship(edges: int, intervals: int = 1, seed: int = 1) -> Iterator[Shipped]:
    """One batch of each edge and interval, the oldest interval first; the last interval ended with the current slot."""
    chance = random.Random(seed)
    keys = [derive_key(MASTER, f"edge{edge}") for edge in range(edges)]
    first = int(time.time()) // SLOT_SECONDS * SLOT_SECONDS - intervals * SLOT_SECONDS
    for interval in range(intervals):
        slot = first + interval * SLOT_SECONDS
        for edge in range(edges):
            batch = _batch(edge, interval + 1, slot, chance)
            (body,) = batch.encode()
            yield Shipped(edge, batch, content_hash(body), zlib.compress(body, 1), seal(batch.stream, keys[edge], body))


def _batch(edge: int, seq: int, slot: int, chance: random.Random) -> Batch:
    numbers = sorted(chance.sample(range(ALL_CHANNELS), CHANNELS))
    rows = []
    for index in range(CHANNELS):
        requests, size = chance.randrange(100, 30_000), chance.randrange(10**6, 10**9)
        hits = chance.randrange(requests)
        rows.append((slot, index, requests, size, hits, size * hits // requests))
    return Batch(
        stream=f"edge{edge}/access",
        generation=hashlib.sha256(b"%d" % edge).hexdigest()[:16],
        seq=seq,
        covers=(None if seq == 1 else float(slot), float(slot + SLOT_SECONDS)),
        channels=tuple(f"channel{number}" for number in numbers),
        rows=tuple(rows),
    )


def statements(group: Sequence[Shipped], channel_ids: dict[str, int]) -> list[str]:
    """The rows of a group of batches as multi-row statements: the counters, the ledger, the bodies."""
    traffic: list[tuple[int, ...]] = []
    sums: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * 6)
    ledger, bodies = [], []
    for edge, batch, sha256, packed, _payload in group:
        for slot, index, requests, size, hits, hit_bytes in batch.rows:
            cell = (requests, size, hits or 0, hit_bytes or 0, requests, size)
            channel = channel_ids[batch.channels[index]]
            traffic.append((channel, slot, edge + 1, *cell))
            total = sums[channel, slot]
            total[:] = map(sum, zip(total, cell))
        key = f"{edge + 1},0x{batch.generation},{batch.seq},0,0"
        low = "NULL" if batch.covers[0] is None else batch.covers[0]
        ledger.append(
            f"({key},1,0x{sha256},{low},{batch.covers[1]},'ok','ok',{batch.lines},0,0,{batch.size},"
            "'committed',1,UTC_TIMESTAMP(6))"
        )
        bodies.append(f"({key},0x{packed.hex()})")
    columns = ("requests", "bytes", "hits", "hit_bytes", "cache_requests", "cache_bytes")
    update = ",".join(f"{name}={name}+VALUES({name})" for name in columns)
    add = f" ON DUPLICATE KEY UPDATE {update}"
    named = ",".join(columns)
    counters = _cut(f"INSERT INTO traffic (channel_id,slot,stream_id,{named}) VALUES ", map(_row, sorted(traffic)), add)
    summed = (_row((*key, *cell)) for key, cell in sorted(sums.items()))
    counters += _cut(f"INSERT INTO channel_traffic (channel_id,slot,{named}) VALUES ", summed, add)
    return counters + _cut("INSERT INTO batch VALUES ", ledger) + _cut("INSERT INTO batch_body VALUES ", bodies)


def _row(values: tuple[int, ...]) -> str:
    return "({})".format(",".join(map(str, values)))


def _cut(head: str, rows: Iterator[str] | Sequence[str], tail: str = "") -> list[str]:
    every = list(rows)
    return [
        head + ",".join(every[start : start + STATEMENT_ROWS]) + tail for start in range(0, len(every), STATEMENT_ROWS)
    ]
