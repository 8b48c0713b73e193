"""Measuring: every program in turn, round after round, so that a machine that gets slower is so for all."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.logs import Log
from tests.bench.measure import BenchError, Cost, median, read_ahead, run
from tests.bench.program import Program
from tests.bench.sums import differences

_SHOWN = 3


@dataclass
class Entry:
    """One row of a table: a program on a log. note: what is to be said of its sums."""

    title: str
    program: Program
    log: Log
    costs: list[Cost] = field(default_factory=list)
    note: str = ""

    @property
    def cost(self) -> Cost:
        """The median of all rounds."""
        return median(self.costs)

    @property
    def per_line(self) -> float:
        """CPU seconds a line."""
        return self.cost.cpu / self.log.lines

    def ratio(self, other: Entry, figure: str = "cpu") -> float:
        """What a line costs to what it costs another program, by CPU or wall time.

        The median of the rounds' own ratios: what slows the machine down for a while slows both.
        """
        own, others = self._per_line(figure), other._per_line(figure)
        if len(own) != len(others):
            return statistics.median(own) / statistics.median(others)
        return statistics.median(mine / its for mine, its in zip(own, others))

    def _per_line(self, figure: str) -> list[float]:
        return [float(getattr(cost, figure)) / self.log.lines for cost in self.costs]


def measure(entries: Sequence[Entry], runs: int, folder: Path) -> None:
    """Run each entry `runs` times, slow programs once, and check its sums once. Raises BenchError if they are wrong."""
    for path in dict.fromkeys(entry.log.path for entry in entries):
        read_ahead(path)
    for number in range(runs):
        shift = number % len(entries)
        for entry in [*entries[shift:], *entries[:shift]]:
            if entry.program.slow and entry.costs:
                continue
            entry.costs.append(run(entry.program.command(entry.log), folder, good=entry.program.good))
            if len(entry.costs) == 1:
                entry.note = check(entry.program, entry.log, folder / "stdout")


def check(program: Program, log: Log, output: Path) -> str:
    """Compare a program's sums with the true ones; what is to be said of them. Raises BenchError."""
    if program.read is None:
        return ""
    wrong = differences(program.read(output), program.truth(log))
    if not wrong:
        return ""
    if log.case.malformed and program.unlike:
        return f"{program.unlike}: {wrong[0]}"
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    raise BenchError(f"{program.title} on {log.path.name}: {'; '.join(wrong[:_SHOWN])}{more}")
