"""The envelope of everything that travels: who signed it, and that it is unaltered.

On the wire a payload is `edgetally/1 <stream> <key id> <hmac-sha256, hex>`, a newline, and the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from edgetally.config import NAME, AggregatorConfig
from edgetally.digest import hmac_sha256, same_digest, sha256
from edgetally.errors import EdgetallyError
from edgetally.limits import MAX_BATCH_BYTES
from edgetally.outside import visible
from edgetally.record import NamedTuple

VERSION = 1
NOBODY = "edgetally"  # the edge of a health check's batches

_HEADER = rb"edgetally/([0-9]{1,9}) (\S{1,255}) ([0-9a-f]{8}) ([0-9a-f]{64})\n"


class BatchError(EdgetallyError):
    """A payload that must not be counted. `reason` is one word, as quarantine and receipts carry it."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = visible(detail)
        super().__init__(f"{reason}: {self.detail}")


class Key(NamedTuple):
    """An edge's signing key: the id of the master key that it comes from, and 32 secret bytes."""

    id: str
    secret: bytes


class Envelope(NamedTuple):
    """A payload whose signature was found good."""

    stream: str
    key: Key
    body: bytes


def derive_key(master: str, edge: str) -> Key:
    """The key of one edge. Ansible computes the same with its `hash` filter.

    The inner hash has a fixed length, so that the outer one cannot be extended into another edge's key.
    """
    inner = sha256(edge.encode()).hex()
    return Key(_key_id(master), sha256(f"{master}:{inner}".encode()))


def edge_of(stream: str) -> str:
    """The edge that a stream belongs to, or an empty text where the stream's name is not `<edge>/<log name>`."""
    edge, _, log = stream.partition("/")
    return edge if re.fullmatch(NAME, edge) and re.fullmatch(NAME, log) else ""


def seal(stream: str, key: Key, body: bytes) -> bytes:
    """Put a body into its signed envelope."""
    return f"edgetally/{VERSION} {stream} {key.id} {_mac(stream, key, body)}\n".encode() + body


def unseal(payload: bytes, find_key: Callable[[str, str], Key | None], max_bytes: int = MAX_BATCH_BYTES) -> Envelope:
    """Open a payload; `find_key(edge, key id)` gives the key that must have signed it.

    Raises BatchError with the reason `unsigned`, `version`, `too_large`, `foreign` or `signature`.
    """
    header = re.match(_HEADER, payload)
    if header is None:
        raise BatchError("unsigned", "the payload does not begin with an edgetally header line")
    version, stream, key_id = int(header[1]), header[2].decode("utf-8", "replace"), header[3].decode()
    if version != VERSION:
        raise BatchError(
            "version", f"batch version {version} is not known here: upgrade the aggregator before the edges"
        )
    if len(payload) > max_bytes:
        raise BatchError("too_large", f"{len(payload)} bytes, or more, are more than the {max_bytes} that are read")
    edge = edge_of(stream)
    key = find_key(edge, key_id) if edge else None
    if key is None:
        raise BatchError("foreign", f"stream {stream!r} names no edge or master key known here (key id {key_id})")
    body = payload[header.end() :]
    if not same_digest(_mac(stream, key, body), header[4].decode()):
        raise BatchError("signature", f"the signature does not fit: not from {edge}, or altered on its way")
    return Envelope(stream, key, body)


def content_hash(body: bytes) -> str:
    """The sha256 of a body alone, hex: the ledger and the receipts know a body by it."""
    return sha256(body).hex()


def find_key(config: AggregatorConfig, edge: str, key_id: str) -> Key | None:
    """An edge's key of this id, from any of the master keys. Raises BatchError for an edge that may not send."""
    if config.edges and edge not in config.edges and edge != NOBODY:
        raise BatchError(
            "foreign",
            f"edge '{edge}' is not in the inventory that the aggregator was rolled out from: roll it out again",
        )
    keys = (derive_key(master, edge) for master in config.master_keys)
    return next((key for key in keys if key.id == key_id), None)


def open_envelope(config: AggregatorConfig, payload: bytes, max_bytes: int = 0) -> Envelope:
    """Check a payload's envelope; it may have max_batch_bytes, or max_bytes. Raises BatchError."""
    return unseal(payload, lambda edge, key_id: find_key(config, edge, key_id), max_bytes or config.max_batch_bytes)


@lru_cache(maxsize=16)
def _key_id(master: str) -> str:
    return sha256(f"key id:{master}".encode()).hex()[:8]


def _mac(stream: str, key: Key, body: bytes) -> str:
    return hmac_sha256(key.secret, f"{stream} {key.id}\n".encode() + body).hex()
