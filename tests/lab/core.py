"""An ansible-core of some version on this machine: on a Python of PATH, or else on that of a host of the lab.

Its packages lie in a folder of the cache. pip gets those of any Python, and nothing is installed anywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.lab import lab
from tests.support import ROOT

CACHE = lab.CACHE / "matrix"
IMAGES = {11: "bookworm", 13: "trixie"}
"""Releases whose image has a Python, by its minor version."""


class Python(NamedTuple):
    """A Python 3. minor: of its version; path: the program; image: of the container that it is in, or nothing."""

    minor: int
    path: str
    image: str = ""

    def __str__(self) -> str:
        return f"3.{self.minor}" + " (container)" * bool(self.image)


def python_of(minors: tuple[int, ...]) -> Python:
    """The newest Python of PATH that has one of these minor versions and runs, or else of an image."""
    for minor in reversed(minors):
        path = shutil.which(f"python3.{minor}")
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Python(minor, path)
    lab.check_machine()
    minor = max(set(minors) & set(IMAGES))
    with lab.machine_lock():
        return Python(minor, "python3", lab.ensure_image(IMAGES[minor]))


class Core:
    """An ansible-core. version: such as 2.15; folder: where its run may write, which is its home, too."""

    def __init__(self, version: str, python: Python, folder: Path) -> None:
        self.version, self.python, self.folder = version, python, folder
        self.packages = CACHE / f"{version}-python3.{python.minor}"
        if not (self.packages / ".ready").exists():
            self._install()
        (folder / "password").write_text("the matrix")

    def _install(self) -> None:
        shutil.rmtree(self.packages, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        pip += ["--only-binary=:all:", f"--python-version=3.{self.python.minor}", "--target", str(self.packages)]
        pip += ["--ignore-requires-python"]  # Debian 12's asks that of its own Python, not of the one that is named
        done = lab.run([*pip, f"ansible-core=={self.version}.*"])
        if done.returncode:
            raise lab.LabError(f"pip cannot get ansible-core {self.version}: {lab.last_words(done)}")
        (self.packages / ".ready").touch()

    def run(self, command: str, *arguments: str | Path, there: Path = ROOT, given: str = "", seconds: int = 300) -> str:
        """Run a command of Ansible's, such as playbook: what it printed. Raises SubprocessError where it failed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        words = [*self._started(there, seconds), self.python.path, "-m", "ansible", command, *arguments]
        done = subprocess.run(
            words, cwd=there, env=kept, input=given, capture_output=True, text=True, timeout=seconds + 30, check=False
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        return done.stdout

    def _started(self, there: Path, seconds: int) -> list[str]:
        """What begins the command line: the container, where there is one, and the environment."""
        settings: dict[str, object] = {"HOME": self.folder, "PYTHONPYCACHEPREFIX": self.folder}
        settings.update(PYTHONPATH=self.packages, LC_ALL="C.UTF-8", ANSIBLE_NOCOLOR=1, ANSIBLE_DEPRECATION_WARNINGS=0)
        settings.update(ANSIBLE_VAULT_PASSWORD_FILE=self.folder / "password")
        words = ["env", *(f"{name}={value}" for name, value in settings.items())]
        if not self.python.image:
            return words
        shared = {ROOT: "ro", CACHE: "ro", lab.LABS: "ro", self.folder: "rw"}
        box = [str(lab.HERE / "podman"), "run", "--rm", "--init", "--interactive", "--network=host"]
        box += [f"--timeout={seconds}", f"--workdir={there}"]
        box += [f"--volume={folder}:{folder}:{mode}" for folder, mode in shared.items()]
        return [*box, self.python.image, *words]
