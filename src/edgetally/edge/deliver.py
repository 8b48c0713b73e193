"""The delivery: submit the outbox to the job servers, and move to sent/ only what the ledger confirms by its hash.

A run asks for what is outstanding, submits the rest, and asks again until all is confirmed or its time is over.
Nothing is remembered between runs but the files themselves: the attempt comes from a file's age.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from edgetally.config import EdgeConfig
from edgetally.digest import sha256
from edgetally.edge.spool import BatchName, Spool
from edgetally.errors import EdgetallyError
from edgetally.files import read_plain, write_atomic
from edgetally.limits import RECEIPT_MAX_ASK
from edgetally.record import NamedTuple
from edgetally.wire import clock_offset
from edgetally.wire.batch import FUNCTION, unique_id
from edgetally.wire.envelope import Key, content_hash, seal
from edgetally.wire.machine import Machine, this_machine
from edgetally.wire.receipts import (
    CONFIRMED,
    RECEIPT_FUNCTION,
    UNDECIDED,
    UNKNOWN,
    AnswerError,
    is_refused,
    open_answer,
    seal_request,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from edgetally.wire.submit import Job


ATTEMPT_SECONDS = 900  # an accepted batch that stays unconfirmed for so long gets another unique id
FIRST_ASK_SECONDS = 5.0
SUBMIT_SECONDS = 30.0
PAUSE_SECONDS = (0.1, 4.0)  # between two requests: the first and the longest
GROUP_BYTES = 16 << 20  # what is held in memory at once


class Item(NamedTuple):
    """One file of the outbox, of sent/ or of held/. changed: the file's time, epoch s; sha256: of its body, hex."""

    name: BatchName
    path: Path
    stream: str
    sha256: str
    changed: float


