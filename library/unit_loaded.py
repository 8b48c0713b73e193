#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Tell whether the process of a systemd unit was started after the files that it reads were written."""
# ruff: noqa: E402 (Ansible wants the documentation above the imports)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: unit_loaded
short_description: Tell whether a service has loaded its files
description:
  - Compares when the process of a systemd unit was started with when its files were last changed.
  - A handler is lost where a play fails between the change and its end. What a process has loaded is not.
requirements:
  - Python 3.9 or later and systemd on the managed host
options:
  unit:
    description: The unit, with its suffix.
    type: str
    required: true
  files:
    description:
      - What the process reads at its start, such as its program, its configuration and its unit.
      - Of a link, both the link and what it points to. What is not there does not count.
    type: list
    elements: path
    required: true
  reloads:
    description:
      - Whether a reload starts new processes below the unit's own, as those of nginx and Apache do.
      - Then the youngest of them counts.
    type: bool
    default: false
attributes:
  check_mode:
    description: Runs in check mode as always, because it changes nothing.
    support: full
author:
  - The edgetally developers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Ask whether the service has loaded its configuration
  unit_loaded:
    unit: gearmand.service
    files: [/etc/systemd/system/gearmand.service, /opt/gearmand/current]
  register: gearmand

- name: Restart it where it has not
  ansible.builtin.systemd_service:
    name: gearmand.service
    state: restarted
    daemon_reload: true
  when: gearmand.newer | length > 0
"""

RETURN = r"""
since:
  description: When the process was started, in seconds since the epoch. Null where none runs.
  returned: always
  type: float
  sample: 1780000000.12
known:
  description: Whether systemd has such a unit.
  returned: always
  type: bool
  sample: true
newer:
  description:
    - The files that were changed since. None where no process runs - its start will read them.
  returned: always
  type: list
  elements: str
  sample: [/opt/gearmand/current]
"""

import os
import time
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

START_TIME = 19
"""Where /proc/PID/stat has the start, in clock ticks since the boot; counted behind the name, which may hold blanks."""


def started(process: int) -> Optional[float]:
    """When a process was started, in seconds since the epoch; None where there is none."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = int(fields[START_TIME]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks


def children(process: int) -> "list[int]":
    """The processes that a process has started itself."""
    try:
        with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def loaded_at(process: int, reloads: bool) -> Optional[float]:
    """When a process has last read its files; None where there is none."""
    moments = [started(one) for one in [process, *(children(process) if reloads else [])]]
    return max((moment for moment in moments if moment is not None), default=None) if moments[0] else None


def changed(path: str) -> float:
    """When a file was last changed, in seconds since the epoch; 0 where there is none.

    By the time of its inode: a file that was moved into its place has an old date, and so has one that is unpacked.
    """
    moments = [0.0]
    for look in (os.lstat, os.stat):
        try:
            moments.append(look(path).st_ctime)
        except OSError:
            continue
    return max(moments)


def ask(module: Any) -> "dict[str, str]":
    """What systemd says of the unit, by property; nothing where there is no systemd."""
    if not os.path.isdir("/run/systemd/system"):
        return {}
    command = ["systemctl", "show", "--property=LoadState,MainPID", module.params["unit"]]
    code, answer, error = module.run_command(command)
    if code:
        module.fail_json(msg=f"systemd tells nothing of {module.params['unit']}: {error.strip()}")
    return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
            "reloads": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    told = ask(module)
    process = int(told.get("MainPID") or 0)
    since = loaded_at(process, module.params["reloads"]) if process else None
    newer = [] if since is None else [path for path in module.params["files"] if changed(path) > since]
    module.exit_json(changed=False, known=told.get("LoadState") == "loaded", since=since, newer=newer)


if __name__ == "__main__":
    main()
