"""`edgetally period`: a closed month never changes, and what comes later is listed to the byte."""

from __future__ import annotations

import hashlib
import json
import threading
import zlib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pymysql
import pytest

import edgetally
from edgetally.bill import bill
from edgetally.bill.adjustments import adjustments, total
from edgetally.bill.closed import find_closed
from edgetally.bill.find import find_bill
from edgetally.bill.page import publish
from edgetally.bill.period import month_bounds
from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.database import connect
from edgetally.ledger.incoming import Incoming
from edgetally.ledger.ledger import Ledger
from edgetally.wire import submit as job_servers
from edgetally.wire.batch import FUNCTION, Batch
from edgetally.wire.envelope import derive_key, seal
from tests.integration.conftest import MASTER, aggregator, aggregator_file, run, wait_for
from tests.integration.test_bill import START, batch, commit
from tests.integration.test_bill import config as config
from tests.support import servers

DAY = 86400
MONTH = 30 * DAY


def day_batch(stream: str, seq: int, size: int = 1000, **more: Any) -> Batch:
    """A day of a stream: seq 1 ends with September 1st, and each has traffic in its first slot."""
    low, high = START + DAY * (seq - 1), START + DAY * seq
    return batch(stream, seq, (None if seq == 1 else float(low), float(high)), {low: size}, **more)


def september(stream: str = "edge1/a", *, without: tuple[int, ...] = (), days: int = 31) -> list[Batch]:
    """All of September, and a day more."""
    return [day_batch(stream, seq) for seq in range(1, days + 1) if seq not in without]


def close(config: AggregatorConfig, *options: str) -> Any:
    return run("period", "close", "2026-09", "--config", config.path, *options)


def report(config: AggregatorConfig, output: str, *options: str) -> str:
    return run("report", "--month", "2026-09", "--config", config.path, "--output", output, *options).stdout


def frozen(config: AggregatorConfig) -> bytes:
    closed = find_closed(config, "2026-09", None)
    assert closed is not None
    with closed:
        return closed.text


