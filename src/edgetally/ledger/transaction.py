"""Decides what becomes of each batch of a group, and writes the whole group in one transaction, or nothing.

A batch is a row of the ledger, a body, and sums in the counters. Batches that follow the newest of their stream, which
is nearly all, are written together in a few statements; each of the others is looked at alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from edgetally.ledger.counter_changes import CounterChanges
from edgetally.ledger.incoming import Admitted, Incoming
from edgetally.ledger.memory import BOUND_EVERY, LedgerMemory, Newest
from edgetally.ledger.statements import Statements
from edgetally.limits import AHEAD_SECONDS, MAX_STREAMS, OVERLAP_SECONDS, SPREAD_SECONDS
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import BatchError, edge_of

RECORDED = ("committed", "superseded", "already")  # the states of what the ledger has


class Transaction:
    """The inside of one transaction: everything in it is committed together, or undone together.

    memory: what is kept from one transaction to the next. commit_no: this transaction's number. now: the database's
    clock, epoch seconds. detail_from: the first slot of which there is detail.
    """

    def __init__(self, cursor: Any, memory: LedgerMemory, commit_no: int, now: float, detail_from: int = 0) -> None:
        self.cursor = cursor
        self.sql = Statements(cursor)
        self.memory = memory
        self.commit_no = commit_no
        self.now = now
        self.detail_from = detail_from
        self._bounds_quarantine = False

    def record(self, incoming: Sequence[Incoming]) -> list[str]:
        """Write every payload of a group; see Ledger.commit."""
        states = [""] * len(incoming)
        items = self._admit(incoming, states)
        following, others = self._divide(items)
        if not self.sql.insert_all(following, self.commit_no):
            following, others = [], items
        changes = CounterChanges()
        for item in following:
            self._add(item, changes)
            self._note_edge(item, changes)
            states[item.place] = "committed"
        for item in others:
            try:
                states[item.place] = self._count(item, changes)
            except BatchError as error:
                states[item.place] = self.refuse(item.incoming, error)
            self.memory.streams.pop(item.stream_id, None)
        self.sql.add(changes, self.detail_from)
        return states

    def refuse(self, item: Incoming, error: BatchError) -> str:
        """Put a payload aside. Returns the reason."""
        self.sql.put_aside(item, error, ahead=item.batch is not None and self._is_ahead(item.batch))
        self._bounds_quarantine |= self.memory.refused % BOUND_EVERY == 0
        self.memory.refused += 1
        return error.reason

    def end(self) -> None:
        """What is to be done before the commit."""
        if self._bounds_quarantine:
            self.sql.bound_quarantine()

    # --- which batches may be counted, and which of them just follow

    def _admit(self, incoming: Sequence[Incoming], states: list[str]) -> list[Admitted]:
        """Put aside what must not be counted whatever the ledger has; return the rest, with the ids of its streams."""
        good: list[tuple[int, Incoming, Batch]] = []
        self._unknown("stream", (item.batch.stream for item in incoming if item.batch))
        for index, item in enumerate(incoming):
            try:
                if item.refused or item.batch is None:
                    raise item.refused or BatchError("invalid", "there is no batch in it")
                self._check_clock(item.batch)
                self._check_new(item.batch.stream)
                good.append((index, item, item.batch))
            except BatchError as error:
                states[index] = self.refuse(item, error)
        ids, new = self.ids_of("stream", {batch.stream for _index, _item, batch in good})
        self.ids_of("channel", set().union(*(batch.channels for _index, _item, batch in good)))
        for _index, _item, batch in good:
            if batch.stream in new:  # a new stream has no batch yet
                newest = self.memory.streams.setdefault(ids[batch.stream], Newest())
                newest.top[batch.generation] = 0
        return [Admitted(index, item, batch, ids[batch.stream]) for index, item, batch in good]

    def _check_new(self, stream: str) -> None:
        """Raise BatchError for a new stream of an edge that has very many: names stay for ever."""
        if stream not in self.memory.ids["stream"] and self.sql.streams_of(edge_of(stream)) >= MAX_STREAMS:
            raise BatchError(
                "implausible", f"{stream} is a new stream of an edge that has {MAX_STREAMS}: retire some that are gone"
            )

    def _check_clock(self, batch: Batch) -> None:
        low, high = batch.covers
        if self._is_ahead(batch):
            raise BatchError("clock", f"it ends {high - self.now:.0f} s ahead of the database's clock")
        slots = [row[0] for row in batch.rows]
        if slots and (max(slots) > high + SPREAD_SECONDS or (low is not None and min(slots) < low - SPREAD_SECONDS)):
            raise BatchError("clock", "its rows lie hours outside the time that it covers")

    def _is_ahead(self, batch: Batch) -> bool:
        return batch.covers[1] > self.now + AHEAD_SECONDS

    def _divide(self, items: Sequence[Admitted]) -> tuple[list[Admitted], list[Admitted]]:
        """Tell batches that follow all that the ledger has of their stream from the others: (following, others).

        A batch that begins where the newest ends, or later, overlaps nothing, and of a number above all others of its
        generation there is no other revision. Once one batch of a stream is among the others, all after it are, too:
        they stay in their order.
        """
        self._look_at_newest(items)
        behind: set[int] = set()
        following, others = [], []
        for item in items:
            batch, newest = item.batch, self.memory.streams[item.stream_id]
            follows = item.begin + OVERLAP_SECONDS >= newest.reach and batch.seq > newest.top[batch.generation]
            if follows and batch.revision == 0 and item.stream_id not in behind:
                newest.reach = max(newest.reach, batch.covers[1])
                newest.top[batch.generation] = batch.seq
                following.append(item)
            else:
                behind.add(item.stream_id)
                others.append(item)
        return following, others

    def _look_at_newest(self, items: Iterable[Admitted]) -> None:
        """Learn until when the batches of each stream reach, and the highest number in each of its generations."""
        streams = self.memory.streams
        reaches = self.sql.reaches({item.stream_id for item in items}.difference(streams))
        streams.update((stream_id, Newest() if high is None else Newest(float(high))) for stream_id, high in reaches)
        wanted = {(item.stream_id, item.batch.generation) for item in items}
        unknown = [(number, generation) for number, generation in wanted if generation not in streams[number].top]
        for stream_id, generation, seq in self.sql.tops(unknown):
            streams[stream_id].top[generation] = seq or 0

    # --- batches that do not just follow: late, repeated, corrected, overlapping

    def _count(self, item: Admitted, changes: CounterChanges) -> str:
        """Write one batch: ledger, body, sums. Raises BatchError for what must be put aside."""
        other = self.sql.overlapping(item)  # a restored or cloned machine
        if other:
            raise BatchError("overlap", f"it covers time that batch {other[0]}/{other[1]} of its stream covers already")
        superseded = self.sql.has_newer(item)
        state = "superseded" if superseded else "committed"
        older = self.sql.older(item) if item.batch.revision and not superseded else []
        if not self.sql.insert([item], state, self.commit_no):
            if self.sql.content(item) == item.incoming.sha256:
                return "already"
            raise BatchError("conflict", "the ledger has another batch of the same number")
        self._note_edge(item, changes)  # whatever revision tells of it: no other does
        if not superseded:
            self._replace(older, item, changes)
            self._add(item, changes)
        return state

    def _replace(self, older: Sequence[Batch], item: Admitted, changes: CounterChanges) -> None:
        """A correction replaces every earlier revision: take the old bodies out of the counters."""
        for old in older:
            self.ids_of("channel", old.channels)
            changes.subtract(item.stream_id, self._channel_ids(old), old)
        if item.batch.revision:
            self.sql.supersede_older(item)

    # --- names and counters

    def _add(self, item: Admitted, changes: CounterChanges) -> None:
        changes.add(item.stream_id, self._channel_ids(item.batch), item.batch)

    def _note_edge(self, item: Admitted, changes: CounterChanges) -> None:
        """Note what a batch that is new to the ledger tells of its edge."""
        changes.add_counted(item.batch)
        edge, region = edge_of(item.batch.stream), item.batch.region
        if region and self.memory.regions.get(edge) != region:
            self.sql.note_region(edge, item.first_slot, region)
            self.memory.regions[edge] = region

    def _channel_ids(self, batch: Batch) -> list[int]:
        return list(map(self.memory.ids["channel"].__getitem__, batch.channels))

    def ids_of(self, table: str, names: Iterable[str]) -> tuple[dict[str, int], set[str]]:
        """The ids of streams or channels, and the names among them that are new and were given one."""
        known = self.memory.ids[table]
        new = self._unknown(table, names)
        if new:
            self.sql.insert_names(table, new)
            known.update(self.sql.ids(table, new))
        return known, new

    def _unknown(self, table: str, names: Iterable[str]) -> set[str]:
        """Learn the ids of streams or channels; return those that have none."""
        known = self.memory.ids[table]
        wanted = set(names).difference(known)
        if wanted:
            known.update(self.sql.ids(table, wanted))
        return wanted.difference(known)
