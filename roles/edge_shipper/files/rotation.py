"""Keep a distribution's logrotate files away from the logs that edgetally rotates, or give them back.

usage: python3 - JSON do|check      {"divert": [path], "back": [path], "rules": text}

A diversion holds for a package that is installed or upgraded later, too; one that somebody else made has another name,
and stays. The rules are for the servers' other logs; without any the file of them goes. It prints {"changed": [path],
"rotates": [line]}: the latter is what logrotate says of each log that it would rotate now. To check changes
nothing; and where something is to be changed logrotate is not asked: it would still rotate what is yet to be diverted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

RULES = Path("/etc/logrotate.d/edgetally")
CONF = Path("/etc/logrotate.conf")
DISABLED = ".disabled"
"""logrotate ignores names that end so."""


def said(*command: str) -> subprocess.CompletedProcess[str]:
    """A command that has ended, in plain English; a host may have no logrotate."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def diverted(path: str) -> bool:
    """Whether the file is diverted as this program does it."""
    return said("dpkg-divert", "--truename", path).stdout.strip() == path + DISABLED


def divert(action: str, path: str) -> None:
    """Make or remove the diversion. Raises SystemExit, with dpkg's words, where it cannot."""
    done = said("dpkg-divert", "--local", "--rename", "--divert", path + DISABLED, action, path)
    if done.returncode:
        raise SystemExit(done.stderr.strip())


def write(text: str) -> None:
    """Have logrotate follow these rules, or none."""
    if text:
        new = RULES.with_name(f"{RULES.name}{DISABLED}")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o644)
        new.replace(RULES)
    else:
        RULES.unlink()


def main(asked: dict[str, Any], only_check: bool) -> dict[str, list[str]]:
    """Do it, and ask logrotate."""
    todo = [("--add", path) for path in asked["divert"] if not diverted(path)]
    todo += [("--remove", path) for path in asked["back"] if diverted(path)]
    other = (RULES.read_text(encoding="utf-8") if RULES.exists() else "") != asked["rules"]
    if not only_check:
        for action, path in todo:
            divert(action, path)
        if other:
            write(asked["rules"])
    changed = [job[1] for job in todo] + [str(RULES)] * other
    debug = "" if only_check and changed else said("logrotate", "--debug", str(CONF)).stderr
    return {"changed": changed, "rotates": [line for line in debug.splitlines() if line.startswith("considering log ")]}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]), sys.argv[2] == "check")))
