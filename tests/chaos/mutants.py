"""The program with one defect put in: python -m tests.chaos.mutants NAME ARGUMENT…

Each takes away one of the rules that keep the bill right. A campaign that does not find it would prove nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pymysql

from edgetally import files
from edgetally.bill import coverage
from edgetally.edge import deliver, rotation, ship, spool
from edgetally.edge.counters import Meter
from edgetally.edge.deliver import Delivery, Item
from edgetally.edge.place import NEXT, TOOK, Place
from edgetally.edge.rotation import Rotation
from edgetally.health import aggregator as aggregator_status
from edgetally.ledger import aggregator, gaps, statements
from edgetally.ledger import ledger as ledgers
from edgetally.ledger.ledger import Ledger
from edgetally.ledger.statements import Statements


def put(owner: Any, name: str, defect: Any) -> None:
    """Put a defect in the place of what the program has there. Fails where it has nothing of the name any more."""
    getattr(owner, name)
    setattr(owner, name, defect)


def unique_key() -> None:
    """The ledger has no unique key: the database is made without, and here is nothing to do."""


def outbox_on_created() -> None:
    """A batch leaves the outbox when a job server has taken it."""
    submit = Delivery._submit

    def hasty(self: Delivery, items: Sequence[Item]) -> bool:
        done = submit(self, items)
        if done:
            for item in items:
                os.rename(item.path, self.spool.sent / str(item.name))
        return False

    put(Delivery, "_submit", hasty)


def no_closed_check() -> None:
    """A renamed log is tallied at once, whoever still writes to it."""
    for module in (rotation, ship):
        put(module, "is_closed", lambda _path: True)


def rename_overwrites() -> None:
    """A rotation takes the name of the one before where that is still there, and renames over it."""
    batch = Rotation._batch

    def overwrite(self: Rotation, name: str, end: float, mark: str = "") -> None:
        newest = next(filter(self.state.is_newest, self.place.batches()), None)
        if newest is None:
            batch(self, name, end, mark)
        else:
            os.rename(self.place.private / name, newest.path)
            self.made.append(newest)

    put(Rotation, "_batch", overwrite)


def no_fence() -> None:
    """The writer's row is renewed whoever holds it."""
    transaction = Ledger.holder_transaction

    def unfenced(self: Ledger) -> Any:
        row = self.writer()
        self.epoch, self.holder = row["epoch"], row["holder"]
        return transaction(self)

    put(Ledger, "holder_transaction", unfenced)


def receipts_by_number() -> None:
    """A receipt tells what became of a batch's number, not of its content."""

    def states(self: Ledger, stream: str, ask: Sequence[tuple[str, int, int, str]]) -> list[str]:
        found = []
        with self.connection.cursor() as cursor:
            for generation, seq, revision, _sha in ask:
                cursor.execute(
                    "SELECT b.state FROM batch b JOIN stream s ON s.id = b.stream_id "
                    "WHERE s.name = %s AND generation = %s AND seq = %s AND revision = %s",
                    (stream, bytes.fromhex(generation), seq, revision),
                )
                row = cursor.fetchone()
                found.append(row[0] if row else "unknown")
        self.connection.rollback()
        return found

    put(Ledger, "states", states)


def no_attempts() -> None:
    """A batch has the same unique id for ever."""
    put(deliver, "attempt", lambda _age: 0)


def no_overlap_rule() -> None:
    """Two generations of a stream may cover the same time."""
    put(Statements, "overlapping", lambda _self, _item: None)


def no_pin() -> None:
    """The live log has no second name, and whatever stands under its first is taken for the one that was left there."""
    put(Place, "pin", lambda _self: False)
    put(Rotation, "_pin_next", lambda self: self.place.remove(NEXT))
    put(Rotation, "_is_known", lambda _self: True)


def nobody_lingers() -> None:
    """Where another program has rotated, nobody thinks of those who still write to a file that nobody knows."""
    batch = Rotation._batch

    def unmarked(self: Rotation, name: str, end: float, mark: str = "") -> None:
        batch(self, name, end, "" if name == TOOK and mark == "broken" else mark)

    put(Rotation, "_batch", unmarked)
    put(Rotation, "_lingers", lambda _self, _start: False)


