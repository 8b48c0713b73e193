"""Packed logs: gzip, bzip2, xz, and zstd where Python or the system can; what cannot be read says how to pipe it."""

from __future__ import annotations

import io
import os
import zlib
from importlib import import_module
from typing import Any, BinaryIO, Callable

from edgetally.errors import EdgetallyError
from edgetally.record import NamedTuple


class Packing(NamedTuple):
    """A way to pack. sign: what a file begins with; program: what unpacks it to its standard output."""

    name: str
    sign: bytes
    program: str


_PACKINGS = (
    Packing("gzip", b"\x1f\x8b", "zcat"),
    *(Packing("bzip2", b"BZh%d" % level, "bzcat") for level in range(1, 10)),
    Packing("xz", b"\xfd7zXZ\0", "xzcat"),
    Packing("lzma", b"\x5d\0\0", "xzcat"),
    Packing("zstd", b"\x28\xb5\x2f\xfd", "zstdcat"),
    Packing("lz4", b"\x04\x22\x4d\x18", "lz4cat"),
    Packing("compress", b"\x1f\x9d", "zcat"),
    Packing("zip", b"PK\3\4", "unzip -p"),
    Packing("7z", b"7z\xbc\xaf\x27\x1c", "7z x -so"),
)
SIGN_BYTES = max(len(packing.sign) for packing in _PACKINGS)
_BREAKS = ("LZMAError", "ZstdError")  # of modules that are imported only where they are needed


def packing_of(head: bytes) -> Packing | None:
    """How a file is packed that begins so; None where it is not."""
    return next((packing for packing in _PACKINGS if head.startswith(packing.sign)), None)


class Unpacked(io.RawIOBase):
    """The content of a packed stream.

    cut: empty, or why there is no more of it, once its end was reached before what was packed ended.
    """

    def __init__(self, stream: Any, end: Callable[[], str] = str) -> None:
        super().__init__()
        self._stream, self._end = stream, end
        self.cut = ""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes: those that one reading gives, so that none are lost where the next one fails."""
        try:
            data = b"" if self.cut else self._stream.read1(len(buffer))
        except Exception as error:
            if not _is_damage(error):
                raise
            data, self.cut = b"", str(error)
        if not data:
            self.cut = self.cut or self._end()
        buffer[: len(data)] = data
        return len(data)


def _is_damage(error: Exception) -> bool:
    """Whether it is the content that is damaged, and not the disk that cannot be read."""
    if isinstance(error, OSError):
        return error.errno is None
    return isinstance(error, (EOFError, zlib.error)) or type(error).__name__ in _BREAKS


def unpack(stream: BinaryIO, packing: Packing, name: str) -> Unpacked:
    """The content of a packed stream. name: for the sentence where this Python cannot read it."""
    makers = {"gzip": _gzip, "bzip2": _bzip2, "xz": _xz, "lzma": _xz, "zstd": _zstd}
    try:
        found = makers[packing.name](stream) if packing.name in makers else None
    except ImportError:
        found = None
    if found is None:
        pipe = f"{packing.program} {name}" if name != "-" else f"… | {packing.program}"
        raise EdgetallyError(f"{name} is {packing.name}, which cannot be read here: {pipe} | edgetally tally -")
    return found


def _gzip(stream: BinaryIO) -> Unpacked:
    return Unpacked(import_module("gzip").GzipFile(fileobj=stream))


def _bzip2(stream: BinaryIO) -> Unpacked:
    return Unpacked(import_module("bz2").BZ2File(stream))


def _xz(stream: BinaryIO) -> Unpacked:
    return Unpacked(import_module("lzma").LZMAFile(stream))


def _zstd(stream: BinaryIO) -> Unpacked | None:
    """By Python's own module from 3.14 on, else by the command; None where there is neither."""
    try:
        return Unpacked(import_module("compression.zstd").ZstdFile(stream))
    except ImportError:
        return _by_command(stream, "zstd", "-dcq")


def _by_command(stream: BinaryIO, *command: str) -> Unpacked | None:
    """What a command unpacks of a file. What is not one would have to be fed: that is left to a pipe."""
    import subprocess

    try:
        os.lseek(stream.fileno(), 0, os.SEEK_SET)  # some of it was read, to see what it is
        process = subprocess.Popen(command, stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except (OSError, ValueError):
        return None

    def end() -> str:
        said = process.communicate()[1].decode("utf-8", "replace").strip()
        return "" if process.returncode == 0 else said.splitlines()[-1] if said else f"{command[0]} failed"

    return Unpacked(process.stdout, end)
