"""A worker that holds many jobs: its groups are bounded, and its answers go out in time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from edgetally.wire import submit as job_servers
from edgetally.wire.gearman import HEAD_BYTES
from edgetally.wire.submit import Job
from edgetally.wire.worker import Worker
from tests.integration.conftest import queue
from tests.support import servers

FUNCTION = "edgetally.batch"


@pytest.fixture
def second() -> Iterator[servers.Server]:
    with servers.gearmand() as server:
        yield server


def submit(server: servers.Server, count: int, size: int) -> set[str]:
    jobs = [Job(f"job{server.port}-{size}-{number}", bytes(size)) for number in range(count)]
    assert len(job_servers.submit([server.address], FUNCTION, jobs)) == count
    return {job.unique for job in jobs}


def test_groups_are_bounded_and_every_job_is_done_once(gearmand: servers.Server, second: servers.Server) -> None:
    """Jobs are asked for in advance, on two servers at once, but never more than a group may have."""
    submitted = submit(gearmand, 300, 10) | submit(second, 300, 10)
    worker = Worker([gearmand.address, second.address], [FUNCTION], "test", 70, 1 << 20)
    done: list[str] = []
    while group := worker.wait(2.0):
        assert len(group) <= 70
        done += [job.unique for job in group]
        for job in group:
            worker.complete(job)
    worker.close()
    assert sorted(done) == sorted(submitted)
    assert queue(gearmand, FUNCTION)[:2] == queue(second, FUNCTION)[:2] == (0, 0)


def test_large_jobs_end_a_group_early(gearmand: servers.Server) -> None:
    submit(gearmand, 100, 1 << 18)
    worker = Worker([gearmand.address], [FUNCTION], "test", 1000, 1 << 20)
    sizes = []
    while group := worker.wait(2.0):
        sizes.append(len(group))
        for job in group:
            worker.complete(job)
    worker.close()
    assert sum(sizes) == 100
    assert max(sizes) == 4


def test_a_job_that_is_larger_than_a_group_comes_alone_and_a_forged_one_is_cut(gearmand: servers.Server) -> None:
    submit(gearmand, 2, 2 << 20)
    submit(gearmand, 1, 40 << 20)
    submit(gearmand, 2, 100)
    worker = Worker([gearmand.address], [FUNCTION], "test", 1000, 1 << 20, payload_bytes=3 << 20)
    groups = []
    while group := worker.wait(2.0):
        groups.append([len(job.payload) for job in group])
        for job in group:
            worker.complete(job)
    worker.close()
    sizes = sorted(chain.from_iterable(groups))
    assert sizes[:2] + sizes[2:4] == [100, 100, 2 << 20, 2 << 20]
    assert 3 << 20 < sizes[4] < (3 << 20) + HEAD_BYTES
    assert all(len(group) == 1 for group in groups if max(group) > 100)


def test_answers_leave_without_another_job(gearmand: servers.Server) -> None:
    """The answers of a group wait for the requests of the next, but not for another job to come."""
    submit(gearmand, 3, 10)
    worker = Worker([gearmand.address], [FUNCTION], "test", 2, 1 << 20)
    for expected in (2, 1):
        group = worker.wait(2.0)
        assert len(group) == expected
        for job in group:
            worker.complete(job)
    assert worker.wait(0.2) == []
    assert queue(gearmand, FUNCTION)[0] == 0
    worker.close()


def test_a_killed_worker_gives_back_what_it_has_asked_for(gearmand: servers.Server) -> None:
    """Nothing that was handed out in advance is lost with a worker that ends without an answer."""
    submitted = submit(gearmand, 100, 10)
    first = Worker([gearmand.address], [FUNCTION], "first", 50, 1 << 20)
    assert len(first.wait(2.0)) == 50
    first.shutdown()
    second = Worker([gearmand.address], [FUNCTION], "second", 1000, 1 << 20)
    found: set[str] = set()
    while group := second.wait(1.0):
        found |= {job.unique for job in group}
        for job in group:
            second.complete(job)
    second.close()
    assert found == submitted
