"""The memory that the kernel works in: it lives as long as this object, and does not move while the kernel runs."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from ctypes import Array, addressof, memset, sizeof

from edgetally.tally.engines.kernel.structures import LENT, NONE, SLACK, Context, Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How much of each there is. What is not used takes no memory: the system gives it when it is written to.
SIZES = {"table": 1 << 16, "entries": 1 << 14, "arena": 1 << 20, "cells": 1 << 15}
SIZES.update(words=128, minutes=1024, left=4096, steps=1024)
_GROWING = {"nodes": 64, "groups": 64, "heads": 64}  # these grow with the rules of the hosts that are seen


class Memory:
    """A context and what it points to: by name in `arrays`, most of it as bytes in `raw`. room: bytes for lines."""

    def __init__(self, room: int, ops: Sequence[Op]) -> None:
        self.context = Context()
        self.arrays: dict[str, Array[Any]] = {}
        self.text = mmap.mmap(-1, room + SLACK)
        self._lend("text", (LENT["text"] * len(self.text)).from_buffer(self.text), len(self.text))
        self._lend("ops", (Op * len(ops))(*ops), len(ops))
        self.raw: dict[str, mmap.mmap] = {}
        for name, count in (*SIZES.items(), *_GROWING.items()):
            shape = LENT[name] * count
            self.raw[name] = mmap.mmap(-1, sizeof(shape))
            self._lend(name, shape.from_buffer(self.raw[name]), 0 if name in _GROWING else count)
        for word in self.arrays["words"]:
            word.len = NONE

    def append(self, name: str, data: bytes) -> int:
        """Lend some more of what grows. Returns the number of its first element."""
        size, used = sizeof(LENT[name]), self.count(name)
        count = used + len(data) // size
        raw = self.raw[name]
        if count * size > len(raw):
            self.raw[name] = mmap.mmap(-1, max(2 * len(raw), count * size))
            self.raw[name][: len(raw)] = raw[:]
        self.raw[name][used * size : count * size] = data
        self._lend(name, (LENT[name] * (len(self.raw[name]) // size)).from_buffer(self.raw[name]), count)
        return used

    def count(self, name: str) -> int:
        """How many elements of something are lent."""
        return int(getattr(self.context, f"{name}_len"))

    def view(self, name: str, count: int) -> memoryview:
        """The bytes of the first elements of an array."""
        array = self.arrays[name]
        return memoryview(array).cast("B")[: count * sizeof(array._type_)]

    def forget(self) -> None:
        """Forget all entries and their sums."""
        state = self.context.state
        state.entries = state.arena = state.cells = 0
        table, heads = self.arrays["table"], self.arrays["heads"]
        memset(addressof(table), 0, sizeof(table))
        memset(addressof(heads), 0xFF, sizeof(heads))

    def _lend(self, name: str, array: Array[Any], count: int) -> None:
        """Lend the first elements of an array."""
        self.arrays[name] = array
        setattr(self.context, name, addressof(array))
        setattr(self.context, f"{name}_len", count)
