"""How the contracts stand against their commits: as metrics while the month runs, and month by month behind it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgetally.bill.commit_watch import metrics
from edgetally.bill.find import find_bill
from edgetally.config import AggregatorConfig
from tests.integration.conftest import run
from tests.integration.test_bill import batch, commit
from tests.integration.test_bill import config as config
from tests.integration.test_period import september

CONTRACTS = [
    {
        "name": "gigabytes",
        "channels": ["video"],
        "rule": "volume",
        "base": "decimal",
        "commit": "0.00002",
        "uplift": "1.5",
        "price": "1000000",
        "currency": "EUR",
    },
    {"name": "peaks", "channels": ["news"], "group": True, "commit": 10},
]


@pytest.fixture
def months(config: AggregatorConfig) -> AggregatorConfig:
    """September and October closed, with 1,000 bytes a day, and two days of November."""
    Path(config.path).with_name("contracts.json").write_text(json.dumps(CONTRACTS))
    commit(config.database, september(days=63))
    for month in ("2026-09", "2026-10"):
        done = run("period", "close", month, "--accept-unbilled", "--config", config.path)
        assert done.returncode == 0, done.stderr
    return config


def report(config: AggregatorConfig, *options: str) -> Any:
    done = run("report", "--config", config.path, *options)
    assert done.stderr == ""
    return done.stdout


def test_the_metrics_of_a_closed_month_are_those_of_its_bill(months: AggregatorConfig, tmp_path: Path) -> None:
    file = tmp_path / "contracts.prom"
    assert report(months, "--month", "2026-10", "--metrics", str(file)) == ""
    found = {
        (sample.name.removeprefix("edgetally_contract_"), sample.labels["contract"]): sample
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }
    labels = {"contract": "gigabytes", "channel": "video", "unit": "GB"}
    assert found["quantity", "gigabytes"].labels == labels
    assert found["commit", "gigabytes"].value == 0.00002
    bill = json.loads(report(months, "--month", "2026-10", "--output", "json"))
    lines = {line["contract"]: line for line in bill["contracts"]}
    for name, line in lines.items():
        for figure in ("quantity", "projected", "certain"):
            assert found[figure, name].value == line["measured"] * float(line["terms"]["uplift"])
        assert ("slots_left", name) not in found
    assert found["quantity", "peaks"].labels["channel"] == ""
    assert found["amount", "gigabytes"].value == float(lines["gigabytes"]["amount"]["net"])
    assert ("amount", "peaks") not in found  # it has no price


def test_the_metrics_of_the_month_in_hand_have_its_projection(config: AggregatorConfig) -> None:
    now = int(time.time()) // 300 * 300
    commit(config.database, [batch("edge1/a", 1, (None, now + 0.0), {now - 300 * n: 10**9 for n in range(1, 70)})])
    contracts = [{"name": "a", "channels": ["video"], "commit": 5, "uplift": "1.5"}]
    Path(config.path).with_name("contracts.json").write_text(json.dumps(contracts))
    with find_bill(config) as bill:
        (line,) = bill.data["contracts"]
        found = {one.name.removeprefix("contract_"): one.value for one in metrics(bill.data)}
    forecast = line["projection"]
    assert forecast["left"] is not None
    assert found["projected"] == forecast["measured"] * 1.5
    assert found["certain"] == forecast["certain"] * 1.5
    assert found["slots_left"] == forecast["left"]


def test_the_trend_has_closed_months_as_they_were_closed_and_this_one(months: AggregatorConfig) -> None:
    Path(months.path).with_name("contracts.json").write_text(json.dumps(CONTRACTS[:1]))
    rows = json.loads(report(months, "--month", "2026-11", "--trend", "--output", "json"))
    volumes = [(row["month"], row["measured"]) for row in rows if row["contract"] == "gigabytes"]
    assert volumes == [("2026-09", 30e-6), ("2026-10", 31e-6), ("2026-11", 2e-6)]
    assert [row["month"] for row in rows if row["contract"] == "peaks"] == ["2026-09", "2026-10"]
    earlier = json.loads(report(months, "--month", "2026-10", "--trend", "--output", "json"))
    assert sorted({row["month"] for row in earlier}) == ["2026-09", "2026-10"]


def test_the_trend_is_a_table_and_csv_too(months: AggregatorConfig) -> None:
    table = report(months, "--trend")
    assert table.splitlines()[0].split()[:4] == ["month", "zone", "contract", "channel"]
    assert table.splitlines()[2].split()[:5] == ["2026-09", "UTC", "gigabytes", "video", "GB"]
    csv = report(months, "--trend", "--output", "csv")
    assert csv.splitlines()[1].startswith("2026-09,UTC,gigabytes,video,GB,3e-05,4.5e-05,2e-05,2.5e-05,")


def test_the_trend_of_a_span_of_time_is_refused(months: AggregatorConfig) -> None:
    options = ("--from", "2026-09-01T00:00", "--to", "2026-09-02T00:00", "--trend")
    done = run("report", "--config", months.path, *options)
    assert done.returncode == 2
    assert "--trend is of months" in done.stderr
