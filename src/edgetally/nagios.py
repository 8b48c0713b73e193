"""`edgetally status --nagios`: one line with performance data, and the exit statuses of a monitoring plug-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from edgetally.errors import EdgetallyError
from edgetally.status import LATE_SECONDS

WORDS = {"ok": "OK", "warning": "WARNING", "critical": "CRITICAL"}
UNKNOWN = 3


def run(ask: Callable[[], list[dict[str, Any]]]) -> int:
    """Print the line; 0 ok, 1 warning, 2 critical, 3 where the status cannot be told."""
    try:
        found = ask()
    except EdgetallyError as error:
        print(_clean(f"EDGETALLY UNKNOWN: {error}"))
        return UNKNOWN
    state = max((status["state"] for status in found), key=list(WORDS).index)
    problems = [problem for status in found for problem in status["problems"]]
    parts = " and ".join(f"edge {one['edge']}" if one["role"] == "edge" else "aggregator" for one in found)
    text = f"EDGETALLY {WORDS[state]}: {parts}{': ' if problems else ''}{'; '.join(problems)}"
    figures = [f"'{name}'={value}" for status in found for name, value in _figures(status)]
    print(f"{_clean(text)} | {' '.join(figures)}")
    return list(WORDS).index(state)


def _clean(text: str) -> str:
    """A pipe begins the figures, and a line is all that there is."""
    return text.replace("|", "/").replace("\n", " ")


def _figures(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values, each with unit and thresholds where it has them."""
    if status["role"] == "edge":
        logs = status["logs"]
        yield "outbox", str(sum(log["outbox"] for log in logs))
        yield "oldest", f"{max((log['oldest_outbox'] or 0.0 for log in logs), default=0.0)}s;{LATE_SECONDS}"
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
    if status.get("clock"):
        yield f"{status['role']} clock", f"{status['clock']['offset']}s"
