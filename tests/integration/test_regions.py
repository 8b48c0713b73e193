"""Prices per region: of a contract's line each region has what its edges sent, also where one moved, or came late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import AggregatorConfig
from tests.integration.conftest import run
from tests.integration.test_bill import START, batch, commit
from tests.integration.test_bill import config as config
from tests.integration.test_period import MONTH, close, september
from tests.integration.test_split import expected, fleet, report
from tests.support.servers import MariaDB

GB = 10**9
TERMS: dict[str, Any] = {"rule": "volume", "currency": "EUR", "price": "3", "places": 9}
REGIONS = {"eu": {"price": "1"}, "us": {"price": "2"}}


def agree(config: AggregatorConfig, *contracts: dict[str, Any]) -> None:
    listed = [{**TERMS, "name": f"c{number}", **one} for number, one in enumerate(contracts)]
    Path(config.path).with_name("contracts.json").write_text(json.dumps(listed))


def lines(config: AggregatorConfig) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(report(config, "--output", "json"))["contracts"]
    return found


def sums(channel: str = "*", first: int = 0) -> dict[str, int]:
    """The bytes of each region, from a slot on."""
    return {name: sum(sizes[first:]) for name, sizes in expected(fleet(), "region", channel).items()}


@pytest.mark.parametrize("group", [False, True])
def test_each_region_pays_for_what_its_edges_sent(config: AggregatorConfig, group: bool) -> None:
    """edge2 moves in the middle; edge3 says no region."""
    commit(config.database, fleet())
    agree(config, {"channels": ["*"], "group": group, "regions": REGIONS})
    found = lines(config)
    assert [line["channels"] for line in found] == ([["news", "video"]] if group else [["news"], ["video"]])
    for line in found:
        had = sums("*" if group else line["channels"][0])
        assert line["regions"] == had
        assert [(item["what"], item["quantity"]) for item in line["amount"]["items"]] == [
            (what, f"{had[name] / GB:.9f}")
            for name, what in (("eu", "usage in eu"), ("us", "usage in us"), ("-", "usage elsewhere"))
        ]
        assert any(f"eu {had['eu']:,}, us {had['us']:,}, elsewhere {had['-']:,}." in text for text in line["text"])
    assert "usage in us" in report(config, "--output", "html")


def test_a_region_without_a_price_is_elsewhere_and_so_is_what_has_no_detail(
    config: AggregatorConfig, mariadb: MariaDB
) -> None:
    commit(config.database, fleet())
    agree(config, {"channels": ["video"], "regions": {"us": {"price": "2"}}}, {"channels": ["news"]})
    video, news = lines(config)
    had = sums("video")
    assert (video["regions"], news["regions"]) == ({"us": had["us"], "-": had["eu"] + had["-"]}, None)
    late = 15
    middle = START + 300 * late
    mariadb.sql(f"UPDATE detail SET from_slot = {middle}; DELETE FROM traffic WHERE slot < {middle}", "edgetally")
    us = sums("video", late)["us"]
    assert lines(config)[0]["regions"] == {"us": us, "-": sum(had.values()) - us}


def test_a_region_that_no_edge_names_is_said(config: AggregatorConfig) -> None:
    commit(config.database, fleet())
    agree(config, {"channels": ["video"], "regions": {"eu": {"price": "1"}, "uss": {"price": "2"}}})
    file = str(Path(config.path).with_name("contracts.json"))
    done = run("report", "--config", config.path, "--check-contracts", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Contract c0 has a price in the region uss, which no edge names: known are eu, us (edge_shipper_region).\n"
    )


def test_a_credit_note_has_the_prices_of_the_regions(config: AggregatorConfig) -> None:
    """As closed, the regions are in the snapshot; with what came late the line is as if the month were open still."""
    half = START + MONTH // 2
    eu = [one._replace(region="eu") for one in september("edge1/a", days=31)]
    commit(config.database, eu)
    old = {"channels": ["video"], "group": True, "valid_to": "2026-09-15", "partial": "prorate", "regions": REGIONS}
    new = {**old, "valid_from": "2026-09-16", "valid_to": "2026-09-30", "price": "5"}
    agree(config, old, new, {"channels": ["news"], "regions": REGIONS})
    assert close(config, "--accept-unbilled").returncode == 0
    cells = {START: 7 * GB, half - 300: 2 * GB, half: 11 * GB}
    commit(config.database, [batch("edge2/a", 1, (None, START + 20.0 * 86400), cells, region="us")])
    commit(config.database, [batch("edge3/a", 1, (None, START + 20.0 * 86400), {START: GB}, channels=("news",))])
    found = json.loads(run("period", "show", "2026-09", "--config", config.path, "--output", "json").stdout)["lines"]
    assert [(one["contract"], one["change"]["net"]) for one in found] == [
        ("c0", "18.00"),  # 9 GB in us
        ("c1", "22.00"),
        ("c2", "3.00"),  # edge3 says no region
    ]
    span = ("--from", str(START), "--to", str(START + MONTH))
    done = run("report", "--config", config.path, *span, "--output", "json")
    as_open = {line["contract"]: line for line in json.loads(done.stdout)["contracts"]}
    assert {one["contract"]: one["adjusted"]["net"] for one in found} == {
        name: line["amount"]["net"] for name, line in as_open.items()
    }
    assert as_open["c0"]["regions"] == {"eu": 15_000, "us": 9 * GB, "-": 0}
