"""The delivery against a real gearmand, and a worker of the test's own that answers receipts as it is told to."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetally.edge.deliver import ATTEMPT_SECONDS, Delivery, attempt, splay_seconds
from edgetally.edge.spool import BatchName
from edgetally.errors import EdgetallyError
from edgetally.wire.batch import FUNCTION, Batch
from edgetally.wire.envelope import Key, content_hash, seal, unseal
from edgetally.wire.receipts import RECEIPT_FUNCTION
from edgetally.wire.worker import Worker
from tests.integration.conftest import queue
from tests.support import servers
from tests.support.edge import KEY, Edge, wait_for

GENERATION = "0123456789abcdef"
SIGNING = Key("01234567", bytes.fromhex(KEY))


class Ledger:
    """Commits what it is given, and answers for it; `answer` may change an answer, `state` one state."""

    def __init__(self, server: servers.Server) -> None:
        self.id = "ledger-one"
        self.committed: dict[str, str] = {}  # sha256: stream
        self.received: list[str] = []  # unique ids
        self.asked = 0
        self.commits = True
        self.answers = True
        self.state: Callable[[str, str], str] = lambda _sha, state: state
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
        self.key = SIGNING
        self._stop = False
        self._worker = Worker([server.address], (FUNCTION, RECEIPT_FUNCTION), "test", 50, 1 << 20)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        wait_for("worker", lambda: queue(server, RECEIPT_FUNCTION)[2] == 1)

    def stop(self) -> None:
        self._stop = True
        self._thread.join()

    def _work(self) -> None:
        while not self._stop:
            for job in self._worker.wait(0.05):
                if job.function == FUNCTION:
                    self._commit(job.payload, job.unique)
                    self._worker.complete(job)
                else:
                    self._worker.complete(job, self._receipt(job.payload))
        self._worker.close(0.5)

    def _commit(self, payload: bytes, unique: str) -> None:
        self.received.append(unique)
        envelope = unseal(payload, lambda _edge, _key: SIGNING)
        Batch.decode(envelope.body)
        if self.commits:
            self.committed[content_hash(envelope.body)] = envelope.stream

    def _receipt(self, payload: bytes) -> bytes:
        envelope = unseal(payload, lambda _edge, _key: SIGNING)
        request = json.loads(envelope.body)
        self.asked += 1
        states = [
            self.state(sha, "committed" if self.committed.get(sha) == request["stream"] else "unknown")
            for _generation, _seq, _revision, sha in request["ask"]
        ]
        if not self.answers:
            return b""
        answer = self.answer({"ledger": self.id, "nonce": request["nonce"], "state": states})
        return seal(envelope.stream, self.key, json.dumps(answer).encode())


@pytest.fixture
def edge(tmp_path: Path, gearmand: servers.Server) -> Edge:
    return Edge(tmp_path, job_servers=[gearmand.address], receipt_wait=5)


@pytest.fixture
def ledger(gearmand: servers.Server) -> Iterator[Ledger]:
    ledger = Ledger(gearmand)
    yield ledger
    ledger.stop()


def fill(edge: Edge, *seqs: int, log: str = "access", age: float = 0.0) -> list[BatchName]:
    """Batches in the outbox."""
    names = [BatchName(log, GENERATION, seq) for seq in seqs]
    for name in names:
        batch = Batch(f"edge1/{log}", GENERATION, name.seq, (None if name.seq == 1 else name.seq * 300.0, 1e9))
        edge.spool.publish(name, batch.encode())
        changed = time.time() - age
        os.utime(edge.spool.outbox / str(name), (changed, changed))
    return names


def deliver(edge: Edge, **options: bool) -> list[str]:
    """One delivery; what it said."""
    said: list[str] = []
    Delivery(edge.config, edge.spool, said.append).run(time.time() - 1, now=True, **options)
    return said


def where(edge: Edge) -> dict[str, list[int]]:
    spool = edge.spool
    folders = {"outbox": spool.outbox, "sent": spool.sent, "held": spool.held}
    return {name: [batch.seq for batch in spool.batches(folder)] for name, folder in folders.items()}


def test_what_the_ledger_confirms_is_sent(edge: Edge, ledger: Ledger) -> None:
    fill(edge, 1, 2, 3)
    fill(edge, 1, log="other")
    begin = time.monotonic()
    assert deliver(edge) == []
    assert time.monotonic() - begin < 2
    assert where(edge) == {"outbox": [], "sent": [1, 2, 3, 1], "held": []}
    assert edge.spool.ledger.read_text() == "ledger-one\n"
    assert len(ledger.received) == 4


def test_an_empty_outbox_asks_nobody(edge: Edge, ledger: Ledger) -> None:
    assert deliver(edge) == []
    assert ledger.asked == 0


def test_accepted_is_not_confirmed(edge: Edge, gearmand: servers.Server) -> None:
    """The job server has them all, and no aggregator is there: nothing leaves the outbox, and nobody is told yet."""
    edge.set(receipt_wait=1)
    fill(edge, 1, 2)
    assert deliver(edge) == []
    assert where(edge) == {"outbox": [1, 2], "sent": [], "held": []}
    assert queue(gearmand, FUNCTION)[0] == 2


def test_a_job_server_that_the_aggregator_has_lost_holds_nothing_up(edge: Edge, ledger: Ledger, tmp_path: Path) -> None:
    """The first job server takes the batches and nobody works for it: they go through the second, in the same run."""
    with servers.gearmand(tmp_path / "lost") as lost:
        edge.set(job_servers=[lost.address, *edge.config.job_servers], receipt_wait=20)
        fill(edge, 1, 2)
        assert deliver(edge) == []
        assert where(edge) == {"outbox": [], "sent": [1, 2], "held": []}
        assert queue(lost, FUNCTION)[0] == 2


def test_after_15_minutes_without_an_aggregator_it_is_said(edge: Edge, gearmand: servers.Server) -> None:
    edge.set(receipt_wait=1)
    fill(edge, 1, age=ATTEMPT_SECONDS + 60)
    (said,) = deliver(edge)
    assert "1 batches are not confirmed, the oldest for 16 minutes" in said
    assert "no aggregator answered" in said


def test_without_a_job_server_it_is_said_once(edge: Edge) -> None:
    edge.set(job_servers=[f"127.0.0.1:{servers.free_port()}"], receipt_wait=30)
    fill(edge, 1, age=ATTEMPT_SECONDS + 60)
    said = deliver(edge)
    assert "no job server took the batches" in said[0]
    assert where(edge)["outbox"] == [1]


def test_a_batch_the_ledger_never_gets_is_submitted_again_under_another_id(edge: Edge, ledger: Ledger) -> None:
    """A hung worker would swallow a resubmission under the same id."""
    edge.set(receipt_wait=1)
    ledger.commits = False
    (name,) = fill(edge, 1)
    deliver(edge)
    deliver(edge)
    assert len(set(ledger.received)) == 1
    old = time.time() - ATTEMPT_SECONDS - 1
    os.utime(edge.spool.outbox / str(name), (old, old))
    deliver(edge)
    assert len(set(ledger.received)) == 2
    ledger.commits = True
    deliver(edge)
    assert where(edge)["sent"] == [1]


def test_no_copies_pile_up_while_no_aggregator_answers(edge: Edge, gearmand: servers.Server) -> None:
    """Three days of outage: one copy of each batch waits, and a second one at most when an aggregator is back."""
    edge.set(receipt_wait=1)
    (name,) = fill(edge, 1)
    for minutes in (0, 16, 60, 1440, 4320):
        old = time.time() - minutes * 60
        os.utime(edge.spool.outbox / str(name), (old, old))
        deliver(edge)
    assert queue(gearmand, FUNCTION)[0] == 1
    ledger = Ledger(gearmand)
    assert deliver(edge) == []
    ledger.stop()
    assert (len(ledger.received), where(edge)["sent"]) == (1, [1])


def test_a_batch_that_was_confirmed_meanwhile_is_not_submitted(edge: Edge, ledger: Ledger) -> None:
    (name,) = fill(edge, 1, age=100)
    ledger.committed[content_hash((edge.spool.outbox / str(name)).read_bytes())] = "edge1/access"
    deliver(edge)
    assert (ledger.received, where(edge)["sent"]) == ([], [1])


@pytest.mark.parametrize("state", ["conflict", "quarantined:overlap"])
def test_what_the_ledger_refuses_is_held(edge: Edge, ledger: Ledger, state: str) -> None:
    names = fill(edge, 1, 2)
    refused = content_hash((edge.spool.outbox / str(names[0])).read_bytes())
    ledger.state = lambda sha, found: state if sha == refused else found
    (said,) = deliver(edge)
    assert state in said
    assert where(edge) == {"outbox": [], "sent": [2], "held": [1]}
    assert edge.spool.reason(names[0]) == state
    assert edge.spool.conflicted("access", GENERATION) == (state == "conflict")


def test_a_superseded_batch_is_done(edge: Edge, ledger: Ledger) -> None:
    fill(edge, 1)
    ledger.state = lambda _sha, _found: "superseded"
    assert deliver(edge) == []
    assert where(edge)["sent"] == [1]


def test_only_the_answer_for_its_own_hash_counts(edge: Edge, ledger: Ledger) -> None:
    """The ledger has the same number with another content: this one is not confirmed by it."""
    edge.set(receipt_wait=1)
    ledger.commits = False
    ledger.committed[content_hash(b"another body")] = "edge1/access"
    fill(edge, 1)
    deliver(edge)
    assert where(edge)["outbox"] == [1]


def test_another_ledger_is_refused_with_a_message(edge: Edge, ledger: Ledger) -> None:
    fill(edge, 1)
    deliver(edge)
    ledger.id = "ledger-two"
    fill(edge, 2)
    with pytest.raises(EdgetallyError, match=f"ledger-two.*remove {edge.spool.ledger}"):
        deliver(edge)
    assert where(edge) == {"outbox": [2], "sent": [1], "held": []}


def _spoil(change: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: {**answer, **change}


@pytest.mark.parametrize(
    "change",
    [{"nonce": "another"}, {"state": "committed"}, {"state": []}, {"state": None}, {"ledger": None, "nonce": 1}],
)
def test_an_answer_that_is_not_for_this_request_moves_nothing(
    edge: Edge, ledger: Ledger, change: dict[str, Any]
) -> None:
    edge.set(receipt_wait=1)
    ledger.answer = _spoil(change)
    fill(edge, 1)
    said = deliver(edge)
    assert where(edge) == {"outbox": [1], "sent": [], "held": []}
    assert "cannot be trusted" in said[0]


@pytest.mark.parametrize("key", [Key("01234567", bytes(31) + b"x"), Key("76543210", bytes(32))])
def test_an_answer_with_another_signature_moves_nothing(edge: Edge, ledger: Ledger, key: Key) -> None:
    edge.set(receipt_wait=1)
    ledger.key = key
    fill(edge, 1)
    said = deliver(edge)
    assert where(edge)["outbox"] == [1]
    assert "edgetally_master_key" in said[0]


def test_an_empty_answer_moves_nothing(edge: Edge, ledger: Ledger) -> None:
    """So the aggregator answers a request whose signature it does not know."""
    edge.set(receipt_wait=1)
    ledger.answers = False
    fill(edge, 1)
    assert "does not know this edge, or not its key" in deliver(edge)[0]
    assert where(edge)["outbox"] == [1]


def test_more_than_a_thousand_are_asked_for_in_several_requests(edge: Edge, ledger: Ledger) -> None:
    fill(edge, *range(1, 1203))
    assert deliver(edge) == []
    assert len(where(edge)["sent"]) == 1202


def test_reconciling_sends_again_what_the_ledger_lost(edge: Edge, ledger: Ledger) -> None:
    """As after the database was restored from last night's backup."""
    fill(edge, 1, 2, 3, age=50_000)
    deliver(edge)
    for name in edge.spool.batches(edge.spool.sent)[1:]:
        del ledger.committed[content_hash((edge.spool.sent / str(name)).read_bytes())]
    ledger.received.clear()
    assert deliver(edge, reconcile=True) == []
    assert len(ledger.received) == 2
    assert where(edge) == {"outbox": [], "sent": [1, 2, 3], "held": []}
    assert len(ledger.committed) == 3


