"""Follows the includes of configuration files, as far as they lie in the folder of the file that was named.

What lies elsewhere may be another host's: a configuration that was copied here is not mixed with that of this host.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from glob import glob
from typing import Any

from edgetally.check.servers.source import Source

_MOST_FILES, _MOST_BYTES = 500, 1 << 20


def together(named: Sequence[Source], server: Any) -> list[Source]:
    """The files that were named and those that they include, each of which knows of the others.

    server: the module of their server: its `included(source)` has the lines of includes and their names, its
    `inside(source, name)` the block that an include stands in, its `root(source)` the folder that names begin at.
    """
    found: dict[str, Source] = {_key(source.path): source for source in named}
    followed: dict[str, set[str]] = {}
    waiting = [(source, _roots(source, server)) for source in named] if hasattr(server, "included") else []
    while waiting:
        source, roots = waiting.pop(0)
        for _, name in server.included(source):
            files = [path for path in _matching(name, roots) if os.path.isfile(path)]
            if files or (_is_pattern(name) and any(os.path.isdir(one) for one in _folders(name, roots))):
                followed.setdefault(_key(source.path), set()).add(name)
            for path in files:
                if _key(path) not in found and len(found) < _MOST_FILES:
                    block = source.inside or (server.inside(source, name) if hasattr(server, "inside") else "")
                    found[_key(path)] = Source(path, _text(path), inside=block)
                    waiting.append((found[_key(path)], roots))
    every = list(found.items())
    return [
        one._replace(
            others=tuple(other for name, other in every if name != key), followed=frozenset(followed.get(key, ()))
        )
        for key, one in every
    ]


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


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return ""
