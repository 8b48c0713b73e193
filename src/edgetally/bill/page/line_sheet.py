"""The sheet of a line that is billed: the sum of its channels, which is what its contract was applied to."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from edgetally.bill.bill import channel_line
from edgetally.bill.billed import billed_series
from edgetally.bill.closed import AnyBill
from edgetally.bill.page.channel_page import Sheet, make
from edgetally.bill.sample import Sample, Span, add_spans
from edgetally.bill.series import Counts


def line_sheet(bill: AnyBill, charge: dict[str, Any]) -> Sheet:
    """The sheet of a line of `contracts`: its curve is the sum that was billed."""
    series = billed_series(bill, charge)
    members = [line for line in bill.data["channels"] if line["channel"] in charge["channels"]]
    missing = add_spans([Span(*span) for span in line["missing"]] for line in members)
    counts = Counts(*map(sum, zip(Counts(), *series.days)))
    percents = [Fraction(one["percent"]) for one in bill.data["total"]["percentiles"]]
    name = charge["contract"] if charge["group"] else charge["channels"][0]
    line = {**channel_line(name, counts, Sample(series.sizes, missing), percents), "aliases": []}
    return make(line, series, bill.data["period"], [charge], group=charge["group"])
