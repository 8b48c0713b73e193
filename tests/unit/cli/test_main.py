"""The command line: what cron asks for is read without argparse, and comes out as argparse would have it."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from bin.make.manual import whole_parser
from edgetally.cli.main import COMMANDS, _parser, _plain, main
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


def test_a_mistyped_command_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for word, hint in (("reprot", "did you mean 'report'?"), ("xyzzy", "`edgetally` alone lists the commands")):
        assert main([word]) == 2
        assert capsys.readouterr().err == f"edgetally: '{word}' is no command: {hint}\n"


def test_the_program_alone_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert all(re.search(rf"^ +{name}\b", said.out, re.MULTILINE) for name in COMMANDS)


def test_every_option_has_its_help() -> None:
    lacking = []
    parsers: list[tuple[tuple[str, ...], argparse.ArgumentParser]] = [((), whole_parser())]
    for path, parser in parsers:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += [((*path, name), one) for name, one in action.choices.items()]
            elif not action.help:
                lacking.append(" ".join((*path, *(action.option_strings or [action.dest]))))
    assert lacking == []


def test_the_program_ends_with_its_status_and_all_that_it_said() -> None:
    command = [sys.executable, "-m", "edgetally", "formats"]
    done = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "combined" in done.stdout
    command[-1:] = ["tally", "/nonexistent"]
    done = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("edgetally: /nonexistent")
