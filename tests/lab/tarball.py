#!/usr/bin/python3
"""Find a gearmand release tarball for the lab: bin/demo and the scenario gearmand_source ask here.

usage: python tests/lab/tarball.py      prints the tarball's path; nothing, and status 1, where there is none

It is the one that EDGETALLY_GEARMAND_TARBALL names, else 0.14 from upstream's site, which is kept in the cache.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

PINS = Path(__file__).resolve().parents[2] / "roles/gearmand/vars/main.yml"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgetally"
VARIABLE = "EDGETALLY_GEARMAND_TARBALL"
ANSWER_SECONDS = 5.0


def find() -> Path:
    """Return the tarball's path. Raises OSError, with the reason, where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    release: dict[str, Any] = yaml.safe_load(PINS.read_text("utf-8"))["__gearmand_releases"]["0.14"]
    tarball = CACHE / "gearmand-0.14.tar.gz"
    if not tarball.exists():
        with urllib.request.urlopen(release["url"], timeout=ANSWER_SECONDS) as answer:
            data = answer.read()
        if hashlib.sha256(data).hexdigest() != release["sha256"]:
            raise OSError("its checksum is another one")
        CACHE.mkdir(parents=True, exist_ok=True)
        tarball.write_bytes(data)
    return tarball


def main() -> int:
    """Run the program; return its exit status."""
    try:
        print(find())
    except OSError as error:
        print(f"tarball: gearmand 0.14 cannot be fetched from launchpad.net ({error})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
