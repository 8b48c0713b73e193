"""The programs that are measured: how each is started on a log, and how its sums are read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Callable

from tests.bench.cases import Case
from tests.bench.logs import Log
from tests.bench.measure import PYTHON
from tests.bench.sums import Sums, read_edgetally, read_rows

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).with_name("peers")
EDGETALLY = ROOT / "dist" / "edgetally.pyz"
ENGINES = ("numpy", "plain")

Command = Callable[[Log], Sequence[str]]


@dataclass(frozen=True)
class Program:
    """A program.

    name: for the command line; title: for the tables. read: its sums, from its standard output; None where it has none.
    cases: those that it can do. unlike: how its sums differ from the true ones on damaged logs, if they do; empty for a
    strict one. slow: it runs once. good: the exit codes that are no failure. version: the command that prints it.
    absent: why it cannot be run here, or empty.
    """

    name: str
    title: str
    command: Command
    version: Sequence[str]
    read: Callable[[Path], Sums] | None = read_rows
    cases: Callable[[Case], bool] = lambda case: True
    unlike: str = ""
    slow: bool = False
    good: tuple[int, ...] = (0,)
    absent: Callable[[], str] = lambda: ""


def awk(program: str, case: Case) -> list[str]:
    """The awk program for a case."""
    return [program, "-f", str(PEERS / "sums.awk"), "-f", str(PEERS / f"{case.layout}.awk")]


@dataclass(frozen=True)
class Edgetally:
    """The edgetally that is measured. pyz: its file."""

    pyz: Path = ROOT / "dist" / "edgetally.pyz"

    def command(self, *arguments: str) -> list[str]:
        """How cron and operators start it."""
        return [PYTHON, "-I", str(self.pyz), *arguments]

    def tally(self, log: Log, *options: str) -> list[str]:
        """`edgetally tally` on a log."""
        how = ["--log-format", log.case.log_format, "--output", "json", *options, str(log.path)]
        return self.command("tally", *how)

    def engine(self, engine: str) -> list[str]:
        """The options that choose an engine; none where there is only the plain one."""
        return ["--engine", engine] if self.has("--engine") else []

    def has(self, option: str) -> bool:
        """Whether its tally has an option."""
        return option in _tally_help(self)

    def program(self, engine: str) -> Program:
        """One of its engines, as a program to measure."""
        return Program(
            engine,
            f"edgetally {engine}",
            lambda log: self.tally(log, *self.engine(engine)),
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


def _missing(program: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(program, path="/usr/bin:/bin") else f"{program} is not installed"


_NO_VALIDATION = "it validates nothing: of damaged lines it counts some"


def _awk(program: str, *version: str) -> Program:
    return Program(
        program,
        program,
        lambda log: [*awk(program, log.case), str(log.path)],
        (program, *version),
        unlike=_NO_VALIDATION,
        absent=_missing(program),
    )


_SIMPLE = Program(
    "mawk-simple",
    "mawk, a simpler program",
    lambda log: ["mawk", "-f", str(PEERS / "simple.awk"), str(log.path)],
    ("mawk", "-W", "version"),
    cases=lambda case: case.layout == "nginx",
    unlike=_NO_VALIDATION,
    absent=_missing("mawk"),
)


def programs(edgetally: Edgetally) -> dict[str, Program]:
    """All programs by their names."""
    listed = (
        Program("wc", "wc -l (the floor)", lambda log: ["wc", "-l", str(log.path)], ("wc", "--version"), read=None),
        _awk("mawk", "-W", "version"),
        edgetally.program("numpy"),
        edgetally.program("plain"),
        _SIMPLE,
        _awk("gawk", "--version"),
    )
    return {program.name: program for program in listed}


def version_of(program: Program) -> str:
    """The first line of what a program says of its version."""
    found = subprocess.run(program.version, check=False, capture_output=True, text=True)
    return (found.stdout or found.stderr).strip().splitlines()[0]
