"""A table is aligned on a terminal, also where letters are wide, or have no width of their own."""

from __future__ import annotations

from edgetally.table import render, width


def test_text_stands_to_the_left_and_numbers_to_the_right() -> None:
    rows = [("name", "rule", "bytes", "age"), ("a", "average", "5", "25 s"), ("b", "volume", "1,000.5", "-")]
    assert render(rows, rules=(0,)) == [
        "name  rule       bytes   age",
        "----  -------  -------  ----",
        "a     average        5  25 s",
        "b     volume   1,000.5     -",
    ]


def test_the_first_column_is_names_also_of_digits() -> None:
    assert render([("channel", "n"), ("7", "1"), ("123", "22")]) == ["channel   n", "7         1", "123      22"]


def test_wide_letters_take_two_columns_and_accents_none() -> None:
    assert [width(text) for text in ("news", "größe", "動画", "e\u0301", "ｈ")] == [4, 5, 4, 1, 2]
    rows = render([("channel", "n"), ("動画", "1"), ("e\u0301tat", "2"), ("news", "3")])
    assert [width(row) for row in rows] == [10] * 4
