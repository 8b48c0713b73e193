"""The way into the program. It starts fast, since modules that a run seldom uses are imported when they are used."""

from __future__ import annotations

from edgetally.lazy import lazily

# Other modules import these for what a run seldom does: dataclasses look at a class without a docstring (inspect),
# urllib.parse at hosts in brackets (ipaddress), logging at exceptions (traceback), shutil at archives (bz2, lzma), and
# the gearman library can speak TLS (ssl).
_SELDOM_USED = ("inspect", "ipaddress", "traceback", "bz2", "lzma", "ssl")


def main() -> int:
    """Run the command line; the exit status."""
    for name in _SELDOM_USED:
        lazily(name)
    from edgetally.cli.main import main as run

    return run()
