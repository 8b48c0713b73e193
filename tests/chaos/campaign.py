"""bin/chaos: a seeded schedule of faults, then the verdict."""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.chaos import faults
from tests.chaos.mutants import MUTANTS
from tests.chaos.oracle import TOLD_BESIDE, Verdict, judge
from tests.chaos.world import World

EDGES = 3
SETTLE_SECONDS = 120.0
END_SECONDS = 20.0
PAUSE_SECONDS = 0.3  # between two faults of a victim, in the mean


def schedule(seed: int, number: int, kinds: Sequence[str]) -> Iterator[tuple[float, str, str]]:
    """(seconds to wait, kind, the fault's own seed): the same for the same arguments."""
    chance = random.Random(f"schedule {seed}")
    weights = [faults.KINDS[kind].weight for kind in kinds]
    for index in range(number):
        (kind,) = chance.choices(kinds, weights)
        yield chance.expovariate(1 / PAUSE_SECONDS), kind, f"{seed} {index}"


def campaign(seed: int, number: int, kinds: Sequence[str], mutant: str = "", keep: Path | None = None) -> Verdict:
    """Run one, and print what happened. keep: a folder that gets what is needed to look for a cause."""
    started = time.monotonic()
    if mutant:
        MUTANTS[mutant].put_in()  # the bill is read here
    with tempfile.TemporaryDirectory(prefix="et-chaos-") as folder, World(seed, Path(folder), EDGES, mutant) as world:
        world.start()
        _break(world, list(schedule(seed, number, kinds)))
        left = world.settle(SETTLE_SECONDS)
        verdict = judge(world)
        if left:
            verdict.problems.append(f"not all was delivered {SETTLE_SECONDS:g} s after the last fault: {left[:5]}")
        late = world.counts.get(faults.LATE_TAKEOVER, 0)
        if late:
            verdict.problems.append(f"{late} takeovers took longer than {faults.TAKEOVER_SECONDS:g} s")
        _print(world, verdict, time.monotonic() - started)
        if not verdict.good:
            _show_logs(Path(folder))
            if keep:
                _keep(world, keep)
    return verdict


def _break(world: World, plan: Sequence[tuple[float, str, str]]) -> None:
    """All faults: those of each victim in their order, in a thread of its own."""

    def suffer(victim: str) -> None:
        for pause, kind, seed in plan:
            if faults.KINDS[kind].victim == victim and not world.ending.wait(pause):
                faults.run(world, kind, seed)

    victims = {kind.victim for kind in faults.KINDS.values()}
    threads = [threading.Thread(target=suffer, args=(victim,), daemon=True) for victim in victims]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:  # what a fault starts while all is being ended would be left behind
        world.ending.set()
        for thread in threads:
            thread.join(END_SECONDS)


def _print(world: World, verdict: Verdict, seconds: float) -> None:
    ran = {what: number for what, number in world.counts.items() if what.startswith("fault: ")}
    print(f"seed {world.seed}: {sum(ran.values())} faults in {seconds:.0f} s")
    for what, number in sorted(ran.items()):
        print(f"    {number:5}  {what.removeprefix('fault: ')}")
    idle = sum(number for what, number in world.counts.items() if what.startswith("idle: "))
    print(f"    {idle:5}  more that found nothing to break")
    batches = world.mariadb.sql("SELECT COUNT(*) FROM batch", "edgetally").strip()
    refused = world.mariadb.sql("SELECT reason, COUNT(*) FROM quarantine GROUP BY 1", "edgetally").splitlines()
    times = f", at most {max(world.takeovers):.1f} s" if world.takeovers else ""
    print(
        f"runs of ship {sum(cache.runs for cache in world.caches)}, batches {batches}, takeovers "
        f"{len(world.takeovers)}{times}, later than {faults.TAKEOVER_SECONDS:g} s "
        f"{world.counts.get(faults.LATE_TAKEOVER, 0)}, without a database all the while "
        f"{world.counts.get(faults.NO_TAKEOVER, 0)}, "
        f"COMMITs lost {world.proxy.commits_lost}, times told beside the logs {world.counts.get(TOLD_BESIDE, 0)}"
    )
    print(
        f"quarantined {', '.join(line.replace(chr(9), ' ') for line in refused) or 'nothing'}; "
        f"lost lines whose moment the bill calls missing {verdict.missing}, counted ones {verdict.needless}, in gaps "
        f"of together {verdict.gaps:.0f} s"
    )
    for problem in verdict.problems[:40]:
        print(f"WRONG: {problem}")
    print(f"lines {verdict.written}: lost {verdict.lost}, doubled {verdict.doubled}, misplaced {verdict.misplaced}")


