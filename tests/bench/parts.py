"""What else is measured of edgetally, against itself: options, more lines, and the start."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.bench import logs
from tests.bench.cases import CASES, SPAN
from tests.bench.columns import hosts
from tests.bench.goals import START_MB, START_SECONDS, Goal
from tests.bench.logs import Cells, Log, Truth
from tests.bench.measure import BenchError, median, run
from tests.bench.program import Program
from tests.bench.rounds import Entry, measure
from tests.bench.session import CACHE, Session, say
from tests.bench.sums import Sums, read_edgetally

HEADING = ("edgetally", "CPU s", "wall s", "peak MB", "ratio")
RULES = 5000
_FEW_LINES = 10
_CHANNELS = 100


def spread(session: Session) -> None:
    """--spread costs next to nothing."""
    log = session.log("clean")

    def with_spread(engine: str) -> Program:
        return _variant(session, engine, "--spread", read=_without_peaks)

    _pairs(session, "spread", "--spread beside none; clean log", log, with_spread, limit=1.05)


def spread_rules(session: Session) -> None:
    """--spread costs next to nothing, also with thousands of channel rules."""
    log = session.log("hosts5000")
    path = session.folder / "spread-rules.json"
    path.write_text(json.dumps([{"channel": host, "host": host} for host in hosts(log.case.hosts)]), encoding="utf-8")
    rules = ("--channels", str(path))

    def without(engine: str) -> Program:
        return _variant(session, engine, *rules, title=f"{engine}, {RULES:,} rules")

    def with_spread(engine: str) -> Program:
        return _variant(session, engine, *rules, "--spread", title=f"{engine}, the same, --spread", read=_without_peaks)

    title = f"--spread beside none, {RULES:,} rules by host; log of 5,000 hosts"
    _pairs(session, "spread-rules", title, log, with_spread, limit=1.05, base=without)


def _without_peaks(path: Path) -> Sums:
    """Bytes move between slots, so peaks differ from those of the lines' ends; the sums of a channel must not."""
    return replace(read_edgetally(path), peaks=None)


def jobs(session: Session) -> None:
    """--jobs 2 is faster, and prints the same, numbers of rejected lines included."""
    log, texts = session.log("malformed"), dict[str, str]()
    pinned, where = _two_cores()

    def kept(title: str) -> Callable[[Path], Sums]:
        def read(path: Path) -> Sums:
            texts[title] = path.read_text(encoding="utf-8")
            return read_edgetally(path)

        return read

    for engine in _able(session, "jobs", "--jobs"):
        programs = [_variant(session, engine, "--jobs", count) for count in ("1", "2")]
        entries = [Entry(p.title, replace(_started(pinned, p), read=kept(p.title)), log) for p in programs]
        measure(entries, session.runs, session.folder)
        one, two = entries
        if texts[one.title] != texts[two.title]:
            raise BenchError(f"{two.title} prints something else than {one.title} for {log.path.name}")
        session.keep(f"jobs, {engine}", entries)
        times = one.ratio(two, "wall")
        rows = [_row(one, 1.0), _row(two, times)]
        session.show("jobs", f"--jobs 2 beside 1, {engine}, {where}; malformed log; ratio of wall times", HEADING, rows)
        session.goals.append(Goal(f"--jobs 2, {engine}, faster, {where}", times, 1.8, least=True))


def _two_cores() -> tuple[list[str], str]:
    """What pins a program to two real cores, and where that is; nothing where the machine shows no two."""
    cores: dict[str, int] = {}
    for number in sorted(os.sched_getaffinity(0)):
        folder = Path(f"/sys/devices/system/cpu/cpu{number}/topology")
        with suppress(OSError):
            place = "/".join((folder / name).read_text() for name in ("physical_package_id", "core_id"))
            cores.setdefault(place, number)
    chosen = ",".join(map(str, list(cores.values())[:2]))
    if "," not in chosen:
        return [], "not pinned: no two real cores"
    return ["taskset", "--cpu-list", chosen], f"on the cores {chosen}"


def _started(by: Sequence[str], program: Program) -> Program:
    """A program that is started by another."""
    return replace(program, command=lambda log: [*by, *program.command(log)])


