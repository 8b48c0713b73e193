"""What Python and the kernel share: each structure as in kernel/src/shapes.rs, and what its numbers mean."""

from __future__ import annotations

from ctypes import Structure, c_int64, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p, sizeof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 2
SLACK = 64  # bytes behind the last one that is looked at
NONE = 0xFFFFFFFF
UNREADABLE = NONE - 1  # in the place of an entry's rules: its lines are left
HOSTS = 4
ROLES = 16
ZONE = 255

# Instructions
LITERAL, UNTIL, RANGES, WHOLE, DECIMAL, TIME, PAD, GROUP, SYSLOG, CONTAINER, OBJECT, END = range(12)
# Flags of instructions
DASH, MINUS, PLUS, LETTER, ESCAPES, TWO, WIDE, LAST = (1 << bit for bit in range(8))
# What a field is to the tally; a host is HOST and its number
SIZE, LASTED, WORD, MOMENT, TARGET, URI, PATH, HOST = range(1, 9)
# Options of a state
ADDS, SPREADS, PATHS, HITS, METHOD, OF_TARGET, OF_URI, WRAPPED = (1 << bit for bit in range(8))
# Why the kernel stops
DONE, FULL, FLUSH, ASK_WORD, ASK_MINUTE, ASK_ENTRY, BAD = range(7)


class Op(Structure):
    """An instruction."""

    _fields_ = (
        *[(name, c_uint8) for name in ("kind", "role", "flags", "back", "open", "close")],
        ("fraction", c_uint8 * 2),
        *[(name, c_uint32) for name in ("least", "most", "unit", "clock", "seconds", "tail")],
        *[(name, c_uint32) for name in ("literal_len", "literal_bits")],
        ("literal", c_uint8 * 16),
        ("minute_mask", c_uint8 * 32),
        *[(name, c_uint8 * 64) for name in ("stops", "lows", "widths")],
    )


class Entry(Structure):
    """A line's hosts, as logged. rules: the first group of rules that look at the path, NONE, or UNREADABLE."""

    _fields_ = (
        ("hash", c_uint64),
        ("offset", c_uint32),
        ("lengths", c_uint16 * HOSTS),
        *[(name, c_uint32) for name in ("cell", "rules", "reserved")],
    )


class Cell(Structure):
    """The sums of a slot and a channel, or else of a slot and an entry: for misses, and for hits."""

    _fields_ = (
        *[(name, c_uint32) for name in ("slot", "entry", "channel", "next")],
        ("requests", c_uint64 * 2),
        ("bytes", c_uint64 * 2),
    )


class Word(Structure):
    """A word of the cache's."""

    _fields_ = (("len", c_uint32), ("hit", c_uint32), ("text", c_uint64 * 4))


class Minute(Structure):
    """A minute as written, and its microseconds."""

    _fields_ = (("text", c_uint64 * 5), ("time", c_int64))


class Clock(Structure):
    """What a clock read last."""

    _fields_ = (("whole", c_uint64 * 5), ("time", c_int64), ("minute", c_uint64 * 5), ("minute_time", c_int64))


class Node(Structure):
    """A piece of the prefixes of a group of rules."""

    _fields_ = (
        ("text", c_uint64 * 2),
        ("firsts", c_uint8 * 16),
        *[(name, c_uint32) for name in ("len", "child", "children", "more", "rule", "channel")],
        ("reserved", c_uint32 * 2),
    )


class Group(Structure):
    """The rules of a host pattern that look at the path. next: another group for the same hosts, or NONE."""

    _fields_ = tuple((name, c_uint32) for name in ("root", "limit", "next"))


class Left(Structure):
    """A line that is left: its first byte, its newline, its number."""

    _fields_ = tuple((name, c_uint64) for name in ("start", "end", "line"))


class Step(Structure):
    """A step of a way through JSON."""

    _fields_ = (
        ("literal", c_uint8 * 32),
        ("bytes", c_uint64),
        *[(name, c_uint32) for name in ("len", "kind", "member", "next", "other", "reserved")],
    )


class State(Structure):
    """What Python sets and the kernel changes."""

    _fields_ = (
        *[(name, c_size_t) for name in ("pos", "end")],
        *[(name, c_uint64) for name in ("line", "options", "hosts", "target")],
        *[(name, c_int64) for name in ("since", "low", "high", "longest")],
        ("seed", c_uint64),
        *[(name, c_size_t) for name in ("left", "entries", "arena", "cells")],
        *[(name, c_uint64) for name in ("aside", "clipped")],
        *[(name, c_int64) for name in ("first", "last")],
        *[(name, c_size_t) for name in ("asked", "asked_at")],
        ("asked_clock", c_uint64),
        ("clocks", Clock * 4),
        ("steps", c_size_t),
        ("misses", c_uint64),
    )


# The memory that is lent, and what each of it holds
LENT: dict[str, Any] = {
    "text": c_uint8,
    "ops": Op,
    "nodes": Node,
    "groups": Group,
    "heads": c_uint32,
    "table": c_uint32,
    "entries": Entry,
    "arena": c_uint8,
    "cells": Cell,
    "words": Word,
    "minutes": Minute,
    "left": Left,
    "steps": Step,
}


class Context(Structure):
    """All that is lent: for each memory its address and how many elements it has."""

    _fields_ = (
        *[pair for name in LENT for pair in ((name, c_void_p), (f"{name}_len", c_size_t))],
        ("state", State),
        ("spans", c_size_t * (2 * ROLES)),
    )


LAYOUT = (VERSION, *(sizeof(shape) for shape in (Context, Op, Entry, Cell, Word, Minute, Node, Group, Left, Step)))
