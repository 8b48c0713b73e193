"""A customer's statement: what is to be paid, what shows that it is right, and nothing of anybody else."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from edgetally.bill.page.statement import customer_folder
from edgetally.config import AggregatorConfig, DatabaseConfig
from tests.integration.conftest import MASTER, aggregator_file, run
from tests.integration.test_bill import START, batch, commit
from tests.support import ROOT
from tests.support.browser import chromium, messages

DAY = 86400
MBPS = 37_500_000  # bytes of a slot at 1 Mbit/s
GLOBEX: dict[str, Any] = {"customer": "Globex <GmbH> & Co", "reference": "PO-77", "currency": "EUR", "tax": "19"}
CONTRACTS = [
    {**GLOBEX, "name": "streaming", "channels": ["live", "vod"], "group": True, "commit": 20, "price": "1.25"},
    {**GLOBEX, "name": "news", "channels": ["news"], "rule": "volume", "per": "TB", "price": "10"},
    {"name": "rival", "channels": ["rival"], "customer": "Umbrella", "currency": "USD", "price": 3},
]
# Mbit/s of the whole of August, and of September
RATES = {"live": (10, 20), "vod": (5, 10), "news": (2, 4), "rival": (7, 7)}


@pytest.fixture
def config(database: DatabaseConfig, tmp_path: Path) -> AggregatorConfig:
    """August and September of four channels, two of them a group; and their contracts."""
    begin, end = START - 31 * DAY, START + 31 * DAY
    for number, (name, rates) in enumerate(RATES.items(), 1):
        cells = {slot: rates[slot >= START] * MBPS for slot in range(begin, START + 30 * DAY, 300)}
        half = len(cells) // 2 * 300 + begin
        first = {slot: size for slot, size in cells.items() if slot < half}
        rest = {slot: size for slot, size in cells.items() if slot >= half}
        stream = f"edge{number}/secret"
        covers = [(None, float(begin)), (float(begin), float(half)), (float(half), float(end))]
        batches = [
            batch(stream, seq, cover, part, channels=(name,))
            for seq, (cover, part) in enumerate(zip(covers, ({}, first, rest)), 1)
        ]
        commit(database, batches)
    (tmp_path / "contracts.json").write_text(json.dumps(CONTRACTS))
    file = aggregator_file(tmp_path, database, "127.0.0.1:1")
    return AggregatorConfig(("127.0.0.1:1",), (MASTER,), database, path=str(file))


def statement(config: AggregatorConfig, *options: str, status: int = 0) -> str:
    done = run("report", "--config", config.path, "--month", "2026-09", *options)
    assert done.returncode == status, done.stderr
    return done.stdout or done.stderr


def text(page: str) -> str:
    """What a reader sees of a page, but for the style."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)).split())


def test_it_says_what_is_to_be_paid_and_why(config: AggregatorConfig) -> None:
    """30 Mbit/s at 1.25; 30 days of 4 Mbit/s are 1.296 TB at 10.00; 19 % of 50.46 are 9.59."""
    page = statement(config, "--customer", GLOBEX["customer"])
    said = text(page)
    for words in (
        "Globex &lt;GmbH&gt; &amp; Co Period September 2026 (2026-09-01 00:00 to 2026-10-01 00:00, UTC) "
        "Reference PO-77",
        "preliminary, as of",
        "streaming commit 20.000 Mbit/s 1.25 all 25.00 EUR overage 10.000 Mbit/s 1.25 all 12.50 EUR",
        "news: news usage 1.296 TB 10 all 12.96 EUR",
        "Net 50.46 EUR Tax, 19 % of 50.46 9.59 EUR Total 60.05 EUR",
        "streaming 30.000 20.000 +50.0% Mbit/s",
        "news: news 1,296.000 669.600 +93.5% GB",
        "Net amount 50.46 31.70 EUR",
        "The sum of live, vod. The record is complete: all 8,640 five-minute intervals.",
        "Percentile 95 by nearest rank: of 8,640 slots, sorted, the one at rank 8,208 decides; no interpolation.",
        "Tue 01 Sep 2026 324,000,000,000",
    ):
        assert words in said, words
    assert "p95 30.000" in page
    assert "commit 20.000" in page
    for foreign in ("edge1", "secret", "Umbrella", "rival", "USD", "<script", "127.0.0.1"):
        assert foreign not in page, foreign


