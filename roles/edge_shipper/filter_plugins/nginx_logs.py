"""Filters that read what `nginx -T` prints: which access logs a configuration has, and who does not write to one.

An access_log in a block replaces those of the blocks around it, so a virtual host with an access_log of its own writes
nothing to the log that the role adds at the level of http.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch

FORMAT = "edgetally"

_FILE = re.compile(r"^# configuration file (.+):\n", re.MULTILINE)
_TOKEN = re.compile(
    r"""\s+|#[^\n]*|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([;{}])|((?:\$\{[^}]*\}|\\.|[^\s;{}])+)""", re.DOTALL
)


@dataclass
class Log:
    """An access_log directive: its words after the first, and `file:line`, where it stands."""

    words: list[str]
    place: str

    @property
    def file(self) -> str:
        """The file in which it stands."""
        return self.place.rpartition(":")[0]


@dataclass
class Block:
    """A block of the configuration with its own access_log lines. path: the blocks' names from the outermost in."""

    path: tuple[str, ...]
    logs: list[Log] = field(default_factory=list)


class Configuration:
    """A whole configuration, as `nginx -T` prints it: file after file, each include where its file is read in."""

    def __init__(self, dump: str) -> None:
        pieces = _FILE.split(dump)
        self._files = dict(zip(pieces[1::2], pieces[2::2]))
        self._main = pieces[1] if len(pieces) > 1 else ""
        self.blocks = [Block(())]
        if self._main:
            self._read(self._main, self.blocks[0])

    def _read(self, file: str, block: Block) -> None:
        self._fill(block, file, _words(self._files[file]))

    def _fill(self, block: Block, file: str, words: Iterator[tuple[str, str, int]]) -> None:
        """Read directives up to the block's end."""
        directive: list[str] = []
        for mark, word, line in words:
            if mark == "}":
                return
            if not mark:
                directive.append(word)
                continue
            if mark == "{":
                inner = Block((*block.path, directive[0] if directive else ""))
                self.blocks.append(inner)
                self._fill(inner, file, words)
            elif directive[:1] == ["access_log"]:
                block.logs.append(Log(directive[1:], f"{file}:{line}"))
            elif directive[:1] == ["include"]:
                self._include(block, directive[-1])
            directive = []

    def _include(self, block: Block, pattern: str) -> None:
        pattern = posixpath.join(posixpath.dirname(self._main), pattern)
        for file in sorted(name for name in self._files if fnmatch(name, pattern)):
            self._read(file, block)


def _words(text: str) -> Iterator[tuple[str, str, int]]:
    """The words and marks of a file, with their lines: (mark, word, line), one of the first two empty."""
    for found in _TOKEN.finditer(text):
        double, single, mark, bare = found.groups()
        word = next((value for value in (double, single, bare) if value is not None), None)
        if mark or word is not None:
            yield mark or "", word or "", text.count("\n", 0, found.start()) + 1


def nginx_log_files(dump: str) -> list[str]:
    """The files in which an access_log stands that holds for all of http."""
    return [log.file for block in Configuration(dump).blocks if block.path == ("http",) for log in block.logs]


def nginx_left_out(dump: str, path: str) -> list[str]:
    """Where (`file:line`) an access_log keeps lines from the log `path` in our format, or writes others into it.

    `off` in a virtual host or a location is its owner's wish; in http it would switch our log off too.
    """
    found = []
    for block in Configuration(dump).blocks:
        if block.path[:1] != ("http",) or not block.logs:
            continue
        mixed = [log for log in block.logs if log.words[0] == path and log.words[1:2] != [FORMAT]]
        off = [log for log in block.logs if log.words == ["off"]]
        wrong = mixed or (off if len(block.path) == 1 else [])
        if not wrong and not off and [path, FORMAT] not in [log.words[:2] for log in block.logs]:
            wrong = block.logs
        found += [log.place for log in wrong[:1]]
    return found


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """The filters by name."""
        return {"nginx_log_files": nginx_log_files, "nginx_left_out": nginx_left_out}
