"""The logs of this edge: which files the configuration means, and since when they are counted."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from typing import NamedTuple

from edgetally.config import NAME, EdgeConfig, LogConfig
from edgetally.edge.renamed import MARK, Renamed
from edgetally.errors import EdgetallyError
from edgetally.files import FILE_MODE, sync_folder


class Stream(NamedTuple):
    """One log file of this edge. name: `<edge>/<log>`; path: the live log, links resolved; others: other logs."""

    name: str
    log: str
    path: Path
    config: LogConfig
    others: frozenset[Path] = frozenset()

    def renamed(self) -> list[Renamed]:
        """The log's renamed files that are not archived yet, oldest first."""
        try:
            names = os.listdir(self.path.parent)
        except OSError as error:
            raise EdgetallyError(
                f"{self.path.parent}, the folder of log '{self.log}', cannot be read ({error.strerror}): "
                "correct the log's path, or make the folder"
            ) from None
        prefix = self.path.name + MARK
        found = (Renamed.parse(self.path.parent, name) for name in names if name.startswith(prefix))
        return sorted(filter(None, found), key=lambda item: (item.end, item.seq))

    def live(self) -> os.stat_result | None:
        """The live log's state; None where it is not there."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise EdgetallyError(f"{self.path} is not a plain file: correct the path of log '{self.log}'")
        return status


def find_streams(config: EdgeConfig) -> tuple[list[Stream], list[str]]:
    """The logs to rotate now, globs resolved, and a sentence for each that cannot be.

    Links are resolved, so that a log is renamed where it really lies.
    """
    streams: dict[str, Stream] = {}
    paths: dict[Path, str] = {}
    problems = []
    for log in config.logs:
        files = _expand(log)
        if not files:
            problems.append(f"{log.path} matches no file: correct the path of log '{log.name}' in {config.path}")
        for name, path in files:
            if not NAME.fullmatch(name):
                problems.append(f"{path} cannot be a stream: {name!r} has other than letters, digits, '.', '_' and '-'")
            elif name in streams or path in paths:
                other = f"log '{paths[path]}'" if path in paths else str(streams[name].path)
                problems.append(f"{path} (log '{name}') is left out: {other} is the same; mend {config.path}")
            else:
                paths[path] = name
                streams[name] = Stream(f"{config.edge}/{name}", name, path, log)
    all_paths = frozenset(paths)
    return [stream._replace(others=all_paths - {stream.path}) for stream in streams.values()], problems


def _expand(log: LogConfig) -> list[tuple[str, Path]]:
    """The stream's log name and path of each file that a log's path or glob means, whether live or only renamed."""
    import glob

    if not glob.has_magic(log.path):
        return [(log.name, Path(os.path.realpath(log.path)))]
    found = {path for path in glob.glob(log.path) if MARK not in os.path.basename(path)}
    found |= {path.rpartition(MARK)[0] for path in glob.glob(f"{log.path}{MARK}*")}
    return [
        (f"{log.name}.{os.path.basename(path).removesuffix('.log')}", Path(os.path.realpath(path)))
        for path in sorted(found)
    ]


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
