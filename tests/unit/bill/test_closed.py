"""A closed month looks the same for ever: what a program of today prints of a snapshot, every later one must print.

closed_format_1/ was written by the first program that closed months. Do not change it: where an output is to change,
a new format of the snapshot says so, and the old one keeps its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgetally.bill.contracts import Contract
from edgetally.bill.page.render import Renderer
from edgetally.bill.series import canonical
from edgetally.bill.text import OUTPUTS

HERE = Path(__file__).parent / "closed_format_1"


def test_a_page_of_an_old_snapshot() -> None:
    """It lacks what came with later formats: amounts, what is not billed, pages of groups."""
    data = json.loads((HERE / "snapshot.json").read_bytes())
    links = [(f"{number}.html", "0") for number in range(len(data["channels"]))]
    page = Renderer(data).page(overview=links)
    assert "of 8,652 slots, sorted, the one at rank 8,220 decides" in page
    assert "Not billed" not in page
    assert Contract.of_terms(data["contracts"][0]["terms"]).commit == "5"


def test_the_outputs_of_an_old_snapshot() -> None:
    text = (HERE / "snapshot.json").read_bytes()
    bill: Any = SimpleNamespace(data=json.loads(text))
    assert canonical(bill.data) == text
    for name, file in (("table", "bill.txt"), ("csv", "bill.csv")):
        assert OUTPUTS[name](bill).encode() == (HERE / file).read_bytes()
