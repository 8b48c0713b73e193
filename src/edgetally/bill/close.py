"""`edgetally period close`: freeze a month. What comes later never changes its bill; it is listed as an adjustment.

1. Holding the writer's row for a moment, see the database as it is: exactly what was committed up to here.
2. Make the bill of that, as long as it takes, while the aggregator goes on; store the series as they come.
3. Holding the writer's row again, write the snapshot. Its hash covers the hashes of all series.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import pymysql

from edgetally.bill.bill import completeness, make
from edgetally.bill.closed import period_name, rows, sha256_of
from edgetally.bill.contracts import Contracts
from edgetally.bill.counters import Counters, open_counters
from edgetally.bill.coverage import coverage, gap_data
from edgetally.bill.find import load_contracts
from edgetally.bill.period import Period, month_bounds, parse_zone
from edgetally.bill.series import Series, canonical, compress
from edgetally.bill.unbilled import sentences
from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.database import DUPLICATE, check_schema, connect, error_code
from edgetally.ledger.ledger import Ledger
from edgetally.limits import LONGEST_SPREAD
from edgetally.words import some

SHOWN_GAPS = 20


class Closing(NamedTuple):
    """A month that was closed: its zone, the commit up to which all is in it, whether gaps were accepted, its hash."""

    zone: str
    commit_no: int
    accepted: bool
    unbilled: int
    sha256: str


class Accept(NamedTuple):
    """With what a month is closed all the same: where something is missing, and where something is not billed."""

    gaps: bool = False
    unbilled: bool = False


def close(config: AggregatorConfig, month: str, zone: str | None, contract_file: str | None, accept: Accept) -> Closing:
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
        with ledger.fenced_transaction() as transaction:
            commit_no = transaction.commit_no
            counters = stack.enter_context(open_counters(config.database, period))
        data = _freeze(counters, period, agreed, commit_no, accept, store)
        text = canonical(data)
        _write(ledger, name, period, commit_no, text)
    accepted = data["completeness"]["accepted"]
    return Closing(str(where), commit_no, accepted, data["unbilled"]["bytes"], sha256_of(text))


def _clear(store: Any) -> None:
    """Delete what a closing that did not come to its end left behind. One closing at a time: else EdgetallyError."""
    with store.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(CONCAT('edgetally period ', DATABASE()), 0)")
        if cursor.fetchone()[0] != 1:
            raise EdgetallyError("another `edgetally period close` is at work: wait for its end")
        cursor.execute("DELETE FROM period_series WHERE commit_no NOT IN (SELECT commit_no FROM period)")


def _freeze(
    counters: Counters, period: Period, contracts: Contracts, commit_no: int, accept: Accept, store: Any
) -> dict[str, Any]:
    """The bill as it is closed; its series are stored already."""

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
    complete = completeness(covered, period)
    after = _gaps_after(counters, period)
    complete = {**complete, "after": after, "complete": complete["complete"] and not after}
    _check(period, counters, complete, accept.gaps)
    bill = make(counters, period, contracts, keep=keep, covered=covered)
    _check_unbilled(period, bill.data, accept.unbilled)
    bill.data.update(state="closed", commit_no=commit_no)
    whole = complete["complete"]
    bill.data["completeness"].update(after=after, complete=whole, accepted=not whole)
    bill.data["unbilled"]["accepted"] = not bill.data["unbilled"]["empty"]
    return bill.data


def _gaps_after(counters: Counters, period: Period) -> list[dict[str, Any]]:
    """What is missing of the hours after the month: long transfers that end in them bring bytes back into it."""
    hours = Period(period.end, period.end + LONGEST_SPREAD, period.zone)
    return [gap_data(gap, hours) for one in coverage(counters.cursor, hours, counters.now) for gap in one.gaps]


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
    waiting = [
        stream["stream"]
        for stream in completeness["by_stream"]
        if stream["state"] != "retired" and stream["last"] < after
    ]
    if waiting:
        raise EdgetallyError(
            f"{period.name} cannot be closed: {some(waiting, SHOWN_GAPS)} delivered nothing later than "
            f"{period.say(after)}: wait for the edge, or, if it is gone for good, say so with `edgetally stream retire`"
        )
    if not completeness["complete"] and not accept_gaps:
        missing = [*completeness["gaps"], *completeness["after"]]
        gaps = [f"{gap['stream']} {gap['from_local']} to {gap['to_local']}" for gap in missing]
        raise EdgetallyError(
            f"{period.name} has gaps ({some(gaps, SHOWN_GAPS)}): look for the batches on the edges, or close it as it "
            "is with --accept-gaps, which the bill will say"
        )


def _check_unbilled(period: Period, data: dict[str, Any], accept: bool) -> None:
    """Whether somebody knows what is on no invoice."""
    left_out = data["unbilled"]
    if left_out["empty"] or accept:
        return
    what = [sentence.rstrip(".") for sentence in sentences(left_out, data["total"]["bytes"])]
    raise EdgetallyError(
        f"{period.name} has what is not billed ({some(what, SHOWN_GAPS)}): mend the contracts or the channel rules, or "
        "close it as it is with --accept-unbilled, which the bill will say"
    )


def _write(ledger: Ledger, name: str, period: Period, commit_no: int, text: bytes) -> None:
    """The snapshot, under the writer's row: it is there as a whole, or not at all."""
    try:
        with ledger.fenced_transaction() as transaction:
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
