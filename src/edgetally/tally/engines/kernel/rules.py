"""The rules that look at the path, as the kernel reads them: for each host pattern a tree of prefixes.

A host's rules are those of some patterns, each a group. A group is planted once, however many hosts it is for: all of
this is no bigger than the rules are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct

from edgetally.record import NamedTuple
from edgetally.tally.channels import HostRules, PathRules
from edgetally.tally.engines.kernel.memory import Memory
from edgetally.tally.engines.kernel.structures import NONE, UNREADABLE

_NODE = Struct("<16s16s6I8x")
_GROUP = Struct("<3I")
_HEAD = Struct("<I")
_AT_ONCE = 16  # bytes of a node's text, and nodes that follow it

_Rule = tuple[int, int]  # its number, and its channel's
_Prefix = tuple[bytes, _Rule]


class _Branch(NamedTuple):
    """A node that is still to be made. depth: the bytes that lead to it; above: the first rule on the way."""

    node: int
    prefixes: Sequence[_Prefix]
    depth: int
    above: _Rule


class Rules:
    """Has the rules of hosts written into the kernel's memory. stops: what no path has."""

    def __init__(self, memory: Memory, stops: str) -> None:
        self._memory, self._stops = memory, stops
        self.channels: list[str] = []
        self._numbers: dict[str, int] = {}
        self._roots: dict[int, int] = {}
        self._groups: dict[tuple[int, ...], int] = {}

    def group_of(self, rules: HostRules) -> int:
        """The first group of a host's rules; many hosts have the same.

        A backslash in a prefix matches bytes that are no UTF-8, as they are shown: the kernel leaves such lines.
        """
        if rules.key not in self._groups:
            roots = [self._root_of(group, rules) for group in rules.by_path]
            self._groups[rules.key] = UNREADABLE if UNREADABLE in roots else self._chain(roots, rules.limit)
        return self._groups[rules.key]

    def _chain(self, roots: Sequence[int], limit: int | None) -> int:
        following = NONE
        for root in roots:
            data = _GROUP.pack(root, NONE if limit is None else limit, following)
            following = self._memory.append("groups", data)
        return following

    def _root_of(self, group: PathRules, rules: HostRules) -> int:
        if id(group) not in self._roots:
            self._roots[id(group)] = self._plant(group, rules)
        return self._roots[id(group)]

    def _plant(self, group: PathRules, rules: HostRules) -> int:
        """Make a tree. What holds a stop matches nothing, nor does half of a surrogate pair."""
        if any("\\" in prefix for prefix in group.prefixes):
            return UNREADABLE
        prefixes = [
            (prefix.encode(errors="ignore"), (number, self._channel(rules.channel_of(number))))
            for prefix, number in group.prefixes.items()
            if not any(stop in prefix for stop in self._stops) and prefix.encode(errors="ignore").decode() == prefix
        ]
        tree = _Tree(self._memory.count("nodes"), sorted(prefixes))
        return self._memory.append("nodes", b"".join(tree.nodes))

    def _channel(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = self._memory.append("heads", _HEAD.pack(NONE))
            self.channels.append(name)
        return self._numbers[name]


class _Tree:
    """The nodes of some prefixes, which are sorted. first: the number of its root."""

    def __init__(self, first: int, prefixes: Sequence[_Prefix]) -> None:
        self._first = first
        self.nodes = [b""]
        branches = [_Branch(0, prefixes, 0, (NONE, NONE))]
        while branches:
            branches.extend(self._grow(branches.pop()))

    def _grow(self, branch: _Branch) -> list[_Branch]:
        """Make a node; returns those that follow. Its prefixes are the same for the first `depth` bytes."""
        node, prefixes, depth, rule = branch
        if not prefixes:
            return self._write(node, b"", {}, depth, rule)
        first, last = prefixes[0][0], prefixes[-1][0]
        end = min(_alike(first, last), depth + _AT_ONCE)
        if len(first) == end:
            rule, prefixes = min(rule, prefixes[0][1]), prefixes[1:]
        followers: dict[int, list[_Prefix]] = {}
        for prefix in prefixes:
            followers.setdefault(prefix[0][end], []).append(prefix)
        return self._write(node, first[depth:end], followers, end, rule)

    def _write(
        self, node: int, text: bytes, followers: Mapping[int, Sequence[_Prefix]], end: int, rule: _Rule
    ) -> list[_Branch]:
        """Write a node, and beside it as many as its followers need."""
        child, firsts = self._new(len(followers)), bytes(followers)
        for at in range(0, max(len(firsts), 1), _AT_ONCE):
            some = firsts[at : at + _AT_ONCE]
            more = self._new(1) if at + _AT_ONCE < len(firsts) else NONE
            following = NONE if more == NONE else self._first + more
            values = (len(text), self._first + child + at, len(some), following, *rule)
            self.nodes[node] = _NODE.pack(text, some, *values)
            node = more
        return [_Branch(child + n, prefixes, end, rule) for n, prefixes in enumerate(followers.values())]

    def _new(self, count: int) -> int:
        self.nodes.extend([b""] * count)
        return len(self.nodes) - count


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes two texts begin with that are the same."""
    return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
