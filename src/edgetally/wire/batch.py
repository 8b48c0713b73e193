"""The batch, version 1: one rotation of one stream, as it travels and as the ledger knows it.

A batch becomes the body of a payload, or several where it is too large for one, and a body is read strictly. The
envelope around it is wire/envelope's. docs/reference/batch.md describes all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from operator import itemgetter, le

from edgetally.digest import sha256
from edgetally.limits import MAX_BATCH_BYTES, SLOT_SECONDS, UNASSIGNED_HOSTS
from edgetally.record import NamedTuple
from edgetally.wire.bounded import MOST, is_count, is_time, read_json
from edgetally.wire.counters import Counters, read_counters
from edgetally.wire.envelope import NOBODY, BatchError, edge_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FUNCTION = "edgetally.batch"
CANARY_STREAM = f"{NOBODY}/canary"  # a health check's batches: on no bill and in no gap list, see health/canary.py

# A row: slot (epoch s, UTC), index into channels, requests, bytes, hits, hit bytes (None: the format does not say).
Row = tuple[int, int, int, int, "int | None", "int | None"]

_REQUESTS: Callable[[Row], int] = itemgetter(2)
_SIZE: Callable[[Row], int] = itemgetter(3)

_GENERATION = r"[0-9a-f]{16}"
_FIELDS = (
    *("stream", "generation", "seq", "revision", "covers", "continuity", "log"),
    *("lines", "rejected", "skewed", "bytes", "channels", "rows", "unassigned_hosts"),
)


def unique_id(stream: str, generation: str, seq: int, revision: int, part: int, attempt: int) -> str:
    """The gearman unique id of one attempt, 60 hex digits (gearmand cuts at 63)."""
    number = f"{seq}.{part}" if part else str(seq)
    return sha256(f"{stream}|{generation}|{number}|{revision}|{attempt}".encode()).hex()[:60]


class _Fields(NamedTuple):
    """The fields of a batch."""

    stream: str
    generation: str
    seq: int
    covers: tuple[float | None, float]
    channels: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    revision: int = 0
    continuity: str = "ok"
    log: str = "ok"
    rejected: int = 0
    skewed: int = 0
    unassigned_hosts: tuple[tuple[str, int, int], ...] = ()
    part: int = 0
    parts: int = 1
    missing: tuple[float, float] | None = None
    counters: Counters | None = None
    region: str = ""


class Batch(_Fields):
    """One rotation of one stream, or one part of it where it is larger than a batch may be.

    covers: (from, to) in epoch seconds; from is None in a generation's first batch. continuity: `ok` or `broken`;
    log: `ok`, `absent` or `disk_full`. missing: a time (from, to), epoch seconds, that is missing besides, as the clock
    was set since. lines = requests in rows + rejected.
    unassigned_hosts: (host, requests, bytes), the biggest only. counters: what the edge counted beside its logs;
    region: where the edge is, empty where it does not say.
    """

    @cached_property
    def lines(self) -> int:
        """Lines read: those counted and those rejected."""
        return sum(map(_REQUESTS, self.rows)) + self.rejected

    @cached_property
    def size(self) -> int:
        """Bytes counted."""
        return sum(map(_SIZE, self.rows))

    @property
    def largest(self) -> int:
        """The largest number of requests or bytes that it counts in one place."""
        of_rows = chain(map(_REQUESTS, self.rows), map(_SIZE, self.rows))
        return max(chain(of_rows, *(host[1:] for host in self.unassigned_hosts)), default=0)

    def encode(self, max_bytes: int = MAX_BATCH_BYTES) -> list[bytes]:
        """The bodies to send: one, or several parts where one would be larger than max_bytes (with its header)."""
        whole = self._body()
        room = max_bytes - 512  # the header line
        if len(whole) <= room:
            return [whole]
        parts = len(whole) // (room // 2) + 1
        size = -(-len(self.rows) // parts)
        first = self._replace(rows=self.rows[:size], part=0, parts=parts)
        rest = [
            first._replace(
                rows=self.rows[number * size : (number + 1) * size],
                rejected=0,
                skewed=0,
                unassigned_hosts=(),
                missing=None,
                counters=None,
                part=number,
            )
            for number in range(1, parts)
        ]
        return [part._body() for part in (first, *rest)]

    def _body(self) -> bytes:
        data: dict[str, Any] = {
            "stream": self.stream,
            "generation": self.generation,
            "seq": self.seq,
            "revision": self.revision,
            "covers": self.covers,
            "continuity": self.continuity,
            "log": self.log,
            "lines": self.lines,
            "rejected": self.rejected,
            "skewed": self.skewed,
            "bytes": self.size,
            "channels": self.channels,
            "rows": self.rows,
            "unassigned_hosts": self.unassigned_hosts,
        }
        if self.missing:
            data.update(missing=self.missing)
        extra = self._extra()
        if extra:
            data.update(extra=extra)
        if self.parts > 1:
            data.update(part=self.part, parts=self.parts)
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()

    def _extra(self) -> dict[str, Any]:
        """What no sum needs. A reader leaves out what it does not know of it, so that it may grow."""
        counters = {"counters": self.counters.data()} if self.counters else {}
        return {**counters, "region": self.region} if self.region else counters

    @classmethod
    def decode(cls, body: bytes) -> Batch:
        """Read a body strictly. Raises BatchError('invalid', what) for anything that an edge would not have written."""
        try:
            batch = _from_json(read_json(body))
        except BatchError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise BatchError("invalid", f"the body is not a batch ({type(error).__name__}: {error})") from None
        return batch


@lru_cache(maxsize=10_000)
def is_name(value: Any) -> bool:
    """Whether a decoded value can be a channel's name: printable text of 1 to 255 bytes."""
    return isinstance(value, str) and 0 < len(value.encode()) <= 255 and value.isprintable()


