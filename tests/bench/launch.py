"""Runs one command and writes what it cost: launch.py REPORT STDOUT STDERR COMMAND…

A process of its own, and a small one: until a child begins its program it has its parent's memory, which counts in its
peak. So the least peak that can be seen is what this one needs, about 7 MB.
"""

import os
import sys
import time


def main() -> int:
    report, output, errors, *command = sys.argv[1:]
    started = time.monotonic()
    child = os.fork()
    if not child:
        for path, number in ((os.devnull, 0), (output, 1), (errors, 2)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY, 0o644), number)
        os.execvp(command[0], command)
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - started
    with open(report, "w", encoding="ascii") as file:
        print(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss, os.waitstatus_to_exitcode(status), file=file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
