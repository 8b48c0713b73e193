"""The dashboards: Grafana's own schema knows all that is in them, and each of their queries has an answer.

Debian has no Grafana. The schema is the one that Grafana's libraries are made of; the queries are asked of a real
database by the read-only account, and of a real Prometheus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger import migrate
from edgetally.ledger.database import connect
from tests.integration.conftest import run, wait_for
from tests.integration.test_bill import START, commit
from tests.integration.test_bill import config as config
from tests.integration.test_monitoring import exporter, prometheus, query
from tests.integration.test_split import END, fleet
from tests.support import ROOT

FILES = sorted((ROOT / "monitoring" / "grafana").glob("*.json"))
READER = ("reader", "localhost", "may only read")


def dashboards() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in FILES:
        yield file.stem, json.loads(file.read_text())


def queries(kind: str) -> list[tuple[str, str, str]]:
    """(dashboard and panel, format, text) of all queries of a kind of data source, those of variables too."""
    found = []
    for name, board in dashboards():
        for panel in board["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    text = target.get("rawSql") or target["expr"]
                    found.append((f"{name}: {panel['title']}", target.get("format", "time_series"), text))
        for variable in board["templating"]["list"]:
            if variable.get("datasource", {}).get("type") == kind:
                found.append((f"{name}: ${variable['name']}", "table", variable["query"]))
    return found


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where two values differ, what the second lacks or has otherwise."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after)):
            yield from lost(*pair, f"{path}[{number}]")
    elif before != after:
        yield path


def unknown(board: dict[str, Any]) -> list[str]:
    """What of a dashboard Grafana's schema does not know."""
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    return list(lost(board, read))


def test_grafana_knows_all_that_is_in_the_dashboards() -> None:
    boards = dict(dashboards())
    assert sorted(boards) == ["channel", "contract", "edge", "fleet"]
    assert [name for name, board in boards.items() if unknown(board)] == []
    fleet_board = boards["fleet"]
    panels = [{**fleet_board["panels"][0], "gridPosition": {}}]
    assert unknown({**fleet_board, "panels": panels}) == ["/panels[0]/gridPosition"], "the check can fail"


def test_panels_and_dashboards_have_names_of_their_own() -> None:
    uids = [board["uid"] for _name, board in dashboards()]
    assert len(set(uids)) == len(uids)
    for name, board in dashboards():
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers), name
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}
        assert len(places) == len(numbers), name


@pytest.fixture
def reader(config: AggregatorConfig, admin: DatabaseConfig) -> DatabaseConfig:
    """The read-only account of a database with a fleet's batches, a gap, and a closed month."""
    migrate.migrate(config, admin, "localhost", READER)
    batches = [one for one in fleet() if (one.stream, one.seq) != ("edge1/a", 5)]
    commit(config.database, batches)
    with closing(connect(admin._replace(name="edgetally"))) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO edge_hour SELECT DISTINCT hour, 'edge1', 2000000000, 3600, 1000000000, 3600 FROM stream_hour"
        )
        cursor.execute("INSERT INTO period VALUES (1, '2026-08 UTC', 0, 1, 1, UNHEX(SHA2('', 256)), '', NOW(6))")
        connection.commit()
    return config.database._replace(user=READER[0], password=READER[2])


def test_every_query_of_the_database_has_an_answer(reader: DatabaseConfig) -> None:
    """Its variables are a channel and an edge that are there; a time series begins with the time."""
    with closing(connect(reader)) as connection, connection.cursor() as cursor:
        for what, form, text in queries("mysql"):
            asked = text.replace("$__unixEpochFrom()", str(START)).replace("$__unixEpochTo()", str(END))
            cursor.execute(asked.replace("${channel}", "video").replace("${edge}", "edge1").replace("%", "%%"))
            rows = cursor.fetchall()
            assert rows, what
            assert "$" not in asked.replace("${channel}", "").replace("${edge}", ""), what
            if form == "time_series":
                assert cursor.description[0][0] == "time", what
                assert all(START - 3600 <= row[0] <= END for row in rows), what
                assert any(value is not None for row in rows for value in row[1:]), what


def test_the_percentile_of_a_channel_is_the_bills(reader: DatabaseConfig, config: AggregatorConfig) -> None:
    (text,) = (text for what, _form, text in queries("mysql") if "95th percentile" in what)
    with closing(connect(reader)) as connection, connection.cursor() as cursor:
        asked = text.replace("$__unixEpochFrom()", str(START)).replace("$__unixEpochTo()", str(END - 300))
        cursor.execute(asked.replace("${channel}", "video"))
        ((found,),) = cursor.fetchall()
    span = ("--from", str(START), "--to", str(END), "--channel", "video", "--output", "json")
    bill = json.loads(run("report", "--config", config.path, *span).stdout)
    assert round(float(found), 3) == round(bill["total"]["percentiles"][0]["mbps"], 3)


def test_every_query_of_prometheus_has_an_answer(config: AggregatorConfig, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    contracts = [{"name": "peaks", "channels": ["video"], "commit": 10}]
    Path(config.path).with_name("contracts.json").write_text(json.dumps(contracts))
    file = str(folder / "edgetally_contracts.prom")
    assert run("report", "--config", config.path, "--metrics", file).stderr == ""  # this month, which is not over
    with exporter(folder) as node, prometheus(tmp_path, node.address) as prom:
        wait_for("metrics", lambda: query(prom, "edgetally_contract_quantity"), 60)
        for what, _form, text in queries("prometheus"):
            expression = re.sub(r"^label_values\((\w+), \w+\)$", r"\1", text).replace("${contract}", "peaks")
            assert query(prom, expression), what
