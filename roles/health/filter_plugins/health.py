"""The filter that turns what the hosts have answered to playbooks/health.yml into one screen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Answer = Mapping[str, Any]
"""What Ansible registers of a task: unreachable, failed, msg, rc, stdout, stderr, or a module's own values."""

_NOBODY_AT_WORK = ("no aggregator is at work", " is frozen: ")  # and so no canary comes back: that is one cause
CLOCK_AGE = 3600  # an offset that was measured longer ago says little


@dataclass
class Report:
    """problems: a sentence each, with its host. jobs, aggregators, edges: the rows of the tables."""

    problems: list[str] = field(default_factory=list)
    jobs: list[tuple[str, ...]] = field(default_factory=list)
    aggregators: list[str] = field(default_factory=list)
    edges: list[tuple[str, ...]] = field(default_factory=list)

    def blame(self, host: str, *problems: str) -> None:
        """Note problems of a host."""
        self.problems += [f"{host}: {problem}" for problem in problems]


def health_report(
    hosts: Iterable[str],
    variables: Mapping[str, Mapping[str, Any]],
    known: Iterable[str] = (),
    left_out: Iterable[str] = (),
) -> dict[str, list[str]]:
    """The screen and the problems of what the hosts have answered.

    variables: of the hosts; among them __health_job_server, __health_aggregator, __health_canary and __health_edge,
    as tasks/main.yml registers them.
    known: regular expressions of problems that are shown, and are none.
    left_out: the hosts that were not asked, because an earlier play failed on them.
    Returns {"problems": [sentence], "screen": [line]}.
    """
    report = Report()
    failed = set(left_out)
    for host in sorted(hosts):
        if host in failed:
            report.blame(host, "it was not asked, because the rollout failed on it: its error stands above")
            continue
        for kind, read in _READERS.items():
            answer = variables[host].get(f"__health_{kind}") or {}
            if not answer or answer.get("skipped"):
                continue
            if answer.get("unreachable"):
                why = _line(answer.get("msg"))
                report.blame(host, f"it is not reached ({why}): look at `ansible {host} -m ping`")
                break
            read(report, host, answer)
    news = [one for one in report.problems if not any(re.search(pattern, one) for pattern in known)]
    return {"problems": news, "screen": list(_screen(report, news))}


def _line(text: Any) -> str:
    """A message on one line, not too long."""
    words = " ".join(str(text or "no message").split())
    return words if len(words) <= 300 else f"{words[:300]}…"


# --- what each host has answered


def _job_server(report: Report, host: str, answer: Answer) -> None:
    if "server" not in answer:
        report.blame(host, f"{_line(answer.get('msg'))}: look at `ansible {host} -m gearman_queue_info -vvv`")
        return
    problems = [_line(problem) for problem in answer["problems"]]
    if answer["server"]["version"] or answer["queues"]:
        command = f"look at `ansible {host} -m gearman_queue_info` and at the aggregator's log"
        problems = [f"{problem}: {command}" for problem in problems]
    report.blame(host, *problems)
    for name, queue in answer["queues"].items():
        workers = [
            f"{one['client_id'] or '?'} ({one['address']})" for one in answer["workers"] if name in one["queues"]
        ]
        numbers = (str(queue[number]) for number in ("waiting", "running"))
        report.jobs.append((host, answer["server"]["version"], name, *numbers, ", ".join(workers) or "nobody"))
    if not answer["queues"]:
        report.jobs.append((host, "-", "-", "-", "-", "not answering"))


def _said(report: Report, host: str, answer: Answer, command: str) -> Any:
    """The program's answer as data; None, and a problem, where there is none."""
    try:
        return json.loads(answer.get("stdout") or "")
    except ValueError:
        said = next((str(answer[key]) for key in ("stderr", "stdout", "msg") if answer.get(key)), "no output")
        report.blame(host, f"{_line(said.removeprefix('edgetally: '))}: look at `{command}` there")
        return None


