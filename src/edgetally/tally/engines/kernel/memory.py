"""The memory that the kernel works in: it lives as long as this object, and does not move while the kernel runs."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from ctypes import Array, addressof, memset, sizeof
from typing import Any

from edgetally.tally.engines.kernel.structures import LENT, NONE, SLACK, Context, Op

# How much of each there is. What is not used takes no memory: the system gives it when it is written to.
SIZES = {"table": 1 << 16, "entries": 1 << 14, "arena": 1 << 20, "cells": 1 << 15}
SIZES.update(words=128, minutes=1024, left=4096, steps=1024)


class Memory:
    """A context and what it points to: by name in `arrays`, most of it as bytes in `raw`. room: bytes for lines."""

    def __init__(self, room: int, ops: Sequence[Op]) -> None:
        self.context = Context()
        self.arrays: dict[str, Array[Any]] = {}
        self.text = mmap.mmap(-1, room + SLACK)
        self._lend("text", (LENT["text"] * len(self.text)).from_buffer(self.text))
        self._lend("ops", (Op * len(ops))(*ops))
        self.raw: dict[str, mmap.mmap] = {}
        for name, count in SIZES.items():
            shape = LENT[name] * count
            self.raw[name] = mmap.mmap(-1, sizeof(shape))
            self._lend(name, shape.from_buffer(self.raw[name]))
        self.set_rules([], b"")
        for word in self.arrays["words"]:
            word.len = NONE

    def set_rules(self, nodes: Sequence[Any], pool: bytes) -> None:
        """Lend the tree of prefixes."""
        text = pool + bytes(SLACK)
        self._lend("pool", (LENT["pool"] * len(text)).from_buffer_copy(text))
        self._lend("nodes", (LENT["nodes"] * max(len(nodes), 1))(*nodes))

    def view(self, name: str, count: int) -> memoryview:
        """The bytes of the first elements of an array."""
        array = self.arrays[name]
        return memoryview(array).cast("B")[: count * sizeof(array._type_)]

    def forget(self) -> None:
        """Forget all entries and their sums."""
        state = self.context.state
        state.entries = state.arena = state.cells = 0
        table = self.arrays["table"]
        memset(addressof(table), 0, sizeof(table))

    def _lend(self, name: str, array: Array[Any]) -> None:
        self.arrays[name] = array
        setattr(self.context, name, addressof(array))
        setattr(self.context, f"{name}_len", len(array))
