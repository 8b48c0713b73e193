"""Opens and checks what arrives in a job: a payload becomes a batch that may be counted, or a reason why it is not."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from edgetally.config import AggregatorConfig
from edgetally.limits import MAX_CHANNELS, SLOT_SECONDS
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import BatchError, Envelope, content_hash, open_envelope


def open_batch(config: AggregatorConfig, payload: bytes) -> Incoming:
    """Check a payload's envelope and body; what is wrong with it travels on as its refusal."""
    envelope: Envelope | None = None
    try:
        envelope = open_envelope(config, payload)
        batch = Batch.decode(envelope.body)
        if batch.stream != envelope.stream:
            raise BatchError("foreign", f"the envelope says {envelope.stream}, and the body {batch.stream}")
        _check_plausible(config, batch)
        return Incoming(payload, envelope.stream, envelope.body, batch).prepare()
    except BatchError as error:
        stream, body = (envelope.stream, envelope.body) if envelope else ("", b"")
        refused = BatchError(error.reason, error.detail)  # the error itself holds what was built until it was raised
        return Incoming(payload, stream, body, refused=refused)


def _check_plausible(config: AggregatorConfig, batch: Batch) -> None:
    """Raise BatchError where no edge can have sent so much, or have so many channels: others' sums must stay sound."""
    if batch.largest > config.max_slot_bytes:
        raise BatchError(
            "implausible", f"{batch.largest} in five minutes is more than max_slot_bytes = {config.max_slot_bytes}"
        )
    if batch.counters and batch.counters.most > config.max_slot_bytes * (1 + batch.counters.seconds // SLOT_SECONDS):
        raise BatchError(
            "implausible", f"{batch.counters.most} beside its logs in {batch.counters.seconds} s are too many"
        )
    if len(batch.channels) > MAX_CHANNELS:
        raise BatchError("implausible", f"it names {len(batch.channels)} channels, more than {MAX_CHANNELS}")


@dataclass(frozen=True)
class Incoming:
    """A payload on its way into the ledger: a batch to count, or the reason why it is not counted.

    stream and body are known only where the signature was good. sha256: the body's content hash. packed: the body as
    the database keeps it.
    """

    payload: bytes
    stream: str = ""
    body: bytes = b""
    batch: Batch | None = None
    refused: BatchError | None = None

    @cached_property
    def sha256(self) -> bytes:
        return bytes.fromhex(content_hash(self.body))

    @cached_property
    def packed(self) -> bytes:
        return _pack(self.body)

    def prepare(self) -> Incoming:
        """Compute hash and packed body now, in the thread that checks: the one that writes has less time."""
        _ready = self.sha256, self.packed
        return self


class Admitted(NamedTuple):
    """A batch that may be counted. place: its index in the group."""

    place: int
    incoming: Incoming
    batch: Batch
    stream_id: int

    @property
    def number(self) -> tuple[int, bytes, int]:
        """The key that all revisions and parts of a batch share: (stream_id, generation, seq)."""
        return self.stream_id, bytes.fromhex(self.batch.generation), self.batch.seq

    @property
    def begin(self) -> float:
        """When the time that it covers begins, epoch seconds."""
        low, high = self.batch.covers
        return high if low is None else low

    @property
    def first_slot(self) -> int:
        """The first slot of the time that it covers."""
        low, _high = self.batch.covers
        begin = min((row[0] for row in self.batch.rows), default=self.begin) if low is None else low
        return int(begin) // SLOT_SECONDS * SLOT_SECONDS


def _pack(body: bytes) -> bytes:
    """Compress (zlib). A small body in a small window: the usual one takes three times as long to set up as to fill."""
    window, memory = (12, 5) if len(body) <= 4096 else (15, 8)
    packer = zlib.compressobj(1, zlib.DEFLATED, window, memory)
    return packer.compress(body) + packer.flush()