def attempt(age: float) -> int:
    """The number of the attempt, from the batch's age in seconds: 0, and from 15 minutes on one more at each doubling.

    A job server swallows a batch whose unique id it has queued or running, so a hung worker's batch needs a new one.
    Only where an aggregator answers, and does not have the batch: else copies would pile up for as long as it is away.
    """
    return 0 if age < ATTEMPT_SECONDS else int(age // ATTEMPT_SECONDS).bit_length()


def splay_seconds(edge: str, splay: int) -> float:
    """How long this edge waits before it submits: always the same, and spread over the fleet."""
    return int(sha256(edge.encode()).hex(), 16) % (splay * 1000) / 1000 if splay else 0.0


class Delivery:
    """The delivery of one run. warn takes a sentence on what is wrong."""

    def __init__(self, config: EdgeConfig, spool: Spool, warn: Callable[[str], None]) -> None:
        self.config = config
        self.spool = spool
        self.warn = warn
        self.key = Key(config.key_id, bytes.fromhex(config.key))
        self.servers = list(config.job_servers)  # first the one over which an aggregator has answered
        self.silence = ""  # why no aggregator answered

    def run(self, started: float, now: bool = False, reconcile: bool = False) -> None:
        """Deliver what is in the outbox; with reconcile, also what the ledger has lost of sent/.

        started: when this run began, epoch s. Only what is older can have been submitted before.
        """
        if reconcile:
            self._reconcile()
        if not self.spool.batches(self.spool.outbox):
            return
        if not now:
            time.sleep(splay_seconds(self.config.edge, self.config.splay))
        items = self._items(self.spool.outbox)
        earlier = [item for item in items if item.changed < started]
        confirmed = self._settle(earlier, FIRST_ASK_SECONDS) if earlier else set()
        left = [item for item in items if item not in confirmed]
        if left and self._submit(left):
            left = self._await(left)
        self._report(left)

    def _items(self, folder: Path) -> list[Item]:
        """The files in outbox/, sent/ or held/ that this edge may send, in order."""
        items = []
        foreign = []
        for name in self.spool.batches(folder):
            path = folder / str(name)
            with suppress(FileNotFoundError):
                body = path.read_bytes()
                stream = f"{self.config.edge}/{name.log}"
                if body.startswith(f'{{"stream":{json.dumps(stream)},'.encode()):
                    items.append(Item(name, path, stream, content_hash(body), path.stat().st_mtime))
                else:
                    foreign.append(name)
        if foreign:
            self.warn(
                f"{len(foreign)} batches in {folder} are not of edge '{self.config.edge}' (the first is {foreign[0]}): "
                f"this edge may sign only its own; set the old name in {self.config.path} until they are delivered"
            )
        return items

    # --- submit

    def _submit(self, items: Sequence[Item]) -> bool:
        """Submit all as background jobs. False where no job server took any: the message is said."""
        from edgetally.wire.gearman import LinkError
        from edgetally.wire.submit import submit

        accepted: set[str] = set()
        try:
            for jobs in self._jobs(items):
                accepted |= submit(self.servers, FUNCTION, jobs, SUBMIT_SECONDS, self.config.tls)
        except LinkError as error:
            self.warn(str(error))
            return False
        refused = len(items) - len(accepted)
        if refused > 0:
            self.warn(
                f"{refused} of {len(items)} batches were not taken by the job servers: look at their log and queue "
                "limit; nothing is lost, the next run tries again"
            )
        return True

    def _jobs(self, items: Iterable[Item]) -> Iterator[list[Job]]:
        """The jobs, signed with the key of today, a bounded number of bytes at a time."""
        from edgetally.wire.submit import Job

        jobs: list[Job] = []
        size = 0
        for item in items:
            with suppress(FileNotFoundError):
                payload = seal(item.stream, self.key, item.path.read_bytes())
                name = item.name
                number = 0 if self.silence else attempt(time.time() - item.changed)
                unique = unique_id(item.stream, name.generation, name.seq, name.revision, name.part, number)
                if jobs and size + len(payload) > GROUP_BYTES:
                    yield jobs
                    jobs, size = [], 0
                jobs.append(Job(unique, payload))
                size += len(payload)
        if jobs:
            yield jobs

    # --- receipts

    @cached_property
    def _machine(self) -> Machine:
        return this_machine(self.servers[0])

    def _await(self, items: Sequence[Item]) -> list[Item]:
        """Ask until all is confirmed or receipt_wait is over. Returns what is left."""
        deadline = time.monotonic() + self.config.receipt_wait
        left = list(items)
        pause, longest = PAUSE_SECONDS
        while left and (room := deadline - time.monotonic()) > 0:
            time.sleep(min(pause, room))
            pause = min(pause * 1.7, longest)
            first = self.servers[0]
            confirmed = self._settle(left, max(0.5, deadline - time.monotonic()))
            left = [item for item in left if item not in confirmed]
            if left and self.servers[0] != first:  # an aggregator answers, but not over the server that has the batches
                self._submit(left)
        return left

    def _settle(self, items: Sequence[Item], timeout: float) -> set[Item]:
        """Ask for all, and move what is decided. Returns the decided ones; silence and garbled answers decide none."""
        decided = set()
        for item, state in self._states(items, timeout):
            if state in CONFIRMED:
                with suppress(FileNotFoundError):
                    os.rename(item.path, self.spool.sent / str(item.name))
            elif is_refused(state):
                self._hold(item, state)
            else:
                continue
            decided.add(item)
        return decided

    def _hold(self, item: Item, state: str) -> None:
        self.spool.hold(item.name, state)
        self.warn(
            f"batch {item.name} was refused ({state}) and is held in {self.spool.held}: it is not counted; see "
            "`edgetally status` here and the aggregator's log"
        )

    def _states(self, items: Sequence[Item], timeout: float) -> Iterator[tuple[Item, str]]:
        """The ledger's state of each item: one request per stream and 1,000 items. Ends early where none answers."""
        from edgetally.wire.gearman import LinkError

        deadline = time.monotonic() + timeout
        for group in _groups(items):
            self.silence = ""
            try:
                states = self._receipt(group, max(0.5, deadline - time.monotonic()))
            except LinkError as error:
                self.silence = str(error)
                return
            yield from zip(group, states)

    def _receipt(self, group: Sequence[Item], timeout: float) -> list[str]:
        """One request for receipts and its verified answer."""
        from edgetally.wire.submit import ask

        stream, nonce = group[0].stream, os.urandom(16).hex()
        asked = [(item.name.generation, item.name.seq, item.name.revision, item.sha256) for item in group]
        before = time.time()
        request = seal_request(stream, self.key, nonce, asked, self._machine)
        server, answer = ask(self.servers, RECEIPT_FUNCTION, request, timeout, self.config.tls)
        after = time.time()
        self.servers.sort(key=lambda name: name != server)
        try:
            receipts = open_answer(answer, stream, self.key, nonce, len(group))
        except AnswerError as error:
            self.silence = "the aggregator's answer cannot be trusted"
            self.warn(
                f"the aggregator's answer for {stream} cannot be trusted ({error}): roll the aggregator out again, and "
                "check that edgetally_master_key is the same there and for this edge; nothing is moved"
            )
            return [UNDECIDED] * len(group)
        self._pin(receipts.ledger)
        self._note_clock(before, receipts.time, after)
        return receipts.states

    def _note_clock(self, before: float, theirs: float | None, after: float) -> None:
        """Keep how far our clock is from the database's, for `status`; an older aggregator does not say."""
        if theirs is not None:
            with suppress(OSError):  # a full disk is told elsewhere, and must not keep a batch from being confirmed
                write_atomic(self.spool.clock, json.dumps(clock_offset.measure(before, theirs, after)).encode())

    def _pin(self, ledger: str) -> None:
        """Accept one ledger for good: the first. Another one knows nothing of what was confirmed before."""
        try:
            pinned = self.spool.ledger.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            write_atomic(self.spool.ledger, ledger.encode() + b"\n")
            return
        if pinned != ledger:
            raise EdgetallyError(
                f"the aggregator's database is another one (ledger {ledger}, and this edge knows {pinned}): nothing is "
                f"confirmed; if the database was replaced on purpose, remove {self.spool.ledger} and run "
                "`edgetally ship --reconcile`"
            )

    def _reconcile(self) -> None:
        """Put back into the outbox what was confirmed once and the ledger does not know any more.

        What is held is asked for, too: a person may have had the ledger take it meanwhile. Held and unknown, it stays.
        """
        sent = self._items(self.spool.sent)
        items = sent + self._items(self.spool.held)
        oldest = {item.name.log: item for item in sorted(sent, key=lambda item: -item.changed)}
        answered = 0
        for item, state in self._states(items, SUBMIT_SECONDS + len(items) / 100):
            answered += state != UNDECIDED
            if item.path.parent == self.spool.held:
                if state in CONFIRMED:
                    self.spool.release(item.name)
            elif state == UNKNOWN:
                if item is oldest[item.name.log] and item.name.seq > 1:
                    self._note_lost(item)
                os.utime(item.path)  # begin again with the first attempt
                os.rename(item.path, self.spool.outbox / str(item.name))
            elif is_refused(state):
                self._hold(item, state)
        if answered < len(items):
            self.warn(f"{len(items) - answered} batches were not reconciled: {self.silence}")

    def _note_lost(self, item: Item) -> None:
        """Note since when a log's batches can be sent again, where the ledger has lost even the oldest that is kept."""
        since = json.loads(item.path.read_bytes())["covers"][0]
        write_atomic(self.spool.lost, json.dumps({**read_lost(self.spool), item.name.log: since}).encode())

    def _report(self, left: Sequence[Item]) -> None:
        """Say what stays unconfirmed when that is no longer ordinary."""
        age = max((time.time() - item.changed for item in left), default=0.0)
        if age > ATTEMPT_SECONDS:
            why = self.silence or "the aggregator has not committed them yet: look at its log"
            self.warn(f"{len(left)} batches are not confirmed, the oldest for {age / 60:.0f} minutes: {why}")


def read_lost(spool: Spool) -> dict[str, float]:
    """The logs of which a ledger has lost more than is kept here, and since when it is kept, epoch s."""
    try:
        lost: dict[str, float] = json.loads(read_plain(spool.lost))
    except (OSError, ValueError):
        return {}
    return lost


def _groups(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Cut into groups of one stream and at most 1,000, the most that one request may ask for."""
    streams: dict[str, list[Item]] = {}
    for item in items:
        streams.setdefault(item.stream, []).append(item)
    for group in streams.values():
        for start in range(0, len(group), RECEIPT_MAX_ASK):
            yield group[start : start + RECEIPT_MAX_ASK]
