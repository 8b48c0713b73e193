"""Writes statements: of one customer to a file, or of all of them to a folder, each with the month before beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgetally.bill.closed import AnyBill
from edgetally.bill.find import find_bill
from edgetally.bill.page.pdf import pdf
from edgetally.bill.page.publish import write_file, write_folder
from edgetally.bill.page.statement import check_customer, folders, statement
from edgetally.config import AggregatorConfig


def write_one(
    bill: AnyBill, config: AggregatorConfig, contract_file: str | None, customer: str, out: str | None, printed: bool
) -> None:
    """Write the statement of a customer. printed: as a PDF, and not as a page."""
    check_customer(bill.data, customer)
    with month_before(config, bill.data["period"], contract_file) as before:
        page = statement(bill, customer, before)
    write_file(out, pdf(page) if printed else page)


def write_all(bill: AnyBill, config: AggregatorConfig, contract_file: str | None, out: str, printed: bool) -> None:
    """Write the statements of all customers. printed: as PDFs, too."""
    with month_before(config, bill.data["period"], contract_file) as before:
        write_folder(out, folders(bill, before, pdf if printed else None))


@contextmanager
def month_before(
    config: AggregatorConfig, period: dict[str, Any], contract_file: str | None
) -> Iterator[AnyBill | None]:
    """The bill of the month before a month; None where the period is no month, or there was nothing yet."""
    name = _before(period["name"])
    if name is None:
        yield None
        return
    with find_bill(config, month=name, zone=period["zone"], contract_file=contract_file) as bill:
        yield bill if bill.data["completeness"]["expected"] else None


def _before(month: str | None) -> str | None:
    if month is None:
        return None
    year, number = map(int, month.split("-"))
    return f"{year - (number == 1)}-{(number - 2) % 12 + 1:02}"
