"""Bounds what a peer can make a connection keep: of a packet that is too long, only its beginning is read.

A packet of gearman's binary protocol is a header of 12 bytes (magic, type, length of the rest; big-endian), and the
rest.
"""

from __future__ import annotations

HEADER_BYTES = 12


class NotBinaryError(Exception):
    """What was read does not begin as a packet does."""


class Cutter:
    """Passes a stream of packets on as it is, but for the end of those whose rest is longer than limit bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._head = b""  # the beginning of a header that is not whole yet
        self._keep = self._drop = 0  # bytes of the packet in hand that are still to come

    def pass_on(self, data: bytes) -> bytes:
        """What is left of the next bytes of the stream."""
        if self._keep >= len(data):  # the usual case inside of a large packet
            self._keep -= len(data)
            return data
        parts = []
        at = 0
        while at < len(data):
            kept = min(self._keep, len(data) - at)
            parts.append(data[at : at + kept])
            dropped = min(self._drop, len(data) - at - kept)
            at += kept + dropped
            self._keep -= kept
            self._drop -= dropped
            if at < len(data):
                at += self._begin(data[at : at + HEADER_BYTES - len(self._head)], parts)
        return b"".join(parts)

    def _begin(self, piece: bytes, parts: list[bytes]) -> int:
        """Take a piece of the next packet's header; once that is whole, pass it on with the length that is kept."""
        self._head += piece
        if self._head[0]:
            raise NotBinaryError
        if len(self._head) == HEADER_BYTES:
            length = int.from_bytes(self._head[8:], "big")
            self._keep = min(length, self.limit)
            self._drop = length - self._keep
            parts.append(self._head[:8] + self._keep.to_bytes(4, "big"))
            self._head = b""
        return len(piece)
