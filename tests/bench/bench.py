"""bin/bench: measures what edgetally costs beside other programs, in one run on one machine, and compares all sums."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench import logs
from tests.bench.cases import CASES, Case, clean_one
from tests.bench.goals import Goal, case_goals
from tests.bench.measure import BenchError
from tests.bench.programs import ENGINES, Edgetally, Program, programs, version_of
from tests.bench.rounds import REFERENCE, Entry, entries_for, measure
from tests.bench.table import table

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgetally" / "bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """0: measured, and all sums are true; 1: a goal is missed; 2: wrong use, a program failed or has wrong sums."""
    options = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="edgetally-bench-") as folder:
            return Bench(options, Path(folder)).run()
    except BenchError as error:
        print(f"bin/bench: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    known = programs(Edgetally())
    tally = commands.add_parser("tally", help="the tally of a log, beside other programs")
    tally.add_argument("--lines", type=int, default=1_500_000, metavar="N", help="lines of each log (%(default)s)")
    tally.add_argument("--runs", type=int, default=3, metavar="N", help="rounds; medians are shown (%(default)s)")
    tally.add_argument("--only", type=_names(known), default=list(known), metavar="PROGRAM,…", help=", ".join(known))
    tally.add_argument("--case", type=_names(CASES), default=list(CASES), metavar="CASE,…", help=", ".join(CASES))
    tally.add_argument("--edgetally", type=Path, default=Edgetally.pyz, metavar="FILE", help="another edgetally.pyz")
    tally.add_argument("--out", type=Path, metavar="FILE", help="write all figures as JSON")
    return parser


def _names(known: Sequence[str] | dict[str, Any]) -> Any:
    def split(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no '{name}': it is one of {', '.join(known)}")
        return names

    return split


class Bench:
    """A run. folder: where the programs run and write."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options, self._folder = options, folder
        self._goals: list[Goal] = []
        self._figures: dict[str, Any] = {}
        self._edgetally = Edgetally(options.edgetally.absolute())
        self._programs = self._wanted()

    def run(self) -> int:
        """Measure all that was asked for, and print it."""
        self._machine()
        for name in self._options.case:
            self._case(CASES[name])
        _say("\n## Goals\n")
        for goal in self._goals:
            _say(f"    {goal}")
        if self._options.out:
            self._figures["goals"] = [{**goal._asdict(), "met": goal.met} for goal in self._goals]
            self._options.out.write_text(json.dumps(self._figures, indent=1) + "\n", encoding="utf-8")
        return 0 if all(goal.met for goal in self._goals) else 1

    def _wanted(self) -> list[Program]:
        """The programs asked for that can be run here; the reference always is one."""
        wanted = []
        for program in programs(self._edgetally).values():
            if program.name not in (*self._options.only, REFERENCE):
                continue
            absent = program.absent()
            if absent:
                _say(f"skipped: {program.title}: {absent}")
            else:
                wanted.append(program)
        return wanted

    def _machine(self) -> None:
        versions = {program.title: version_of(program) for program in self._programs}
        self._figures.update(cpu=_cpu(), lines=self._options.lines, runs=self._options.runs, versions=versions)
        _say(
            f"{_cpu()}, {os.cpu_count()} CPUs; {self._options.lines:,} lines over an hour, {self._options.runs} rounds"
        )
        for text in dict.fromkeys(versions.values()):
            _say(f"    {text}")

    def _case(self, case: Case) -> None:
        clean = logs.make(clean_one(case), self._options.lines, CACHE)
        log = logs.make(case, self._options.lines, CACHE, keep=[clean.path])
        entries = entries_for(log, clean, self._programs)
        measure(entries, self._options.runs, self._folder)
        mawk, base = (next(e for e in found if e.program.name == REFERENCE) for found in (entries, entries[::-1]))
        _say(f"\n## {case.name}: {case.title}; {log.size / 1e6:.0f} MB\n")
        heading = ["program", "CPU s", "x mawk", "x mawk clean", "wall s", "peak MB", "M lines/s"]
        rows = [_row(entry, mawk, base) for entry in entries]
        _say(table([heading, *rows]))
        for entry in entries:
            if entry.note:
                _say(f"    {entry.title}: {entry.note}")
            if entry.program.name in ENGINES:
                self._goals += case_goals(case, entry.program.name, entry.cost, mawk.cost)
        self._figures.setdefault("cases", {})[case.name] = {
            entry.title: {**entry.cost._asdict(), "lines": entry.log.lines, "all": entry.costs} for entry in entries
        }


def _row(entry: Entry, mawk: Entry, base: Entry) -> list[str]:
    cost, star = entry.cost, "" if entry.log.lines == mawk.log.lines else " *"
    return [
        entry.title + star,
        f"{entry.per_line * mawk.log.lines:.2f}",
        f"{entry.per_line / mawk.per_line:.2f}",
        f"{entry.per_line / base.per_line:.2f}",
        f"{cost.wall * mawk.log.lines / entry.log.lines:.2f}",
        f"{cost.peak:.0f}",
        f"{entry.log.lines / cost.wall / 1e6:.2f}",
    ]


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
