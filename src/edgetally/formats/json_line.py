"""Lines that are JSON objects: which members are wanted, wherever they stand, and what a line says of them.

A line is one object as RFC 8259 has it, but for bytes that are no UTF-8, which servers write as clients send them. Each
wanted member stands in it once, or not at all; all others may hold what they like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from json import JSONDecoder

from edgetally.formats import clocks
from edgetally.formats.pattern import Part, pattern_of
from edgetally.formats.values import shorten
from edgetally.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Union

    Tree = Mapping[str, Union[int, "Tree"]]

DEEPEST = 64  # objects and arrays in each other
# What `docker compose logs` puts before a line.
CONTAINER = re.compile(rb"(?:[\w.-]+ +\| )?")
UNITS = {"s": 0, "ms": -3, "us": -6, "ns": -9}  # their powers of ten in seconds

_NUMBER = re.compile(rb"(-?)(\d{1,40})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,2}))?")
_WHOLE = re.compile(rb"\d{1,15}")
_NONE = (None, b"", b"-")
# What nginx writes of several upstreams.
_LIST = re.compile(r":\s*((?:[\d.]+|-)(?:(?:,| :) (?:[\d.]+|-))+)\s*[,}]")
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # halves of pairs, which no UTF-8 has
_CONTROLS = bytes(byte if byte >= 32 else ord("~") for byte in range(256))


class UnfitError(Exception):
    """Says why a line does not fit."""


class Members(list["tuple[str, Any]"]):
    """The members of an object: name and value, in their order."""


class Member(NamedTuple):
    """A member that is wanted. path: the names on the way to it. kind: what its value is, as a part's.

    unit: of a duration or a time in numbers, a key of UNITS; empty for a time whose digits show it.
    """

    path: tuple[str, ...]
    kind: str
    unit: str = "s"

    @property
    def name(self) -> str:
        """The path as it is written in `--fields`."""
        return ".".join(re.sub(r"([\\.,:=])", r"\\\1", name) for name in self.path)

    @property
    def needed(self) -> bool:
        """Whether no line can be billed without it."""
        return self.kind == "size" or clocks.is_time(self.kind)


class Row(tuple[bytes, ...]):
    """What a line says, as a match of a pattern would give it."""

    def groups(self, _default: bytes = b"") -> Row:
        """All that was captured."""
        return self


class ObjectReader:
    """Reads lines. inside: for each member the roles that it is captured in."""

    def __init__(self, members: Sequence[Member], inside: Sequence[Sequence[str]]) -> None:
        self._members = members
        self._tree = _tree([member.path for member in members])
        self._readers = [_reader(member, roles) for member, roles in zip(members, inside)]

    def fullmatch(self, line: bytes) -> Row | None:
        """What a line says; None where it does not fit."""
        try:
            return self._row(line)
        except UnfitError:
            return None

    def findall(self, line: bytes) -> list[Row]:
        """What a line says, if it fits."""
        row = self.fullmatch(line)
        return [] if row is None else [row]

    def explain(self, line: bytes) -> str:
        """Why a line does not fit."""
        try:
            self._row(line)
        except UnfitError as why:
            return str(why)
        return "it fits"

    def _row(self, line: bytes) -> Row:
        values: list[Any] = [None] * len(self._members)
        _collect(self._tree, _members_of(line), values, "")
        texts = map(_text, self._members, values)
        return Row(found for read, text in zip(self._readers, texts) for found in read(text))


# --------------------------------------------------------------------------------------------------------------------
# From a line to the values of its members


def _tree(paths: Sequence[tuple[str, ...]]) -> Tree:
    """The wanted names, each with the names in it, or with its number."""
    tree: dict[str, Any] = {}
    for number, path in enumerate(paths):
        branch = tree
        for name in path[:-1]:
            branch = branch.setdefault(name, {})
        branch[path[-1]] = number
    return tree


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no value")


_DECODER = JSONDecoder(object_pairs_hook=Members, parse_float=str, parse_int=str, parse_constant=_refuse)


def _members_of(line: bytes) -> Members:
    """The members of the object that a line is, numbers as text."""
    text = line[CONTAINER.match(line).end() :].decode("utf-8", "surrogateescape")  # type: ignore[union-attr]
    if text.count("{") + text.count("[") > DEEPEST and _depth(text) > DEEPEST:
        raise UnfitError(f"it has more than {DEEPEST} objects and arrays in each other")
    try:
        found = _DECODER.decode(text)
    except ValueError as error:
        raise UnfitError(f"it is no JSON: {_why(text, error)}") from None
    if type(found) is not Members:
        raise UnfitError("it is JSON, but no object")
    return found


def _why(text: str, error: ValueError) -> str:
    """What is no JSON, and where."""
    listed = _LIST.search(text)
    if listed and listed.start(1) <= getattr(error, "pos", 0) <= listed.end():
        return f"a list such as {shorten(listed[1])} needs quotes, in column {listed.start(1) + 1}"
    place = getattr(error, "colno", None)
    return str(error).partition(": line ")[0] + (f", in column {place}" if place else "")


def _depth(text: str) -> int:
    """How many objects and arrays are in each other."""
    depth = deepest = 0
    for char in _STRINGS.sub("", text):
        depth += (char in "{[") - (char in "}]")
        deepest = max(deepest, depth)
    return deepest


def _collect(tree: Tree, members: Members, values: list[Any], where: str) -> None:
    """Put the wanted members of an object, and of those in it, in their places. where: the path to the object."""
    seen = set()
    for name, value in members:
        if name not in tree:
            continue
        if name in seen:
            raise UnfitError(f"it has {where}{name} twice")
        seen.add(name)
        wanted = tree[name]
        if isinstance(wanted, int):
            values[wanted] = value
        elif type(value) is Members:
            _collect(wanted, value, values, f"{where}{name}.")


def _text(member: Member, value: Any) -> bytes | None:
    """A value as text, None for none: that of an array is its elements', with commas between them."""
    if isinstance(value, list):
        if type(value) is Members or any(isinstance(item, list) for item in value):
            raise UnfitError(f"{member.name} holds an object or a list of lists")
        return b", ".join(filter(None, (_scalar(item) for item in value)))
    return _scalar(value)


