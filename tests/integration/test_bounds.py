"""What strangers and one bad edge can make the others keep or count: bounded, whatever they send."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig
from edgetally.ledger.incoming import Incoming
from edgetally.ledger.ledger import Ledger
from edgetally.wire import submit as job_servers
from edgetally.wire.batch import FUNCTION, Batch
from edgetally.wire.counters import Counters
from edgetally.wire.envelope import derive_key, seal
from edgetally.wire.receipts import RECEIPT_FUNCTION
from edgetally.wire.worker import Worker
from tests.integration.conftest import MASTER, aggregator, aggregator_file, environment, queue, wait_for
from tests.integration.test_aggregate import GENERATION, KEY, NOW, STREAM, body_of, log, receipts, submit, total
from tests.support import servers
from tests.support.edge import Edge

MIB = 1 << 20
ROOM = 8 * MIB - 600
HEAD = (
    '{"stream":"%s","generation":"%s","seq":%d,"revision":0,"covers":[%d,%d],"continuity":"ok","log":"ok","lines":0,'
    '"rejected":0,"skewed":0,"bytes":0,"channels":[],"unassigned_hosts":[],"rows":['
)


@pytest.fixture
def config(tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig) -> Path:
    return aggregator_file(tmp_path, database, gearmand.address)


def peak(process: int) -> int:
    """The most memory that a process has had so far, MiB; of one that has just ended nothing is known any more."""
    known = Path(f"/proc/{process}/status").read_text().partition("VmHWM:")[2].split()
    return int(known[0]) >> 10 if known else 0


def signed(seq: int, rows: str) -> bytes:
    head = HEAD % (STREAM, GENERATION, seq, NOW + 300 * seq, NOW + 300 * seq + 300)
    return seal(STREAM, KEY, (head + rows).encode())


def honest(seq: int) -> bytes:
    """A batch as large as batches may be, with rows as small as they can be."""
    start = NOW + 300 * seq
    rows = tuple((start, 0, 1, 1, 0, 0) for _ in range(ROOM // 24))
    (body,) = Batch(STREAM, GENERATION, seq, (float(start), start + 300.0), ("news",), rows).encode(9 * MIB)
    return seal(STREAM, KEY, body)


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "unsigned": lambda: (os.urandom(40 * MIB) for _ in range(10)),
    "lists": lambda: (signed(seq, "[]," * (ROOM // 3) + "[]]}") for seq in range(2, 10)),
    "objects": lambda: (signed(seq, "{}," * (ROOM // 3) + "{}]}") for seq in range(2, 10)),
    "texts": lambda: (signed(seq, '"abcd",' * (ROOM // 7) + '""]}') for seq in range(2, 10)),
    "numbers": lambda: (signed(seq, "1.5," * (ROOM // 4) + "1]}") for seq in range(2, 10)),
    "a deep list": lambda: (signed(seq, "[" * ROOM) for seq in range(2, 10)),
    "a long number": lambda: (signed(seq, "9" * ROOM + "]}") for seq in range(2, 6)),
    "large batches": lambda: (honest(seq) for seq in range(2, 7)),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_the_aggregators_memory(config: Path, gearmand: servers.Server, mariadb: servers.MariaDB, flood: str) -> None:
    """At most 400 MB, under any flood; what comes with it is counted."""
    payloads = list(FLOODS[flood]())
    for payload in payloads:
        job_servers.submit([gearmand.address], FUNCTION, [job_servers.Job(os.urandom(20).hex(), payload)])
    submit(gearmand, body_of(1))
    with aggregator(config) as process:
        wait_for("all payloads", lambda: total(mariadb) != "0\t0" and queue(gearmand, FUNCTION)[0] == 0, 180)
        assert peak(process.pid) < 400
        assert process.poll() is None
    refused = mariadb.sql("SELECT COUNT(*), MAX(LENGTH(payload)) FROM quarantine", "edgetally").split()
    assert int(refused[0]) == (0 if flood == "large batches" else len(payloads))


def test_ships_memory_under_a_forged_receipt(tmp_path: Path, gearmand: servers.Server) -> None:
    """At most 100 MB: a stranger can answer, and what he says is not read to its end."""
    edge = Edge(tmp_path, job_servers=[gearmand.address], receipt_wait=5)
    edge.log.write_text("")
    worker = Worker([gearmand.address], (RECEIPT_FUNCTION,), "stranger", 1, MIB)
    stop = threading.Event()
    answered = []

    def answer() -> None:
        while not stop.is_set():
            for job in worker.wait(0.1):
                worker.complete(job, bytes(96 * MIB))
                answered.append(job.unique)
        worker.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        command = [sys.executable, "-m", "edgetally", "ship", "--now", "--config", str(edge.file)]
        with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE) as process:
            most = 0
            while process.poll() is None:
                most = max(most, peak(process.pid) if Path(f"/proc/{process.pid}").exists() else 0)
                time.sleep(0.01)
    finally:
        stop.set()
        thread.join()
    assert answered
    assert most < 100


@pytest.mark.parametrize("what", ["bytes", "channels", "counters"])
def test_what_no_edge_can_have_sent_is_refused(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB, what: str
) -> None:
    """Another edge's honest batch for the same channel and slot is counted."""
    names = tuple(f"c{number}" for number in range(30_000)) if what == "channels" else ("news",)
    size = (1 << 63) // len(names) - 1 if what == "bytes" else 1
    rows = tuple((NOW + 600, number, 1, size, None, None) for number in range(len(names)))
    told = Counters(NOW + 600.0, NOW + 900.0, 1 << 62, None) if what == "counters" else None
    (body,) = Batch(STREAM, GENERATION, 2, (NOW + 600.0, NOW + 900.0), names, rows, counters=told).encode()
    with aggregator(config):
        submit(gearmand, body)
        wait_for("refusal", lambda: "quarantined (implausible)" in log(config.parent))
        other = Batch(
            "edge2/access", GENERATION, 1, (None, NOW + 900.0), ("news",), ((NOW + 600, 0, 5, 5000, None, None),)
        )
        payload = seal(other.stream, derive_key(MASTER, "edge2"), other.encode()[0])
        job_servers.submit([gearmand.address], FUNCTION, [job_servers.Job("of-edge2", payload)])
        wait_for("the honest batch", lambda: total(mariadb) == "1\t5000")
    assert mariadb.sql("SELECT COUNT(*) FROM channel", "edgetally") == "1\n"


