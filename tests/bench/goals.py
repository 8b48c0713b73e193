"""The goals: what edgetally may cost, mostly as a ratio to mawk's CPU seconds in the same run on the same log."""

from __future__ import annotations

from typing import NamedTuple

from tests.bench.cases import Case

_CLEAN = {"numpy": 0.55, "plain": 1.1}
_DIFFICULT = {"numpy": 0.8, "plain": 1.6}
_PEAK = {"numpy": 60.0, "plain": 25.0}
START_SECONDS, START_MB = 0.08, 20.0


class Goal(NamedTuple):
    """A goal and what was measured. least: the figure is to be at least the limit, not at most."""

    what: str
    value: float
    limit: float
    unit: str = "x"
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.value >= self.limit if self.least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.least else "<="
        return (
            f"{'met   ' if self.met else 'MISSED'}  {self.what}: {self.value:.3f} {self.unit} ({sign} {self.limit:g})"
        )


def case_goals(case: Case, engine: str, ratio: float, peak: float) -> list[Goal]:
    """An engine's goals for a case. ratio: of its CPU time to mawk's on the same log; peak: MB."""
    limit = (_CLEAN if case.clean else _DIFFICULT)[engine]
    return [
        Goal(f"{case.name}, {engine}, CPU to mawk's", ratio, limit),
        Goal(f"{case.name}, {engine}, peak", peak, _PEAK[engine], "MB"),
    ]
