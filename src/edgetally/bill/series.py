"""A channel's series: the bytes of every slot of a period, and counts a day; how a snapshot keeps them.

What a snapshot keeps is canonical JSON, compressed as SQL's UNCOMPRESS() reads it: the length in four bytes, and zlib.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from edgetally.errors import EdgetallyError


class Counts(NamedTuple):
    """Sums of a day, or of all. cache_requests, cache_bytes: of logs that tell hits."""

    requests: int = 0
    bytes: int = 0
    hits: int = 0
    hit_bytes: int = 0
    cache_requests: int = 0
    cache_bytes: int = 0

    @property
    def hit_ratio(self) -> float | None:
        """Which share of the requests was served from the cache, to six decimals; None where no log tells."""
        return _ratio(self.hits, self.cache_requests)

    @property
    def byte_hit_ratio(self) -> float | None:
        """Which share of the bytes was."""
        return _ratio(self.hit_bytes, self.cache_bytes)


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


@dataclass(frozen=True)
class Series:
    """The bytes of every slot, and the counts of every local day, of one channel in one period."""

    sizes: list[int]
    days: list[Counts]

    def pack(self) -> bytes:
        """The series as a snapshot keeps it, not compressed yet."""
        return canonical({"bytes": self.sizes, "days": self.days})

    @classmethod
    def unpack(cls, text: bytes) -> Series:
        """Read what `pack` wrote."""
        data = json.loads(text)
        return cls(data["bytes"], [Counts(*day) for day in data["days"]])


def canonical(data: Any) -> bytes:
    """JSON with sorted keys, without spaces, in UTF-8, and a newline at its end: equal data gives equal bytes."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def compress(text: bytes) -> bytes:
    """Compress as SQL's COMPRESS() does."""
    return len(text).to_bytes(4, "little") + zlib.compress(text)


def uncompress(data: bytes, sha256: bytes, what: str) -> bytes:
    """Undo `compress`, and check the text against its hash. Raises EdgetallyError, of `what`, where it differs."""
    try:
        text = zlib.decompress(data[4:])
    except zlib.error:
        text = b""
    if hashlib.sha256(text).digest() != sha256:
        raise EdgetallyError(
            f"{what} is not what was closed (its sha256 differs): somebody changed the database; restore the tables "
            "period and period_series from a backup"
        )
    return text
