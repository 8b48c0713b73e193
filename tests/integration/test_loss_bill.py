"""Batches that were refused, and numbers lost in any generation of a stream: the bill never calls them complete."""

from __future__ import annotations

import time

import pytest

from edgetally.config import AggregatorConfig
from edgetally.ledger import statements, transaction
from edgetally.ledger.incoming import open_batch
from edgetally.ledger.ledger import Ledger
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import seal
from tests.integration.test_bill import KEY, START, agrees_with_the_view, batch, bill, config, interval
from tests.support import servers

SIZES = [1000] * 12
HOUR = (START, START + 3600)
OTHER = f"{9:016x}"  # a generation of another machine

__all__ = ["config"]  # a fixture


def sent(config: AggregatorConfig, *batches: Batch | bytes) -> list[str]:
    """What became of batches, or other payloads, that came one after the other."""
    ledger = Ledger(config.database, "test")
    assert ledger.acquire()
    states: list[str] = []
    for one in batches:
        payload = one if isinstance(one, bytes) else seal(one.stream, KEY, *one.encode())
        states += ledger.commit([open_batch(config, payload)])
    ledger.release()
    ledger.disconnect()
    return states


def gaps(config: AggregatorConfig, mariadb: servers.MariaDB) -> list[tuple[str, int | None, int | None]]:
    """(reason, first and last number) of each gap of the hour; the view has the same."""
    made = bill(config, *HOUR)
    agrees_with_the_view(mariadb, made, *HOUR)
    assert made["completeness"]["complete"] is not bool(made["completeness"]["gaps"])
    return [(gap["reason"], gap["first_seq"], gap["last_seq"]) for gap in made["completeness"]["gaps"]]


def clone(number: int, slot: int, size: int, late: float) -> Batch:
    """A batch of a second machine under the name of the first, which rotates a moment later."""
    low, high = START + 300 * slot + late, START + 300 * (slot + 1) + late
    return batch("edge1/a", number, (low, high), {START + 300 * slot: size}, generation=OTHER)


