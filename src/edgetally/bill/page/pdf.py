"""Prints a page to a PDF by Chromium without a window: what prints a page in a browser is what made its print styles.

A library that draws PDFs would be a second layout engine in the program, and not a pure Python one. Chromium is in
every distribution, looked after there, and needed only where PDFs are made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from edgetally.errors import EdgetallyError

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
TIMEOUT = 120
# It asks nobody for anything, and takes no graphics card; a page of ours has no script that would have to be kept in.
_SWITCHES = (
    *("--headless", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--no-first-run", "--no-pdf-header-footer", "--disable-extensions"),
)


def pdf(page: str) -> bytes:
    """A page as a PDF. Raises EdgetallyError where no Chromium is here, or it does not print."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise EdgetallyError(
            "a PDF is printed by Chromium, which is not on this host: install it (`apt-get install chromium`), or take "
            "--output html, which every browser prints the same way"
        )
    with tempfile.TemporaryDirectory(prefix="edgetally-pdf-", ignore_cleanup_errors=True) as folder:
        source, target = Path(folder, "page.html"), Path(folder, "page.pdf")
        source.write_text(page, encoding="utf-8", errors="surrogateescape")
        _print(program, source, target)
        return target.read_bytes()


def _print(program: str, source: Path, target: Path) -> None:
    profile = source.parent / "profile"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it has none
    command = [program, *_SWITCHES, *sandbox, f"--user-data-dir={profile}", f"--print-to-pdf={target}", source.as_uri()]
    environment = {**os.environ, "HOME": str(profile)}  # a service's user may have none that can be written
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EdgetallyError(f"{program} did not print the PDF ({error}): take --output html, and print it") from None
    if done.returncode or not target.exists():
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["without a word"]
        raise EdgetallyError(f"{program} did not print the PDF ({said[0]}): take --output html, and print it")
