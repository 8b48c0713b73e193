"""The name of a renamed log in its private place, which fixes its batch's identity before anything else can fail.

`<generation>-<seq>-<from>-<to>[-absent|-odd|-broken|-blind|-full][-missing-<from>-<to>]`
"""

from __future__ import annotations

import re
from pathlib import Path

from edgetally.limits import LATE_TRANSFER_SECONDS
from edgetally.record import NamedTuple

STRANGE = ("absent", "odd", "broken", "blind")  # marks that another program is the cause of
ARCHIVED = ".gz"  # what the archive adds to the name
_NAME = (
    r"(?P<generation>[0-9a-f]{16})-(?P<seq>\d{1,18})-(?P<start>\d{1,12}\.\d{3})-(?P<end>\d{1,12}\.\d{3})"
    r"(?:-(?P<mark>absent|odd|broken|blind|full))?"
    r"(?:-missing-(?P<missing_from>\d{1,12}\.\d{3})-(?P<missing_to>\d{1,12}\.\d{3}))?"
)
_ARCHIVED = rf"(?:(?P<file>.+)\.edgetally-)?{_NAME}(?:\{ARCHIVED})?"  # older programs put the log's name before


class Renamed(NamedTuple):
    """A renamed log. start and end are epoch seconds; mark is empty, or says why its time is missing.

    absent: there was no log; odd: what stood there was no plain file; broken: another program has been at it; blind:
    that, and its server may be writing to a file that nobody knows, until a line is in the one that follows; full: its
    disk was. missing: the time that is missing where start to end does not hold it, as the clock was set meanwhile, or
    the log was truncated later.
    """

    folder: Path
    generation: str
    seq: int
    start: float
    end: float
    mark: str = ""
    missing: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        mark = f"-{self.mark}" if self.mark else ""
        missing = "-missing-{:.3f}-{:.3f}".format(*self.missing) if self.missing else ""
        return f"{self.generation}-{self.seq}-{self.start:.3f}-{self.end:.3f}{mark}{missing}"

    @property
    def path(self) -> Path:
        """The file's whole path."""
        return self.folder / self.name

    @classmethod
    def parse(cls, folder: Path, name: str) -> Renamed | None:
        """Read a file's name; None where it is not a renamed log's."""
        return cls._of(folder, re.fullmatch(_NAME, name))

    @classmethod
    def parse_archived(cls, path: Path) -> Renamed | None:
        """Read the name of a renamed log that may be archived, also by an older program."""
        return cls._of(path.parent, re.fullmatch(_ARCHIVED, path.name))

    @classmethod
    def _of(cls, folder: Path, match: re.Match[str] | None) -> Renamed | None:
        if match is None:
            return None
        times = float(match["start"]), float(match["end"])
        missing = (float(match["missing_from"]), float(match["missing_to"])) if match["missing_from"] else None
        return cls(folder, match["generation"], int(match["seq"]), *times, match["mark"] or "", missing)

    def covers(self, written: float) -> tuple[float | None, float]:
        """From when to when its lines keep their own slots, epoch s. written: when it was last written to."""
        return None if self.seq == 1 else self.start, max(self.end, min(written, self.end + LATE_TRANSFER_SECONDS))
