"""What the role asks an edge, once, before anything is changed: what it is, how it ships, and what it lacks.

usage: python3 - JSON       {"logs": [path], "packages": [name], "users": [name], "files": [path], "services": [unit],
                             "certificate": path, "scripts": {name: [script, argument, ...]}}

The logs are files or globs. It prints {"debian": whether it is one or made from it, "system": its name, "edge": the
name it ships under or null, "missing": the new logs that are not there, "lacks": what is not there of packages and
users, "files": what is there of files, {path: {"state", "sha256", "owner", "group", "mode"}}, "stopped": the services
that do not run, or not after the next boot, "certificate": what that file holds, "said": {name: what the script, one of
Python that changes nothing, prints; null where it fails}}. So whoever would write a file or run a script in a task of
its own knows whether there is something to do. A log that edgetally has known before may be away for a moment, because
its server is stopped: that is the health check's.
"""

from __future__ import annotations

import glob
import grp
import hashlib
import json
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable
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


def state_of(path: Path) -> dict[str, str]:
    """What a file or folder is now; a link to a folder is one, any other link a thing of its own. Raises OSError."""
    now = path.stat() if path.is_dir() else path.lstat()
    kinds = {stat.S_IFDIR: "folder", stat.S_IFREG: "file"}
    return {
        "state": kinds.get(stat.S_IFMT(now.st_mode), "other"),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(now.st_mode) else "",
        "owner": _name(pwd.getpwuid, now.st_uid),
        "group": _name(grp.getgrgid, now.st_gid),
        "mode": f"{stat.S_IMODE(now.st_mode):04o}",
    }


def _name(find: Callable[[int], Any], number: int) -> str:
    """The name of a user or group; the number where it has none."""
    try:
        return str(find(number)[0])
    except KeyError:
        return str(number)


def answer_of(script: str, *arguments: str) -> str | None:
    """What a script of Python prints; None where it fails."""
    done = subprocess.run(
        [sys.executable, "-IS", "-", *arguments], input=script, capture_output=True, text=True, check=False
    )
    return None if done.returncode else done.stdout


def _said(*command: str) -> str:
    """What a command prints; nothing where there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


def main(asked: dict[str, Any]) -> dict[str, object]:
    """All of it."""
    found = {**system(), **look(asked["logs"]), "lacks": lacks(asked["packages"], asked["users"])}
    files = {path: state_of(Path(path)) for path in asked["files"] if os.path.lexists(path)}
    certificate = text_of(Path(asked["certificate"]))
    scripts = {name: answer_of(*words) for name, words in asked["scripts"].items()}
    return {**found, "files": files, "stopped": stopped(asked["services"]), "certificate": certificate, "said": scripts}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
