"""The link to a real gearmand: what is accepted is in the queue, what is not is said, and no job is lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import gearman
import pytest

from edgetally.wire import gearman as link
from edgetally.wire.gearman import LinkError, NoAnswerError
from edgetally.wire.submit import Job, ask, submit
from edgetally.wire.worker import GRAB_WINDOW, TakenJob, Worker
from tests.integration.conftest import admin_command, environment, listener, queue, wait_for
from tests.support import servers

FUNCTION = "test.batch"
REQUEST = "test.request"


def jobs(count: int, size: int = 10) -> list[Job]:
    return [Job(f"job-{number}", b"%d" % number + b"." * size) for number in range(count)]


def worker(*addresses: str, limit: int = 100, limit_bytes: int = 1 << 30) -> Worker:
    return Worker(addresses, (FUNCTION, REQUEST), "test", limit, limit_bytes)


def collect(source: Worker, count: int) -> list[TakenJob]:
    """Hold jobs until there are count of them."""
    held: list[TakenJob] = []

    def enough() -> bool:
        held.extend(source.wait(0.2))
        return len(held) >= count

    wait_for(f"{count} jobs", enough)
    return held


def test_programs_use_the_library_that_the_tests_were_started_with() -> None:
    """bin/test runs what speaks to a job server twice: with pygearman, and with gearman3 in PYTHONPATH."""
    asked = [sys.executable, "-c", "import gearman; print(gearman.__file__)"]
    used = subprocess.run(asked, env=environment(), capture_output=True, text=True, check=True).stdout.strip()
    assert used == gearman.__file__
    folder = os.environ.get("PYTHONPATH", "")
    assert folder.endswith("gearman3") == (str(Path(gearman.__file__).parents[1]) == folder)


def test_accepted_jobs_are_in_the_queue_once(gearmand: servers.Server) -> None:
    assert submit([gearmand.address], FUNCTION, jobs(50)) == {job.unique for job in jobs(50)}
    assert submit([gearmand.address], FUNCTION, jobs(50)) == {job.unique for job in jobs(50)}
    assert queue(gearmand, FUNCTION) == (50, 0, 0)


def test_a_refused_job_is_not_credited_with_anothers_acknowledgement(gearmand: servers.Server) -> None:
    """The library alone would report all three as accepted: an ERROR reply shifts every later JOB_CREATED by one."""
    submit([gearmand.address], FUNCTION, [Job("first", b"1")])
    admin_command(gearmand, f"maxqueue {FUNCTION} 1")
    refused = [Job("second", b"2"), Job("third", b"3")]
    with pytest.raises(LinkError, match="it refused a job"):
        submit([gearmand.address], FUNCTION, refused)
    mixed = [Job("second", b"2"), Job("first", b"1"), Job("third", b"3")]
    assert submit([gearmand.address], FUNCTION, mixed) == {"first"}
    assert queue(gearmand, FUNCTION) == (1, 0, 0)


def test_large_jobs_are_all_accepted(gearmand: servers.Server) -> None:
    """More than one call's bytes: 5 x 4 MB."""
    assert len(submit([gearmand.address], FUNCTION, jobs(5, size=4 << 20))) == 5


def test_the_next_job_server_is_used_when_one_is_gone(gearmand: servers.Server) -> None:
    dead = f"127.0.0.1:{servers.free_port()}"
    with listener(None) as silent, listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as garbage:
        accepted = submit([dead, silent, garbage, gearmand.address], FUNCTION, jobs(3), timeout=1.0)
    assert len(accepted) == 3
    assert queue(gearmand, FUNCTION)[0] == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "did not answer in 1 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not gearman's|lost"),
        (b"\0RES\0\0\0\x63\0\0\0\0", "not gearman's"),
    ],
)
def test_a_server_that_is_no_gearmand_is_named_with_its_cause(answer: bytes | None, words: str) -> None:
    with listener(answer) as address, pytest.raises(LinkError, match=words) as error:
        submit([address], FUNCTION, jobs(1), timeout=1.0)
    assert address in str(error.value)


def test_a_refusing_address_and_an_unknown_name() -> None:
    dead = f"127.0.0.1:{servers.free_port()}"
    with pytest.raises(LinkError, match=f"{dead}: Connection refused"):
        submit([dead], FUNCTION, jobs(1))
    with pytest.raises(LinkError, match="its name is not known"):
        ask(["no-such-host.invalid:7003"], REQUEST, b"")


