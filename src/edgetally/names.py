"""`edgetally stream` and `edgetally channel`: what people say about streams and channels that the data cannot.

Both write in line with the aggregator, as `edgetally quarantine` does.
"""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timezone
from typing import Any

from edgetally import table
from edgetally.batch import is_name
from edgetally.bill import Alias, resolve
from edgetally.channels import UNASSIGNED
from edgetally.config import AggregatorConfig
from edgetally.coverage import Stream, streams
from edgetally.database import check_schema, connect
from edgetally.errors import EdgetallyError
from edgetally.ledger import Ledger
from edgetally.moment import epoch_seconds
from edgetally.transaction import Transaction

HOLDER = "edgetally"

# --- streams


def list_streams(config: AggregatorConfig, output: str) -> int:
    """`edgetally stream list`: every stream, its state, and until when it is covered."""
    with closing(connect(config.database)) as connection:
        check_schema(connection, config.database)
        with connection.cursor() as cursor:
            found = streams(cursor)
            cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
            (now,) = cursor.fetchone() or (0,)
    if output == "json":
        print(json.dumps([_stream_data(one, float(now)) for one in found], indent=1))
    elif found:
        head = ("stream", "state", "first", "covered until", "retired")
        lines = [(one.name, one.state(float(now)), _utc(one.first), _utc(one.last), _utc(one.retired)) for one in found]
        print("\n".join(table.render([head, *lines])))
    else:
        print("no stream has delivered anything yet")
    return 0


def _stream_data(stream: Stream, now: float) -> dict[str, Any]:
    """A stream as JSON has it. Times in epoch seconds."""
    return {
        "stream": stream.name,
        "state": stream.state(now),
        "first": stream.first,
        "last": stream.last,
        "retired": stream.retired,
    }


def _utc(moment: float | None) -> str:
    if moment is None:
        return "-"
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def retire(config: AggregatorConfig, name: str, at: str | None) -> int:
    """`edgetally stream retire`: from then on it is not expected any more; without a time, from its last batch on."""
    moment = epoch_seconds(at, "--at") if at else None
    with _beside(config) as transaction:
        stream = _find(transaction, name)
        until = stream.last if moment is None else moment
        transaction.cursor.execute(
            "UPDATE stream SET retired_at = FROM_UNIXTIME(%s) WHERE id = %s", (f"{until:.3f}", stream.id)
        )
    print(f"{name} is retired since {_utc(until)}: from then on nothing of it is missing")
    if until > stream.last + 1:
        print(f"it is covered until {_utc(stream.last)} only: the time between stays a gap")
    return 0


def unretire(config: AggregatorConfig, name: str) -> int:
    """`edgetally stream unretire`: it is expected again, and all the time since its last batch with it."""
    with _beside(config) as transaction:
        stream = _find(transaction, name)
        transaction.cursor.execute("UPDATE stream SET retired_at = NULL WHERE id = %s", (stream.id,))
    print(f"{name} is expected again")
    return 0


def _find(transaction: Transaction, name: str) -> Stream:
    known = streams(transaction.cursor)
    found = next((one for one in known if one.name == name), None)
    if found is None:
        raise EdgetallyError(f"no stream is named '{name}': `edgetally stream list` shows all of them")
    return found


# --- channels


def list_channels(config: AggregatorConfig, output: str) -> int:
    """`edgetally channel list`: every channel that ever had traffic, and the name that it is billed under."""
    with closing(connect(config.database)) as connection:
        check_schema(connection, config.database)
        with connection.cursor() as cursor:
            billed = resolve(_aliases(cursor))
            cursor.execute("SELECT name FROM channel")
            names = sorted(name.decode() for (name,) in cursor.fetchall())
    names = sorted({*names, *billed})
    if output == "json":
        found = [{"channel": name, "billed_as": billed.get(name, name)} for name in names]
        print(json.dumps(found, indent=1, ensure_ascii=False))
    elif names:
        print("\n".join(table.render([("channel", "billed as"), *((name, billed.get(name, name)) for name in names)])))
    else:
        print("no channel has had traffic yet")
    return 0


def alias(config: AggregatorConfig, old: str, new: str) -> int:
    """`edgetally channel alias`: bill a channel under another name, as after a renaming in mid-month.

    Raises EdgetallyError for what makes no sense; closed months stay as they are.
    """
    for name in (old, new):
        if not is_name(name) or name != name.strip():
            raise EdgetallyError(f"{name!r} is no channel's name: at most 255 bytes, no space around it")
        if name == UNASSIGNED:
            raise EdgetallyError(f"'{UNASSIGNED}' is what no rule matches: give it a channel rule, and replay")
    with _beside(config) as transaction:
        known = _aliases(transaction.cursor)
        _check_alias(transaction.cursor, known, old, new)
        transaction.cursor.execute(
            "INSERT INTO channel_alias (old, new, created_at, commit_no) VALUES (%s, %s, UTC_TIMESTAMP(6), %s)",
            (old.encode(), new.encode(), transaction.commit_no),
        )
    print(f"{old} is billed as {new} from now on, in every month that is not closed")
    return 0


def _check_alias(cursor: Any, known: list[Alias], old: str, new: str) -> None:
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
    found = []
    while name in steps:
        name = steps[name]
        found.append(name)
    return found


def unalias(config: AggregatorConfig, old: str) -> int:
    """`edgetally channel unalias`: bill it under its own name again."""
    with _beside(config) as transaction:
        if transaction.cursor.execute("DELETE FROM channel_alias WHERE old = %s", (old.encode(),)) != 1:
            raise EdgetallyError(f"{old} is billed under its own name: see `edgetally channel list`")
    print(f"{old} is billed under its own name again, in every month that is not closed")
    return 0


def _aliases(cursor: Any) -> list[Alias]:
    cursor.execute("SELECT old, new FROM channel_alias ORDER BY old")
    return [Alias(old.decode(), new.decode()) for old, new in cursor.fetchall()]


def _beside(config: AggregatorConfig) -> Any:
    return Ledger(config.database, HOLDER).beside()
