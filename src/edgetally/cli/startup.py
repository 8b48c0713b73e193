"""The way into the program: it starts in no time, since what a run seldom uses is imported when it is used."""

from __future__ import annotations

from edgetally.lazy import lazily

# What others import, and what of: dataclasses look at a class without a docstring, urllib.parse at hosts in brackets,
# logging at exceptions, shutil at archives, and the gearman library at TLS.
_SELDOM_USED = ("inspect", "ipaddress", "traceback", "bz2", "lzma", "ssl")


def main() -> int:
    """Run the command line; the exit status."""
    for name in _SELDOM_USED:
        lazily(name)
    from edgetally.cli.main import main as run

    return run()
