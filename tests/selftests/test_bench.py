"""What bin/bench measures with: the logs say what their true sums say, awk finds them, and a wrong sum is noticed."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Callable

import pytest

from edgetally.formats.catalogue import parse_format
from edgetally.tally.channels import ChannelMap
from edgetally.tally.count import tally
from tests.bench import logs, paths
from tests.bench.cases import CASES, Case
from tests.bench.edgetally import Edgetally
from tests.bench.logs import Log, Truth
from tests.bench.measure import PYTHON, BenchError, Cost, run
from tests.bench.parts import _has_shipped
from tests.bench.peers import GAWK, MAWK, MAWK_SIMPLE
from tests.bench.program import Program
from tests.bench.rounds import Entry, check
from tests.bench.sums import differences, from_cells, read_rows

LINES = 2000
EACH_CASE = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def written(case: Case, seed: int = logs.SEED) -> tuple[bytes, Truth]:
    text = io.StringIO()
    truth = logs.write(case, LINES, text, seed=seed)
    return text.getvalue().encode("latin-1"), truth


@EACH_CASE
def test_a_log_holds_what_its_true_sums_say(case: Case) -> None:
    case = replace(case, malformed=case.malformed * 50)  # two malformed lines would be few
    data, truth = written(case)
    rules = [{"channel": channel, "path": prefix} for prefix, channel in paths.rules(case.paths).items()]
    found = tally([io.BytesIO(data)], parse_format(case.log_format), ChannelMap(rules) if case.paths else None)
    assert {key: [value or 0 for value in cell] for key, cell in found.cells.items()} == truth.cells
    assert (found.lines, found.rejected) == (truth.lines, truth.rejected) == (LINES, truth.rejected)
    assert bool(truth.rejected) == bool(case.malformed)


@EACH_CASE
def test_the_same_seed_gives_the_same_bytes(case: Case) -> None:
    assert written(case) == written(case)
    assert written(case)[0] != written(case, seed=2)[0]


def test_a_clean_log_is_like_a_real_one() -> None:
    data, truth = written(CASES["clean"])
    lines = data.decode().splitlines()
    assert 220 < len(data) / LINES < 280
    assert 0.05 < sum(":" in line.split(" ")[0] for line in lines) / LINES < 0.15  # IPv6
    assert len({slot for slot, _ in truth.cells}) == 13
    requests = sorted((row.requests or 0 for row in from_cells(truth.cells).values()), reverse=True)
    assert len(requests) > 80
    assert requests[0] > 5 * requests[10]


@pytest.mark.parametrize(
    ("program", "case"),
    [(program, case) for program in (MAWK, GAWK, MAWK_SIMPLE) for case in CASES.values() if program.cases(case)],
    ids=lambda value: value.name,
)
def test_awk_finds_the_true_sums(program: Program, case: Case, tmp_path: Path) -> None:
    if program.absent():
        pytest.skip(program.absent())
    log = logs.make(replace(case, malformed=0.0), LINES, tmp_path / "cache")
    run(program.command(log), tmp_path)
    assert check(program, log, tmp_path / "stdout") == ""


def test_what_awk_makes_of_junk_is_read_and_said(tmp_path: Path) -> None:
    log = logs.make(CASES["malformed"], LINES, tmp_path / "cache")
    output = tmp_path / "rows"
    output.write_bytes(b"1780000200 host with\rjunk\x85\0 1 0 0 0\n" * 3)
    assert "all requests: 3, should be" in check(MAWK, log, output)
    with pytest.raises(BenchError, match=r"edgetally reference on malformed.*all requests: 3, should be"):
        check(replace(Edgetally().program("reference"), read=read_rows), log, output)


def test_edgetally_is_run_and_read(tmp_path: Path) -> None:
    program = Edgetally().program("reference")
    if not Edgetally.pyz.exists():
        pytest.skip("bin/build was not run")
    log = logs.make(CASES["malformed"], LINES, tmp_path / "cache")
    cost = run(program.command(log), tmp_path, good=program.good)
    assert check(program, log, tmp_path / "stdout") == ""
    assert cost.cpu > 0
    assert cost.peak > 5


SUMS = {(0, "a"): [2, 30, 1, 10], (300, "b"): [1, 5, 0, 0]}
ROWS = "0 a 2 30 1 10\n300 b 1 5 0 0\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.replace("30", "31"), "all bytes: 36, should be 35"),
        (lambda rows: rows.replace("300 b", "300 c"), "b: 0 requests, should be 1"),
        (lambda rows: rows.replace("0 a 2 30 1", "0 a 2 30 2"), "a: 2 hits, should be 1"),
        (lambda rows: rows.replace("300 b", "600 b"), "slot 300, b: None, should be [1, 5, 0, 0]"),
        (lambda rows: rows.splitlines()[0] + "\n", "all requests: 2, should be 3"),
    ],
)
def test_a_wrong_sum_is_named(change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    rows, truth = tmp_path / "rows", Truth(3, 0, SUMS)
    rows.write_text(ROWS)
    assert differences(read_rows(rows), truth) == []
    rows.write_text(change(ROWS))
    assert message in differences(read_rows(rows), truth)


def test_a_program_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="ended with 3: it broke"):
        run([PYTHON, "-c", "import sys; print('it broke', file=sys.stderr); sys.exit(3)"], tmp_path)


def test_the_cache_is_used_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = logs.make(CASES["clean"], LINES, tmp_path)
    inode = first.path.stat().st_ino
    assert logs.make(CASES["clean"], LINES, tmp_path).path.stat().st_ino == inode
    monkeypatch.setattr(logs, "CACHE_BYTES", 2 * first.size)
    logs.make(CASES["csv"], LINES, tmp_path, keep=[first.path])
    logs.make(CASES["json"], LINES, tmp_path, keep=[first.path])
    assert {path.name.partition("-")[0] for path in tmp_path.glob("*.log")} == {"clean", "json"}


def test_a_ratio_is_that_of_the_same_rounds(tmp_path: Path) -> None:
    log = Log(CASES["clean"], tmp_path, 100, 0)
    slowing = [Cost(1.0, 1.0, 1.0), Cost(2.0, 2.0, 1.0), Cost(4.0, 4.0, 1.0)]
    mawk = Entry("mawk", MAWK, log, slowing)
    other = Entry("other", GAWK, log, [cost._replace(cpu=cost.cpu / 2) for cost in slowing])
    fifth = Entry("slow", GAWK, replace(log, lines=20), [Cost(2.0, 2.0, 1.0)])
    assert other.ratio(mawk) == 0.5
    assert other.ratio(mawk, "wall") == 1
    assert fifth.ratio(mawk) == 5


@pytest.mark.parametrize(
    ("said", "batches", "fine"),
    [
        ("edgetally: no job server took the batches (…)\n", 1, True),
        ("edgetally: no job server took the batches (…)\n", 0, False),
        ("edgetally: the disk is full\n", 1, False),
        ("edgetally: no job server took the batches (…)\nedgetally: the log is absent\n", 1, False),
        ("", 1, False),
    ],
)
def test_a_start_that_did_something_else_is_no_measure(said: str, batches: int, fine: bool, tmp_path: Path) -> None:
    errors, outbox = tmp_path / "stderr", tmp_path / "outbox"
    errors.write_text(said)
    outbox.mkdir()
    for number in range(batches):
        (outbox / str(number)).touch()
    with nullcontext() if fine else pytest.raises(BenchError, match="of 1 batches"):
        _has_shipped(errors, outbox, 1)
