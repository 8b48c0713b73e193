"""The screen of playbooks/health.yml: problems first, each with its host and a command; one dead host is a line."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from roles.health.filter_plugins.health import health_report

QUEUE = {"waiting": 2, "running": 1, "total": 3, "workers": 1, "registered": True}


def job_server(**values: Any) -> dict[str, Any]:
    """What gearman_queue_info answers."""
    worker = {"address": "192.0.2.20", "client_id": "edgetally agg1:7", "queues": ["edgetally.batch"]}
    server = {"host": "192.0.2.10", "port": 7003, "version": "0.14"}
    good = {"server": server, "queues": {"edgetally.batch": QUEUE}, "workers": [worker], "problems": []}
    return {"__health_job_server": {**good, **values}}


def program(kind: str, **values: Any) -> dict[str, Any]:
    """What a run of the program leaves: its JSON."""
    return {f"__health_{kind}": {"rc": 0, "stdout": json.dumps(values), "stderr": ""}}


def aggregator(**values: Any) -> dict[str, Any]:
    good = {
        "role": "aggregator",
        "problems": [],
        "writer": {"holder": "agg1:7", "active": True, "age": 3.0},
        "last_commit": 40.0,
        "clock": {"offset": 0.001, "accuracy": 0.001, "age": 0.0},
        "streams": 3,
        "gaps": [],
        "quarantine": {},
    }
    return program("aggregator", **{**good, **values})


def edge(**values: Any) -> dict[str, Any]:
    now = time.time()
    log = {"last_rotation": now - 100, "outbox": 1, "oldest_outbox": 4.0, "held": []}
    room = {"used": 5 << 20, "quota": 20 << 30, "free": 9 << 30}
    good = {
        "role": "edge",
        "state": "ok",
        "problems": [],
        "time": now,
        "logs": [log],
        "spool": room,
        "engine": "kernel 2",
    }
    return program("edge", **{**good, "clock": {"offset": -0.2, "accuracy": 0.1, "age": 60.0}, **values})


def canary(problem: str = "") -> dict[str, Any]:
    one = {
        "server": "job1:7003",
        "state": "unconfirmed" if problem else "committed",
        "seconds": 0.21,
        "problem": problem,
    }
    return program("canary", canaries=[one])


def report(**hosts: dict[str, Any]) -> tuple[list[str], list[str]]:
    found = health_report(hosts, hosts)
    return found["problems"], found["screen"]


def test_a_healthy_fleet_fits_a_screen() -> None:
    problems, screen = report(job1=job_server(), agg1={**aggregator(), **canary()}, edge1=edge(), edge2=edge())
    assert problems == []
    assert screen == [
        "All is healthy.",
        "job server  version  queue            waiting  running  workers",
        "job1        0.14     edgetally.batch  2        1        edgetally agg1:7 (192.0.2.20)",
        "agg1: active agg1:7, renewed 3 s ago; last commit 40 s ago; clock +0.00 s",
        "agg1: 3 streams, 0 with gaps in the last day; quarantine empty",
        "agg1: canary through job1:7003 committed after 0.21 s",
        "edge   state  rotated  outbox  oldest  held  spool MiB  free MiB  clock    engine",
        "edge1  ok     100 s    1       4 s     0     5/20480    9216      -0.20 s  kernel 2",
        "edge2  ok     100 s    1       4 s     0     5/20480    9216      -0.20 s  kernel 2",
    ]


def test_problems_come_first_with_their_hosts() -> None:
    problems, screen = report(
        job1=job_server(problems=["edgetally.batch: 0 workers, at least 1 wanted"]),
        agg1={**aggregator(problems=["no aggregator is at work"]), **canary("it did not come back")},
        edge1=edge(state="warning", problems=["3 batches wait: `edgetally ship --now` says why"]),
    )
    assert screen[0] == "3 problems:"
    assert screen[1:4] == [f"  ! {problem}" for problem in problems]
    assert problems == [
        "agg1: no aggregator is at work",
        "edge1: 3 batches wait: `edgetally ship --now` says why",
        "job1: edgetally.batch: 0 workers, at least 1 wanted: look at `ansible job1 -m gearman_queue_info` and at the "
        "aggregator's log",
    ]


def test_a_canary_that_does_not_come_back_is_a_problem_of_its_own_where_somebody_is_at_work() -> None:
    problems, _ = report(agg1={**aggregator(), **canary("it did not come back")})
    assert problems == ["agg1: it did not come back (`edgetally canary` tries again)"]
    frozen = "the aggregator agg1:7 is frozen: it has not renewed its lease for 5 min"
    problems, _ = report(agg1={**aggregator(problems=[frozen]), **canary("it did not come back")})
    assert problems == [f"agg1: {frozen}"], "one cause, one line"


def test_what_is_known_is_shown_and_is_no_problem() -> None:
    hosts = {"edge1": edge(problems=["it has gaps", "it is paused"])}
    found = health_report(hosts, hosts, ["^edge1: .*gaps"])
    assert found["problems"] == ["edge1: it is paused"]
    assert found["screen"][:3] == ["1 problem:", "  ! edge1: it is paused", "  known: edge1: it has gaps"]
    assert health_report(hosts, hosts, ["gaps", "paused"])["screen"][0] == "All is healthy."


@pytest.mark.parametrize("kind", ["job_server", "aggregator", "canary", "edge"])
def test_a_dead_host_is_a_problem_once_and_the_others_are_told(kind: str) -> None:
    dead = {**canary(), f"__health_{kind}": {"unreachable": True, "msg": "Connection timed out\n"}}
    problems, screen = report(dead=dead, edge1=edge())
    (problem,) = problems
    assert problem == "dead: it is not reached (Connection timed out): look at `ansible dead -m ping`"
    assert any(line.startswith("edge1") for line in screen)


@pytest.mark.parametrize("kind", ["aggregator", "canary", "edge"])
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"stdout": "", "stderr": "edgetally: it is not JSON\n", "rc": 2}, "it is not JSON"),
        ({"stdout": "sh: edgetally: not found", "stderr": "", "rc": 127}, "sh: edgetally: not found"),
        ({"msg": "MODULE FAILURE\nsee stdout"}, "MODULE FAILURE see stdout"),
        ({"rc": 1}, "no output"),
    ],
)
def test_a_program_that_fails_is_quoted(kind: str, said: dict[str, Any], words: str) -> None:
    problems, _ = report(host={f"__health_{kind}": said})
    (problem,) = problems
    assert problem.startswith(f"host: {words}: look at `edgetally ")


def test_a_job_server_that_cannot_be_asked() -> None:
    refused = "The job server 192.0.2.10:7003 refused the connection; look at `systemctl status gearmand`."
    gone = job_server(queues={}, workers=[], problems=[refused], failed=True, msg=refused)
    gone["__health_job_server"]["server"]["version"] = ""
    problems, screen = report(job1=gone)
    assert problems == [f"job1: {refused}"]
    assert screen[-1].endswith("not answering")
    problems, _ = report(job1={"__health_job_server": {"failed": True, "msg": "no python"}})
    assert problems == ["job1: no python: look at `ansible job1 -m gearman_queue_info -vvv`"]


def test_what_was_not_asked_is_no_line() -> None:
    skipped = {f"__health_{kind}": {"skipped": True} for kind in ("job_server", "aggregator", "canary")}
    problems, screen = report(edge1={**skipped, **edge()})
    assert (problems, len(screen)) == ([], 3)


def test_a_host_with_both_roles_and_an_edge_without_anything_yet() -> None:
    both = edge(clock=None, spool=None, logs=[])
    problems, screen = report(one=both)
    assert problems == []
    assert screen[-1].split() == ["one", "ok", "-", "0", "-", "0", "0/0", "0", "?", "kernel", "2"]


def test_an_old_offset_says_how_old_it_is() -> None:
    _, screen = report(edge1=edge(clock={"offset": 0.5, "accuracy": 0.1, "age": 7300.0}))
    assert screen[-1].endswith("+0.50 s (2 h ago)  kernel 2")


def test_a_host_that_the_rollout_failed_on_is_named() -> None:
    """site.yml ends with this screen: what is not on it would be taken for healthy."""
    hosts: dict[str, dict[str, Any]] = {"edge1": edge(), "edge2": {}}
    problems = health_report(hosts, hosts, left_out=["edge2"])["problems"]
    assert problems == ["edge2: it was not asked, because the rollout failed on it: its error stands above"]
