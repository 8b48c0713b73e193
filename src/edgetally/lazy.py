"""Modules that are imported when something of them is used: most runs then start without waiting for them."""

from __future__ import annotations

import os
import sys
from _thread import RLock
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_THREADS = "OPENBLAS_NUM_THREADS"  # they cost more to start than all that is done here takes


def numpy() -> None:
    """Import numpy, or of numpy 1 its core alone. Whatever else it is asked for then, it becomes itself to answer."""
    os.environ.setdefault(_THREADS, "1")
    spec = None if "numpy" in sys.modules else find_spec("numpy")
    if spec is None or not _has_known_core(spec):
        return
    sys.modules["numpy"] = module = module_from_spec(spec)
    try:
        _fill(module)
    except Exception:  # one unlike those that this was tried with: it is imported as usual
        del sys.modules["numpy"]


def lazily(name: str) -> None:
    """Have a module imported only when something of it is used, whoever imports it from now on."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is not None:
        sys.modules[name] = module = module_from_spec(spec)
        _complete_later(module)


def _complete_later(module: ModuleType) -> None:
    """Have a module executed when it is asked for something that it does not have."""
    lock, begun = RLock(), list[str]()

    def complete(name: str) -> Any:
        with lock:  # another thread waits until all is there
            if not begun:
                begun.append(name)
                spec = module.__spec__
                try:
                    if spec is not None and spec.loader is not None:
                        spec.loader.exec_module(module)
                except BaseException:  # the next one may have more luck
                    begun.clear()
                    raise
                if vars(module).get("__getattr__") is complete:
                    del vars(module)["__getattr__"]
            elif vars(module).get("__getattr__") is complete:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r} yet")
        return getattr(module, name)

    vars(module)["__getattr__"] = complete


def _has_known_core(spec: ModuleSpec) -> bool:
    """Whether this is a numpy 1. Later ones call their core something else, and import less at once."""
    folder = (spec.submodule_search_locations or [""])[0]
    here, moved = (os.path.exists(os.path.join(folder, core, "numeric.py")) for core in ("core", "_core"))
    return here and not moved


def _fill(module: ModuleType) -> None:
    """Import the core into the package, which is not executed; what else it is asked for, it then becomes itself."""
    globals_: Any = __import__("numpy._globals", fromlist=["_NoValue"])
    vars(module).update(_NoValue=globals_._NoValue, _CopyMode=globals_._CopyMode)
    core = __import__("numpy.core", fromlist=["core"])
    for part in (core.multiarray, core):
        vars(module).update({name: getattr(part, name) for name in part.__all__})
    _complete_later(module)
