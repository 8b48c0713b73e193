"""What was counted beside the logs, from the batch to the bill and the status, in a real database."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgetally.bill.find import find_bill
from edgetally.bill.text import OUTPUTS
from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger.incoming import Incoming
from edgetally.ledger.ledger import Ledger
from edgetally.limits import DAY, HOUR
from edgetally.wire.batch import Batch
from edgetally.wire.counters import Counters
from edgetally.wire.envelope import derive_key, seal
from tests.integration.conftest import MASTER, aggregator_file, run
from tests.integration.test_ledger import NOW, batch, rows
from tests.support.servers import MariaDB

MIDNIGHT = int(time.time()) // DAY * DAY


def incoming(item: Batch) -> Incoming:
    (body,) = item.encode()
    key = derive_key(MASTER, item.stream.partition("/")[0])
    return Incoming(seal(item.stream, key, body), item.stream, body, item)


def telling(item: Batch, wire: int | None = 2000, server: int | None = None) -> Batch:
    """A batch that tells what was counted in the five minutes before its end."""
    end = item.covers[1]
    return item._replace(counters=Counters(end - 300, end, wire, server, "eth0"))


def counted(ledger: Ledger) -> list[tuple[int, ...]]:
    """Bytes and seconds of interface and servers, and the bytes of the logs; all hours and edges."""
    ((wire, wire_seconds, server, server_seconds),) = rows(
        ledger, "SELECT SUM(wire), SUM(wire_seconds), SUM(server), SUM(server_seconds) FROM edge_hour"
    )
    ((logged,),) = rows(ledger, "SELECT SUM(bytes) FROM stream_hour")
    return [tuple(int(value or 0) for value in (wire, wire_seconds, server, server_seconds)), (int(logged or 0),)]


# --- the ledger


def test_each_batch_adds_what_it_tells_once(ledger: Ledger) -> None:
    """A first batch's lines are no part: nobody counted beside the log when most of them were written."""
    told = [batch(1), telling(batch(2)), telling(batch(3), None, 1500), batch(4)]
    assert ledger.commit([incoming(item) for item in told]) == ["committed"] * 4
    assert counted(ledger) == [(2000, 300, 1500, 300), (3 * 1050,)]
    assert ledger.commit([incoming(item) for item in told]) == ["already"] * 4
    ledger.disconnect()
    assert ledger.commit([incoming(told[1])]) == ["already"]
    assert counted(ledger) == [(2000, 300, 1500, 300), (3 * 1050,)]


def test_a_refused_batch_adds_nothing_until_it_is_counted(ledger: Ledger) -> None:
    assert ledger.commit([incoming(batch(1)), incoming(telling(batch(2)))]) == ["committed"] * 2
    twin = telling(batch(2, generation="00000000000000bb"), 9000)
    other = telling(batch(2), 9000)
    assert ledger.commit([incoming(twin), incoming(other)]) == ["overlap", "conflict"]
    assert counted(ledger)[0] == (2000, 300, 0, 0)


@pytest.mark.parametrize("late", [False, True])
def test_a_correction_changes_what_was_logged_and_not_what_was_counted(ledger: Ledger, late: bool) -> None:
    """Also where the corrected batch comes after its correction: then nobody else tells what it tells."""
    start = NOW + 600
    original, correction = telling(batch(2)), batch(2, (start, 0, 1, 70, None, None), revision=1)
    order = [correction, original] if late else [original, correction]
    states = ["committed", "superseded"] if late else ["committed", "committed"]
    assert ledger.commit([incoming(batch(1))]) == ["committed"]
    for item, state in zip(order, states):
        assert ledger.commit([incoming(item)]) == [state]
    assert counted(ledger) == [(2000, 300, 0, 0), (70,)]


def test_parts_of_a_batch_are_added_up(ledger: Ledger) -> None:
    whole = telling(batch(2, *((NOW + 600, 0, 1, 10, None, None) for _ in range(100))))
    assert ledger.commit([incoming(batch(1))]) == ["committed"]
    parts = [Batch.decode(body) for body in whole.encode(max_bytes=2000)]
    assert len(parts) > 1
    assert set(ledger.commit([incoming(part) for part in parts])) == {"committed"}
    assert counted(ledger) == [(2000, 300, 0, 0), (1000,)]


