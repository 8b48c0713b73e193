"""The spool: an edge's durable store. What lies here is safe, whatever becomes of job servers and queues.

    outbox/  bodies not yet confirmed      sent/   confirmed by the ledger      held/  refused: a person must look
    raw/     archived raw logs, by log     state/  one small file a log
    wire/    the pinned ledger's id, how far our clock is from the database's, and what a ledger has lost for good
    counters what interface and servers had counted when the last batch that says so was made

The first line's folders and wire/ belong to the user who delivers: root takes nothing that lies there on trust.

Nothing is ever written in place: a temporary file is synced, renamed, and its folder synced. Temporary names are fixed
(`<name>.tmp`), so that what a crash leaves is overwritten by the next run and never piles up.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edgetally.edge.unprivileged import User
from edgetally.files import (
    FILE_MODE,
    FOLDER_MODE,
    TEMPORARY,
    read_plain,
    sync_folder,
    temporary,
    write_atomic,
    write_synced,
)
from edgetally.record import NamedTuple

FOLDERS = ("outbox", "sent", "held", "wire", "raw", "state")
LOCK_WARNING_SECONDS = 600

_BATCH_NAME = r"(?P<log>.+)-(?P<generation>[0-9a-f]{16})-(?P<seq>\d+)-(?P<revision>\d+)-(?P<part>\d+)\.json"


class BatchName(NamedTuple):
    """What the name of a file in outbox/, sent/ or held/ says: one part of one revision of one batch."""

    log: str
    generation: str
    seq: int
    revision: int = 0
    part: int = 0

    def __str__(self) -> str:
        return f"{self.log}-{self.generation}-{self.seq}-{self.revision}-{self.part}.json"

    @classmethod
    def parse(cls, name: str) -> BatchName | None:
        """Read a file's name; None where it is not a batch's."""
        found = re.fullmatch(_BATCH_NAME, name)
        if found is None:
            return None
        return cls(found["log"], found["generation"], int(found["seq"]), int(found["revision"]), int(found["part"]))


class Spool:
    """The spool's folders under one root."""

    def __init__(self, root: str | Path, user: User | None = None) -> None:
        self.root = Path(root)
        self.user = user
        self.outbox, self.sent, self.held, self.wire, self.raw, self.state = (self.root / name for name in FOLDERS)
        self.paused = self.root / "paused"
        self.ledger = self.wire / "ledger"
        self.clock = self.wire / "clock"
        self.lost = self.wire / "lost"
        self.counters = self.root / "counters"

    def prepare(self) -> None:
        """Make the folders that are missing; those that the delivery changes are the user's."""
        for folder in (self.root, self.outbox, self.sent, self.held, self.wire, self.raw, self.state):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        for name in ("ledger", "clock"):  # older programs had them in the root
            with suppress(FileNotFoundError):
                os.rename(self.root / name, self.wire / name)
        if self.user is not None:
            self._hand_over(self.user)

    def _hand_over(self, user: User) -> None:
        """Give the delivery's folders, and what older programs have put there, to the user, who may enter the root."""
        os.chown(self.root, -1, user.gid)
        for folder in (self.outbox, self.sent, self.held, self.wire):
            if os.lstat(folder).st_uid != user.uid:
                for name in os.listdir(folder):
                    os.lchown(folder / name, *user)
                os.chown(folder, *user)

    @contextmanager
    def lock(self, name: str, wait: bool = False) -> Iterator[float | None]:
        """Take the lock `name`, without waiting unless asked to, for as long as the block runs.

        Gives None when it is ours, else the seconds for which another run has held it.
        """
        path = self.root / f"{name}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield max(0.0, time.time() - os.fstat(descriptor).st_mtime)
                return
            os.utime(descriptor)
            yield None
        finally:
            os.close(descriptor)  # also gives the lock back

    # --- batches

    def batches(self, folder: Path) -> list[BatchName]:
        """The batches in outbox/, sent/ or held/, in the order of log, generation, seq."""
        return sorted(filter(None, map(BatchName.parse, _names(folder))))

    def find(self, name: BatchName) -> Path | None:
        """Where a batch lies: outbox/, sent/ or held/. None: nowhere, it was never published."""
        for folder in (self.outbox, self.sent, self.held, self.outbox):  # a sender may move it while we look
            path = folder / str(name)
            if os.path.lexists(path):
                return path
        return None

    def publish(self, name: BatchName, bodies: Sequence[bytes]) -> None:
        """Put all parts of a batch into the outbox, or none.

        Every part lies synced under its temporary name before the first gets its own: that first rename is the
        decision, and `recover` completes the others after a crash. Their contents never change from then on, even if
        the channel map does.
        """
        parts = [self.outbox / str(name._replace(part=part)) for part in range(len(bodies))]
        try:
            for path, body in zip(parts, bodies):
                write_synced(temporary(path), body, self.user)
        except OSError:
            for path in parts:
                with suppress(OSError):
                    temporary(path).unlink()
            raise
        if len(parts) > 1:
            sync_folder(self.outbox)
        for path in parts:
            os.rename(temporary(path), path)
        sync_folder(self.outbox)

    def recover(self) -> None:
        """Complete the batches of several parts whose publishing was cut off; remove what was never decided."""
        for name in sorted(_names(self.outbox)):
            batch = BatchName.parse(name[: -len(TEMPORARY)]) if name.endswith(TEMPORARY) else None
            if batch is None:
                continue
            if batch.part and self.find(batch._replace(part=0)):
                os.rename(self.outbox / name, self.outbox / str(batch))
            else:
                (self.outbox / name).unlink()
        sync_folder(self.outbox)

    def hold(self, name: BatchName, reason: str) -> None:
        """Put an outbox or sent file aside with the reason beside it. The reason first: a crash between asks again."""
        path = self.find(name)
        if path is not None:
            write_atomic(self.reason_path(name), reason.encode() + b"\n")
            os.rename(path, self.held / str(name))
            sync_folder(self.held)

    def release(self, name: BatchName) -> None:
        """Move a held file to sent/: the ledger has it now. The reason last: a crash between leaves one of nothing."""
        with suppress(FileNotFoundError):
            os.rename(self.held / str(name), self.sent / str(name))
            sync_folder(self.sent)
        self.reason_path(name).unlink(missing_ok=True)

    def reason_path(self, name: BatchName) -> Path:
        """Where the reason of a held batch is written."""
        return (self.held / str(name)).with_suffix(".reason")

    def reason(self, name: BatchName) -> str:
        """Why a batch is held."""
        try:
            return read_plain(self.reason_path(name)).decode("utf-8", "replace").strip()
        except OSError:
            return "unknown"

    def conflicted(self, log: str, generation: str) -> bool:
        """Whether the ledger knows another batch under a number of this generation: what follows needs a new one."""
        return any(
            (name.log, name.generation) == (log, generation) and self.reason(name) == "conflict"
            for name in self.batches(self.held)
        )

    def full_path(self, log: str) -> Path:
        """A note that the disk of a log was full since its last rotation."""
        return self.state / f"{log}.full"


def _names(folder: Path) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
