"""The edgetally that is measured."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.bench.logs import Log
from tests.bench.measure import PYTHON
from tests.bench.program import Program
from tests.bench.sums import read_edgetally

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("kernel", "reference")


@dataclass(frozen=True)
class Edgetally:
    """An edgetally. pyz: its file."""

    pyz: Path = ROOT / "dist" / "edgetally.pyz"

    def command(self, *arguments: str) -> list[str]:
        """How cron and operators start it."""
        return [PYTHON, "-I", str(self.pyz), *arguments]

    def tally(self, log: Log, engine: str, *options: str) -> list[str]:
        """`edgetally tally` on a log, by one of its engines; older versions have but one."""
        chosen = ["--engine", engine] if self.has("--engine") else []
        rules = ["--channels", str(log.rules)] if log.case.paths else []
        how = ["--log-format", log.case.log_format, "--output", "json", *rules, *chosen, *options, str(log.path)]
        return self.command("tally", *how)

    def has(self, option: str) -> bool:
        """Whether its tally has an option."""
        return option in _tally_help(self)

    def program(self, engine: str) -> Program:
        """One of its engines, as a program to measure."""
        return Program(
            engine,
            f"edgetally {engine}",
            lambda log: self.tally(log, engine),
            self.command("--version"),
            read_edgetally,
            good=(0, 1),
        )


@cache
def _tally_help(program: Edgetally) -> str:
    command = program.command("tally", "--help")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
