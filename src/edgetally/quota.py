"""The room that the spool may take: its quota, and what is left free on its file system.

What goes is archived raw logs, the oldest first, and only those whose batches the ledger has confirmed: they are kept
for a replay alone. Nothing else is ever removed. Where that is not enough, the rotation pauses, and the live logs grow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edgetally.config import EdgeConfig
from edgetally.rotate import Renamed
from edgetally.spool import Spool


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
        for path in folder.glob("*.gz"):
            item = Renamed.parse(folder, path.name[: -len(".gz")])
            if item and (folder.name, item.generation, item.seq) in confirmed:
                found.append((item.end, path))
    return (path for _end, path in sorted(found))
