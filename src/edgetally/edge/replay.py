"""A replay: tally archived logs again, with today's channel map, as corrections of what was sent.

A batch that comes out otherwise goes into the outbox as the next revision of its number; the ledger replaces the older
one in a single transaction, whatever arrives first. What comes out the same is left alone, so replaying twice, or after
being killed anywhere, is harmless.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgetally.config import EdgeConfig
from edgetally.edge.archive import archived
from edgetally.edge.make_batch import BatchMaker
from edgetally.edge.renamed import Renamed
from edgetally.edge.spool import BatchName, Spool
from edgetally.edge.streams import Stream, find_streams
from edgetally.edge.unprivileged import user_named
from edgetally.errors import EdgetallyError
from edgetally.files import read_plain
from edgetally.times import epoch_seconds
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import BatchError

Number = tuple[str, str, int]  # log, generation, seq: a batch whatever its revision


@dataclass(frozen=True)
class Sent:
    """What is known of one batch here. batch: its newest revision that is not held; newest: the highest number there is
    of a revision; held: those in held/."""

    batch: Batch | None
    newest: int
    held: set[int]


@dataclass
class Change:
    """What a replay does. batches: how many it looked at, corrected: how many came out otherwise, skipped: how many had
    to be left; warned: whether something was wrong.

    channels: channel -> what is added to its requests and bytes.
    """

    batches: int = 0
    corrected: int = 0
    skipped: int = 0
    warned: bool = False
    channels: dict[str, list[int]] = field(default_factory=dict)

    def add(self, batch: Batch, sign: int) -> None:
        """Add a batch's sums, or take them away."""
        for _slot, channel, requests, size, _hits, _hit_bytes in batch.rows:
            sums = self.channels.setdefault(batch.channels[channel], [0, 0])
            sums[0] += sign * requests
            sums[1] += sign * size


def replay(
    config: EdgeConfig,
    start: str,
    end: str,
    log: str = "",
    dry_run: bool = False,
    changed_format: bool = False,
) -> Change:
    """Replay what covers some of the time from start to end. What had to be left is said on standard error.

    start, end: as epoch_seconds reads them; log: only this one. changed_format: also where the log's format of today
    gives other sums than were sent. Raises EdgetallyError for wrong use.
    """
    low, high = epoch_seconds(start, "--from"), epoch_seconds(end, "--to")
    if low >= high:
        raise EdgetallyError(f"--from {start} is not before --to {end}: exchange them")
    spool = Spool(config.spool, user_named(config.user))
    if not spool.root.is_dir():
        raise EdgetallyError(f"{spool.root} is not there: this edge has sent nothing that could be corrected")
    work = Replay(config, spool, dry_run, changed_format)
    with spool.lock("replay") as held:
        if held is not None:
            raise EdgetallyError("another replay is at work: wait until it has ended")
        return work.run(low, high, log)


