"""Puts imports off until something of a module is used: a run then does not wait for modules that it never uses.

`lazily` does that with any module, `logging_later` with the logging of a library. `numpy` does it with all of numpy 1
but its core, which is all that the tally needs.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How many threads numpy starts when it is imported. Starting many takes longer than all that is computed here.
_THREADS = "OPENBLAS_NUM_THREADS"


def numpy() -> None:
    """Prepare what `import numpy` gives from now on: of a numpy 1 a module that has the names of its core alone.

    When that module is asked for any other name, it imports the rest into itself. Another numpy is left as it is.
    """
    os.environ.setdefault(_THREADS, "1")
    find_installed()
    spec = None if "numpy" in sys.modules else find_spec("numpy")
    if spec is None or not _has_known_core(spec):
        return
    sys.modules["numpy"] = module = module_from_spec(spec)
    try:
        _fill(module)
    except Exception:  # a numpy 1 that is built otherwise than those that were tried: it is imported as usual
        del sys.modules["numpy"]


def find_installed() -> None:
    """Have Debian's packages found, where Python was started without them (-S)."""
    if sys.flags.no_site and "site" not in sys.modules:
        import site

        site.main()


def lazily(name: str) -> None:
    """Put off a module's import: whoever imports it from now on gets an empty one, which loads itself when it is used.

    Nothing happens where the module is imported already, or is not installed.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is not None:
        sys.modules[name] = module = module_from_spec(spec)
        _complete_later(module, parts=hasattr(module, "__path__"))


@contextmanager
def logging_later() -> Iterator[None]:
    """Let a library that is imported meanwhile have loggers which import `logging` when they are used, if ever."""
    if "logging" in sys.modules:
        yield
        return
    sys.modules["logging"] = module = ModuleType("logging")
    vars(module)["getLogger"] = _LaterLogger
    try:
        yield
    finally:
        if sys.modules.get("logging") is module:
            del sys.modules["logging"]


class _LaterLogger:
    """Stands for the logger of a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        import logging

        return getattr(logging.getLogger(self._name), attribute)


def _complete_later(module: ModuleType, parts: bool = False) -> None:
    """Have a module executed when it is asked for a name that it does not have.

    Python then calls the function `__getattr__` that stands in the module (PEP 562), which here is `complete`.
    """
    lock, begun = RLock(), list[str]()

    def complete(name: str) -> Any:
        if not begun and parts and find_spec(f"{module.__name__}.{name}"):
            return import_module(f"{module.__name__}.{name}")  # a part of a package does not need the whole
        with lock:  # other threads wait until the module is whole
            if not begun:
                begun.append(name)
                spec = module.__spec__
                try:
                    if spec is not None and spec.loader is not None:
                        spec.loader.exec_module(module)
                except BaseException:  # the next time that a name is asked for, it is tried again
                    begun.clear()
                    raise
                if vars(module).get("__getattr__") is complete:  # else the module brought its own, which stays
                    del vars(module)["__getattr__"]
            elif vars(module).get("__getattr__") is complete:  # it is asked while this very thread executes it
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r} yet")
        return getattr(module, name)

    vars(module)["__getattr__"] = complete


def _has_known_core(spec: ModuleSpec) -> bool:
    """Whether this is a numpy 1, by its core in numpy/core. numpy 2 has it in numpy/_core, and imports less at once."""
    folder = (spec.submodule_search_locations or [""])[0]
    old, new = (os.path.exists(os.path.join(folder, core, "numeric.py")) for core in ("core", "_core"))
    return old and not new


def _fill(module: ModuleType) -> None:
    """Put the names of numpy's core into `module`, which stands for numpy; any other name has all of numpy executed."""
    globals_: Any = __import__("numpy._globals", fromlist=["_NoValue"])
    vars(module).update(_NoValue=globals_._NoValue, _CopyMode=globals_._CopyMode)
    core = __import__("numpy.core", fromlist=["core"])
    for part in (core.multiarray, core):
        vars(module).update({name: getattr(part, name) for name in part.__all__})
    _complete_later(module)
