"""The account of the writers that the scenario `ha` judges by: it must find what one writer at a time would not do."""

from __future__ import annotations

import pytest

from tests.ha.history import Change, Row, join, parse

LEASE = 20.0
EVENT = """\
### UPDATE `edgetally`.`writer`
### WHERE
###   @1=1
###   @2=3
###   @3='agg1:12'
###   @4=41
###   @5='2026-11-26 04:46:19.500000'
### SET
###   @1=1
###   @2=4
###   @3='agg2:7'
###   @4=42
###   @5='2026-11-26 04:46:40'
"""


def chain(*rows: Row) -> list[Change]:
    return [Change(before, after) for before, after in zip(rows, rows[1:])]


START = Row(0, "", 0, 0.0)
FIRST = Row(1, "a:1", 1, 100.0)
SECOND = Row(1, "a:1", 2, 105.0)
RELEASED = Row(1, "", 2, 105.0)
TAKEN = Row(2, "b:1", 3, 125.5)
GOOD = chain(START, FIRST, SECOND, TAKEN, Row(2, "b:1", 4, 126.0))


def test_what_mariadb_binlog_prints() -> None:
    assert parse(EVENT * 2) == [Change(Row(3, "agg1:12", 41, 1795668379.5), Row(4, "agg2:7", 42, 1795668400.0))] * 2


def test_a_good_history_of_nodes_that_each_missed_something() -> None:
    found = join({"n1": GOOD[:3], "n2": GOOD[1:]}, LEASE)
    assert found.problems == []
    assert found.changes == GOOD
    assert [change.after for change in found.takeovers] == [FIRST, TAKEN]
    assert found.silence(105, 126) == 20.5
    released = chain(START, FIRST, SECOND, RELEASED, Row(2, "b:1", 3, 105.2))
    assert join({"n1": released}, LEASE).problems == []


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ({"n1": []}, "no transaction"),
        ({"n1": [*GOOD[:1], *GOOD[2:]]}, "transaction 3 did not follow"),
        ({"n1": GOOD, "n2": chain(SECOND, Row(1, "a:1", 3, 110.0))}, "transaction 3 is another one on n2"),
        ({"n1": chain(START, FIRST, Row(2, "b:1", 2, 115.0))}, "took over 15.0 s after a:1"),
        ({"n1": chain(START, FIRST, Row(1, "b:1", 2, 105.0))}, "without a new epoch"),
        ({"n1": chain(START, FIRST, TAKEN, Row(1, "a:1", 4, 127.0))}, "from epoch 2 to 1"),
    ],
    ids=["nothing", "a gap", "two of one number", "too early", "no new epoch", "an old epoch"],
)
def test_what_one_writer_at_a_time_would_not_do(nodes: dict[str, list[Change]], problem: str) -> None:
    assert problem in " ".join(join(nodes, LEASE).problems)
