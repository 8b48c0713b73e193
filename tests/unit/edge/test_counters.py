"""What is counted beside the logs is told once, by one batch, whatever becomes of a run; what is unknown is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetally.edge.counters import Count, Meter, Reading
from edgetally.edge.spool import BatchName
from edgetally.wire.batch import Batch
from edgetally.wire.counters import Counters
from tests.support.edge import Edge

BOOT = "eth0 2 0123"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    edge = Edge(tmp_path, interface="lo")
    edge.log.touch()
    return edge


def told(edge: Edge) -> list[list[float]]:
    """From when to when each batch tells the counters, in the order of time."""
    found = [body["extra"]["counters"]["time"] for body in edge.bodies() if "extra" in body]
    return sorted(found)


# --- a counter


@pytest.mark.parametrize(
    ("before", "now", "bytes_between"),
    [
        (Count(BOOT, 100), Count(BOOT, 350), 250),
        (Count(BOOT, 2**32 - 100), Count(BOOT, 50), 150),  # of 32 bits, which has wrapped
        (Count(BOOT, 2**63 - 100), Count(BOOT, 2**63 + 50), 150),
        (Count(BOOT, 1000), Count(BOOT, 50), None),  # reset: what it had in between nobody knows
        (Count(BOOT, 2**40), Count(BOOT, 50), None),  # too much for 32 bits
        (Count(BOOT, 100), Count("eth0 2 4567", 350), None),  # another boot
        (Count(BOOT, 100), Count("eth0 3 0123", 350), None),  # another device of the same name
        (Count(BOOT, 100), Count("eth1 2 0123", 350), None),  # another interface was chosen
        (Count("", 0), Count("", 0), None),  # it could not be read
        (None, Count(BOOT, 350), None),
    ],
)
def test_what_two_looks_at_a_counter_tell(before: Count | None, now: Count, bytes_between: int | None) -> None:
    assert now.since(before) == bytes_between


def test_servers_are_summed_only_where_all_of_them_tell() -> None:
    before = Reading(0.0, {"wire": Count(BOOT, 10), "squid": Count("b", 5), "varnish": Count("b", 7)})
    now = Reading(300.0, {"wire": Count(BOOT, 40), "squid": Count("b", 15), "varnish": Count("b", 27)})
    assert now.since(before) == Counters(0.0, 300.0, 30, 30, "eth0")
    silent = Reading(300.0, {**now.counts, "varnish": Count("", 0)})
    assert silent.since(before) == Counters(0.0, 300.0, 30, None, "eth0")
    lost = Reading(300.0, {"squid": Count("b", 15)})
    assert lost.since(before) == Counters(0.0, 300.0, None, 10)
    assert Reading(300.0, {}).since(before) is None


# --- a run


def test_every_run_but_the_first_tells_the_time_since_the_one_before(edge: Edge) -> None:
    for _ in range(3):
        assert edge.rotate() == 0
    first, second = told(edge)
    assert first[1] == second[0]
    (last,) = [body for body in edge.bodies() if body["seq"] == 3]
    assert last["extra"]["counters"]["device"] == "lo"
    assert last["extra"]["counters"]["server"] is None
    assert last["extra"]["counters"]["wire"] >= 0


def test_one_of_several_logs_tells_it(edge: Edge) -> None:
    """Interfaces are the edge's: two logs do not make twice the bytes."""
    other = edge.log.with_name("other.log")
    other.touch()
    edge.set(logs=[*edge.data["logs"], {**edge.data["logs"][0], "name": "other", "path": str(other)}])
    for _ in range(3):
        assert edge.rotate() == 0
    assert len(edge.bodies()) == 6
    assert len(told(edge)) == 2


def test_a_run_that_publishes_nothing_leaves_it_to_the_next(edge: Edge) -> None:
    assert edge.rotate() == 0
    with edge.log.open("a"):  # its server does not reopen
        edge.set(close_timeout=0)
        assert edge.rotate() == 1
    assert edge.rotate() == 0
    (only,) = told(edge)
    noted = json.loads(edge.spool.counters.read_text())
    assert only == [noted["base"]["time"], noted["next"]["time"]]


def test_the_clock_goes_back_and_the_times_still_rise(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edge.rotate() == 0
    monkeypatch.setattr("edgetally.edge.counters.time.time", lambda: 1_000_000.0)
    meter = Meter(edge.config, edge.spool)
    meter.read()
    assert meter.now is not None
    assert meter.base is not None
    assert meter.now.time > meter.base.time


def test_a_named_interface_that_is_not_there_is_said(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.set(interface="eth99")
    assert edge.rotate() == 1
    assert "there is no interface eth99" in capsys.readouterr().err
    assert [body["lines"] for body in edge.bodies()] == [0]


# --- cut off


def note(edge: Edge, base: float, following: float, name: BatchName) -> None:
    """As a run notes it before it publishes a batch."""
    readings = ({"time": moment, "counts": {"wire": [BOOT, int(moment)]}} for moment in (base, following))
    edge.spool.counters.write_text(json.dumps({"base": next(readings), "next": next(readings), "batch": str(name)}))


@pytest.mark.parametrize("folder", ["outbox", "sent", "held"])
def test_what_a_published_batch_tells_is_told(edge: Edge, folder: str) -> None:
    name = BatchName("access", "0" * 16, 1)
    note(edge, 100.0, 400.0, name)
    (edge.spool.root / folder / str(name)).write_text("{}")
    base = Meter(edge.config, edge.spool).base
    assert base is not None
    assert base.time == 400.0


def test_what_a_batch_was_to_tell_that_never_came_is_still_to_be_told(edge: Edge) -> None:
    """Also where that batch is made in the end: it is made without."""
    name = BatchName("access", "0" * 16, 1)
    note(edge, 100.0, 400.0, name)
    for _ in range(2):
        base = Meter(edge.config, edge.spool).base
        assert base is not None
        assert base.time == 100.0
        (edge.spool.outbox / str(name)).write_text("{}")


def test_a_batch_that_could_not_be_written_gets_it_again_and_no_other(edge: Edge) -> None:
    assert edge.rotate() == 0
    meter = Meter(edge.config, edge.spool)
    meter.read()
    one, other = BatchName("access", "0" * 16, 7), BatchName("access", "0" * 16, 8)
    batch = Batch("edge1/access", "0" * 16, 7, (1.0, 2.0))
    first = meter.give_to(one, batch)
    assert first.counters is not None
    assert meter.give_to(other, batch).counters is None
    assert meter.give_to(one, batch) == first


def test_a_note_that_cannot_be_read_begins_anew(edge: Edge) -> None:
    for text in ("", "[]", "{}", '{"base": {"time": 1}, "next": null, "batch": null}'):
        edge.spool.counters.write_text(text)
        assert Meter(edge.config, edge.spool).base is None