def test_a_closed_month_s_statement_has_its_hash_and_stays(config: AggregatorConfig) -> None:
    done = run("period", "close", "2026-09", "--config", config.path)
    assert done.returncode == 0, done.stderr
    sha256 = done.stdout.split()[-1]
    before = statement(config, "--customer", "Umbrella")
    assert f"SHA-256 {sha256}" in text(before)
    assert "rival: rival usage 7.000 Mbit/s 3 all 21.00 USD Net 21.00 USD Total 21.00 USD" in text(before)
    Path(config.path).with_name("contracts.json").write_text("[]")
    assert text(statement(config, "--customer", "Umbrella")).split("Compared")[0] == text(before).split("Compared")[0]


def test_what_is_missing_is_said_in_plain_words(config: AggregatorConfig) -> None:
    """A stream that carries a channel ends: the customer reads of intervals, and of no stream."""
    days = [
        batch(
            "edge9/secret",
            n,
            (START + DAY * (n - 1.0), START + DAY * float(n)),
            {START + DAY * (n - 1): 5},
            channels=("rival",),
        )
        for n in (1, 3)
    ]
    commit(config.database, days)
    page = statement(config, "--customer", "Umbrella", status=1)
    assert (
        "intervals the record is not complete; what was received of them is billed, and what is missing is not."
        in text(page)
    )
    assert 'class="missing"' in page
    assert "edge9" not in page


def test_all_at_once_a_folder_for_each(config: AggregatorConfig, tmp_path: Path) -> None:
    out = tmp_path / "customers"
    for _ in range(2):
        assert statement(config, "--customers-to", str(out)) == ""
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert names == ["globex-gmbh-co/index.html", "index.html", "umbrella/index.html"]
    assert (out / "umbrella/index.html").read_text() == statement(config, "--customer", "Umbrella")
    assert "Umbrella 21.00 21.00 USD" in text((out / "index.html").read_text())
    for path in out.rglob("*.html"):
        assert ("Umbrella" in path.read_text()) is (path.parent.name != "globex-gmbh-co")


