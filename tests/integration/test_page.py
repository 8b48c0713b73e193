"""The HTML report in a real browser: its figures are the database's, it works on a phone, and on paper."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from edgetally.bill.page.channel_page import identify
from tests.integration.conftest import aggregator_file, new_database, run, wait_for
from tests.support import servers
from tests.support.browser import chromium, messages, paper

ZONE = ZoneInfo("Europe/Berlin")
START, END = (int(datetime(2025, month, 1, tzinfo=ZONE).timestamp()) for month in (10, 11))  # 31 days and one hour
SLOTS = range(START, END, 300)
GAP = (START + 12 * 86400, START + 12 * 86400 + 6 * 3600)
ODD = 'video/live "4K" <b>&\' </script><script>document.title="x"</script> ✓'
UNKNOWN = "../../no hits"
MONTH = ("--month", "2025-10", "--zone", "Europe/Berlin")


@dataclasses.dataclass
class Pages:
    """The pages of a month, its JSON, and what the database has: channel -> rows (slot, requests, bytes, hits, …)."""

    folder: Path
    config: Path
    bill: dict[str, Any]
    rows: dict[str, list[list[int]]]

    def url(self, channel: str = "") -> str:
        return (self.folder / (f"{identify(channel)}.html" if channel else "index.html")).as_uri()


def traffic(channel: str, number: int, slot: int) -> list[int]:
    """What a channel had in the slot of a number: requests, bytes, hits, hit bytes, cache requests, cache bytes."""
    if channel == UNKNOWN:
        return [1, 1000 + number % 7, 0, 0, 0, 0]
    size = (number * 7919 % 100_003) * (3000 if channel == ODD else 500) + slot % 86400
    return [size // 1000, size, size // 1500, size // 2, size // 1000, size]


def fill(mariadb: servers.MariaDB) -> dict[str, list[list[int]]]:
    """A month of three channels, and two edges of which one was silent for six hours."""
    rows: dict[str, list[list[int]]] = {}
    for number, channel in enumerate(("news", ODD, UNKNOWN), 1):
        mariadb.sql(f"INSERT INTO channel (id, name) VALUES ({number}, X'{channel.encode().hex()}')", "edgetally")
        step = 50 if channel == UNKNOWN else 1
        rows[channel] = [
            [slot, *traffic(channel, place, slot)] for place, slot in enumerate(SLOTS) if place % step == 0
        ]
        values = ",".join(f"({number},{','.join(map(str, row))})" for row in rows[channel])
        columns = "(channel_id, slot, requests, bytes, hits, hit_bytes, cache_requests, cache_bytes)"
        mariadb.sql(f"INSERT INTO channel_traffic {columns} VALUES {values}", "edgetally")
        mariadb.sql(f"INSERT INTO traffic SELECT channel_id, slot, 1, {columns[19:-1]} FROM channel_traffic "
                    f"WHERE channel_id = {number}", "edgetally")  # fmt: skip
        mariadb.sql(f"INSERT INTO traffic VALUES ({number}, {START}, 2, 0, {number}, 0, 0, 0, 0)", "edgetally")
    batches = [(1, 1, START, END), (2, 1, START, GAP[0]), (2, 3, GAP[1], END)]
    for stream, seq, low, high in batches:
        mariadb.sql(
            f"INSERT IGNORE INTO stream (id, name) VALUES ({stream}, 'edge{stream}/access');"
            f"INSERT INTO batch VALUES ({stream}, 'gener{stream}', {seq}, 0, 0, 1, '', {low}, {high}, 'ok', 'ok', "
            f"0, 0, 0, 0, 'committed', {seq}, '2025-10-01')",
            "edgetally",
        )
    return rows


@pytest.fixture(scope="module")
def pages(mariadb: servers.MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    database = new_database(mariadb)
    rows = fill(mariadb)
    home = tmp_path_factory.mktemp("page")
    config = aggregator_file(home, database, "127.0.0.1:1")
    contracts = [{"name": "news-2025", "channels": ["news"], "commit": 0.5}]
    (home / "contracts.json").write_text(json.dumps(contracts))
    done = run("report", "--config", str(config), *MONTH, "--output", "html", "--out", str(home / "october"))
    assert (done.returncode, done.stderr) == (1, ""), "the month has a gap"
    bill = run("report", "--config", str(config), *MONTH, "--output", "json").stdout
    return Pages(home / "october", config, json.loads(bill), rows)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


def values(row: WebElement) -> list[str]:
    """The numbers of a table's row, as the page holds them for sorting."""
    return [str(cell.get_attribute("data-value")) for cell in row.find_elements(By.CSS_SELECTOR, "td.number")]


