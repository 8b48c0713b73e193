"""The name of a renamed log carries its batch's identity, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetally.edge.renamed import Renamed

GENERATION = "0123456789abcdef"


@pytest.mark.parametrize("mark", ["", "absent", "broken", "full"])
@pytest.mark.parametrize("seq", [1, 12, 10**17])
def test_a_renamed_logs_name_says_everything(tmp_path: Path, seq: int, mark: str) -> None:
    """Whatever crashes after the rename, the batch is the same."""
    item = Renamed(tmp_path, GENERATION, seq, 0.0, 1780000000.125, mark)
    assert Renamed.parse(tmp_path, item.name) == item
    assert item.path == tmp_path / item.name


@pytest.mark.parametrize(
    "name",
    [
        "live",
        "next",
        "took",
        "odd-1780000000.125",
        f"{GENERATION}-1-0.000-1.000.gz",
        f"{GENERATION}-1-0.000-1.000-strange",
        f"{GENERATION}-1-0.000-1.000\n",
        f"{GENERATION}-1-0.0-1.0",
        f"{GENERATION}--1-0.000-1.000",
        f"{GENERATION}-{'9' * 30}-0.000-1.000",
        f"{GENERATION}-1-0.000-{'9' * 400}.000",
        f"{GENERATION.upper()}-1-0.000-1.000",
        f"access.log.edgetally-{GENERATION}-1-0.000-1.000",
    ],
)
def test_other_names_are_not_ours(tmp_path: Path, name: str) -> None:
    assert Renamed.parse(tmp_path, name) is None


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("before", ["", "access.log.edgetally-", "x.edgetally-y.edgetally-"])
def test_an_archived_log_is_known_by_any_programs_name(tmp_path: Path, before: str, ending: str) -> None:
    item = Renamed(tmp_path, GENERATION, 12, 0.0, 1780000000.125, "broken")
    assert Renamed.parse_archived(tmp_path / f"{before}{item.name}{ending}") == item


def test_what_a_batch_covers(tmp_path: Path) -> None:
    """A first batch has no beginning; a slow transfer's lines keep their own slots, for some hours."""
    item = Renamed(tmp_path, GENERATION, 2, 1000.0, 1300.0)
    assert item.covers(1200.0) == (1000.0, 1300.0)
    assert item.covers(1400.0) == (1000.0, 1400.0)
    assert item.covers(10.0**9) == (1000.0, 1300.0 + 6 * 3600)
    assert item._replace(seq=1).covers(1200.0) == (None, 1300.0)
