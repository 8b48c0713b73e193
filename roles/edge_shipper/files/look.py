"""What the role asks an edge, once, before anything is changed: what it is, how it ships, and what it lacks.

usage: python3 - JSON       {"logs": [path], "packages": [name], "users": [name], "files": [path], "services": [unit],
                             "certificate": path, "same": {path: [sha256, mode]}}

The logs are files or globs. It prints {"debian": whether it is one or made from it, "system": its name, "edge": the
name it ships under or null, "missing": the new logs that are not there, "lacks": what is not there of packages and
users, "there": what is there of files, "stopped": the services that do not run, or not after the next boot,
"certificate": what that file holds, "same": the files that are root's and have this content and this mode, so that
nobody need write them}. A log that edgetally has known before may be away for a moment, because its server is stopped:
that is the health check's.
"""

from __future__ import annotations

import glob
import hashlib
import json
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

CONFIG = Path("/etc/edgetally/edge.json")
RELEASE = Path("/etc/os-release")


def system(release: Path = RELEASE) -> dict[str, object]:
    """The distribution."""
    lines = (
        [line.partition("=") for line in release.read_text(encoding="utf-8").splitlines()] if release.exists() else []
    )
    values = {name: value.strip("\"'") for name, sign, value in lines if sign}
    kin = [values.get("ID"), *values.get("ID_LIKE", "").split()]
    return {"debian": "debian" in kin, "system": values.get("PRETTY_NAME", "no Linux that tells its name")}


def look(paths: list[str], config: Path = CONFIG) -> dict[str, object]:
    """How it ships, and the logs; a configuration that cannot be read says nothing."""
    try:
        known = json.loads(config.read_text(encoding="utf-8"))
        edge, there = known["edge"], {log["path"] for log in known["logs"]}
    except (OSError, ValueError, KeyError, TypeError):
        edge, there = None, set()
    return {"edge": edge, "missing": [path for path in paths if path not in there and not glob.glob(path)]}


def lacks(packages: list[str], users: list[str]) -> list[str]:
    """The packages that are not installed, and the users who are not there."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    installed = _said("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\\n", *packages)
    there = {line.partition(" ")[2] for line in installed.splitlines() if line.startswith("installed ")}
    return [name for name in packages if name not in there] + [name for name in users if name not in known]


def stopped(services: list[str]) -> list[str]:
    """The services that do not run, or are not started at boot."""
    return [
        unit
        for unit in services
        if set(_said("systemctl", "is-active", unit).split() + _said("systemctl", "is-enabled", unit).split())
        != {"active", "enabled"}
    ]


def text_of(path: Path) -> str:
    """What a file holds; nothing where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def is_same(path: Path, sha256: str, mode: str) -> bool:
    """Whether a file of root's is what it ought to be, in content and permissions."""
    try:
        now = path.lstat()
        rights = (now.st_mode, now.st_uid, now.st_gid)
        return rights == (stat.S_IFREG | int(mode, 8), 0, 0) and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _said(*command: str) -> str:
    """What a command prints; nothing where there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


def main(asked: dict[str, Any]) -> dict[str, object]:
    """All of it."""
    found = {**system(), **look(asked["logs"]), "lacks": lacks(asked["packages"], asked["users"])}
    there = [path for path in asked["files"] if Path(path).exists()]
    certificate = text_of(Path(asked["certificate"]))
    same = [path for path, wished in asked["same"].items() if is_same(Path(path), *wished)]
    return {**found, "there": there, "stopped": stopped(asked["services"]), "certificate": certificate, "same": same}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