def test_a_clones_batch_came_first(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """The real batch of that time is refused: it is a gap until it is counted or dropped."""
    own = [interval("edge1/a", number, SIZES) for number in range(1, 13)]
    states = sent(config, *own[:5], clone(40, 5, 1, 0.1), *own[5:])
    assert states[6] == "overlap"
    found = gaps(config, mariadb)
    assert ("refused", 6, 6) in found
    assert ("missing", 1, 39) in found  # of the clone, which had 39 batches before that one
    mariadb.sql("DELETE FROM quarantine", "edgetally")
    assert [gap for gap in gaps(config, mariadb) if gap[0] == "refused"] == []


def test_late_lines_of_a_refused_batch_are_missing_too(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """They ended after its covers, and no later batch has them."""
    first = interval("edge1/a", 1, SIZES)
    late = batch("edge1/a", 2, (START + 300.0, START + 600.0), {START + 300: 1, START + 600: 1})
    assert sent(config, first, clone(2, 1, 1, 0.1), late)[-1] == "overlap"
    made = bill(config, *HOUR)
    agrees_with_the_view(mariadb, made, *HOUR)
    (gap,) = (gap for gap in made["completeness"]["gaps"] if gap["reason"] == "refused")
    assert (gap["from"], gap["to"]) == (START + 300, START + 900)


def test_two_machines_of_one_name_refuse_each_other(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    order = [interval("edge1/a", 1, SIZES)]
    for number in range(2, 13):
        pair = [interval("edge1/a", number, SIZES), clone(number, number - 1, 500, 0.35)]
        order += pair if number % 2 else reversed(pair)
    refused = sent(config, *order).count("overlap")
    assert refused
    assert len([gap for gap in gaps(config, mariadb) if gap[0] == "refused"]) == refused


def test_a_number_that_is_lost_between_two_generations(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """A new spool between a number and the next of its generation hides nothing."""
    first, _lost, third = (interval("edge1/a", number, SIZES) for number in (1, 2, 3))
    fresh = batch("edge1/a", 1, (None, third.covers[0] or 0.0), {START + 300: 1}, generation=OTHER)
    assert set(sent(config, first, fresh, third)) == {"committed"}
    assert ("missing", 2, 2) in gaps(config, mariadb)


def test_time_that_a_batch_calls_missing_and_does_not_cover(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """The edge's clock was ahead, and its covers do not run backwards; a correction says the same again."""
    low, high = START + 300.25, START + 600.25
    own = [interval("edge1/a", number, SIZES) for number in range(1, 13)]
    last = batch("edge1/a", 13, (START + 3600.25, START + 3600.251), {}, continuity="broken", missing=(low, high))
    again = last._replace(revision=1)
    assert set(sent(config, *own, last, again)) == {"committed"}
    made = bill(config, *HOUR)
    agrees_with_the_view(mariadb, made, *HOUR)
    (gap,) = made["completeness"]["gaps"]
    assert (gap["from"], gap["to"], gap["reason"], gap["first_seq"]) == (low, high, "broken", 13)
    assert made["completeness"]["missing"] == 2
    assert bill(config, START + 900, START + 1200)["completeness"]["complete"], "beside it nothing is missing"


def test_lines_of_a_clock_that_was_set_ahead_twice(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """By minutes, which is counted, then by hours, which is not: what was written then lies in no batch of its time."""
    moment = time.time()
    now = int(moment) // 300 * 300
    right = batch("edge1/a", 1, (None, now - 900.0), {now - 900: 1})
    then = batch("edge1/a", 2, (now - 900.0, now - 600.0), {now - 900: 1})
    minutes = batch("edge1/a", 3, (now - 600.0, moment + 400), {now - 600: 1})
    hours = batch("edge1/a", 4, (minutes.covers[1], now + 57_000.0), {now + 56_700: 1})
    assert sent(config, right, then, minutes, hours) == ["committed"] * 3 + ["clock"]
    made = bill(config, now - 900, now + 900)
    (gap,) = (gap for gap in made["completeness"]["gaps"] if gap["reason"] == "refused")
    assert gap["from"] == now - 600
    assert gap["to"] >= moment


def test_lines_of_a_clock_that_was_ahead_from_the_first_batch_on(
    config: AggregatorConfig, mariadb: servers.MariaDB
) -> None:
    moment = time.time()
    now = int(moment) // 300 * 300
    minutes = batch("edge1/a", 1, (None, moment + 400), {now: 1})
    hours = batch("edge1/a", 2, (minutes.covers[1], now + 57_000.0), {now + 56_700: 1})
    assert sent(config, minutes, hours) == ["committed", "clock"]
    made = bill(config, now - 900, now + 900)
    (gap,) = (gap for gap in made["completeness"]["gaps"] if gap["reason"] == "refused")
    assert gap["from"] <= moment <= gap["to"]


def test_what_is_counted_after_all_is_no_gap(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """The same batch in another payload, while the first still lies in quarantine."""
    own = [interval("edge1/a", number, SIZES) for number in range(1, 4)]
    assert sent(config, own[0], clone(2, 1, 1, 0.1), own[1]) == ["committed", "committed", "overlap"]
    mariadb.sql(f"DELETE FROM batch WHERE generation = 0x{OTHER}", "edgetally")
    assert sent(config, own[1], own[2]) == ["committed", "committed"]
    mariadb.sql(
        "INSERT INTO quarantine SELECT 'x', 'overlap', '', sha256, 'edge1/a', 1, '', 1, NOW(), NOW() FROM batch "
        f"WHERE generation = 0x{1:016x} AND seq = 2",
        "edgetally",
    )
    mariadb.sql(
        f"INSERT INTO refused VALUES ('x', 'edge1/a', 0x{1:016x}, 2, {START + 300}, {START + 600})", "edgetally"
    )
    assert "refused" not in {reason for reason, _first, _last in gaps(config, mariadb)}


def test_a_flood_of_garbage_drives_no_batch_out_of_quarantine(
    config: AggregatorConfig, mariadb: servers.MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "STRANGERS_ROWS", 2)
    monkeypatch.setattr(transaction, "BOUND_EVERY", 1)
    own = [interval("edge1/a", number, SIZES) for number in range(1, 3)]
    assert sent(config, own[0], clone(2, 1, 1, 0.1), own[1])[-1] == "overlap"
    assert set(sent(config, *(f"garbage {number}".encode() for number in range(5)))) == {"unsigned"}
    reasons = mariadb.sql("SELECT reason FROM quarantine ORDER BY reason", "edgetally").split()
    assert reasons == ["overlap", "unsigned", "unsigned"]
