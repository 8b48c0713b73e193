"""The module unit_loaded: a process that goes on with old keys is one that nobody would look for."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

# It starts a process of its own when it is told to, as a server does that reloads.
SERVER = "import subprocess, sys\nfor line in sys.stdin: subprocess.Popen(['sleep', '60']); print(line, flush=True)"


def load() -> Any:
    """The module as Python; library/ is no package."""
    spec = importlib.util.spec_from_file_location("unit_loaded", ROOT / "library" / "unit_loaded.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


unit = load()


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A process that has just been started."""
    running = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield running
    for child in unit.children(running.pid):
        os.kill(child, 9)
    running.communicate()


def write_later(path: Path, moment: float) -> None:
    """Write a file until its time is after a moment; file systems and processes have clocks of their own grain."""
    while unit.changed(str(path)) <= moment:
        path.write_text("x")


def test_a_process_has_loaded_what_was_there_before(process: subprocess.Popen[str], tmp_path: Path) -> None:
    since = unit.loaded_at(process.pid, False)
    assert abs(since - time.time()) < 30
    assert unit.changed(sys.executable) < since
    write_later(tmp_path / "new", since)
    assert unit.changed(str(tmp_path / "missing")) == 0


def test_a_file_that_was_moved_into_place_is_new(process: subprocess.Popen[str], tmp_path: Path) -> None:
    """Ansible and dpkg write beside, and keep or set dates: the date says nothing."""
    file = tmp_path / "new"
    write_later(file, unit.loaded_at(process.pid, False))
    os.utime(file, (1, 1))
    assert unit.changed(str(file)) > unit.loaded_at(process.pid, False)


def test_a_link_that_points_elsewhere_is_new(process: subprocess.Popen[str], tmp_path: Path) -> None:
    since, link = unit.loaded_at(process.pid, False), tmp_path / "current"
    while unit.changed(str(link)) <= since:
        link.unlink(missing_ok=True)
        link.symlink_to(sys.executable)
    assert unit.changed(str(link)) > unit.changed(sys.executable)


def test_a_reload_is_seen_by_the_youngest_process(process: subprocess.Popen[str]) -> None:
    begun = unit.loaded_at(process.pid, False)
    assert process.stdin is not None
    assert process.stdout is not None
    while unit.loaded_at(process.pid, True) == pytest.approx(begun, abs=0.02):
        process.stdin.write("reload\n")
        process.stdin.flush()
        process.stdout.readline()
    assert unit.loaded_at(process.pid, True) > begun
    assert unit.loaded_at(process.pid, False) == pytest.approx(begun, abs=0.02)


def test_without_a_process_nothing_is_loaded() -> None:
    assert unit.loaded_at(2**22 + 1, True) is None
