"""Contracts: what is wrong in one is said in a sentence, before it is installed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edgetally.bill.agreed import Agreed
from edgetally.bill.contracts import CHOICES, Contract, load, parse
from edgetally.bill.period import Period
from edgetally.cli.main import main
from edgetally.errors import EdgetallyError
from tests.support import ROOT

GOOD: dict[str, Any] = {"name": "a", "channels": ["video"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "is not JSON"),
        ("{}", "is not a list of contracts"),
        ("[5]", "contract 1 is not an object"),
        ('[{"channels": ["a"]}]', "contract 1 has no name"),
        ('[{"name": "a"}]', "contract 1 has no channels"),
        ('[{"name": "", "channels": ["a"]}]', "name must be a text that is not empty"),
        ('[{"name": "a", "channels": []}]', "channels is []: write a list of names"),
        ('[{"name": "a", "channels": [5]}]', "a channel must be a text"),
        ('[{"name": "a", "channels": "x", "comit": 5}]', "unknown key 'comit': did you mean 'commit'?"),
        ('[{"name": "a", "channels": "x", "rule": "max"}]', 'rule is "max": it is one of percentile, daily_peak'),
        ('[{"name": "a", "channels": "x", "zero": "no"}]', "zero is"),
        ('[{"name": "a", "channels": "x", "missing": null}]', "missing is null"),
        ('[{"name": "a", "channels": "x", "base": 1000}]', "base is 1000: it is one of decimal, binary"),
        ('[{"name": "a", "channels": "x", "zone": "Mars"}]', "contract 1 ('a'): zone 'Mars' is not known"),
        ('[{"name": "a", "channels": "x", "group": "yes"}]', "it is true or false"),
        ('[{"name": "a", "channels": "x", "valid_from": "2026-11"}]', "write a day such as 2026-11-01"),
        ('[{"name": "a", "channels": "x", "valid_from": "2026-11-15"}]', "2026-11-15 is within a month: let it be a"),
        ('[{"name": "a", "channels": "x", "valid_to": "2026-11-01"}]', "a month's last day, or say `partial: prorate`"),
        ('[{"name": "a", "channels": "x", "valid_from": "2026-12-01", "valid_to": "2026-11-30"}]', "exchange them"),
        ('[{"name": "a", "channels": "x", "price": 5}]', "has price and no currency: write its three letters"),
        ('[{"name": "a", "channels": "x", "currency": "eur"}]', 'currency is "eur": write its three letters'),
        (
            '[{"name": "a", "channels": "x", "currency": "EUR", "price": -1}]',
            "price is -1: it is a number of at least 0",
        ),
        (
            '[{"name": "a", "channels": "x", "currency": "EUR", "price": 1, "per": "GB"}]',
            "with the rule percentile it is",
        ),
        ('[{"name": "a", "channels": "x", "currency": "EUR", "commit_price": 1}]', "has commit_price and no commit"),
        ('[{"name": "a", "channels": "x", "currency": "EUR", "commit": 1, "overage_price": 1}]', "overage_price alone"),
        (
            '[{"name": "a", "channels": "x", "currency": "EUR", "price": 1, "tiers": [{"price": 1}]}]',
            "has tiers and price",
        ),
        ('[{"name": "a", "channels": "x", "currency": "EUR", "tiers": 5}]', "tiers is 5: write"),
        ('[{"name": "a", "channels": "x", "currency": "EUR", "tiers": [{"price": 1, "to": 5}]}]', "unknown key 'to'"),
        ('[{"name": "a", "channels": "x", "currency": "EUR", "tiers": [{"price": 1, "up_to": 5}]}]', "add one without"),
        (
            '[{"name": "a", "channels": "x", "currency": "EUR", "tiers": '
            '[{"price": 1, "up_to": 5}, {"price": 1, "up_to": 5}, {"price": 1}]}]',
            "above that of the one before it",
        ),
        ('[{"name": "a", "channels": "x", "discount": 101}]', "discount is 101"),
        ('[{"name": "a", "channels": "x", "tax": "much"}]', "tax is"),
        ('[{"name": "a", "channels": "x", "places": 10}]', "places is 10: it is a whole number from 0 to 9"),
        ('[{"name": "a", "channels": "x", "rounding": "nearest"}]', "it is one of half_up, half_even, up, down"),
        ('[{"name": "a", "channels": "x", "customer": 5}]', "customer must be a text"),
        ('[{"name": "a", "channels": "x", "percent": 0}]', "percent is 0: it is a number above 0 and at most 100"),
        ('[{"name": "a", "channels": "x", "percent": 100.1}]', "at most 100"),
        ('[{"name": "a", "channels": "x", "uplift": "1/2"}]', "uplift is"),
        ('[{"name": "a", "channels": "x", "commit": true}]', "commit is true"),
        ('[{"name": "a", "channels": "x", "commit": "much"}]', "commit is"),
        ('[{"name": "a", "channels": "x", "rule": "volume", "percent": 95}]', "percent means nothing with the rule"),
        ('[{"name": "a", "channels": "x"}, {"name": "a", "channels": "y"}]', "two contracts are named 'a'"),
        ('[{"name": "a", "channels": "x*"}, {"name": "b", "channels": ["xy"]}]', "has channel 'xy', which 'a' before"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    file = tmp_path / "contracts.json"
    file.write_text(text)
    assert main(["report", "--check-contracts", str(file)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert str(file) in said
    assert said.count("\n") == 1


def test_a_good_file_passes(tmp_path: Path) -> None:
    file = tmp_path / "contracts.json"
    file.write_text("[]")
    assert main(["report", "--check-contracts", str(file)]) == 0
    terms = {"zone": "Europe/Berlin", "uplift": 1.05, "commit": "100", "percent": 99.9, "group": True}
    file.write_text(json.dumps([{**GOOD, **terms}]))
    assert main(["report", "--check-contracts", str(file)]) == 0
    (contract,) = load(str(file)).listed
    assert (contract.uplift, contract.commit, contract.percent) == ("1.05", "100", "99.9")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EdgetallyError, match="is not there"):
        load(str(tmp_path / "none.json"))


def test_the_first_contract_that_matches_decides() -> None:
    contracts = parse(
        [{"name": "one", "channels": "sport"}, {"name": "all", "channels": ["*"], "zone": "Asia/Tokyo"}], "x"
    )
    agreed = Agreed(contracts, Period(0, 600, ZoneInfo("UTC")))
    found = [agreed.of(name) for name in ("sport", "Sport", "news")]
    assert [[one.contract.name for one in stretches] for stretches in found] == [["one"], ["all"], ["all"]]
    assert contracts.zone() == "Asia/Tokyo"
    assert parse([GOOD], "x").zone() is None
    assert Agreed(parse([GOOD], "x"), agreed.period).of("news") == []


def test_the_bill_lists_all_terms() -> None:
    assert Contract("a", ("x",), rule="daily_peak").terms()["percent"] == "100"
    assert Contract("a", ("x",)).terms()["percent"] == "95"
    assert Contract("a", ("x",), rule="volume").terms()["percent"] is None


def test_the_page_lists_the_terms_that_there_are() -> None:
    page = (ROOT / "docs/how-to/contracts.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(Contract.__dataclass_fields__)
    for key, choices in CHOICES.items():
        (row,) = re.findall(rf"^\| `{key}` \|.*$", page, re.MULTILINE)
        assert all(f"`{choice}`" in row for choice in choices)