def rules(session: Session) -> None:
    """Thousands of channel rules cost as much as one."""
    log = session.log("hosts5000")
    names = hosts(CASES["hosts5000"].hosts)
    few = [{"channel": "com", "host": "*.example.com"}]
    unmatched = [{"channel": "never", "host": f"*.n{number}.example.edu"} for number in range(RULES - len(names) + 500)]
    many = [*unmatched, *({"channel": f"c{n % _CHANNELS}", "host": host} for n, host in enumerate(names[:-500]))]
    channels = {host: f"c{n % _CHANNELS}" for n, host in enumerate(names[:-500])}

    def with_rules(title: str, listed: Sequence[object], channel_of: Callable[[str], str]) -> Callable[[str], Program]:
        path = session.folder / f"{len(listed)}-rules.json"
        path.write_text(json.dumps(listed), encoding="utf-8")
        return lambda engine: replace(
            _variant(session, engine, "--channels", str(path)),
            title=f"{engine}, {title}",
            truth=lambda log: _by_channel(log.truth, channel_of),
        )

    one = with_rules("1 rule", few, lambda host: "com" if host.endswith(".example.com") else "unassigned")
    all_rules = with_rules(f"{len(many):,} rules", many, lambda host: channels.get(host, "unassigned"))
    title = f"{len(many):,} channel rules beside one; log of 5,000 hosts"
    _pairs(session, "rules", title, log, all_rules, limit=1.1, base=one)


