"""From a log format to a program for the kernel: an instruction for each field, with the literal behind it.

A program takes no line that the format's pattern does not take, and finds in it what that finds. Of what the pattern
takes it may leave some: lines that are seldom seen. A format that it cannot be sure of is left as a whole.
"""

from __future__ import annotations

from edgetally.formats import clocks
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Part
from edgetally.formats.wrapped import is_apart
from edgetally.tally.engines.kernel import structures as k
from edgetally.tally.engines.kernel.json_program import program_of_members
from edgetally.tally.engines.kernel.shared import ClockText, Program, UnfitError, time_op

_CHUNK = 16  # bytes of a literal that one instruction compares
_STOPS = 4
_CLOCKS = 4
_DIGITS = 15

# Of each kind: the ranges of bytes, how many of them at least and at most, and flags
_RANGES: dict[str, tuple[bytes, int, int, int]] = {
    "cache": (b"AZ__", 0, 1 << 20, k.DASH),
    "squid_code": (b"AZ__", 1, 1 << 20, k.LETTER),
    "squid_peer": (b"AZ__09", 1, 1 << 20, k.DASH | k.LETTER),
    "address": (b"0:..AFaf", 1, 1 << 20, 0),
    "haproxy_state": (b"AZaz--", 2, 2, 0),
    "haproxy_cookies": (b"AZaz--", 4, 4, 0),
    "keepalive": (b"XX++--", 1, 1, 0),
    "is_args": (b"??", 0, 1, 0),
    "quote": (b'""', 1, 1, 0),
    "alb_type": (b"az09", 2, 5, 0),
}
# The least and the most digits, and flags
_WHOLE: dict[str, tuple[int, int, int]] = {
    "size": (1, _DIGITS, k.DASH),
    "status": (3, 3, k.DASH),
    "number": (0, _DIGITS, k.DASH),
    "flag": (0, _DIGITS, k.DASH),
    "ms": (1, _DIGITS, k.DASH | k.MINUS),
    "us": (1, _DIGITS, k.DASH | k.MINUS),
    "ns": (1, _DIGITS, k.MINUS),
    "signed": (1, _DIGITS, k.MINUS),
    "counter": (1, _DIGITS, k.PLUS),
    "haproxy_status": (1, 3, 0),
    "haproxy_port": (1, _DIGITS, 0),
}
# The most digits before the dot, the least and the most behind it, flags, and for times the unit's microseconds
_DECIMAL: dict[str, tuple[int, int, int, int, int]] = {
    "seconds": (_DIGITS, 3, 3, k.DASH, 0),
    "decimal": (_DIGITS, 0, 9, k.DASH, 0),
    "epoch": (10, 3, 3, 0, 1_000_000),
    "unix": (10, 0, 9, 0, 1_000_000),
    "utc:%s": (10, 0, 0, 0, 1_000_000),
    "local:%s": (10, 0, 0, 0, 1_000_000),
    "local:%s.%3": (10, 3, 3, 0, 1_000_000),
    "local:%s.%f": (10, 6, 6, 0, 1_000_000),
    "local:%1": (13, 0, 0, 0, 1_000),
    "local:%6": (_DIGITS, 0, 0, 0, 1),
}
# Text up to a stop: how long it is at least
_UNTIL = {"text": 0, "raw": 0, "host": 0, "joined_host": 0, "user": 0, "request": 0, "url": 0, "uri": 0}
_UNTIL.update(word=1, name=1, token=1, path=1, list=1, w3c_column=1, maybe_request=0, maybe_text=0)
_TARGETS = ("request", "url", "maybe_request")
_LONG = ("text", "raw", "uri", "host", *_TARGETS)
# What is there or not: what it begins and ends with, its stops where they are its own, its least length, and flags
_GROUPS: dict[str, tuple[str, str, str, int, int]] = {
    "squid_type": (" ", "", ' "', 1, 0),
    "query": ("?", "", "", 0, 0),
    "haproxy_list": (" ", "", ' "', 0, 0),
    "haproxy_quoted": ('"', '"', '"', 0, k.LAST),
    "haproxy_headers": ("{", "}", "{}", 0, k.LAST),
    "maybe_quoted": ('"', '"', '"', 0, k.DASH),
    "more": (" ", "", ' "[', 1, 0),
    "more_quoted": ('"', '"', '"', 0, k.LAST),
    "shell": ('"', '"', '"', 0, 0),
}
_EMPTY_OR_DASH = ("cache", "number", "flag")
_OTHERS = {"pad": k.PAD, "syslog": k.SYSLOG}


def program_of(fmt: LogFormat, paths: bool, durations: bool) -> Program | None:
    """Compile a format; None where only its pattern can read it.

    paths, durations: whether these are asked for.
    """
    try:
        if fmt.members:
            return program_of_members(fmt, paths, durations)
        return _Compiler(fmt, paths, durations).program()
    except UnfitError:
        return None


