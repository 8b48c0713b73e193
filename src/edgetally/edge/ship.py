"""One run of an edge: rotate, tally, publish to the outbox, archive, deliver. cron starts it every five minutes.

Every step can be killed at any instruction and done again. Rotation comes first and on time; delivery, which may wait
for others, has its own lock and never delays the next rotation. A run is silent when all is well.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgetally.config import EdgeConfig
from edgetally.edge.archive import archive, make_room, prune
from edgetally.edge.closing import is_closed, reopen, wait_closed
from edgetally.edge.counters import Meter
from edgetally.edge.live_log import note_full
from edgetally.edge.place import PIN
from edgetally.edge.renamed import Renamed
from edgetally.edge.rotation import Rotation, take_over, truncated
from edgetally.edge.spool import LOCK_WARNING_SECONDS, BatchName, Spool
from edgetally.edge.state import known_logs, load_state, note_live, read_state
from edgetally.edge.streams import Stream, find_streams, installed
from edgetally.edge.unprivileged import run_as, user_named
from edgetally.errors import EdgetallyError
from edgetally.files import write_atomic
from edgetally.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from edgetally.edge.make_batch import BatchMaker
    from edgetally.wire.batch import Batch

OPEN_WARNING_SECONDS = 900  # a file of an earlier run that is open for longer is worth a message
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Options(NamedTuple):
    """What the command line may ask of a run."""

    now: bool = False
    dry_run: bool = False
    pause: bool = False
    resume: bool = False
    leave: bool = False
    reconcile: bool = False


def run(config: EdgeConfig, options: Options) -> int:
    """`edgetally ship`: one run. 0: all is well; 1: something is wrong, nothing is lost, and messages say what."""
    spool = Spool(config.spool, user_named(config.user))
    ship = Ship(config, spool)
    if options.dry_run:
        with ship.guard():
            ship.rehearse(options)
        return ship.status
    with ship.guard():
        spool.prepare()
    if ship.status:
        return ship.status
    if options.pause or options.resume:
        with ship.guard():
            _pause(spool, options.pause)
        return ship.status
    if options.leave:
        ship.phase("rotate", ship.leave_all, wait=True)
        return ship.status
    if spool.paused.exists():
        return 0
    with suppress(ValueError):  # a writer that comes while a read lease is held sends SIGIO, which would end the run
        signal.signal(signal.SIGIO, signal.SIG_IGN)
    ship.phase("rotate", ship.rotate_all)
    ship.phase("send", lambda: ship.deliver(options), wait=options.reconcile)
    return ship.status


def check(config: EdgeConfig) -> None:
    """Check what the configuration names: its logs, their formats and the channel map. Raises EdgetallyError."""
    from edgetally.formats.catalogue import parse_format
    from edgetally.tally.channels import ChannelMap
    from edgetally.wire.batch import CANARY_STREAM

    for log in config.logs:
        if f"{config.edge}/{log.name}" == CANARY_STREAM:
            raise EdgetallyError(
                f"{config.path}: the stream {CANARY_STREAM} is the health check's own and on no bill: give the log or "
                "the edge another name"
            )
        try:
            fmt = parse_format(log.whole_format, log.server, log.hit)
            if log.spread:
                fmt.check_spread()
        except EdgetallyError as error:
            raise EdgetallyError(f"{config.path}: log '{log.name}': {error}") from None
    ChannelMap.load(Path(config.channels))


def say(text: str) -> None:
    """A message: one line on standard error."""
    print(f"edgetally: {text}".replace("\n", " "), file=sys.stderr, flush=True)


def _pause(spool: Spool, pause: bool) -> None:
    if pause:
        write_atomic(spool.paused, b"")
    else:
        spool.paused.unlink(missing_ok=True)


class Ship:
    """The work of one run. status is what the process will end with."""

    def __init__(self, config: EdgeConfig, spool: Spool) -> None:
        self.config = config
        self.spool = spool
        self.started = time.time()
        self.status = 0
        self.full = False
        self._said: set[str] = set()
        self._maker: BatchMaker | None = None
        self._meter: Meter | None = None

    def warn(self, text: str) -> None:
        """Say, once, that something is wrong."""
        self.status = 1
        if text not in self._said:
            self._said.add(text)
            say(text)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what goes wrong inside into a message: one log in trouble does not stop the others."""
        try:
            yield
        except EdgetallyError as error:
            self.warn(str(error))
        except OSError as error:
            where = str(error.filename or self.spool.root)
            if error.errno in _FULL:
                self.full = True
                root = str(self.spool.root)
                disk = root if where.startswith(root) else os.path.dirname(where)
                self.warn(f"the disk under {disk} is full: free some space; nothing is lost, and the next run goes on")
            else:
                self.warn(f"{where}: {error.strerror or error}: look at it; nothing is lost, and the next run goes on")

    def phase(self, name: str, work: Callable[[], None], wait: bool = False) -> None:
        """Do one half of the run under its lock; leave it to the run that is at it, where there is one, or wait."""
        with self.guard(), self.spool.lock(name, wait) as held:
            if held is None:
                work()
            elif name == "rotate" and held > LOCK_WARNING_SECONDS:
                self.warn(
                    f"another run has been rotating for {held:.0f} s: look at `ps -C edgetally` and at "
                    f"{self.spool.root}/{name}.lock"
                )

    # --- rotate

    def rotate_all(self) -> None:
        """Finish what earlier runs left, rotate every log, wait until the old files are closed, and finish these."""
        streams, problems = find_streams(self.config, known_logs(self.spool))
        for problem in problems:
            self.warn(problem)
        self.spool.recover()
        meter = self._meter = Meter(self.config, self.spool)
        no_room = self._no_room()
        with ExitStack() as places:
            rotations = [rotation for stream in streams if (rotation := self._begin(stream, places))]
            if self.full or no_room:
                return  # let the live logs grow, and try again
            noted = []  # of the others the state may not say what the names do: the next run mends it first
            for rotation in rotations:
                with self.guard():
                    rotation.run()
                    noted.append(rotation)
            self._reopen(rotations)
            with self.guard():
                self._read_counters(meter)
            for rotation in noted:
                for item in rotation.place.batches():
                    with self.guard():
                        self._finish_or_leave(rotation.stream, item, mine=item in rotation.made)
                with self.guard():
                    note_live(self.spool, rotation.stream, rotation.place)
            with self.guard():
                unfinished = {(r.stream.log, *item[1:3]) for r in rotations for item in r.place.batches()}
                prune(self.config, self.spool, unfinished)

    def _no_room(self) -> bool:
        """Make room for what this rotation brings. True, and said, where there is none: then none is made."""
        problem = make_room(self.config, self.spool)
        if problem:
            self.warn(problem)
        return problem is not None

    def _begin(self, stream: Stream, places: ExitStack) -> Rotation | None:
        """Go on where an earlier run was cut off, and finish what it left. None where the log cannot be reached."""
        note_full(self.spool, stream)
        with self.guard():
            place = places.enter_context(stream.place())
            take_over(stream, place, read_state(self.spool, stream.log))
            rotation = Rotation(self.config, self.spool, stream, place, load_state(self.spool, stream, place))
            rotation.recover()
            for item in place.batches():
                with self.guard():
                    if is_closed(item.path):
                        self._finish(stream, item)
            return rotation
        return None

    def _reopen(self, rotations: Sequence[Rotation]) -> None:
        """Have the servers reopen their logs, in any case: the log may be taken, and what followed have failed."""
        for rotation in rotations:
            for problem in rotation.problems:
                self.warn(problem)
        for problem in reopen(rotation.stream.config.reopen for rotation in rotations):
            self.warn(f"the server was not made to reopen its log: {problem}")
        items = [item for rotation in rotations for item in rotation.made]
        opening = [rotation.place for rotation in rotations if rotation.made and not rotation.place.status(PIN)]
        wait_closed(items, opening, self.config.close_timeout)
        for place in opening:
            place.pin()

    def _read_counters(self, meter: Meter) -> None:
        """Look at what interface and servers have counted, now that the logs are rotated."""
        meter.read()
        for problem in meter.problems:
            self.warn(problem)

    def _finish_or_leave(self, stream: Stream, item: Renamed, mine: bool) -> None:
        if is_closed(item.path):
            self._finish(stream, item)
        elif mine or time.time() - item.end > OPEN_WARNING_SECONDS:
            self.warn(
                f"{item.path} is still open for writing: the next run takes it; see that the reopen command of log "
                f"'{stream.log}' makes its server open a new log"
            )

    def leave_all(self) -> None:
        """Take the private places away where nothing waits in them. What a live log holds is not counted then."""
        streams, _problems = find_streams(self.config, known_logs(self.spool))
        for stream in streams:
            with self.guard(), stream.place() as place:
                if place.has_unfinished():
                    self.warn(f"{place.private} holds what is not tallied yet: run `edgetally ship` first")
                elif place.leave():
                    print(f"took away {place.private}")

    # --- send

    def deliver(self, options: Options) -> None:
        """Deliver the outbox, by a child without rights."""
        from edgetally.edge.deliver import Delivery

        delivery = Delivery(self.config, self.spool, self.warn)

        def work() -> int:
            with self.guard():
                delivery.run(self.started, options.now, options.reconcile)
            return self.status

        self.status = run_as(self.spool.user, work)

    # --- finish: tally, publish, archive

    def _finish(self, stream: Stream, item: Renamed) -> None:
        """Bring a renamed log that nobody writes to any more into the outbox and the archive. May be done again."""
        item = self._checked(stream, item)
        try:
            self._publish_and_archive(stream, item)
        except OSError as error:  # mostly the archive itself has filled the disk: its oldest logs go
            if error.errno not in _FULL or make_room(self.config, self.spool, more=item.path.stat().st_size):
                raise
            self._publish_and_archive(stream, item)

    def _checked(self, stream: Stream, item: Renamed) -> Renamed:
        """The same, or marked where another program truncated it under our hands."""
        state = read_state(self.spool, stream.log)
        if item.mark or state is None or not state.is_shorter(item) or self.spool.find(_batch_name(stream, item)):
            return item
        self.warn(
            f"{item.path} was truncated by another program after it was rotated: its time counts as missing; look for "
            "logrotate or another rotator of this log"
        )
        return truncated(item, time.time())

    def _publish_and_archive(self, stream: Stream, item: Renamed) -> None:
        name = _batch_name(stream, item)
        if self.spool.find(name) is None:
            batch = self._batch(stream, item)
            if self._meter:
                batch = self._meter.give_to(name, batch)
            self.spool.publish(name, batch.encode())
        archive(item.path, self.spool.raw / stream.log)

    def _batch(self, stream: Stream, item: Renamed) -> Batch:
        from edgetally.edge.make_batch import BatchMaker

        self._maker = self._maker or BatchMaker(self.config, self.warn)
        return self._maker.batch(stream, item, item.path)

    # --- say only

    def rehearse(self, options: Options) -> None:
        """--dry-run: print what a run would do."""
        streams, problems = find_streams(self.config, known_logs(self.spool))
        for problem in problems:
            self.warn(problem)
        if self.spool.paused.exists():
            print(f"paused: {self.spool.paused} is there, a run would do nothing")
        for stream in streams:
            with self.guard():
                self._rehearse_stream(stream)
        for command in dict.fromkeys(stream.config.reopen for stream in streams if stream.config.reopen):
            print(f"would run: {command}")
        waiting = len(self.spool.batches(self.spool.outbox))
        print(f"would deliver {waiting} waiting batches, and those of this run, to {self.config.job_servers[0]}")
        if options.reconcile:
            print(f"would ask the ledger for {len(self.spool.batches(self.spool.sent))} sent batches")

    def _rehearse_stream(self, stream: Stream) -> None:
        for item in stream.renamed():
            print(f"would {'tally' if is_closed(item.path) else 'leave, for it is open,'} {item.path}")
        state = read_state(self.spool, stream.log)
        live = stream.live()
        if state is None:
            since = 0.0 if self.config.include_existing else installed(self.config, stream.config, make=False)
            print(f"would begin a new generation of {stream.name}, with lines from {since:.3f} on")
        what = f"rotate {stream.path}, {live.st_size} bytes," if live else f"note that {stream.path} is absent,"
        print(f"would {what} as batch {state.next_seq if state else 1} of {stream.name}")


def _batch_name(stream: Stream, item: Renamed) -> BatchName:
    return BatchName(stream.log, item.generation, item.seq)
