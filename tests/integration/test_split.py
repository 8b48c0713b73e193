"""A bill by edge, region and stream: the parts add up to the bill, and what cannot be split is said."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import pytest

from edgetally.config import AggregatorConfig
from edgetally.wire.batch import Batch
from tests.integration.conftest import run
from tests.integration.test_bill import START, batch, commit
from tests.integration.test_bill import config as config
from tests.integration.test_period import day_batch, september
from tests.support.servers import MariaDB

SLOTS = 24
END = START + 300 * SLOTS
REGIONS = {"edge1": ["eu"] * SLOTS, "edge2": ["eu"] * 12 + ["us"] * 12, "edge3": [""] * SLOTS}  # edge2 moves
STREAMS = ("edge1/a", "edge1/b", "edge2/a", "edge3/a")


def fleet() -> list[Batch]:
    """A batch a slot for each stream: two channels, sizes that no sum hides."""
    draw = random.Random(7)
    batches = []
    for stream in STREAMS:
        for number in range(SLOTS):
            slot = START + 300 * number
            rows = tuple((slot, channel, 1, draw.randint(1, 10**9), 1, 1) for channel in (0, 1))
            region = REGIONS[stream.partition("/")[0]][number]
            covers = (None if number == 0 else float(slot), slot + 300.0)
            batches.append(batch(stream, number + 1, covers, {}, region=region)._replace(
                channels=("news", "video"), rows=rows))  # fmt: skip
    return batches


def expected(batches: list[Batch], by: str, channel: str = "*") -> dict[str, list[int]]:
    """The bytes of every slot of each part."""
    parts: dict[str, list[int]] = {}
    for one in batches:
        edge = one.stream.partition("/")[0]
        for slot, index, _requests, size, _hits, _hit_bytes in one.rows:
            number = (slot - START) // 300
            name = {"stream": one.stream, "edge": edge, "region": REGIONS[edge][number] or "-"}[by]
            if channel in ("*", one.channels[index]):
                parts.setdefault(name, [0] * SLOTS)[number] += size
    return parts


def report(config: AggregatorConfig, *options: str) -> str:
    span = ("--from", str(START), "--to", str(END))
    done = run("report", "--config", config.path, *span, *options)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("channel", ["*", "video"])
@pytest.mark.parametrize("by", ["edge", "region", "stream"])
def test_each_part_is_what_it_had(config: AggregatorConfig, by: str, channel: str) -> None:
    batches = fleet()
    commit(config.database, batches)
    data: dict[str, Any] = json.loads(report(config, "--by", by, "--channel", channel, "--output", "json"))
    split = data["split"]
    sizes = expected(batches, by, channel)
    assert {part["name"]: part["bytes"] for part in split["parts"]} == {name: sum(all_) for name, all_ in sizes.items()}
    for part in split["parts"]:
        ordered = sorted(sizes[part["name"]])
        assert part["peak_bytes"] == ordered[-1]
        assert part["percentiles"][0]["bytes"] == ordered[-(-95 * SLOTS // 100) - 1]
    assert sum(part["bytes"] for part in split["parts"]) == data["total"]["bytes"]
    assert sum(part["requests"] for part in split["parts"]) == data["total"]["requests"]
    assert (split["undivided_bytes"], split["undivided_until"], split["rest_bytes"]) == (0, None, 0)


def test_it_is_a_table_csv_and_a_page_too(config: AggregatorConfig) -> None:
    batches = fleet()
    commit(config.database, batches)
    sizes = {name: sum(all_) for name, all_ in expected(batches, "region").items()}
    table = report(config, "--by", "region")
    assert [line.split()[1] for line in table.splitlines() if line.startswith("us ")] == [f"{sizes['us']:,}"]
    rows = list(csv.DictReader(io.StringIO(report(config, "--by", "region", "--output", "csv"))))
    assert {row["region"].lstrip("'"): int(row["bytes"]) for row in rows} == sizes
    page = report(config, "--by", "region", "--output", "html")
    assert "<h2>By region</h2>" in page
    assert f'data-value="{sizes["us"]}"' in page
    assert "By region" not in report(config, "--output", "html")


def test_what_is_older_than_the_detail_is_not_split_and_said(config: AggregatorConfig, mariadb: MariaDB) -> None:
    batches = fleet()
    commit(config.database, batches)
    middle = START + 300 * 10
    mariadb.sql(f"UPDATE detail SET from_slot = {middle}; DELETE FROM traffic WHERE slot < {middle}", "edgetally")
    data = json.loads(report(config, "--by", "edge", "--output", "json"))
    sizes = expected(batches, "edge")
    assert {part["name"]: part["bytes"] for part in data["split"]["parts"]} == {
        name: sum(all_[10:]) for name, all_ in sizes.items()
    }
    older = sum(sum(all_[:10]) for all_ in sizes.values())
    assert data["split"]["undivided_bytes"] == older
    assert data["split"]["undivided_until"] == "2026-09-01T00:50:00+00:00"
    said = f"{older:,} bytes from before 2026-09-01T00:50:00+00:00 are not split"
    assert said in " ".join(report(config, "--by", "edge").split())
    assert f"not split,{older}," in report(config, "--by", "edge", "--output", "csv")


def test_a_split_of_nothing_is_empty(config: AggregatorConfig) -> None:
    commit(config.database, [batch("edge1/a", 1, (None, START + 300.0), {})])
    assert json.loads(report(config, "--by", "stream", "--output", "json"))["split"]["parts"] == []
    assert report(config, "--by", "stream", "--output", "csv").strip() == "stream"


def test_a_closed_month_is_split_as_the_database_has_it_now_and_that_is_said(config: AggregatorConfig) -> None:
    commit(config.database, september())
    assert run("period", "close", "2026-09", "--config", config.path).returncode == 0
    month = ("report", "--config", config.path, "--month", "2026-09", "--by", "edge")
    before = run(*month)
    assert ["edge1", "30,000"] in [line.split()[:2] for line in before.stdout.splitlines()]
    assert "than the bill" not in before.stdout
    commit(config.database, [day_batch("edge2/a", seq, 9) for seq in (1, 2)])
    data = json.loads(run(*month, "--output", "json").stdout)
    assert [(part["name"], part["bytes"]) for part in data["split"]["parts"]] == [("edge1", 30_000), ("edge2", 18)]
    assert (data["total"]["bytes"], data["split"]["rest_bytes"]) == (30_000, -18)
    assert "The parts have 18 bytes more than the bill" in run(*month).stdout
