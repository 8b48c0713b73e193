"""Building a log format: the pieces that a server's dialect cuts a configuration into, checked and compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from edgetally.errors import EdgetallyError, nearest
from edgetally.formats import clocks
from edgetally.formats.finding import BODY_BYTES, LOCAL_TIME, NO_HOST, START_TIME, UNQUOTED, Finding
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import (
    SELF_ENDING,
    SELF_STARTING,
    Part,
    Piece,
    parts_of,
    stop_of,
)
from edgetally.formats.values import NGINX_HIT


class Dialect(NamedTuple):
    """How one server logs.

    server: as in an edge's configuration; title: for sentences; directive: what sets the format. roles: for each role
    the fields that can have it, the preferred one first; `a+b` are to be added up; of hosts all are used, in this
    order. sure_host: the field of a host that makes all other hosts needless. requests: fields that name a host at
    times only. logs_start: a time is the start of a transfer, but for those in `ends`. hit: the cache's words for a
    hit. body_only: sizes without headers. advice: what to log for the wire's bytes, the host, the duration. sent:
    matches the names of fields whose content a client is free to choose.
    """

    server: str
    title: str
    directive: str
    roles: Mapping[str, tuple[str, ...]]
    advice: Mapping[str, str]
    body_only: tuple[str, ...] = ()
    sure_host: str = ""
    requests: tuple[str, ...] = ()
    logs_start: bool = False
    ends: tuple[str, ...] = ()
    hit: re.Pattern[bytes] = NGINX_HIT
    sent: re.Pattern[str] = re.compile(r"(?!)")


# --------------------------------------------------------------------------------------------------------------------
# Building


def build(
    dialect: Dialect,
    name: str,
    description: str,
    pieces: Iterable[Piece],
    *,
    example: str = "",
    escapes: bool = True,
    findings: Sequence[Finding] = (),
) -> LogFormat:
    """Compile the pieces of a format. Raises EdgetallyError where a line would not say when and how much.

    name: for messages and output; findings: those that only the dialect knows of.
    """
    pieces = merged(pieces)
    _separate(dialect, name, pieces)
    roles, fields = _roles(dialect, pieces), [piece.field or piece.name for piece in pieces]
    _require(dialect, name, roles, pieces)
    parts = parts_of(pieces)
    body = fields[roles["size"][0]] in dialect.body_only and len(roles["size"]) == 1
    starts = dialect.logs_start and fields[roles["time"][0]] not in dialect.ends
    notes = (*findings_of(dialect, parts, roles, body, starts), *findings, *_unquoted(dialect, pieces))
    adds = starts and "duration" in roles
    meaning = "body" if body else "wire"
    server = dialect.server
    return LogFormat(name, description, example, server, parts, roles, meaning, adds, dialect.hit, escapes, notes)


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Join literals that stand side by side, and drop empty ones."""
    whole: list[Piece] = []
    for piece in pieces:
        if piece.kind == "literal" and whole and whole[-1].kind == "literal":
            whole[-1] = Piece(whole[-1].name + piece.name, "literal")
        elif piece.name or piece.kind != "literal":
            whole.append(piece)
    return whole


def _separate(dialect: Dialect, name: str, pieces: Sequence[Piece]) -> None:
    """Refuse two fields with nothing between them: no line could be read with those."""
    for before, after in zip(pieces, pieces[1:]):
        if before.kind not in SELF_ENDING and after.kind not in SELF_STARTING:
            raise EdgetallyError(
                f"{dialect.directive} {name}: {before.name} and {after.name} stand side by side: "
                "put a space or a quote between them"
            )


def _roles(dialect: Dialect, pieces: Sequence[Piece]) -> dict[str, tuple[int, ...]]:
    """The places of the pieces that have each role. Several hosts stand in their order of precedence."""
    place = {piece.field or piece.name: number for number, piece in reversed(list(enumerate(pieces)))}
    roles = {}
    for role, choices in dialect.roles.items():
        candidates = [choice.split("+") for choice in choices if set(choice.split("+")) <= set(place)]
        if role == "host":
            if [dialect.sure_host] in candidates:
                candidates = [[dialect.sure_host]]
            if {name for names in candidates for name in names} <= set(dialect.requests):
                candidates = []
            roles[role] = tuple(place[name] for names in candidates for name in names)
        elif candidates:
            roles[role] = tuple(place[name] for name in candidates[0])
    return {role: places for role, places in roles.items() if places}


def _require(dialect: Dialect, name: str, roles: Mapping[str, object], pieces: Sequence[Piece]) -> None:
    """Refuse a format whose lines do not say when and how much."""
    for role, what in (("time", "the time"), ("size", "the bytes")):
        if role in roles:
            continue
        wanted = dialect.roles[role]
        likely = [choice for choice in wanted if "+" not in choice]
        typo = next(filter(None, (nearest(piece.name, likely, 0.8) for piece in pieces if len(piece.name) > 4)), "")
        hint = f"did you mean {typo}?" if typo else f"add {dialect.advice[role]}"
        raise EdgetallyError(f"{dialect.directive} {name} does not say {what}: {hint}")


def findings_of(
    dialect: Dialect, parts: Sequence[Part], roles: Mapping[str, tuple[int, ...]], body: bool, starts: bool
) -> Iterator[Finding]:
    """The weaknesses of a format that its fields show."""
    advice = dialect.advice
    if body:
        yield BODY_BYTES.found("its bytes are the body's only", mend=f"log {advice['wire']} instead")
    if "host" not in roles:
        yield NO_HOST.found("it does not say which host was asked for", mend=f"log {advice['host']} as well")
    if starts and "duration" not in roles:
        yield START_TIME.found("its time is a transfer's start", mend=f"log {advice['duration']} as well")
    if not clocks.has_offset(parts[roles["time"][0]].kind):
        yield LOCAL_TIME.found("its time is local and has no offset", mend=advice["offset"])


def _unquoted(dialect: Dialect, pieces: Sequence[Piece]) -> Iterator[Finding]:
    """Name the fields with which a client can make its line unreadable, and so not be billed for it."""
    for before, piece, following in zip((Piece("", "literal"), *pieces), pieces, pieces[1:]):
        in_quotes = before.name.endswith('"') and following.name.startswith('"')
        if dialect.sent.match(piece.name) and following.kind == "literal" and not in_quotes:
            stop = stop_of(piece.kind, [following])
            yield UNQUOTED.found(f"{piece.name} stands unquoted", cost=f"a line where it holds '{stop}' is rejected")
