"""What a command costs: CPU seconds of it and all its children, wall seconds, peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PYTHON = "/usr/bin/python3"
_LAUNCH = Path(__file__).with_name("launch.py")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class BenchError(Exception):
    """A program that failed, or found other sums: one sentence."""


class Cost(NamedTuple):
    """cpu: user and system seconds; wall: seconds; peak: MB, of the biggest of its processes."""

    cpu: float
    wall: float
    peak: float


def run(
    command: Sequence[str], folder: Path, *, good: Sequence[int] = (0,), environment: Mapping[str, str] | None = None
) -> Cost:
    """Run a command; its output goes to folder/stdout and folder/stderr. good: the exit codes that are no failure.

    Raises BenchError for any other exit code.
    """
    report, output, errors = folder / "report", folder / "stdout", folder / "stderr"
    own = {**_ENVIRONMENT, "HOME": str(folder), **(environment or {})}
    launch = [PYTHON, "-I", "-S", str(_LAUNCH), str(report), str(output), str(errors)]
    subprocess.run([*launch, *command], check=True, env=own, cwd=folder)
    cpu, wall, peak, code = report.read_text(encoding="ascii").split()
    if int(code) not in good:
        last = (errors.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise BenchError(f"{' '.join(command)} ended with {code}: {last}")
    return Cost(float(cpu), float(wall), int(peak) / 1024)


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(*(statistics.median(column) for column in zip(*costs)))


def read_ahead(path: Path) -> None:
    """Bring a file into the page cache, so that the first program does not pay for the disk."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while file.read(8 << 20):
            pass
