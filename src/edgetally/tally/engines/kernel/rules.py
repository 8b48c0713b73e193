"""The rules that look at the path, as trees of prefixes that the kernel goes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgetally.tally.engines.kernel.structures import NO_NODE, NONE, Node


class Rules:
    """Trees of prefixes, one for each set of rules. changed: whether one was added."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.pool = bytearray()
        self._roots: dict[tuple[tuple[str, int], ...], int] = {}

    def root_of(self, prefixes: Mapping[str, int]) -> int:
        """The node where some rules begin. prefixes: the number of the first rule with each.

        A backslash in a prefix matches bytes that are no UTF-8, as they are shown: such rules have no tree, and the
        kernel leaves their lines.
        """
        if any("\\" in prefix for prefix in prefixes):
            return NO_NODE
        key = tuple(sorted(prefixes.items()))
        if key not in self._roots:
            self._roots[key] = root = len(self.nodes)
            self.nodes.append(Node())
            self._grow(root, [(prefix.encode(), number) for prefix, number in key], 0)
        return self._roots[key]

    def _grow(self, place: int, prefixes: Sequence[tuple[bytes, int]], depth: int) -> None:
        """Make the node of some prefixes, which are sorted, and have the same first bytes, `depth` of them."""
        end = _alike(prefixes[0][0], prefixes[-1][0])
        label = prefixes[0][0][depth:end]
        rule = min((number for prefix, number in prefixes if len(prefix) == end), default=NONE)
        groups: dict[int, list[tuple[bytes, int]]] = {}
        for prefix, number in prefixes:
            if len(prefix) > end:
                groups.setdefault(prefix[end], []).append((prefix, number))
        child = len(self.nodes)
        offset, firsts = self._keep(label), self._keep(bytes(groups))
        self.nodes[place] = Node(offset, len(label), rule, child, len(groups), firsts)
        self.nodes.extend(Node() for _ in groups)
        for number, group in enumerate(groups.values()):
            self._grow(child + number, group, end)

    def _keep(self, text: bytes) -> int:
        self.pool += text
        return len(self.pool) - len(text)


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes two texts begin with that are the same."""
    return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