def _show_logs(folder: Path) -> None:
    """Show what the programs said, for whoever looks for the cause."""
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in list(dict.fromkeys(line for line in lines if not line.startswith("-- ")))[-8:]:
            print(f"    {log.relative_to(folder)}: {line}")


def _keep(world: World, folder: Path) -> None:
    """Copy the edges, what happened to them, and the ledger's tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for machine in world.machines:
        ignore = shutil.ignore_patterns("copy", "away", "reopen-*")
        shutil.copy(machine.folder.with_suffix(".ship.log"), folder)
        shutil.copytree(machine.folder, folder / machine.folder.name, symlinks=True, ignore=ignore, dirs_exist_ok=True)
    history = [f"{moment:.3f} {moment - world.began:8.3f} {who}: {what}\n" for moment, who, what in world.history]
    (folder / "history").write_text("".join(history))
    for name, query in {
        "batch": "SELECT s.name, LOWER(HEX(generation)), seq, revision, covers_from, covers_to, continuity, log, "
        "`lines`, state, UNIX_TIMESTAMP(committed_at) FROM batch JOIN stream s ON s.id = stream_id ORDER BY 1, 6",
        "quarantine": "SELECT reason, detail, stream, UNIX_TIMESTAMP(first_seen), count FROM quarantine ORDER BY 4",
    }.items():
        (folder / f"{name}.tsv").write_text(world.mariadb.sql(query, "edgetally"))


def main(arguments: Sequence[str] | None = None) -> int:
    """0: the bill was right; 1: it was not; 2: wrong use."""
    parser = argparse.ArgumentParser(prog="bin/chaos", description=__doc__)
    parser.add_argument("--seed", type=int, metavar="S", help="1, or the one that is known to find the mutant")
    parser.add_argument("--faults", type=int, metavar="N", help="100, or as many as the mutant needs")
    parser.add_argument("--kinds", default="", metavar="KIND,…", help="only these")
    parser.add_argument(
        "--mutant",
        default="",
        choices=MUTANTS,
        metavar="NAME",
        help=f"with a defect put in, which must be found: {', '.join(MUTANTS)}",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the edges and the ledger there, if it failed")
    options = parser.parse_args(arguments)
    mutant = MUTANTS.get(options.mutant)
    kinds = (options.kinds or (mutant.kinds if mutant else ",".join(faults.KINDS))).split(",")
    seed = options.seed if options.seed is not None else mutant.seed if mutant else 1
    number = options.faults if options.faults is not None else mutant.faults if mutant else 100
    unknown = [kind for kind in kinds if kind not in faults.KINDS]
    if unknown:
        parser.error(f"there is no fault '{unknown[0]}': it is one of {', '.join(faults.KINDS)}")
    for tool, wanted in (("gcc", True), ("strace", "kill at a call" in kinds)):
        if wanted and not shutil.which(tool):
            parser.error(f"{tool} is not installed: apt-get install {tool}")
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)  # either way what was started is ended
    with contextlib.suppress(KeyboardInterrupt):
        return 0 if campaign(seed, number, kinds, options.mutant, options.keep).good else 1
    return 130


if __name__ == "__main__":
    sys.exit(main())
