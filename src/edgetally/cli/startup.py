"""The way into the program, and out of it. cron starts it every few minutes on every edge: both are short.

Modules that a run seldom uses are imported when they are used; CONTRIBUTING.md says what `ship` must not import at all.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

from edgetally.lazy import lazily

# Other modules import these for what a run seldom does: dataclasses look at a class without a docstring (inspect),
# urllib.parse at hosts in brackets (ipaddress), logging at exceptions (traceback), shutil at archives (bz2, lzma); the
# gearman library can speak TLS (ssl), and as a whole has more parts than one of us wants.
_SELDOM_USED = ("inspect", "ipaddress", "traceback", "bz2", "lzma", "ssl", "gearman")


def run() -> None:
    """Run the command line, and end at once: to take the modules apart that go with the process anyway takes 10 ms."""
    status = main()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> int:
    """Run the command line; the exit status."""
    gc.disable()  # until the command is loaded: there is nothing to collect yet
    for name in _SELDOM_USED:
        lazily(name)
    from edgetally.cli.main import main as run

    return run()
