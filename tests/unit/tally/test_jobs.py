"""Several jobs count what one counts; and how far they are shows on a terminal."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgetally.cli import tally as command
from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.tally import count as counting
from edgetally.tally import jobs
from edgetally.tally.count import tally
from tests.support import SOURCE

SOURCES = {**os.environ, "PYTHONPATH": str(SOURCE)}
FORMAT = parse_format('$msec "$host" $bytes_sent')


def line(host: str, minute: int = 0) -> bytes:
    return f'{1780000000 + 60 * minute}.000 "{host}" 10\n'.encode()


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_several_threads_count_the_same(engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jobs, "_LEAST", 1)
    texts = [line(f"h{n % 5}.example.com", minute=n % 60) if n % 97 else b"bad\n" for n in range(1000)]
    first, second, empty = (tmp_path / name for name in ("first.log", "second.log", "empty.log"))
    first.write_bytes(b"".join(texts[:700]))
    second.write_bytes(b"".join(texts[700:]).rstrip(b"\n"))
    empty.touch()
    files = [str(file) for file in (first, empty, second)]
    one = tally(files, FORMAT, None, engine=engine)
    assert one.rejected == 11
    for number in (2, 3, 7):
        assert tally(files, FORMAT, None, engine=engine, jobs=number) == one


def test_what_a_thread_cannot_read_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(line("a.example.com"))

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(counting, "_engine", lambda *_: SimpleNamespace(read=fail))
    with pytest.raises(EdgetallyError, match=r"access\.log cannot be read \(Input/output error\)"):
        tally([str(file)], FORMAT, None, jobs=2)


def test_no_jobs_are_as_many_as_there_are_cores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(line("a.example.com"))
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args([str(file), "--log-format", '$msec "$host" $bytes_sent', "--jobs", "0"])) == 0
    assert "a.example.com" in capsys.readouterr().out
    with pytest.raises(EdgetallyError, match="--jobs -1 is less than none"):
        command.run(parser.parse_args([str(file), "--jobs", "-1"]))


def test_progress_is_told_of_every_byte(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(line("a.example.com") * 50_000)
    for engine, count in (("kernel", 1), ("reference", 1), ("kernel", 2)):
        told: list[int] = []
        tally([str(file)], FORMAT, None, engine=engine, jobs=count, progress=told.append)
        assert sum(told) == file.stat().st_size


def test_a_bar_shows_on_a_terminal_and_not_in_a_pipe(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.touch()
    os.truncate(file, 110 << 20)
    command = f"stty rows 24 cols 90 2>/dev/null; {sys.executable} -m edgetally tally --format combined {file}"
    for terminal in (True, False):
        started = ["script", "--quiet", "--command", command, "/dev/null"] if terminal else ["sh", "-c", command]
        shown = subprocess.run(
            started, env=SOURCES, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert ("%|" in shown.stdout + shown.stderr) is terminal
