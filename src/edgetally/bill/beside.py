"""The bill's part on what the logs do not see: what each edge's interface and servers counted, day by day."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from edgetally import table
from edgetally.bill.period import Period
from edgetally.ledger.beside import EdgeDay, Judged, Sums, days_before, edge_days, odd_text, part_text
from edgetally.limits import HOUR, SLOT_SECONDS
from edgetally.words import count, known

SHOWN = 20  # edges of a table for people; of a larger fleet only those with an odd day
WHY = (
    "A server counts the bytes of what nobody logs, too; an interface besides what TCP and TLS add, and all else that "
    "the host sends."
)


def beside(cursor: Any, period: Period) -> list[dict[str, Any]]:
    """Every edge that has told something, as docs/reference/bill.md describes it."""
    days = period.days()
    earlier = days_before(period.start - period.start % HOUR)
    starts = [period.start + day.first * SLOT_SECONDS for day in days]
    starts[0] -= starts[0] % HOUR  # the hour in which the period begins is a part of it
    found = edge_days(cursor, [*earlier, *starts, period.end])
    dates = [day.date for day in days]
    return [_edge(edge, dates, judged[len(earlier) :], period) for edge, judged in found.items()]


def _edge(edge: str, dates: list[str], days: list[EdgeDay], period: Period) -> dict[str, Any]:
    sums = Sums(*map(sum, zip(*(day.sums for day in days))))
    seconds = period.end - period.start
    return {
        "edge": edge,
        **_figures(sums),
        "of_server": _rounded(sums.of_server(seconds)),
        "of_wire": _rounded(sums.of_wire(seconds)),
        "usual_of_server": _usual(day.server for day in days),
        "usual_of_wire": _usual(day.wire for day in days),
        "days": [list(_figures(day.sums).values()) for day in days],
        "odd": [{"date": date, "text": odd_text(edge, day)} for date, day in zip(dates, days) if day.is_odd],
    }


def _figures(sums: Sums) -> dict[str, int | None]:
    """Bytes logged, that the servers counted, and on the wire; null where nothing was told."""
    return {
        "logged": sums.logged,
        "server": sums.server if sums.server_seconds else None,
        "wire": sums.wire if sums.wire_seconds else None,
    }


def _usual(days: Iterable[Judged]) -> list[float] | None:
    """What was usual when the last day was judged that could be."""
    bands = [day.band for day in days if day.band]
    return bands[-1].shown if bands else None


def _rounded(part: float | None) -> float | None:
    return None if part is None else round(part, 6)


# --- in words


def beside_text(bill: dict[str, Any]) -> list[str]:
    """The part as lines; none where no edge has told anything, or an old bill has none."""
    edges = bill.get("beside", [])
    if not edges:
        return []
    shown = edges if len(edges) <= SHOWN else [edge for edge in edges if edge["odd"]]
    head = ("edge", "bytes logged", "servers counted", "logged (usual)", "on the wire", "logged (usual)")
    rows = [head, *(_row(edge) for edge in shown)]
    text = [f"What the logs do not see, {count(len(edges), 'edge')}:"]
    text += [f"  {line}" for line in table.render(rows, rules=(0,))] if shown else []
    for sentence in (WHY, *odd_days(edges)):
        text += textwrap.wrap(sentence, table.WIDTH, initial_indent="  ", subsequent_indent="    ")
    return text


def odd_days(edges: list[dict[str, Any]]) -> list[str]:
    """A sentence for each day of each edge on which the logs had an unusual part."""
    return [f"{odd['date']}: {odd['text']}." for edge in edges for odd in edge["odd"]]


def _row(edge: dict[str, Any]) -> tuple[str, ...]:
    return (
        edge["edge"],
        f"{edge['logged']:,}",
        *(known(edge["server"]), part_text(edge["of_server"], edge["usual_of_server"])),
        *(known(edge["wire"]), part_text(edge["of_wire"], edge["usual_of_wire"])),
    )
