"""Eight bytes at a time: what the vector engine computes on words, each of which holds eight characters of one line.

A word is a little-endian uint64: its lowest lane is the first character. All functions take and give arrays with one
element a line.
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


ZEROS, SIX, HIGH_NIBBLES = each(ord("0")), each(0x06), each(0xF0)
_NONE = np.uint64(0)
_POINT = np.uint64(0xFF << 32)  # where the point of a decimal number is, before three digits
_DECIMAL_ZEROS = np.uint64(int(ZEROS) ^ (ord("0") ^ ord(".")) << 32)
_BITS, _TWO_LANES, _HALF = np.uint64(8), np.uint64(16), np.uint64(32)
_ALL_BITS, _SHIFTS = np.uint64(64), np.uint64(0x7F)
_TENS, _HUNDREDS, _TEN_THOUSANDS = np.uint64(2561), np.uint64(6553601), np.uint64(42949672960001)
_PAIRS, _FOURS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)


def true(bools: Bools) -> Ints:
    """Where it is true. This, as all that is called here, is in numpy's core (see `start`)."""
    (places,) = bools.nonzero()
    return places


def repeated(values: Ints, firsts: Ints, count: int) -> Ints:
    """Of so many lines each one's value, given which lines are the first ones that have one."""
    times = np.empty_like(firsts)
    times[:-1], times[-1:] = firsts[1:] - firsts[:-1], count - firsts[-1:]
    return np.repeat(values, times)


def lowest_bit(words: np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]) -> Ints:
    """The number of the lowest bit that is set; there must be one."""
    bit = (words & -words).astype(np.float64).view(np.int64)
    bit >>= 52
    bit -= 1023  # the exponent that a float has of a power of two
    return bit


def kept(words: Words, lengths: Ints) -> Words:
    """The first characters of words, at most eight; what follows them is zero."""
    short = np.minimum(lengths, 8).astype(np.uint64)
    whole: Words = words & (~np.uint64(0) >> (_ALL_BITS - short * _BITS))
    return whole


def _last(lanes: Words, lengths: Ints) -> Words:
    """The last lanes, with zeros before them. lengths: how many, at most eight; with another the lanes are any."""
    gap = ((8 - lengths) << 3).view(np.uint64)
    gap &= _SHIFTS
    lanes = lanes >> gap
    lanes <<= gap
    return lanes


def _are_digits(lanes: Words) -> Bools:
    odd = lanes + SIX
    odd |= lanes
    odd &= HIGH_NIBBLES
    return np.asarray(odd == _NONE)


def digits_before(words: Words, lengths: Ints) -> tuple[Words, Bools]:
    """Digits that end a word, as numbers in lanes, and whether they are digits. lengths: how many, at most eight."""
    lanes = _last(words ^ ZEROS, lengths)
    return lanes, _are_digits(lanes)


def decimal_before(words: Words, lengths: Ints) -> tuple[Words, Bools]:
    """The same of digits with a point and three more, such as 12.345; the point's lane is zero."""
    lanes = _last(words ^ _DECIMAL_ZEROS, lengths)
    return lanes, _are_digits(lanes) & (lanes & _POINT == _NONE)


def number(lanes: Words) -> Ints:
    """The number whose eight digits stand in lanes."""
    value = lanes * _TENS
    value >>= _BITS
    value &= _PAIRS
    value *= _HUNDREDS
    value >>= _TWO_LANES
    value &= _FOURS
    value *= _TEN_THOUSANDS
    value >>= _HALF
    found: Ints = value.view(np.int64)
    return found
