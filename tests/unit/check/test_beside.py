"""What `edgetally check` finds in an edge's own batches: a log that fell silent, and much that nobody logs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgetally.check.beside import check_beside
from edgetally.check.edge import check
from edgetally.edge.spool import BatchName
from edgetally.limits import DAY
from edgetally.wire.batch import Batch
from edgetally.wire.counters import Counters
from tests.support.edge import Edge

NOW = time.time()


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    edge = Edge(tmp_path)
    edge.log.touch()
    return edge


def sent(edge: Edge, seq: int, ago: float, size: int, counters: Counters | None = None, log: str = "access") -> None:
    """A confirmed batch that ended some time ago."""
    end = NOW - ago
    rows = ((int(end) // 300 * 300, 0, 1, size, None, None),) if size else ()
    batch = Batch(f"edge1/{log}", "a" * 16, seq, (end - 300, end), ("web",) if size else (), rows, counters=counters)
    (body,) = batch.encode()
    (edge.spool.sent / str(BatchName(log, "a" * 16, seq))).write_bytes(body)


def counted(wire: int, server: int | None = None) -> Counters:
    return Counters(NOW - 300, NOW, wire, server, "eth0")


def found(edge: Edge) -> dict[str, str]:
    return {finding.code: finding.what for finding in check_beside(edge.config, NOW)}


def test_a_log_that_stopped_is_named_and_not_one_that_never_had_anything(edge: Edge) -> None:
    for seq, log in enumerate(("access", "other", "idle"), 2):
        sent(edge, seq, 2 * DAY, 0 if log == "idle" else 5000, log=log)
        sent(edge, seq + 10, 600, 700 if log == "other" else 0, log=log)
    assert found(edge) == {"silent_log": "log 'access' has had nothing for a day, and 5,000 bytes in the days before"}


@pytest.mark.parametrize(
    ("logged", "counters", "said"),
    [
        (400, counted(1000), "have 40.0% of the 1,000 bytes that eth0 sent"),
        (600, counted(1000), None),
        (400, counted(1000, 500), None),  # the servers know of no more
        (400, counted(1000, 900), "have 44.4% of the 900 bytes that its servers sent"),
        (0, None, None),  # nothing was counted
    ],
)
def test_much_that_nobody_logs_is_said(edge: Edge, logged: int, counters: Counters | None, said: str | None) -> None:
    sent(edge, 2, 2 * DAY, 9, counted(10**9))  # of days ago
    sent(edge, 3, 600, logged, counters)
    sent(edge, 4, 300, 0)
    what = found(edge).get("unseen")
    assert (what is None) is (said is None)
    assert said is None or said in str(what)


def test_it_is_a_part_of_the_check_of_an_edge(edge: Edge) -> None:
    sent(edge, 3, 600, 400, counted(1000))
    (edge.spool.sent / str(BatchName("access", "a" * 16, 9))).write_text("[]")  # no batch
    assert "unseen" in {finding.code for finding in check(edge.config).findings}