def expected(rows: list[list[int]]) -> list[float | str]:
    """A line of the overview, added up from the rows of the database."""
    _slots, requests, sizes, hits, hit_bytes, cache_requests, cache_bytes = (list(column) for column in zip(*rows))
    ordered = sorted([*sizes, *[0] * (len(SLOTS) - len(sizes))])
    p95 = ordered[-(-len(SLOTS) * 95 // 100) - 1]
    ratios = [
        round(sum(part) / sum(whole), 6) if sum(whole) else ""
        for part, whole in ((hits, cache_requests), (hit_bytes, cache_bytes))
    ]
    return [sum(sizes), sum(requests), *ratios, *(round(size * 8 / 300 / 1e6, 6) for size in (max(sizes), p95))]


def numbers(texts: list[str]) -> list[float | str]:
    return [float(text) if text else "" for text in texts]


def test_the_overview_has_the_figures_of_the_database(pages: Pages, browser: Chrome) -> None:
    browser.get(pages.url())
    rows = browser.find_elements(By.CSS_SELECTOR, "table.channels tbody tr")
    found = {str(row.find_element(By.CSS_SELECTOR, "td.name").get_attribute("data-value")): values(row) for row in rows}
    assert {name: numbers(texts)[:6] for name, texts in found.items()} == {
        name: expected(rows) for name, rows in pages.rows.items()
    }
    total: dict[int, list[int]] = {}
    for lines in pages.rows.values():
        for slot, *counts in lines:
            total[slot] = [a + b for a, b in zip(total.get(slot, [0] * 6), counts)]
    foot = browser.find_element(By.CSS_SELECTOR, "table.channels tfoot tr")
    assert numbers(values(foot))[:6] == expected([[slot, *counts] for slot, counts in total.items()])
    inside = json.loads((pages.folder / "bill.json").read_bytes())
    assert browser.find_element(By.LINK_TEXT, "bill.json").get_dom_attribute("href") == "bill.json"
    made = {"made": 0, "made_local": ""}
    assert {**inside, **made} == {**pages.bill, **made}


def test_nothing_is_loaded_and_nothing_complains(pages: Pages, browser: Chrome) -> None:
    for url in (pages.url(), *(pages.url(channel) for channel in pages.rows)):
        browser.get(url)
        assert browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)") == []
        assert messages(browser) == []
        assert browser.title != "x", "a channel's name ran as a script"


def test_small_curves_are_drawn(pages: Pages, browser: Chrome) -> None:
    browser.get(pages.url())
    drawn = "return document.querySelectorAll('td.spark > div[data-drawn] canvas').length"
    wait_for("three small curves", lambda: browser.execute_script(drawn) == 3)


def test_columns_are_sorted(pages: Pages, browser: Chrome) -> None:
    browser.get(pages.url())

    def names() -> list[str]:
        cells = browser.find_elements(By.CSS_SELECTOR, "table.channels tbody td.name")
        return [str(cell.get_attribute("data-value")) for cell in cells]

    assert names() == sorted(pages.rows), "by name at first"
    by_size = sorted(pages.rows, key=lambda name: sum(row[2] for row in pages.rows[name]))
    button = browser.find_element(By.XPATH, "//table[@class='channels']//th/span[.='Bytes']")
    button.click()
    assert names() == by_size[::-1]
    button.send_keys(Keys.ENTER)
    assert names() == by_size
    browser.find_element(By.CSS_SELECTOR, "input.find").send_keys("NEWS")
    shown = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "table.channels tbody td.name")]
    assert [text for text in shown if text] == ["news"]


