"""Run every tag that the roles' READMEs document, each by itself, on the hosts of an inventory.

usage: tests/lab/tags.py INVENTORY [--check]

With --check it is for hosts that know nothing of edgetally yet. Without, for those that have been rolled out: a tag
must change nothing then. Each must do something of its role's. Facts are not gathered by themselves, as where
ANSIBLE_GATHERING says so. The parts run side by side, as they are on different hosts; of the edges the last is enough.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOSTS = "gearmand:aggregator:edges[-1]"
PARTS = {"gearmand": ["gearmand"], "aggregator": ["aggregator"], "edge_shipper": ["edge_shipper", "edgetally"]}
"""By playbook, the roles whose tags it knows."""


def documented(role: str) -> list[str]:
    """The tags that a role's README lists."""
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^Tags: (.*)\.$", text, re.MULTILINE)
    return re.findall(r"`(\w+)`", line)


def wrong(playbook: str, role: str, output: str, check: bool) -> str:
    """What is wrong with a run that has ended well; empty when nothing is.

    Where all is in its place a task may be left out, also one that would bring another role's; on hosts that know
    nothing yet something must be done.
    """
    done = "ok|changed|included" + ("" if check else "|skipping")
    roles = role if check else rf"(?:{role}|{playbook})"
    if not re.search(rf"^TASK \[{roles} : (?!Validating).*\n(?:{done}):", output, re.MULTILINE):
        return "it did nothing"
    return "" if check or not re.search(r"changed=[1-9]", output) else "it changed something"


def run(inventory: str, playbook: str, role: str, tag: str, check: bool) -> str:
    """Run one tag; a sentence where it was not well."""
    command = ["ansible-playbook", "-i", inventory, f"playbooks/{playbook}.yml", "--tags", tag, "--limit", HOSTS]
    command += ["--check"] if check else []
    plain = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}  # molecule has all in colours
    settings = {**plain, "ANSIBLE_GATHERING": "explicit", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    environment = {**os.environ, **settings}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    said = done.stderr[-2000:] if done.returncode else wrong(playbook, role, done.stdout, check)
    return f"{' '.join(command[3:])}: {said}" if said else ""


def run_all(inventory: str, playbook: str, check: bool) -> list[str]:
    """Run all tags of a playbook, one after the other; the sentences."""
    tags = [(role, tag) for role in PARTS[playbook] for tag in documented(role)]
    found = [run(inventory, playbook, role, tag, check) for role, tag in tags]
    return [one for one in found if one]


def main() -> int:
    """Run all of them; 1 where one was not well."""
    inventory, check = sys.argv[1], "--check" in sys.argv
    with ThreadPoolExecutor() as pool:
        parts = pool.map(lambda playbook: run_all(inventory, playbook, check), PARTS)
        problems = [one for part in parts for one in part]
    print("\n".join(problems) or "all tags are well")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
