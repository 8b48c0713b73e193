"""A program that is measured: how it is started on a log, and how its sums are read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from tests.bench.cases import Case
from tests.bench.logs import Log, Truth
from tests.bench.sums import Sums, read_rows

_PATH = "/usr/bin:/bin"


@dataclass(frozen=True)
class Program:
    """A program.

    name: for the command line; title: for the tables. version: the command that prints it. read: its sums, from its
    standard output; None where it has none. truth: what they should be. cases: those that it can do. unlike: how its
    sums differ from the true ones on damaged logs, if they do; empty for a strict one. slow: it runs once, on a part of
    the lines. good: the exit codes that are no failure. absent: why it cannot be run here, or empty.
    """

    name: str
    title: str
    command: Callable[[Log], Sequence[str]]
    version: Sequence[str] = ()
    read: Callable[[Path], Sums] | None = read_rows
    truth: Callable[[Log], Truth] = lambda log: log.truth
    cases: Callable[[Case], bool] = lambda case: True
    unlike: str = ""
    slow: bool = False
    good: tuple[int, ...] = (0,)
    absent: Callable[[], str] = lambda: ""

    @property
    def shown_version(self) -> str:
        """The first line of what it says of its version."""
        found = subprocess.run(self.version, check=False, capture_output=True, text=True)
        return next((line for line in (found.stdout + found.stderr).splitlines() if line.strip()), "unknown version")


def missing(program: str) -> Callable[[], str]:
    """Whether a program is installed, as `Program.absent` says it."""
    return lambda: "" if shutil.which(program, path=_PATH) else f"{program} is not installed"
