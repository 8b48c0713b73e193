"""Values that come again and again, such as hosts: each distinct one is looked at once, and then known by its bytes."""

from __future__ import annotations

import numpy as np

from edgetally.tally.engines.numpy.buffer import Buffer
from edgetally.tally.engines.numpy.lanes import Bools, Ints, Words, true

LONGEST = 63  # bytes of a value that can be learned

_BITS = 20
_CAPACITY = (1 << 16) - 1
_WIDTHS = (1, 4, 8)  # words that are fetched of a value, which is shorter than these
_FEW = 4  # a narrower width is right where no more than one value in so many is longer
_MULTIPLIERS = [np.uint64(0x9E3779B97F4A7C15 * (2 * number + 3) & (1 << 64) - 1 | 1) for number in range(9)]
_FOLD = np.uint64(29)


def _masks(words: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """What keeps the first n bytes of so many words, for each n."""
    texts = [bytes([255] * kept + [0] * (8 * words - kept)) for kept in range(8 * words)]
    return np.frombuffer(b"".join(texts), f"V{8 * words}")


_MASKS = {words: _masks(words) for words in _WIDTHS}


class Interner:
    """Numbers for byte strings that stand in a buffer.

    A hash only says where to look; the bytes are compared, with zeros behind them: a value has none.
    """

    def __init__(self) -> None:
        self._table = np.zeros(1 << _BITS, np.uint16)
        self._keys = {words: np.zeros(_CAPACITY + 1, f"V{8 * words}") for words in _WIDTHS}
        self._number = np.full(_CAPACITY + 1, -1, np.int64)
        self._entries: dict[bytes, int] = {}
        for keys in self._keys.values():
            keys.view(np.uint64)[0] = ~np.uint64(0)  # no value is like it, so an empty place has none

    @property
    def full(self) -> bool:
        """Whether nothing more can be learned."""
        return len(self._entries) >= _CAPACITY

    def known(self, value: bytes) -> int | None:
        """The number of a value, if it was learned."""
        entry = self._entries.get(value)
        return None if entry is None else int(self._number[entry])

    def find(self, buffer: Buffer, left: Ints, right: Ints) -> tuple[Ints, Ints]:
        """The numbers of the values from left to right, -1 for those that are not known; and where to learn them."""
        return self._find(buffer, left, right - left, 0)

    def _find(self, buffer: Buffer, left: Ints, length: Ints, width: int) -> tuple[Ints, Ints]:
        """The same, with at least the width of that number."""
        long = true(length >= 8 * _WIDTHS[width])
        while _WIDTHS[width] < _WIDTHS[-1] and long.size * _FEW > length.size:
            width += 1
            long = true(length >= 8 * _WIDTHS[width])
        words = _WIDTHS[width]
        keys = buffer.at(f"V{8 * words}")[left].view(np.uint64)
        keys &= _MASKS[words].take(np.minimum(length, 8 * words - 1) if long.size else length).view(np.uint64)
        numbers, places = self._look_up(keys, words)
        if long.size and words == _WIDTHS[-1]:
            numbers[long] = -1
        elif long.size:
            numbers[long], places[long] = self._find(buffer, left[long], length[long], width + 1)
        return numbers, places

    def _look_up(self, keys: Words, words: int) -> tuple[Ints, Ints]:
        """The numbers of values given as words, and their places in the table."""
        mixed = keys[::words] * _MULTIPLIERS[0]
        for number in range(1, words):
            mixed += keys[number::words] * _MULTIPLIERS[number]
        mixed ^= mixed >> _FOLD
        mixed *= _MULTIPLIERS[-1]
        mixed >>= np.uint64(64 - _BITS)
        places = mixed.view(np.int64)
        entries = self._table.take(places)
        same: Bools = self._keys[words].take(entries).view(np.uint64) == keys
        if words > 1:
            same = same.view(f"u{words}") == int.from_bytes(bytes([1] * words), "little")
        numbers = self._number.take(entries)
        other = true(~same)
        if other.size:
            numbers[other] = -1
        return numbers, places

    def learn(self, value: bytes, number: int, place: int) -> None:
        """Know a value from now on. One with the same hash loses its place to it, and is then found by `known`."""
        entry = self._entries.get(value)
        if entry is None:
            if self.full:
                return
            entry = self._entries[value] = len(self._entries) + 1
            for words, keys in self._keys.items():
                keys[entry] = np.void(value[: 8 * words].ljust(8 * words, b"\0"))
            self._number[entry] = number
        self._table[place] = entry
