"""What a log's rotations have come to. All that is ever written of it is written here.

A step on the disk comes before it is noted, so a kill between the two leaves files that the state does not know:
`load_state` mends it from their names.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from edgetally.edge.live_log import Live, note
from edgetally.edge.moment import Moment
from edgetally.edge.place import NEXT, PIN, TOOK, Place
from edgetally.edge.renamed import STRANGE, Renamed
from edgetally.edge.spool import BatchName, Spool
from edgetally.edge.streams import Stream
from edgetally.files import write_atomic
from edgetally.record import NamedTuple


class State(NamedTuple):
    """What a log's rotations have come to.

    path: of the log at the last rotation. last_to: end of its covers, epoch s, None before any. live: the log that was
    there after it. sizes: of the renamed logs that wait, by number, when they were renamed, bytes. turn: when a
    rotation began that is not over yet, epoch s. private: the log's private place then; empty where an older program
    has renamed the log beside itself. mark: of the newest renamed log. strange: when a rotation last found that a file
    that nobody knows may have stood under the log's name, epoch s, 0 where none did. rotated: when the newest renamed
    log was. marked: since when all have had a mark of another program's, by the clock of `rotated`; 0 where the newest
    has none.
    """

    stream: str
    path: str
    generation: str
    next_seq: int = 1
    last_to: float | None = None
    live: Live | None = None
    sizes: dict[str, int] | None = None
    turn: float | None = None
    private: str = ""
    mark: str = ""
    strange: float = 0.0
    rotated: Moment | None = None
    marked: float = 0.0

    def is_shorter(self, item: Renamed) -> bool:
        """Whether a renamed log that waits has lost bytes since: another program had opened it to truncate it."""
        known = (self.sizes or {}).get(str(item.seq), 0) if item.generation == self.generation else 0
        return item.path.stat().st_size < known

    def is_newest(self, item: Renamed) -> bool:
        """Whether a renamed log is the one of the last rotation."""
        return (item.generation, item.seq) == (self.generation, self.next_seq - 1)

    def has_taken(self) -> bool:
        """Whether the rotation that is not over yet has its batch."""
        return self.turn is not None and self.last_to is not None and self.last_to >= self.turn


# --- reading


def read_state(spool: Spool, log: str) -> State | None:
    """A log's state as it was written; None where there is none, or none that can be read."""
    try:
        data = json.loads(_path(spool, log).read_bytes())
        kept = {name: data[name] for name in State._fields if name in data}
        rotated = Moment(**data["rotated"]) if data.get("rotated") else None
        return State(**{**kept, "live": Live(**data["live"]) if data["live"] else None, "rotated": rotated})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def known_logs(spool: Spool) -> list[str]:
    """The paths of all logs that have a state."""
    with suppress(FileNotFoundError):
        states = (
            read_state(spool, name[: -len(".json")]) for name in os.listdir(spool.state) if name.endswith(".json")
        )
        return sorted(state.path for state in states if state)
    return []


def load_state(spool: Spool, stream: Stream, place: Place) -> State:
    """The log's state, mended from what lies on the disk, or a new generation's."""
    state = read_state(spool, stream.log)
    if state is None or state.stream != stream.name:
        mended = State(stream.name, str(stream.path), os.urandom(8).hex())
    elif spool.conflicted(stream.log, state.generation):
        mended = state._replace(generation=os.urandom(8).hex(), next_seq=1)
    else:
        mended = _mend(spool, stream, place, state)
    if mended != state:
        save_state(spool, stream.log, mended)
    return mended


def _mend(spool: Spool, stream: Stream, place: Place, state: State) -> State:
    """Take number and time over from the newest file of this generation, so that no number comes twice."""
    last_to = state.last_to or 0.0
    for item in place.batches():
        known = item.seq < state.next_seq - 1 or (item.seq == state.next_seq - 1 and item.end <= last_to)
        if item.generation == state.generation and not known:
            last_to = max(last_to, item.end)
            if item.seq < state.next_seq:  # it was extended: the live log is still the one that is noted
                state = state._replace(last_to=last_to, mark=item.mark)
            else:
                state = state._replace(next_seq=item.seq + 1, last_to=last_to, live=None, mark=item.mark)
                if item.mark in STRANGE:
                    state = state._replace(strange=item.end, marked=state.marked or item.start)
    while published := spool.find(BatchName(stream.log, state.generation, state.next_seq)):
        last_to = max(last_to, _covers_end(published))
        state = state._replace(next_seq=state.next_seq + 1, last_to=last_to, live=None)
    return state


def _covers_end(body: Path) -> float:
    """The end of a published batch's covers, epoch s; 0 where the file cannot be read."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        return float(json.loads(body.read_bytes())["covers"][1])
    return 0.0


# --- writing


def save_state(spool: Spool, log: str, state: State) -> State:
    """Write a log's state, and give it back."""
    rotated = state.rotated._asdict() if state.rotated else None
    data = {**state._asdict(), "live": state.live._asdict() if state.live else None, "rotated": rotated}
    write_atomic(_path(spool, log), json.dumps(data).encode() + b"\n")
    return state


def _path(spool: Spool, log: str) -> Path:
    return spool.state / f"{log}.json"


def note_turn(spool: Spool, stream: Stream, state: State, turn: float | None) -> State:
    """A rotation begins, or where turn is None, the next may."""
    return save_state(spool, stream.log, state._replace(turn=turn))


def note_batch(spool: Spool, stream: Stream, place: Place, state: State, item: Renamed) -> State:
    """A file has become the next batch's: its number is used up."""
    waiting = {str(one.seq) for one in place.batches() if one.generation == state.generation}
    sizes = {seq: size for seq, size in (state.sizes or {}).items() if seq in waiting}
    sizes[str(item.seq)] = item.path.stat().st_size
    noted = state._replace(next_seq=item.seq + 1, last_to=item.end, live=None, sizes=sizes, mark=item.mark)
    return save_state(spool, stream.log, noted)


def note_extended(spool: Spool, stream: Stream, item: Renamed) -> None:
    """The newest renamed log covers more time."""
    state = read_state(spool, stream.log)
    if state is not None:
        save_state(spool, stream.log, state._replace(last_to=item.end))


def note_live(spool: Spool, stream: Stream, place: Place) -> State | None:
    """Note how the live log begins and how much is in it, so that a truncated one is known. The rotation is over."""
    state = read_state(spool, stream.log)
    if state is None or place.status(TOOK) or place.status(NEXT):
        return state
    noted = state._replace(live=_seen(state, place), path=str(stream.path), private=str(place.private), turn=None)
    return noted if noted == state else save_state(spool, stream.log, noted)


def _seen(state: State, place: Place) -> Live | None:
    """The live log as it is to be noted. One that has lost something since it was noted stays as it was.

    One that is not pinned is known only to the run that has taken the log before it: later, it may be another one.
    """
    pin, known, status = place.private / PIN, state.live, place.live()
    if place.status(PIN):
        lost = known is not None and known.is_same(pin, birthless=True) and not known.is_whole(pin)
        return known if lost else note(pin)
    if known is None and state.has_taken() and status is not None and place.is_plain(status):
        return note(place.path)
    return known
