"""Finding the kernel: which library is loaded, and what is said where none is."""

from __future__ import annotations

import _ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from ctypes import addressof
from pathlib import Path
from zlib import crc32

import pytest

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS
from edgetally.tally.count import tally
from edgetally.tally.engines.kernel import load, structures
from edgetally.tally.engines.kernel.memory import Memory
from tests.support import ROOT, SOURCE

NAME = f"edgetally-kernel-{os.uname().machine}.so"
PYZ = ROOT / "dist" / "edgetally.pyz"


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Each test looks for the kernel anew, and leaves nothing behind for others."""
    load.kernel.cache_clear()
    yield
    load.kernel.cache_clear()


def test_the_kernel_is_there() -> None:
    assert str(load.kernel()) == "kernel 2"


def test_a_program_without_one_counts_with_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_MACHINES", {os.uname().machine: "vax"})
    assert str(load.kernel()) == "reference, because the program was built without edgetally-kernel-vax.so"


def test_another_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_MACHINES", {})
    assert "there is no kernel for this machine" in str(load.kernel())


def said_of(library: bytes) -> str:
    """What is said of another library in the program's place, in a process that has not loaded one."""
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
        "from edgetally.tally.engines.kernel import load\n"
        "load._in_program = lambda _: sys.stdin.buffer.read()\n"
        "print(load.kernel())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], input=library, capture_output=True, check=True)
    return done.stdout.decode()


def checked(library: bytes) -> bytes:
    """A library as bin/build leaves it."""
    return library + b"%08x" % crc32(library)


@pytest.mark.parametrize("size", [0, 7, 3000, -1])
def test_a_damaged_library_is_not_used(size: int) -> None:
    """To load one that ends early kills the process."""
    assert f"reference, because {NAME} is damaged" in said_of((PYZ.parent / NAME).read_bytes()[:size])


def test_what_is_no_library_is_not_used() -> None:
    assert f"reference, because {NAME} cannot be loaded" in said_of(checked(b"not a library"))


def test_a_kernel_of_another_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would else read structures that are not there, or leave every line in silence."""
    monkeypatch.setattr(structures, "LAYOUT", (3, *structures.LAYOUT[1:]))
    monkeypatch.setattr(structures, "VERSION", 3)
    assert "the kernel is version 2, and the program needs 3: build the program again" in str(load.kernel())
    load.kernel.cache_clear()
    monkeypatch.setattr(structures, "LAYOUT", (2, structures.LAYOUT[1] + 8, *structures.LAYOUT[2:]))
    assert load.kernel().run is None


def test_another_library_is_no_kernel() -> None:
    assert "is no kernel" in said_of(checked(Path(_ctypes.__file__).read_bytes()))


def test_asking_for_a_kernel_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_MACHINES", {})
    with pytest.raises(EdgetallyError, match=r"there is no kernel: .* for this machine"):
        tally([], FORMATS["combined"], None, engine="kernel")
    assert tally([], FORMATS["combined"], None).lines == 0


def test_wrong_arguments_are_an_error_and_never_the_end_of_the_lines() -> None:
    count = load.kernel().run
    assert count is not None
    memory = Memory(1000, [structures.Op(kind=structures.END)])
    state, context = memory.context.state, addressof(memory.context)
    memory.text[:10] = b"123456789\n"
    for pos, end in ((0, 0), (5, 4), (0, 9), (0, 1001), (0, 1 << 60)):
        state.pos, state.end = pos, end
        assert count(context) == structures.BAD
    state.pos, state.end = 0, 10
    assert count(context) == structures.DONE
    for name in structures.LENT:
        before = getattr(memory.context, name)
        setattr(memory.context, name, None)
        assert count(context) == structures.BAD, name
        setattr(memory.context, name, before)
    memory.context.table_len -= 1  # no power of two
    assert count(context) == structures.BAD
    assert count(0) == count(context + 1) == structures.BAD


# --- the program as one file


def engine_of(pyz: Path) -> tuple[str, bool]:
    """What a program says of its engine, and whether it loaded the library that is installed with it."""
    code = (
        f"import sys; sys.path.insert(0, {str(pyz)!r})\n"
        "from edgetally.tally.engines.kernel.load import kernel\n"
        f"print(kernel()); print({str(pyz.parent.parent / 'lib')!r} in open('/proc/self/maps').read())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    said, beside = done.stdout.splitlines()
    return said, beside == "True"


def test_a_program_alone_loads_the_kernel_from_itself(tmp_path: Path) -> None:
    shutil.copy(PYZ, tmp_path)
    assert engine_of(tmp_path / PYZ.name) == ("kernel 2", False)


def test_the_library_that_is_installed_is_loaded_where_it_is_roots_and_the_same(tmp_path: Path) -> None:
    program, library = tmp_path / "bin" / "edgetally", tmp_path / "lib" / "edgetally" / NAME
    for path, source in ((program, PYZ), (library, PYZ.parent / NAME)):
        path.parent.mkdir(parents=True)
        shutil.copy(source, path)
    if os.geteuid() == 0:
        assert engine_of(program) == ("kernel 2", True)
        library.chmod(0o777)  # others could change it
        assert engine_of(program) == ("kernel 2", False)
        library.chmod(0o755)
        os.chown(library, 12345, 12345)
        assert engine_of(program) == ("kernel 2", False)
    with open(library, "ab") as file:
        file.write(b"changed")
    assert engine_of(program) == ("kernel 2", False)


def test_a_host_that_forbids_code_in_memory_uses_the_one_that_is_installed(tmp_path: Path) -> None:
    """Here: no file can be made in memory."""
    code = (
        f"import os, sys; sys.path.insert(0, {str(PYZ)!r})\n"
        "def refused(*_): raise PermissionError(1, 'Operation not permitted')\n"
        "os.memfd_create = refused\n"
        "from edgetally.tally.engines.kernel.load import kernel\n"
        "print(kernel())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    why = f"{NAME} cannot be loaded ([Errno 1] Operation not permitted)"
    assert done.stdout == f"reference, because {why}\n"
    if os.geteuid() == 0:
        moved = code.replace(str(PYZ), str(tmp_path / "bin" / "edgetally"))
        for place, source in (("bin/edgetally", PYZ), (f"lib/edgetally/{NAME}", PYZ.parent / NAME)):
            (tmp_path / place).parent.mkdir(parents=True)
            shutil.copy(source, tmp_path / place)
        done = subprocess.run([sys.executable, "-I", "-c", moved], capture_output=True, text=True, check=True)
        assert done.stdout == "kernel 2\n"
