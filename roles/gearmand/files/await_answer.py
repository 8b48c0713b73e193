"""Wait until gearmand answers after a start; where it does not, say what its journal says.

usage: await_answer.py HOST PORT UNIT SECONDS

systemd calls it started as soon as there is a process, and gearmand only then binds its address and reads its queue.
Where it ends again and again, that is the answer, and the rest of the time is not waited for. Exit status: 0 it
answers, 1 it does not, and standard output has one sentence that says why.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time

ENDED = 3
"""So many ends in one wait are no accident."""


def answers(host: str, port: int) -> bool:
    """Whether somebody says a version there."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(b"version\r\n")
            return b"\n" in connection.recv(200)
    except OSError:
        return False


def restarts(unit: str) -> int:
    """How often systemd has started the unit again by itself."""
    return int(_said("systemctl", "show", "--property=NRestarts", "--value", unit) or 0)


def journal(unit: str, since: float) -> str:
    """What the unit's programs have said since a moment."""
    which = [f"--unit={unit}", f"--since=@{since:.0f}", "--identifier=gearmand", "--identifier=python3"]
    return _said("journalctl", "--quiet", "--output=cat", *which)


def _said(*command: str) -> str:
    """What a command prints; nothing where there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


def last_word(text: str) -> str:
    """The last line that tells of an error, else the last line; without the time, which systemd knows, too."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"ERROR|FATAL|Error|Traceback", line)]
    return (errors or lines or ["nothing"])[-1]


def wait(host: str, port: int, unit: str, seconds: float) -> str:
    """Empty when gearmand answers within so many seconds, else why it does not."""
    begun, deadline = time.time(), time.monotonic() + seconds
    before = restarts(unit)
    while not answers(host, port):
        ended = restarts(unit) - before
        if ended >= ENDED or time.monotonic() > deadline:
            what = f"has ended {ended} times" if ended else f"does not answer on {host}:{port} after {seconds:.0f} s"
            return f"{unit} {what}; its journal says: {last_word(journal(unit, begun - 5))}"
        time.sleep(0.5)
    return ""


if __name__ == "__main__":
    said = wait(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
    print(said)
    sys.exit(bool(said))
