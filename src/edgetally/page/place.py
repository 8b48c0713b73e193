"""Where pages are put: in one step, so that a reader finds the old ones or the new ones."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable

from edgetally.errors import EdgetallyError

GENERATOR = b'<meta name="generator" content="edgetally'
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def write_file(out: str | None, text: str) -> None:
    """Write a file beside its place and rename it; without `out`, print it."""
    if out is None:
        sys.stdout.write(text)
        return
    try:
        with _beside(out) as folder:
            temporary = os.path.join(folder, "page")
            _write(temporary, text)
            os.replace(temporary, out)
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another file with --out") from None


def write_folder(out: str, pages: Iterable[tuple[str, str]]) -> None:
    """Write the pages into a new folder, and exchange it with the one at `out`."""
    _refuse_foreign(out)
    try:
        with _beside(out) as folder:
            made = os.path.join(folder, "made")
            os.mkdir(made)
            for name, text in pages:
                _write(os.path.join(made, name), text)
            _exchange(made, out)
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another folder with --out") from None


def _refuse_foreign(out: str) -> None:
    """Only a folder with pages of this program is replaced, or an empty one: all that is in it goes."""
    try:
        if not os.listdir(out):
            return
        with open(os.path.join(out, "index.html"), "rb") as file:
            if GENERATOR in file.read(1000):
                return
    except FileNotFoundError:
        if not os.path.lexists(out):
            return
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be used ({error.strerror}): name another folder with --out") from None
    raise EdgetallyError(f"{out} holds other things than edgetally's pages: let --out name a new folder, or FILE.html")


def _beside(out: str) -> tempfile.TemporaryDirectory[str]:
    """A folder of the same file system, which is removed with what is left in it."""
    parent, name = os.path.split(os.path.abspath(out))
    return tempfile.TemporaryDirectory(prefix=f".{name}.", dir=parent)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _exchange(new: str, old: str) -> None:
    """Let two folders change places in one step; where the file system cannot, in two."""
    if not os.path.exists(old):
        os.rename(new, old)
        return
    exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if exchange and exchange(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) == 0:
        return
    aside = f"{new}.old"
    os.rename(old, aside)
    os.rename(new, old)
    shutil.rmtree(aside)
