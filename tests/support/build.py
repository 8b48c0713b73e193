"""What bin/build makes, made in a copy of the repository: dist/ of the repository itself is in other tests' hands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support import ROOT

_LEFT = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", "dist", "inventory", "tests", ".*_cache", ".ansible")


def copy_of_the_repository(folder: Path) -> Path:
    """The repository without its tests and its history, in a folder that is not there yet; the folder."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=_LEFT)
    return folder


def build(root: Path, *options: str) -> None:
    """Run a copy's bin/build."""
    done = subprocess.run([str(root / "bin/build"), *options], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