class _Compiler:
    def __init__(self, fmt: LogFormat, paths: bool, durations: bool) -> None:
        self._format = fmt
        self._parts = [_as_literal(part) for part in fmt.parts]
        self._hosts = fmt.roles.get("host", ())
        self._paths = fmt.roles.get("path", ())[:1] if paths else ()
        self._durations = fmt.roles.get("duration", ())[:1] if durations or fmt.adds_duration else ()
        self._ops: list[k.Op] = []
        self._clocks: list[ClockText] = []
        first = fmt.parts[0]
        has_role = any(0 in places for places in fmt.roles.values())
        self._options = k.WRAPPED if is_apart(first, has_role) else 0
        self._target = 0
        literals = [part.name for part in self._parts if part.kind == "literal"]
        if len(self._hosts) > k.HOSTS or (fmt.escapes and "\\" in "".join(literals)):
            raise UnfitError

    def program(self) -> Program:
        number = 0
        while number < len(self._parts):
            part = self._parts[number]
            op = k.Op(kind=k.LITERAL) if part.kind == "literal" else self._field(number)
            behind = part if part.kind == "literal" else self._part(number + 1)
            number += 1 if op.kind == k.LITERAL or behind.kind != "literal" else 2
            self._emit(op, behind.name.encode() if behind.kind == "literal" else b"")
        self._emit(k.Op(kind=k.END), b"")
        return Program(tuple(self._ops), tuple(self._clocks), self._options, len(self._hosts), self._target)

    def _part(self, number: int) -> Part:
        """A part; behind the last one stands an empty literal."""
        return self._parts[number] if number < len(self._parts) else Part("", "literal")

    def _emit(self, op: k.Op, literal: bytes) -> None:
        """Add an instruction with the literal behind it; a long literal needs several."""
        for at in range(0, max(len(literal), 1), _CHUNK):
            piece = literal[at : at + _CHUNK]
            op.literal_len, op.literal_bits = len(piece), (1 << len(piece)) - 1
            op.literal[: len(piece)] = list(piece)
            self._ops.append(op)
            op = k.Op(kind=k.LITERAL)

    def _field(self, number: int) -> k.Op:
        part = self._part(number)
        op = self._reader(number)
        op.role = self._role(number)
        if self._format.escapes:
            op.flags |= k.ESCAPES
        if op.kind != k.UNTIL:
            self._check_end(part, self._part(number + 1))
        return op

    def _reader(self, number: int) -> k.Op:
        """The instruction that reads a field."""
        part = self._part(number)
        kind = part.kind
        if kind in _UNTIL:
            return self._until(number)
        if kind in _RANGES:
            op = _ranges(*_RANGES[kind])
            if kind == "address" and self._part(number + 1).name[:1] == ":":
                self._set_end(op, number, self._part(number + 1).name)
            return op
        if kind in _WHOLE:
            least, most, flags = _WHOLE[kind]
            return k.Op(kind=k.WHOLE, least=least, most=most, flags=flags, unit=clocks.NANOSECONDS.get(kind, 0))
        if kind in _DECIMAL:
            most, least_fraction, most_fraction, flags, unit = _DECIMAL[kind]
            op = k.Op(kind=k.DECIMAL, least=1, most=most, flags=flags, unit=unit or clocks.NANOSECONDS[kind])
            op.fraction[:] = [least_fraction, most_fraction]
            return op
        if kind in _GROUPS:
            return self._group(part)
        if kind in _OTHERS:
            return k.Op(kind=_OTHERS[kind])
        return self._time(kind)

    def _group(self, part: Part) -> k.Op:
        begin, end, stops, least, flags = _GROUPS[part.kind]
        op = k.Op(kind=k.GROUP, open=ord(begin), close=ord(end or "\0"), least=least, flags=flags)
        self._set_stops(op, stops or part.stop)
        return op

    def _set_stops(self, op: k.Op, stops: str, long: bool = False, escapes: bool = True) -> None:
        """Set the bytes that end a field. Control characters always do. escapes: it may hold some."""
        found = [ord(char) for char in dict.fromkeys(stops) if ord(char) >= 32]
        if self._format.escapes and escapes:
            found.append(ord("\\"))
        if len(found) > _STOPS or max(found, default=0) > 127:
            raise UnfitError
        if len(found) <= 2:
            op.flags |= k.TWO | (k.WIDE if long else 0)
        found = [*(found or [ord("\n")]), *found[-1:] * _STOPS, *[ord("\n")] * _STOPS][:_STOPS]
        op.stops[:] = [byte for byte in found for _ in range(16)]

    # ----------------------------------------------------------------------------------------------------------------
    # Text, and where it ends

    def _until(self, number: int) -> k.Op:
        part, behind = self._part(number), self._part(number + 1)
        op = k.Op(kind=k.UNTIL, least=_UNTIL[part.kind])
        stops = _stops(part)
        if behind.kind == "literal" and behind.name:
            stops += self._set_end(op, number, behind.name)
        if part.kind == "joined_host":  # a dash at its end is the URI of a bad request
            op.flags, op.close = op.flags | k.LAST, ord("-")
        self._set_stops(op, stops, part.kind in _LONG, part.kind != "joined_host")
        return op

    def _set_end(self, op: k.Op, number: int, literal: str) -> str:
        """Say how a literal ends a text: by its first character that the text cannot hold. Returns one more stop."""
        part, after, beyond = (self._part(number + step) for step in (0, 2, 3))
        back = next((place for place, char in enumerate(literal) if not _holds(part, char)), None)
        if back is not None:
            op.back = back
            return ""
        # It can hold all of it. What follows must be a field that cannot, and end with what the text cannot hold
        if len(literal) > 1 or after.kind == "literal" or _holds(after, literal) or not beyond.name:
            raise UnfitError
        if beyond.kind != "literal" or _holds(part, beyond.name[0]):
            raise UnfitError
        if after.kind in ("number", "flag"):
            op.flags |= k.LAST
            op.open = ord(literal)
            return ""
        if op.kind != k.UNTIL:
            raise UnfitError
        return literal

    def _check_end(self, part: Part, behind: Part) -> None:
        """Refuse a field that the pattern could cut otherwise than the kernel, which takes all that it can at once.

        All that the pattern can take is what it tries first, too. But where a field may be empty, a dash in its place
        is tried last: nothing behind it may begin with one.
        """
        follows = behind.kind == "literal" and not behind.name.startswith("-")
        if part.kind in _EMPTY_OR_DASH and not (follows or behind.kind in _GROUPS):
            raise UnfitError

    # ----------------------------------------------------------------------------------------------------------------
    # Times, and what fields are to the tally

    def _time(self, kind: str) -> k.Op:
        if len(self._clocks) == _CLOCKS:
            raise UnfitError
        op, clock = time_op(kind, len(self._clocks))
        self._clocks.append(clock)
        return op

    def _role(self, number: int) -> int:
        roles, kind = self._format.roles, self._part(number).kind
        if number in roles["time"]:
            return k.MOMENT
        if number in roles["size"]:
            return k.SIZE
        if number in self._durations:
            return k.LASTED
        if kind in _TARGETS and number in (*self._hosts, *self._paths):
            return self._as_target(number)
        if number in self._hosts:
            return k.HOST + self._hosts.index(number)
        if number in self._paths:
            self._options |= k.OF_URI if kind == "uri" else 0
            return k.URI if kind == "uri" else k.PATH
        return k.WORD if number in roles.get("hit", ()) else 0

    def _as_target(self, number: int) -> int:
        """The role of a request or a URL; there can be only one of them."""
        if any(op.role == k.TARGET for op in self._ops):
            raise UnfitError
        if number in self._hosts:
            self._target = k.HOST + self._hosts.index(number)
        self._options |= k.OF_TARGET
        if self._part(number).kind != "url":
            self._options |= k.METHOD
        return k.TARGET


