"""`edgetally status --nagios`: one line with performance data, and the exit statuses of a monitoring plug-in."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgetally.errors import EdgetallyError
from edgetally.health.edge import OVERDUE_SECONDS
from edgetally.health.status import STATES, Status

UNKNOWN = 3


def run(ask: Callable[[], list[Status]], timeout: float) -> int:
    """Print the line; 0 ok, 1 warning, 2 critical, 3 where the status cannot be told, or not in so many seconds."""
    try:
        with _limited(timeout):
            statuses = ask()
    except EdgetallyError as error:
        print(_clean(f"EDGETALLY UNKNOWN: {error}"))
        return UNKNOWN
    state = max((status["state"] for status in statuses), key=STATES.index)
    problems = [problem for status in statuses for problem in status["problems"]]
    parts = " and ".join(f"edge {status['edge']}" if status["role"] == "edge" else "aggregator" for status in statuses)
    text = f"EDGETALLY {state.upper()}: {parts}{': ' if problems else ''}{'; '.join(problems)}"
    figures = [f"'{name}'={value}" for status in statuses for name, value in _figures(status)]
    print(f"{_clean(text)} | {' '.join(figures)}")
    return STATES.index(state)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise EdgetallyError where the work takes longer. Monitoring kills a check that hangs, and learns nothing."""

    def late(*_: object) -> None:
        raise EdgetallyError(
            f"the database or a job server has not answered within {seconds:g} s (--timeout): look at MariaDB, and at "
            "`systemctl status edgetally-aggregator`"
        )

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _clean(text: str) -> str:
    """A text as it may stand before the figures: they begin at a pipe, and all is one line."""
    return text.replace("|", "/").replace("\n", " ")


def _figures(status: Status) -> Iterator[tuple[str, str]]:
    """Names and values, each with unit and thresholds where it has them."""
    if status["role"] == "edge":
        logs = status["logs"]
        yield "outbox", str(sum(log["outbox"] for log in logs))
        yield "oldest", f"{max((log['oldest_outbox'] or 0.0 for log in logs), default=0.0)}s;{OVERDUE_SECONDS}"
        yield "held", f"{sum(len(log['held']) for log in logs)};;0"
        if status["spool"]:
            yield "spool", f"{status['spool']['used']}B;;{status['spool']['quota']}"
    else:
        for server in status["job_servers"]:
            for name, queue in server["queues"].items():
                yield f"{server['server']} {name} waiting", str(queue["waiting"])
        if "writer" not in status:
            return
        yield "lease", f"{status['writer']['age']}s"
        yield "quarantine", f"{sum(status['quarantine'].values())};0"
        yield "gaps", f"{len(status['gaps'])};0"
        if status["last_commit"] is not None:
            yield "last commit", f"{status['last_commit']}s"
    if status["clock"]:
        yield f"{status['role']} clock", f"{status['clock']['offset']}s"
