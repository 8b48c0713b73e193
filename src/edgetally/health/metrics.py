"""`edgetally status --metrics FILE`: the status for node_exporter's textfile collector, and a bill's metrics.

monitoring/edgetally.rules.yml judges these; docs/how-to/monitor.md lists them. When something happened is a time
and not an age, so that a file that is not written any more does not look young for ever.
"""

from __future__ import annotations

import os
import time

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from edgetally import __version__
from edgetally.errors import EdgetallyError
from edgetally.health.status import (
    STATES,
    AggregatorStatus,
    BesideStatus,
    EdgeStatus,
    JobServer,
    LostStatus,
    Status,
    clock_of,
)


def write(path: str, statuses: list[Status]) -> None:
    """Write the metrics of a host, atomically."""
    figures = Figures()
    for status in statuses:
        figures.add(status)
    figures.write(path)


class Figures:
    """The metrics of one file."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}

    def write(self, path: str) -> None:
        """Write them, atomically."""
        if not path.endswith(".prom"):
            raise EdgetallyError(f"--metrics {path}: node_exporter reads only files that end in .prom: name one")
        try:
            write_to_textfile(path, self.registry)
        except OSError as error:
            raise EdgetallyError(
                f"{path} cannot be written ({error.strerror}): see that its folder is there, "
                "edge_shipper_metrics_dir or aggregator_metrics_dir"
            ) from None
        os.chmod(path, 0o644)  # the exporter is another user, whatever our umask is

    def set(self, name: str, what: str, value: float | None, **labels: str) -> None:
        """Give a metric a value; one without a value is left out."""
        if value is None:
            return
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"edgetally_{name}", what, list(labels), registry=self.registry)
        (self._gauges[name].labels(**labels) if labels else self._gauges[name]).set(value)

    def add(self, status: Status) -> None:
        """The metrics of one part of the host."""
        role = status["role"]
        self.set("info", "The program's version", 1, role=role, version=__version__)
        self.set("state", "0 ok, 1 warning, 2 critical", STATES.index(status["state"]), role=role)
        clock = clock_of(status)
        if clock:
            self.set("clock_offset_seconds", "How far the clock is ahead of the database's", clock["offset"], role=role)
        own = status["certificate"]
        ends = own["ends"] if own else None
        self.set("certificate_ends_timestamp_seconds", "When this host's certificate ends", ends, role=role)
        if status["role"] == "edge":
            self._edge(status)
        else:
            self._aggregator(status)

    def _edge(self, status: EdgeStatus) -> None:
        now = time.time()
        kernel = int(status["engine"].startswith("kernel"))
        self.set("kernel", "1 where the kernel reads the logs, 0 where the reference does", kernel)
        self.set("paused", "Whether shipping is paused", int(status["paused"]))
        for log in status["logs"]:
            name = log["log"]
            self.set("outbox_batches", "Batches that are not confirmed", log["outbox"], log=name)
            self.set("outbox_bytes", "Their size", log["outbox_bytes"], log=name)
            oldest = log["oldest_outbox"]
            since = now if oldest is None else now - oldest
            self.set("outbox_oldest_timestamp_seconds", "Since when the oldest waits; now for none", since, log=name)
            self.set("held_batches", "Batches that the ledger refused", len(log["held"]), log=name)
            self.set("unfinished_logs", "Renamed logs that are not tallied yet", len(log["renamed"]), log=name)
            self.set("last_rotation_timestamp_seconds", "The last rotation", log["last_rotation"], log=name)
        room = status["spool"]
        if room:
            self.set("spool_used_bytes", "What the spool takes", room["used"])
            self.set("spool_quota_bytes", "What it may take", room["quota"])
            self.set("spool_free_bytes", "What is free on its disk", room["free"])

    def _aggregator(self, status: AggregatorStatus | LostStatus) -> None:
        for server in status["job_servers"]:
            self._job_server(server)
        self.set("database_up", "Whether the database answers", int("writer" in status))
        if "writer" not in status:
            return
        now = time.time()
        writer = status["writer"]
        self.set("aggregator_active", "Whether somebody holds the writer's row", int(writer["active"]))
        self.set("writer_renewed_timestamp_seconds", "When the lease was renewed", now - writer["age"])
        self.set("writer_epoch", "Rises with each takeover", writer["epoch"])
        self.set("commits", "The number of the last transaction", writer["commit_no"])
        last = status["last_commit"]
        self.set("last_commit_timestamp_seconds", "The last batch", None if last is None else now - last)
        self.set("quarantine_payloads", "Payloads that were refused", sum(status["quarantine"].values()))
        self.set("streams", "Streams that are expected to send", status["streams"])
        gaps = dict.fromkeys(status["lag"], 0.0)
        for gap in status["gaps"]:
            gaps[gap["stream"]] = gaps.get(gap["stream"], 0.0) + gap["to"] - gap["from"]
        for stream, lag in status["lag"].items():
            self.set("stream_covered_timestamp_seconds", "Until when its batches reach", now - lag, stream=stream)
        for stream, lines in status["lines"].items():
            self.set("stream_lines", "Lines of its logs of the last day", lines["lines"], stream=stream)
            self.set("stream_rejected_lines", "Of these those that fit no format", lines["rejected"], stream=stream)
            self.set("stream_skewed_lines", "And those outside their log's time", lines["skewed"], stream=stream)
        for beside in status["beside"]:
            self._beside(beside)
        for stream, seconds in gaps.items():
            self.set("stream_gap_seconds", "Time of the last day that no batch vouches for", seconds, stream=stream)

    def _beside(self, beside: BesideStatus) -> None:
        edge = beside["edge"]
        self.set("edge_logged_bytes", "Bytes of an edge's logs of the last day", beside["logged"], edge=edge)
        self.set("edge_server_bytes", "Bytes that its servers counted then", beside["server"], edge=edge)
        self.set("edge_wire_bytes", "Bytes that its interface sent then", beside["wire"], edge=edge)
        odd = int(bool(beside["text"]))
        self.set("edge_unseen", "1 where its logs have an unusual part of these, else 0", odd, edge=edge)

    def _job_server(self, server: JobServer) -> None:
        name = server["server"]
        self.set(
            "job_server_up", "Whether the job server answers the aggregator's host", int(server["up"]), server=name
        )
        if not server["up"]:
            return
        ends = server["certificate_ends"]
        self.set("job_server_certificate_ends_timestamp_seconds", "When its certificate ends", ends, server=name)
        self.set("job_server_info", "The job server's version", 1, server=name, version=server["version"])
        for queue, figures in server["queues"].items():
            for state in ("waiting", "running"):
                self.set("queue_jobs", "Jobs in a queue", figures[state], server=name, queue=queue, state=state)
            self.set("queue_workers", "Workers registered for it", figures["workers"], server=name, queue=queue)
