"""What the demos show beside the bill: the bytes of the logs, those that servers counted, and those on the wire."""

from __future__ import annotations

from collections.abc import Sequence

from edgetally import table
from tests.demo import reconcile

SINCE = "SELECT edge, SUM(logged), SUM(server), SUM(wire) FROM v_edge_hour GROUP BY edge ORDER BY edge"
WHY = """\
logged    what is billed: each answer's head and body, as the server wrote it into its log.
servers   the same by the server's own counter, where edge_shipper_counters has it asked; with what nobody logs, as
          squid's answer to that question.
wire      what the interface sent: all of that in packets, each with a head of Ethernet, IP and TCP (66 bytes of about
          1,500: 3 to 6 %); here without TLS, which adds a handshake for each connection and 22 bytes for each record.
          And everything else: requests to the origin, batches to the job server, and on loopback all that is said.
A part that stays as it is shows that nothing is missing from the logs; one that changes is named on the bill."""


def text(database: reconcile.Database) -> str:
    """The three figures of each edge, and what they are made of."""
    rows = [("edge", "logged", "servers", "wire", "logged of the wire"), *map(_row, database.query(SINCE))]
    return "\n".join([*table.render(rows, rules=(0,)), "", WHY])


def _row(figures: Sequence[str]) -> tuple[str, ...]:
    edge, *counted = figures
    logged, server, wire = (None if size == "NULL" else int(size) for size in counted)
    part = f"{(logged or 0) / wire:.1%}" if wire else "-"
    return edge, *("-" if size is None else f"{size:,}" for size in (logged, server, wire)), part
