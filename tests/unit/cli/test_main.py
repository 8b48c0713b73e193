"""The command line: what cron asks for is read without argparse, and comes out as argparse would have it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from edgetally.cli.main import _parser, _plain
from tests.support import SOURCE


@pytest.mark.parametrize(
    "words",
    [
        ["ship"],
        ["ship", "--now"],
        ["ship", "--now", "--now"],
        ["ship", "--reconcile", "--config", "/a"],
        ["status"],
        ["status", "--config", "/a", "--metrics", "/b.prom"],
    ],
)
def test_what_cron_asks_for_is_read_as_argparse_reads_it(words: Sequence[str]) -> None:
    plain = _plain(words)
    assert plain is not None
    assert vars(plain) == vars(_parser(words[0]).parse_args(words))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["report"],
        ["nonsense"],
        ["--version"],
        ["ship", "--help"],
        ["ship", "now"],
        ["ship", "--pause"],
        ["ship", "--config"],
        ["ship", "--config", "--now"],
        ["ship", "--config=/a"],
        ["ship", "--conf", "/a"],
        ["ship", "--check-config", "/a"],
        ["status", "--nagios", "--metrics", "/b.prom"],
    ],
)
def test_all_else_is_left_to_argparse(words: Sequence[str]) -> None:
    assert _plain(words) is None


def test_the_program_ends_with_its_status_and_all_that_it_said() -> None:
    command = [sys.executable, "-m", "edgetally", "formats"]
    done = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "combined" in done.stdout
    command[-1:] = ["tally", "/nonexistent"]
    done = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("edgetally: /nonexistent")