def test_a_black_hole_costs_a_connect_timeout_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listening socket whose backlog is full answers no SYN, as a dropped packet does."""
    monkeypatch.setattr(link, "CONNECT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as hole:
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        begun = time.monotonic()
        with pytest.raises(LinkError, match=r"no answer in 0\.5 s"):
            submit([f"127.0.0.1:{hole.getsockname()[1]}"], FUNCTION, jobs(1))
        assert time.monotonic() - begun < 5
        for filler in fillers:
            filler.close()


def test_a_request_without_an_aggregator(gearmand: servers.Server) -> None:
    with pytest.raises(NoAnswerError, match=r"no aggregator answered in 0\.5 s"):
        ask([gearmand.address], REQUEST, b"?", timeout=0.5)
    assert queue(gearmand, REQUEST)[0] == 1, "gearmand counts an abandoned request until a worker asks for work"
    source = worker(gearmand.address)
    wait_for("empty queue", lambda: source.wait(0.1) == [] and queue(gearmand, REQUEST)[0] == 0)
    source.close()


def test_a_request_overtakes_waiting_jobs_and_is_answered(gearmand: servers.Server) -> None:
    submit([gearmand.address], FUNCTION, jobs(20))
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(ask([gearmand.address], REQUEST, b"ping").result))
    asking.start()
    wait_for("request in the queue", lambda: queue(gearmand, REQUEST)[0] == 1)
    source = worker(gearmand.address, limit=5)
    first = collect(source, 1)
    assert first[0].function == REQUEST
    source.complete(first[0], b"pong " + first[0].payload)
    wait_for("answer", lambda: source.wait(0.05) is not None and answers)
    asking.join()
    assert answers == [b"pong ping"]
    source.close()


def test_a_worker_holds_many_jobs_and_completes_them_together(gearmand: servers.Server) -> None:
    submit([gearmand.address], FUNCTION, jobs(30))
    source = worker(gearmand.address)
    held = collect(source, 30)
    assert [job.payload for job in held] == [job.payload for job in jobs(30)]
    assert queue(gearmand, FUNCTION) == (30, 30, 1)
    for job in held:
        source.complete(job)
    source.close()
    wait_for("empty queue", lambda: queue(gearmand, FUNCTION)[0] == 0)


def test_groups_are_bounded_by_number_and_by_bytes(gearmand: servers.Server) -> None:
    submit([gearmand.address], FUNCTION, jobs(100, size=1000))
    by_number = worker(gearmand.address, limit=4)
    assert len(wait_for("jobs", lambda: by_number.wait(0.5))) == 4
    by_number.close()
    by_size = worker(gearmand.address, limit_bytes=2500)
    assert len(wait_for("jobs", lambda: by_size.wait(0.5))) == 2
    by_size.close()


def test_jobs_of_a_worker_that_dies_go_to_another(gearmand: servers.Server) -> None:
    submit([gearmand.address], FUNCTION, jobs(10))
    first = worker(gearmand.address)
    collect(first, 10)
    first.shutdown()
    second = worker(gearmand.address)
    assert len(collect(second, 10)) == 10
    second.close()


def test_a_worker_listens_to_all_servers_and_comes_back_to_a_lost_one(gearmand: servers.Server) -> None:
    """One server is killed with jobs held: the other is served on, and the first again once it is back."""
    with servers.gearmand() as other:
        source = worker(gearmand.address, other.address)
        submit([gearmand.address], FUNCTION, jobs(3))
        submit([other.address], FUNCTION, [Job("other", b"o")])
        held = collect(source, 4)
        gearmand.kill()
        for job in held:
            source.complete(job)
        wait_for("drained second server", lambda: source.wait(0.05) == [] and queue(other, FUNCTION)[0] == 0)
        wait_for("note of the loss", lambda: source.wait(0.05) == [] and source.lost)
        gearmand.start()
        again = collect(source, 3)
        assert {job.unique for job in again} == {"job-0", "job-1", "job-2"}, "the persistent queue has them still"
        assert source.lost == {}
        source.close()


def test_the_queue_survives_kill_9(gearmand: servers.Server) -> None:
    submit([gearmand.address], FUNCTION, jobs(25))
    gearmand.kill()
    gearmand.start()
    assert queue(gearmand, FUNCTION)[0] == 25


def test_a_waiting_worker_is_woken_by_another_thread(gearmand: servers.Server) -> None:
    """What it has collected is handed over, and no job is lost; a ring that nobody waits for changes nothing."""
    done = threading.Event()
    waiting = worker(gearmand.address)
    waiting.wake()
    assert waiting.wait(0.2) == []

    def finish() -> None:
        done.set()
        waiting.wake()

    timer = threading.Timer(0.5, finish)
    timer.start()
    started = time.monotonic()
    assert waiting.wait(60.0, until=done.is_set) == []
    assert 0.3 < time.monotonic() - started < 30
    submit([gearmand.address], FUNCTION, jobs(5))
    assert sorted(job.unique for job in collect(waiting, 5)) == [f"job-{number}" for number in range(5)]
    waiting.close()
    waiting.wake()  # after its end: no error


def test_a_woken_worker_without_any_server() -> None:
    waiting = worker(f"127.0.0.1:{servers.free_port()}")
    done = threading.Event()

    def finish() -> None:
        done.set()
        waiting.wake()

    threading.Timer(0.3, finish).start()
    assert waiting.wait(30.0, until=done.is_set) == []
    assert done.is_set()
    waiting.close()


def test_enough_jobs_are_handed_over_though_there_are_more(gearmand: servers.Server) -> None:
    submit([gearmand.address], FUNCTION, jobs(100))
    source = worker(gearmand.address)
    held: list[TakenJob] = wait_for("first jobs", lambda: source.wait(1.0, enough=10))
    assert 10 <= len(held) <= 10 + GRAB_WINDOW
    held += collect(source, 100 - len(held))
    assert len({job.unique for job in held}) == 100
    source.close()