def test_an_edge_that_tells_nothing_is_counted_as_ever(ledger: Ledger) -> None:
    """An older edge, whose batches have no `extra`."""
    assert ledger.commit([incoming(batch(1)), incoming(batch(2))]) == ["committed"] * 2
    assert counted(ledger) == [(0, 0, 0, 0), (1050,)]
    assert rows(ledger, "SELECT COUNT(*) FROM edge_hour") == [(0,)]


def test_it_goes_with_the_detail(ledger: Ledger) -> None:
    assert ledger.commit([incoming(batch(1)), incoming(telling(batch(2)))]) == ["committed"] * 2
    ledger.maintain(100)
    assert counted(ledger)[1] == (1050,)
    with ledger.connection.cursor() as cursor:
        cursor.execute("UPDATE stream_hour SET hour = hour - 200 * 86400")
        cursor.execute("UPDATE edge_hour SET hour = hour - 200 * 86400")
    ledger.connection.commit()
    ledger.maintain(100)
    assert counted(ledger) == [(0, 0, 0, 0), (0,)]


def test_the_view_has_the_three_side_by_side(ledger: Ledger, mariadb: MariaDB) -> None:
    told = [batch(1), telling(batch(2), 2000, 1200), batch(1, stream="edge2/a"), batch(2, stream="edge2/a")]
    assert ledger.commit([incoming(item) for item in told]) == ["committed"] * 4
    hour = int(batch(2).covers[1]) // HOUR * HOUR
    found = mariadb.sql("SELECT edge, hour, logged, server, wire FROM v_edge_hour ORDER BY edge", "edgetally")
    assert found.split("\n")[:2] == [f"edge1\t{hour}\t1050\t1200\t2000", f"edge2\t{hour}\t1050\tNULL\tNULL"]


# --- where an edge is


def regions(ledger: Ledger) -> list[tuple[int, str]]:
    found = rows(ledger, "SELECT slot, region FROM edge_region WHERE edge = 'edge1' ORDER BY slot")
    return [(slot, region.decode()) for slot, region in found]


def test_an_edge_that_moves_is_in_its_new_region_from_then_on(ledger: Ledger) -> None:
    """What comes late tells of the time that it covers."""
    said = {1: "", 2: "eu", 3: "eu", 5: "us", 6: "us"}
    for seq, region in said.items():
        assert ledger.commit([incoming(batch(seq, region=region))]) == ["committed"]
    expected = [(NOW + 600, "eu"), (NOW + 1500, "us")]
    assert regions(ledger) == expected
    assert ledger.commit([incoming(batch(4, region="eu"))]) == ["committed"]
    ledger.disconnect()
    assert ledger.commit([incoming(batch(7, region="us"))]) == ["committed"]
    assert regions(ledger) == expected


# --- the bill and the status


@pytest.fixture
def config(database: DatabaseConfig, tmp_path: Path) -> AggregatorConfig:
    file = aggregator_file(tmp_path, database, "127.0.0.1:1")
    return AggregatorConfig(("127.0.0.1:1",), (MASTER,), database, path=str(file))


