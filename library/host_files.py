#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Make the files and folders of a host what they ought to be, all of them in one call."""
# ruff: noqa: E402 (Ansible wants the documentation above the imports)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_files
short_description: Write several files and folders in one call
description:
  - Each task costs every host a start of Python. A role that writes eight files takes an eighth of that here.
  - Entries are done in their order, a file whole or not at all, and what comes after one that fails is left as it was.
requirements:
  - Python 3.9 or later on the managed host
options:
  files:
    description: The files and folders.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Where it is. The folder that a file is to lie in must be there, or come before it.
          - The folders above a new one are made like it.
          - A link to a folder is one; in a file's place a link is replaced.
        type: path
        required: true
      state:
        description: What it is to be. Where the other has its place, the module fails.
        type: str
        choices: [file, folder]
        default: file
      content:
        description:
          - What the file holds, in base64. Ansible would turn a text that looks like JSON into something else.
          - Without it a file that is there keeps what it holds, and a new one is empty.
        type: str
      owner:
        description: The user who owns it. Without one that stays, or is who runs the module.
        type: str
      group:
        description: The group that owns it; likewise.
        type: str
      mode:
        description: The permissions, in octal digits.
        type: str
        default: "0644"
      validate:
        description: A command that must succeed before a file takes its place; C(%s) is the new one, with its rights.
        type: list
        elements: str
        default: []
      shown:
        description: Whether a difference may be shown. Only for what holds no secret.
        type: bool
        default: false
attributes:
  check_mode:
    description: Says what would be changed; nothing is validated then, as in M(ansible.builtin.template).
    support: full
  diff_mode:
    description: Shows what is changed in files that may be shown.
    support: full
author:
  - The edgetally developers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Write the configuration
  host_files:
    files:
      - {path: /etc/edgetally, state: folder, mode: "0755"}
      - path: /etc/edgetally/channels.json
        content: "{{ lookup('ansible.builtin.template', 'channels.json.j2') | b64encode }}"
        shown: true
        validate: [edgetally, tally, --format, combined, --channels, "%s", /dev/null]
"""

RETURN = r"""
paths:
  description: What was changed, in the order of the entries.
  returned: success
  type: list
  elements: str
  sample: [/etc/edgetally/channels.json]
path:
  description: The entry that failed; the message is what its validation or the system said.
  returned: failure
  type: str
  sample: /etc/edgetally/channels.json
"""

import base64
import grp
import os
import pwd
import stat
import tempfile
from pathlib import Path
from typing import Any, Dict, Optional

from ansible.module_utils.basic import AnsibleModule

Entry = Dict[str, Any]
KEEP = -1
"""What chown takes for: as it is."""


def kind(path: str) -> str:
    """What is there now: file, folder or absent; a link to a folder is one, any other link or thing is `other`."""
    if os.path.isdir(path):
        return "folder"
    if os.path.isfile(path) and not os.path.islink(path):
        return "file"
    return "other" if os.path.lexists(path) else "absent"


def held(path: str) -> Optional[bytes]:
    """What the file there holds; None where there is none."""
    if kind(path) != "file":
        return None
    with open(path, "rb") as file:
        return file.read()


def wanted(entry: Entry) -> Optional[bytes]:
    """What a file is to hold; None where it is no file, or may hold what it does."""
    if entry["state"] != "file" or (entry["content"] is None and kind(entry["path"]) == "file"):
        return None
    return base64.b64decode(entry["content"] or "")


def rights(entry: Entry) -> "tuple[int, int, int]":
    """The user, the group and the permissions that it is to have. Nobody named: that of what is there, or KEEP."""
    user, group, path = entry["owner"], entry["group"], entry["path"]
    now = os.stat(path) if kind(path) == entry["state"] else None
    return (
        pwd.getpwnam(user).pw_uid if user else now.st_uid if now else KEEP,
        grp.getgrnam(group).gr_gid if group else now.st_gid if now else KEEP,
        int(entry["mode"], 8),
    )


def differs(entry: Entry) -> bool:
    """Whether there is something to do."""
    path = entry["path"]
    if kind(path) != entry["state"]:
        return True
    new, now = wanted(entry), os.stat(path)
    if new is not None and new != held(path):
        return True
    try:
        return rights(entry) != (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode))
    except KeyError:  # a user who is yet to be made, in check mode
        return True


def do(module: Any, entry: Entry) -> None:
    """Make it what it is to be. Raises OSError, KeyError, or ValueError with a sentence or the validation's words."""
    path, new = entry["path"], wanted(entry)
    if entry["state"] == "folder":
        make_folder(path, rights(entry))
    elif kind(path) == "folder":
        raise ValueError(f"{path} is to be a file, and a folder is there: move that away")
    elif new is not None and new != held(path):
        write(module, entry, new)
    set_rights(path, rights(entry))


