"""The rules that look at the path, as trees of prefixes that the kernel goes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgetally.tally.channels import HostRules
from edgetally.tally.engines.kernel.structures import NO_NODE, NONE, Node


class Rules:
    """Trees of prefixes, one for each set of rules. changed: whether one was added."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.pool = bytearray()
        self._roots: dict[tuple[int, ...], int] = {}

    def root_of(self, rules: HostRules) -> int:
        """The node where the rules of a host begin; many hosts have the same.

        A backslash in a prefix matches bytes that are no UTF-8, as they are shown: such rules have no tree, and the
        kernel leaves their lines.
        """
        if rules.key not in self._roots:
            self._roots[rules.key] = self._plant(rules.prefixes)
        return self._roots[rules.key]

    def _plant(self, prefixes: Mapping[str, int]) -> int:
        """Make a tree. prefixes: the number of the first rule with each."""
        if any("\\" in prefix for prefix in prefixes):
            return NO_NODE
        root = len(self.nodes)
        self.nodes.append(Node())
        self._grow(root, sorted((prefix.encode(), number) for prefix, number in prefixes.items()), 0)
        return root

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
