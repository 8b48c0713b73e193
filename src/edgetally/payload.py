"""What arrives in a job: from a payload to a batch that may be counted, or the reason why it is not."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from edgetally.batch import RECEIPT_MAX_ASK, Batch, BatchError, Envelope, Key, derive_key, is_count, unseal
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
        return Incoming(payload, envelope.stream, envelope.body, batch).prepare()
    except BatchError as error:
        stream, body = (envelope.stream, envelope.body) if envelope else ("", b"")
        return Incoming(payload, stream, body, refused=error)


class Request(NamedTuple):
    """A request for receipts: of which edge's key, its nonce, and (generation, seq, revision, sha256) of each batch."""

    envelope: Envelope
    nonce: str
    ask: list[tuple[str, int, int, str]]


def open_request(config: AggregatorConfig, payload: bytes) -> Request:
    """Check a request for receipts. Raises BatchError for all that an edge would not have written."""
    envelope = open_envelope(config, payload)
    try:
        request = json.loads(envelope.body)
        ask = [(generation, seq, revision, sha) for generation, seq, revision, sha in request["ask"]]
        nonce, stream = request["nonce"], request["stream"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BatchError("invalid", f"it is no request for receipts ({type(error).__name__}: {error})") from None
    if stream != envelope.stream:
        raise BatchError("foreign", f"the envelope says {envelope.stream}, and the request another stream")
    if not isinstance(nonce, str) or len(ask) > RECEIPT_MAX_ASK or not all(_is_asked(*one) for one in ask):
        raise BatchError("invalid", f"it asks for no batches, or for more than {RECEIPT_MAX_ASK}")
    return Request(envelope, nonce, ask)


def _is_asked(generation: Any, seq: Any, revision: Any, sha256: Any) -> bool:
    return (
        is_count(seq)
        and is_count(revision)
        and isinstance(generation, str)
        and isinstance(sha256, str)
        and bool(re.fullmatch(r"[0-9a-f]{16} [0-9a-f]{64}", f"{generation} {sha256}"))
    )
