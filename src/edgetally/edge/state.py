"""What a log's rotations have come to. All that is ever written of it is written here.

The rename of a log comes before its state, so a crash between the two leaves a renamed file that the state does not
know: `load_state` mends it from what lies on the disk.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edgetally.edge.live_log import NOWHERE, Beside, Live, beside_log, note, rotated_since
from edgetally.edge.renamed import Renamed
from edgetally.edge.spool import BatchName, Spool
from edgetally.edge.streams import Stream
from edgetally.files import write_atomic


class State(NamedTuple):
    """What a log's rotations have come to.

    last_to: end of the last rotation's covers, epoch s, None before any. beside: what lay beside the live log then;
    None where that is not known. size: of the newest renamed log when it was renamed, bytes.
    """

    stream: str
    path: str
    generation: str
    next_seq: int = 1
    last_to: float | None = None
    live: Live | None = None
    beside: Beside | None = None
    size: int = 0

    def is_newest(self, item: Renamed) -> bool:
        """Whether a renamed log is the one of the last rotation."""
        return (item.generation, item.seq) == (self.generation, self.next_seq - 1)


# --- reading


def read_state(spool: Spool, log: str) -> State | None:
    """A log's state as it was written; None where there is none, or none that can be read."""
    try:
        data = {"beside": None, **json.loads(_path(spool, log).read_bytes())}
        if data["beside"] is not None:  # older programs did not note it
            data["beside"] = tuple((str(name), int(inode)) for name, inode in data["beside"])
        return State(**{**data, "live": Live(**data["live"]) if data["live"] else None})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return None


def load_state(spool: Spool, stream: Stream) -> State:
    """The log's state, mended from what lies on the disk, or a new generation's."""
    state = read_state(spool, stream.log)
    if state is None or state.stream != stream.name:
        mended = State(stream.name, str(stream.path), os.urandom(8).hex())
    elif spool.conflicted(stream.log, state.generation):
        mended = state._replace(generation=os.urandom(8).hex(), next_seq=1)
    else:
        mended = _mend(spool, stream, state)
    if mended != state:
        save_state(spool, stream.log, mended)
    return mended


def _mend(spool: Spool, stream: Stream, state: State) -> State:
    """Take number and time over from the newest file of this generation, so that no number comes twice."""
    last_to = state.last_to or 0.0
    for item in stream.renamed():
        known = item.seq < state.next_seq - 1 or (item.seq == state.next_seq - 1 and item.end <= last_to)
        if item.generation == state.generation and not known:
            last_to = max(last_to, item.end)
            state = state._replace(next_seq=item.seq + 1, last_to=last_to, live=None, size=0)
    while published := spool.find(BatchName(stream.log, state.generation, state.next_seq)):
        last_to = max(last_to, _covers_end(published))
        state = state._replace(next_seq=state.next_seq + 1, last_to=last_to, live=None, size=0)
    return state


def _covers_end(body: Path) -> float:
    """The end of a published batch's covers, epoch s; 0 where the file cannot be read."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        return float(json.loads(body.read_bytes())["covers"][1])
    return 0.0


# --- writing


def save_state(spool: Spool, log: str, state: State) -> None:
    """Write a log's state."""
    data = {**state._asdict(), "live": state.live._asdict() if state.live else None}
    write_atomic(_path(spool, log), json.dumps(data).encode() + b"\n")


def _path(spool: Spool, log: str) -> Path:
    return spool.state / f"{log}.json"


def note_renamed(spool: Spool, stream: Stream, state: State, item: Renamed, size: int, beside: Beside) -> State:
    """A file has become the next batch's: its number is used up, and the live log is not known yet."""
    noted = state._replace(
        path=str(stream.path), next_seq=state.next_seq + 1, last_to=item.end, live=None, beside=beside, size=size
    )
    save_state(spool, stream.log, noted)
    return noted


def note_extended(spool: Spool, stream: Stream, item: Renamed) -> None:
    """The newest renamed log covers more time."""
    state = read_state(spool, stream.log)
    if state is not None:
        save_state(spool, stream.log, state._replace(last_to=item.end, live=None))


def record_live(spool: Spool, stream: Stream) -> bool:
    """Note the live log that the server made. False where there is none.

    Where another rotator has been here in the meantime, it may not be the log that the server made first: then a log is
    noted that is nowhere, and the next rotation says so.
    """
    live = stream.live()
    state = read_state(spool, stream.log)
    if live is None or state is None:
        return False
    if rotated_since(stream, state.beside):
        save_state(spool, stream.log, state._replace(live=NOWHERE, beside=beside_log(stream)))
        return False
    save_state(spool, stream.log, state._replace(live=note(stream.path, live)))
    return True


def note_again(spool: Spool, stream: Stream) -> None:
    """Note how the live log begins, where it was still empty when it was noted: so a truncated one is known."""
    live = stream.live()
    state = read_state(spool, stream.log)
    if live is None or state is None or state.live is None or state.live.size or not live.st_size:
        return
    if (live.st_dev, live.st_ino) == (state.live.dev, state.live.inode):
        save_state(spool, stream.log, state._replace(live=note(stream.path, live)))
