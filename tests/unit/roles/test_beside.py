"""What lies beside the program on a host is that program's own, also where the role has gone back to an older one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from roles.edgetally.files.beside import HELD, put_folder, put_kernel, put_manual
from tests.support import ROOT

PYZ = ROOT / "dist" / "edgetally.pyz"
NAME = f"edgetally-kernel-{os.uname().machine}.so"


def changed(program: Path, keep: Callable[[str], bool], end: bytes = b"") -> None:
    """The program, with the entries that are to be kept, and something at the end of its kernel."""
    with ZipFile(PYZ) as source, ZipFile(program, "w") as target:
        for entry in filter(keep, source.namelist()):
            target.writestr(entry, source.read(entry) + (end if entry == HELD + NAME else b""))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Where a host has the program."""
    path = tmp_path / "bin" / "edgetally"
    path.parent.mkdir()
    shutil.copy(PYZ, path)
    return path


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """Where a host has the kernel."""
    return tmp_path / "lib" / "edgetally" / NAME


def mapped(program: Path) -> bool:
    """Whether the program counts with the library beside it, and not with its own from memory."""
    code = (
        f"import sys; sys.path.insert(0, {str(program)!r})\n"
        "from edgetally.tally.engines.kernel.load import kernel\n"
        "print(kernel()); print(open('/proc/self/maps').read())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("kernel "), done.stdout
    return str(program.parent.parent / "lib") in done.stdout


def test_the_kernel_is_the_programs_own_and_written_once(program: Path, kernel: Path) -> None:
    assert put_kernel(program) == [kernel]
    assert put_kernel(program) == []
    assert kernel.read_bytes() == ZipFile(program).read(HELD + NAME)
    assert mapped(program) == (os.geteuid() == 0)


def test_it_goes_back_with_the_program(program: Path, kernel: Path) -> None:
    """Another build's lay there before; the program does not load that, but would have to load its own from memory."""
    newer = program.with_name("newer")
    changed(newer, lambda name: True, b"of another build")
    put_kernel(newer)
    assert not mapped(program)
    with kernel.open("rb") as in_memory:  # a process that runs goes on with what it has
        assert put_kernel(program) == [kernel]
        assert in_memory.read().endswith(b"of another build")
    assert kernel.read_bytes() == ZipFile(program).read(HELD + NAME)
    assert mapped(program) == (os.geteuid() == 0)


def test_of_another_program_none_is_left(program: Path, kernel: Path) -> None:
    older = program.with_name("older")
    changed(older, lambda name: not name.startswith(HELD + "edgetally-kernel"))
    put_kernel(program)
    assert put_kernel(older) == [kernel]
    assert not kernel.exists()
    assert put_kernel(older) == []


def test_a_program_without_a_manual_is_not_an_error(tmp_path: Path) -> None:
    older = tmp_path / "edgetally"
    older.write_text("#!/bin/sh\necho \"argument COMMAND: invalid choice: 'manual'\" >&2\nexit 2\n")
    older.chmod(0o755)
    assert put_manual(older, str(tmp_path)) == ""


def test_a_manual_that_cannot_be_written_is(program: Path, tmp_path: Path) -> None:
    (tmp_path / "share").touch()
    with pytest.raises(SystemExit, match=r"share/man/man1/edgetally.1 cannot be changed"):
        put_manual(program, str(tmp_path / "share"))


def test_the_folder_is_made_once_and_for_all_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "edgetally"
    assert put_folder(folder) == [folder]
    assert put_folder(folder) == []
    folder.chmod(0o700)
    assert put_folder(folder) == [folder]
    assert folder.stat().st_mode & 0o777 == 0o755