def flat(session: Session) -> None:
    """A line costs the same in a longer log, the start subtracted, and memory does not grow with it."""
    found: dict[str, list[Entry]] = {engine: [] for engine in session.engines}
    starts = _starts(session, found)
    for lines in (session.lines // 10, session.lines):
        _add_longer(session, found, session.log("clean", lines, span=SPAN * lines // session.lines), session.runs)
    if session.long:
        _add_longest(session, found)
    for engine, entries in found.items():
        first, last, start = entries[0], entries[-1], starts[engine].cost.cpu
        costs = [max(1e-9, (entry.cost.cpu - start) / entry.log.lines) for entry in entries]
        rows = [[*_row(entry, cost / costs[0]), f"{cost * 1e9:.0f}"] for entry, cost in zip(entries, costs)]
        session.keep(f"flat, {engine}", [starts[engine], *entries])
        title = f"longer logs, {engine}, which takes {start:.3f} s to start; CPU a line without that"
        session.show("flat", title, [*HEADING, "ns/line"], rows)
        what = f"a line's cost, {engine}, from {first.log.lines:,} to {last.log.lines:,} lines, most to least"
        session.goals.append(Goal(what, max(costs) / min(costs), 1.1))


def _starts(session: Session, engines: Iterable[str]) -> dict[str, Entry]:
    """What each engine costs on a log of almost nothing."""
    log = session.log("clean", _FEW_LINES)
    entries = {name: Entry(f"{name}, its start", session.edgetally.program(name), log) for name in engines}
    measure(list(entries.values()), max(5, session.runs), session.folder)
    return entries


def _add_longer(session: Session, found: dict[str, list[Entry]], log: Log, runs: int) -> None:
    """Measure the engines on a log, and add that to what was found of shorter ones."""
    entries = [Entry(f"{name}, {log.lines:,} lines", session.edgetally.program(name), log) for name in found]
    measure(entries, runs, session.folder)
    for entry in entries:
        found[entry.program.name].append(entry)


def _add_longest(session: Session, found: dict[str, list[Entry]]) -> None:
    """The same once, on a log that is bigger than all that the cache may hold, and is not kept."""
    folder = CACHE / "longest"
    try:
        log = logs.make(CASES["clean"], session.lines * 10, folder, span=SPAN * 10)
        _add_longer(session, found, log, 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(session: Session) -> None:
    """A run of cron's that has nothing to do costs next to nothing. The program is started by its own first line.

    `ship` rotates an empty log, publishes the batch, and finds no job server: all steps, and no wait for others.
    """
    folder = session.folder / "edge"
    config, batches = str(_edge(folder)), folder / "spool" / "outbox"
    program = shutil.copy(session.edgetally.pyz, folder)  # a checkout may lie where the user cannot reach it
    ship, status = [], []
    for number in range(1, max(15, session.runs) + 2):
        (folder / "access.log").touch()
        ship.append(run([str(program), "ship", "--config", config, "--now"], session.folder, good=(1,)))
        _has_shipped(session.folder / "stderr", batches, number)
        metrics = ["status", "--config", config, "--metrics", str(folder / "edge.prom")]
        status.append(run([str(program), *metrics], session.folder))
    cost, other = median(ship[1:]), median(status[1:])  # the first makes the spool
    session.figures.setdefault("measures", {})["start"] = {"ship": cost._asdict(), "status": other._asdict()}
    rows = [
        [title, f"{one.cpu:.3f}", f"{one.wall:.3f}", f"{one.peak:.0f}", f"{one.cpu / cost.cpu:.2f}"]
        for title, one in (("ship, empty log", cost), ("status --metrics", other))
    ]
    session.show("start", f"runs of cron's with nothing to do, median of {len(ship) - 1}", HEADING, rows)
    session.goals.append(Goal("ship, empty log, CPU", cost.cpu, START_SECONDS, "s"))
    session.goals.append(Goal("ship, empty log, peak", cost.peak, START_MB, "MB"))
    shutil.rmtree(folder)


def _has_shipped(errors: Path, batches: Path, count: int) -> None:
    """Raise BenchError unless the run has made its batch, and failed at the job server and nowhere else."""
    said, found = errors.read_text(encoding="utf-8").strip(), len(list(batches.iterdir()))
    if found != count or not said.startswith("edgetally: no job server took") or "\n" in said:
        raise BenchError(f"ship on an empty log has made {found} of {count} batches, and said: {said or 'nothing'}")


def _edge(folder: Path) -> Path:
    """An edge's configuration: one nginx log, a job server's port that nobody listens on, and as on edges, a user."""
    folder.mkdir()
    for path in (folder.parent, folder):
        path.chmod(0o711)  # the user must reach the spool
    channels = folder / "channels.json"
    channels.write_text(json.dumps([{"channel": "all", "host": "*.example.com"}]), encoding="utf-8")
    log = {"name": "access", "path": str(folder / "access.log"), "server": "nginx", "reopen": "true"}
    edge = {
        "edge": "bench",
        "user": "nobody" if os.geteuid() == 0 else "",
        "key_id": "0" * 8,
        "key": "0" * 64,
        "job_servers": ["127.0.0.1:1"],
        "channels": str(channels),
        "spool": str(folder / "spool"),
        "logs": [{**log, "format": CASES["clean"].log_format}],
    }
    path = folder / "edge.json"
    path.write_text(json.dumps(edge), encoding="utf-8")
    return path


# --------------------------------------------------------------------------------------------------------------------
# What they share


def _able(session: Session, name: str, option: str) -> list[str]:
    """The engines, if this edgetally has the option; else say that the part is left out."""
    if session.edgetally.has(option):
        return session.engines
    say(f"\nskipped: {name}: this edgetally has no {option}")
    return []


def _variant(
    session: Session, engine: str, *options: str, title: str = "", read: Callable[[Path], Sums] = read_edgetally
) -> Program:
    """An engine with options, which are its title where there is no other."""
    program, title = session.edgetally.program(engine), title or f"{engine}, {' '.join(options)}"
    return replace(program, title=title, command=lambda log: session.edgetally.tally(log, engine, *options), read=read)


def _pairs(
    session: Session,
    name: str,
    title: str,
    log: Log,
    changed: Callable[[str], Program],
    *,
    limit: float,
    base: Callable[[str], Program] | None = None,
) -> None:
    """Measure each engine in two ways, in turn. base: the cheaper way; without, the engine as it is."""
    for engine in _able(session, name, f"--{name}" if base is None else "--channels"):
        programs = [(base or session.edgetally.program)(engine), changed(engine)]
        entries = [Entry(program.title, program, log) for program in programs]
        measure(entries, session.runs, session.folder)
        ratio = entries[1].ratio(entries[0])
        session.keep(f"{name}, {engine}", entries)
        session.show(name, title, HEADING, [_row(entries[0], 1.0), _row(entries[1], ratio)])
        session.goals.append(Goal(f"{name}, {engine}, CPU", ratio, limit))


def _row(entry: Entry, ratio: float) -> list[str]:
    cost = entry.cost
    return [entry.title, f"{cost.cpu:.2f}", f"{cost.wall:.2f}", f"{cost.peak:.0f}", f"{ratio:.2f}"]


def _by_channel(truth: Truth, channel_of: Callable[[str], str]) -> Truth:
    """True sums by channel instead of by host."""
    cells: Cells = {}
    for (slot, host), sums in truth.cells.items():
        cell = cells.setdefault((slot, channel_of(host)), [0, 0, 0, 0])
        for place, value in enumerate(sums):
            cell[place] += value
    return Truth(truth.lines, truth.rejected, cells)


PARTS: dict[str, Callable[[Session], None]] = {
    "spread": spread,
    "spread-rules": spread_rules,
    "rules": rules,
    "jobs": jobs,
    "flat": flat,
    "start": start,
}