def test_a_closed_month_never_changes(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """Not with batches that come later, not with corrections, aliases, contracts or retired streams."""
    file = config.path
    commit(config.database, september())
    done = close(config)
    assert (done.returncode, done.stderr) == (0, "")
    before = {output: report(config, output) for output in ("json", "csv", "table", "html")}
    sha256 = hashlib.sha256(before["json"].encode()).hexdigest()
    assert sha256 in done.stdout
    assert 'data-value="30000"' in before["html"]
    pages = Path(file).with_name("pages")
    report(config, "html", "--out", str(pages))
    assert hashlib.sha256((pages / "bill.json").read_bytes()).hexdigest() == sha256
    assert mariadb.sql(
        "SELECT name, SHA2(UNCOMPRESS(snapshot), 256), LOWER(HEX(sha256)) FROM period", "edgetally"
    ).split("\t") == ["2026-09 UTC", sha256, sha256 + "\n"]
    late = [day_batch("edge2/a", seq, 7, channels=("news",)) for seq in (1, 2, 31)]
    commit(config.database, late)
    commit(config.database, [day_batch("edge1/a", 3, 1500, revision=1)])
    run("channel", "alias", "news", "video", "--config", file)
    run("stream", "retire", "edge1/a", "--config", file)
    Path(file).with_name("contracts.json").write_text('[{"name": "a", "channels": ["*"], "commit": 5}]')
    for output, text in before.items():
        assert report(config, output) == text
    said = run("report", "--month", "2026-09", "--config", file).stderr
    assert "3 batches for 2026-09 were committed after it was closed, not in it" in said
    done = run("period", "show", "2026-09", "--config", file)
    assert done.returncode == 1
    assert "3 batches were committed for it later" in done.stdout
    found = json.loads(run("period", "show", "2026-09", "--config", file, "--output", "json").stdout)
    assert [(one["stream"], one["seq"], one["revision"], one["difference"]) for one in found["adjustments"]] == [
        ("edge2/a", 1, 0, [{"channel": "news", "requests": 1, "bytes": 7}]),
        ("edge2/a", 2, 0, [{"channel": "news", "requests": 1, "bytes": 7}]),
        ("edge1/a", 3, 1, [{"channel": "video", "requests": 0, "bytes": 500}]),
    ]
    assert found["difference"] == [
        {"channel": "news", "requests": 2, "bytes": 14},
        {"channel": "video", "requests": 0, "bytes": 500},
    ]
    again = close(config)
    assert (again.returncode, "is closed already, and stays as it is" in again.stderr) == (2, True)
    assert report(config, "json", "--zone", "Europe/Berlin") != before["json"], "open in another zone"
    assert sha256 in run("period", "list", "--config", file).stdout


def test_the_series_of_a_closed_month_come_from_its_snapshot(
    config: AggregatorConfig, mariadb: servers.MariaDB
) -> None:
    commit(config.database, september())
    with find_bill(config, month="2026-09") as made:
        before = dict(made.each_series())
    assert close(config).returncode == 0
    for name in ("traffic", "channel_traffic", "channel", "batch_body"):
        mariadb.sql(f"DELETE FROM {name}", "edgetally")
    with find_bill(config, month="2026-09") as made:
        assert made.data["state"] == "closed"
        assert dict(made.each_series()) == before == {"video": made.series("video")}
        (line,) = made.data["channels"]
    assert (
        mariadb.sql("SELECT SHA2(UNCOMPRESS(series), 256) FROM period_series", "edgetally").strip()
        == line["series_sha256"]
    )
    more = json.loads(report(config, "json", "--percentile", "99.9", "--channel", "v*"))
    assert [one["percent"] for one in more["channels"][0]["percentiles"]] == ["95", "99.9"]
    assert more["total"]["bytes"] == 30_000
    refused = run("report", "--month", "2026-09", "--config", config.path, "--channel", "viedo")
    said = "edgetally: --channel viedo: no channel fits that: did you mean 'video'?\n"
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", said)


def test_one_file_that_would_be_too_large_is_not_made(
    config: AggregatorConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(config.database, september())
    out = tmp_path / "bill.html"
    for largest in (5_000, 100_000):  # seen before the page is made, and after it
        monkeypatch.setattr(publish, "LARGEST", largest)
        with find_bill(config, month="2026-09") as made, pytest.raises(EdgetallyError, match="name a folder"):
            publish.write(made, str(out))
    assert not out.exists()


def test_the_same_bytes_after_an_upgrade(config: AggregatorConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer program, of a newer format, reads the old one; an older one refuses what it does not know."""
    commit(config.database, september())
    assert close(config).returncode == 0
    before = frozen(config)
    assert json.loads(before)["program"] == edgetally.__version__
    monkeypatch.setattr(bill, "__version__", "7.0.0")
    monkeypatch.setattr(bill, "FORMAT", 3)
    monkeypatch.setattr("edgetally.bill.closed.FORMAT", 3)
    assert frozen(config) == before
    monkeypatch.setattr("edgetally.bill.closed.FORMAT", 0)
    with pytest.raises(EdgetallyError, match="is of format 2, and this program reads up to 0: upgrade"):
        find_closed(config, "2026-09", None)


def test_a_month_with_gaps_closes_only_if_they_are_accepted(config: AggregatorConfig) -> None:
    commit(config.database, september(without=(7, 20)))
    refused = close(config)
    assert refused.returncode == 2
    assert "2026-09 has gaps (edge1/a 2026-09-07 00:00 to 2026-09-08 00:00" in refused.stderr
    assert "--accept-gaps" in refused.stderr
    assert run("period", "list", "--config", config.path).stdout == "no month is closed\n"
    done = close(config, "--accept-gaps")
    assert (done.returncode, "with gaps that were accepted" in done.stdout) == (0, True)
    assert "The month was closed with these gaps." in report(config, "table")
    assert json.loads(report(config, "json"))["completeness"]["accepted"] is True
    commit(config.database, [day_batch("edge1/a", 7)])
    found = json.loads(run("period", "show", "2026-09", "--config", config.path, "--output", "json").stdout)
    assert found["difference"] == [{"channel": "video", "requests": 1, "bytes": 1000}]


def test_a_gap_after_the_month_may_lack_bytes_of_it(config: AggregatorConfig) -> None:
    """A transfer of five hours that ends at four in the morning brings bytes back; its batch is lost."""
    end = START + MONTH
    after = [batch("edge1/a", seq, (end + 7200.0 * (seq - 31), end + 7200.0 * (seq - 30)), {}) for seq in (31, 33, 34)]
    commit(config.database, [*september(days=30), *after])
    refused = close(config)
    assert refused.returncode == 2
    assert "2026-09 has gaps (edge1/a 2026-10-01 02:00 to 2026-10-01 04:00)" in refused.stderr
    assert close(config, "--accept-gaps").returncode == 0
    found = json.loads(report(config, "json"))["completeness"]
    assert (found["complete"], found["accepted"], found["missing"], len(found["after"])) == (False, True, 0, 1)
    assert "  edge1/a: 2026-10-01 02:00 to 2026-10-01 04:00 (missing, batch 32)\n" in report(config, "table")
    assert "2026-10-01 04:00" in report(config, "html")


def test_a_month_with_what_is_not_billed_closes_only_if_that_is_accepted(config: AggregatorConfig) -> None:
    """A misspelt contract, and what no channel rule assigned: neither is free of charge without a word."""
    hosts = (("www.example.com", 1, 1000),)
    stray = [day_batch("edge2/a", n, channels=("unassigned",), unassigned_hosts=hosts) for n in range(1, 32)]
    commit(config.database, [*september(), *stray])
    file = Path(config.path).with_name("contracts.json")
    file.write_text('[{"name": "globex", "channels": ["vidoe*"], "commit": 5}]')
    said = run("report", "--check-contracts", str(file), "--config", config.path)
    idle = "Contract globex bills nothing by 'vidoe*', which fits no channel of its own: did you mean video?\n"
    assert (said.returncode, said.stdout) == (0, idle)
    refused = close(config)
    assert refused.returncode == 2
    for words in (
        "60,000 bytes, 100.0% of the total",
        "Channel video has 30,000 bytes without a contract",
        "--accept-unb",
    ):
        assert words in refused.stderr
    done = close(config, "--accept-unbilled")
    assert (done.returncode, "with 60,000 bytes that are not billed" in done.stdout) == (0, True)
    table = report(config, "table")
    for words in (
        "of it not billed  60,000",
        f"  {idle}",
        "host www.example.com, which no channel rule assigns: 29,000 bytes.",
        "The month was closed with that.",
    ):
        assert words in table
    assert "Channel video has 30,000 bytes without a contract" in report(config, "html")
    some = json.loads(report(config, "json", "--channel", "video"))["unbilled"]
    assert (some["bytes"], some["hosts"]) == (30_000, [])
    file.write_text('[{"name": "all", "channels": ["*"]}]')
    assert run("report", "--check-contracts", str(file), "--config", config.path).stdout == ""


def test_a_month_closes_when_all_of_it_has_come(config: AggregatorConfig) -> None:
    """Transfers that last six hours bring bytes into the month until six hours after it."""
    nothing = close(config)
    assert (nothing.returncode, "no stream has delivered anything" in nothing.stderr) == (2, True)
    end = START + MONTH
    last = batch("edge1/a", 31, (float(end), end + 21599.0), {})
    commit(config.database, [*september(days=30), last, *september("edge2/a", days=20)])
    early = close(config, "--accept-gaps")
    assert early.returncode == 2
    assert "edge1/a, edge2/a delivered nothing later than 2026-10-01 06:00: wait for the edge" in early.stderr
    commit(config.database, [batch("edge1/a", 32, (end + 21599.0, end + 21600.0), {end - 300: 3})])
    assert "cannot be closed: edge2/a delivered" in close(config).stderr
    assert run("stream", "retire", "edge2/a", "--config", config.path).returncode == 0
    assert close(config).returncode == 0
    assert json.loads(report(config, "json"))["total"]["bytes"] == 50_003
    future = run("period", "close", "2999-01", "--config", config.path)
    assert (future.returncode, "cannot be closed before" in future.stderr) == (2, True)
    wrong = run("period", "close", "2026-9", "--config", config.path)
    assert (wrong.returncode, "is not a month" in wrong.stderr) == (2, True)
    assert run("period", "show", "2026-08", "--config", config.path).returncode == 2


def test_nobody_changes_a_closed_month(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    """The service's own account cannot; who can all the same is found out."""
    commit(config.database, september())
    assert close(config).returncode == 0
    with connect(config.database) as connection, connection.cursor() as cursor:
        for statement in (
            "UPDATE period SET snapshot = ''",
            "DELETE FROM period",
            "UPDATE period_series SET series = ''",
            "DELETE FROM period_series",
        ):
            with pytest.raises(pymysql.MySQLError, match="a closed period"):
                cursor.execute(statement)
    mariadb.sql("DROP TRIGGER period_series_is_closed", "edgetally")
    packed = zlib.compress(b'{"bytes":[1],"days":[]}')
    mariadb.sql(f"UPDATE period_series SET series = 0x00000000{packed.hex()}", "edgetally")
    with (
        find_bill(config, month="2026-09") as made,
        pytest.raises(EdgetallyError, match="the series of channel 'video'"),
    ):
        made.series("video")
    mariadb.sql("DROP TRIGGER period_is_closed", "edgetally")
    mariadb.sql("UPDATE period SET snapshot = CONCAT(SUBSTR(snapshot, 1, 9), 'x', SUBSTR(snapshot, 11))", "edgetally")
    done = run("report", "--month", "2026-09", "--config", config.path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the closed month 2026-09 UTC is not what was closed" in done.stderr


def test_what_a_broken_closing_left_behind_is_cleared(config: AggregatorConfig, mariadb: servers.MariaDB) -> None:
    commit(config.database, september())
    mariadb.sql("INSERT INTO period_series VALUES (1, 'video', REPEAT('x', 32), 'x')", "edgetally")
    assert close(config).returncode == 0
    assert mariadb.sql("SELECT COUNT(*) FROM period_series", "edgetally") == "1\n"


def test_corrections_in_every_order(config: AggregatorConfig) -> None:
    """A number whose revisions came before and after the closing, also out of order: the last one counts, once."""
    commit(config.database, september())
    assert close(config).returncode == 0
    edges = [day_batch("edge1/a", 4, 4000, revision=2, channels=("news",))]
    commit(config.database, edges)
    older = day_batch("edge1/a", 4, 9, revision=1)
    (body,) = older.encode()
    ledger = Ledger(config.database, "edgetally test")
    with ledger.fenced_transaction() as transaction:
        incoming = Incoming(sealed(older), older.stream, body, older)
        assert transaction.record([incoming]) == ["superseded"]
    ledger.disconnect()
    commit(config.database, [day_batch("edge1/a", 4, 5000, revision=3)])
    compare(config, "2026-09", None)


def test_a_first_batch_that_comes_later_is_an_adjustment(config: AggregatorConfig) -> None:
    """It says only when it ends; an edge that counts what was there before may bring a whole month with it."""
    commit(config.database, september())
    assert close(config).returncode == 0
    late = batch("edge9/a", 1, (None, START + 40.0 * DAY), {START + DAY: 7, START + 35 * DAY: 9}, channels=("news",))
    commit(config.database, [late])
    assert compare(config, "2026-09", None) == 1


def compare(config: AggregatorConfig, month: str, zone: str | None) -> int:
    """What was closed, and all adjustments, come to what the counters have; how many adjustments there are."""
    closed = find_closed(config, month, zone)
    assert closed is not None
    with closed:
        found = adjustments(closed.connection, closed)
        sums = {line["channel"]: (line["requests"], line["bytes"]) for line in closed.data["channels"]}
        for name, (requests, size) in total(found).items():
            known = sums.get(name, (0, 0))
            sums[name] = (known[0] + requests, known[1] + size)
        with closed.connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.name, SUM(requests), SUM(bytes) FROM channel_traffic JOIN channel c ON c.id = channel_id "
                "WHERE slot >= %s AND slot < %s GROUP BY c.name",
                (closed.row.start, closed.row.end),
            )
            counted = {name.decode(): (int(requests), int(size)) for name, requests, size in cursor.fetchall()}
            cursor.execute("SELECT COUNT(*) FROM batch WHERE commit_no > %s", (closed.row.commit_no,))
            (later,) = cursor.fetchone() or (0,)
        nothing = (0, 0)
        assert {name: sum_ for name, sum_ in sums.items() if sum_ != nothing} == {
            name: sum_ for name, sum_ in counted.items() if sum_ != nothing
        }
        assert len(found) <= later
    return len(found)


def test_closing_while_the_aggregator_commits(
    config: AggregatorConfig, gearmand: servers.Server, tmp_path: Path
) -> None:
    """A batch is in the snapshot, or an adjustment: never both, never neither. One month, closed in five zones."""
    file = aggregator_file(tmp_path, config.database, gearmand.address, jobs_per_transaction=2)
    zones = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata")
    ends = START + MONTH + 2 * DAY
    every = [batch("edge1/a", 1, (None, float(START)), {})]
    spans = [START + (ends - START) * n // 400 for n in range(401)]
    for number, (low, high) in enumerate(zip(spans, spans[1:]), 2):
        cells = {low // 300 * 300: 1000 + number}
        every.append(batch("edge1/a", number, (float(low), float(high)), cells, channels=(f"c{number % 3}",)))
    commit(config.database, [every[0], every[-1]])

    def load() -> None:
        for one in every[1:-1]:
            submit(gearmand, one)

    thread = threading.Thread(target=load)
    with aggregator(file) as process:
        thread.start()
        for zone in zones:
            done = run("period", "close", "2026-09", "--zone", zone, "--accept-gaps", "--config", str(file))
            assert (done.returncode, done.stderr) == (0, "")
        thread.join()
        with connect(config.database, autocommit=True) as connection, connection.cursor() as cursor:

            def committed() -> bool:
                cursor.execute("SELECT COUNT(*) FROM batch")
                return bool(cursor.fetchone() == (len(every),))

            wait_for("all batches", committed)
        assert process.poll() is None
    counts = [compare(config, "2026-09", zone) for zone in zones]
    assert max(counts) > 0, "nothing was committed after the first closing: there was no race"
    assert run("audit", "--config", str(file)).returncode == 0


def sealed(one: Batch) -> bytes:
    (body,) = one.encode()
    return seal(one.stream, derive_key(MASTER, "edge1"), body)


def submit(gearmand: servers.Server, one: Batch) -> None:
    job_servers.submit([gearmand.address], FUNCTION, [job_servers.Job(f"{one.stream}{one.seq}", sealed(one))])


def test_a_credit_note_has_what_changes(config: AggregatorConfig) -> None:
    """Percentile, overage and amount as closed, as they would be, and the difference; by the closing's contracts."""
    day = 288 * 37_500_000
    flat = dict.fromkeys(range(START, START + 31 * DAY, 300), 10 * 37_500_000)
    first = batch("edge1/a", 1, (None, float(START)), {})
    commit(config.database, [first, batch("edge1/a", 2, (float(START), START + 31.0 * DAY), flat)])
    contracts = Path(config.path).with_name("contracts.json")
    money = {"currency": "EUR", "commit": 8, "commit_price": 1, "overage_price": 2}
    peak = {"name": "peak", "channels": ["video"], **money}
    contracts.write_text(json.dumps([peak, {"name": "gb", "channels": ["news*"], "group": True, "rule": "volume"}]))
    assert close(config, "--accept-unbilled").returncode == 0
    contracts.write_text("[]")
    more = {START + 300 * n: 5 * 37_500_000 for n in range(1000)}
    commit(config.database, [batch("edge2/a", 1, (None, START + 4.0 * DAY), more)])
    commit(config.database, [batch("edge3/a", 1, (None, START + 4.0 * DAY), {START: day}, channels=("news",))])
    done = run("period", "show", "2026-09", "--config", config.path)
    rows = [" ".join(row.split()) for row in done.stdout.splitlines()]
    assert "peak video 15.000 15.000 +5.000 Mbit/s +5.000 +10.00 EUR" in rows
    assert "gb news 10.800 10.800 +10.800 GB - - -" in rows
    found = json.loads(run("period", "show", "2026-09", "--config", config.path, "--output", "json").stdout)["lines"]
    assert [(one["contract"], one["change"]) for one in found] == [
        ("peak", {"measured": 5.0, "billable": 5.0, "overage": 5.0, "net": "10.00"}),
        ("gb", {"measured": 10.8, "billable": 10.8, "overage": None, "net": None}),
    ]
    assert found[0]["closed"] == {"measured": 10.0, "billable": 10.0, "overage": 2.0, "net": "12.00"}


def test_months_are_closed_in_their_zone(config: AggregatorConfig) -> None:
    """Berlin's September begins two hours before UTC's; which one is meant must be said once both are closed."""
    start, end = month_bounds("2026-09", ZoneInfo("Europe/Berlin"))
    cells = {start: 1, START: 2, end: 4, START + MONTH - 300: 8}
    commit(
        config.database,
        [
            batch("edge1/a", 1, (None, float(start)), {}),
            batch("edge1/a", 2, (float(start), end + 40000.0), cells),
        ],
    )
    contracts = '[{"name": "a", "channels": ["*"], "zone": "Europe/Berlin"}]'
    Path(config.path).with_name("contracts.json").write_text(contracts)
    assert "closed 2026-09 (Europe/Berlin) at commit" in close(config).stdout
    Path(config.path).with_name("contracts.json").unlink()
    assert json.loads(report(config, "json"))["total"]["bytes"] == 3
    assert "closed 2026-09 (UTC) at commit" in close(config).stdout
    refused = run("report", "--month", "2026-09", "--config", config.path)
    assert (refused.returncode, "closed in the zones" in refused.stderr) == (2, True)
    assert json.loads(report(config, "json", "--zone", "UTC"))["total"]["bytes"] == 14
