"""The loggers of a library load `logging` when they are used, and not before."""

from __future__ import annotations

import subprocess
import sys

from tests.support import SOURCE


def test_a_librarys_loggers_load_logging_when_they_are_used() -> None:
    code = f"""if True:
        import sys
        sys.path.append({str(SOURCE)!r})
        from edgetally.lazy import logging_later
        with logging_later():
            import logging
            logger = logging.getLogger("a.library")
        print("logging" in sys.modules)
        import logging
        print(hasattr(logging, "Handler"))
        logger.error("it says %s", "this")
    """
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\nTrue\n", "it says this\n")
