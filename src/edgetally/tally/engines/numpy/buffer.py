"""The bytes that the vector engine works on: read in pieces that fit a core's cache, and looked through at once."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from edgetally.tally.engines.numpy.lanes import Bools, Ints, Words, true

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Halves = np.ndarray[Any, np.dtype[np.uint32]]

BEFORE = 64  # bytes in front of the first place: what stands before a place is looked at, too
BEHIND = 64 << 10

CONTROLS = 32  # bytes below it are control characters

_PIECE = 256 << 10
_SPACE = np.uint8(ord(" "))


class Buffer:
    """Bytes that are read again and again, with views of them: `bytes`, and the words from and before each place.

    filled: how many were read. While they are, it is noted where control characters and anchors are; of several spaces
    side by side only the first is an anchor, if they are `spaced`.
    """

    def __init__(self, size: int, anchor: int, spaced: bool) -> None:
        self.raw = bytearray(b"\n" * BEFORE + bytes(size + BEHIND))
        self.room, self.filled = size - 1, 0
        self._free = memoryview(self.raw)[BEFORE : BEFORE + size]
        self.bytes: Bytes = np.frombuffer(self.raw, np.uint8)[BEFORE:]
        self.words: Words = self.at("<u8")
        self.before: Words = self.at("<u8", -8)
        self.halves: Halves = self.at("<u4")
        self._anchor, self._spaced = anchor, spaced
        self._marks, self._spaces = np.zeros(_PIECE, np.bool_), np.zeros(_PIECE + 1, np.bool_)
        self._masked = np.zeros(_PIECE, np.uint8)
        self._hits: Ints = np.empty(_PIECE, np.int64)
        self._noted = 0

    def at(self, kind: str, shift: int = 0) -> Any:
        """What stands at each place, or so many bytes behind it, as a type that numpy knows."""
        start = BEFORE + shift
        return np.ndarray((len(self.raw) - start - np.dtype(kind).itemsize + 1,), kind, self.raw, start, (1,))

    def fill(self, stream: BinaryIO, limit: int) -> int:
        """Read until so much is there, or nothing more to read; return how much was read."""
        start = self.filled
        while self.filled < limit:
            got = stream.readinto(self._free[self.filled : min(self.filled + _PIECE, limit)])  # type: ignore[attr-defined]
            if not got:
                break
            self._note(got)
        return self.filled - start

    def end_line(self) -> None:
        """End the last line, where the file does not."""
        self._free[self.filled] = ord("\n")
        self._note(1)

    def _note(self, got: int) -> None:
        """Note what is in bytes that were just read."""
        start = self.filled
        self.filled += got
        found = true(self._marked(start, got))
        end = self._noted + found.size
        if end > self._hits.size:
            self._hits = np.concatenate((self._hits, np.empty(end, np.int64)))
        np.add(found, start, out=self._hits[self._noted : end])
        self._noted = end

    def _marked(self, start: int, got: int) -> Bools:
        """Which bytes are control characters or anchors, in as few passes as it takes: they are what reading costs."""
        data, marks, anchor = self.bytes[start : start + got], self._marks[:got], self._anchor
        if self._spaced:
            spaces = self._spaces[: got + 1]
            np.equal(np.frombuffer(self.raw, np.uint8, got + 1, BEFORE + start - 1), _SPACE, out=spaces)
            np.less_equal(data, _SPACE, out=marks)
            np.greater(marks, np.logical_and(spaces[1:], spaces[:-1], out=self._masked[:got].view(np.bool_)), out=marks)
        elif anchor ^ _SPACE < CONTROLS:  # this swaps the anchor with the space, and control characters with others
            masked = np.bitwise_xor(data, np.uint8(anchor ^ _SPACE), out=self._masked[:got])
            np.less_equal(masked, _SPACE, out=marks)
        else:
            np.less(data, _SPACE, out=marks)
            np.logical_or(marks, np.equal(data, np.uint8(anchor), out=self._spaces[:got]), out=marks)
        return marks

    def noted(self, size: int) -> Ints:
        """Where control characters and anchors are among the first bytes. It is overwritten when more is read."""
        return self._hits[: np.searchsorted(self._hits[: self._noted], size)]

    def drop(self, size: int) -> None:
        """Forget the first bytes; the others are then the first."""
        rest = self._hits[self.noted(size).size : self._noted] - size
        self._hits[: rest.size], self._noted = rest, rest.size
        self._free[: self.filled - size] = self.text(size, self.filled)
        self.filled -= size

    def text(self, start: int, end: int) -> bytes:
        """What stands between two places."""
        return bytes(self.raw[BEFORE + start : BEFORE + end])

    def end_of_lines(self) -> int:
        """How many of the bytes are whole lines."""
        return max(self.raw.rfind(b"\n", BEFORE, BEFORE + self.filled) + 1 - BEFORE, 0)

    def end_of_line(self) -> int:
        """How many of the bytes are the first line; 0 where it does not end."""
        return max(self.raw.find(b"\n", BEFORE, BEFORE + self.filled) + 1 - BEFORE, 0)

    def holds(self, byte: bytes, size: int) -> bool:
        """Whether a byte is among the first ones."""
        return self.raw.find(byte, BEFORE, BEFORE + size) >= 0

    def places(self, byte: bytes, size: int, most: int) -> list[int] | None:
        """Where a byte is among the first ones; None where it is in more places than so many."""
        found: list[int] = []
        place = self.raw.find(byte, BEFORE, BEFORE + size)
        while place >= 0:
            if len(found) == most:
                return None
            found.append(place - BEFORE)
            place = self.raw.find(byte, place + 1, BEFORE + size)
        return found
