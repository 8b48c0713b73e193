"""Variables of the shell and of systemd: where a file gives one a value, and words in which it stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from edgetally.check.servers.source import Source

_SHELL = re.compile(r"(?:export\s+|readonly\s+|local\s+)?([A-Za-z_]\w*=.*)$")
_UNIT = re.compile(r"Environment=(.*)$")
_NAMED = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_LEFT = re.compile(r"\$\{?\w[^}\s\"']*\}?|\$\{[^}]*\}|\$\(|%\(ENV_\w+\)s")


def given(source: Source) -> dict[str, str]:
    """What a file gives its variables; a value that is made of others, or of a program's output, is not known."""
    found: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", "", source.text).splitlines():
        shell, unit = _SHELL.match(line.strip()), _UNIT.match(line.strip())
        try:
            words = shlex.split(unit[1] if unit else shell[1] if shell else "", comments=True)
        except ValueError:  # a value over several lines
            continue
        for word in words if unit else words[:1]:
            name, _, value = word.partition("=")
            if left_in(value) or (len(words) > 1 and not unit):
                found.pop(name, None)
            else:
                found[name] = value
    return found


def filled(text: str, values: Mapping[str, str]) -> list[str]:
    """A command's words, with variables as far as these are known. A bare one holds words of its own.

    Raises ValueError where a quote is not closed.
    """
    return [word for raw in _raw_words(text) for word in _words(raw, values)]


def _words(raw: str, values: Mapping[str, str]) -> list[str]:
    alone = _NAMED.fullmatch(raw)
    name = (alone[1] or alone[2]) if alone else ""
    if name in values:
        return shlex.split(values[name])
    quoted = "'" in raw[:1]
    return [word if quoted else _NAMED.sub(lambda one: _value(one, values), word) for word in shlex.split(raw)]


def _value(match: re.Match[str], values: Mapping[str, str]) -> str:
    return values.get(match[1] or match[2], match[0])


def _raw_words(text: str) -> Iterator[str]:
    """The words as written, with their quotes."""
    shlex.split(text)  # so that what is not closed is said
    yield from re.findall(r"(?:[^\s\"'\\]|\\.|\"(?:[^\"\\]|\\.)*\"|'[^']*')+", text, re.S)


def left_in(text: str) -> str:
    """The first variable in a text whose value is not known; empty for none."""
    found = _LEFT.search(text)
    return found[0] if found else ""
