"""Text that may hold blanks, where only a blank ends it: read where a line can be read in one way only.

Servers write requests, agents, users and the like without quotes, if their format has none. Such texts side
by side are one run. It ends where what is strict behind it first fits: the anchor. If that fits in a second place, this
makes a line one that is rejected, and so does another time in it, since the line may be torn from two records.
A line whose texts hold no blank needs none of this: the format's own pattern reads it, and so does the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from edgetally.formats import clocks
from edgetally.formats.pattern import CONTROLS, Part, pattern_of, request_pattern
from edgetally.record import NamedTuple

Roles = Mapping[str, tuple[int, ...]]

_TEXTS = ("text", "raw", "name", "request", "uri", "haproxy_list")
_WEAK = (*_TEXTS, "word", "token", "number", "list")
_CHARACTER = rb"[^" + CONTROLS + rb"]"
_BESIDE_PATH = rb"[^?" + CONTROLS + rb"]"


class Run(NamedTuple):
    """Parts of a format that are read as one text: the places of the first and the last of them."""

    first: int
    last: int


def runs_of(parts: Sequence[Part], roles: Roles) -> tuple[Run, ...]:
    """The runs of a format, none where quotes or other marks end all texts."""
    taken = {place for places in roles.values() for place in places}
    runs, place = [], 0
    while place < len(parts):
        if _is_loose(parts, place):
            run = Run(place, _end(parts, place, taken))
            if not _is_anchored(parts, run) or not _has_its_roles_first(parts, run, taken):
                return ()
            runs.append(run)
            place = run.last
        place += 1
    return tuple(runs) if any(run.first < len(parts) - 1 for run in runs) else ()


def without_blanks(parts: Sequence[Part], runs: Sequence[Run]) -> tuple[Part, ...]:
    """The parts, where the text at the end of a line that has runs holds no blank either."""
    if not runs or not _is_loose(parts, len(parts) - 1):
        return tuple(parts)
    return (*parts[:-1], parts[-1]._replace(stop=" " + parts[-1].stop.replace(" ", "")))


def pattern(
    parts: Sequence[Part], runs: Sequence[Run], time: str, inside: Callable[[int], Sequence[str]], unique: bool = True
) -> bytes:
    """The pattern of a line whose runs hold blanks.

    time: the kind of its time; inside: the roles that a part is to be captured in. unique: whether it has to be the
    only reading.
    """
    begin = b"".join(pattern_of(part, ()) for part in parts[: runs[0].first])  # most that is no line is none from there
    whole, at = rb"(?=" + begin + rb")" + _no_more_times(parts, time) if unique else b"", 0
    for number, run in enumerate(runs):
        following = runs[number + 1].first if number + 1 < len(runs) else len(parts)
        anchor = b"".join(map(_certain, parts[run.last + 1 : following]))
        anchor += rb"\r?(?!.)" if following == len(parts) else b""
        whole += b"".join(pattern_of(part, inside(place)) for place, part in enumerate(parts[at : run.first], at))
        whole += _text(parts[run.first], inside(run.first), rb"(?!" + anchor + rb")")
        whole += rb"(?=" + anchor + rb")"
        whole += rb"(?!.[^" + CONTROLS + rb"]*?" + anchor + rb")" if unique else b""
        at = run.last + 1
    return whole + b"".join(pattern_of(part, inside(place)) for place, part in enumerate(parts[at:], at))


def _is_loose(parts: Sequence[Part], place: int) -> bool:
    """Whether a part is text that a blank ends, or the line's end behind a blank."""
    part = parts[place]
    if part.kind not in _TEXTS:
        return False
    if part.kind == "raw" or part.stop[:1] == " ":
        return True
    behind_blank = part.kind == "haproxy_list" or (place > 0 and parts[place - 1].name.endswith(" "))
    return place == len(parts) - 1 and part.stop == '"' and behind_blank


def _end(parts: Sequence[Part], first: int, taken: set[int]) -> int:
    """The last part of a run: texts with blanks between them, and what is as weak and stands among them."""
    last = first
    for place in range(first + 1, len(parts)):
        part = parts[place]
        if part.kind == "literal" and not part.name.strip(" "):
            continue
        if place in taken or part.kind not in _WEAK:
            break
        last = place if _is_loose(parts, place) else last
    return last


def _is_anchored(parts: Sequence[Part], run: Run) -> bool:
    """Whether what follows a run shows where it ends: something that not every text fits, or the line's end."""
    for place in range(run.last + 1, len(parts)):
        part = parts[place]
        if _is_loose(parts, place):
            return False
        if part.kind not in _WEAK and (part.kind != "literal" or part.name.strip(" ")):
            return True
    return True


def _has_its_roles_first(parts: Sequence[Part], run: Run, taken: set[int]) -> bool:
    """Whether the bill needs at most the first part of a run, and of several only a request: it shows its own end."""
    alone = run.first == run.last or parts[run.first].kind == "request" or run.first not in taken
    return alone and not taken & set(range(run.first + 1, run.last + 1))


def _text(part: Part, roles: Sequence[str], guard: bytes) -> bytes:
    """A run's text; its roles are found in its first part."""
    rest = rb"(?:" + guard + _CHARACTER + rb")*"
    if part.kind == "request" and roles:
        return request_pattern(part._replace(stop=' "'), roles, guard, rest)
    if part.kind == "uri" and roles:
        return rb"((?:" + guard + _BESIDE_PATH + rb")*)" + rest
    return rb"(" + rest + rb")" if roles else rest


def _certain(part: Part) -> bytes:
    """The pattern of a part of an anchor: no text is taken for it because it could be there."""
    if part.kind == "status":
        return rb"\d{3}"
    return _time(part.kind) if clocks.is_time(part.kind) else pattern_of(part, ())


def _time(kind: str) -> bytes:
    """A time, of whose seconds of the epoch no digit lacks."""
    return re.sub(rb"\\d\{1,(\d\d)\}", rb"(?<!\\d)\\d{\1}", clocks.shape(kind)) + rb"(?!\d)"


def _no_more_times(parts: Sequence[Part], kind: str) -> bytes:
    """A look ahead for more times than a record has."""
    mark = _time(kind).replace(rb"(?<!\d)", b"")  # digits of the record before may stand right before it
    times = sum(part.kind == kind for part in parts)
    return rb"(?!(?:[^" + CONTROLS + rb"]*?" + mark + rb"){%d})" % (times + 1)
