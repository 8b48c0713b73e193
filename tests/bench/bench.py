"""bin/bench: measures what edgetally costs beside other programs, in one run on one machine, and compares all sums."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tests.bench import playbook
from tests.bench.cases import CASES
from tests.bench.edgetally import ENGINES, Edgetally
from tests.bench.measure import BenchError
from tests.bench.parts import PARTS
from tests.bench.peers import MAWK, PEERS, WC
from tests.bench.program import Program
from tests.bench.session import Session, conclude, say
from tests.bench.versus import versus


def main(arguments: Sequence[str] | None = None) -> int:
    """0: measured, and all goals are met; 1: a goal is missed; 2: wrong use, a program failed or has wrong sums."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BenchError as error:
        print(f"bin/bench: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    tally = commands.add_parser("tally", help="the tally of a log, beside other programs")
    programs, measures = [program.name for program in _programs(Edgetally())], [*CASES, *PARTS]
    tally.add_argument("--lines", type=int, default=1_500_000, metavar="N", help="lines of each log (%(default)s)")
    tally.add_argument("--runs", type=int, default=3, metavar="N", help="rounds; medians are shown (%(default)s)")
    tally.add_argument("--only", type=_some(programs), default=programs, metavar="PROGRAM,…", help=", ".join(programs))
    tally.add_argument("--case", type=_some(measures), default=measures, metavar="CASE,…", help=", ".join(measures))
    tally.add_argument("--long", action="store_true", help="slow programs on all lines, and a log of ten times as many")
    tally.set_defaults(run=_tally)
    rollout = commands.add_parser("playbook", help="where the time of a playbook is, task by task")
    rollout.add_argument("playbook", metavar="PLAYBOOK", help="it changes what it changes")
    rollout.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="as for ansible-playbook")
    rollout.set_defaults(run=lambda options: playbook.main([options.playbook, *options.arguments]))
    aggregate = commands.add_parser("aggregate", help="a fleet's batches, beside what the database alone needs")
    aggregate.add_argument("--runs", type=int, default=3, metavar="N", help="rounds; medians are shown (%(default)s)")
    aggregate.add_argument(
        "--edges", type=_sizes, default=[100, 1_000, 10_000], metavar="N,…", help="sizes of the fleet (100,1000,10000)"
    )
    aggregate.add_argument(
        "--hours",
        type=int,
        default=0,
        metavar="N",
        help="only a fleet that is so far behind, once; 1,000 of 72 take 12 min",
    )
    aggregate.set_defaults(run=_aggregate)
    report = commands.add_parser("report", help="the bill of a month, beside what the database needs to add it up")
    report.add_argument("--runs", type=int, default=3, metavar="N", help="rounds; medians are shown (%(default)s)")
    report.add_argument("--channels", type=int, default=1_000, metavar="N", help="channels (%(default)s)")
    report.set_defaults(run=_report)
    wire = commands.add_parser("wire", help="jobs to a job server and back, over plain TCP and over TLS")
    wire.add_argument("--runs", type=int, default=5, metavar="N", help="rounds; medians are shown (%(default)s)")
    wire.add_argument("--jobs", type=int, default=3_000, metavar="N", help="jobs of a round (%(default)s)")
    wire.set_defaults(run=_wire)
    for command in (tally, aggregate, report, wire):
        command.add_argument("--edgetally", type=Path, default=Edgetally.pyz, metavar="FILE", help="another .pyz")
        command.add_argument("--out", type=Path, metavar="FILE", help="write all figures as JSON")
    return parser


def _sizes(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _tally(options: argparse.Namespace) -> int:
    edgetally = Edgetally(options.edgetally.absolute())
    with tempfile.TemporaryDirectory(prefix="edgetally-bench-") as folder:
        programs = _usable(_programs(edgetally), options.only)
        return _run(Session(Path(folder), edgetally, programs, options.lines, options.runs, options.long), options)


def _aggregate(options: argparse.Namespace) -> int:
    from tests.bench import aggregate  # needs the libraries of the program; the tally's bench does not

    say(f"{_cpu()}, {os.cpu_count()} CPUs; medians of {options.runs} rounds")
    return aggregate.main(options)


def _report(options: argparse.Namespace) -> int:
    from tests.bench import report  # as above

    say(f"{_cpu()}, {os.cpu_count()} CPUs; medians of {options.runs} rounds")
    return report.main(options)


def _wire(options: argparse.Namespace) -> int:
    from tests.bench import wire  # as above

    say(f"{_cpu()}, {os.cpu_count()} CPUs; medians of {options.runs} rounds")
    return wire.main(options)


def _some(known: Collection[str]) -> Any:
    """What reads an option's value: names with commas between them."""

    def split(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no '{name}': it is one of {', '.join(known)}")
        return names

    return split


def _programs(edgetally: Edgetally) -> list[Program]:
    """All programs, in the order of the tables."""
    return [WC, MAWK, *map(edgetally.program, ENGINES), *(peer for peer in PEERS if peer not in (WC, MAWK))]


def _usable(programs: Sequence[Program], names: Collection[str]) -> list[Program]:
    """The programs asked for that can be run here; the reference always is one."""
    wanted = []
    for program in programs:
        if program.name in names or program is MAWK:
            absent = program.absent()
            if absent and program is MAWK:
                raise BenchError(f"{absent}: all ratios are to it, so install it")
            if absent:
                say(f"skipped: {program.title}: {absent}")
            else:
                wanted.append(program)
    return wanted


def _run(session: Session, options: argparse.Namespace) -> int:
    """Measure all that was asked for, and print it."""
    versions = {program.title: program.shown_version for program in session.programs}
    session.figures.update(cpu=_cpu(), lines=session.lines, runs=session.runs, versions=versions)
    say(f"{_cpu()}, {os.cpu_count()} CPUs; {session.lines:,} lines over one hour; medians of {session.runs} rounds")
    for text in dict.fromkeys(versions.values()):
        say(f"    {text}")
    for name in options.case:
        if name in CASES:
            versus(session, name)
        else:
            PARTS[name](session)
    return conclude(session.goals, session.figures, options.out)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    sys.exit(main())
