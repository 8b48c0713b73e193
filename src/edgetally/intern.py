"""Values that come again and again, such as hosts: each distinct one is looked at once, and then known by its bytes."""

from __future__ import annotations

import numpy as np

from edgetally.buffer import Buffer
from edgetally.lanes import Bools, Ints, Words, kept

LONGEST = 64  # bytes of a value that can be learned

_BITS = 20
_CAPACITY = 1 << 16
_MIDDLE = LONGEST // 8 - 2
_MULTIPLIERS = [np.uint64(0x9E3779B97F4A7C15 * (2 * number + 3) & (1 << 64) - 1 | 1) for number in range(_MIDDLE + 4)]


class Interner:
    """Numbers for byte strings that stand in a buffer.

    A hash only says where to look; the bytes are compared, as words: the first, the last, and those between.
    """

    def __init__(self) -> None:
        self._table = np.zeros(1 << _BITS, np.int32)
        self._length = np.full(_CAPACITY, -1, np.int64)
        self._first = np.zeros(_CAPACITY, np.uint64)
        self._last = np.zeros(_CAPACITY, np.uint64)
        self._middle: list[Words] = [np.zeros(_CAPACITY, np.uint64) for _ in range(_MIDDLE)]
        self._number = np.full(_CAPACITY, -1, np.int64)
        self._entries: dict[bytes, int] = {}

    @property
    def full(self) -> bool:
        """Whether nothing more can be learned."""
        return len(self._entries) >= _CAPACITY - 1

    def known(self, value: bytes) -> int | None:
        """The number of a value, if it was learned."""
        entry = self._entries.get(value)
        return None if entry is None else int(self._number[entry])

    def find(self, buffer: Buffer, left: Ints, right: Ints) -> tuple[Ints, Ints]:
        """The numbers of the values from left to right, -1 for those that are not known; and where to learn them."""
        words = buffer.words
        length = right - left
        first = kept(words[left], length)
        last = np.where(length >= 8, buffer.before[right], np.uint64(0))
        mixed = first * _MULTIPLIERS[0] + last * _MULTIPLIERS[1] + length.astype(np.uint64) * _MULTIPLIERS[2]
        middles: list[tuple[Ints, Words]] = []
        rest = np.flatnonzero(length > 16)
        for number in range(_MIDDLE):
            if not rest.size:
                break
            middle = words[left[rest] + 8 * (number + 1)]
            mixed[rest] += middle * _MULTIPLIERS[number + 3]
            middles.append((rest, middle))
            rest = rest[length[rest] > 8 * (number + 3)]
        place = (((mixed ^ (mixed >> np.uint64(29))) * _MULTIPLIERS[-1]) >> np.uint64(64 - _BITS)).view(np.int64)
        entry = self._table[place]
        same: Bools = (self._length[entry] == length) & (self._first[entry] == first) & (self._last[entry] == last)
        for number, (rows, middle) in enumerate(middles):
            same[rows] &= self._middle[number][entry[rows]] == middle
        return np.where(same, self._number[entry], -1), place

    def learn(self, value: bytes, number: int, place: int) -> None:
        """Know a value from now on. One with the same hash loses its place to it, and is then found by `known`."""
        entry = self._entries.get(value)
        if entry is None:
            if self.full:
                return
            entry = self._entries[value] = len(self._entries) + 1
            self._length[entry] = len(value)
            self._first[entry] = int.from_bytes(value[:8], "little")
            self._last[entry] = int.from_bytes(value[-8:], "little") if len(value) >= 8 else 0
            for number_, start in enumerate(range(8, len(value) - 8, 8)):
                self._middle[number_][entry] = int.from_bytes(value[start : start + 8], "little")
            self._number[entry] = number
        self._table[place] = entry
