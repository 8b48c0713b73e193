"""The logs of this edge: which files the configuration means, and since when they are counted."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

from edgetally.config import NAME, EdgeConfig, LogConfig
from edgetally.edge.place import Place, open_place
from edgetally.edge.renamed import Renamed
from edgetally.errors import EdgetallyError
from edgetally.files import FILE_MODE, sync_folder
from edgetally.record import NamedTuple

OLD_MARK = ".edgetally-"  # of what an older program has renamed beside its log


class Stream(NamedTuple):
    """One log file of this edge. name: `<edge>/<log>`; path: the live log's, as the configuration has it."""

    name: str
    log: str
    path: Path
    config: LogConfig

    def place(self, make: bool = True) -> AbstractContextManager[Place]:
        """Where the log lies. make: make what is missing of its private place."""
        return open_place(self.path, self.log, self.config.private, make)

    def renamed(self) -> list[Renamed]:
        """The log's renamed files that are not archived yet, oldest first."""
        with self.place(make=False) as place:
            return place.batches()

    def live(self) -> os.stat_result | None:
        """What stands under the log's name; None where there is nothing."""
        with self.place(make=False) as place:
            return place.live()


def find_streams(config: EdgeConfig, known: Iterable[str] = ()) -> tuple[list[Stream], list[str]]:
    """The logs to rotate now, globs resolved, and a sentence for each that cannot be.

    known: the paths of logs that were rotated before: a glob means them, too, though they are not there any more.
    """
    streams: dict[str, Stream] = {}
    paths: dict[str, str] = {}
    problems = []
    for log in config.logs:
        files = _expand(log, known)
        if not files:
            problems.append(f"{log.path} matches no file: correct the path of log '{log.name}' in {config.path}")
        for name, path in files:
            real = os.path.realpath(path)
            if not re.fullmatch(NAME, name):
                problems.append(f"{path} cannot be a stream: {name!r} has other than letters, digits, '.', '_' and '-'")
            elif name in streams or real in paths:
                other = f"log '{paths[real]}'" if real in paths else str(streams[name].path)
                problems.append(f"{path} (log '{name}') is left out: {other} is the same; mend {config.path}")
            else:
                paths[real] = name
                streams[name] = Stream(f"{config.edge}/{name}", name, Path(path), log)
    return list(streams.values()), problems


def _expand(log: LogConfig, known: Iterable[str]) -> list[tuple[str, str]]:
    """The stream's log name and path of each file that a log's path or glob means."""
    if not set("*?[") & set(log.path):
        return [(log.name, log.path)]
    import glob

    paths = {path for path in glob.glob(log.path) if OLD_MARK not in os.path.basename(path)}
    paths |= {path for path in known if PurePosixPath(path).match(log.path)}
    return [(f"{log.name}.{os.path.basename(path).removesuffix('.log')}", path) for path in sorted(paths)]


def installed(config: EdgeConfig, log: LogConfig, make: bool = True) -> float:
    """When this log was first seen, epoch s: lines that ended before are not counted in a generation's first batch.

    It is the time of a marker beside the configuration, which outlives the spool: a deleted spool begins a new
    generation, and still counts all lines since the installation.
    """
    marker = Path(config.path).parent / "installed" / log.name
    try:
        if make and not marker.exists():
            marker.parent.mkdir(mode=0o755, exist_ok=True)
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
            sync_folder(marker.parent)
        return marker.stat().st_mtime
    except FileNotFoundError:
        return time.time()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise EdgetallyError(f"{marker} cannot be made ({error.strerror}): make its folder writable") from None