def test_a_channel_has_its_curve_and_its_days(pages: Pages, browser: Chrome) -> None:
    browser.get(pages.url())
    browser.find_element(By.LINK_TEXT, ODD).click()
    assert browser.find_element(By.TAG_NAME, "h1").text == ODD
    data = browser.execute_script("return document.querySelector('section.channel').curve.data")
    assert data["bytes"] == [row[2] for row in pages.rows[ODD]]
    tiles = {
        str(tile.get_attribute("data-name")): numbers([str(tile.get_attribute("data-value"))])[0]
        for tile in browser.find_elements(By.CSS_SELECTOR, ".tile dd")
    }
    names = ["bytes", "requests", "hit_ratio", "byte_hit_ratio", "peak_mbps", "p95"]
    assert tiles == dict(zip(names, expected(pages.rows[ODD])))
    days: dict[str, list[int]] = {}
    for slot, requests, size, *_ in pages.rows[ODD]:
        day = days.setdefault(datetime.fromtimestamp(slot, ZONE).strftime("%Y-%m-%d"), [0, 0, 0])
        day[0] += size
        day[1] += requests
        day[2] = max(day[2], size)
    lines = browser.find_elements(By.CSS_SELECTOR, "table.days tbody tr")
    shown = {
        str(line.find_element(By.CSS_SELECTOR, "td.name").get_attribute("data-value")): values(line) for line in lines
    }
    assert {day: [int(line[0]), int(line[1]), float(line[4])] for day, line in shown.items()} == {
        day: [size, requests, round(peak * 8 / 300 / 1e6, 6)] for day, (size, requests, peak) in days.items()
    }
    assert len(shown) == 31
    assert [int(line[6]) for day, line in shown.items() if day == "2025-10-13"] == [72], "the gap of six hours"


def test_a_day_is_shown_whole_also_where_the_clock_changes(pages: Pages, browser: Chrome) -> None:
    browser.get(pages.url("news"))
    curve = "const plot = document.querySelector('section.channel').curve.plot; "

    def span() -> list[int]:
        return list(browser.execute_script(curve + "return [plot.scales.x.min, plot.scales.x.max]"))

    wait_for("the month", lambda: span() == [START, END])
    day = [int(datetime(2025, 10, number, tzinfo=ZONE).timestamp()) for number in (26, 27)]
    assert day[1] - day[0] == 25 * 3600
    browser.find_element(By.CSS_SELECTOR, 'tr[data-day="25"] button.day').click()
    wait_for("the day", lambda: span() == day)
    browser.find_element(By.CSS_SELECTOR, "button.after").click()
    wait_for("the next day", lambda: span() == [day[1], day[1] + 86400])
    browser.find_element(By.CSS_SELECTOR, "button.month").click()
    wait_for("the month again", lambda: span() == [START, END])
    assert messages(browser) == []


def test_what_is_missing_is_shaded_and_the_percentile_is_drawn(pages: Pages, browser: Chrome) -> None:
    browser.get(pages.url("news"))
    browser.find_element(By.CSS_SELECTOR, 'tr[data-day="12"] button.day').click()
    pixel = """
        const { plot, data } = document.querySelector("section.channel").curve;
        const at = (x, y) => plot.ctx.getImageData(Math.round(x), Math.round(y), 1, 1).data;
        const x = (seconds) => plot.valToPos(seconds, "x", true);
        const line = plot.valToPos(data.line.mbps, "y", true);
        let marks = 0;
        for (let left = 0; left < 60; left++)
            for (const near of [-1, 0, 1]) {
                const [red, green, blue] = at(x(arguments[1]) + left, line + near);
                marks += red > 150 && red > green + 60 && red > blue + 60;
            }
        return [at(x(arguments[0]), plot.bbox.top + 2)[3], at(x(arguments[1]), plot.bbox.top + 2)[3], marks];
    """
    inside, outside = GAP[0] + 3 * 3600 + 700, GAP[1] + 3600 + 700

    def seen() -> bool:
        shaded, beside, marks = browser.execute_script(pixel, inside, outside)
        return bool(shaded and not beside and marks > 20)

    wait_for("a shaded gap, nothing beside it, and the percentile's line", seen)
    messages(browser)  # Chromium warns of reading pixels like this
    assert "the record of an edge is missing" in browser.find_element(By.CSS_SELECTOR, ".key").text


