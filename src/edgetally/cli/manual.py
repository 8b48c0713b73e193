"""`edgetally manual`: the manual page and the completion of shells, which bin/build has put into the program."""

from __future__ import annotations

import argparse
import pkgutil
from pathlib import Path

from edgetally.errors import EdgetallyError
from edgetally.files import temporary

FILES = ("man/man1/edgetally.1", "bash-completion/completions/edgetally", "zsh/site-functions/_edgetally")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--install", metavar="FOLDER", help="write the files under it, and print which were not the same")
    how.add_argument("--remove", metavar="FOLDER", help="take them away, and print which were there")


def run(options: argparse.Namespace) -> int:
    """Write the files, or take them away."""
    for name in FILES:
        path = Path(options.install or options.remove) / name
        try:
            changed = _install(name, path) if options.install else _remove(path)
        except OSError as error:
            raise EdgetallyError(f"{path} cannot be changed ({error.strerror}): name another folder") from None
        if changed:
            print(path)
    return 0


def _install(name: str, path: Path) -> bool:
    """Write a file, unless it is there as it is here: whether it was not."""
    try:
        data = pkgutil.get_data("edgetally", f"share/{name}") or b""
    except OSError:
        raise EdgetallyError(f"{name} is in a program that bin/build has made, and not in the sources alone") from None
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary(path).write_bytes(data)
    temporary(path).chmod(0o644)
    temporary(path).replace(path)
    return True


def _remove(path: Path) -> bool:
    """Take a file away: whether it was there."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