def _as_literal(part: Part) -> Part:
    """A part; the quote at the end of HAProxy's line, without which the line was cut off, as a literal."""
    return Part('"', "literal") if part.kind == "haproxy_end" else part


def _ranges(ranges: bytes, least: int, most: int, flags: int) -> k.Op:
    pairs = list(zip(ranges[::2], ranges[1::2]))
    op = k.Op(kind=k.RANGES, least=least, most=most, flags=flags | (k.TWO if len(pairs) <= 2 else 0))
    pairs += pairs[:1] * (4 - len(pairs))
    op.lows[:] = [low for low, _ in pairs for _ in range(16)]
    op.widths[:] = [high - low for low, high in pairs for _ in range(16)]
    return op


def _stops(part: Part) -> str:
    """The characters that a text cannot hold."""
    if part.kind in ("token", "path"):
        return ' "'
    if part.kind == "user":
        return '"['
    return part.stop + {"word": ' "', "list": ' ,"'}.get(part.kind, "")


def _holds(part: Part, char: str) -> bool:
    """Whether a field can hold a character, as far as the kernel reads it."""
    if part.kind in _UNTIL:
        return ord(char) >= 32 and char not in _stops(part)
    if part.kind in _RANGES:
        ranges = _RANGES[part.kind][0].decode()
        return char == "-" or any(low <= char <= high for low, high in zip(ranges[::2], ranges[1::2]))
    if part.kind in _WHOLE or part.kind in _DECIMAL:
        return char in "0123456789.+-"
    return True