def test_it_is_printed_with_page_numbers(
    config: AggregatorConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a real Chromium; a host without one says how to get it."""
    out = tmp_path / "customers"
    statement(config, "--customers-to", str(out), "--output", "pdf")
    statement(config, "--customer", "Umbrella", "--output", "pdf", "--out", str(tmp_path / "one.pdf"))
    for path in (out / "globex-gmbh-co/statement.pdf", tmp_path / "one.pdf"):
        printed = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout
        sheets = printed.rstrip("\f").split("\f")
        for number, sheet in enumerate(sheets, 1):
            assert f"page {number} of {len(sheets)}" in sheet
            assert "September 2026" in sheet
    assert "21.00" in printed
    monkeypatch.setenv("PATH", str(tmp_path))
    said = statement(config, "--customer", "Umbrella", "--output", "pdf", status=2)
    assert said == (
        "edgetally: a PDF is printed by Chromium, which is not on this host: install it (`apt-get install chromium`), "
        "or take --output html, which every browser prints the same way\n"
    )


def test_finance_gets_tables_that_add_up(config: AggregatorConfig, tmp_path: Path) -> None:
    """Each with its own head line and one mark; items add up to the total, five minutes to days, days to channels."""
    out = tmp_path / "csv"
    assert run("period", "close", "2026-09", "--config", config.path).returncode == 0
    late = batch("edge9/secret", 1, (None, START + 600.0), {START: 10**12}, channels=("news",))
    commit(config.database, [late])
    for _ in range(2):
        statement(config, "--output", "csv", "--out", str(out))
    documented = (ROOT / "docs/reference/exports.md").read_text("utf-8")
    tables = {}
    for path in out.iterdir():
        text = path.read_bytes().decode("utf-8")
        assert text.startswith("\ufeffperiod,zone,")
        assert text.count("\ufeff") == 1
        assert "\r" not in text
        tables[path.name] = list(csv.DictReader(text[1:].splitlines()))
        (columns,) = re.findall(rf"^\| `{re.escape(path.name)}` \|.*\| (.*) \|$", documented, re.MULTILINE)
        named = [name for name in re.findall(r"`(\w+)`", columns) if name not in ("channel_", "group")]
        assert set(text[1:].splitlines()[0].split(",")) <= set(named)
    assert sorted(tables) == ["adjustments.csv", "channels.csv", "days.csv", "lines.csv", "series.csv"]
    assert {row["period"] + row["zone"] for table in tables.values() for row in table} == {"2026-09UTC"}
    lines = tables["lines.csv"]
    net = sum(Decimal(row["amount"]) for row in lines if row["customer"] == GLOBEX["customer"])
    assert net == Decimal("50.46")
    assert [(row["kind"], row["name"], row["item"], row["quantity"]) for row in lines][:2] == [
        ("group", "streaming", "commit", "20.000"),
        ("group", "streaming", "overage", "10.000"),
    ]
    for name in RATES:
        sums = [
            sum(int(row["bytes"]) for row in tables[table] if row["channel"] == name)
            for table in ("series.csv", "days.csv", "channels.csv")
        ]
        assert sums == [RATES[name][1] * MBPS * 8640] * 3
    assert tables["series.csv"][0]["from"] == "2026-09-01T00:00:00+00:00"
    (change,) = tables["adjustments.csv"]
    assert (change["contract"], change["change"], change["net_change"]) == ("news", "1000.0", "10.00")
    assert len({row["sha256"] for row in (*lines, change)}) == 1


def test_what_is_no_statement(config: AggregatorConfig) -> None:
    for options, words in (
        (
            ("--customer", "Umbrela"),
            "--customer Umbrela: no contract of this period is of that customer: did you mean 'Umbrella'?",
        ),
        (("--customer", "x", "--customers-to", "y"), "give one of them"),
        (("--customer", "x", "--output", "csv"), "a statement is --output html or pdf"),
        (("--output", "pdf"), "say whose with --customer, or --customers-to FOLDER"),
    ):
        said = statement(config, *options, status=2)
        assert words in said
        assert said.count("\n") == 1
    twins = [{**one, "customer": name} for one, name in zip(CONTRACTS[1:], ("A & B", "a-b"))]
    Path(config.path).with_name("contracts.json").write_text(json.dumps(twins))
    assert "would have the same folder, a-b" in statement(config, "--customers-to", "/tmp/none", status=2)


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_a_browser_shows_it_as_well(config: AggregatorConfig, tmp_path: Path, width: int, dark: bool) -> None:
    """On a phone without scrolling sideways, in the dark; nothing complains."""
    page = tmp_path / "statement.html"
    page.write_text(statement(config, "--customer", GLOBEX["customer"]))
    with chromium(width, 800, dark=dark) as browser:
        browser.get(page.as_uri())
        assert browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
        assert messages(browser) == []
        background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(18, 22, 28)") is dark


def test_a_customer_without_traffic_has_a_statement_too(config: AggregatorConfig) -> None:
    """Its page is there before its channel is; one whose contract is of another time is no customer of the month."""
    quiet = {"name": "quiet", "channels": ["quiet*"], "customer": "Newcomer"}
    later = {"name": "later", "channels": ["later"], "customer": "Later", "valid_from": "2026-10-01"}
    Path(config.path).with_name("contracts.json").write_text(json.dumps([quiet, later]))
    assert "Nothing: no channel of the contracts had traffic." in statement(config, "--customer", "Newcomer")
    assert "--customer Later: no contract of this period" in statement(config, "--customer", "Later", status=2)


def test_names_of_folders() -> None:
    assert [customer_folder(name) for name in ("Globex GmbH", "../etc", "a--b")] == ["globex-gmbh", "etc", "a-b"]
    assert re.fullmatch("[0-9a-f]{16}", customer_folder("映画"))
    assert shutil.which("chromium"), "the tests print"
