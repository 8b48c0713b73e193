"""Whoever sees little, or has no mouse, can read the bill: axe-core finds nothing in any kind of page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetally.bill.page.channel_page import identify, identify_group
from edgetally.wire.batch import Batch
from edgetally.wire.counters import Counters
from tests.integration.conftest import aggregator_file, new_database, run
from tests.integration.test_bill import START, commit
from tests.support import servers
from tests.support.axe import contrasts, findings
from tests.support.browser import chromium

DAY, SLOT = 86400, 300
NAMES = ("live", "vod", "news", "rival", "stray")
GLOBEX = {"customer": "Globex", "reference": "PO-77", "currency": "EUR", "tax": "19"}
CONTRACTS: list[dict[str, Any]] = [
    {**GLOBEX, "name": "streaming", "channels": ["live", "vod"], "group": True, "commit": 0.02, "price": "1.25"},
    {**GLOBEX, "name": "news", "channels": ["news"], "rule": "volume", "per": "TB", "price": "10"},
    {"name": "rival", "channels": ["rival"], "commit": 1, "customer": "Umbrella", "currency": "USD", "price": "3"},
    {"name": "quiet", "channels": ["quiet*"], "customer": "Newcomer"},
]
LOST = ("edge2", 12)  # a day whose batch never comes
ODD = ("edge1", 20)  # a day of which the logs have half of what was sent
# What is only there for somebody who opens, sorts and chooses
USE = """
document.querySelectorAll("details").forEach((one) => { one.open = true; });
for (const one of ["th.number .sort", "tr:nth-child(3) button.day"]) document.querySelector(one)?.click();
"""
# What the curves write and draw with, on a canvas or in an SVG: text of any size, and a line
INKS = {"--faint": 4.5, "--mark": 4.5, "--commit": 4.5, "--peak": 4.5, "--curve": 3.0}


def day_of(edge: str, region: str, number: int) -> Batch:
    """A day of an edge, the 0th is the first of September; its first batch is that of the first of August."""
    low = START + number * DAY
    rows = tuple(
        (low + hour * 3600, channel, 2, 10**6 * (3 + (hour * 7 + channel) % 11), 1, 10**6)
        for hour in range(24)
        for channel in range(len(NAMES))
    )
    size = sum(row[3] for row in rows)
    sent = 2 * size if (edge, number) == ODD else size
    return Batch(
        stream=f"{edge}/access",
        generation=f"{1:016x}",
        seq=number + 32,
        covers=(None if number == -31 else float(low), float(low + DAY)),
        channels=NAMES,
        rows=rows,
        rejected=1,
        unassigned_hosts=(("cdn.example", 3, 5000),),
        counters=Counters(float(low), float(low + DAY), sent, size, "eth0"),
        region=region,
    )


def fleet() -> Iterator[Batch]:
    """Two edges, from August to the first of October; and a slot of the month that is in hand."""
    for edge, region in (("edge1", "eu"), ("edge2", "us")):
        for number in range(-31, 31):
            if (edge, number) != LOST:
                yield day_of(edge, region, number)
    now = int(time.time()) // SLOT * SLOT
    row = (now, 0, 9, 10**9, 1, 10**6)
    yield Batch("edge1/access", f"{2:016x}", 1, (None, now + 300.0), ("rival",), (row,), region="eu")


@pytest.fixture(scope="module")
def pages(mariadb: servers.MariaDB, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A page of each kind: of September, which is closed with a gap, and of this month so far."""
    database, home = new_database(mariadb), tmp_path_factory.mktemp("axe")
    commit(database, fleet())
    config = str(aggregator_file(home, database, "127.0.0.1:1"))
    (home / "contracts.json").write_text(json.dumps(CONTRACTS))
    accepted = ("--accept-gaps", "--accept-unbilled")
    assert run("period", "close", "2026-09", "--config", config, *accepted).returncode == 0

    def report(*options: str) -> None:
        done = run("report", "--config", config, "--output", "html", *options)
        assert (done.returncode, done.stderr) == (1, ""), "a day is lost"

    month = ("--month", "2026-09")
    report(*month, "--by", "region", "--link", "Last month=last/", "--out", str(home / "month"))
    report(*month, "--customers-to", str(home / "customers"))
    report("--by", "edge", "--channel", "rival", "--out", str(home / "one.html"))
    report("--customer", "Globex", "--out", str(home / "statement.html"))
    names = [f"month/{name}.html" for name in ("index", identify("live"), identify_group("streaming"))]
    names += ["customers/index.html", "customers/globex/index.html", "customers/newcomer/index.html"]
    return [home / name for name in (*names, "one.html", "statement.html")]


def test_the_pages_have_all_that_there_is(pages: list[Path]) -> None:
    """Else axe would find nothing where nothing is."""
    text = "".join(page.read_text() for page in pages)
    for part in ("By region", "By edge", "What the logs do not see", "Not billed", "Streams", "Amounts", "SHA-256",
                 "Month comes to", "preliminary", "Nothing: no channel", 'class="k-commit"', 'class="missing"',
                 "<details>", 'class="gaps"', "The sum of the group", "Compared with the month before"):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_axe_finds_nothing(pages: list[Path], width: int, dark: bool) -> None:
    found: dict[str, list[str]] = {}
    with chromium(width, 1000, dark=dark) as browser:
        for page in pages:
            browser.get(page.as_uri())
            browser.execute_script(USE)
            found["/".join(page.parts[-2:])] = findings(browser)
    assert found == {name: [] for name in found}


@pytest.mark.parametrize("dark", [False, True])
def test_curves_can_be_told_from_the_paper(pages: list[Path], dark: bool) -> None:
    """The least contrast that WCAG 2.2 wants of text (1.4.3) and of what is drawn (1.4.11), where axe cannot look."""
    with chromium(dark=dark) as browser:
        browser.get(pages[-1].as_uri())
        contrast = dict(zip(INKS, contrasts(browser, "--paper", list(INKS))))
    assert {name: value for name, value in contrast.items() if value < INKS[name]} == {}


def test_axe_finds_what_is_wrong(pages: list[Path]) -> None:
    """A page of ours with a fault of each kind: the page's, the style's, and text that something lies on."""
    (page,) = [one for one in pages if one.parent.name == "customers"]
    with chromium() as browser:
        browser.get(page.as_uri())
        browser.execute_script("""
            document.documentElement.removeAttribute("lang");
            document.querySelector("footer p").style.color = "#aaa";
            const over = document.querySelector("main").appendChild(document.createElement("div"));
            over.style = "position: absolute; top: 0; left: 0; width: 20em; height: 4em; background: teal";
        """)
        found = [line.split(": ")[:2] for line in findings(browser)]
        assert contrasts(browser, "--paper", ["--paper"]) == [1]
    assert sorted(found) == [["color-contrast", "h1"], ["color-contrast", "p"], ["html-has-lang", "html"]]
