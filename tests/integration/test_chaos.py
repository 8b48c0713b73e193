"""The campaign: a hundred faults, and the bill is right; with a rule taken away, it finds that."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest

from edgetally.ledger.gaps import Gap
from tests.chaos.campaign import schedule
from tests.chaos.faults import KINDS
from tests.chaos.mutants import MUTANTS
from tests.chaos.oracle import LOSING, compare, holds
from tests.chaos.writer import Line
from tests.integration.conftest import SOURCE
from tests.support import ROOT


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A campaign, with mounts of its own, as bin/chaos runs it."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.chaos.campaign", *arguments],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": f"{ROOT}:{SOURCE}", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


# By these no line can be lost, so the bill must have no gap either.
KEEPING = [kind for kind in KINDS if kind not in LOSING]


@pytest.mark.parametrize(("number", "kinds"), [(100, list(KINDS)), (50, KEEPING)])
def test_faults_leave_the_bill_right(number: int, kinds: list[str]) -> None:
    done = chaos("--seed", "100", "--faults", str(number), "--kinds", ",".join(kinds))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("lost 0, doubled 0, misplaced 0")


# Two rules that matter most, and in turn, a day each, one of the others: all of them take some minutes.
OTHERS = sorted(set(MUTANTS) - {"no-closed-check", "unique-key"})
TODAY = OTHERS[date.today().toordinal() % len(OTHERS)]


@pytest.mark.parametrize("mutant", ["no-closed-check", "unique-key", TODAY])
def test_a_rule_taken_away_is_found(mutant: str) -> None:
    done = chaos("--mutant", mutant)
    assert (done.returncode, done.stderr) == (1, ""), done.stdout + done.stderr
    assert "WRONG: " in done.stdout


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_fits_the_program(mutant: str) -> None:
    """What it takes away is there: else it would be the whole program, and no campaign could find it."""
    subprocess.run(
        [sys.executable, "-m", "tests.chaos.mutants", mutant, "formats"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{SOURCE}"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def test_every_mutant_is_described_with_the_campaign_that_finds_it() -> None:
    text = (ROOT / "docs" / "reference" / "campaign.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert {row[0].strip("| `"): row[2] for row in rows} == {
        name: f"{mutant.seed}, {mutant.faults}" for name, mutant in MUTANTS.items()
    }


def test_lines_are_told_apart_by_the_sums_of_their_cells() -> None:
    """Lost, counted again, in another slot, nobody's: the bill has only sums, and one cannot hide another."""
    sizes = {"a": (10, 100, 1000, 5), "b": (20, 30)}
    lines = [Line((0, channel), size, 1.0, 2.0) for channel in sizes for size in sizes[channel]]
    found = {(0, "a"): (2, 1010), (300, "a"): (1, 5), (0, "b"): (3, 70), (0, "c"): (1, 8)}
    count = compare(lines, found)
    assert [line.size for line in count.absent] == [100]
    assert [line.size for line in count.again] == [20]
    assert [line.size for line in count.moved] == [5]
    assert count.strange == [((0, "c"), 1, 8)]


def test_a_gap_excuses_what_was_written_in_it() -> None:
    """A millisecond, the bill's unit, beside it, nothing is excused."""
    gap = Gap("edge1/access", 100.0, 200.0, "broken")
    spans = [(99.0, 99.9985), (99.0, 99.9995), (150.0, 150.1), (200.0005, 200.5), (200.0015, 200.5)]
    assert [holds(gap, Line((0, "a"), 1, *span)) for span in spans] == [False, True, True, True, False]


def test_a_seed_is_a_schedule() -> None:
    """A failing seed can be run again; a thousand faults are of every kind."""
    plan = list(schedule(7, 1000, list(KINDS)))
    assert plan == list(schedule(7, 1000, list(KINDS)))
    assert plan != list(schedule(8, 1000, list(KINDS)))
    assert {kind for _pause, kind, _seed in plan} == set(KINDS)


def test_wrong_use_is_told() -> None:
    done = chaos("--kinds", "earthquake")
    assert done.returncode == 2
    assert "there is no fault 'earthquake'" in done.stderr
