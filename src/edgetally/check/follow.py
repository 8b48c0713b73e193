"""Follows the includes of configuration files, as far as they lie in the folder of the file that was named.

What lies elsewhere may be another host's: a configuration that was copied here is not mixed with that of this host.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from glob import glob
from itertools import count
from typing import Any

from edgetally.check import defects
from edgetally.check.servers.source import MOST_BYTES, Source, source_of

MOST_FILES = 500


def together(named: Sequence[Source], server: Any) -> list[Source]:
    """The files that were named and those that they include, each of which knows of the others.

    server: the module of their server: its `included(source)` has the lines of includes and their names, its
    `inside(source, name)` the block that an include stands in, its `root(source)` the folder that names begin at.
    """
    group = _Group(named, server)
    if hasattr(server, "included"):
        group.follow()
    return group.sources()


class _Group:
    """Files by their real paths, and the includes of each that are among them."""

    def __init__(self, named: Sequence[Source], server: Any) -> None:
        self._server, self._numbers = server, count()
        self._found = {_key(one.path): one._replace(place=(next(self._numbers),)) for one in named}
        self._followed: defaultdict[str, set[str]] = defaultdict(set)

    def follow(self) -> None:
        """Find what is included."""
        waiting = [(key, _roots(source, self._server)) for key, source in self._found.items()]
        while waiting:
            key, roots = waiting.pop(0)
            for line, name in self._server.included(self._found[key]):
                files = {_key(path): path for path in _matching(name, roots) if os.path.isfile(path)}
                if files or (_is_pattern(name) and any(os.path.isdir(one) for one in _folders(name, roots))):
                    self._followed[key].add(name)
                waiting += [(new, roots) for new in self._take(key, line, name, files)]

    def _take(self, key: str, line: int, name: str, files: Mapping[str, str]) -> list[str]:
        """Take the files of an include, as far as there is room. Returns those that are new."""
        new = [one for one in files if one not in self._found]
        room = max(MOST_FILES - len(self._found), 0)
        if new[room:]:
            self._leave(key, line, f"it includes {name}, of which {len(new[room:])} files")
        inside = self._inside(self._found[key], name)
        for one in new[:room]:
            self._found[one] = _read(files[one])._replace(inside=inside)
        for one in files:
            self._put(one, (*self._found[key].place, line, next(self._numbers)))
        return new[:room]

    def _put(self, key: str, place: tuple[int, ...]) -> None:
        """Say where a file is read, if that is not known: where it was named, if it does not lead there itself."""
        source = self._found.get(key)
        if source and len(source.place) < 2 and source.place != place[:1]:
            self._found[key] = source._replace(place=place)

    def _leave(self, key: str, line: int, what: str) -> None:
        source = self._found[key]
        said = f"{what} are left: {MOST_FILES} files are looked at, and no more"
        self._found[key] = source._replace(left=(*source.left, defects.INCLUDE.found(said, where=source.at(line))))

    def _inside(self, source: Source, name: str) -> str:
        return source.inside or (self._server.inside(source, name) if hasattr(self._server, "inside") else "")

    def sources(self) -> list[Source]:
        """All that was found, each with the others in the order in which the server reads them."""
        ordered = sorted(self._found.items(), key=lambda one: one[1].place)
        return [
            source._replace(
                others=tuple(other for name, other in ordered if name != key), followed=frozenset(self._followed[key])
            )
            for key, source in self._found.items()
        ]


def _read(path: str) -> Source:
    """A file that another one includes."""
    try:
        with open(path, "rb") as file:
            return source_of(path, file.read(MOST_BYTES + 1))
    except OSError as error:
        what, mend = f"it cannot be read ({error.strerror})", "see that it can be read, and check again"
        return Source(path, "", left=(defects.NOT_LOOKED_AT.found(what, mend=mend, where=path),))


def _key(path: str) -> str:
    return os.path.realpath(path)


def _roots(source: Source, server: Any) -> list[str]:
    """The folders that includes may lie in: that of the file, and the server's own where the file is in that."""
    here = os.path.dirname(os.path.abspath(source.path))
    own = server.root(source) if hasattr(server, "root") else ""
    return [here, *([os.path.normpath(own)] if own and _is_below(here, own) else [])]


def _is_below(path: str, folder: str) -> bool:
    return os.path.normpath(path).startswith(os.path.join(os.path.normpath(folder), "")) or path == folder


def _places(name: str, roots: Sequence[str]) -> list[str]:
    """Where an include can mean: absolute names below a root, others in each of them."""
    places = [os.path.normpath(os.path.join(root, name)) for root in roots]
    return list(dict.fromkeys(place for place in places if any(_is_below(place, root) for root in roots)))


def _matching(name: str, roots: Sequence[str]) -> Iterator[str]:
    for place in _places(name, roots):
        yield from sorted(glob(os.path.join(place, "*") if os.path.isdir(place) else place))


def _is_pattern(name: str) -> bool:
    return any(char in name for char in "*?[")


def _folders(name: str, roots: Sequence[str]) -> list[str]:
    return [os.path.dirname(place) for place in _places(name, roots)]
