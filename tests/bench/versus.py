"""edgetally and the others on the logs of the cases."""

from __future__ import annotations

from tests.bench.cases import CASES, clean_one
from tests.bench.edgetally import ENGINES
from tests.bench.goals import Goal, case_goals
from tests.bench.peers import GOACCESS, MAWK
from tests.bench.rounds import Entry, measure
from tests.bench.session import Session, say

HEADING = ("program", "CPU s", "x mawk", "x mawk, clean log", "wall s", "peak MB", "M lines/s")
_ON_CLEAN = "mawk, on the clean log"


def versus(session: Session, name: str) -> None:
    """Measure all programs on the log of a case."""
    case = CASES[name]
    clean = session.log(clean_one(case).name)
    log = session.log(name, keep=[clean.path])
    found = {
        program.name: Entry(program.title, program, session.log_for(program, log))
        for program in session.programs
        if program.cases(case)
    }
    mawk = base = found[MAWK.name]
    if log.path != clean.path:
        base = found[_ON_CLEAN] = Entry(_ON_CLEAN, MAWK, clean)
    entries = list(found.values())
    measure(entries, session.runs, session.folder)
    session.keep(name, entries)
    session.show(
        name, f"{case.title}; {log.size / 1e6:.0f} MB", HEADING, [_row(entry, mawk, base) for entry in entries]
    )
    _notes(entries, mawk)
    for engine in (engine for engine in ENGINES if engine in found):
        session.goals += case_goals(case, engine, found[engine].ratio(mawk), found[engine].cost.peak)
    if GOACCESS.name in found and "kernel" in found:
        goaccess = found[GOACCESS.name]
        what = f"kernel cheaper than GoAccess's report of {goaccess.log.lines:,} lines"
        session.goals.append(Goal(what, goaccess.ratio(found["kernel"]), 250, least=True))


def _row(entry: Entry, mawk: Entry, base: Entry) -> list[str]:
    scale = mawk.log.lines / entry.log.lines
    return [
        entry.title + (" *" if scale != 1 else ""),
        f"{entry.cost.cpu * scale:.2f}",
        f"{entry.ratio(mawk):.2f}",
        f"{entry.ratio(base):.2f}",
        f"{entry.cost.wall * scale:.2f}",
        f"{entry.cost.peak:.0f}",
        f"{entry.log.lines / entry.cost.wall / 1e6:.2f}",
    ]


def _notes(entries: list[Entry], mawk: Entry) -> None:
    scaled = [entry for entry in entries if entry.log.lines != mawk.log.lines]
    if scaled:
        share = mawk.log.lines // scaled[0].log.lines
        say(f"\n    * one round on {scaled[0].log.lines:,} lines, time x {share}; the peak is of those lines")
    for entry in entries:
        if entry.note:
            say(f"    {entry.title}: {entry.note}")
