"""A bill for other programs: events with stable ids, and Parquet by either library."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from edgetally.bill import parquet
from edgetally.bill.find import find_bill
from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from tests.integration.conftest import run
from tests.integration.test_bill import START, batch, commit
from tests.integration.test_bill import config as config
from tests.integration.test_period import day_batch, september
from tests.support.servers import MariaDB

ODD = 'vidéo, "4K"'
CONTRACTS = [
    {
        "name": "all of it",
        "channels": ["*"],
        "group": True,
        "commit": 3,
        "customer": "Globex",
        "currency": "EUR",
        "price": "0.35",
    }
]


@pytest.fixture
def closed(config: AggregatorConfig) -> AggregatorConfig:
    """A closed September in Berlin: 1,000 bytes of video a day, and a day of another channel."""
    Path(config.path).with_name("contracts.json").write_text(json.dumps(CONTRACTS))
    odd = batch("edge2/a", 1, (None, START + 300.0), {START: 77}, channels=(ODD,))
    commit(config.database, [*september(), odd])
    assert run("stream", "retire", "edge2/a", "--config", config.path).returncode == 0
    done = run("period", "close", "2026-09", "--zone", "UTC", "--accept-gaps", "--config", config.path)
    assert done.returncode == 0, done.stderr
    return config


def report(config: AggregatorConfig, *options: str) -> str:
    done = run("report", "--month", "2026-09", "--config", config.path, *options)
    assert done.stderr == "", done.stderr
    return done.stdout


def events(config: AggregatorConfig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report(config, "--output", "events").splitlines()]


def test_a_closed_month_is_an_event_for_each_channel_and_day(closed: AggregatorConfig, mariadb: MariaDB) -> None:
    found = events(closed)
    assert len(found) == len({event["id"] for event in found}) == 31
    assert sum(event["data"]["bytes"] for event in found if event["subject"] == "video") == 30_000
    (odd,) = (event for event in found if event["subject"] == ODD)
    assert odd["time"] == "2026-09-01T00:00:00Z"
    data = odd["data"]
    assert (data["bytes"], data["to"], data["contract"]) == (77, "2026-09-02T00:00:00Z", "all of it")
    ledger = mariadb.sql("SELECT id FROM ledger", "edgetally").strip()
    assert {event["source"] for event in found} == {f"urn:uuid:{ledger}"}
    required = {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"}
    assert all(set(event) == required and event["specversion"] == "1.0" for event in found)


def test_what_is_sent_twice_is_the_same_whatever_came_later(closed: AggregatorConfig) -> None:
    before = events(closed)
    commit(closed.database, [day_batch("edge3/a", seq, 9) for seq in (1, 2)])
    done = run("report", "--month", "2026-09", "--config", closed.path, "--output", "events")
    assert [json.loads(line) for line in done.stdout.splitlines()] == before
    assert "committed after it was closed" in done.stderr


def test_an_open_month_has_no_events(config: AggregatorConfig) -> None:
    commit(config.database, september())
    done = run("report", "--month", "2026-09", "--config", config.path, "--output", "events")
    assert (done.returncode, done.stdout) == (2, "")
    assert "close it with `edgetally period close`" in done.stderr


def query(file: Path, text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        found: list[tuple[Any, ...]] = connection.execute(text.format(file=f"'{file}'")).fetchall()
    return found


@pytest.mark.parametrize("library", ["pyarrow", "duckdb"])
def test_either_library_writes_the_same_tables(
    closed: AggregatorConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    found = parquet._library
    monkeypatch.setattr(parquet, "_library", lambda name: found(name) if name.startswith(library) else None)
    out = tmp_path / "out"
    with find_bill(closed, month="2026-09") as bill:
        for _again in range(2):
            parquet.write_folder(bill, str(out))
    tables = ("adjustments", "channels", "days", "lines", "series")
    assert sorted(path.name for path in out.iterdir()) == [f"{name}.parquet" for name in tables]
    days = query(
        out / "days.parquet", "SELECT channel, COUNT(*), SUM(bytes), SUM(requests) FROM {file} GROUP BY 1 ORDER BY 1"
    )
    assert days == [("video", 30, 30_000, 30), (ODD, 30, 77, 1)]
    series = query(out / "series.parquet", 'SELECT COUNT(*), SUM(bytes), MIN(epoch), MIN("from") FROM {file}')
    assert series == [(2 * 8640, 30_077, START, "2026-09-01T00:00:00+00:00")]
    lines = query(out / "lines.parquet", "SELECT customer, contract, item, quantity, reference, amount FROM {file}")
    assert lines == [("Globex", "all of it", "commit", 3.0, None, Decimal("1.05"))]
    channels = query(out / "channels.parquet", "SELECT channel, bytes, typeof(p95_mbps) FROM {file} ORDER BY 1")
    assert channels == [("video", 30_000, "DOUBLE"), (ODD, 77, "DOUBLE")]
    assert query(out / "adjustments.parquet", "SELECT COUNT(*), MAX(typeof(net)) FROM {file}") == [(0, None)]
    types = query(out / "series.parquet", "SELECT typeof(channel), typeof(epoch), typeof(mbps) FROM {file} LIMIT 1")
    assert types == [("VARCHAR", "BIGINT", "DOUBLE")]


def test_without_a_library_it_is_said_how_to_get_one(
    closed: AggregatorConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_library", lambda _name: None)
    with find_bill(closed, month="2026-09") as bill, pytest.raises(EdgetallyError, match="pip install pyarrow"):
        parquet.write_folder(bill, str(tmp_path))


def test_parquet_wants_a_folder(closed: AggregatorConfig) -> None:
    done = run("report", "--month", "2026-09", "--config", closed.path, "--output", "parquet")
    assert done.returncode == 2
    assert "name a folder" in done.stderr
