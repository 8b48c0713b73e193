"""What arrives in a job: from a payload to a batch that may be counted, or the reason why it is not."""

from __future__ import annotations

from edgetally.batch import Batch, BatchError, Envelope, Key, derive_key, unseal
from edgetally.config import AggregatorConfig
from edgetally.transaction import Incoming


def find_key(config: AggregatorConfig, edge: str, key_id: str) -> Key | None:
    """An edge's key of this id, from any of the master keys."""
    keys = (derive_key(master, edge) for master in config.master_keys)
    return next((key for key in keys if key.id == key_id), None)


def open_envelope(config: AggregatorConfig, payload: bytes) -> Envelope:
    """Check a payload's envelope. Raises BatchError."""
    return unseal(payload, lambda edge, key_id: find_key(config, edge, key_id), config.max_batch_bytes)


def open_batch(config: AggregatorConfig, payload: bytes) -> Incoming:
    """Check a payload's envelope and body; what is wrong with it travels on as its refusal."""
    envelope: Envelope | None = None
    try:
        envelope = open_envelope(config, payload)
        batch = Batch.decode(envelope.body)
        if batch.stream != envelope.stream:
            raise BatchError("foreign", f"the envelope says {envelope.stream}, and the body {batch.stream}")
        return Incoming(payload, envelope.stream, envelope.body, batch)
    except BatchError as error:
        stream, body = (envelope.stream, envelope.body) if envelope else ("", b"")
        return Incoming(payload, stream, body, refused=error)
