"""Guesses the format of a log from its first lines, among the known ones; a W3C log says its own."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import islice

from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.formats.servers.w3c import header
from edgetally.formats.values import DIRECTIVE
from edgetally.record import NamedTuple
from edgetally.tally.count import tally
from edgetally.tally.inputs import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

LINES = 1000
_FEW = 10
_LONGEST = 1 << 20
_SAYS = re.compile(r"#([A-Za-z-]+):[ \t]*(.*?)\s*$")


class Guess(NamedTuple):
    """What a log is read as. fits: how many of its first lines fit; equal: formats that fit as many."""

    format: LogFormat
    fits: int
    lines: int
    equal: Sequence[str] = ()

    def __str__(self) -> str:
        if self.format.server == "w3c":
            return "read by its own #Fields: line"
        said = f"read as {self.format.name}, which fits {self.fits} of its first {self.lines} lines"
        return said + (f"; equally good: {', '.join(self.equal)}" if self.equal else "")


def head_of(stream: BinaryIO) -> list[bytes]:
    """The first lines of a log, without blank ones. stream: as `unpacked` gives it."""
    return list(islice((line for line in lines(stream, _LONGEST) if line.strip()), LINES))


def guess(head: Sequence[bytes]) -> Guess:
    """The format that fits most of a log's first lines, of which there must be some.

    Of formats that fit equally well it is the one that tells most fields apart: `combined` takes vhost_combined's lines
    too, but not their host. Raises EdgetallyError where a W3C log's own fields make no bill.
    """
    own = _own(head)
    if own is not None:
        return Guess(own, len(head), len(head))
    scores = _scores(head)
    best = max(scores.values())
    equal = [known for known, score in scores.items() if score == best]
    first, *others = sorted(equal, key=lambda known: -len(FORMATS[known].parts))
    return Guess(FORMATS[first], best, len(head), others)


def _scores(head: Sequence[bytes]) -> dict[str, int]:
    """How many lines each format fits; of one that cannot be the best, how many of the first few."""
    scores = {known: _fits(known, head[:_FEW]) for known in FORMATS}
    best, rest = 0, head[_FEW:]
    for known in sorted(scores, key=lambda known: -scores[known]) if rest else ():
        if scores[known] + len(rest) >= best:
            scores[known] += _fits(known, rest)
            best = max(best, scores[known])
    return scores


def _fits(known: str, some: Sequence[bytes]) -> int:
    """How many lines are counted by a format. Kernel and reasons cost more than they save."""
    return tally([io.BytesIO(b"".join(some))], FORMATS[known], None, engine="reference", rejects=0).counted


def _own(head: Sequence[bytes]) -> LogFormat | None:
    """What the directives before the first line of a W3C log say; None where it has no #Fields: among them."""
    said: dict[str, str] = {}
    for line in head:
        if not DIRECTIVE.match(line):
            break
        found = _SAYS.match(line.decode("utf-8", "backslashreplace"))
        if found:
            said[found[1]] = found[2]
    text = "" if not head or DIRECTIVE.match(line) else line.decode("utf-8", "backslashreplace")
    return parse_format(header(said, text or said["Fields"])) if "Fields" in said else None
