"""Notes what each task of a playbook takes, a JSON object a line: `bin/bench playbook` prints a table of it.

A line has the task's name, the seconds until the next task begins, the controller's CPU seconds, and for how many hosts
it was. The strategy `linear` has all hosts do one task before the next, so a task ends where the next one begins.
"""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_seconds
type: aggregate
short_description: note what each task takes
description: [Writes a JSON object for each task into the file that EDGETALLY_TASK_SECONDS names.]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Ansible looks for a class of this name."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_seconds"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.task, self.hosts, self.begun = "", 0, _now()

    def next(self, task: str) -> None:
        """Note the task that has ended, and begin another."""
        now = _now()
        if self.task:
            seconds, cpu = (after - before for before, after in zip(self.begun, now))
            line = {"task": self.task, "hosts": self.hosts, "seconds": seconds, "cpu": cpu}
            with Path(os.environ["EDGETALLY_TASK_SECONDS"]).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        self.task, self.hosts, self.begun = task, 0, now

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool = False) -> None:
        """Ansible begins a task."""
        self.next(task.get_name().strip())

    v2_playbook_on_handler_task_start = v2_playbook_on_task_start

    def v2_runner_on_ok(self, result: Any) -> None:
        """A host has done it."""
        self.hosts += 1

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Ansible has ended."""
        self.next("")


def _now() -> tuple[float, float]:
    """The clock, and the CPU seconds of the controller and its forks so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.monotonic(), sum(one.ru_utime + one.ru_stime for one in used)
