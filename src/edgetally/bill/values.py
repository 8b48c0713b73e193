"""Reads the values of a contract's terms: texts, days, exact decimals. What is wrong is said in one sentence."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from edgetally.errors import EdgetallyError


def plain(number: Fraction) -> str:
    """An exact decimal as text, without an exponent and without zeros at its end."""
    whole = Decimal(number.numerator) / Decimal(number.denominator)
    text = f"{whole:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def read_number(value: Any, where: str, most: int, zero: bool = False) -> str:
    """A decimal above zero, or with `zero` also zero, as text."""
    try:
        number = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        number = Fraction(-1)
    least = number >= 0 if zero else number > 0
    if isinstance(value, (bool, float)) or not least or number > most or "/" in str(value):
        low = "of at least 0" if zero else "above 0"
        raise EdgetallyError(f"{where} is {shown_value(value)}: it is a number {low} and at most {most}")
    return plain(number)


def read_text(value: Any, where: str) -> str:
    """A text that is not empty, and can be printed."""
    if not isinstance(value, str) or value != value.strip() or not value or not value.isprintable():
        raise EdgetallyError(f"{where} must be a text that is not empty, not {shown_value(value)}")
    return value


def read_date(value: Any, where: str) -> date:
    """A day."""
    try:
        return date.fromisoformat(read_text(value, where))
    except ValueError:
        raise EdgetallyError(f"{where} is {shown_value(value)}: write a day such as 2026-11-01") from None


def shown_value(value: Any) -> str:
    """A value as its file has it."""
    return json.dumps(value, default=str, ensure_ascii=False)
