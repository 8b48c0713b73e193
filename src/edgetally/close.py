"""`edgetally period close`: freeze a month. What comes later never changes its bill; it is listed as an adjustment.

1. Holding the writer's row for a moment, see the database as it is: exactly what was committed up to here.
2. Make the bill of that, as long as it takes, while the aggregator goes on; store the series as they come.
3. Holding the writer's row again, write the snapshot. Its hash covers the hashes of all series.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack, closing
from typing import Any

import pymysql

from edgetally import table
from edgetally.adjustments import Adjustment, adjustments, total
from edgetally.bill import completeness, make
from edgetally.closed import Closed, find_closed, period_name, rows, sha256_of
from edgetally.config import LONGEST_SPREAD, AggregatorConfig
from edgetally.contracts import Contracts
from edgetally.counters import Counters, open_counters
from edgetally.coverage import coverage
from edgetally.database import check_schema, connect, error_code
from edgetally.errors import EdgetallyError
from edgetally.ledger import Ledger
from edgetally.period import Period, month_bounds, parse_zone
from edgetally.report import load_contracts
from edgetally.series import Series, canonical, compress

SHOWN_GAPS = 20
DUPLICATE = 1062


def close(config: AggregatorConfig, month: str, zone: str | None, contract_file: str | None, accept_gaps: bool) -> int:
    """Close a month. Raises EdgetallyError, and changes nothing, where it cannot be closed yet."""
    agreed = load_contracts(config, contract_file)
    where = parse_zone(zone or agreed.zone() or "UTC")
    start, end = month_bounds(month, where)
    period = Period(start, end, where, month)
    name = period_name(month, str(where))
    ledger = Ledger(config.database, "edgetally period")
    with ExitStack() as stack:
        store = stack.enter_context(closing(connect(config.database, autocommit=True)))
        check_schema(store, config.database)
        if name in [row.name for row in rows(store)]:
            raise EdgetallyError(_closed_already(month, str(where)))
        _clear(store)
        with ledger.beside() as transaction:
            commit_no = transaction.commit_no
            counters = stack.enter_context(open_counters(config.database, period))
        text, accepted = _freeze(counters, period, agreed, commit_no, accept_gaps, store)
        _write(ledger, name, period, commit_no, text)
    with_gaps = ", with gaps that were accepted" if accepted else ""
    print(f"closed {month} ({where}) at commit {commit_no}{with_gaps}: sha256 {sha256_of(text)}")
    return 0


def _clear(store: Any) -> None:
    """Delete what a closing left behind that did not come to its end; one closing at a time."""
    with store.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(CONCAT('edgetally period ', DATABASE()), 0)")
        if cursor.fetchone()[0] != 1:
            raise EdgetallyError("another `edgetally period close` is at work: wait for its end")
        cursor.execute("DELETE FROM period_series WHERE commit_no NOT IN (SELECT commit_no FROM period)")


def _freeze(
    counters: Counters, period: Period, contracts: Contracts, commit_no: int, accept_gaps: bool, store: Any
) -> tuple[bytes, bool]:
    """The canonical bill, and whether gaps were accepted; its series are stored already."""

    def keep(name: str, series: Series) -> str:
        packed = series.pack()
        digest = hashlib.sha256(packed)
        with store.cursor() as cursor:
            cursor.execute(
                "INSERT INTO period_series (commit_no, channel, sha256, series) VALUES (%s, %s, %s, %s)",
                (commit_no, name.encode(), digest.digest(), compress(packed)),
            )
        return digest.hexdigest()

    covered = coverage(counters.cursor, period, counters.now)
    found = completeness(covered, period)
    _check(period, counters, found, accept_gaps)
    bill = make(counters, period, contracts, keep=keep, covered=covered)
    accepted = not found["complete"]
    bill.data.update(state="closed", commit_no=commit_no)
    bill.data["completeness"]["accepted"] = accepted
    return canonical(bill.data), accepted


def _check(period: Period, counters: Counters, completeness: dict[str, Any], accept_gaps: bool) -> None:
    """Whether a month can be closed: all that belongs to it has come, or somebody says that it never will."""
    after = period.end + LONGEST_SPREAD
    if counters.now < after:
        raise EdgetallyError(
            f"{period.name} cannot be closed before {period.say(after)} ({period.zone}): long transfers that end after "
            "the month still bring bytes into it"
        )
    if not completeness["expected"]:
        raise EdgetallyError(f"no stream has delivered anything for {period.name}: there is nothing to close")
    waiting = [one["stream"] for one in completeness["by_stream"] if one["state"] != "retired" and one["last"] < after]
    if waiting:
        raise EdgetallyError(
            f"{period.name} cannot be closed: {_some(waiting)} delivered nothing later than {period.say(after)}: "
            "wait for the edge, or, if it is gone for good, say so with `edgetally stream retire`"
        )
    if not completeness["complete"] and not accept_gaps:
        gaps = [f"{gap['stream']} {gap['from_local']} to {gap['to_local']}" for gap in completeness["gaps"]]
        raise EdgetallyError(
            f"{period.name} has gaps ({_some(gaps)}): look for the batches on the edges, or close it as it is with "
            "--accept-gaps, which the bill will say"
        )


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN_GAPS
    return ", ".join(names[:SHOWN_GAPS]) + (f" and {more} more" if more > 0 else "")


def _write(ledger: Ledger, name: str, period: Period, commit_no: int, text: bytes) -> None:
    """The snapshot, under the writer's row: it is there as a whole, or not at all."""
    try:
        with ledger.beside() as transaction:
            transaction.cursor.execute(
                "INSERT INTO period (name, from_slot, to_slot, commit_no, sha256, snapshot, closed_at) "
                "VALUES (%s, %s, %s, %s, %s, %s, UTC_TIMESTAMP(6))",
                (name.encode(), period.start, period.end, commit_no, hashlib.sha256(text).digest(), compress(text)),
            )
    except pymysql.IntegrityError as error:
        if error_code(error) != DUPLICATE:
            raise
        raise EdgetallyError(_closed_already(period.name, str(period.zone))) from None
    finally:
        ledger.disconnect()