def _from_json(data: dict[str, Any]) -> Batch:
    """Check every field of a decoded body, and its sums."""
    optional = {"part", "parts", "missing", "extra"}
    names = {name for name in data if name not in optional}
    wanted = set(_FIELDS)
    if names != wanted or ("part" in data) != ("parts" in data):
        raise BatchError("invalid", f"its fields differ from version 1: {', '.join(sorted(names ^ wanted)) or 'part'}")
    channels = tuple(data["channels"])
    rows: tuple[Row, ...] = tuple(map(tuple, data["rows"]))
    hosts = tuple((host, requests, size) for host, requests, size in data["unassigned_hosts"])
    low, high = data["covers"]
    extra = dict(data.get("extra", {}))
    batch = Batch(
        stream=data["stream"],
        generation=data["generation"],
        seq=data["seq"],
        revision=data["revision"],
        covers=(low, high),
        continuity=data["continuity"],
        log=data["log"],
        rejected=data["rejected"],
        skewed=data["skewed"],
        channels=channels,
        rows=rows,
        unassigned_hosts=hosts,
        part=data.get("part", 0),
        parts=data.get("parts", 1),
        missing=tuple(data["missing"]) if "missing" in data else None,
        counters=read_counters(extra.get("counters")),
        region=extra.get("region", ""),
    )
    for what, fine in _checks(batch):
        if not fine:
            raise BatchError("invalid", what)
    if batch.lines != data["lines"] or batch.size != data["bytes"]:
        raise BatchError("invalid", "its sums do not agree with its rows")
    return batch


def _is_span(value: tuple[Any, ...]) -> bool:
    return len(value) == 2 and all(map(is_time, value)) and value[0] <= value[1]


def _are_rows(rows: Sequence[Row], channels: int) -> bool:
    """Whether all rows are rows of a batch with so many channels. It looks at columns, which is many times as fast."""
    if not rows:
        return True
    if set(map(len, rows)) != {6}:
        return False
    flat = list(chain.from_iterable(rows))
    columns: list[list[Any]] = [flat[column::6] for column in range(6)]
    slots, indexes, requests, sizes, hits, hit_bytes = columns
    if hits.count(None):
        telling = [row for row in rows if row[4] is not None or row[5] is not None]
        if not _are_counts([*slots, *indexes, *requests, *sizes, *chain.from_iterable(telling)]):
            return False
        if telling:
            _slots, _indexes, some_requests, some_sizes, hits, hit_bytes = map(list, zip(*telling))
            if not (all(map(le, hits, some_requests)) and all(map(le, hit_bytes, some_sizes))):
                return False
    elif not (_are_counts(flat) and all(map(le, hits, requests)) and all(map(le, hit_bytes, sizes))):
        return False
    different = set(slots)
    return max(different) < 1 << 32 and max(indexes) < channels and not any(slot % SLOT_SECONDS for slot in different)


def _are_counts(values: Sequence[Any]) -> bool:
    return set(map(type, values)) == {int} and min(values) >= 0 and max(values) < MOST


def _checks(batch: Batch) -> list[tuple[str, bool]]:
    """What can be wrong with a decoded batch, a sentence each, and whether the batch is fine in this."""
    low, high = batch.covers
    names = len(batch.channels)
    return [
        ("its stream is not <edge>/<log name>", isinstance(batch.stream, str) and bool(edge_of(batch.stream))),
        ("its generation is not 16 hex digits", bool(re.fullmatch(_GENERATION, batch.generation))),
        ("seq, revision, rejected or skewed is no count", all(map(is_count, _counts(batch)))),
        ("seq begins with 1", batch.seq >= 1),
        ("its part is outside its parts", batch.part < batch.parts <= 10_000),
        ("its covers are not two times", is_time(high) and (low is None or (is_time(low) and low <= high))),
        ("covers[0] is null in a generation's first batch alone", (low is None) == (batch.seq == 1)),
        ("its continuity is neither ok nor broken", batch.continuity in ("ok", "broken")),
        ("its missing time is not two times", batch.missing is None or _is_span(batch.missing)),
        ("its region has no usable name", batch.region == "" or is_name(batch.region)),
        ("its log is neither ok, absent nor disk_full", batch.log in ("ok", "absent", "disk_full")),
        ("a channel has no usable name", all(map(is_name, batch.channels)) and len(set(batch.channels)) == names),
        ("a row is not a row", _are_rows(batch.rows, names)),
        ("an unassigned host is not one", all(_is_host(*host) for host in batch.unassigned_hosts)),
        ("it names more unassigned hosts than 20", len(batch.unassigned_hosts) <= UNASSIGNED_HOSTS),
    ]


def _counts(batch: Batch) -> tuple[int, ...]:
    return batch.seq, batch.revision, batch.rejected, batch.skewed, batch.part, batch.parts


def _is_host(host: Any, requests: Any, size: Any) -> bool:
    return isinstance(host, str) and len(host.encode()) <= 255 and is_count(requests) and is_count(size)
