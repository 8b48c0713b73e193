"""The quarantine: what the aggregator refused to count, and what becomes of it.

Nothing here is counted, and nothing goes by itself but the oldest of very many. `retry` checks payloads again with
today's configuration and commits those that are good now, as the aggregator does, in a transaction that the writer's
row puts in line with its own.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.incoming import Incoming, open_batch
from edgetally.ledger.ledger import Ledger, commit_apart
from edgetally.wire.envelope import BatchError

ID_DIGITS = 12
GROUP = 100  # payloads of one transaction: up to 100 MiB


@dataclass(frozen=True)
class Entry:
    """One refused payload. id: sha256 of it, hex; size: bytes; times: UTC, of the database."""

    id: str
    reason: str
    stream: str
    size: int
    count: int
    first_seen: str
    last_seen: str
    detail: str


@dataclass(frozen=True)
class Choice:
    """Which payloads a command is about: by the beginnings of their ids, or all that fit reason and stream (a glob)."""

    ids: Sequence[str] = ()
    reason: str = ""
    stream: str = ""
    all: bool = False

    def check(self) -> None:
        """Raise EdgetallyError where it names nothing, or names badly."""
        if not (self.ids or self.reason or self.stream or self.all):
            raise EdgetallyError(
                "name what is meant: ids as `edgetally quarantine list` shows them, or --reason, --stream or --all"
            )
        for text in self.ids:
            if not re.fullmatch(r"[0-9a-f]{6,64}", text):
                raise EdgetallyError(f"'{text}' is no id: give at least the first 6 digits that `list` shows")

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is meant."""
        return (
            (not self.ids or entry.id.startswith(tuple(self.ids)))
            and self.reason in ("", entry.reason)
            and (not self.stream or fnmatch.fnmatchcase(entry.stream, self.stream))
        )


class Quarantine:
    """The quarantine of a database."""

    def __init__(self, config: AggregatorConfig) -> None:
        self.config = config
        self.ledger = Ledger(config.database, "edgetally quarantine")

    def entries(self, choice: Choice | None = None) -> list[Entry]:
        """Payloads, all or of a choice, the newest last. Raises EdgetallyError for an id that names none or several."""
        with self.ledger.connection.cursor() as cursor:
            cursor.execute(
                "SELECT LOWER(HEX(sha256)), reason, COALESCE(stream, x''), size, count, "
                "DATE_FORMAT(first_seen, '%Y-%m-%dT%H:%i:%sZ'), DATE_FORMAT(last_seen, '%Y-%m-%dT%H:%i:%sZ'), detail "
                "FROM quarantine ORDER BY last_seen, sha256"
            )
            entries = [
                Entry(digest, reason, _text(stream), size, count, first, last, _text(detail))
                for digest, reason, stream, size, count, first, last, detail in cursor
            ]
        self.ledger.connection.rollback()
        if choice is None:
            return entries
        for text in choice.ids:
            same = [entry for entry in entries if entry.id.startswith(text)]
            if len(same) != 1:
                raise EdgetallyError(f"'{text}' names {len(same)} payloads: see `edgetally quarantine list`")
        return [entry for entry in entries if choice.fits(entry)]

    def payload(self, entry: Entry) -> bytes:
        """A payload, or the first MiB of a larger one."""
        with self.ledger.connection.cursor() as cursor:
            cursor.execute("SELECT payload FROM quarantine WHERE sha256 = %s", (bytes.fromhex(entry.id),))
            row = cursor.fetchone()
        self.ledger.connection.rollback()
        return bytes(row[0]) if row else b""

    def retry(self, entries: Sequence[Entry]) -> list[str]:
        """Count those that are good now, and take them out. What became of each, as Ledger.commit says."""
        states = []
        for start in range(0, len(entries), GROUP):
            group = entries[start : start + GROUP]
            states += commit_apart([self._open(entry) for entry in group], self.ledger.recommit, _leave)
        return states

    def drop(self, entries: Sequence[Entry]) -> None:
        """Delete them."""
        with self.ledger.fenced_transaction() as transaction:
            for entry in entries:
                transaction.cursor.execute("DELETE FROM quarantine WHERE sha256 = %s", (bytes.fromhex(entry.id),))

    def _open(self, entry: Entry) -> Incoming:
        payload = self.payload(entry)
        if len(payload) < entry.size:
            again = (
                "move the batch on its edge from held/ back to outbox/" if entry.stream else "its edge sends it again"
            )
            raise EdgetallyError(
                f"{entry.id[:ID_DIGITS]} has {entry.size} bytes, and only the first {len(payload)} are kept, so it "
                f"cannot be retried: mend the cause, drop it, and {again}"
            )
        return open_batch(self.config, payload)


def _leave(_item: Incoming, _error: BatchError) -> None:
    """What cannot be written stays where it is."""


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