def _parts(data: Any, role: str) -> list[dict[str, Any]]:
    """The parts of a role in a status: a host with several has a list of them."""
    return [one for one in (data if isinstance(data, list) else [data]) if one.get("role") == role]


def _aggregator(report: Report, host: str, answer: Answer) -> None:
    data = _said(report, host, answer, "edgetally status")
    if data is None:
        report.aggregators.append(f"{host}: not known")
        return
    for one in _parts(data, "aggregator"):
        report.blame(host, *one["problems"])
        writer = one["writer"]
        active = f"{writer['holder']}, renewed {_age(writer['age'])} ago" if writer["active"] else "nobody"
        refused = ", ".join(f"{count} {reason}" for reason, count in one["quarantine"].items()) or "empty"
        gaps = sorted({gap["stream"] for gap in one["gaps"]})
        report.aggregators += [
            f"{host}: active {active}; last commit {_age(one['last_commit'])} ago; clock {_clock(one)}",
            f"{host}: {one['streams']} streams, {len(gaps)} with gaps in the last day; quarantine {refused}",
        ]


def _canary(report: Report, host: str, answer: Answer) -> None:
    data = _said(report, host, answer, "edgetally canary")
    for one in data["canaries"] if data else ():
        known = any(cause in problem for problem in report.problems for cause in _NOBODY_AT_WORK)
        if one["problem"] and not (known and one["state"] == "unconfirmed"):
            report.blame(host, f"{_line(one['problem'])} (`edgetally canary` tries again)")
        report.aggregators.append(f"{host}: canary through {one['server']} {one['state']} after {one['seconds']:.2f} s")


def _edge(report: Report, host: str, answer: Answer) -> None:
    data = _said(report, host, answer, "edgetally status")
    parts = [] if data is None else _parts(data, "edge")
    if not parts:
        report.edges.append((host, "?", *"-" * 8))
    for one in parts:
        report.blame(host, *one["problems"])
        logs, room = one["logs"], one["spool"] or {"used": 0, "quota": 0, "free": 0}
        waiting = [log["oldest_outbox"] for log in logs if log["oldest_outbox"] is not None]
        rotated = [one["time"] - log["last_rotation"] for log in logs if log["last_rotation"] is not None]
        report.edges.append(
            (
                *(host, one["state"], _age(max(rotated, default=None)), str(sum(log["outbox"] for log in logs))),
                *(_age(max(waiting, default=None)), str(sum(len(log["held"]) for log in logs))),
                *(f"{_mib(room['used'])}/{_mib(room['quota'])}", _mib(room["free"]), _clock(one)),
                one.get("engine", "-").partition(",")[0],
            )
        )


_READERS: dict[str, Callable[[Report, str, Answer], None]] = {
    "job_server": _job_server,
    "aggregator": _aggregator,
    "canary": _canary,
    "edge": _edge,
}


# --- the screen


def _screen(report: Report, problems: list[str]) -> Iterator[str]:
    """Problems first, then those that are known, then a table for each kind of host."""
    if problems:
        yield f"{len(problems)} problem{'s' if len(problems) > 1 else ''}:"
        yield from (f"  ! {problem}" for problem in problems)
    else:
        yield "All is healthy."
    yield from (f"  known: {problem}" for problem in report.problems if problem not in problems)
    if report.jobs:
        yield from _table(("job server", "version", "queue", "waiting", "running", "workers"), report.jobs)
    yield from report.aggregators
    if report.edges:
        head = ("edge", "state", "rotated", "outbox", "oldest", "held", "spool MiB", "free MiB", "clock", "engine")
        yield from _table(head, report.edges)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in (head, *rows))
    return [line.rstrip() for line in lines]


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _mib(size: float) -> str:
    return f"{size / (1 << 20):.0f}"


def _clock(status: Mapping[str, Any]) -> str:
    clock = status.get("clock")
    if not clock:
        return "?"
    return f"{clock['offset']:+.2f} s" + (f" ({_age(clock['age'])} ago)" if clock["age"] > CLOCK_AGE else "")


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"health_report": health_report}
