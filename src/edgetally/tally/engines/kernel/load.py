"""Finding the kernel: a library for this machine, in the program, or installed with it."""

from __future__ import annotations

import os
import stat
import sys
from ctypes import CDLL, c_uint32, c_void_p
from functools import lru_cache
from typing import Any, Callable, NamedTuple
from zlib import crc32

from edgetally.tally.engines.kernel import structures

Count = Callable[[int], int]
_CHECKED = 8  # bytes at a library's end, which bin/build puts there: to load a damaged one can be fatal
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


class Kernel(NamedTuple):
    """The kernel's function, or why there is none."""

    run: Count | None
    why: str = ""

    def __str__(self) -> str:
        return f"kernel {structures.VERSION}" if self.run else f"reference, because {self.why}"


def engine_said(engine: str) -> str:
    """What reads the logs where an engine is asked for, in words: `kernel 2`, or `reference, because …`."""
    return "reference, because it is asked for" if engine == "reference" else str(kernel())


class _UnusableError(Exception):
    """Says why there is no kernel."""


@lru_cache(maxsize=1)
def kernel() -> Kernel:
    """Load the kernel. Nothing is raised: where it cannot be used, the reference counts, and this says why."""
    try:
        return Kernel(_count_of(_library()))
    except _UnusableError as why:
        return Kernel(None, str(why))


def _library() -> CDLL:
    name = _name()
    data = _in_program(name)
    if data[-_CHECKED:] != b"%08x" % crc32(data[:-_CHECKED]):
        raise _UnusableError(f"{name} is damaged: build the program again")
    installed = _installed(name, data)
    if installed is not None:
        return installed
    try:
        return _from_memory(name, data)
    except OSError as error:
        raise _UnusableError(f"{name} cannot be loaded ({error})") from None


def _name() -> str:
    machine = _MACHINES.get(os.uname().machine)
    if machine is None or sys.maxsize < 1 << 32 or sys.byteorder != "little":
        raise _UnusableError(f"there is no kernel for this machine ({os.uname().machine})")
    return f"edgetally-kernel-{machine}.so"


def _in_program(name: str) -> bytes:
    """The library as the program holds it: a file in this folder, or in the archive that the program is."""
    path = os.path.join(os.path.dirname(__file__), name)
    loader: Any = __spec__.loader if __spec__ else None
    try:
        data: bytes = loader.get_data(path)
    except (OSError, AttributeError):
        raise _UnusableError(f"the program was built without {name}") from None
    return data


def _installed(name: str, data: bytes) -> CDLL | None:
    """The same library in lib/edgetally/ beside the program's bin/, where root has put it; no other is loaded."""
    archive: str = getattr(__spec__.loader if __spec__ else None, "archive", "")
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(archive)))
    path = os.path.join(prefix, "lib", "edgetally", name)
    try:
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())
            roots = state.st_uid == 0 and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            return _opened(file.fileno()) if archive and roots and file.read() == data else None
    except OSError:
        return None


def _from_memory(name: str, data: bytes) -> CDLL:
    """Load a library from memory: from a file without a place in any folder, since the loader wants a file."""
    file = os.memfd_create(name)
    try:
        os.write(file, data)
        return _opened(file)
    finally:
        os.close(file)


def _opened(file: int) -> CDLL:
    """Load an open file, and none that has taken its name meanwhile."""
    return CDLL(f"/proc/self/fd/{file}")


def _count_of(library: CDLL) -> Count:
    """The library's function, after a look at whether it is of this version."""
    try:
        found = tuple((c_uint32 * len(structures.LAYOUT)).in_dll(library, "EDGETALLY_LAYOUT"))
        count = library.edgetally_count
    except (AttributeError, ValueError):
        raise _UnusableError("the library is no kernel: build the program again") from None
    if found != structures.LAYOUT:
        versions = f"the kernel is version {found[0]}, and the program needs {structures.VERSION}"
        raise _UnusableError(f"{versions}: build the program again")
    count.argtypes, count.restype = [c_void_p], c_uint32
    return count