@pytest.mark.parametrize("state", ["committed", "superseded"])
def test_reconciling_frees_what_the_ledger_took_after_all(edge: Edge, ledger: Ledger, state: str) -> None:
    """As after `edgetally quarantine retry`: the edge learns of it, and what is still refused stays held."""
    ledger.state = lambda _sha, _found: "quarantined:clock"
    names = fill(edge, 1, 2, 3)
    deliver(edge)
    assert where(edge)["held"] == [1, 2, 3]
    taken, forgotten = (content_hash((edge.spool.held / str(name)).read_bytes()) for name in names[:2])
    ledger.received.clear()
    ledger.state = lambda sha, _found: {taken: state, forgotten: "unknown"}.get(sha, "quarantined:clock")
    assert deliver(edge, reconcile=True) == []
    assert where(edge) == {"outbox": [], "sent": [1], "held": [2, 3]}
    assert sorted(path.name for path in edge.spool.held.glob("*.reason")) == [
        edge.spool.reason_path(name).name for name in names[1:]
    ]
    assert ledger.received == [], "nothing that was refused is sent again by itself"


def test_reconciling_without_a_trusted_answer_moves_nothing(edge: Edge, ledger: Ledger) -> None:
    fill(edge, 1, 2)
    deliver(edge)
    ledger.received.clear()
    ledger.answers = False
    said = deliver(edge, reconcile=True)
    assert where(edge)["sent"] == [1, 2]
    assert ledger.received == []
    assert "2 batches were not reconciled" in said[-1]


