"""The bytes that the vector engine works on: read in pieces that fit a core's cache, and looked through at once."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads cost more to start than all of this takes

from typing import Any, BinaryIO

import numpy as np

from edgetally.lanes import Ints, Words

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

BEFORE = 8  # bytes in front of the first place: the eight bytes before any place are looked at
BEHIND = 64 << 10

CONTROLS = 32  # bytes below it are control characters

_PIECE = 256 << 10


class Buffer:
    """Bytes that are read again and again, with views of them: `bytes`, and the words from and before each place.

    filled: how many were read. While they are, it is noted where control characters and anchors are; of several spaces
    side by side only the first is an anchor, if they are `spaced`.
    """

    def __init__(self, size: int, anchor: int, spaced: bool) -> None:
        self.raw = bytearray(b"\n" * BEFORE + bytes(size + BEHIND))
        self.room, self.filled = size - 1, 0
        self._free = memoryview(self.raw)[BEFORE : BEFORE + size]
        count = len(self.raw) - 7
        self.bytes: Bytes = np.frombuffer(self.raw, np.uint8)[BEFORE:]
        self.before: Words = np.ndarray((count,), "<u8", self.raw, 0, (1,))
        self.words: Words = self.before[BEFORE:]
        self._anchor, self._spaced = anchor, spaced
        self._marks = np.zeros(_PIECE + 8, np.bool_)
        self._controls: list[Ints] = []
        self._anchors: list[Ints] = []

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
        start, end = self.filled, self.filled + got
        self.filled = end
        # Controls are rare: mostly words have none at all, and of booleans the search is many times faster
        marks = self._marks[: got + 7 & ~7]
        marks[got:] = False
        np.less(self.bytes[start:end], CONTROLS, out=marks[:got])
        hit = np.flatnonzero(marks.view(np.uint64) != 0)
        inside = np.flatnonzero(marks.reshape(-1, 8)[hit])
        self._controls.append(hit[inside >> 3] * 8 + ((inside & 7) + start))
        if self._spaced:
            marks = self._marks[: got + 1]
            np.equal(np.frombuffer(self.raw, np.uint8, got + 1, BEFORE + start - 1), self._anchor, out=marks)
            places = np.flatnonzero(marks[1:] > marks[:-1])
        else:
            marks = self._marks[:got]
            np.equal(self.bytes[start:end], self._anchor, out=marks)
            places = np.flatnonzero(marks)
        self._anchors.append(places + start if start else places)

    def noted(self, size: int) -> tuple[Ints, Ints]:
        """Where controls and anchors are among the first bytes."""
        controls, anchors = (np.concatenate(parts) for parts in (self._controls, self._anchors))
        first, second = np.searchsorted(controls, size), np.searchsorted(anchors, size)
        self._controls, self._anchors = [controls[first:]], [anchors[second:]]
        return controls[:first], anchors[:second]

    def drop(self, size: int) -> None:
        """Forget the first bytes; the others are then the first."""
        self.noted(size)
        self._free[: self.filled - size] = self.text(size, self.filled)
        self.filled -= size
        self._controls = [part - size for part in self._controls]
        self._anchors = [part - size for part in self._anchors]

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
