"""Put beside the program what it holds for its host: the tally's kernel for this machine, manual page and completions.

usage: python3 - PROGRAM FOLDER do|check      prints what was not the same; FOLDER is that of the configuration

To check changes nothing; a program that is yet to come holds nothing.

The kernel's place is lib/edgetally beside the program's bin; without it the program loads its own from memory, which a
hardened host may forbid. It is that of the program which is there, new or gone back to: no other's is left. An older
program may have no kernel and no manual.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from zipfile import ZipFile

HELD = "edgetally/tally/engines/kernel/"
SHARED = "edgetally/share/"
SHARE = Path("/usr/local/share")


def differing(program: Path, share: Path = SHARE, machine: str = os.uname().machine) -> dict[Path, bytes | None]:
    """The files that are not as the program has them, with what each is to hold; None for one that is not to be."""
    if not program.exists():
        return {}
    kernel = f"edgetally-kernel-{machine}.so"
    files: dict[Path, bytes | None] = {program.parent.parent / "lib" / "edgetally" / kernel: None}
    with ZipFile(program) as archive:
        for name in archive.namelist():
            if name == HELD + kernel:
                files[next(iter(files))] = archive.read(name)
            elif (
                name.startswith(SHARED) and "/" in name[len(SHARED) : -1]
            ):  # what lies there itself is the program's own
                files[share / name[len(SHARED) :]] = archive.read(name)
    return {path: data for path, data in files.items() if data != held(path)}


def held(path: Path) -> bytes | None:
    """What a file holds; None where there is none."""
    return path.read_bytes() if path.is_file() else None


def replace(path: Path, data: bytes | None) -> None:
    """Write a file anew, because a process may have the one of before in its memory; without data there is none."""
    if data is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.replace(path)


def is_folder(path: Path) -> bool:
    """Whether the folder is there, root's own and for all to read."""
    if not path.is_dir():
        return False
    state = path.stat()
    return (state.st_uid, state.st_gid, state.st_mode & 0o7777) == (os.geteuid(), os.getegid(), 0o755)


def put_folder(path: Path) -> None:
    """Make it so."""
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, os.geteuid(), os.getegid())
    path.chmod(0o755)


def main(program: Path, configuration: Path, only_check: bool, share: Path = SHARE) -> None:
    """All of it. Raises SystemExit, with a sentence, where a file cannot be written."""
    if not is_folder(configuration):
        print(configuration)
        if not only_check:
            put_folder(configuration)
    for path, data in differing(program, share).items():
        print(path)
        try:
            if not only_check:
                replace(path, data)
        except OSError as error:
            raise SystemExit(f"{path} cannot be changed ({error.strerror}): look at what is in its way") from None


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "check")