def test_an_edge_makes_a_bounded_number_of_streams(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that it has go on; another edge whose name begins alike has its own."""
    monkeypatch.setattr("edgetally.ledger.transaction.MAX_STREAMS", 2)
    first = [of_stream(f"edge_1/log{number}", 1) for number in range(2)]
    assert ledger.commit(first) == ["committed"] * 2
    later = [
        of_stream("edge_1/more", 1),
        of_stream("edge_1/log0", 2),
        of_stream("edge01/a", 1),
        of_stream("edge_1b/a", 1),
    ]
    ledger.disconnect()
    assert ledger.commit(later) == ["implausible", "committed", "committed", "committed"]


def test_who_is_in_no_inventory_is_not_counted(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB
) -> None:
    """Whatever its key: it keeps its batches, and they are counted when it is let in."""
    config = aggregator_file(tmp_path, database, gearmand.address, edges=["edge2"], lease_seconds=2)
    with aggregator(config):
        submit(gearmand, body_of(1))
        wait_for("refusal", lambda: "is not in the inventory" in log(config.parent))
        assert receipts(gearmand, body_of(1)) is None
    assert total(mariadb) == "0\t0"
    aggregator_file(tmp_path, database, gearmand.address, edges=["edge1", "edge2"], lease_seconds=2)
    submit(gearmand, body_of(1))
    with aggregator(config):
        wait_for("commit", lambda: receipts(gearmand, body_of(1))["state"] == ["committed"])


def of_stream(stream: str, seq: int) -> Incoming:
    covers = (None if seq == 1 else NOW + 300.0 * (seq - 1), NOW + 300.0 * seq)
    batch = Batch(stream, GENERATION, seq, covers)
    (body,) = batch.encode()
    return Incoming(body, stream, body, batch)
