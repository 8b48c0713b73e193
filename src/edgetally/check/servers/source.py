"""A server's configuration file, and what such files have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, wraps
from typing import NamedTuple, TypeVar

from edgetally.check import defects
from edgetally.formats.finding import Finding

_WORD = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:\\.|\S)+""", re.S)
_STREAMS = re.compile(r"syslog:|/dev/std(?:out|err)$|/proc/self/fd/|-$")
_Found = TypeVar("_Found")

MOST_BYTES = 1 << 20  # of a file that are looked at


class Source(NamedTuple):
    """A configuration file.

    others: the files of the same server that are looked at as well, in the order in which it reads them; followed: the
    includes of this one that are among them, as written. inside: the block of another file that it is included in,
    where that matters. place: where it is read, as the numbers on the way to it; left: what was not looked at.
    """

    path: str
    text: str
    others: tuple[Source, ...] = ()
    followed: frozenset[str] = frozenset()
    inside: str = ""
    place: tuple[int, ...] = ()
    left: tuple[Finding, ...] = ()

    def at(self, line: int) -> str:
        """Where a finding is: the file and the line, which counts from 1."""
        return f"{self.path}:{line}"


def source_of(path: str, data: bytes) -> Source:
    """A file, given its beginning. data: one byte more than are looked at, where it has so many."""
    if len(data) <= MOST_BYTES:
        return Source(path, data.decode("utf-8", "replace"))
    what = f"it is longer than {MOST_BYTES >> 20} MiB, and what stands behind that was not looked at"
    whole_lines = data[: data.rfind(b"\n", 0, MOST_BYTES) + 1]
    return Source(path, whole_lines.decode("utf-8", "replace"), left=(defects.NOT_LOOKED_AT.found(what, where=path),))


def once(read: Callable[[Source], Iterable[_Found]]) -> Callable[[Source], Sequence[_Found]]:
    """Have each file read only once by a function, though it is looked at in the light of every other one."""

    @cache
    def kept(path: str, text: str, inside: str) -> Sequence[_Found]:
        return tuple(read(Source(path, text, inside=inside)))

    @wraps(read)
    def found(source: Source) -> Sequence[_Found]:
        return kept(source.path, source.text, source.inside)

    return found


def in_others(source: Source, read: Callable[[Source], Iterable[_Found]]) -> Iterator[tuple[Source, _Found]]:
    """What a function finds in the other files, each with its file."""
    return ((other, found) for other in source.others for found in read(other))


class Line(NamedTuple):
    """A directive in one line: its number, its words as written, its text."""

    number: int
    words: list[str]
    text: str


@once
def lines(source: Source) -> Iterator[Line]:
    """The directives of a file of lines: without comments, and with what a backslash at a line's end joins."""
    text, first = "", 1
    for number, raw in enumerate(source.text.splitlines(), 1):
        text, first = (text + raw, first) if text else (raw, number)
        if raw.endswith("\\"):
            text = text[:-1]
            continue
        words = _WORD.findall(text)
        end = next((at for at, word in enumerate(words) if word.startswith("#")), len(words))
        if end:
            bare = text if end == len(words) else text[: text.index(words[end])]
            yield Line(first, words[:end], bare.strip())
        text = ""


def bare(word: str) -> str:
    """A word without the quotes around it."""
    return word[1:-1] if len(word) > 1 and word[0] in "\"'" and word[-1] == word[0] else word


NOWHERE = "/dev/null"


def is_nowhere(path: str) -> bool:
    """Whether a log goes where nothing is kept."""
    return path == NOWHERE or path.endswith(f":{NOWHERE}")


def target(path: str, where: str) -> Iterator[Finding]:
    """A finding where a log goes to a program, to the system's log, or to a file whose name each request makes."""
    if is_nowhere(path):
        yield defects.LOG_OFF.found(f"the log goes to {NOWHERE}", where=where)
    elif path.startswith("|"):
        if re.search(r"\b(?:rotatelogs|cronolog|httplog|rotate)\b", path):
            yield defects.OTHER_ROTATOR.found(f"{path.split()[0].lstrip('|$')} rotates the log", where=where)
        else:
            yield defects.PIPED_LOG.found(f"its log goes to a program, {path.lstrip('|$ ').split()[0]}", where=where)
    elif _STREAMS.match(path):
        yield defects.NO_FILE.found(f"its log goes to {path.split(',')[0]}", where=where)
    elif re.search(r"\$\w|%\{?[A-Za-z]", path):
        yield defects.VARIABLE_PATH.found(f"the name of the log, {path}, is made for each request", where=where)


def two_logs(defect_of: Iterable[tuple[object, str, str]]) -> Iterator[Finding]:
    """Findings of logs that hold the same requests, given each log's block, path and place."""
    seen: dict[object, str] = {}
    for block, path, where in defect_of:
        if is_nowhere(path):
            continue
        if block in seen and seen[block] != path:
            yield defects.TWO_LOGS.found(f"{path} holds the same requests as {seen[block]}", where=where)
        seen.setdefault(block, path)


def includes(source: Source, included: Iterable[tuple[int, str]]) -> Iterator[Finding]:
    """One note about the files that a file includes and that are not looked at, given their lines and names."""
    left = [(line, name) for line, name in included if name not in source.followed]
    named = [(line, name) for line, name in left if not re.search(r"mime\.types$|_params$|modules|mods-", name)]
    if named:
        what = f"it includes {', '.join(dict.fromkeys(name for _, name in named))}"
        yield defects.INCLUDE.found(what, where=source.at(named[0][0]))


def used_in(found: Iterable[Finding], where: str) -> Iterator[Finding]:
    """Findings of a format that one file defines and another one uses: both are named."""
    return (finding._replace(what=f"{finding.what}, in the format that {where} uses") for finding in found)


def elsewhere(name: str, where: str) -> Finding:
    """A format that another file defines, which is not looked at."""
    return defects.FORMAT_ELSEWHERE.found(f"the format '{name}' is not defined in this file", where=where)
