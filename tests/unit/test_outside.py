"""Text from outside: nothing in it is obeyed by a terminal or a spreadsheet."""

from __future__ import annotations

import pytest

from edgetally import table
from edgetally.outside import cell, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.example", "a.example"),
        ("bücher.example", "bücher.example"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\x9b", "a\\x0ab\\x09c\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert table.render([["head"], [text]])[1] == shown


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell("\x1b" + text) == "\\x1b" + text
