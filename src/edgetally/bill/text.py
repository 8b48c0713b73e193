"""Prints the bill as a table, as CSV or as JSON, each made of the bill's object alone. OUTPUTS has them by name."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from typing import Any

from edgetally import table
from edgetally.bill import events
from edgetally.bill.beside import beside_text
from edgetally.bill.bill import remarks
from edgetally.bill.billed import terms_of
from edgetally.bill.closed import AnyBill, Closed
from edgetally.bill.exports import channels_text
from edgetally.bill.series import canonical
from edgetally.bill.split import remarks as split_remarks
from edgetally.bill.unbilled import sentences
from edgetally.ledger.gaps import MISSING, REFUSED
from edgetally.outside import cell, visible
from edgetally.words import count, some

_NAMED = 3  # channels that a table names of a line


def _json(bill: AnyBill) -> str:
    """The object itself; of a closed month the very bytes that were closed."""
    return (bill.text if isinstance(bill, Closed) and "split" not in bill.data else canonical(bill.data)).decode()


# --- CSV


def _csv(bill: AnyBill) -> str:
    """channels.csv; of a bill that is split a line for each part.

    Of a month of format 1 what it had: a line for each channel, each group and the total.
    """
    data = bill.data
    if "split" in data:
        return _split_csv(data["split"])
    if data["format"] > 1:
        return channels_text(bill)
    file = io.StringIO()
    charges = {line["channels"][0]: line for line in data["contracts"] if not line["group"]}
    rows = [{**_figures(line), **_terms(charges.get(line["channel"]))} for line in data["channels"]]
    there = {line["channel"] for line in data["channels"]}
    rows += [{"channel": name, **_terms(line)} for name, line in charges.items() if name not in there]
    rows += [{"channel": f"group {line['contract']}", **_terms(line)} for line in data["contracts"] if line["group"]]
    rows.append({**_figures(data["total"]), **_terms(None)})
    writer = csv.DictWriter(file, list(rows[-1]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "channel": cell(row["channel"])})
    text = file.getvalue()
    return text if text.isascii() else "\ufeff" + text  # without it Excel takes UTF-8 for something else


def _figures(line: dict[str, Any]) -> dict[str, Any]:
    names = ("channel", "bytes", "requests", "hit_ratio", "byte_hit_ratio", "peak_mbps")
    figures = {name: line[name] for name in names}
    for percentile in line["percentiles"]:
        for name in ("mbps", "low_mbps", "high_mbps"):
            figures[f"p{percentile['percent']}_{name}"] = percentile[name]
    return {**figures, "missing_slots": line["missing_slots"]}


def _terms(line: dict[str, Any] | None) -> dict[str, Any]:
    names = ("contract", "unit", "measured", "low", "high", "billable", "commit", "overage")
    return {f"contract_{name}" if name in ("low", "high") else name: line[name] if line else None for name in names}


def _split_csv(split: dict[str, Any]) -> str:
    rows = [{split["by"]: line["name"], **_figures({**line, "channel": line["name"]})} for line in split["parts"]]
    heads = [name for name in (rows[0] if rows else {split["by"]: ""}) if name != "channel"]
    older = [split["undivided_bytes"] if name == "bytes" else "" for name in heads[1:]]
    lines = [[row[name] for name in heads] for row in rows]
    return listed(heads, [*lines, ["not split", *older]] if split["undivided_bytes"] else lines, "csv")


# --- the table


def _table(bill: AnyBill) -> str:
    """The bill for people."""
    data = bill.data
    bounded = data["completeness"]["missing"] > 0
    rows = [_head(data["total"], bounded), *(_row(line, bounded) for line in [*data["channels"], data["total"]])]
    channels = len(data["channels"])
    left_out = data.get("unbilled")  # a bill of format 1 has none
    if left_out and left_out["bytes"]:
        rows.append(("of it not billed", f"{left_out['bytes']:,}", *[""] * (len(rows[0]) - 2)))
    text = [f"Bandwidth, {data['title']} ({count(data['period']['slots'], 'slot')} of five minutes)", ""]
    text += table.render(rows, rules=(0, channels))
    slots = count(data["period"]["slots"], "slot")
    text += ["", *_split_text(data["split"], data["total"])] if "split" in data else []
    text += [""]
    for percentile in data["total"]["percentiles"]:
        rank = f"{percentile['rank']:,} of {slots}"
        text += [f"p{percentile['percent']}: nearest rank {rank}, empty slots count as zero."]
    text += ["Mbit/s: bytes x 8 / 300 / 10^6, five-minute sums over all edges."]
    text += [f"Channel {alias['old']} is billed as {alias['new']}." for alias in data["aliases"]]
    if data["format"] == 1:
        text += [sentence for line in data["contracts"] for sentence in _contract_text(line)]
    else:
        text += _contracts_text(data["contracts"])
        text += _amounts_text(data["amounts"])
    text += [
        f"Contract {name} bills a group, of which only a part is on this bill: a bill of all channels has its line."
        for name in data.get("cut_groups", ())
    ]
    text += [
        f"Contract {contract['contract']} is of the zone {contract['zone']}: --zone {contract['zone']} bills it."
        for contract in data["not_billed"]
    ]
    if left_out:
        text += _unbilled_text(left_out, data["total"]["bytes"])
    text += ["", *_completeness_text(data["completeness"])]
    for sentence in remarks(data["completeness"]):
        text += textwrap.wrap(sentence, table.WIDTH)
    unseen = beside_text(data)
    text += ["", *unseen] if unseen else []
    if data["state"] == "closed":
        text += ["", f"Closed {data['made_local']}, with all that was committed up to commit {data['commit_no']:,}."]
    return "\n".join(text) + "\n"


def _split_text(split: dict[str, Any], total: dict[str, Any]) -> list[str]:
    """The parts of a bill by edge, region or stream."""
    head = (split["by"], *_head(total, False)[1:])
    rows = [head, *(_row({**line, "channel": line["name"]}, False) for line in split["parts"])]
    notes = (line for sentence in split_remarks(split) for line in textwrap.wrap(sentence, table.WIDTH))
    return [*table.render(rows, rules=(0,)), *notes]


def _head(line: dict[str, Any], bounded: bool) -> tuple[str, ...]:
    percents = []
    for percentile in line["percentiles"]:
        head = f"p{percentile['percent']} Mbit/s"
        percents += [head, "at least", "at most"] if bounded else [head]
    return ("channel", "bytes", "requests", "hits", "hit bytes", "peak Mbit/s", *percents)


def _row(line: dict[str, Any], bounded: bool) -> tuple[str, ...]:
    percents = []
    for percentile in line["percentiles"]:
        names = ("mbps", "low_mbps", "high_mbps") if bounded else ("mbps",)
        percents += [f"{percentile[name]:,.3f}" for name in names]
    return (
        line["channel"],
        f"{line['bytes']:,}",
        f"{line['requests']:,}",
        *("-" if line[name] is None else f"{line[name]:.1%}" for name in ("hit_ratio", "byte_hit_ratio")),
        f"{line['peak_mbps']:,.3f}",
        *percents,
    )


# (head, key of the line), shown where any line has it
_QUANTITIES = (
    *(("measured", "measured"), ("at least", "low"), ("at most", "high")),
    *(("commit", "commit"), ("overage", "overage"), ("billable", "billable"), ("unit", "unit")),
)
_FORECAST = (
    *(("month comes to", "billable"), ("is certain", "certain_billable")),
    ("for", "net"),
    *(("slots above the commit", "above"), ("may be", "allowed"), ("left before it costs", "left")),
)


def _contracts_text(lines: Sequence[dict[str, Any]]) -> list[str]:
    """All lines of the contracts in a table, and the terms of each contract once."""
    if not lines:
        return []
    bounded = any(line["low"] != line["high"] for line in lines)
    columns = [one for one in _QUANTITIES if bounded or one[1] not in ("low", "high")]
    costs = [line["amount"] or {} for line in lines]
    money = [name for name in ("net", "currency") if any(costs)]
    forecasts = [line["projection"] or {} for line in lines]
    later = [one for one in _FORECAST if any(forecast.get(one[1]) is not None for forecast in forecasts)]
    rows = [("contract", "channels", *(head for head, _ in columns), *money, *(head for head, _ in later))]
    for line, cost, forecast in zip(lines, costs, forecasts):
        figures = [*(line[key] for _, key in columns), *(cost.get(key) for key in money)]
        figures += [forecast.get(key) for _, key in later]
        rows.append((line["contract"], named(line), *map(_figure, figures)))
    text = ["", *table.render(rows, rules=(0,))]
    for terms in terms_of(lines):
        text += ["", f"Contract {visible(terms.contract)}:", *(f"  {sentence}" for sentence in terms.text)]
        for channels, own in terms.own:
            text += [f"  {visible(channels)}:", *(f"    {sentence}" for sentence in own)]
    return text


def _amounts_text(amounts: Sequence[dict[str, Any]]) -> list[str]:
    """What each customer is to pay."""
    if not amounts:
        return []
    rows = [("customer", "net", "tax", "gross", "currency")]
    for one in amounts:
        taxes = [f"{tax['tax']} ({tax['rate']} %)" for tax in one["taxes"]]
        rows.append((one["customer"] or "-", one["net"], " + ".join(taxes) or "-", one["gross"], one["currency"]))
    return ["", *table.render(rows, rules=(0,))]


def named(line: dict[str, Any]) -> str:
    """The channels of a line of a contract, as a table has room for them."""
    names = some(line["channels"], _NAMED)
    return f"the group {names}" if line["group"] else names


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


# --- what bills of format 1 had


def _contract_text(line: dict[str, Any]) -> list[str]:
    """A line of a contract: what is billed, why, and how the month looks."""
    unit = line["unit"]
    channels = ", ".join(line["channels"])
    bounds = "" if line["low"] == line["high"] else f" (at least {line['low']:,.3f}, at most {line['high']:,.3f})"
    text = ["", f"Contract {line['contract']}, {'the group ' if line['group'] else ''}{channels}:"]
    text.append(f"  measured {line['measured']:,.3f} {unit}{bounds}, billable {line['billable']:,.3f} {unit}")
    if line["commit"] is not None:
        text[-1] += f", of it {line['overage']:,.3f} above the commit of {line['commit']:,.3f}"
    text += [f"  {sentence}" for sentence in line["text"]]
    forecast = line["projection"]
    if forecast:
        text.append(
            f"  If it goes on like this, the month comes to {forecast['measured']:,.3f} {unit}; "
            f"{forecast['certain']:,.3f} is certain."
        )
        if forecast["left"] is not None:
            text.append(
                f"  {count(forecast['above'], 'slot')} above the commit so far, {forecast['allowed']:,} may be: "
                f"{forecast['left']:,} left before it costs."
            )
    return text


# --- what is left out, and what is missing


def _unbilled_text(left_out: dict[str, Any], total: int) -> list[str]:
    first, *others = sentences(left_out, total)
    text = ["", f"Not billed: {first[:1].lower()}{first[1:]}"]
    for sentence in others:
        text += textwrap.wrap(visible(sentence), table.WIDTH, initial_indent="  ", subsequent_indent="    ")
    return text + (["  The month was closed with that."] if left_out.get("accepted") else [])


def _completeness_text(completeness: dict[str, Any]) -> list[str]:
    streams, expected = completeness["streams"], completeness["expected"]
    if not expected:
        return ["Completeness: no data: no stream was at work yet, so nobody vouches for this time."]
    late = f", {completeness['late']:,} of them late" if completeness["late"] else ""
    if completeness["complete"]:
        return [f"Completeness: complete ({count(streams, 'stream')}, {count(expected, 'slot')}{late})."]
    gaps = [_gap_text(gap) for gap in completeness["gaps"]]
    if completeness.get("after"):
        gaps += ["and of the hours after the month, in which long transfers still bring bytes into it:"]
        gaps += [_gap_text(gap) for gap in completeness["after"]]
    missing = f"{completeness['missing']:,} of {count(expected, 'slot')} of {count(streams, 'stream')}"
    accepted = ["The month was closed with these gaps."] if completeness.get("accepted") else []
    bounds = textwrap.wrap(f"At least, at most: {completeness['bounds']}", table.WIDTH)
    return [f"Completeness: {missing} missing:", *gaps, *accepted, "", *bounds]


def _gap_text(gap: dict[str, Any]) -> str:
    numbers = ""
    if gap["reason"] in (MISSING, REFUSED) and gap["first_seq"] is not None:
        several = gap["last_seq"] > gap["first_seq"]
        numbers = f", batch{'es' if several else ''} {gap['first_seq']}"
        numbers += f" to {gap['last_seq']}" if several else ""
    return f"  {gap['stream']}: {gap['from_local']} to {gap['to_local']} ({gap['reason']}{numbers})"


def listed(head: Sequence[str], rows: Sequence[Sequence[Any]], output: str) -> str:
    """Rows as a table, as CSV or as JSON. head: the names of their columns."""
    if output == "json":
        return json.dumps([dict(zip(head, row)) for row in rows], indent=2) + "\n"
    if output == "csv":
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([cell(value) if isinstance(value, str) else value for value in row] for row in rows)
        return file.getvalue()
    shown = [tuple(map(_shown, row)) for row in rows]
    return "\n".join(table.render([tuple(head), *shown], rules=(0,))) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


OUTPUTS = {"table": _table, "csv": _csv, "json": _json, "events": events.text}
