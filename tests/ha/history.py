"""Who wrote when: every change of the writer's row, from the binary logs of all nodes.

Each transaction of an aggregator changes that row, and Galera gives every node all transactions in one order. So the
rows' images are a complete and ordered account of the writers, whoever was dead, frozen or cut off at the time.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.ha.hosts import Host

_EVENT = re.compile(
    r"### UPDATE `edgetally`\.`writer`\n### WHERE\n((?:###   @.*\n)+)### SET\n((?:###   @.*\n)+)", re.MULTILINE
)
_FIELD = re.compile(r"###   @(\d)=(.*)")


class Row(NamedTuple):
    """The writer's row at a moment. at: epoch seconds."""

    epoch: int
    holder: str
    txn: int
    at: float

    @property
    def place(self) -> tuple[int, bool]:
        """Its place in the history: a release changes the holder only, within the same transaction number."""
        return self.txn, not self.holder


class Change(NamedTuple):
    """What a transaction made of the row."""

    before: Row
    after: Row


def parse(text: str) -> list[Change]:
    """The changes in the output of `mariadb-binlog -v`."""
    return [Change(_row(before), _row(after)) for before, after in _EVENT.findall(text)]


def _row(text: str) -> Row:
    values = dict(_FIELD.findall(text))
    clock, _, fraction = values["5"].strip("'").partition(".")
    at = calendar.timegm(time.strptime(clock, "%Y-%m-%d %H:%M:%S")) + float(f"0.{fraction or 0}")
    return Row(int(values["2"]), values["3"].strip("'"), int(values["4"]), at)


def read(node: Host) -> list[Change]:
    """The changes that a node has in its binary logs."""
    return parse(
        node.sh(
            "for file in /var/lib/mysql/edgetally-bin.0*; do "
            "mariadb-binlog --base64-output=decode-rows --verbose $file 2>/dev/null; done | "
            "grep -A 12 -F '### UPDATE `edgetally`.`writer`' | grep '^###'"
        )
    )


@dataclass
class History:
    """The account of all nodes together. problems: what one writer at a time would not have done; sentences."""

    changes: list[Change]
    problems: list[str]

    def silence(self, since: float, to: float) -> float:
        """The longest time between two transactions of aggregators that begins or ends in [since, to], in seconds."""
        moments = [change.after.at for change in self.changes if change.after.holder]
        gaps = [later - earlier for earlier, later in zip(moments, moments[1:]) if later > since and earlier < to]
        return max(gaps, default=0.0)

    @property
    def takeovers(self) -> list[Change]:
        """Every change of the epoch."""
        return [change for change in self.changes if change.before.epoch != change.after.epoch]


def join(nodes: Mapping[str, Sequence[Change]], lease: float) -> History:
    """Put the accounts of all nodes together, and look for what must not be.

    No node has all of it: what a node missed it may have got as a copy of the data. Where two have a transaction, they
    have the same.
    """
    problems: list[str] = []
    seen: dict[tuple[int, bool], Change] = {}
    for name, changes in nodes.items():
        for change in changes:
            known = seen.setdefault(change.after.place, change)
            if known != change:
                problems.append(f"transaction {change.after.txn} is another one on {name}: {change} and {known}")
    history = [seen[place] for place in sorted(seen)]
    for earlier, later in zip(history, history[1:]):
        if later.before != earlier.after:
            problems.append(f"transaction {later.after.txn} did not follow {earlier.after}, but {later.before}")
        problems += _judge(later, lease)
    if not history:
        problems.append("no transaction was found in any binary log")
    return History(history, problems)


def _judge(change: Change, lease: float) -> list[str]:
    """What is wrong with a change by itself."""
    before, after = change
    if after.epoch == before.epoch:
        if after.holder not in (before.holder, ""):
            return [f"transaction {after.txn} gave the row to {after.holder} without a new epoch"]
        return []
    if after.epoch != before.epoch + 1:
        return [f"transaction {after.txn} went from epoch {before.epoch} to {after.epoch}"]
    if before.holder and after.at - before.at < lease:
        return [f"{after.holder} took over {after.at - before.at:.1f} s after {before.holder} had renewed its lease"]
    return []
