"""From a format whose lines are JSON objects to a program for the kernel: an instruction for each wanted member."""

from __future__ import annotations

from edgetally.formats import clocks
from edgetally.formats.json_line import UNITS, Member, paths_of
from edgetally.formats.log_format import LogFormat
from edgetally.tally.engines.kernel import structures as k
from edgetally.tally.engines.kernel.shared import ClockText, Program, UnfitError, time_op

_LONGEST_NAME = 64
_DEEPEST = 7
_MOST = 60
_LONG = ("uri", "url", "request")


def program_of_members(fmt: LogFormat, paths: bool, durations: bool) -> Program:
    """Compile a format; raises UnfitError where only the reference can read it."""
    return _Compiler(fmt, paths, durations).program()


class _Compiler:
    def __init__(self, fmt: LogFormat, paths: bool, durations: bool) -> None:
        self._format = fmt
        self._hosts = fmt.roles.get("host", ())
        self._paths = fmt.roles.get("path", ()) if paths else ()
        self._durations = fmt.roles.get("duration", ()) if durations or fmt.adds_duration else ()
        self._clocks: list[ClockText] = []
        self._options, self._target = k.WRAPPED, 0

    def program(self) -> Program:
        places = {member.path: number for number, member in enumerate(self._format.members)}
        names = list(paths_of(self._format.members))
        if len(names) > _MOST or len(self._hosts) > k.HOSTS or max(map(len, names)) > _DEEPEST:
            raise UnfitError
        members = [self._member(path, names, places.get(path)) for path in names]
        whole = k.Op(kind=k.OBJECT, least=2, most=len(members))
        needed = [number for number, path in enumerate(names, 1) if path in places and self._needed(places[path])]
        whole.literal[:8] = sum(1 << number for number in needed).to_bytes(8, "little")
        ops = (k.Op(kind=k.CONTAINER), whole, k.Op(kind=k.END), *members)
        return Program(ops, tuple(self._clocks), self._options, len(self._hosts), self._target)

    def _needed(self, number: int) -> bool:
        return self._format.members[number].needed

    def _member(self, path: tuple[str, ...], names: list[tuple[str, ...]], number: int | None) -> k.Op:
        """The instruction of a member. number: None for one that only holds others."""
        op = k.Op(kind=k.OBJECT) if number is None else self._reader(self._format.members[number])
        name = path[-1].encode()
        if len(name) > _LONGEST_NAME or not path[-1].isprintable() or set('"\\') & set(path[-1]):
            raise UnfitError
        op.least, op.back = len(name), names.index(path[:-1]) + 1 if len(path) > 1 else 0
        op.lows[: len(name)] = list(name)
        op.role = 0 if number is None else self._role(number)
        return op

    def _reader(self, member: Member) -> k.Op:
        if clocks.is_time(member.kind):
            return self._time(member)
        if member.kind == "size":
            return k.Op(kind=k.WHOLE)
        if member.kind == "decimal":
            op = k.Op(kind=k.DECIMAL, unit=_nanoseconds(member.unit), literal_len=len(member.unit))
            op.literal[: len(member.unit)] = list(member.unit.encode())
            op.literal_bits = (1 << len(member.unit)) - 1
            return op
        return k.Op(kind=k.UNTIL, flags=k.WIDE if member.kind in _LONG else 0)

    def _time(self, member: Member) -> k.Op:
        """A time in numbers, as text, or either."""
        if member.kind == "unix":
            return k.Op(kind=k.DECIMAL, unit=_nanoseconds(member.unit))
        stamp = member.kind == "stamp"
        op, clock = time_op("rfc3339" if stamp else member.kind, len(self._clocks))
        op.flags |= k.PLUS if stamp else 0
        self._clocks.append(clock)
        return op

    def _role(self, number: int) -> int:
        roles, kind = self._format.roles, self._format.members[number].kind
        for role, found in (("time", k.MOMENT), ("size", k.SIZE)):
            if number in roles[role]:
                return found
        if number in self._durations:
            return k.LASTED
        if kind in ("request", "url") and number in (*self._hosts, *self._paths):
            return self._as_target(number)
        if number in self._hosts:
            return k.HOST + self._hosts.index(number)
        if number in self._paths:
            self._options |= k.OF_URI
            return k.URI
        return k.WORD if number in roles.get("hit", ()) else 0

    def _as_target(self, number: int) -> int:
        """The role of a request or a URL; there can be only one of them."""
        if self._options & k.OF_TARGET:
            raise UnfitError
        if number in self._hosts:
            self._target = k.HOST + self._hosts.index(number)
        self._options |= k.OF_TARGET
        if self._format.members[number].kind == "request":
            self._options |= k.METHOD
        return k.TARGET


def _nanoseconds(unit: str) -> int:
    return int(10 ** (9 + UNITS[unit]))
