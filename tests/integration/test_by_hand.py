"""docs/how-to/by-hand.md: its commands, run as they are written, print what it shows.

They run in a network and a /tmp of their own, so that port 7003 is theirs.
"""

from __future__ import annotations

import re
import subprocess

from tests.support import ROOT

PAGE = ROOT / "docs/how-to/by-hand.md"
TYPED = ("status",)
MARK = "-- done --"
OWN = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
START = """
set -m +o history
ip link set lo up
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/log
"""


def steps() -> list[tuple[str, list[str]]]:
    """Each command of the page, with the lines that it shows below it."""
    lines = re.findall(r"^    (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def runnable(command: str, shown: list[str]) -> str:
    """A command as bash runs it; for telnet with what is typed there, and time to be answered."""
    typed = " ".join(f"sleep 0.5; echo {line}; sleep 0.5;" for line in shown if line in TYPED)
    return f"({typed}) | {command}" if typed else command


def without_time(lines: list[str]) -> list[str]:
    """The lines, but for when a file was made, and for what was typed."""
    return [re.sub(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d", "TIME", line) for line in lines if line not in TYPED]


def test_the_page_shows_what_one_sees() -> None:
    session = steps()
    script = START + "".join(f"{runnable(*step)}\nsleep 0.5\necho '{MARK}'\n" for step in session)
    done = subprocess.run(
        [*OWN, "bash", "-c", script], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    seen = [part.strip("\n").splitlines() for part in done.stdout.split(MARK)][: len(session)]
    assert [(command, without_time(lines)) for (command, _), lines in zip(session, seen)] == [
        (command, without_time(lines)) for command, lines in session
    ], done.stderr


def test_the_commands_of_the_first_users_are_on_it() -> None:
    commands = [command for command, _ in steps()]
    assert "gearmand -d -p 7003" in commands
    assert "gearman -n -w -f testwork -- ls -lh &" in commands


def test_without_a_port_the_worker_does_not_end() -> None:
    """As the page warns: another port, and a message without end."""
    done = subprocess.run(
        [*OWN, "bash", "-c", f"{START} timeout 0.5 gearman -n -w -f testwork -- ls -lh 2>&1 | head -n 200 | sort -u"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Connection to localhost:4730 failed" in done.stdout
