"""Imports that are put off until something of the module is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import SOURCE


def test_a_module_is_loaded_when_it_is_used() -> None:
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(SOURCE)!r})
        from edgetally.lazy import lazily
        lazily("ssl")
        import ssl
        before = "_ssl" in sys.modules
        from ssl import SSLError
        print(before, "_ssl" in sys.modules, issubclass(SSLError, OSError), ssl.create_default_context().check_hostname)
    """
    found = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True", "True", "True"]


def test_threads_that_use_a_module_at_once_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "slow_one.py").write_text("import time\ntime.sleep(0.3)\nvalue = 7\n", encoding="utf-8")
    code = f"""if True:
        import sys
        sys.path[:0] = {str(SOURCE)!r}, {str(tmp_path)!r}
        from concurrent.futures import ThreadPoolExecutor
        from edgetally.lazy import lazily
        lazily("slow_one")
        import slow_one
        with ThreadPoolExecutor() as pool:
            print(*pool.map(lambda _: slow_one.value, range(4)), hasattr(slow_one, "nothing"))
    """
    found = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["7"] * 4 + ["False"]
