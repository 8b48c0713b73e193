"""One server's trial: all of its fields logged at once, by one server, and what each log is then read as."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.tally.channels import ChannelMap
from edgetally.tally.count import tally
from edgetally.tally.result import Tally
from tests.fields.documented import DOCUMENTED
from tests.fields.kinds import END, KINDS, SECOND, Formats, Kind, split
from tests.fields.visits import LAST, http2, make_visits, tunnel
from tests.integration.conftest import wait_for
from tests.support.odd_traffic import Crowd, Seen, origin
from tests.support.servers import free_port

BASE = "base"
ROLES = ("time", "size", "host", "path", "duration", "hit")
_RULES = [{"channel": "slow", "path": "/slow"}, {"channel": "others", "path": "/"}]


@dataclass
class Trial:
    """What a server logged. formats: by a log's name its fields; seen: what clients received.

    began, ended: the moments between which all was logged, in seconds of the epoch; slow: one right before the slow
    transfer ended.
    """

    server: str
    folder: Path
    formats: Formats
    seen: dict[str, Seen]
    began: float
    ended: float
    slow: float

    @property
    def kind(self) -> Kind:
        """How the server logs."""
        return KINDS[self.server]

    def format(self, name: str) -> LogFormat:
        """The format of a log."""
        return parse_format(" ".join(self.formats[name]), self.server)

    def tally(self, name: str, engine: str = "reference", *, paths: bool = False, only: bytes = b"") -> Tally:
        """What a log comes to. paths: with a channel of what is slow; only: of lines that hold this."""
        log = self.folder / f"{name}.log"
        if only:
            whole, log = log.read_bytes().splitlines(keepends=True), log.with_suffix(".part")
            log.write_bytes(b"".join(line for line in whole if only in line))
        return tally([log], self.format(name), ChannelMap(_RULES) if paths else None, engine=engine)


def formats_of(server: str) -> dict[str, tuple[str, ...]]:
    """A format for each field, between two that are known; and one for each field that can take a role."""
    base = tuple(KINDS[server].base.values())
    formats = {BASE: (*base, END)}
    formats |= {f"f{number}": (*base, text, END) for number, text in enumerate(DOCUMENTED[server])}
    found = [(role, text) for text in DOCUMENTED[server] for role in roles_of(server, text)]
    return formats | {
        f"r{number} {role}".replace(" ", "_"): _instead(server, role, text) for number, (role, text) in enumerate(found)
    }


def roles_of(server: str, text: str) -> list[str]:
    """The roles that a field takes where nothing else of the format can."""
    return [role for role in ROLES if _takes(server, role, text)]


def _instead(server: str, role: str, text: str) -> tuple[str, ...]:
    """The base with another field in the place of what has a role."""
    return (*(field for roles, field in KINDS[server].base.items() if role not in roles.split()), text, END)


def _takes(server: str, role: str, text: str) -> bool:
    try:
        fmt = parse_format(" ".join(_instead(server, role, text)), server)
    except EdgetallyError:
        return False
    known = {fmt.parts[place].name for place in fmt.roles.get(role, ())}
    others = {word.strip('"[]') for field in _instead(server, role, "") for word in field.split()}
    return any(name in text and name not in others for name in known)


def run(server: str, folder: Path) -> Trial:
    """Have a server log all of its fields while clients visit it; it has ended then."""
    kind, formats, second, began = KINDS[server], formats_of(server), free_port(), time.time()
    with origin() as behind, kind.start(folder, behind, formats, second) as one:
        crowd = Crowd(one.port)
        if kind.http2:
            http2(second if kind.http2 == SECOND else one.port, folder)
        if kind.tunnel:
            tunnel(crowd, second if kind.tunnel == SECOND else one.port, behind.port)
        make_visits(crowd)
        logs = ("all",) if kind.together else tuple(formats)
        wait_for(f"{server}'s last line", lambda: all(_has_ended(folder / f"{name}.log") for name in logs))
        ended, slow = time.time(), behind.last_part
    if kind.together:
        split(folder, formats)
    return Trial(server, folder, formats, crowd.seen, began, ended, slow)


def _has_ended(log: Path) -> bool:
    """Whether a log has the last visit, by its path or its host."""
    return log.exists() and re.search(rb"last\.test|" + LAST.encode(), log.read_bytes()) is not None
