"""The rotation: take the live log into its private place, where it is the next batch's, and leave a new one pinned.

Each step can be cut off anywhere: the names in the private place, and which of them are one file, tell the next run
where to go on. docs/reference/edge.md draws the states.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from edgetally.config import EdgeConfig, LogConfig
from edgetally.edge.closing import is_closed
from edgetally.edge.live_log import note_full
from edgetally.edge.moment import STEP_SECONDS, this_moment
from edgetally.edge.place import NEXT, PIN, TOOK, Place
from edgetally.edge.renamed import ARCHIVED, STRANGE, Renamed
from edgetally.edge.spool import Spool
from edgetally.edge.state import State, note_batch, note_extended, note_live, note_turn
from edgetally.edge.streams import OLD_MARK, Stream, installed
from edgetally.files import FILE_MODE, rename_exclusively, sync_folder

TICK = 0.001  # times in names have three decimals
BACKWARDS_SECONDS = 1.0  # a clock that went back by more is worth a message
BIRTH_TICK = 0.01  # a file's birth is told by a clock that is behind by so much at most
KEEPS_OPEN = ("trafficserver",)  # servers that open a new log only where there is none under its name


class Rotation:
    """The rotation of one log in one run.

    made: the renamed files (usually one); problems: a sentence for each thing that is not as it should be.
    """

    def __init__(self, config: EdgeConfig, spool: Spool, stream: Stream, place: Place, state: State) -> None:
        self.config = config
        self.spool = spool
        self.stream = stream
        self.place = place
        self.state = state
        self.moment = this_moment()
        self.made: list[Renamed] = []
        self.problems: list[str] = []
        self.full = False

    def recover(self) -> None:
        """Go on where a run was cut off: before anything else is done with the log, its batches included."""
        rotated = self.state.rotated  # nobody knows when the run that was cut off was at work
        if self.place.is_taken():
            self.full = self._was_full()
            self._number(self.state.turn or self._now())
        elif self.place.status(NEXT) and self.state.has_taken():
            self._pin_next()
        else:
            self.place.forget_next()
        if self.state.turn is not None:
            self._note_pinned()
            self.state = note_turn(self.spool, self.stream, self.state._replace(rotated=rotated), None)

    def run(self) -> None:
        """Take the log, and what another rotator made of it, into batches of their own."""
        self.full = self._was_full()
        status = self.place.live()
        if self._extend(status):
            return
        turn = self._now()
        self.state = note_turn(self.spool, self.stream, self.state, turn)
        if status is None:
            self._absent(turn)
        elif not (self.place.is_plain(status) or self.place.is_batch(status)):
            self._odd(turn)
        else:
            if _keeps_open(self.stream.config) or not self.place.exchange(status):
                self.place.take()
            self._number(turn)
        if self.full and not note_full(self.spool, self.stream):
            self.spool.full_path(self.stream.log).unlink(missing_ok=True)

    def _now(self) -> float:
        """The time of this rotation: covers never run backwards."""
        now, last = self.moment.wall, self.state.last_to
        if last is not None and now < last - BACKWARDS_SECONDS:
            self.problems.append(
                f"the clock went back by {last - now:.0f} s since the last rotation of {self.stream.path}: look at "
                "this host's time service"
            )
        return round(now if last is None else max(now, last + TICK), 3)

    def _was_full(self) -> bool:
        """Whether any run since the last rotation, or that one, found the log's disk full."""
        full = note_full(self.spool, self.stream) or self.spool.full_path(self.stream.log).exists()
        if full:
            self.problems.append(
                f"the disk of {self.stream.path} is or was full, so that its server could not write all lines: the "
                "time since the last rotation counts as missing; free some space"
            )
        return full

    # --- what was taken gets a number

    def _number(self, turn: float) -> None:
        """Make batches of what was taken and of what is pinned, and pin the new log. May be done again after a cut."""
        place = self.place
        took = place.status(TOOK)
        if took is None or not place.is_plain(took):
            was = "a file that had been moved away" if took and place.is_batch(took) else "no plain file"
            place.put_away(TOOK, turn)
            self._broken(f"what stood under its name was {was}")
            self._strange(turn)
            self._retire(turn, "blind")
        elif place.status(PIN) and not place.is_pinned(took):
            if self._is_elsewhere():
                self._retire(turn, "")
                self._batch(TOOK, turn, "" if took.st_size else "blind")
            else:
                self._broken("it was replaced")
                self._strange(turn)
                self._retire(self._born(turn), "broken")
                self._batch(TOOK, turn, "broken" if took.st_size else "blind")
        elif place.status(PIN) or self.state.last_to is None or self._is_known():
            mark = "" if self._is_whole() else "broken"
            if self.state.mark in ("absent", "odd"):  # until it made this one, the server may have had another
                self._strange(turn)
                self._empty(self._born(turn), "broken")
                mark = "broken"
            elif self.state.mark == "blind":
                self._strange(turn)
                mark = "broken" if took.st_size else "blind"
            place.remove(PIN)  # first: a file with the name of a batch and this one would be counted twice
            self._batch(TOOK, turn, mark)
        else:
            self._broken("nobody knows what was there before it")
            self._strange(turn)
            self._empty(self._born(turn), "broken")
            self._batch(TOOK, turn, "broken" if took.st_size else "blind")
        self._pin_next()

    def _strange(self, turn: float) -> None:
        """A file that nobody knows may have stood under the log's name: who has it open may write to it for a while."""
        self.state = self.state._replace(strange=turn)

    def _born(self, turn: float) -> float:
        """Until when another log can have stood under the name of the one that was taken: until that was made."""
        born = self.place.birth(TOOK)
        last = self.state.last_to or 0.0
        return round(min(max(born + BIRTH_TICK if born is not None else turn, last + TICK), turn), 3)

    def _is_elsewhere(self) -> bool:
        """Whether the pinned log still stands under its name, and the log's path was changed in the configuration."""
        if self.state.path == str(self.stream.path):
            return False
        with suppress(OSError):
            return self.place.is_pinned(os.lstat(self.state.path))
        return False

    def _is_known(self) -> bool:
        """Whether what was taken is the log that was noted last, where that could not be pinned."""
        live = self.state.live
        return live is not None and live.is_same(self.place.private / TOOK, birthless=not self.state.private)

    def _is_whole(self) -> bool:
        """Whether nothing of what was taken is gone since it was noted."""
        known, path = self.state.live, self.place.private / TOOK
        if known is None or not known.is_same(path, birthless=True) or known.is_whole(path):
            return True
        self._broken("it was truncated, or made anew")
        return False

    def _retire(self, end: float, mark: str) -> None:
        """Make the pinned log, whose name another has, a batch; an empty one where there is none."""
        if self.place.status(PIN):
            self._batch(PIN, end, mark)
        else:
            self._empty(end, mark)

    def _empty(self, end: float, mark: str) -> None:
        """A batch of no file."""
        item = self._item(end, mark)
        os.close(os.open(item.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        sync_folder(item.folder)
        self._note(item)

    def _batch(self, name: str, end: float, mark: str = "") -> None:
        """Give a file of the private place the next batch's name, then note it in the state."""
        item = self._item(end, mark)
        self.place.rename(name, item.name)
        self._note(item)

    def _item(self, end: float, mark: str) -> Renamed:
        state = self.state
        end = round(max(end, (state.last_to or 0.0) + TICK), 3)
        if state.next_seq > 1 and state.last_to is not None:
            start = state.last_to
        elif self.config.include_existing:
            start = 0.0
        else:  # whole seconds, as many formats write them: no line since the installation may look older
            start = min(float(int(installed(self.config, self.stream.config))), end)
        mark = mark or ("full" if self.full else "") or ("broken" if self._lingers(start) else "")
        item = Renamed(self.place.private, state.generation, state.next_seq, start, end, mark)
        return item._replace(missing=self._outside(item)) if mark else item

    def _lingers(self, start: float) -> bool:
        """Whether somebody may still write to a file that nobody knows, or could while the clock was another one."""
        strange, marked = self.state.strange, self.state.marked
        return bool((strange and start < strange + self.config.linger_timeout) or (marked and self._step()))

    def _step(self) -> float:
        """By how many seconds the clock was set since the rotation before."""
        return self.moment.step(self.state.rotated) if self.state.rotated else 0.0

    def _since(self) -> float:
        """Since when time may be missing, by today's clock: since the rotation before.

        Where the clock was set meanwhile, since the first mark of those before, which were told by the clock of then.
        """
        rotated, step = self.state.rotated, self._step()
        if rotated is None:
            return self.moment.wall
        before = self.moment.wall - self.moment.since(rotated)
        return min(before, self.state.marked + step) if step and self.state.marked else before

    def _outside(self, item: Renamed) -> tuple[float, float] | None:
        """The time that a marked batch calls missing where its covers do not hold it; None where they do."""
        since = self._since()
        return None if since >= item.start - STEP_SECONDS else (round(since, 3), round(self.moment.wall, 3))

    def _note(self, item: Renamed) -> None:
        marked = (self.state.marked or self._since()) if item.mark in STRANGE else 0.0
        self.state = self.state._replace(rotated=self.moment, marked=marked)
        self.state = note_batch(self.spool, self.stream, self.place, self.state, item)
        self.made.append(item)

    def _pin_next(self) -> None:
        """The new log, which stands under the log's name since the exchange, is the pinned one from now on."""
        if self.place.status(NEXT):
            self.place.rename(NEXT, PIN)
        self._note_pinned()

    def _note_pinned(self) -> None:
        """One that is not pinned yet is noted when the run ends, which pins it if it can."""
        if self.place.status(PIN):
            self.state = note_live(self.spool, self.stream, self.place) or self.state

    # --- what is not as it should be

    def _broken(self, why: str) -> None:
        self.problems.append(
            f"{self.stream.path} was changed by another program ({why}): the time since the last rotation counts as "
            "missing; look for logrotate or another rotator of this log"
        )

    def _absent(self, turn: float) -> None:
        """Nothing stands under the log's name: what was pinned is all there is of it."""
        self.problems.append(
            f"{self.stream.path} is not there: the time since the last rotation counts as missing; start the "
            f"server, or correct the path of log '{self.stream.log}' in {self.config.path}"
        )
        self._strange(turn)
        self._retire(turn, "absent")

    def _odd(self, turn: float) -> None:
        """A link, a pipe or a file with other names stands under the log's name: it is left where it is."""
        self.problems.append(
            f"{self.stream.path} is no plain file, or has another name: the time since the last rotation counts as "
            f"missing; remove it, and have the server of log '{self.stream.log}' make a new one"
        )
        self._strange(turn)
        self._retire(turn, "odd")

    def _extend(self, status: os.stat_result | None) -> bool:
        """The server never reopened its log and still writes to the last renamed one: let that cover this time too.

        Its batch was not tallied yet, so its covers may still grow. An empty batch beside it would call time idle whose
        lines are all there. But where the new log is not there, or not as it was noted, another program has been at it.
        """
        newest = next(filter(self.state.is_newest, self.place.batches()), None)
        if newest is None or newest.mark == "absent" or is_closed(newest.path):
            return False
        if status is None or status.st_size or not self._is_untouched() or newest.path.stat().st_mtime <= newest.end:
            return False
        self.made.append(extend(self.spool, self.stream, newest, self._now(), "full" if self.full else ""))
        return True

    def _is_untouched(self) -> bool:
        """Whether the pinned log stands under the log's name, and was empty when it was noted."""
        known = self.state.live
        if known is None or known.size or not self.place.is_pinned(self.place.live()):
            return False
        return known.is_same(self.place.private / PIN, birthless=True)


def truncated(item: Renamed, now: float) -> Renamed:
    """Mark a renamed log that is not tallied yet: what was written to it until somebody truncated it is lost.

    That was at any moment until now, and a server may have written to it until then, long after its time.
    """
    return _renamed(item, item._replace(mark="broken", missing=(item.end, round(max(now, item.end), 3))))


def extend(spool: Spool, stream: Stream, item: Renamed, end: float, mark: str = "") -> Renamed:
    """Let the newest renamed log, not yet tallied, cover more time: it was written to until then."""
    longer = _renamed(item, item._replace(end=round(max(end, item.end + TICK), 3), mark=item.mark or mark))
    note_extended(spool, stream, longer)
    return longer


def _renamed(item: Renamed, other: Renamed) -> Renamed:
    rename_exclusively(item.path, other.path)
    sync_folder(item.folder)
    return other


def _keeps_open(log: LogConfig) -> bool:
    return log.server in KEEPS_OPEN or log.format.startswith(tuple(f"{server}_" for server in KEEPS_OPEN))


def take_over(stream: Stream, place: Place, state: State | None) -> None:
    """Bring in what lies where the private place was before, and what an older program has renamed beside the log."""
    if state is not None and state.private not in ("", str(place.private)):
        place.bring(Path(state.private), stream.log)
    if state is None or state.private:
        return
    old = f"{place.name}{OLD_MARK}{state.generation}-"
    for name in os.listdir(place.path.parent):
        item = Renamed.parse_archived(Path(name)) if name.startswith(old) and not name.endswith(ARCHIVED) else None
        if item is not None and item.seq <= state.next_seq and item.end <= time.time() + 3600:
            status = os.stat(name, dir_fd=place.folder, follow_symlinks=False)
            if place.is_plain(status):
                rename_exclusively(name, item._replace(folder=place.private).path, place.folder)
    sync_folder(place.private)
