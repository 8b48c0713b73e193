"""Where the time of a playbook is, task by task."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support import ROOT

CALLBACKS = ROOT / "tests" / "bench" / "callbacks"
SHOWN = 30


def measured(arguments: Sequence[str]) -> tuple[int, list[dict[str, float | str]]]:
    """Run ansible-playbook here: its exit status, and a line for each task as callbacks/task_seconds.py has it."""
    with tempfile.TemporaryDirectory(prefix="edgetally-bench-") as folder:
        lines = Path(folder) / "tasks"
        lines.touch()
        settings = {"ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS), "ANSIBLE_CALLBACKS_ENABLED": "task_seconds"}
        environment = {**os.environ, **settings, "EDGETALLY_TASK_SECONDS": str(lines)}
        done = subprocess.run(["ansible-playbook", *arguments], cwd=ROOT, env=environment, check=False)
        return done.returncode, [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]


def table(lines: Sequence[dict[str, float | str]]) -> str:
    """The tasks, those of one name added up, the slowest first, and their sum."""
    sums: dict[str, list[float]] = {}
    for line in lines:
        added = sums.setdefault(str(line["task"]), [0.0, 0.0, 0.0])
        added[:] = [old + float(line[name]) for old, name in zip(added, ("seconds", "cpu", "hosts"))]
    rows = sorted(sums.items(), key=lambda row: -row[1][0])
    total = [sum(values[column] for values in sums.values()) for column in range(2)]
    text = [
        "seconds  CPU of the controller  hosts  task",
        f"{total[0]:7.1f}  {total[1]:21.1f}         all {len(lines)} tasks",
    ]
    text += [f"{values[0]:7.1f}  {values[1]:21.1f}  {values[2]:5.0f}  {task}" for task, values in rows[:SHOWN]]
    return "\n".join(text)


def main(arguments: Sequence[str]) -> int:
    """Run ansible-playbook with the arguments and print the table; the exit status is the playbook's."""
    status, lines = measured(arguments)
    print(table(lines))
    return status
