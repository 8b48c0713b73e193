"""The archive of raw logs, and the room that the spool may take: its quota, and what is left free on its file system.

Where there is no room, what goes is archived raw logs, the oldest first, and only those whose batches the ledger has
confirmed: they are kept for a replay alone. Nothing else is ever removed. Where that is not enough, the rotation
pauses, and the live logs grow.
"""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from edgetally.config import EdgeConfig
from edgetally.edge.renamed import ARCHIVED, Renamed
from edgetally.edge.spool import Spool
from edgetally.files import FILE_MODE, FOLDER_MODE, sync_folder, temporary
from edgetally.limits import DAY

# --- keeping


def archive(path: Path, folder: Path) -> None:
    """Compress a raw log into the archive, keeping its time, then remove it. May be done again after any crash."""
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    target = folder / f"{path.name}{ARCHIVED}"
    if not target.exists():
        try:
            _compress(path, temporary(target))
        except OSError as error:
            with suppress(OSError):
                temporary(target).unlink()
            raise OSError(error.errno, error.strerror, str(target)) from None
        os.rename(temporary(target), target)
        sync_folder(folder)
    path.unlink()


def _compress(source: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with open(source, "rb") as raw, open(descriptor, "wb") as file:
        status = os.fstat(raw.fileno())
        with gzip.GzipFile(source.name, "wb", 1, file, status.st_mtime) as packed:
            while data := raw.read(1 << 20):
                packed.write(data)
        file.flush()
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(descriptor)


def archived(folder: Path) -> Iterator[tuple[Renamed, Path]]:
    """The archived raw logs of one log's folder."""
    for path in folder.glob(f"*{ARCHIVED}"):
        item = Renamed.parse_archived(path)
        if item:
            yield item, path


def prune(config: EdgeConfig, spool: Spool, unfinished: Collection[tuple[str, str, int]]) -> None:
    """Remove archives and confirmed batches that are older than keep_raw_days. Unconfirmed ones stay.

    unfinished: log, generation and number of the renamed logs that are not archived yet.
    """
    oldest = time.time() - config.keep_raw_days * DAY
    waiting = {name[:3] for folder in (spool.outbox, spool.held) for name in spool.batches(folder)}
    for folder in spool.raw.iterdir():
        for item, path in archived(folder):
            if (folder.name, item.generation, item.seq) not in waiting and path.stat().st_mtime < oldest:
                path.unlink()
    for name in spool.batches(spool.sent):
        path = spool.sent / str(name)
        with suppress(FileNotFoundError):  # a reconciling run moves them, too
            if path.stat().st_mtime < oldest and name[:3] not in unfinished:
                path.unlink()


# --- making room


def make_room(config: EdgeConfig, spool: Spool, remove: bool = True, more: int = 0) -> str | None:
    """Remove archived raw logs until the spool fits. Returns a sentence where it does not fit even so, else None.

    remove: False only tells what would be; more: bytes that are to come.
    """
    excess = more + max(used_bytes(spool) - config.quota_bytes, config.reserve_bytes - free_bytes(spool.root))
    for path in _removable(spool) if excess > 0 else ():
        if excess <= 0:
            break
        with suppress(FileNotFoundError):
            size = path.stat().st_blocks * 512
            if remove:
                path.unlink()
            excess -= size
    return _problem(config, spool) if excess > 0 else None


def _problem(config: EdgeConfig, spool: Spool) -> str:
    """Which limit is reached, why nothing more can be removed, and how to mend it."""
    used, free = used_bytes(spool), free_bytes(spool.root)
    if used > config.quota_bytes:
        what = f"takes {mib(used)}, more than its quota of {mib(config.quota_bytes)} (edge_shipper_spool_quota)"
        mend = "see why the aggregator does not confirm it, or raise the quota"
    else:
        what = f"has {mib(free)} left on its disk, less than {mib(config.reserve_bytes)} (edge_shipper_spool_reserve)"
        mend = "free some space"
    return (
        f"the rotation pauses: {spool.root} {what}, and what lies there is not confirmed yet, so nothing of it is "
        f"removed: {mend}; nothing is lost, the logs grow until there is room"
    )


def mib(size: int) -> str:
    """Bytes for people."""
    return f"{size / (1 << 20):.0f} MiB"


def free_bytes(folder: Path) -> int:
    """Bytes that those who are not root could still write, the measure of everything else on the machine."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def used_bytes(spool: Spool) -> int:
    """Bytes on the disk of all that the spool keeps."""
    used = 0
    for folder in (spool.outbox, spool.sent, spool.held, *_folders(spool)):
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # a sender moves them, too
                    if entry.is_file(follow_symlinks=False):
                        used += entry.stat(follow_symlinks=False).st_blocks * 512
    return used


def _folders(spool: Spool) -> list[Path]:
    """The archive's folders, one a log."""
    with suppress(FileNotFoundError):
        return sorted(path for path in spool.raw.iterdir() if path.is_dir())
    return []


def _removable(spool: Spool) -> Iterator[Path]:
    """Archived raw logs whose batches are confirmed, with no revision that still waits or is held; the oldest first."""
    waiting = {name[:3] for folder in (spool.outbox, spool.held) for name in spool.batches(folder)}
    confirmed = {name[:3] for name in spool.batches(spool.sent)} - waiting
    found = []
    for folder in _folders(spool):
        for item, path in archived(folder):
            if (folder.name, item.generation, item.seq) in confirmed:
                found.append((item.end, path))
    return (path for _end, path in sorted(found))
