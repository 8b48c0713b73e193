"""The campaign: a hundred faults of all kinds, and the bill is right; with a rule taken away, it finds that."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest

from tests.chaos.campaign import schedule
from tests.chaos.faults import KINDS
from tests.chaos.mutants import MUTANTS
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


def test_a_hundred_faults_leave_the_bill_right() -> None:
    done = chaos("--seed", "100", "--faults", "100")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("lost 0, doubled 0, misplaced 0")


# Two rules that matter most, and in turn, a day each, one of the others: all of them take some minutes.
OTHERS = sorted(set(MUTANTS) - {"no-closed-check", "unique-key"})
TODAY = OTHERS[date.today().toordinal() % len(OTHERS)]


@pytest.mark.parametrize("mutant", ["no-closed-check", "unique-key", TODAY])
def test_a_rule_taken_away_is_found(mutant: str) -> None:
    done = chaos("--seed", "2", "--faults", "25" if mutant != TODAY else "40", "--mutant", mutant)
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
