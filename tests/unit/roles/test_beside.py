"""What lies beside the program on a host is that program's own, also where the role has gone back to an older one."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from zipfile import ZipFile

import pytest

from roles.edgetally.files.beside import HELD, SHARED, differing, main
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


def put(program: Path, only_check: bool = False) -> list[str]:
    """What was not the same, by name."""
    with redirect_stdout(io.StringIO()) as said:
        main(program, program.parent.parent / "etc", only_check, program.parent.parent / "share")
    return [Path(line).name for line in said.getvalue().splitlines()]


MANUAL = ["_edgetally", "edgetally", "edgetally.1"]


def test_all_of_it_is_written_once(program: Path, kernel: Path) -> None:
    assert sorted(put(program)) == sorted(["etc", NAME, *MANUAL])
    assert put(program) == put(program, only_check=True) == []
    assert kernel.read_bytes() == ZipFile(program).read(HELD + NAME)
    page = program.parent.parent / "share" / "man" / "man1" / "edgetally.1"
    assert page.read_bytes() == ZipFile(program).read(f"{SHARED}man/man1/edgetally.1")
    assert mapped(program) == (os.geteuid() == 0)
    page.write_text("of somebody else")
    assert put(program, only_check=True) == put(program) == ["edgetally.1"]


def test_to_check_changes_nothing(program: Path, kernel: Path) -> None:
    assert sorted(put(program, only_check=True)) == sorted(["etc", NAME, *MANUAL])
    assert [path.name for path in program.parent.parent.iterdir()] == ["bin"]
    assert not kernel.exists()
    program.unlink()
    assert put(program, only_check=True) == ["etc"], "a program that is yet to come holds nothing"


def test_it_goes_back_with_the_program(program: Path, kernel: Path) -> None:
    """Another build's lay there before; the program does not load that, but would have to load its own from memory."""
    newer = program.with_name("newer")
    changed(newer, lambda name: True, b"of another build")
    put(newer)
    assert not mapped(program)
    with kernel.open("rb") as in_memory:  # a process that runs goes on with what it has
        assert put(program) == [NAME]
        assert in_memory.read().endswith(b"of another build")
    assert kernel.read_bytes() == ZipFile(program).read(HELD + NAME)
    assert mapped(program) == (os.geteuid() == 0)


def test_of_another_program_no_kernel_is_left(program: Path, kernel: Path) -> None:
    older = program.with_name("older")
    changed(older, lambda name: not name.startswith((HELD + "edgetally-kernel", SHARED)))
    put(program)
    assert put(older) == [NAME]
    assert not kernel.exists()
    assert put(older) == []


def test_a_file_that_cannot_be_written_is_said(program: Path, tmp_path: Path) -> None:
    (tmp_path / "share").touch()
    with pytest.raises(SystemExit, match=r"share/.*edgetally.* cannot be changed [(]Not a directory[)]"):
        main(program, tmp_path / "etc", False, tmp_path / "share")


def test_the_folder_is_for_all_to_read(program: Path, tmp_path: Path) -> None:
    put(program)
    (tmp_path / "etc").chmod(0o700)
    assert put(program) == ["etc"]
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o755
    assert differing(program, tmp_path / "share") == {}
