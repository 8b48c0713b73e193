"""All keys of a status, of an edge and of the aggregator.

They are a contract: `edgetally status --output json` prints them, and the health playbook, monitoring and metrics read
them. Times are in epoch seconds, ages in seconds, sizes in bytes.
"""

from __future__ import annotations

from typing import Literal, TypedDict, Union, final

from edgetally.wire.clock_offset import Clock

State = Literal["ok", "warning", "critical"]
STATES: tuple[State, ...] = ("ok", "warning", "critical")


class CertificateStatus(TypedDict):
    """A host's own certificate for the way to the job servers: its name, and when it ends."""

    name: str
    ends: float


# --- an edge


class HeldBatch(TypedDict):
    """A batch that the ledger refused, and why."""

    batch: str
    reason: str


class LogStatus(TypedDict):
    """One log. path: None where it is configured no more; renamed: paths of what is not tallied yet; oldest_outbox: how
    long the oldest batch waits."""

    log: str
    path: str | None
    generation: str | None
    next_seq: int | None
    last_rotation: float | None
    renamed: list[str]
    outbox: int
    outbox_bytes: int
    oldest_outbox: float | None
    sent: int
    held: list[HeldBatch]


class SpoolRoom(TypedDict):
    """How much the spool takes and may take, and how much its disk has free."""

    path: str
    used: int
    quota: int
    free: int


@final
class EdgeStatus(TypedDict):
    """The status of an edge. ledger: the id of the one that it is pinned to; spool: None where there is none; engine:
    what reads its logs, `kernel 2` or `reference, because …`; tls: whether it speaks TLS to the job servers; critical:
    those of the problems that are it."""

    role: Literal["edge"]
    version: str
    edge: str
    state: State
    problems: list[str]
    critical: list[str]
    time: float
    clock: Clock | None
    spool: SpoolRoom | None
    paused: bool
    ledger: str | None
    engine: str
    tls: bool
    certificate: CertificateStatus | None
    logs: list[LogStatus]


# --- the aggregator


class WriterStatus(TypedDict):
    """Who holds the writer's row, the number of the last commit, and whether the lease is alive."""

    holder: str
    epoch: int
    commit_no: int
    age: float
    active: bool


class Queue(TypedDict):
    """A queue of a job server: jobs, and registered workers."""

    waiting: int
    running: int
    workers: int


class QueueWorker(TypedDict):
    """A worker that takes batches."""

    address: str
    client_id: str


class JobServer(TypedDict):
    """The status of a job server; where it is not up, `problem` says why. certificate_ends: None for plain TCP."""

    server: str
    up: bool
    version: str
    problem: str
    certificate_ends: float | None
    queues: dict[str, Queue]
    workers: list[QueueWorker]


# A gap of the last day: when it begins and ends, and why it is one.
GapStatus = TypedDict("GapStatus", {"stream": str, "from": float, "to": float, "reason": str})


class TwinStatus(TypedDict):
    """A machine of an edge that had several at the same time in the last day."""

    edge: str
    host: str
    address: str


class LineCounts(TypedDict):
    """Lines of a stream's logs of the last day."""

    lines: int
    rejected: int
    skewed: int


class BesideStatus(TypedDict):
    """What an edge counted in the last day, bytes, and the parts of it that its logs have; None where it has told
    nothing. usual: from where to where these are by the 14 days before; text: what is odd, empty where nothing is."""

    edge: str
    logged: int
    server: int | None
    wire: int | None
    of_server: float | None
    of_wire: float | None
    usual_of_server: list[float] | None
    usual_of_wire: list[float] | None
    text: str


class Books(TypedDict):
    """The part of an aggregator's status that its tables tell.

    batches: about how many; streams: how many are expected; lag: since the end of each stream's last batch;
    last_commit: since the last batch was committed; quarantine: payloads by reason.
    """

    ledger: str
    clock: Clock
    writer: WriterStatus
    batches: int
    streams: int
    lag: dict[str, float]
    gaps: list[GapStatus]
    twins: list[TwinStatus]
    lines: dict[str, LineCounts]
    beside: list[BesideStatus]
    last_commit: float | None
    quarantine: dict[str, int]


class _AggregatorHead(TypedDict):
    """What is known of the aggregator in any case. database: its address."""

    role: Literal["aggregator"]
    state: State
    problems: list[str]
    critical: list[str]
    time: float
    database: str
    tls: bool
    certificate: CertificateStatus | None
    job_servers: list[JobServer]


@final
class LostStatus(_AggregatorHead):
    """The status where the database cannot be asked."""


@final
class AggregatorStatus(_AggregatorHead, Books):
    """What the database and the job servers say of the aggregator."""


Status = Union[EdgeStatus, AggregatorStatus, LostStatus]


def clock_of(status: Status) -> Clock | None:
    """How far the host's clock is off, where that is known."""
    if "clock" in status:
        return status["clock"]
    return None
