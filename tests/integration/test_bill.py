"""The bill over a real database: what is missing is named, bounded and told apart from what is idle or retired."""

from __future__ import annotations

import csv
import json
import random
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from edgetally.bill.coverage import slots
from edgetally.bill.find import find_bill
from edgetally.bill.page.channel_page import identify_group
from edgetally.bill.text import OUTPUTS
from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.incoming import Incoming
from edgetally.ledger.ledger import Ledger
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import derive_key, seal
from tests.integration.conftest import MASTER, aggregator_file, run
from tests.support import ROOT, servers

START = 1_788_220_800  # 2026-09-01T00:00Z
KEY = derive_key(MASTER, "edge1")


def batch(stream: str, seq: int, covers: tuple[float | None, float], cells: dict[int, int], **more: Any) -> Batch:
    """A batch of channel `video` (other channels: `more["channels"]`, and the cells are of the first)."""
    channels = more.pop("channels", ("video",))
    rows = tuple((slot, 0, 1, size, 1, size // 2) for slot, size in sorted(cells.items()))
    generation = more.pop("generation", f"{1:016x}")
    return Batch(stream, generation, seq, covers, channels if rows else (), rows, **more)


def commit(database: DatabaseConfig, batches: Iterable[Batch]) -> None:
    """Write batches as the aggregator does."""
    ledger = Ledger(database, "test")
    with ledger.connection.cursor() as cursor:
        cursor.execute("UPDATE writer SET holder = ''")
    ledger.connection.commit()
    assert ledger.acquire()
    incoming = []
    for one in batches:
        (body,) = one.encode()
        incoming.append(Incoming(seal(one.stream, KEY, body), one.stream, body, one))
    assert set(ledger.commit(incoming)) <= {"committed"}
    ledger.disconnect()


@pytest.fixture
def config(database: DatabaseConfig, tmp_path: Path) -> AggregatorConfig:
    file = aggregator_file(tmp_path, database, "127.0.0.1:1")
    return AggregatorConfig(("127.0.0.1:1",), (MASTER,), database, path=str(file))


def bill(config: AggregatorConfig, start: int, end: int, **more: Any) -> dict[str, Any]:
    with find_bill(config, start=str(start), end=str(end), **more) as made:
        return made.data


def interval(stream: str, seq: int, sizes: list[int], generation: str = f"{1:016x}") -> Batch:
    """The batch of a five-minute rotation, a little off the slots; seq 1 ends with slot 0."""
    end = START + 300 * seq + 0.25
    cells = {START + 300 * (seq - 1): sizes[seq - 1]} if sizes[seq - 1] else {}
    return batch(stream, seq, (None if seq == 1 else end - 300, end), cells, generation=generation)


def named(gaps: Iterable[dict[str, Any]]) -> set[tuple[str, int]]:
    """The (stream, seq) of all batches that the bill says are lost."""
    return {
        (gap["stream"], seq)
        for gap in gaps
        if gap["reason"] == "missing"
        for seq in range(gap["first_seq"], gap["last_seq"] + 1)
    }


def agrees_with_the_view(mariadb: servers.MariaDB, found: dict[str, Any], start: int, end: int) -> None:
    """v_stream_gaps, cut to the period, names the same."""
    rows = mariadb.sql(
        f"SELECT stream, GREATEST(from_time, {start}), LEAST(to_time, {end}), reason FROM v_stream_gaps "
        f"WHERE to_time > {start} AND from_time < {end} ORDER BY stream, from_time",
        "edgetally",
    ).splitlines()
    view = [
        (stream, float(low), float(high), reason) for stream, low, high, reason in (row.split("\t") for row in rows)
    ]
    ours = [(gap["stream"], gap["from"], gap["to"], gap["reason"]) for gap in found["completeness"]["gaps"]]
    assert sorted(view) == sorted(ours)


@pytest.mark.parametrize("seed", range(12))
def test_exactly_the_lost_batches_are_named(config: AggregatorConfig, mariadb: servers.MariaDB, seed: int) -> None:
    """K random batches of N never arrive, the first ones too: those are named, and none else; the bounds hold."""
    draw = random.Random(seed)
    intervals, names = 60, ("edge1/a", "edge1/b", "edge2/a")
    sizes = {name: [draw.choice((0, draw.randint(1, 1000))) for _ in range(intervals)] for name in names}
    every = [(name, seq) for name in names for seq in range(1, intervals + 1)]
    losable = [(name, seq) for name, seq in every if seq < intervals]
    lost = set(draw.sample(losable, draw.choice((0, 1, 3, 10, 40))))
    commit(config.database, [interval(name, seq, sizes[name]) for name, seq in every if (name, seq) not in lost])
    end = START + 300 * intervals
    found = bill(config, START, end)
    complete = found["completeness"]
    assert named(complete["gaps"]) == lost
    assert complete["complete"] is not bool(lost)
    assert complete["received"] + complete["empty"] + complete["missing"] == complete["expected"]
    agrees_with_the_view(mariadb, found, START, end)
    check_bounds(found, sizes, lost)


def check_bounds(found: dict[str, Any], sizes: dict[str, list[int]], lost: set[tuple[str, int]]) -> None:
    """The true percentile lies within the bounds, if no lost cell was more than its stream reached otherwise."""
    reached = {
        name: max((size for seq, size in enumerate(own, 1) if (name, seq) not in lost), default=0)
        for name, own in sizes.items()
    }
    true = sorted(map(sum, zip(*sizes.values())))
    figure = found["channels"][0]["percentiles"][0]
    assert figure["bytes"] == figure["low_bytes"] <= figure["high_bytes"]
    if all(sizes[name][seq - 1] <= reached[name] for name, seq in lost):
        assert figure["low_bytes"] <= true[figure["rank"] - 1] <= figure["high_bytes"]
    if not lost:
        assert figure["low_bytes"] == figure["high_bytes"] == true[figure["rank"] - 1]


def test_the_bounds_are_tight_and_of_the_stream_alone(config: AggregatorConfig) -> None:
    """A stream that never had a channel cannot have lost any of it; one that had, at most as much as ever."""
    sizes = [100] * 20
    small, big = "edge1/a", "edge1/b"
    batches = [interval(small, seq, sizes) for seq in range(1, 21) if seq != 7]
    other = [
        batch(big, seq, interval(big, seq, sizes).covers, {START + 300 * seq: 5000}, channels=("news",))
        for seq in range(1, 21)
        if seq != 9
    ]
    commit(config.database, batches + other)
    found = {line["channel"]: line for line in bill(config, START, START + 6000)["channels"]}
    assert found["video"]["missing"] == [[6, 8, 100]]
    assert found["video"]["percentiles"][0]["high_bytes"] == 100
    assert found["news"]["missing"] == [[8, 10, 5000]]
    assert found["video"]["missing_slots"] == 2


def test_lines_that_are_on_no_bill_are_on_it(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """How many there were, and whose: else a format that no longer fits would cost, and nobody would know."""
    end = START + 3000
    well = [interval("edge1/a", seq, [10] * 30) for seq in range(1, 10)]
    badly = [
        interval(f"edge{n}/b", seq, [10] * 30)._replace(rejected=n, skewed=n == 2)
        for n in (2, 3, 4, 5)
        for seq in (1, 2)
    ]
    after = batch("edge2/b", 9, (end + 50, end + 350), {}, rejected=500)
    commit(config.database, [*well, after, *badly])
    with find_bill(config, start=str(START), end=str(end)) as made:
        complete = made.data["completeness"]
        said = " ".join(OUTPUTS["table"](made).split())
    by_stream = {one["stream"]: (one["lines"], one["rejected"], one["skewed"]) for one in complete["by_stream"]}
    assert by_stream == {
        "edge1/a": (9, 0, 0),
        **{f"edge{n}/b": (2 + 2 * n, 2 * n, 2 * (n == 2)) for n in (2, 3, 4, 5)},
    }
    assert (complete["lines"], complete["rejected"], complete["skewed"]) == (45, 28, 2)
    assert (
        "28 of 45 lines did not fit their log's format and are on no bill: edge5/b 10, edge4/b 8, edge3/b 6 and 1 "
        "more. `edgetally check` on the edge says why."
    ) in said
    assert "2 of 45 lines ended outside the time of their log" in said
    assert made.data["total"]["requests"] == 45 - 28
    with find_bill(config, start=str(START + 900), end=str(end)) as made:
        assert "Every line fitted its log's format: 7." in OUTPUTS["table"](made)


def test_idle_dead_broken_and_late_are_told_apart(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    zeros, sizes = [0] * 24, [10] * 24
    idle = [interval("edge1/idle", seq, zeros) for seq in range(1, 25)]
    dead = [interval("edge1/dead", seq, sizes) for seq in range(1, 7)]
    broken = [interval("edge1/odd", seq, sizes) for seq in range(1, 25)]
    broken[9] = broken[9]._replace(continuity="broken")
    broken[15] = broken[15]._replace(log="absent", rows=(), channels=())
    commit(config.database, [*idle, *dead, *broken])
    mariadb.sql("UPDATE batch SET committed_at = FROM_UNIXTIME(covers_to + 5)", "edgetally")
    mariadb.sql("UPDATE batch SET committed_at = FROM_UNIXTIME(covers_to + 1801) WHERE seq = 3", "edgetally")
    end = START + 7200
    found = bill(config, START, end)
    by_stream = {one["stream"]: one for one in found["completeness"]["by_stream"]}
    idle_one, dead_one, odd_one = (by_stream[f"edge1/{name}"] for name in ("idle", "dead", "odd"))
    assert (idle_one["empty"], idle_one["missing"], idle_one["received"]) == (23, 0, 0)
    assert (dead_one["empty"], dead_one["state"]) == (0, "silent")
    assert (dead_one["received"], dead_one["missing"]) == (5, 18)
    assert (odd_one["missing"], odd_one["received"], odd_one["empty"]) == (4, 19, 0)
    assert [one["late"] for one in (idle_one, dead_one, odd_one)] == [1, 1, 1]
    assert [(gap["stream"], gap["reason"]) for gap in found["completeness"]["gaps"]] == [
        ("edge1/dead", "missing"),
        ("edge1/odd", "broken"),
        ("edge1/odd", "absent"),
    ]
    agrees_with_the_view(mariadb, found, START, end)


def test_a_number_that_is_not_there_is_missing_however_short(
    config: AggregatorConfig, mariadb: servers.MariaDB
) -> None:
    """Two rotations within a second, and the batch between them is lost: covers alone do not show it."""
    first, second = START + 300.0, START + 300.4
    commit(
        config.database,
        [
            batch("edge1/a", 1, (None, first), {START: 5}),
            batch("edge1/a", 3, (second, START + 600.0), {START + 300: 5}),
        ],
    )
    found = bill(config, START, START + 600)
    assert named(found["completeness"]["gaps"]) == {("edge1/a", 2)}
    agrees_with_the_view(mariadb, found, START, START + 600)


def test_a_gap_at_the_end_is_one_as_soon_as_the_next_batch_is_there(
    config: AggregatorConfig, mariadb: servers.MariaDB
) -> None:
    """The last minutes of a month: half an hour may be on its way, but not if what follows has come."""
    sizes = [10] * 40
    commit(config.database, [interval("edge1/a", seq, sizes) for seq in range(1, 41) if seq not in (24, 25)])
    found = bill(config, START, START + 7200)
    assert named(found["completeness"]["gaps"]) == {("edge1/a", 24), ("edge1/a", 25)}
    agrees_with_the_view(mariadb, found, START, START + 7200)
    later = bill(config, START + 7200, START + 12000)
    assert later["completeness"]["gaps"][0]["to"] == START + 7500.25


def test_a_retired_edge_is_no_gap(config: AggregatorConfig, mariadb: servers.MariaDB, tmp_path: Path) -> None:
    """From its last batch on nothing of it is missing; a loss before stays one; it may come back."""
    sizes = [10] * 40
    commit(config.database, [interval("edge1/a", seq, sizes) for seq in range(1, 13) if seq != 5])
    commit(config.database, [interval("edge2/a", seq, sizes) for seq in range(1, 41)])
    end = START + 9000
    assert bill(config, START, end)["completeness"]["missing"] == 20
    file = str(tmp_path / "aggregator.json")
    done = run("stream", "retire", "edge1/a", "--config", file)
    assert (done.returncode, done.stdout) == (
        0,
        "edge1/a is retired since 2026-09-01T01:00:00Z: from then on nothing of it is missing\n",
    )
    found = bill(config, START, end)
    assert named(found["completeness"]["gaps"]) == {("edge1/a", 5)}
    assert {one["stream"]: one["expected"] for one in found["completeness"]["by_stream"]} == {
        "edge1/a": 12,
        "edge2/a": 29,
    }
    agrees_with_the_view(mariadb, found, START, end)
    listed = {
        one["stream"]: one for one in json.loads(run("stream", "list", "--config", file, "--output", "json").stdout)
    }
    assert (listed["edge1/a"]["state"], listed["edge1/a"]["last"]) == ("retired", START + 3600.25)
    assert listed["edge2/a"]["state"] == "silent"
    back = [
        batch(
            "edge1/a",
            seq,
            (None if seq == 1 else START + 300.0 * (seq + 19), START + 300.0 * (seq + 20)),
            {},
            generation=f"{2:016x}",
        )
        for seq in range(1, 11)
    ]
    commit(config.database, back)
    found = bill(config, START, START + 9000)
    assert named(found["completeness"]["gaps"]) == {("edge1/a", 5)}
    agrees_with_the_view(mariadb, found, START, START + 9000)
    assert (
        "it is covered until" in run("stream", "retire", "edge1/a", "--at", str(START + 12000), "--config", file).stdout
    )
    assert run("stream", "unretire", "edge1/a", "--config", file).returncode == 0
    assert bill(config, START, end)["completeness"]["missing"] > 2
    lost = run("stream", "retire", "edge9/a", "--config", file)
    assert (lost.returncode, lost.stderr) == (
        2,
        "edgetally: no stream is named 'edge9/a': `edgetally stream list` shows all of them\n",
    )


def test_a_retired_edge_that_comes_back_with_lost_numbers_was_not_off(
    config: AggregatorConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    sizes = [10] * 40
    commit(config.database, [interval("edge1/a", seq, sizes) for seq in range(1, 13)])
    assert run("stream", "retire", "edge1/a", "--config", str(tmp_path / "aggregator.json")).returncode == 0
    commit(config.database, [interval("edge1/a", seq, sizes) for seq in range(31, 41)])
    found = bill(config, START, START + 12000)
    assert named(found["completeness"]["gaps"]) == {("edge1/a", seq) for seq in range(13, 31)}
    assert not found["completeness"]["complete"]
    agrees_with_the_view(mariadb, found, START, START + 12000)


def test_a_batch_of_which_a_part_is_missing_vouches_for_nothing(config: AggregatorConfig) -> None:
    sizes = [10] * 12
    batches = [interval("edge1/a", seq, sizes) for seq in range(1, 13)]
    batches[5] = batches[5]._replace(part=0, parts=2)
    batches[8] = batches[8]._replace(part=0, parts=2)
    batches.append(batches[8]._replace(part=1))
    commit(config.database, batches)
    (gap,) = bill(config, START, START + 3600)["completeness"]["gaps"]
    assert (gap["first_seq"], gap["last_seq"]) == (6, 6)


def test_the_series_are_what_the_database_has(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """A slot of every kind, two days, and a channel without traffic in the period."""
    draw = random.Random(5)
    cells = {START + 300 * slot: draw.randint(1, 9999) for slot in draw.sample(range(576), 300)}
    commit(
        config.database,
        [
            batch("edge1/a", 1, (None, START + 172800.0), cells),
            batch("edge1/b", 1, (None, START + 172800.0), {START - 600: 1}, channels=("before",)),
        ],
    )
    with find_bill(config, start=str(START), end=str(START + 172800)) as made:
        assert [line["channel"] for line in made.data["channels"]] == ["video"]
        series = made.series("video")
        assert {START + 300 * n: size for n, size in enumerate(series.sizes) if size} == cells
        assert [name for name, one in made.each_series() if one == series] == ["video"]
    assert len(series.sizes) == 576
    for number, day in enumerate(series.days):
        low = START + 86400 * number
        where = f"slot >= {low} AND slot < {low + 86400}"
        sums = mariadb.sql(
            "SELECT SUM(requests), SUM(bytes), SUM(hits), SUM(hit_bytes), SUM(cache_requests), SUM(cache_bytes) "
            f"FROM channel_traffic WHERE {where}",
            "edgetally",
        )
        assert list(day) == list(map(int, sums.split()))


def test_more_bytes_than_a_float_holds_are_exact(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """Floats are added up where they are exact, and nowhere else."""
    huge = (1 << 53) + 1
    commit(config.database, [batch("edge1/a", 1, (None, START + 900.0), {START: huge, START + 300: 2})])
    with find_bill(config, start=str(START), end=str(START + 900)) as made:
        line = made.data["channels"][0]
        assert (line["bytes"], line["peak_bytes"]) == (huge + 2, huge)


def test_a_channel_that_was_renamed_in_mid_month(config: AggregatorConfig, tmp_path: Path) -> None:
    """Both names are one line, slot by slot, and the bill says so; circles and nonsense are refused."""
    file = str(tmp_path / "aggregator.json")
    sizes = [0] * 10 + [70] * 10
    old = batch("edge1/a", 1, (None, START + 3300.0), {START + 300 * n: 30 for n in range(11)}, channels=("movies",))
    new = batch("edge1/a", 2, (START + 3300.0, START + 6000.0), {START + 300 * n: sizes[n] for n in range(10, 20)})
    commit(config.database, [old, new])
    refused = run("channel", "alias", "film", "video", "--config", file)
    assert (refused.returncode, "no channel is named 'film'" in refused.stderr) == (2, True)
    assert run("channel", "alias", "movies", "video", "--config", file).returncode == 0
    found = bill(config, START, START + 6000)
    (line,) = found["channels"]
    assert (line["channel"], line["aliases"], line["bytes"], line["peak_bytes"]) == ("video", ["movies"], 1030, 100)
    assert found["aliases"] == [{"old": "movies", "new": "video"}]
    text = run("report", "--config", file, "--from", str(START), "--to", str(START + 6000)).stdout
    assert "Channel movies is billed as video." in text
    for names, words in (
        (("video", "movies"), "video -> movies -> video would go in a circle"),
        (("movies", "other"), "movies is billed as video already"),
        (("video", "video"), "circle"),
        (("unassigned", "video"), "is what no rule matches"),
        (("video", " x"), "is no channel's name"),
        (("video", ""), "is no channel's name"),
    ):
        refused = run("channel", "alias", *names, "--config", file)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert words in refused.stderr
    assert run("channel", "alias", "video", "media", "--config", file).returncode == 0
    assert [one["channel"] for one in bill(config, START, START + 6000)["channels"]] == ["media"]
    listed = json.loads(run("channel", "list", "--config", file, "--output", "json").stdout)
    assert {one["channel"]: one["billed_as"] for one in listed} == {"movies": "media", "video": "media"}
    assert run("channel", "unalias", "video", "--config", file).returncode == 0
    assert run("channel", "unalias", "video", "--config", file).returncode == 2


def test_contracts_of_channels_groups_and_zones(config: AggregatorConfig, tmp_path: Path) -> None:
    """A group is summed per slot before the percentile: peaks at other times do not add up."""
    file = str(tmp_path / "aggregator.json")
    day = {START + 300 * n: 37_500_000 * (100 if n < 144 else 10) for n in range(288)}
    night = {START + 300 * n: 37_500_000 * (10 if n < 144 else 100) for n in range(288)}
    commit(
        config.database,
        [
            batch("edge1/a", 1, (None, START + 86400.0), day, channels=("sport",)),
            batch("edge1/b", 1, (None, START + 86400.0), night, channels=("sports-tv",)),
            batch("edge1/c", 1, (None, START + 86400.0), day, channels=("news",)),
            batch("edge1/d", 1, (None, START + 86400.0), day, channels=("other",)),
        ],
    )
    contracts = [
        {"name": "sports", "channels": ["sport*"], "group": True, "commit": 50},
        {"name": "news", "channels": "news", "percent": 50, "uplift": 1.5},
        {"name": "abroad", "channels": ["other"], "zone": "Asia/Tokyo"},
    ]
    (tmp_path / "contracts.json").write_text(json.dumps(contracts))
    times = ("--from", "2026-09-01", "--to", "2026-09-02", "--config", file, "--zone", "UTC")
    found = json.loads(run("report", *times, "--output", "json").stdout)
    sports, news = found["contracts"]
    assert (sports["channels"], sports["measured"], sports["overage"]) == (["sport", "sports-tv"], 110.0, 60.0)
    assert (news["measured"], news["billable"], news["commit"]) == (10.0, 15.0, None)
    assert found["not_billed"] == [{"contract": "abroad", "zone": "Asia/Tokyo"}]
    assert found["total"]["percentiles"][0]["mbps"] == 310.0
    table = run("report", *times).stdout
    lines = [" ".join(row.split()) for row in table.splitlines()]
    assert "sports the group sport, sports-tv 110.000 50.000 60.000 110.000 Mbit/s" in lines
    assert "news news 10.000 - - 15.000 Mbit/s" in lines
    assert table.count("the one at rank 274 decides") == 1, "the terms of each contract, once"
    assert "Contract abroad is of the zone Asia/Tokyo: --zone Asia/Tokyo bills it." in table
    some = json.loads(run("report", *times, "--output", "json", "--channel", "sport").stdout)
    assert [line["contract"] for line in some["contracts"]] == [], "a part of a group is not what is billed"
    assert some["cut_groups"] == ["sports"], "and the bill says so"
    assert "Contract sports bills a group, of which only a part" in run("report", *times, "--channel", "sport").stdout
    cut = run("report", *times, "--channel", "sport", "--output", "html").stdout
    assert "Contract sports bills a group, of which only a part is here" in cut
    check_group_page(times, tmp_path / "pages")
    own = run("report", *times, "--channel", "news", "--output", "html").stdout
    assert "Percentile 50 by nearest rank" in own
    more = json.loads(run("report", *times, "--output", "json", "--percentile", "99.9", "--percentile", "50").stdout)
    assert [one["percent"] for one in more["total"]["percentiles"]] == ["95", "99.9", "50"]
    rows = run("report", *times, "--output", "csv").stdout.splitlines()
    assert rows[0].startswith("\ufeffperiod,zone,channel,contract,requests,bytes,hits,")
    assert [row.split(",")[2] for row in rows[1:]] == ["news", "other", "sport", "sports-tv"], "and no group, no total"


def check_group_page(times: tuple[str, ...], out: Path) -> None:
    """Its curve is the sum that was billed, with the percentile and the commit."""
    assert run("report", *times, "--output", "html", "--out", str(out)).returncode == 1, (
        "first batches vouch for no time"
    )
    page = (out / f"{identify_group('sports')}.html").read_text()
    data = json.loads(re.findall(r'<script type="application/json" class="data">(.*?)</script>', page)[0])
    assert data["bytes"] == [37_500_000 * 110] * 288
    assert data["line"] == {"label": "p95", "mbps": 110.0}
    assert data["commit"] == {"label": "commit", "mbps": 50.0}
    assert "The sum of the group's channels, as it is billed: sport, sports-tv." in page
    assert f'<a href="{identify_group("sports")}.html">sports</a>' in (out / "index.html").read_text()


def test_a_contract_that_changes_in_mid_month(config: AggregatorConfig, tmp_path: Path) -> None:
    """The page of a group that one contract hands to another: each bills, and shows, its own days."""
    cells = {START + 300 * n: 1000 for n in range(8640)}
    end = START + 30 * 86400
    quiet = batch("edge1/a", 3, (float(end), end + 21600.0), {})
    first = batch("edge1/a", 1, (None, float(START)), {})
    commit(config.database, [first, batch("edge1/a", 2, (float(START), float(end)), cells), quiet])
    terms = {"channels": ["v*"], "group": True, "rule": "volume", "partial": "prorate"}
    old = {**terms, "name": "old", "valid_to": "2026-09-10", "commit": 3}
    new = {**terms, "name": "new", "valid_from": "2026-09-11"}
    (tmp_path / "contracts.json").write_text(json.dumps([old, new]))
    month = ("--month", "2026-09", "--config", str(tmp_path / "aggregator.json"))
    found = json.loads(run("report", *month, "--output", "json").stdout)
    assert [(line["contract"], line["share"], line["measured_bytes"]) for line in found["contracts"]] == [
        ("old", "1/3", 2_880_000),
        ("new", "2/3", 5_760_000),
    ]
    assert (found["contracts"][0]["billable"], found["unbilled"]["bytes"]) == (1.0, 0), "a third of the commit"
    assert run("report", *month, "--output", "html", "--out", str(tmp_path / "pages")).returncode == 0
    page = (tmp_path / "pages" / f"{identify_group('new')}.html").read_text()
    data = json.loads(re.findall(r'<script type="application/json" class="data">(.*?)</script>', page)[0])
    assert data["bytes"] == [0] * 2880 + [1000] * 5760
    assert run("period", "close", *month[1:]).returncode == 0
    (tmp_path / "contracts.json").write_text("[]")
    closed = json.loads(run("report", *month, "--output", "json").stdout)
    assert [line["terms"]["valid_to"] for line in closed["contracts"]] == ["2026-09-10", ""], "it keeps its contracts"


def test_a_commit_is_billed_of_channels_without_traffic(config: AggregatorConfig, tmp_path: Path) -> None:
    """One byte must not make the difference of a whole commit."""
    commit(config.database, [batch("edge1/a", 1, (None, START + 86400.0), {START: 300}, channels=("news",))])
    contracts = [
        {"name": "one", "channels": ["news", "quiet"], "commit": 5},
        {"name": "two", "channels": ["sport*", "tennis"], "group": True, "commit": 7},
        {"name": "three", "channels": ["dark*"], "commit": 9},
        {"name": "four", "channels": ["silent"]},
    ]
    (tmp_path / "contracts.json").write_text(json.dumps(contracts))
    times = ("--from", "2026-09-01", "--to", "2026-09-02", "--config", str(tmp_path / "aggregator.json"))
    found = json.loads(run("report", *times, "--output", "json").stdout)
    assert [(line["contract"], line["channels"], line["billable"]) for line in found["contracts"]] == [
        ("one", ["news"], 5.0),
        ("one", ["quiet"], 5.0),
        ("two", ["sport*", "tennis"], 7.0),
    ]
    assert [line["channel"] for line in found["channels"]] == ["news"]
    run("report", *times, "--output", "csv", "--out", str(tmp_path / "csv"))
    rows = list(csv.DictReader((tmp_path / "csv/lines.csv").read_text("utf-8-sig").splitlines()))
    assert [(row["kind"], row["name"], row["quantity"]) for row in rows] == [
        ("channel", "news", "5.0"),
        ("channel", "quiet", "5.0"),
        ("group", "two", "7.0"),
    ]
    some = json.loads(run("report", *times, "--output", "json", "--channel", "q*").stdout)
    assert [line["channels"] for line in some["contracts"]] == [["quiet"]]


def test_a_stream_whose_first_batches_are_lost_and_whose_next_is_of_the_month_after(
    config: AggregatorConfig, mariadb: servers.MariaDB
) -> None:
    """Its numbers tell how many there were before: the month is not complete."""
    start = START + 86400 + 3600
    commit(config.database, [batch("edge1/a", 1, (None, START + 90000.0), {START: 1})])
    commit(config.database, [batch("edge2/a", 81, (start - 300.0, float(start)), {start - 300: 1})])
    found = bill(config, START, START + 86400)
    assert [(gap["stream"], gap["first_seq"], gap["last_seq"]) for gap in found["completeness"]["gaps"]] == [
        ("edge2/a", 1, 80)
    ]
    agrees_with_the_view(mariadb, found, START, START + 86400)


def test_the_zone_of_the_contracts_is_the_bills(config: AggregatorConfig, tmp_path: Path) -> None:
    file = str(tmp_path / "aggregator.json")
    commit(config.database, [batch("edge1/a", 1, (None, START + 300.0), {START: 5})])
    terms = {"name": "a", "channels": ["video"], "zone": "Europe/Berlin"}
    (tmp_path / "contracts.json").write_text(json.dumps([terms]))
    found = json.loads(run("report", "--month", "2026-09", "--config", file, "--output", "json").stdout)
    assert found["period"]["from_local"] == "2026-09-01T00:00:00+02:00"
    more = {"name": "b", "channels": ["news"], "zone": "UTC"}
    (tmp_path / "contracts.json").write_text(json.dumps([terms, more]))
    done = run("report", "--month", "2026-09", "--config", file)
    assert (done.returncode, "say which with --zone" in done.stderr) == (2, True)


def test_a_month_in_hand(config: AggregatorConfig, tmp_path: Path) -> None:
    """This month so far: the projection, and what is left above the commit."""
    now = int(time.time()) // 300 * 300
    commit(config.database, [batch("edge1/a", 1, (None, now + 0.0), {now - 300 * n: 10**9 for n in range(1, 70)})])
    (tmp_path / "contracts.json").write_text('[{"name": "a", "channels": ["video"], "commit": 5}]')
    done = run("report", "--config", str(tmp_path / "aggregator.json"))
    assert "month comes to  is certain  slots above the commit  may be  left before it costs" in done.stdout
    page = run("report", "--config", str(tmp_path / "aggregator.json"), "--output", "html").stdout
    assert 'data-label="Month comes to"' in page


def test_a_spreadsheet_takes_no_name_for_a_formula(config: AggregatorConfig, tmp_path: Path) -> None:
    names = ("=1+1", "größe", "-x")
    commit(
        config.database,
        [batch(f"edge1/{n}", 1, (None, START + 300.0), {START: 5}, channels=(name,)) for n, name in enumerate(names)],
    )
    out = tmp_path / "bill.csv"
    times = ("--from", str(START), "--to", str(START + 300))
    file = str(tmp_path / "aggregator.json")
    assert run("report", "--config", file, *times, "--output", "csv", "--out", str(out)).returncode == 1
    written = out.read_bytes()
    assert written.startswith(b"\xef\xbb\xbfperiod,"), "Excel knows UTF-8 by its mark alone"
    assert [row.split(",")[2] for row in written.decode("utf-8-sig").splitlines()] == [
        "channel",
        "'-x",
        "'=1+1",
        "größe",
    ]


def test_a_channel_that_nobody_knows_has_no_bill(config: AggregatorConfig, tmp_path: Path) -> None:
    """A bill of nothing that calls itself complete would be believed."""
    commit(config.database, [batch("edge1/a", 1, (None, START + 300.0), {START: 5})])
    for name, hint in (("viedo", "did you mean 'video'?"), ("x*", "`edgetally channel list` shows all of them")):
        with pytest.raises(EdgetallyError, match=re.escape(f"--channel {name}: no channel fits that: {hint}")):
            bill(config, START, START + 300, channel=name)
    (tmp_path / "contracts.json").write_text('[{"name": "a", "channels": ["quiet"], "commit": 5}]')
    assert bill(config, START, START + 300, channel="quiet")["contracts"][0]["billable"] == 5.0


def test_before_the_first_installation_there_is_no_data(config: AggregatorConfig) -> None:
    commit(config.database, [batch("edge1/a", 1, (None, START + 300.0), {START: 5})])
    done = run("report", "--month", "2026-07", "--config", config.path)
    assert (done.returncode, "Completeness: no data: no stream was at work yet" in done.stdout) == (1, True)
    assert "no data</span>" in run("report", "--month", "2026-07", "--config", config.path, "--output", "html").stdout


def test_what_is_no_percentile(config: AggregatorConfig) -> None:
    for text in ("0", "101", "x", "1/2", "-5"):
        with pytest.raises(EdgetallyError, match="write a number above 0 and at most 100"):
            bill(config, START, START + 300, percentiles=[text])


def test_a_first_batch_that_says_broken_is_a_gap_of_its_own_moment_alone(config: AggregatorConfig) -> None:
    """It covers a moment; a period that begins later knows nothing of it."""
    first = batch("edge1/a", 1, (None, START + 300.0), {START: 1})._replace(continuity="broken")
    commit(config.database, [first, *(interval("edge1/a", number, [1] * 12) for number in range(2, 13))])
    assert bill(config, START + 600, START + 1200)["completeness"]["gaps"] == []
    (gap,) = bill(config, START, START + 600)["completeness"]["gaps"]
    assert (gap["from"], gap["to"], gap["reason"]) == (START + 300, START + 300, "broken")


def test_a_moment_touches_its_slot() -> None:
    assert list(slots(299.5, 600.0)) == [0, 300]
    assert list(slots(300.0, 601.0)) == [300, 600]
    assert list(slots(600.0, 600.0)) == [600]


def test_the_queries_of_the_page_on_grafana(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """Each is run as it stands there, and those that have a counterpart on the bill agree with it."""
    end = START + 30 * 86400
    cells = {START + 300 * n: 10**6 * (n * 7 % 977 + 1) for n in range(8640)}
    commit(
        config.database,
        [batch("edge1/a", 1, (None, float(START)), {}), batch("edge1/a", 2, (float(START), float(end)), cells)],
    )
    page = (ROOT / "docs/how-to/grafana.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in page.split("```sql\n")[1:]]
    found = []
    for query in (query for block in blocks for query in block.strip().split("\n\n")):
        statement = query.replace("$__unixEpochFrom()", str(START)).replace("$__unixEpochTo()", str(end - 1))
        found.append(mariadb.sql(statement, "edgetally").splitlines())
    series, ratio, top, percentile, edges, gaps, silent, closed = found
    with find_bill(config, start=str(START), end=str(end)) as made:
        (line,) = made.data["channels"]
        sizes = made.series("video").sizes
    assert [round(float(row.split("\t")[2]) * 37_500_000, -3) for row in series] == sizes
    assert len(ratio) == 720
    assert top == [f"video\t{line['bytes']}"]
    assert round(float(percentile[0]), 6) == pytest.approx(line["percentiles"][0]["mbps"], abs=1e-4)
    assert len(edges) == 8640
    assert (gaps, silent, closed) == ([], ["1"], []), "silent since the end of the month, which is no gap in it"
