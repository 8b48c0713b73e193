"""Progress on standard error: a line for each step, with the time since the demo began."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

_START = time.monotonic()
_INTERVAL = 20.0


class DemoError(Exception):
    """One sentence: what failed, where, and how to mend it."""


def say(text: str) -> None:
    """Print one line of progress."""
    elapsed = int(time.monotonic() - _START)
    print(f"[{elapsed // 60:2d}:{elapsed % 60:02d}] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str, *, remind: bool = True) -> Iterator[None]:
    """Say what begins and how long it took; with `remind`, every 20 seconds that it still goes on."""
    say(f"{text} …")
    start, done = time.monotonic(), threading.Event()

    def go_on() -> None:
        while not done.wait(_INTERVAL):
            say(f"    … {time.monotonic() - start:.0f} s so far")

    if remind:
        threading.Thread(target=go_on, daemon=True).start()
    try:
        yield
        say(f"    done in {time.monotonic() - start:.1f} s")
    finally:
        done.set()


def heading(text: str) -> None:
    """Print a heading of the result on standard output."""
    print(f"\n=== {text}\n", flush=True)


def positive(text: str) -> float:
    """A number above zero, for argparse."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def end_cleanly() -> None:
    """Let SIGTERM and SIGHUP unwind the program like an exit, so that what it started is ended."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
