"""The name of a renamed log, which fixes its batch's identity before anything else can fail.

`<file>.edgetally-<generation>-<seq>-<from>-<to>[-absent|-broken|-full]`
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from edgetally.limits import LATE_TRANSFER_SECONDS

MARK = ".edgetally-"
ARCHIVED = ".gz"  # what the archive adds to the name
_RENAMED = re.compile(
    r"(?P<file>.+)\.edgetally-(?P<generation>[0-9a-f]{16})-(?P<seq>\d+)-(?P<start>\d+\.\d{3})-(?P<end>\d+\.\d{3})"
    r"(?:-(?P<mark>absent|broken|full))?"
)


class Renamed(NamedTuple):
    """A renamed log. start and end are epoch seconds; mark is empty, `absent`, `broken` or `full`."""

    folder: Path
    file: str
    generation: str
    seq: int
    start: float
    end: float
    mark: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        mark = f"-{self.mark}" if self.mark else ""
        return f"{self.file}{MARK}{self.generation}-{self.seq}-{self.start:.3f}-{self.end:.3f}{mark}"

    @property
    def path(self) -> Path:
        """The file's whole path."""
        return self.folder / self.name

    @classmethod
    def parse(cls, folder: Path, name: str) -> Renamed | None:
        """Read a file's name; None where it is not a renamed log's."""
        found = _RENAMED.fullmatch(name)
        if found is None:
            return None
        number = int(found["seq"])
        times = float(found["start"]), float(found["end"])
        return cls(folder, found["file"], found["generation"], number, *times, found["mark"] or "")

    @classmethod
    def parse_archived(cls, path: Path) -> Renamed | None:
        """Read the name of a renamed log that may be archived."""
        return cls.parse(path.parent, path.name.removesuffix(ARCHIVED))

    def covers(self, written: float) -> tuple[float | None, float]:
        """From when to when its lines keep their own slots, epoch s. written: when it was last written to."""
        return None if self.seq == 1 else self.start, max(self.end, min(written, self.end + LATE_TRANSFER_SECONDS))
