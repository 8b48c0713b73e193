"""The sending end of the link to the job servers: submit batches, or ask a question and wait for the answer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence

from gearman.constants import JOB_COMPLETE, JOB_CREATED, JOB_FAILED, PRIORITY_HIGH
from gearman.errors import ConnectionError as GearmanConnectionError
from gearman.errors import GearmanError

from edgetally.record import NamedTuple
from edgetally.wire.gearman import LinkError, NoAnswerError, connect, text_of

CALL_BYTES = 8 << 20  # the library copies its send buffer at every write
ASK_SECONDS = 4.0  # to wait for an answer over a job server while there is another to try


class Answer(NamedTuple):
    """A job's result, and the job server over which it came."""

    server: str
    result: bytes


class Job(NamedTuple):
    """A job to submit: its unique id (1 to 63 bytes) and its payload."""

    unique: str
    payload: bytes


def submit(
    servers: Sequence[str], function: str, jobs: Sequence[Job], timeout: float = 30.0, tls: str = ""
) -> set[str]:
    """Submit background jobs to the first job server that accepts them; the others are tried for what is left.

    Accepted means: this job's own JOB_CREATED was read. Returns the unique ids of the accepted jobs, which may be
    fewer than were given. Raises LinkError when there were jobs and none was accepted.
    tls: the folder of what TLS needs, empty for plain TCP.
    """
    left = list(jobs)
    accepted: set[str] = set()
    causes = []
    for server in servers:
        if not left:
            break
        try:
            taken, cause = _submit_to(server, function, left, timeout, tls)
        except GearmanError as error:
            taken, cause = set(), str(error)
        accepted |= taken
        left = [job for job in left if job.unique not in taken]
        causes.append(f"{server}: {cause}")
    if left and not accepted:
        raise LinkError(
            f"no job server took the batches ({'; '.join(causes)}): "
            "check that gearmand runs there and that its port can be reached; nothing is lost, the next run tries again"
        )
    return accepted


def ask(servers: Sequence[str], function: str, payload: bytes, timeout: float = 10.0, tls: str = "") -> Answer:
    """Run one foreground job of high priority on the first job server over which an aggregator answers.

    An aggregator that a server has lost, or never had, may answer over the next: each but the last has ASK_SECONDS at
    most. Raises NoAnswerError when no aggregator answers within timeout seconds, LinkError when no job server can be
    used.
    """
    deadline = time.monotonic() + timeout
    causes = []
    silent: NoAnswerError | None = None
    for number, server in enumerate(servers, 1):
        room = max(0.1, deadline - time.monotonic())
        try:
            share = room if number == len(servers) else min(ASK_SECONDS, room / 2)
            return Answer(server, _ask_one(server, function, payload, share, tls))
        except NoAnswerError as error:
            silent = silent or error
        except GearmanError as error:
            causes.append(f"{server}: {error}")
    if silent:
        raise silent
    raise LinkError(
        f"no job server answers ({'; '.join(causes)}): check that gearmand runs there and that its port can be reached"
    )


def _submit_to(server: str, function: str, jobs: Sequence[Job], timeout: float, tls: str) -> tuple[set[str], str]:
    """Submit to one server, a bounded number of bytes a call. Returns the accepted ids and why others were not."""
    deadline = time.monotonic() + timeout
    accepted: set[str] = set()
    cause = ""
    client = connect(server, tls)
    try:
        for group in _groups(jobs):
            requests = client.submit_multiple_jobs(
                [{"task": function, "unique": job.unique, "data": job.payload} for job in group],
                background=True,
                wait_until_complete=False,
                poll_timeout=max(0.1, deadline - time.monotonic()),
            )
            for request in requests:
                if request.state == JOB_CREATED and request.job.handle and not request.timed_out:
                    accepted.add(request.job.unique)
                elif request.state == JOB_FAILED:
                    cause = f"it refused a job ({text_of(request.exception)})"
                else:
                    cause = f"it did not answer in {timeout:g} s"
    except GearmanError:
        cause = client.cause or "the connection was lost"
    finally:
        client.shutdown()
    return accepted, cause


def _groups(jobs: Sequence[Job]) -> Iterable[list[Job]]:
    """Cut a list of jobs where a group's payloads would exceed CALL_BYTES."""
    group: list[Job] = []
    size = 0
    for job in jobs:
        if group and size + len(job.payload) > CALL_BYTES:
            yield group
            group, size = [], 0
        group.append(job)
        size += len(job.payload)
    if group:
        yield group


def _ask_one(server: str, function: str, payload: bytes, timeout: float, tls: str) -> bytes:
    client = connect(server, tls)
    try:
        request = client.submit_job(
            function,
            payload,
            unique=os.urandom(20).hex(),
            priority=PRIORITY_HIGH,
            background=False,
            wait_until_complete=True,
            poll_timeout=timeout,
        )
    except GearmanError:
        raise GearmanConnectionError(client.cause or "the connection was lost") from None
    finally:
        client.shutdown()
    if request.state == JOB_COMPLETE:
        return bytes(request.result)
    if request.state == JOB_CREATED:
        raise NoAnswerError(
            f"{server} took the request, but no aggregator answered in {round(timeout, 1):g} s: check "
            "`systemctl status edgetally-aggregator` on the aggregator's host"
        )
    raise GearmanConnectionError(f"it refused or lost the request ({text_of(request.exception) or request.state})")
