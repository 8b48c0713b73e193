"""A log format, compiled: what its lines look like, and which fields give the time, the bytes, the host and so on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType

from edgetally.errors import EdgetallyError
from edgetally.formats import clocks, loose
from edgetally.formats.finding import Finding
from edgetally.formats.json_line import Member, ObjectReader
from edgetally.formats.loose import Run
from edgetally.formats.pattern import CONTROLS, Part, pattern_of
from edgetally.formats.values import DIRECTIVE, NGINX_HIT, hit_words, normal_host
from edgetally.formats.wrapped import unwrapped
from edgetally.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Key = tuple[bytes, ...]
Row = Sequence[bytes]

NO_NOTICES = re.compile(rb"(?!)")
_RANK = ("time", "duration", "host", "hit", "path", "size")  # the order in a key; the size stands apart
_INSIDE = ("host", "path")  # a request holds both, in this order


class Matcher(NamedTuple):
    """A format's pattern for lines, and the functions that pick a match's key and size.

    pattern: for blanked data; multi-line, anchored to whole lines; it never matches across a line's end. Where lines
    are JSON it is what reads one. A key is the time, the hosts in their order of precedence, the cache's word, and the
    path: what the format says of these, and the path if asked for. Where the log has a transfer's start, the time is
    start and duration with a newline between them. loose: reads lines that the pattern does not take, where a text
    holds blanks that nothing encloses; its groups are the same.
    """

    pattern: re.Pattern[bytes] | ObjectReader
    without_controls: re.Pattern[bytes] | ObjectReader
    loose: re.Pattern[bytes] | None
    key_of: Callable[[Row], Key]
    size_of: Callable[[Row], bytes]


class LogFormat(NamedTuple):
    """A log format that lines can be read with.

    server: `nginx`, `apache`, `squid` and so on, or empty where several write it. bytes_meaning: `wire` (headers
    included) or `body`. adds_duration: the time is a start, and the duration is added to it. escapes: a backslash in a
    value escapes a quote or a backslash. blanks: how many stand in a line whose strings hold none; 0 where strings in
    quotes are nothing special. notices: lines that are no requests, where they fit nothing else. runs: the texts that
    may hold blanks though only a blank ends them. members: where lines are JSON objects, the members that the parts are
    the values of. hit_given: the field and the words of `with_hit`. findings: what makes a bill from this format less
    right. advice: what its server can log for each role.
    """

    name: str
    description: str
    example: str
    server: str
    parts: tuple[Part, ...]
    roles: Mapping[str, tuple[int, ...]]
    bytes_meaning: str = "wire"
    adds_duration: bool = False
    hit: re.Pattern[bytes] = NGINX_HIT
    escapes: bool = True
    findings: tuple[Finding, ...] = ()
    blanks: int = 0
    notices: re.Pattern[bytes] = NO_NOTICES
    runs: tuple[Run, ...] = ()
    members: tuple[Member, ...] = ()
    hit_given: str = ""
    advice: Mapping[str, str] = MappingProxyType({})

    @property
    def warnings(self) -> list[str]:
        """The findings that are more than notes, one sentence each."""
        return [str(finding) for finding in self.findings if finding.severity != "note"]

    @property
    def hit_known(self) -> bool:
        """Whether the format tells a hit from a miss."""
        return "hit" in self.roles

    @property
    def has_host(self) -> bool:
        """Whether the format says which host was asked for."""
        return "host" in self.roles

    @property
    def has_path(self) -> bool:
        """Whether the format says which path was asked for."""
        return "path" in self.roles

    @property
    def has_duration(self) -> bool:
        """Whether the format says how long a transfer lasted."""
        return "duration" in self.roles

    def with_hit(self, text: str) -> LogFormat:
        """The format with the field and the words that are hits, as in `X-Cache:HIT,STALE`; as it is for an empty text.

        The field is written as in the format, or as a header's name alone. Raises EdgetallyError where there is none.
        """
        name, _, words = text.rpartition(":")
        if not text:
            return self
        if not name or not words.strip(", "):
            raise EdgetallyError(f"hit '{text}' names no words: write it as FIELD:WORD,WORD")
        fields = [part.name for part in self.parts if part.kind != "literal" and part.name]
        braced = re.compile(rf"[{{(]{re.escape(name)}[)}}]", re.IGNORECASE)
        found = next((field for field in fields if field == name or braced.search(field)), None)
        if found is None:
            known = ", ".join(fields)
            raise EdgetallyError(f"hit '{text}': the format {self.name} has no field '{name}': name one of {known}")
        roles = {**self.roles, "hit": (next(n for n, part in enumerate(self.parts) if part.name == found),)}
        runs = loose.runs_of(self.parts, roles)
        return self._replace(roles=roles, hit=hit_words(words), runs=runs, hit_given=text)

    def check_spread(self) -> None:
        """Raise EdgetallyError where the bytes of a transfer cannot be spread over the time that it lasted."""
        if not self.has_duration:
            raise EdgetallyError(
                f"format {self.name} does not say how long a transfer lasted: log the duration too, or do not spread"
            )

    def matcher(self, paths: bool = False, durations: bool = False) -> Matcher:
        """Compile the pattern. Paths and durations are captured on demand only: they make keys many, the tally slow."""
        durations = durations or self.adds_duration
        captured, places = self._captured(paths, durations)
        keys = [place for role in ("time", "host", "hit", "path") for place in places[role]]
        key_of = _picker(keys, places["duration"][0]) if durations and places["duration"] else _picker(keys)
        size_of = _adder(places["size"])
        if self.members:
            reader = ObjectReader(self.members, captured)
            return Matcher(reader, reader, None, key_of, size_of)
        pattern = b"".join(pattern_of(part, inside) for part, inside in zip(self.parts, captured))
        strict = re.compile(rb"(?m)^" + pattern + rb"\r?$")
        without_controls = re.compile(pattern.replace(CONTROLS, b""))
        return Matcher(strict, without_controls, self.loose_pattern(captured.__getitem__), key_of, size_of)

    def loose_pattern(
        self, inside: Callable[[int], Sequence[str]] = lambda _: (), unique: bool = True
    ) -> re.Pattern[bytes] | None:
        """The pattern for lines whose texts hold blanks; None where no text can. inside, unique: see `loose`."""
        if not self.runs:
            return None
        time = self.parts[self.roles["time"][0]].kind
        return re.compile(loose.pattern(self.parts, self.runs, time, inside, unique) + rb"\r?")

    def _captured(self, paths: bool, durations: bool) -> tuple[list[list[str]], dict[str, list[int]]]:
        """For each part the roles that it is captured in, and for each role its groups in a match."""
        unwanted = {role for role, skip in (("path", not paths), ("duration", not durations)) if skip}
        wanted = [(role, part) for role in _RANK if role not in unwanted for part in self.roles.get(role, ())]
        captured: list[list[str]] = []
        for number in range(len(self.parts)):
            inside = [role for role, place in wanted if place == number]
            captured.append(sorted(inside, key=lambda role: _INSIDE.index(role) if role in _INSIDE else 0))
        groups = [(role, number) for number, inside in enumerate(captured) for role in inside]
        return captured, {role: [groups.index(pair) for pair in wanted if pair[0] == role] for role in _RANK}

    def sayer(self, places: Mapping[str, int]) -> Callable[[bytes], dict[str, bytes] | None]:
        """A function that gives the texts of some parts of a line by name; None where the line does not fit."""
        order = sorted(set(places.values()))
        fitting = self._fitting([["size"] if number in order else [] for number in range(len(self.parts))])

        def said(line: bytes) -> dict[str, bytes] | None:
            found = fitting(self.blanked(line))
            if found is None:
                inner = unwrapped(line)
                found = None if inner is None else fitting(self.blanked(inner))
            texts = None if found is None else found.groups(b"")
            return texts and {name: texts[order.index(place)] for name, place in places.items()}

        return said

    def _fitting(self, captured: Sequence[Sequence[str]]) -> Callable[[bytes], Any]:
        """A function that matches a whole line, with a group for each captured part; None where it does not fit."""
        if self.members:
            return ObjectReader(self.members, captured).fullmatch
        strict = re.compile(b"".join(pattern_of(part, inside) for part, inside in zip(self.parts, captured))).fullmatch
        loosely = self.loose_pattern(captured.__getitem__)
        return lambda line: strict(line) or (loosely.fullmatch(line) if loosely else None)

    @property
    def time_of(self) -> Callable[[bytes], float | None]:
        """A function that gives the epoch seconds of a key's time, or None where there is no such time."""
        clock = clocks.reader(self.parts[self.roles["time"][0]].kind)
        if not self.adds_duration:
            return clock
        return clocks.ends(clock, self.parts[self.roles["duration"][0]].kind)

    @property
    def transfer_of(self) -> Callable[[bytes], tuple[float, int] | None]:
        """A function that gives a transfer's end in epoch seconds and its duration in milliseconds.

        It takes the time of a key that was captured with durations, and gives None where there is no such time.
        """
        kind = self.parts[self.roles["duration"][0]].kind
        clock, lasted = clocks.reader(self.parts[self.roles["time"][0]].kind), clocks.microseconds(kind)
        end_of = clocks.ends(clock, kind) if self.adds_duration else lambda text: clock(text.partition(b"\n")[0])

        def transfer(text: bytes) -> tuple[float, int] | None:
            end = end_of(text)
            return None if end is None else (end, lasted(text.partition(b"\n")[2]) // 1000)

        return transfer

    def host_of(self, hosts: Key) -> str:
        """The host of a request: the first of those that a line names, in order of precedence; empty for none."""
        return next(filter(None, map(normal_host, hosts)), "")

    def is_hit(self, word: bytes) -> bool:
        """Whether the cache's word means a hit."""
        return self.hit.fullmatch(word) is not None

    def is_line(self, text: bytes) -> bool:
        """Whether a text that does not fit is a line that should: not blank, no directive, no notice."""
        return bool(text.strip()) and not DIRECTIVE.match(text) and not self.notices.match(text)

    def blanked(self, data: bytes) -> bytes:
        r"""The data, as long as before, with every escaped quote or backslash (\" and \\) replaced by ~~.

        This is what the pattern reads: it then needs no nested repetition, whose memory would grow with every backslash
        that a client sends. Pairs are taken from the left, so odd and even runs of backslashes differ. Where strings
        between blanks stand in quotes, they lose these, and have ~ in the place of their blanks.
        """
        if self.blanks and b'"' in data:
            from edgetally.formats.strings import unquoted

            return b"\n".join(unquoted(line, self.blanks) for line in data.split(b"\n"))
        if not self.escapes or b"\\" not in data:
            return data
        return data.replace(b"\\\\", b"~~").replace(b'\\"', b"~~")

    def explain(self, line: bytes) -> str:
        """Why a line does not fit: where it parts from the format, and what was expected there."""
        if b"\0" in line:
            return f"it holds NUL bytes, the first in column {line.index(0) + 1}"
        if self.members:
            return ObjectReader(self.members, [()] * len(self.members)).explain(unwrapped(line) or line)
        line = self.blanked(unwrapped(line) or line)
        ambiguous = self.loose_pattern(unique=False)
        if ambiguous and ambiguous.fullmatch(line):
            return f"it can be read in more than one way: {self.parts[self.runs[0].first].name} should stand in quotes"
        for count in range(len(self.parts), -1, -1):
            match = re.match(b"".join(pattern_of(part, ()) for part in self.parts[:count]), line)
            if match:
                break
        column = match.end() + 1 if match else 1
        if count == len(self.parts):
            return f"it goes on after the format's end, in column {column}"
        where = f"column {column}" if column <= len(line) else "its end"
        wanted = self.parts[count]
        return f"expected {repr(wanted.name) if wanted.kind == 'literal' else wanted.name} at {where}"


def _picker(places: Sequence[int], duration: int | None = None) -> Callable[[Row], Key]:
    """A function that picks a key's values from a match. A duration is joined to the first of them, the time."""
    if not places:
        return lambda _: ()
    pick = itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))
    if duration is None:
        return pick
    rest = itemgetter(*places[1:]) if len(places) > 2 else itemgetter(slice(places[-1], places[-1] + len(places) - 1))
    first = places[0]
    return lambda row: (row[first] + b"\n" + row[duration], *rest(row))


def _adder(places: Sequence[int]) -> Callable[[Row], bytes]:
    """A function that picks a match's size, or adds up the two that make it."""
    if len(places) == 1:
        return itemgetter(places[0])
    return lambda row: b"%d" % sum(int(row[place]) for place in places if row[place] != b"-")
