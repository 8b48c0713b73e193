"""A host whose disk fails or is slow, or whose clock is wrong, for programs with bad_host.c before the C library."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


def build(folder: Path) -> Path:
    """Compile the library. Every program that a world starts has it."""
    library = folder / "bad_host.so"
    command = ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Host:
    """The host of programs that are started with `environment`. Its disk is what a folder lies on."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._orders = folder.with_suffix(".orders")
        self._orders.write_bytes(struct.pack("iiii", 0, 0, 0, 0))
        self.environment = {
            "LD_PRELOAD": str(library),
            "BAD_HOST_FOLDER": f"{folder}/",
            "BAD_HOST_ORDERS": str(self._orders),
        }

    @contextlib.contextmanager
    def bad_disk(self, error: int = 0, share: float = 0.0, seconds: float = 0.0) -> Iterator[None]:
        """While the block runs, a share of all calls fail with an error's number, and each takes so many seconds."""
        self._write(0, error, round(share * 1000), round(seconds * 1e6))
        try:
            yield
        finally:
            self._write(0, 0, 0, 0)

    def set_clock(self, ahead: int) -> None:
        """Set the clock to so many seconds from now."""
        self._write(3, ahead)

    def _write(self, first: int, *orders: int) -> None:
        with self._orders.open("r+b") as file:  # programs have it mapped
            file.seek(4 * first)
            file.write(struct.pack("i" * len(orders), *orders))
