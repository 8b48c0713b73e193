"""What all measures of one run share: its options, its programs, and what was found."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import logs
from tests.bench.cases import CASES, SPAN
from tests.bench.edgetally import ENGINES, Edgetally
from tests.bench.goals import Goal
from tests.bench.logs import Log
from tests.bench.program import Program
from tests.bench.rounds import Entry
from tests.bench.table import table

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgetally" / "bench"
SLOW_SHARE = 5  # slow programs read a fifth of the lines
_SLOW_LINES = 500_000  # of a log that is shorter they read all


@dataclass
class Session:
    """One run. folder: where programs run and write. figures: all that was measured, for --out."""

    folder: Path
    edgetally: Edgetally
    programs: Sequence[Program]
    lines: int
    runs: int
    long: bool
    goals: list[Goal] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def engines(self) -> list[str]:
        """The engines that are asked for and can be run."""
        return [program.name for program in self.programs if program.name in ENGINES]

    def log(self, case: str, lines: int = 0, *, span: int = SPAN, keep: Collection[Path] = ()) -> Log:
        """The log of a case. lines: as the options say, where none are given."""
        return logs.make(CASES[case], lines or self.lines, CACHE, span, keep)

    def log_for(self, program: Program, log: Log) -> Log:
        """The log that a program reads in place of this one: slow ones read a shorter one, but for --long."""
        if not program.slow or self.long or log.lines < _SLOW_LINES:
            return log
        return self.log(log.case.name, log.lines // SLOW_SHARE, keep=[log.path])

    def show(self, name: str, title: str, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table."""
        say(f"\n## {name}: {title}\n\n{table([heading, *rows])}")

    def keep(self, name: str, entries: Sequence[Entry]) -> None:
        """Keep the figures of some entries."""
        rows = [
            {"program": e.title, "log": e.log.case.name, "lines": e.log.lines, **e.cost._asdict(), "rounds": e.costs}
            for e in entries
        ]
        self.figures.setdefault("measures", {})[name] = rows


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def conclude(goals: Sequence[Goal], figures: dict[str, Any], out: Path | None) -> int:
    """Print the goals, and write all figures to out. 0: all are met; 1: one is missed."""
    say("\n## Goals\n")
    for goal in goals:
        say(f"    {goal}")
    if out:
        figures["goals"] = [{**goal._asdict(), "met": goal.met} for goal in goals]
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if all(goal.met for goal in goals) else 1