def _closed_already(month: str, zone: str) -> str:
    return (
        f"{month} ({zone}) is closed already, and stays as it is: `edgetally period show {month} --zone {zone}` lists "
        "what came later"
    )


# --- list and show


def show_list(config: AggregatorConfig, output: str) -> int:
    """`edgetally period list`: all closed months."""
    with closing(connect(config.database)) as connection:
        check_schema(connection, config.database)
        found = rows(connection)
    if output == "json":
        print(json.dumps([_row_data(row) for row in found], indent=1))
    elif found:
        head = ("month", "zone", "commit", "closed", "sha256")
        lines = [(row.month, row.zone, str(row.commit_no), row.closed_at, row.sha256) for row in found]
        print("\n".join(table.render([head, *lines])))
    else:
        print("no month is closed")
    return 0


def _row_data(row: Any) -> dict[str, Any]:
    names = ("month", "zone", "start", "end", "commit_no", "sha256", "closed_at")
    return {name: getattr(row, name) for name in names}


def show(config: AggregatorConfig, month: str, zone: str | None, output: str) -> int:
    """`edgetally period show`: a closed month, and what was committed for it later. 1 where there is such a thing."""
    bill = find_closed(config, month, zone)
    if bill is None:
        raise EdgetallyError(f"{month} is not closed{f' in {zone}' if zone else ''}: see `edgetally period list`")
    with bill:
        found = adjustments(bill.connection, bill)
        if output == "json":
            difference = [{"channel": name, "requests": r, "bytes": b} for name, (r, b) in sorted(total(found).items())]
            data = {**_row_data(bill.row), "adjustments": [one.data() for one in found], "difference": difference}
            print(json.dumps(data, indent=1, ensure_ascii=False))
        else:
            _print(bill, found)
    return int(bool(found))


def _print(bill: Closed, found: list[Adjustment]) -> None:
    row, complete = bill.row, bill.data["completeness"]
    print(f"{row.month} ({row.zone}), closed {row.closed_at} at commit {row.commit_no}, sha256 {row.sha256}")
    state = "complete" if complete["complete"] else f"{complete['missing']:,} slots missing, accepted"
    print(f"{len(bill.data['channels'])} channels, {bill.data['total']['bytes']:,} bytes, {state}")
    if not found:
        print("nothing was committed for it later")
        return
    print(f"\n{len(found)} batches were committed for it later, and are not in it:\n")
    head = ("stream", "batch", "commit", "committed", "channel", "requests", "bytes")
    lines = []
    for one in found:
        batch = f"{one.generation}-{one.seq}" + (f" revision {one.revision}" if one.revision else "")
        for name, (requests, size) in sorted(one.difference.items()) or [("-", (0, 0))]:
            shown = (name, f"{requests:+,}", f"{size:+,}")
            lines.append((one.stream, batch, str(one.commit_no), one.committed_at, *shown))
    print("\n".join(table.render([head, *lines])))
    print("\nThe difference that they make:\n")
    sums = [(name, f"{requests:+,}", f"{size:+,}") for name, (requests, size) in sorted(total(found).items())]
    print("\n".join(table.render([("channel", "requests", "bytes"), *sums])))
