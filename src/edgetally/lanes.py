"""Eight bytes at a time: what the vector engine computes on words, each of which holds eight characters of one line.

A word is a little-endian uint64: its lowest lane is the first character. All functions take and give arrays with one
element a line. Flags are words whose lanes have their top bit set, or not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


def each(byte: int) -> np.uint64:
    """A word with this byte in all lanes."""
    word: np.uint64 = np.uint64(byte * 0x0101010101010101)
    return word


_LOW, _HIGH = each(0x01), each(0x80)
ZEROS, SIX, HIGH_NIBBLES = each(ord("0")), each(0x06), each(0xF0)
_ONE = np.uint64(1)
_DOT = np.uint64((ord("0") ^ ord(".")) << 32)
_BITS = np.uint64(8)
_ALL_BITS = np.uint64(64)


def flags_of(words: Words, byte: int) -> Words:
    """Where a byte is: the lowest flag of a word is right, those above it may be too many."""
    odd = words ^ each(byte)
    return np.asarray((odd - _LOW) & ~odd & _HIGH)


def lowest(flags: Words) -> Ints:
    """The lane of the lowest flag; there must be one."""
    alone = flags & (~flags + _ONE)
    lane: Ints = (alone.astype(np.float64).view(np.int64) >> np.int64(55)) - 128
    return lane


def kept(words: Words, lengths: Ints) -> Words:
    """The first characters of words, at most eight; what follows them is zero."""
    short = np.minimum(lengths, 8).astype(np.uint64)
    whole: Words = words & (~np.uint64(0) >> (_ALL_BITS - short * _BITS))
    return whole


def digits_before(words: Words, lengths: Ints) -> tuple[Words, Bools]:
    """Digits that end a word, as numbers in lanes, and whether they are digits. lengths: how many, at most eight."""
    gap = (_ALL_BITS - lengths.astype(np.uint64) * _BITS) & np.uint64(0x7F)
    lanes = ((words ^ ZEROS) >> gap) << gap
    return lanes, ((lanes + SIX) | lanes) & HIGH_NIBBLES == 0


def decimal_before(words: Words, lengths: Ints) -> tuple[Words, Bools]:
    """The same of digits with a point and three more, such as 12.345; the point's lane is zero."""
    gap = (_ALL_BITS - lengths.astype(np.uint64) * _BITS) & np.uint64(0x7F)
    lanes = (((words ^ ZEROS) ^ _DOT) >> gap) << gap
    point = (lanes >> np.uint64(32)) & np.uint64(0xFF)
    return lanes, (((lanes + SIX) | lanes) & HIGH_NIBBLES == 0) & (point == 0)


def number(lanes: Words) -> Ints:
    """The number whose eight digits stand in lanes."""
    pairs = (lanes * np.uint64(2561)) >> _BITS
    fours = ((pairs & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    value: Words = ((fours & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
    return value.view(np.int64)
