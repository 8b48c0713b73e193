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
ENGINES = ("numpy", "plain")


@dataclass(frozen=True)
class Edgetally:
    """An edgetally. pyz: its file."""

    pyz: Path = ROOT / "dist" / "edgetally.pyz"

    def command(self, *arguments: str) -> list[str]:
        """How cron and operators start it."""
        return [PYTHON, "-I", str(self.pyz), *arguments]

    def tally(self, log: Log, engine: str, *options: str) -> list[str]:
        """`edgetally tally` on a log, by one of its engines; the plain one is the only one of older versions."""
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
            absent=self._no_numpy if engine == "numpy" else lambda: "",
        )

    def _no_numpy(self) -> str:
        if not self.has("--engine"):
            return "this edgetally has no --engine"
        found = subprocess.run([PYTHON, "-I", "-c", "import numpy"], check=False, capture_output=True)
        return "Debian's python3-numpy is not installed" if found.returncode else ""


@cache
def _tally_help(program: Edgetally) -> str:
    command = program.command("tally", "--help")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
