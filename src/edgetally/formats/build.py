"""Building a log format: the pieces that a server's dialect cuts a configuration into, checked and compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from edgetally.errors import EdgetallyError, nearest
from edgetally.formats import clocks
from edgetally.formats.finding import (
    BODY_BYTES,
    LOCAL_TIME,
    NO_HOST,
    START_TIME,
    UNKNOWN_FIELD,
    UNQUOTED,
    Finding,
)
from edgetally.formats.log_format import NO_NOTICES, LogFormat
from edgetally.formats.loose import Run, runs_of, without_blanks
from edgetally.formats.pattern import (
    SELF_ENDING,
    SELF_STARTING,
    Part,
    Piece,
    parts_of,
    stop_of,
)
from edgetally.formats.values import NGINX_HIT, shorten
from edgetally.record import NamedTuple

ODD_TIME = "odd time: "  # begins the name of a time that cannot be read, and the reason follows
UNKNOWN = "unknown"  # in the place of a field's name: no bill needs it


class Dialect(NamedTuple):
    """How one server logs.

    server: as in an edge's configuration; title: for sentences; directive: what sets the format. roles: for each role
    the fields that can have it, the preferred one first; `a+b` are to be added up; of hosts all are used, in this
    order. sure_host: the field of a host that makes all other hosts needless. requests: fields that name a host at
    times only. logs_start: a time is the start of a transfer, but for those in `ends`. hit: the cache's words for a
    hit; hits: those of fields that have words of their own. body_only: sizes without headers. advice: what to log for
    the wire's bytes, the host, the duration. sent: matches the names of fields whose content a client is free to
    choose. notices: lines of the server's own between those of requests.
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
    hits: Mapping[str, re.Pattern[bytes]] = MappingProxyType({})
    sent: re.Pattern[str] = re.compile(r"(?!)")
    notices: re.Pattern[bytes] = NO_NOTICES


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
    pieces = _joined(dialect, merged(pieces))
    _separate(dialect, name, pieces)
    roles, fields = _roles(dialect, pieces), [piece.field or piece.name for piece in pieces]
    _require(dialect, name, roles, pieces)
    parts = parts_of(pieces)
    runs = runs_of(parts, roles)
    parts = without_blanks(parts, runs)
    body = fields[roles["size"][0]] in dialect.body_only and len(roles["size"]) == 1
    starts = dialect.logs_start and fields[roles["time"][0]] not in dialect.ends
    notes = (*findings_of(dialect, parts, roles, body, starts), *findings, *_unquoted(dialect, pieces, runs))
    adds = starts and "duration" in roles
    meaning = "body" if body else "wire"
    server = dialect.server
    hit = dialect.hits.get(fields[roles["hit"][0]], dialect.hit) if "hit" in roles else dialect.hit
    fmt = LogFormat(name, description, example, server, parts, roles, meaning, adds, hit, escapes, notes)
    return fmt._replace(notices=dialect.notices, runs=runs, advice=dialect.advice)


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Join literals that stand side by side, and drop empty ones."""
    whole: list[Piece] = []
    for piece in pieces:
        if piece.kind == "literal" and whole and whole[-1].kind == "literal":
            whole[-1] = Piece(whole[-1].name + piece.name, "literal")
        elif piece.name or piece.kind != "literal":
            whole.append(piece)
    return whole


def _joined(dialect: Dialect, pieces: Sequence[Piece]) -> list[Piece]:
    """Make one text of texts that stand side by side, where the bill needs neither: nobody can tell them apart."""
    needed = {name for choices in dialect.roles.values() for choice in choices for name in choice.split("+")}
    whole: list[Piece] = []
    for piece in pieces:
        before = whole[-1] if whole else Piece("", "literal")
        if piece.kind == before.kind == "text" and not needed & {
            piece.field or piece.name,
            before.field or before.name,
        }:
            whole[-1] = Piece(before.name + piece.name, "text")
        else:
            whole.append(piece)
    return whole


def unknown(names: Iterable[str]) -> Iterator[Finding]:
    """One finding about all fields of a format that are not known, given as they are written."""
    found = list(dict.fromkeys(names))
    if found:
        yield UNKNOWN_FIELD.found(f"{', '.join(found)} {'is' if len(found) == 1 else 'are'} not known")


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
        odd = next((piece for piece in pieces if role == "time" and piece.field.startswith(ODD_TIME)), None)
        if odd:
            why = odd.field[len(ODD_TIME) :]
            raise EdgetallyError(f"{dialect.directive} {name}: {shorten(odd.name)}: {why}")
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


def _unquoted(dialect: Dialect, pieces: Sequence[Piece], runs: Sequence[Run]) -> Iterator[Finding]:
    """Name the fields with which a client can make its line unreadable, and so not be billed for it."""
    inside = {place for run in runs for place in range(run.first, run.last + 1)}
    for place, piece in enumerate(pieces):
        before, following = (
            pieces[at] if at in range(len(pieces)) else Piece("", "literal") for at in (place - 1, place + 1)
        )
        in_quotes = before.name.endswith('"') and following.name.startswith('"')
        if not dialect.sent.match(piece.name) or following.kind != "literal" or in_quotes:
            continue
        if place in inside:
            yield UNQUOTED.found(
                f"{piece.name} stands unquoted", cost="a line that can be read in two ways is rejected"
            )
        elif following.name:
            stop = stop_of(piece.kind, [following])
            yield UNQUOTED.found(f"{piece.name} stands unquoted", cost=f"a line where it holds '{stop}' is rejected")
