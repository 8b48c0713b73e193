"""The goals: what edgetally may cost, mostly as a ratio to mawk's CPU seconds in the same run on the same log."""

from __future__ import annotations

from typing import NamedTuple

from tests.bench.cases import Case

_CPU = {"kernel": 0.36, "reference": 4.0}
_PEAK = {"kernel": 16.0, "reference": 25.0}
_MANY_HOSTS_PEAK, _FEW_HOSTS = 25.0, 100
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
    most = _PEAK[engine] if case.hosts <= _FEW_HOSTS else _MANY_HOSTS_PEAK
    return [
        Goal(f"{case.name}, {engine}, CPU to mawk's", ratio, _CPU[engine]),
        Goal(f"{case.name}, {engine}, peak", peak, most, "MB"),
    ]
