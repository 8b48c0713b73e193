"""The rotation: rename a live log, have the server reopen it, and know when nobody writes to the old file any more.

The new name, `<file>.edgetally-<generation>-<seq>-<from>-<to>[-absent|-broken|-full]`, fixes the batch's identity
before anything else can fail. Every step can be cut off anywhere: what the next run needs is in the names alone.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edgetally.config import EdgeConfig
from edgetally.edge.closing import is_closed
from edgetally.edge.live_log import COMPRESSED, Beside, Live, beside_log, is_still, note_full, rotated_since
from edgetally.edge.renamed import Renamed
from edgetally.edge.spool import Spool
from edgetally.edge.state import State, note_extended, note_renamed
from edgetally.edge.streams import Stream, installed
from edgetally.files import FILE_MODE, rename_exclusively, sync_folder

TICK = 0.001  # times in names have three decimals
BACKWARDS_SECONDS = 1.0  # a clock that went back by more is worth a message


def rotate(config: EdgeConfig, spool: Spool, stream: Stream, state: State) -> tuple[list[Renamed], list[str]]:
    """Rename the live log, and what another rotator made of it, into batches of their own.

    Returns the renamed files (usually one) and a sentence for each thing that is not as it should be.
    """
    rotation = _Rotation(config, spool, stream, state)
    rotation.run()
    return rotation.made, rotation.problems


class _Seen(NamedTuple):
    """A live log, and what lay beside it before."""

    live: os.stat_result
    beside: Beside

    def is_gone(self, status: os.stat_result, beside: Sequence[tuple[str, int]]) -> bool:
        """Whether another rotator came before the log was renamed, of which this is told after that."""
        same = (status.st_dev, status.st_ino) == (self.live.st_dev, self.live.st_ino)
        return not same or status.st_size < self.live.st_size or not set(beside).issubset(self.beside)


class _Rotation:
    """The rotation of one log in one run."""

    def __init__(self, config: EdgeConfig, spool: Spool, stream: Stream, state: State) -> None:
        self.config = config
        self.spool = spool
        self.stream = stream
        self.state = state
        self.made: list[Renamed] = []
        self.problems: list[str] = []
        self.full = False

    def run(self) -> None:
        beside = beside_log(self.stream)
        live = self.stream.live()
        if (live is None or not live.st_size) and self._extend(live):
            return
        now = time.time()
        if self.state.last_to is not None and now < self.state.last_to - BACKWARDS_SECONDS:
            self.problems.append(
                f"the clock went back by {self.state.last_to - now:.0f} s since the last rotation of "
                f"{self.stream.path}: look at this host's time service"
            )
        self.full = self._was_full()
        mark = self._continuity(live)
        if live is None:
            self.problems.append(
                f"{self.stream.path} is not there: the time since the last rotation counts as missing; start the "
                f"server, or correct the path of log '{self.stream.log}' in {self.config.path}"
            )
            mark = "absent"
        self._take(self.stream.path, time.time(), mark, _Seen(live, beside) if live else None)
        if self.full and not note_full(self.spool, self.stream):
            self.spool.full_path(self.stream.log).unlink(missing_ok=True)

    def _was_full(self) -> bool:
        """Whether any run since the last rotation, or that one, found the log's disk full."""
        full = note_full(self.spool, self.stream) or self.spool.full_path(self.stream.log).exists()
        if full:
            self.problems.append(
                f"the disk of {self.stream.path} is or was full, so that its server could not write all lines: the "
                "time since the last rotation counts as missing; free some space"
            )
        return full

    def _extend(self, live: os.stat_result | None) -> bool:
        """The server never reopened its log and still writes to the last renamed one: let that cover this time too.

        Its batch was not tallied yet, so its covers may still grow. An `absent` or an empty batch beside it would call
        time missing, or idle, whose lines are all there, and these would lie outside their own batch's covers. But not
        where a new log was there that is gone: another rotator may have it.
        """
        newest = next(filter(self.state.is_newest, self.stream.renamed()), None)
        known = self.state.live
        if newest is None or newest.mark == "absent" or is_closed(newest.path):
            return False
        if live is None and known is not None:
            return False
        if live is not None and not (
            known and (live.st_dev, live.st_ino, live.st_size) == known[:3] and newest.path.stat().st_mtime > newest.end
        ):
            return False
        self.made.append(extend(self.spool, self.stream, newest, time.time()))
        return True

    def _continuity(self, live: os.stat_result | None) -> str:
        """Compare the live log with the one left at the last rotation. Gives the mark of the batch: '' or `broken`."""
        known = self.state.live
        if known is None:
            return self._unwatched() if live else ""
        if live and (live.st_dev, live.st_ino) == (known.dev, known.inode):
            if not is_still(known, self.stream.path):
                return self._broken("it was truncated, or made anew")
            return self._unwatched()
        old = self._find(known)
        if old is None:
            return self._broken("it was replaced, and the old file is gone")
        if Renamed.parse(old.parent, old.name):
            return ""  # ours already
        return self._adopt(old)

    def _adopt(self, old: Path) -> str:
        """Make the file that another rotator renamed a batch of its own."""
        changed = old.stat().st_mtime
        later = [
            path.name
            for path in rotated_since(self.stream, self.state.beside)
            if path != old and path.stat().st_mtime > changed
        ]
        if str(old) != self.state.path:  # else it is the live log of a path that was changed in the configuration
            self.problems.append(
                f"another program rotated {self.stream.path} to {old.name}: its lines are counted, but take this log "
                "out of logrotate (the role edge_shipper does)"
            )
        self._take(old, min(changed, time.time()) if is_closed(old) else time.time(), "")
        return self._broken(f"{later[0]} may hold lines too") if later else ""

    def _unwatched(self) -> str:
        """What is known of the log tells nothing (a crash, an absent log, a copy): a new file beside it tells more."""
        changed = rotated_since(self.stream, self.state.beside)
        return self._broken(f"{changed[0].name} may hold lines") if changed else ""

    def _broken(self, why: str) -> str:
        self.problems.append(
            f"{self.stream.path} was changed by another program ({why}): the time since the last rotation counts as "
            "missing; look for logrotate or another rotator of this log"
        )
        return "broken"

    def _find(self, known: Live) -> Path | None:
        """The file with the recorded inode, beside the log or where the log lay before its path was changed.

        An inode's number comes again: the file must also have a name like the log's, be no other log, and begin alike.
        """
        here = self.stream.path.parent
        stems = (self.stream.path.stem, Path(self.state.path).stem)
        for folder in {here, Path(self.state.path).parent}:
            with suppress(FileNotFoundError), os.scandir(folder) as entries:
                if folder.stat().st_dev != here.stat().st_dev:
                    continue  # it could not be renamed to here
                for entry in entries:
                    path = folder / entry.name
                    if entry.inode() != known.inode or entry.name.endswith(COMPRESSED) or path in self.stream.others:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    ours = Renamed.parse(folder, entry.name)
                    if (
                        status.st_dev == known.dev
                        and stat.S_ISREG(status.st_mode)
                        and entry.name.startswith(stems)
                        and (ours is None or ours.file in (self.stream.path.name, Path(self.state.path).name))
                        and is_still(known, path)
                    ):
                        return path
        return None

    def _take(self, source: Path, end: float, mark: str, seen: _Seen | None = None) -> None:
        """Rename one file to the next batch's name, then note it in the state. seen: how it was looked at before."""
        state = self.state
        mark = mark or ("full" if self.full else "")
        end = round(max(end, (state.last_to or 0.0) + TICK), 3)
        if state.next_seq > 1 and state.last_to is not None:
            start = state.last_to
        elif self.config.include_existing:
            start = 0.0
        else:  # whole seconds, as many formats write them: no line since the installation may look older
            start = min(float(int(installed(self.config, self.stream.config))), end)
        item = Renamed(
            self.stream.path.parent, self.stream.path.name, state.generation, state.next_seq, start, end, mark
        )
        if mark == "absent":
            os.close(os.open(item.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        else:
            rename_exclusively(source, item.path)
        beside, status = beside_log(self.stream), item.path.stat()
        if seen and not item.mark and seen.is_gone(status, beside):
            item = marked(item, self._broken("while it was rotated"))
        sync_folder(item.folder)
        self.state = note_renamed(self.spool, self.stream, state, item, status.st_size, beside)
        self.made.append(item)


def is_shorter(state: State | None, item: Renamed) -> bool:
    """Whether a renamed log is the newest, and has lost bytes since: another rotator had begun to copy it before."""
    return state is not None and state.is_newest(item) and item.path.stat().st_size < state.size


def marked(item: Renamed, mark: str) -> Renamed:
    """Give a renamed log that is not tallied yet a mark."""
    other = item._replace(mark=mark)
    rename_exclusively(item.path, other.path)
    sync_folder(item.folder)
    return other


def extend(spool: Spool, stream: Stream, item: Renamed, end: float) -> Renamed:
    """Let the newest renamed log, not yet tallied, cover more time: it was written to until then."""
    longer = item._replace(end=round(max(end, item.end + TICK), 3))
    rename_exclusively(item.path, longer.path)
    sync_folder(item.folder)
    note_extended(spool, stream, longer)
    return longer
