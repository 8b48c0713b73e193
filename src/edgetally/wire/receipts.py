"""Receipts, both ends: how an edge asks what became of its batches, and how the aggregator answers.

A request is `{"stream", "nonce", "ask": [[generation, seq, revision, sha256], …], "machine"}`, its answer `{"ledger",
"time", "nonce", "state": […]}` with a state for each batch asked for. Both are sealed as batches are, with the key of
the edge. docs/reference/batch.md describes the states.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from edgetally.limits import RECEIPT_BYTES, RECEIPT_MAX_ASK
from edgetally.record import NamedTuple
from edgetally.wire.bounded import is_count, read_json
from edgetally.wire.envelope import BatchError, Envelope, Key, open_envelope, seal, unseal
from edgetally.wire.machine import Machine, read_machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECEIPT_FUNCTION = "edgetally.receipt"

CONFIRMED = ("committed", "superseded")  # the ledger has it: the edge may let it go
UNKNOWN = "unknown"  # the ledger does not have it, or not yet
UNDECIDED = ""  # no answer: nothing is moved

Asked = tuple[str, int, int, str]  # generation, seq, revision and sha256 of one batch


def is_refused(state: str) -> bool:
    """Whether a state says that the ledger will not count the batch as it is."""
    return state == "conflict" or state.startswith("quarantined:")


def state_of_refusal(reason: str | None) -> str:
    """The state of a batch that the ledger has not. reason: why it lies in the quarantine, None where it does not."""
    if reason is None:
        return UNKNOWN
    return "conflict" if reason == "conflict" else f"quarantined:{reason}"


# --- the edge's end


class AnswerError(EdgetallyError):
    """An answer that decides nothing, as it is not the aggregator's to this request."""


class Receipts(NamedTuple):
    """A verified answer: the ledger's id, its clock (epoch s; None from an older aggregator), each batch's state."""

    ledger: str
    time: float | None
    states: list[str]


def seal_request(stream: str, key: Key, nonce: str, asked: Sequence[Asked], machine: Machine) -> bytes:
    """A request for receipts of a stream's batches, at most RECEIPT_MAX_ASK, from a machine."""
    request = {"stream": stream, "nonce": nonce, "ask": list(map(list, asked)), "machine": machine}
    return seal(stream, key, json.dumps(request).encode())


def open_answer(answer: bytes, stream: str, key: Key, nonce: str, count: int) -> Receipts:
    """Check the answer to a request for `count` batches. Raises AnswerError, with why it cannot be trusted."""
    try:
        if not answer:
            raise ValueError("it is empty: the aggregator does not know this edge, or not its key")
        envelope = unseal(answer, lambda _edge, key_id: key if key_id == key.id else None, RECEIPT_BYTES)
        data = read_json(envelope.body)
        if envelope.stream != stream or data["nonce"] != nonce:
            raise ValueError("it answers another request")
        states, ledger, time = data["state"], str(data["ledger"]), data.get("time")
        if not isinstance(states, list) or len(states) != count:
            raise ValueError("it does not answer each question")
    except (BatchError, ValueError, TypeError, LookupError) as error:
        raise AnswerError(str(error)) from None
    return Receipts(ledger, time if isinstance(time, (int, float)) else None, list(map(str, states)))


# --- the aggregator's end


class Request(NamedTuple):
    """A request for receipts: of which edge's key, its nonce, the batches that it asks for, and the machine that asks.

    machine: None from an older edge.
    """

    envelope: Envelope
    nonce: str
    ask: list[Asked]
    machine: Machine | None = None


def open_request(config: AggregatorConfig, payload: bytes) -> Request:
    """Check a request for receipts. Raises BatchError for all that an edge would not have written."""
    envelope = open_envelope(config, payload, RECEIPT_BYTES)
    try:
        request = read_json(envelope.body)
        ask = [(generation, seq, revision, sha) for generation, seq, revision, sha in request["ask"]]
        nonce, stream = request["nonce"], request["stream"]
    except (ValueError, TypeError, KeyError) as error:
        raise BatchError("invalid", f"it is no request for receipts ({type(error).__name__}: {error})") from None
    if stream != envelope.stream:
        raise BatchError("foreign", f"the envelope says {envelope.stream}, and the request another stream")
    if not isinstance(nonce, str) or len(ask) > RECEIPT_MAX_ASK or not all(_is_asked(*batch) for batch in ask):
        raise BatchError("invalid", f"it asks for no batches, or for more than {RECEIPT_MAX_ASK}")
    return Request(envelope, nonce, ask, read_machine(request.get("machine")))


def seal_answer(request: Request, ledger: str, now: float, states: Sequence[str]) -> bytes:
    """The answer to a request, signed with the key that signed it. now: the database's clock, epoch s."""
    stream, key, _body = request.envelope
    answer = {"ledger": ledger, "time": now, "nonce": request.nonce, "state": list(states)}
    return seal(stream, key, json.dumps(answer).encode())


def _is_asked(generation: Any, seq: Any, revision: Any, sha256: Any) -> bool:
    return (
        is_count(seq)
        and is_count(revision)
        and isinstance(generation, str)
        and isinstance(sha256, str)
        and bool(re.fullmatch(r"[0-9a-f]{16} [0-9a-f]{64}", f"{generation} {sha256}"))
    )
