"""Put beside the program what it holds for its host: the tally's kernel for this machine, manual page and completions.

usage: python3 - PROGRAM FOLDER do|check      prints what was not the same; FOLDER is that of the configuration

To check says whether the folder is there, and no more: the program that would be asked for the rest may be yet to come.

The kernel's place is lib/edgetally beside the program's bin; without it the program loads its own from memory, which a
hardened host may forbid. It is that of the program which is there, new or gone back to: no other's is left. An older
program may have no kernel and no manual.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

HELD = "edgetally/tally/engines/kernel/"


def put_kernel(program: Path, machine: str = os.uname().machine) -> list[Path]:
    """Write the program's kernel, or remove one where it has none; the path, where it was not the same."""
    name = f"edgetally-kernel-{machine}.so"
    path = program.parent.parent / "lib" / "edgetally" / name
    with ZipFile(program) as archive:
        held = archive.read(HELD + name) if HELD + name in archive.namelist() else None
    if held == (path.read_bytes() if path.exists() else None):
        return []
    replace(path, held)
    return [path]


def replace(path: Path, data: bytes | None) -> None:
    """Write a file anew, because a process may have the one of before in its memory; without data there is none."""
    if data is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.replace(path)


def put_manual(program: Path, folder: str) -> str:
    """Have the program write its manual; what it says. Raises SystemExit, with its words, where it cannot."""
    command = [str(program), "manual", "--install", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "invalid choice" not in done.stderr:
        raise SystemExit(done.stderr)
    return done.stdout


def put_folder(path: Path) -> list[Path]:
    """Make the folder, root's own and for all to read; the path, where it was another."""
    new, wished = not path.is_dir(), (os.geteuid(), os.getegid(), 0o755)
    path.mkdir(parents=True, exist_ok=True)
    state = path.stat()
    if not new and (state.st_uid, state.st_gid, state.st_mode & 0o7777) == wished:
        return []
    os.chown(path, *wished[:2])
    path.chmod(wished[2])
    return [path]


if __name__ == "__main__":
    os.umask(0o022)
    program, configuration = (Path(word) for word in sys.argv[1:3])
    if sys.argv[3] == "check":
        print("" if configuration.is_dir() else configuration)
        sys.exit()
    for changed in put_folder(configuration) + put_kernel(program):
        print(changed)
    print(put_manual(program, "/usr/local/share"), end="")
