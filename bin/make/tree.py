"""What bin/build knows of the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

EPOCH = "315532800"  # 1980-01-01, the date of every file that is built: a zip knows none before
PROGRAM = ("src", "kernel", "requirements.txt", "bin/build", "bin/make")  # what dist/edgetally.pyz is made of


def commit(root: Path) -> str:
    """The last commit that changed the program, with a + where files differ from it. Empty where there is no git."""
    last = _git(root, "log", "-1", "--format=%h", "--abbrev=12", "--", *PROGRAM)
    return last and last + ("+" if _git(root, "status", "--porcelain", "--", *PROGRAM) else "")


def _git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it is not there, or the folder is no clone."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
