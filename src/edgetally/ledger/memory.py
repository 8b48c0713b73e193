"""What the writer knows of the ledger from its own transactions, so that it need not ask again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

BOUND_EVERY = 100  # so many payloads may be refused until the quarantine is bounded again


@dataclass
class Newest:
    """A stream's batches: until when they reach, epoch seconds; the highest number of each generation looked at."""

    reach: float = float("-inf")
    top: dict[str, int] = field(default_factory=dict)


@dataclass
class LedgerMemory:
    """What our transactions have learnt of the ledger.

    It is true as long as all of them were committed and nobody else has written, which their numbers tell.
    ids: name to id, by table. streams: those whose batches were looked at, by stream_id. refused: the payloads
    that were put aside, also in transactions that came to nothing. regions: what each edge said last of where it is.
    """

    ids: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    streams: dict[int, Newest] = field(default_factory=dict)
    refused: int = 0
    regions: dict[str, str] = field(default_factory=dict)
    _commit_no: int = 0

    def follow(self, commit_no: int) -> None:
        """A transaction begins: forget all where somebody else's came between it and our last one."""
        if commit_no != self._commit_no + 1:
            self.clear()
        self._commit_no = commit_no

    def clear(self) -> None:
        """Forget all."""
        self.ids.clear()
        self.streams.clear()
        self.regions.clear()
        self._commit_no = 0
