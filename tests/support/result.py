"""What tests want to know of a tally."""

from __future__ import annotations

from edgetally.tally.result import Tally


def by_host(result: Tally) -> dict[str, list[int]]:
    """[requests, bytes, hits] of each host, or of each channel where there are rules."""
    hosts: dict[str, list[int]] = {}
    for (_, host), cell in result.cells.items():
        sums = hosts.setdefault(host, [0, 0, 0])
        for column in range(3):
            sums[column] += cell[column] or 0
    return hosts
