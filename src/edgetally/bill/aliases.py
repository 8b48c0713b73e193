"""Channels that are billed under another name, as after a renaming in mid-month.

Changes are transactions that the writer's row puts in line with the aggregator's, as those of the quarantine are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.database import check_schema, connect
from edgetally.ledger.ledger import Ledger
from edgetally.limits import UNASSIGNED
from edgetally.wire.batch import is_name

HOLDER = "edgetally"


class Alias(NamedTuple):
    """A channel that is billed under another name."""

    old: str
    new: str


def resolve(aliases: Sequence[Alias]) -> dict[str, str]:
    """Every old name with the name that it is billed under in the end."""
    steps = dict(aliases)
    billed = {}
    for old in steps:
        name = old
        for _ in steps:  # a circle, which `add_alias` refuses, ends too
            name = steps.get(name, name)
        billed[old] = name
    return billed


def read_aliases(cursor: Any) -> list[Alias]:
    """All aliases, by their old names."""
    cursor.execute("SELECT old, new FROM channel_alias ORDER BY old")
    return [Alias(old.decode(), new.decode()) for old, new in cursor.fetchall()]


def list_channels(config: AggregatorConfig) -> dict[str, str]:
    """Every channel that ever had traffic, and the name that it is billed under."""
    with closing(connect(config.database)) as connection:
        check_schema(connection, config.database)
        with connection.cursor() as cursor:
            billed = resolve(read_aliases(cursor))
            cursor.execute("SELECT name FROM channel")
            names = {name.decode() for (name,) in cursor.fetchall()}
    return {name: billed.get(name, name) for name in sorted({*names, *billed})}


def add_alias(config: AggregatorConfig, old: str, new: str) -> None:
    """Bill a channel under another name, but in closed months. Raises EdgetallyError for what makes no sense."""
    for name in (old, new):
        if not is_name(name) or name != name.strip():
            raise EdgetallyError(f"{name!r} is no channel's name: at most 255 bytes, no space around it")
        if name == UNASSIGNED:
            raise EdgetallyError(f"'{UNASSIGNED}' is what no rule matches: give it a channel rule, and replay")
    with Ledger(config.database, HOLDER).fenced_transaction() as transaction:
        _check(transaction.cursor, old, new)
        transaction.cursor.execute(
            "INSERT INTO channel_alias (old, new, created_at, commit_no) VALUES (%s, %s, UTC_TIMESTAMP(6), %s)",
            (old.encode(), new.encode(), transaction.commit_no),
        )


def remove_alias(config: AggregatorConfig, old: str) -> None:
    """Bill a channel under its own name again."""
    with Ledger(config.database, HOLDER).fenced_transaction() as transaction:
        if transaction.cursor.execute("DELETE FROM channel_alias WHERE old = %s", (old.encode(),)) != 1:
            raise EdgetallyError(f"{old} is billed under its own name: see `edgetally channel list`")


def _check(cursor: Any, old: str, new: str) -> None:
    """Whether a channel may get this alias."""
    known = read_aliases(cursor)
    steps = dict(known)
    if old in steps:
        raise EdgetallyError(
            f"{old} is billed as {steps[old]} already: `edgetally channel unalias {old}` takes that back first"
        )
    if old == new or resolve([*known, Alias(old, new)])[old] == old:
        chain = " -> ".join([old, new, *_chain(steps, new)])
        raise EdgetallyError(f"{chain} would go in a circle: name the channel that is to be billed")
    cursor.execute("SELECT 1 FROM channel WHERE name = %s", (old.encode(),))
    if cursor.fetchone() is None:
        raise EdgetallyError(f"no channel is named '{old}': `edgetally channel list` shows all of them")


def _chain(steps: dict[str, str], name: str) -> list[str]:
    names = []
    while name in steps:
        name = steps[name]
        names.append(name)
    return names