def test_batches_of_another_edge_stay_and_are_said(edge: Edge, ledger: Ledger) -> None:
    """An edge that was renamed can sign only for its new name."""
    fill(edge, 1)
    edge.set(edge="edge2")
    (said,) = deliver(edge)
    assert "not of edge 'edge2'" in said
    assert where(edge)["outbox"] == [1]


def test_a_wiped_queue_loses_nothing(edge: Edge, gearmand: servers.Server) -> None:
    edge.set(receipt_wait=1)
    fill(edge, 1, 2)
    deliver(edge)
    gearmand.kill()
    for path in gearmand.folder.glob("queue.db*"):
        path.unlink()
    gearmand.start()
    assert queue(gearmand, FUNCTION)[0] == 0
    ledger = Ledger(gearmand)
    assert deliver(edge) == []
    ledger.stop()
    assert where(edge)["sent"] == [1, 2]


@pytest.mark.parametrize(
    ("minutes", "number"), [(0, 0), (14.9, 0), (15, 1), (29, 1), (30, 2), (59, 2), (60, 3), (1440, 7), (-5, 0)]
)
def test_attempts_rise_with_age_and_ever_more_slowly(minutes: float, number: int) -> None:
    assert attempt(minutes * 60) == number


def test_the_splay_is_an_edges_own_and_spread_over_the_fleet() -> None:
    waits = [splay_seconds(f"edge{number}", 60) for number in range(1000)]
    assert waits == [splay_seconds(f"edge{number}", 60) for number in range(1000)]
    assert all(0 <= wait < 60 for wait in waits)
    for quarter in range(4):
        assert 200 < sum(quarter * 15 <= wait < quarter * 15 + 15 for wait in waits) < 300
    assert splay_seconds("edge1", 0) == 0