def test_contract_and_completeness_are_said_in_words(pages: Pages, browser: Chrome) -> None:
    browser.get(pages.url("news"))
    text = browser.find_element(By.TAG_NAME, "body").text
    for sentence in pages.bill["contracts"][0]["text"]:
        assert sentence in text
    assert "72 are missing: nobody vouches for them." in text
    assert pages.bill["completeness"]["bounds"][1:] in text
    (row,) = browser.find_elements(By.CSS_SELECTOR, "table.gaps tbody tr")
    assert row.text.startswith("edge2/access 2025-10-13 00:00 CEST 2025-10-13 06:00 CEST missing")


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_it_without_scrolling_sideways(pages: Pages, width: int) -> None:
    with chromium(width, 800) as browser:
        for url in (pages.url(), pages.url("news"), pages.url(ODD)):
            browser.get(url)
            assert browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
            assert messages(browser) == []
            targets = browser.find_elements(By.CSS_SELECTOR, "th .sort, button.day, summary, nav a")
            shown = [one for one in targets if one.is_displayed()]
            small = [one.text for one in shown if one.size["height"] < 44]
            assert shown
            assert small == [], "a finger does not hit them"


def test_it_is_dark_where_the_reader_likes_that(pages: Pages) -> None:
    with chromium(dark=True) as browser:
        browser.get(pages.url("news"))
        background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(18, 22, 28)"


def test_it_prints_as_an_annex_of_an_invoice(pages: Pages, tmp_path: Path) -> None:
    """Every sheet of paper that goes on with a table has its heads; what is only for a screen is not on it."""
    with chromium(dark=True) as browser:
        browser.get(pages.url("news"))
        paper(browser, tmp_path / "news.pdf")
        assert messages(browser) == []
    text = subprocess.run(["pdftotext", "-layout", tmp_path / "news.pdf", "-"], capture_output=True, text=True).stdout
    sheets = text.rstrip("\f").split("\f")
    assert len(sheets) == 2
    for number, sheet in enumerate(sheets, 1):
        assert "Peak Mbit/s" in sheet
        assert f"page {number} of 2" in sheet
        assert "news · Bandwidth, 2025-10-01 00:00 to 2025-11-01 00:00 Europe/Berlin" in sheet
    assert f"{pages.bill['channels'][1]['bytes']:,} bytes" in sheets[0]
    assert "a day …" not in text


def test_one_file_holds_everything(pages: Pages, browser: Chrome, tmp_path: Path) -> None:
    out = tmp_path / "all.html"
    done = run("report", "--config", str(pages.config), *MONTH, "--output", "html", "--out", str(out))
    assert (done.returncode, done.stderr) == (1, "")
    browser.get(out.as_uri())
    assert len(browser.find_elements(By.CSS_SELECTOR, "section.channel canvas")) == 3
    inside = json.loads(str(browser.execute_script("return document.getElementById('bill').textContent")))
    assert inside["total"] == pages.bill["total"]
    browser.find_element(By.LINK_TEXT, "news").click()
    assert browser.current_url.endswith(f"#{identify('news')}")
    assert messages(browser) == []


def test_the_next_pages_take_the_place_of_the_last_ones(pages: Pages, tmp_path: Path) -> None:
    out = tmp_path / "page"
    report = ("report", "--config", str(pages.config), *MONTH, "--output", "html", "--out", str(out))
    assert run(*report).returncode == 1
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in pages.folder.iterdir())
    assert run(*report, "--channel", "news").returncode == 1
    assert sorted(path.name for path in out.iterdir()) == ["bill.json", "index.html", f"{identify('news')}.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["page"], "nothing is left beside it"


def test_every_page_has_the_links_that_are_asked_for(pages: Pages, browser: Chrome, tmp_path: Path) -> None:
    out = tmp_path / "page"
    report = ("report", "--config", str(pages.config), *MONTH, "--output", "html", "--out", str(out))
    assert run(*report, "--link", "<Last> month=../last?a=b").returncode == 1
    for path in out.glob("*.html"):
        browser.get(path.as_uri())
        link = browser.find_element(By.LINK_TEXT, "<Last> month")
        assert link.get_dom_attribute("href") == "../last?a=b"
        assert messages(browser) == []
    done = run(*report, "--link", "nowhere")
    assert (done.returncode, "'nowhere' is no link" in done.stderr) == (2, True)


def test_a_folder_of_somebody_else_is_not_replaced(pages: Pages, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    done = run("report", "--config", str(pages.config), *MONTH, "--output", "html", "--out", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        f"edgetally: {tmp_path} holds other things than edgetally's pages: let --out name a new folder, or FILE.html\n"
    )
    assert (tmp_path / "letter").read_text() == "dear"