def marks_unread() -> None:
    """The bill does not read what a batch says of itself."""
    found = gaps.gaps_of

    def unmarked(stream: Any, covers: Any) -> Any:
        return found(stream, [dataclasses.replace(cover, reason="") for cover in covers])

    put(coverage, "gaps_of", unmarked)


def refused_unread() -> None:
    """The bill does not read what was refused, nor what batches call missing at another time than they cover."""
    put(coverage, "other_gaps", lambda *_: [])


def errors_unseen() -> None:
    """What is written is taken for written, whatever the disk says."""

    def write(path: Any, data: bytes, owner: Any = None) -> None:
        with contextlib.suppress(OSError), open(path, "wb") as file:
            if owner:
                os.chown(path, *owner)
            file.write(data)

    for module in (files, spool):
        put(module, "write_synced", write)


def database_blameless() -> None:
    """Whatever the database refuses is a batch's own fault."""
    for module in (aggregator, ledgers):
        put(module, "is_bad_data", lambda error: isinstance(error, pymysql.MySQLError))


def no_reconcile() -> None:
    """What was confirmed once is never asked for again."""
    put(Delivery, "_reconcile", lambda _self: None)


def strangers_unbounded() -> None:
    """What nobody signed is kept for good, and whole."""
    put(statements, "STRANGERS_ROWS", 1 << 30)
    put(statements, "STRANGERS_PAYLOAD", 1 << 20)


def durability_unsaid() -> None:
    """Nobody says that the database does not sync its COMMITs."""
    put(aggregator_status, "durability_problem", lambda _cursor: "")


def counters_forget() -> None:
    """An edge does not know that a published batch has told what was counted beside the logs."""
    put(Meter, "give_to", lambda self, _name, batch: batch._replace(counters=self.now and self.now.since(self.base)))


class Mutant(NamedTuple):
    """A defect, and the campaign that finds it."""

    put_in: Callable[[], None]
    kinds: str
    seed: int = 2
    faults: int = 25


MUTANTS = {
    "unique-key": Mutant(unique_key, "repeat batches,lose a COMMIT,kill ship"),
    "outbox-on-created": Mutant(outbox_on_created, "wipe queue,kill aggregator,kill ship"),
    "no-closed-check": Mutant(no_closed_check, "kill ship,freeze ship"),
    "rename-overwrites": Mutant(rename_overwrites, "kill ship,freeze ship"),
    "no-fence": Mutant(no_fence, "freeze aggregator,kill ship"),
    "receipts-by-number": Mutant(receipts_by_number, "restore a spool,kill ship"),
    "no-attempts": Mutant(no_attempts, "abandon aggregator,kill ship"),
    "no-overlap-rule": Mutant(no_overlap_rule, "clone a machine,kill ship,freeze ship"),
    "no-pin": Mutant(no_pin, "foreign rotation,kill ship"),
    "nobody-lingers": Mutant(nobody_lingers, "foreign rotation,pair of rotators,deleting rotator"),
    "marks-unread": Mutant(marks_unread, "copy and truncate"),
    "counters-forget": Mutant(counters_forget, "kill ship", faults=5),
    "refused-unread": Mutant(refused_unread, "two machines", faults=5),
    "errors-unseen": Mutant(errors_unseen, "disk errors,over quota"),
    "database-blameless": Mutant(database_blameless, "hide a table,kill ship"),
    "no-reconcile": Mutant(no_reconcile, "restore a dump,power loss", faults=5),
    "strangers-unbounded": Mutant(strangers_unbounded, "strangers"),
    "durability-unsaid": Mutant(durability_unsaid, "power loss", faults=2),
}


def main() -> int:
    """Put the defect in and go on as the program."""
    from edgetally.cli.main import main as edgetally

    name, *arguments = sys.argv[1:]
    MUTANTS[name].put_in()
    return edgetally(arguments)


if __name__ == "__main__":
    sys.exit(main())
