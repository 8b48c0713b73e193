"""Puts imports off until something of a module is used: a run then does not wait for modules that it never uses.

`lazily` does that with any module, `logging_later` with the logging of a library.
"""

from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
