"""Channels: the ordered rules that say to whom a request is billed. The first rule that matches decides.

Rules are indexed once, so that thousands of them cost a request no more than one: exact hosts and suffixes are looked
up by name, path prefixes by length.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike

from edgetally.errors import EdgetallyError, nearest
from edgetally.formats.values import normal_host
from edgetally.limits import UNASSIGNED
from edgetally.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_KEYS = ("channel", "host", "path", "log")
_NEVER = 1 << 62
_CACHED_HOSTS = 50_000


class Rule(NamedTuple):
    """One rule: a request matches when all that is given does.

    host: exact, or `*.suffix` for names of any depth below the suffix. path: a prefix. log: a log's name, exact.
    """

    channel: str
    host: str | None = None
    path: str | None = None
    log: str | None = None


@dataclass
class PathRules:
    """The rules of one host pattern: the first one without a path, and the first one of every path prefix."""

    any_path: int = _NEVER
    prefixes: dict[str, int] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)

    def add(self, number: int, path: str | None) -> None:
        """Add a rule. Rules come in their order, so the first of a kind stays."""
        if path is None:
            self.any_path = min(self.any_path, number)
        elif path not in self.prefixes and number < self.any_path:
            self.prefixes[path] = number
            self.lengths = sorted({*self.lengths, len(path)})

    def first(self, path: str) -> int:
        """The number of the first rule with a path that matches this one."""
        return min([self.prefixes.get(path[:length], _NEVER) for length in self.lengths], default=_NEVER)


class HostRules:
    """The rules that can match one host.

    constant: its channel where the path does not matter, else None. by_path: else the rules that look at it; the first
    that matches decides, unless the rule `limit`, which is for any path, comes before. key: tells all that from others.
    """

    def __init__(self, groups: Sequence[PathRules], rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._any_path = min((group.any_path for group in groups), default=_NEVER)
        self.by_path = [group for group in groups if min(group.prefixes.values(), default=_NEVER) < self._any_path]
        self.constant = None if self.by_path else self.without_path
        self.key = (self._any_path, *map(id, self.by_path))

    def channel(self, path: str) -> str:
        """The channel of a request for this path."""
        if self.constant is not None:
            return self.constant
        return self.channel_of(min(min(group.first(path) for group in self.by_path), self._any_path))

    @property
    def limit(self) -> int | None:
        """The first rule that matches whatever the path is."""
        return None if self._any_path == _NEVER else self._any_path

    @property
    def without_path(self) -> str:
        """The channel where no prefix matches."""
        return self.channel_of(self._any_path)

    def channel_of(self, number: int) -> str:
        """The channel of a rule."""
        return UNASSIGNED if number == _NEVER else self._rules[number].channel


class ChannelMap:
    """Resolves requests to channels by an ordered list of rules."""

    def __init__(self, rules: Iterable[Rule | Mapping[str, Any]], source: str = "channels") -> None:
        """rules: Rule objects, or mappings as the file has them. source: named in messages.

        Raises EdgetallyError for an empty list and for a rule that cannot mean anything.
        """
        listed = list(rules)
        if not listed:
            raise EdgetallyError(f"{source}: the list of rules is empty: add a rule such as {_EXAMPLE}")
        self.rules = tuple(_check_rule(_as_mapping(rule), number, source) for number, rule in enumerate(listed, 1))
        self._indexes: dict[str, dict[str, PathRules]] = {}
        self._hosts: dict[tuple[str, str], HostRules] = {}

    @classmethod
    def load(cls, path: str | PathLike[str]) -> ChannelMap:
        """Read a channel map: a JSON list of objects. Raises EdgetallyError with one sentence for what is wrong."""
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
        except OSError as error:
            raise EdgetallyError(
                f"{path} cannot be read ({error.strerror}): name the file that holds the rules"
            ) from None
        except (ValueError, RecursionError) as error:
            raise EdgetallyError(f"{path} is not JSON ({error}): write a list of rules such as [{_EXAMPLE}]") from None
        if not isinstance(data, list):
            raise EdgetallyError(f"{path} is not a list of rules: write [{_EXAMPLE}, …]")
        return cls(data, str(path))

    def needs_path(self, log: str) -> bool:
        """Whether some rule for this log looks at the path."""
        return any(rule.path is not None for rule in self.rules if rule.log in (None, log))

    def resolve(self, log: str, host: str, path: str) -> str:
        """The channel of a request, or `unassigned`. host: as normal_host gives it; path: raw, without query."""
        return self.rules_for(log, host).channel(path)

    def rules_for(self, log: str, host: str) -> HostRules:
        """The rules that can match one host. host: as normal_host gives it."""
        rules = self._hosts.get((log, host))
        if rules is None:
            if len(self._hosts) >= _CACHED_HOSTS:  # hosts are the clients' choice: bound what they can fill
                self._hosts.clear()
            rules = self._hosts[log, host] = HostRules(self._candidates(log, host), self.rules)
        return rules

    def _candidates(self, log: str, host: str) -> list[PathRules]:
        """The groups of rules that can match a host."""
        if log not in self._indexes:
            self._indexes[log] = self._index(log)
        index = self._indexes[log]
        labels = host.split(".")
        names = ["", host] + ["*." + ".".join(labels[n:]) for n in range(1, len(labels))]
        return [index[name] for name in dict.fromkeys(names) if name in index]

    def _index(self, log: str) -> dict[str, PathRules]:
        """The rules for one log, by host pattern; the empty pattern is any host."""
        index: dict[str, PathRules] = {}
        for number, rule in enumerate(self.rules):
            if rule.log in (None, log):
                index.setdefault(rule.host or "", PathRules()).add(number, rule.path)
        return index


# --------------------------------------------------------------------------------------------------------------------
# Strict reading

_EXAMPLE = '{"channel": "video", "host": "*.v.example.com", "path": "/live/"}'


def _as_mapping(rule: Any) -> Any:
    if not isinstance(rule, Rule):
        return rule
    return {key: value for key, value in rule._asdict().items() if value is not None}


def _check_rule(data: Any, number: int, source: str) -> Rule:
    """One rule of the file, checked. number counts from 1, as people do."""
    where = f"{source}: rule {number}"
    if not isinstance(data, Mapping):
        raise EdgetallyError(f"{where} is not an object: write it as {_EXAMPLE}")
    for key in data:
        if key not in _KEYS:
            close = nearest(str(key), _KEYS)
            hint = f"did you mean '{close}'?" if close else f"a rule has {', '.join(_KEYS)}"
            raise EdgetallyError(f"{where} has the unknown key '{key}': {hint}")
    for key, value in data.items():
        if not isinstance(value, str) or not value.strip():
            raise EdgetallyError(f"{where}: {key} must be a text that is not empty, not {json.dumps(value)}")
    if "channel" not in data:
        raise EdgetallyError(f"{where} has no channel: add the name to bill, as in {_EXAMPLE}")
    if len(data) == 1:
        raise EdgetallyError(f"{where} matches nothing in particular: add host, path or log, as in {_EXAMPLE}")
    host = _check_host(data["host"], where) if "host" in data else None
    return Rule(_check_channel(data["channel"], where), host, _check_path(data.get("path"), where), data.get("log"))


def _check_channel(name: str, where: str) -> str:
    if name != name.strip() or not name.isprintable() or len(name.encode()) > 255:
        raise EdgetallyError(f"{where}: channel {name!r} is no usable name: at most 255 bytes, no space around it")
    if name == UNASSIGNED:
        raise EdgetallyError(f"{where}: '{UNASSIGNED}' is the channel of what no rule matches: choose another name")
    return name


def _check_path(path: str | None, where: str) -> str | None:
    if path is not None and not path.startswith("/"):
        raise EdgetallyError(
            f"{where}: path '{path}' never matches: a path begins with /, such as /{path.strip('*/')}/"
        )
    if path is not None and any(char in path for char in "?*"):
        raise EdgetallyError(f"{where}: path '{path}' never matches: it is a plain prefix, without * or ?query")
    return path


def _check_host(host: str, where: str) -> str:
    """A host as requests have it, or `*.` and such a host."""

    def refuse(why: str) -> NoReturn:
        raise EdgetallyError(f"{where}: host '{host}' {why}: write www.example.com or *.example.com")

    name = host[2:] if host.startswith("*.") else host
    if "://" in name or "/" in name or name != name.strip():
        refuse("is more than a host's name")
    if "*" in name:
        refuse("has a * where none can be")
    if not name.isascii():
        refuse("is not in the form that requests carry (xn--…)")
    if normal_host(name.encode()) != _without_dot(name.lower()):
        refuse("has a port or no name")
    return host[: len(host) - len(name)] + normal_host(name.encode())


def _without_dot(name: str) -> str:
    bare_v6 = name.count(":") > 1 and not name.startswith("[")
    return f"[{name}]" if bare_v6 else name.rstrip(".")


def hosts_by_bytes(hosts: Mapping[str, Sequence[int]], limit: int) -> list[tuple[str, int, int]]:
    """The biggest of some hosts, as (host, requests, bytes)."""
    ranked = sorted(hosts.items(), key=lambda item: (-item[1][1], -item[1][0], item[0]))
    return [(host, requests, size) for host, (requests, size) in ranked[:limit]]