def commit_days(ledger: Ledger, until: int, sizes: Sequence[tuple[int, int, int | None]], edge: str = "edge1") -> None:
    """A batch a day for an edge, the last one ending an hour before `until`: (logged, wire, server) of each."""
    batches = []
    for number, (logged, wire, server) in enumerate(sizes):
        end = until - DAY * (len(sizes) - 1 - number) - HOUR
        row = (int(end) // 300 * 300 - 300, 0, 1, logged, None, None)
        one = Batch(f"{edge}/access", f"{1:016x}", number + 2, (float(end - DAY), float(end)), ("video",), (row,))
        batches.append(one._replace(counters=Counters(float(end - DAY), float(end), wire, server, "eth0")))
    assert set(ledger.commit([incoming(item) for item in batches])) == {"committed"}


DAYS = [(95_000, 100_000, 95_000)] * 14 + [(60_000, 100_000, 96_000)]


def bill(config: AggregatorConfig, start: int, end: int) -> Any:
    return find_bill(config, start=str(start), end=str(end))


def test_the_bill_has_each_edge_and_day_and_says_which_was_odd(ledger: Ledger, config: AggregatorConfig) -> None:
    commit_days(ledger, MIDNIGHT, DAYS)
    commit_days(ledger, MIDNIGHT, [(80_000, 100_000, None)] * 15, "edge2")
    with bill(config, MIDNIGHT - 2 * DAY, MIDNIGHT) as made:
        one, two = made.data["beside"]
        left_out = made.data["unbilled"]
        text = OUTPUTS["table"](made)
    assert one["edge"] == "edge1"
    assert one["days"] == [[95_000, 95_000, 100_000], [60_000, 96_000, 100_000]]
    assert (one["logged"], one["server"], one["wire"]) == (155_000, 191_000, 200_000)
    assert (one["of_wire"], one["of_server"]) == (0.775, round(155 / 191, 6))
    (odd,) = one["odd"]
    assert odd["date"] == time.strftime("%Y-%m-%d", time.gmtime(MIDNIGHT - DAY))
    assert "logged 62.5% of what its servers say they sent, usual are 95.0% to 105.0%" in odd["text"]
    assert (two["days"], two["odd"]) == ([[80_000, None, 100_000]] * 2, [])
    assert "What the logs do not see, 2 edges:" in text
    words = " ".join(text.split())
    assert words.count(f"{odd['date']}: {odd['text']}.") == 2, "once beside the edge's figures, once as not billed"
    assert left_out["unseen"] == [{"edge": "edge1", **odd}]
    assert not left_out["empty"], "the month is closed only if somebody has seen it"
    assert "edge2 160,000 - - 200,000 80.0% (76% to 84%)" in words
    assert (one["usual_of_server"], one["usual_of_wire"]) == ([0.95, 1.05], [0.9025, 0.9975])
    assert max(map(len, text.splitlines())) <= 120


def test_the_overview_has_it_too(ledger: Ledger, config: AggregatorConfig) -> None:
    commit_days(ledger, MIDNIGHT, DAYS)
    span = ("--from", str(MIDNIGHT - 2 * DAY), "--to", str(MIDNIGHT))
    page = run("report", "--config", config.path, *span, "--output", "html").stdout
    assert "<h2>What the logs do not see</h2>" in page
    assert 'data-label="On the wire" data-value="200000"' in page
    assert page.count('data-label="On the wire" data-value="100000"') == 2, "each day, folded"
    assert "logged 62.5% of what its servers say they sent" in page


def test_a_bill_of_edges_that_tell_nothing_is_as_ever(ledger: Ledger, config: AggregatorConfig) -> None:
    assert ledger.commit([incoming(batch(1)), incoming(batch(2))]) == ["committed"] * 2
    with bill(config, NOW, NOW + 3600) as made:
        assert made.data["beside"] == []
        assert "What the logs do not see" not in OUTPUTS["table"](made)


def test_the_status_has_the_last_day_and_warns(ledger: Ledger, config: AggregatorConfig, tmp_path: Path) -> None:
    until = int(time.time()) // HOUR * HOUR
    commit_days(ledger, until, DAYS)
    found = json.loads(run("status", "--config", config.path, "--output", "json").stdout)
    (edge,) = found["beside"]
    assert (edge["edge"], edge["logged"], edge["server"], edge["wire"]) == ("edge1", 60_000, 96_000, 100_000)
    assert f"in the last day {edge['text']}" in found["problems"]
    assert edge["text"].startswith("edge edge1 logged 62.5% of what its servers say they sent")
    shown = run("status", "--config", config.path).stdout
    assert "edge1: 60,000 bytes logged in the last day: 62.5% (95% to 105%) of 96,000 that its servers counted" in shown
    assert ", 60.0% (90% to 100%) of 100,000 on the wire" in shown
    metrics = tmp_path / "edgetally.prom"
    assert run("status", "--config", config.path, "--metrics", str(metrics)).returncode == 0
    assert 'edgetally_edge_unseen{edge="edge1"} 1.0' in metrics.read_text()
    assert 'edgetally_edge_wire_bytes{edge="edge1"} 100000.0' in metrics.read_text()


def test_the_status_of_a_usual_day_does_not_warn(ledger: Ledger, config: AggregatorConfig) -> None:
    commit_days(ledger, int(time.time()) // HOUR * HOUR, [*DAYS[:14], DAYS[0]])
    found = json.loads(run("status", "--config", config.path, "--output", "json").stdout)
    assert found["beside"][0]["text"] == ""
    assert not [problem for problem in found["problems"] if "logged" in problem]
