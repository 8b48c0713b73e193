"""The statement of a customer: what is to be paid, and what shows that it is right. It names nothing of the house.

No stream, no edge, no other customer is on it; it has no script, so that a browser, a printer and a mail show the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from edgetally.bill.closed import AnyBill, Closed
from edgetally.bill.page.channel_page import Day
from edgetally.bill.page.curve import svg
from edgetally.bill.page.line_sheet import line_sheet
from edgetally.bill.page.render import css_text, environment, own
from edgetally.bill.zones import zone_named
from edgetally.errors import EdgetallyError, nearest
from edgetally.limits import SLOT_SECONDS

INDEX = "index.html"
PRINTED = "statement.pdf"
_MISSING = {
    "zero": "what was received of them is billed, and what is missing is not.",
    "skip": "they are left out.",
    "prorate": "days with such intervals are left out, and the quantity is charged for the other days.",
}


@dataclass(frozen=True)
class Line:
    """A line of a statement. line: of the bill; before: the same of the month before, None where there is none."""

    line: dict[str, Any]
    title: str
    curve: Markup
    days: list[Day]
    completeness: str
    before: dict[str, Any] | None
    change: str


def customers(data: dict[str, Any]) -> list[str]:
    """The customers whose contracts are in force in a bill's period, in their order; also those without a line."""
    days = [date for date, *_ in data["period"]["days"]]
    terms = data.get("agreed", ())
    here = (one for one in terms if one["valid_from"] <= days[-1] and days[0] <= (one["valid_to"] or days[0]))
    return list(dict.fromkeys(one["customer"] for one in here if one["customer"]))


def customer_folder(customer: str) -> str:
    """The name of a customer's folder; the role `aggregator` makes it of a name in the same way."""
    readable = re.sub("[^a-z0-9]+", "-", customer.lower()).strip("-")
    return readable or hashlib.sha256(customer.encode()).hexdigest()[:16]


def check_customer(data: dict[str, Any], customer: str) -> None:
    """Refuse a customer that no contract of the bill names."""
    known = customers(data)
    if customer not in known:
        close = nearest(customer, known)
        hint = f"did you mean '{close}'?" if close else f"the contracts name {', '.join(known) or 'no customer'}"
        raise EdgetallyError(f"--customer {customer}: no contract of this period is of that customer: {hint}")


def statement(bill: AnyBill, customer: str, before: AnyBill | None) -> str:
    """A customer's statement as a page. before: the bill of the month before, where there is one."""
    data = bill.data
    lines = [_line(bill, line, before) for line in _of(data, customer)]
    period, zone = data["period"], zone_named(data["period"]["zone"])
    closed = bill.row.sha256 if isinstance(bill, Closed) else None
    page: str = _template("statement.html").render(
        customer=customer,
        title=f"{customer} · {month_name(period)}",
        sheet=css_text(f"{customer} · {month_name(period)}"),
        references=list(dict.fromkeys(filter(None, (one.line["terms"]["reference"] for one in lines)))),
        month=month_name(period),
        period=period,
        made=datetime.fromtimestamp(data["made"], zone).strftime("%Y-%m-%d %H:%M %Z"),
        sha256=closed,
        lines=lines,
        amounts=_amounts(data, customer),
        totals_before=_amounts_before(before, customer),
        in_hand=period["slots"] < period["whole_slots"],
    )
    return page


def folders(
    bill: AnyBill, before: AnyBill | None, printer: Callable[[str], bytes] | None
) -> Iterator[tuple[str, str | bytes]]:
    """The files of all customers, a folder for each, and an index of them. printer: makes a PDF of a page, or None."""
    names = customers(bill.data)
    _check_folders(names)
    for customer in names:
        page = statement(bill, customer, before)
        yield f"{customer_folder(customer)}/{INDEX}", page
        if printer:
            yield f"{customer_folder(customer)}/{PRINTED}", printer(page)
    entries = [
        {"customer": name, "link": f"{customer_folder(name)}/", "amounts": _amounts(bill.data, name)} for name in names
    ]
    title = f"Customers · {month_name(bill.data['period'])}"
    yield INDEX, _template("customers.html").render(title=title, sheet=css_text(title), entries=entries)


def month_name(period: dict[str, Any]) -> str:
    """A period in words: its month, or from when to when."""
    if period["name"]:
        return datetime.strptime(period["name"], "%Y-%m").strftime("%B %Y")
    return f"{period['from_local'][:16].replace('T', ' ')} to {period['to_local'][:16].replace('T', ' ')}"


# --- lines


def _of(data: dict[str, Any], customer: str) -> list[dict[str, Any]]:
    return [line for line in data["contracts"] if line["terms"].get("customer") == customer]


def _line(bill: AnyBill, line: dict[str, Any], before: AnyBill | None) -> Line:
    sheet = line_sheet(bill, line)
    earlier = _earlier(line, before)
    return Line(
        line=line,
        title=line["contract"] if line["group"] else f"{line['contract']}: {', '.join(line['channels'])}",
        curve=svg(sheet.sizes, bill.data["period"], sheet.missing, sheet.mark, sheet.commit),
        days=sheet.days,
        completeness=_completeness(line, sheet.line["missing_slots"], bill.data),
        before=earlier,
        change=_change(line["billable"], earlier["billable"]) if earlier else "",
    )


def _earlier(line: dict[str, Any], before: AnyBill | None) -> dict[str, Any] | None:
    """The same line of the month before: of the same contract, channels and unit."""
    for other in before.data["contracts"] if before else ():
        if all(other[name] == line[name] for name in ("contract", "unit")) and (
            line["group"] or other["channels"] == line["channels"]
        ):
            found: dict[str, Any] = other
            return found
    return None


def _change(now: float, then: float) -> str:
    return f"{now / then - 1:+.1%}" if then else "–"


def _completeness(line: dict[str, Any], missing: int, data: dict[str, Any]) -> str:
    """How much of the record of a line there is, in plain words."""
    slots = (line["to"] - line["from"]) // SLOT_SECONDS
    if not data["completeness"]["expected"]:
        return "There is no record of this time."
    if not missing:
        return f"The record is complete: all {slots:,} five-minute intervals."
    policy = _MISSING[line["terms"]["missing"]]
    return f"Of {missing:,} of {slots:,} five-minute intervals the record is not complete; {policy}"


# --- amounts


def _amounts(data: dict[str, Any], customer: str) -> list[dict[str, Any]]:
    return [one for one in data.get("amounts", ()) if one["customer"] == customer]


def _amounts_before(before: AnyBill | None, customer: str) -> dict[str, str]:
    """What a customer had to pay for the month before, without tax, by currency."""
    return {one["currency"]: one["net"] for one in _amounts(before.data, customer)} if before else {}


def _check_folders(names: Sequence[str]) -> None:
    """Two customers cannot have one folder."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(customer_folder(name), name)
        if other != name:
            raise EdgetallyError(
                f"the customers '{other}' and '{name}' would have the same folder, {customer_folder(name)}: give one "
                "of them another name"
            )


def _template(name: str) -> Any:
    made = environment()
    made.globals.update(css=Markup(own("page.css") + own("statement.css")))  # noqa: S704 our own
    return made.get_template(name)