def _scalar(value: str | bool | None) -> bytes | None:
    if value is None or isinstance(value, bool):
        return {None: None, True: b"true", False: b"false"}[value]
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _LONE.sub("\ufffd", value).encode("utf-8", "surrogateescape")


# --------------------------------------------------------------------------------------------------------------------
# From a value to what the tally takes

Reader = Callable[["bytes | None"], Sequence[bytes]]


def _reader(member: Member, roles: Sequence[str]) -> Reader:
    """What reads a member's value: the texts for its roles."""
    kind = member.kind
    if kind in ("request", "url"):
        return _request_reader(kind, roles)
    if kind == "uri":
        return lambda text: [(text or b"").partition(b"?")[0]] * len(roles)
    if kind not in ("size", "decimal") and not clocks.is_time(kind):
        return lambda text: [text or b""] * len(roles)
    read = _time(member) if clocks.is_time(kind) else _duration(member) if kind == "decimal" else _size

    def strict(text: bytes | None) -> Sequence[bytes]:
        found = read(text)
        if found is None:
            raise UnfitError(_complaint(member, text))
        return [found] * len(roles)

    return strict


def _complaint(member: Member, text: bytes | None) -> str:
    if text is None:
        return f"it has no {member.name}"
    what = {"size": "no number of bytes", "decimal": "no duration"}.get(member.kind, "no time")
    return f"{member.name} is {what}: {shorten(repr(text.decode('utf-8', 'backslashreplace')))}"


def _request_reader(kind: str, roles: Sequence[str]) -> Reader:
    """Host and path of a request or a URL, as in any other format."""
    pattern = re.compile(pattern_of(Part(kind, kind), roles))

    def read(text: bytes | None) -> Sequence[bytes]:
        found = pattern.fullmatch((text or b"").translate(_CONTROLS))
        return found.groups(b"") if found else [b""] * len(roles)

    return read


def _size(text: bytes | None) -> bytes | None:
    """A whole number of bytes, `-` where there are none."""
    if text is None or _WHOLE.fullmatch(text):
        return text
    if text in _NONE:
        return b"-"
    whole, _, fraction = (in_seconds(text, 0) or b"-").partition(b".")
    return whole if _WHOLE.fullmatch(whole) and not fraction.strip(b"0") else None


def _duration(member: Member) -> Callable[[bytes | None], bytes | None]:
    """A number of seconds, `-` where there is none. Its unit may stand behind it."""

    def read(text: bytes | None) -> bytes | None:
        if text is None or text in _NONE:
            return b"-"
        unit = member.unit.encode()
        return in_seconds(text[: -len(unit)] if text.endswith(unit) else text, UNITS[member.unit], 15)

    return read


def _time(member: Member) -> Callable[[bytes | None], bytes | None]:
    """A time as its kind wants it, those in numbers in seconds."""
    shape = re.compile(clocks.shape(member.kind))

    def read(text: bytes | None) -> bytes | None:
        if text is not None and member.kind in ("unix", "stamp") and _NUMBER.fullmatch(text):
            text = in_seconds(text, UNITS[member.unit or _unit_of(text)], 10)
        return text if text is not None and shape.fullmatch(text) else None

    return read


def _unit_of(text: bytes) -> str:
    """The unit of a time of our days: ten digits are seconds, thirteen milliseconds, and so on."""
    digits = len(text.partition(b".")[0].lstrip(b"0"))
    return next(iter(unit for unit, most in zip(UNITS, (10, 13, 16)) if digits <= most), "ns")


def in_seconds(text: bytes, power: int, most: int = 15) -> bytes | None:
    """A number of another unit as a plain number of seconds, cut to nanoseconds.

    power: the unit's power of ten. most: how many digits it may have before the point. None for what is no such number.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction, exponent = found.groups(b"")
    point = len(whole) + int(exponent or 0) + power
    digits = (b"0" * max(1 - point, 0) + whole + fraction).ljust(point, b"0")
    whole, fraction = digits[: max(point, 1)].lstrip(b"0") or b"0", digits[max(point, 1) :][:9]
    if len(whole) > most:
        return None
    return sign + whole + (b"." + fraction if fraction else b"")


def paths_of(members: Sequence[Member]) -> Iterator[tuple[str, ...]]:
    """The paths of all wanted members, and of the objects that these are in, each once, the outer ones first."""
    found = {member.path[:depth]: None for member in members for depth in range(1, len(member.path) + 1)}
    return iter(sorted(found, key=len))