def make_folder(path: str, wished: "tuple[int, int, int]") -> None:
    """Make the folder with those that it lies in, all alike; each is root's alone until it has its rights."""
    for folder in [*reversed(Path(path).parents), Path(path)]:
        if folder.is_dir():
            continue
        if os.path.lexists(folder):
            raise ValueError(f"{folder} is to be a folder, and something else is there: move that away")
        folder.mkdir(0o700)
        set_rights(str(folder), wished)


def write(module: Any, entry: Entry, data: bytes) -> None:
    """Put a new file in the place of what is there; before it is seen there, it has its rights and is on the disk."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(entry["path"]), prefix=".ansible-host-files-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            set_rights(file.fileno(), rights(entry))
            file.flush()
            os.fsync(file.fileno())
        validate(module, entry, temporary)
        os.replace(temporary, entry["path"])
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def validate(module: Any, entry: Entry, temporary: str) -> None:
    """Raise ValueError where the entry's own command does not like the new file."""
    command = [word.replace("%s", temporary) for word in entry["validate"]]
    if command:
        code, output, error = module.run_command(command)
        if code:
            said = (error or output).strip() or f"{command[0]} ended with {code}"
            raise ValueError(said.replace(temporary, entry["path"]))  # its path would mislead


def set_rights(path: "str | int", wished: "tuple[int, int, int]") -> None:
    """Give a path, or an open file, its owners and permissions."""
    os.chown(path, *wished[:2])
    os.chmod(path, wished[2])


def shown(entry: Entry) -> "list[dict[str, str]]":
    """What Ansible shows of the difference."""
    if not entry["shown"] or wanted(entry) is None:
        return []
    before, after = held(entry["path"]) or b"", wanted(entry) or b""
    texts = (text.decode("utf-8", "replace") for text in (before, after))
    return [dict(zip(("before", "after"), texts), before_header=entry["path"], after_header=entry["path"])]


def attempt(module: Any, entry: Entry) -> None:
    """Do an entry; ends the module where it cannot be done."""
    try:
        do(module, entry)
    except (OSError, KeyError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error.args[0])
        module.fail_json(msg=why if entry["path"] in why else f"{entry['path']}: {why}", path=entry["path"])


def run(module: Any) -> None:
    """Do all entries; ends the module."""
    paths: list[str] = []
    difference: list[dict[str, str]] = []
    for entry in filter(differs, module.params["files"]):
        paths.append(entry["path"])
        difference += shown(entry)
        if not module.check_mode:
            attempt(module, entry)
    module.exit_json(changed=bool(paths), paths=paths, diff=difference)


def main() -> None:
    """Run as an Ansible module."""
    options = {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["file", "folder"], "default": "file"},
        "content": {"type": "str", "no_log": True},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "list", "elements": "str", "default": []},
        "shown": {"type": "bool", "default": False},
    }
    files = {"type": "list", "elements": "dict", "required": True, "options": options}
    run(AnsibleModule(argument_spec={"files": files}, supports_check_mode=True))


if __name__ == "__main__":
    main()