class Replay:
    """The work of one replay."""

    def __init__(self, config: EdgeConfig, spool: Spool, dry_run: bool, changed_format: bool) -> None:
        self.config = config
        self.spool = spool
        self.dry_run = dry_run
        self.changed_format = changed_format
        self._change = Change()
        self._maker = BatchMaker(config, self._say)
        streams, _problems = find_streams(config)
        self._streams = {stream.log: stream for stream in streams}

    def run(self, low: float, high: float, log: str) -> Change:
        """Correct every batch that covers some of the time from low to high, epoch s."""
        change = self._change
        found = False
        for number in self._numbers():
            if log in ("", number[0]):
                found = True
                try:
                    self._replay(number, low, high, change)
                except (EdgetallyError, OSError) as error:
                    change.skipped += 1
                    self._say(f"batch {_text(number)} is left as it is: {error}")
        if log and not found:
            raise EdgetallyError(f"--log {log}: no batch of it was sent from here: `edgetally status` names the logs")
        return change

    def _say(self, text: str) -> None:
        self._change.warned = True
        print(f"edgetally: {text}".replace("\n", " "), file=sys.stderr, flush=True)

    def _numbers(self) -> list[Number]:
        """All batches that lie in the spool, in order."""
        folders = (self.spool.outbox, self.spool.sent, self.spool.held, self.spool.outbox)  # a sender may move some
        return sorted(
            {(name.log, name.generation, name.seq) for folder in folders for name in self.spool.batches(folder)}
        )

    # --- one batch

    def _replay(self, number: Number, low: float, high: float, change: Change) -> None:
        """Correct one batch if it covers some of the time. Raises EdgetallyError where it should be, and cannot."""
        sent = self._sent(number)
        old = sent.batch
        if old is None or not _touches(old, low, high):
            return
        change.batches += 1
        if 0 in sent.held:
            raise EdgetallyError("it is held, so it counts nowhere; see `edgetally status`")
        new = self._tally(number, old)
        self._check_sums(number, old, new)
        if new == old and sent.newest == old.revision and old.revision not in sent.held:
            return
        change.corrected += 1
        change.add(old, -1)
        change.add(new, +1)
        if not self.dry_run:
            name = BatchName(*number, sent.newest + 1)
            bodies = new._replace(revision=name.revision, counters=None).encode()  # the ledger adds what a batch tells
            with self.spool.lock("rotate", wait=True):  # a run's recovery must not take its temporary files for debris
                self.spool.publish(name, bodies)

    def _sent(self, number: Number) -> Sent:
        """What lies in the spool of one batch."""
        spool = self.spool
        folders = (spool.outbox, spool.sent, spool.outbox)  # a sender may move it while we look
        held = _revisions(spool.batches(spool.held), number)
        good = _revisions((name for folder in folders for name in spool.batches(folder)), number) - held
        known = good or held
        return Sent(self._read(BatchName(*number, max(known))) if known else None, max(good | held, default=0), held)

    def _read(self, name: BatchName) -> Batch | None:
        """A revision of a batch, its parts put together; None where its files are gone by now."""
        first = self._read_part(name)
        if first is None:
            return None
        parts = [first, *(self._read_part(name._replace(part=part)) for part in range(1, first.parts))]
        whole = [part for part in parts if part is not None]
        if len(whole) < first.parts:
            raise EdgetallyError(
                f"some of its parts are not in the spool any more: restore {self.spool.sent} from a backup, or leave "
                "the batch as it was sent"
            )
        return first._replace(rows=tuple(row for part in whole for row in part.rows), parts=1)

    def _read_part(self, name: BatchName) -> Batch | None:
        path = self.spool.find(name)
        try:
            return Batch.decode(read_plain(path)) if path else None
        except FileNotFoundError:  # it was confirmed in this moment, and moved
            moved = self.spool.find(name)
            return Batch.decode(read_plain(moved)) if moved else None
        except BatchError as error:
            raise EdgetallyError(
                f"{path} cannot be read ({error.detail}): restore it from a backup, or leave the batch as it was sent"
            ) from None

    def _tally(self, number: Number, old: Batch) -> Batch:
        """The same batch as the configuration of today makes it of its raw log."""
        stream = self._streams.get(number[0])
        if stream is None:
            raise EdgetallyError(
                f"log '{number[0]}' is not in {self.config.path} any more: add it again for the replay"
            )
        if stream.name != old.stream:
            raise EdgetallyError(
                f"it is of stream {old.stream}, and this edge is '{self.config.edge}' now: set the old name in "
                f"{self.config.path} for the replay"
            )
        item, path = self._raw(stream, number)
        if (None if item.seq == 1 else item.start, item.end) != old.covers:
            raise EdgetallyError(
                f"{path} covers another time: it is not the raw log that the batch was made of; restore that from a "
                "backup"
            )
        kept = {name: getattr(old, name) for name in ("log", "continuity", "counters", "region")}
        return self._maker.batch(stream, item, path, old.revision)._replace(**kept)

    def _raw(self, stream: Stream, number: Number) -> tuple[Renamed, Path]:
        """The raw log of a batch: in the archive, or still beside the live log."""
        folder = self.spool.raw / stream.log
        for item, path in archived(folder):
            if (item.generation, item.seq) == number[1:]:
                return item, path
        for item in stream.renamed():
            if (item.generation, item.seq) == number[1:]:
                return item, item.path
        raise EdgetallyError(
            f"its raw log is gone: these are kept for {self.config.keep_raw_days} days (edge_shipper_keep_raw_days), "
            "and as long as there is room"
        )

    def _check_sums(self, number: Number, old: Batch, new: Batch) -> None:
        """Lines and bytes are facts of the raw log: a channel map changes neither, another format of the log does."""
        if (new.lines, new.size) == (old.lines, old.size):
            return
        sums = f"{new.lines} lines, {new.rejected} of them rejected, and {new.size} bytes"
        was = f"{old.lines} lines, {old.rejected} rejected, and {old.size} bytes"
        if not self.changed_format:
            raise EdgetallyError(
                f"today's format of log '{number[0]}' reads {sums} in its raw log, and {was} were sent: give it the "
                "format of that time, or, where that was the mistake, say --changed-format"
            )
        if new.lines != old.lines and new.seq > 1:
            raise EdgetallyError(
                f"its raw log has {sums}, and {was} were sent: the raw log is damaged; restore it from a backup, or "
                "leave the batch as it was sent"
            )


def _revisions(names: Iterable[BatchName], number: Number) -> set[int]:
    return {name.revision for name in names if name[:3] == number}


def _touches(batch: Batch, low: float, high: float) -> bool:
    """Whether a batch covers some of a time. A generation's first batch begins with its first slot."""
    begin, end = batch.covers
    if begin is None:
        begin = min((row[0] for row in batch.rows), default=end)
    return begin < high and end > low


def _text(number: Sequence[object]) -> str:
    return "-".join(map(str, number))
