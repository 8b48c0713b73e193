"""What others put around a server's line: containers' logs and syslog daemons."""

from __future__ import annotations

import json
import re

from edgetally.formats.pattern import SYSLOG, Part

# Docker's json-file, and CRI's whole lines; what is written in parts is left in parts.
_DOCKER_BEGIN = b'{"log":"'
_DOCKER = re.compile(re.escape(_DOCKER_BEGIN) + rb'.*\\n","stream":"(?:stdout|stderr)".*\}')
_CRI = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) F "
_PREFIX = re.compile(_CRI + rb"|" + SYSLOG)
_APART = ("clf", "haproxy", "epoch")
_ONE_WORD = ("word", "address")


def unwrapped(line: bytes) -> bytes | None:
    """What is in a wrapped line; None where it is not wrapped."""
    found = _PREFIX.match(line)
    if found:
        return line[found.end() :]
    if line.startswith(_DOCKER_BEGIN) and _DOCKER.fullmatch(line.rstrip(b"\r")):
        return _docker(line)
    return None


def _docker(line: bytes) -> bytes | None:
    """The line in an entry of Docker's json-file."""
    try:
        text = json.loads(line.decode("utf-8", "surrogateescape"))["log"]
        return text.encode("utf-8", "surrogateescape").rstrip(b"\n") if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def is_apart(first: Part, has_role: bool) -> bool:
    """Whether a format of which this is the first part takes no wrapped line, or finds the same in it.

    has_role: whether the part counts.
    """
    if first.kind == "literal":
        return not re.match(r"[0-9A-Z<]", first.name)
    return first.kind in _APART or (first.kind in _ONE_WORD and not has_role)
