"""Batches written together and batches looked at one after the other: the same rows, whatever comes in what order."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import pytest

from edgetally.ledger.incoming import Incoming
from edgetally.ledger.ledger import Ledger
from edgetally.ledger.transaction import Transaction
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import derive_key, seal
from tests.integration.conftest import MASTER

START = int(time.time()) // 300 * 300 - 86400
KEY = derive_key(MASTER, "edge1")
TABLES = {
    "batch": "s.name, HEX(generation), seq, revision, part, HEX(sha256), state FROM batch "
    "JOIN stream s ON s.id = stream_id",
    "batch_body": "s.name, HEX(generation), seq, revision, part, MD5(body) FROM batch_body "
    "JOIN stream s ON s.id = stream_id",
    "traffic": "s.name, c.name, slot, requests, bytes, hits, hit_bytes, cache_requests, cache_bytes FROM traffic "
    "JOIN stream s ON s.id = stream_id JOIN channel c ON c.id = channel_id",
    "channel_traffic": "c.name, slot, requests, bytes, hits, hit_bytes, cache_requests, cache_bytes "
    "FROM channel_traffic JOIN channel c ON c.id = channel_id",
    "unassigned_host": "day, host, requests, bytes FROM unassigned_host",
    "quarantine": "reason, HEX(sha256), count FROM quarantine",
}


def incoming(chance: random.Random) -> Incoming:
    """A batch of a small fleet: numbers, revisions, times and contents meet again often, and not always in order."""
    seq, length = chance.randint(1, 12), chance.choice([0.0, 0.5, 300.0, 300.0, 300.0, 900.0])
    begin = START + 300.0 * seq + chance.choice([0.0, 0.0, 0.0, -0.9, 200.0])
    slot = int(begin) // 300 * 300
    size, hits = chance.choice([(10, None), (20, 5), (30, 0)])
    batch = Batch(
        stream=f"edge1/{chance.choice(['a', 'b', 'c'])}",
        generation=f"{chance.choice([1, 1, 1, 2]):016x}",
        seq=seq,
        covers=(None if seq == 1 else begin, begin + length),
        channels=tuple(chance.sample(["news", "video", "größe"], 2)),
        rows=tuple((slot + 300 * n, n % 2, 1 + n, size + n, hits, hits) for n in range(chance.randint(0, 3)))
        if hits is None
        else ((slot, 0, 9, size, hits, hits),),
        revision=chance.choice([0, 0, 0, 0, 1, 2]),
        unassigned_hosts=(("", 1, 2), ("x.example", 1, chance.randint(1, 2))),
    )
    if chance.random() < 0.1:
        whole = 900 + len(batch.encode()[0]) // 2  # so that it is cut into parts
        (body, *_rest) = batch.encode(whole)
        batch = Batch.decode(body)
    (body,) = batch.encode()
    return Incoming(seal(batch.stream, KEY, body), batch.stream, body, batch)


def write(ledger: Ledger, groups: Sequence[Sequence[Incoming]]) -> tuple[list[list[str]], dict[str, Any]]:
    """The states of all groups, and what the tables hold after them; the tables are empty before."""
    with ledger.connection.cursor() as cursor:
        for table in (*TABLES, "stream", "channel"):
            cursor.execute(f"DELETE FROM {table}")
        ledger.connection.commit()
        ledger.disconnect()
    states = [ledger.commit(group) for group in groups]
    found = {}
    with ledger.connection.cursor() as cursor:
        for table, query in TABLES.items():
            cursor.execute(f"SELECT {query}")
            found[table] = sorted(cursor.fetchall())
    ledger.connection.rollback()
    return states, found


def test_together_and_one_by_one_write_the_same(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late, repeated, corrected, overlapping, conflicting and very short batches, in groups of any size."""
    seen: set[str] = set()
    together = 0
    for seed in range(40):
        chance = random.Random(seed)
        sent = [incoming(chance) for _ in range(30)]
        groups = [chance.choices(sent, k=chance.randint(1, 12)) for _ in range(6)]
        calls: list[int] = []
        divide = Transaction._divide

        def counted(self: Transaction, items: Any) -> Any:
            following, others = divide(self, items)  # noqa: B023
            calls.append(len(following))  # noqa: B023
            return following, others

        monkeypatch.setattr(Transaction, "_divide", counted)
        fast = write(ledger, groups)
        monkeypatch.setattr(Transaction, "_divide", lambda _self, items: ([], items))
        careful = write(ledger, groups)
        monkeypatch.setattr(Transaction, "_divide", divide)
        assert fast == careful, f"seed {seed}"
        together += sum(calls)
        seen.update(state for states in fast[0] for state in states)
    assert together > 100
    assert seen == {"committed", "already", "superseded", "conflict", "overlap"}


def test_a_number_that_is_there_sends_the_group_back_to_one_by_one(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger's key decides, not what was read before."""
    monkeypatch.setattr(Transaction, "_divide", lambda _self, items: (items, []))
    chance = random.Random(1)
    one, two = incoming(chance), incoming(chance)
    assert ledger.commit([one]) == ["committed"]
    assert ledger.commit([two, one, two]) == ["committed", "already", "already"]


def test_a_large_group_is_written_in_several_statements(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetally.ledger.statements.STATEMENT_BYTES", 1000)
    monkeypatch.setattr("edgetally.ledger.statements.UNION_QUERIES", 3)
    rows = tuple((START + 300 * n, 0, 1, 10, None, None) for n in range(100))
    items = []
    for number in range(20):
        batch = Batch(f"edge1/log{number}", f"{1:016x}", 1, (None, START + 30000.0), ("news",), rows)
        (body,) = batch.encode()
        items.append(Incoming(seal(batch.stream, KEY, body), batch.stream, body, batch))
    assert ledger.commit(items) == ["committed"] * 20
    with ledger.connection.cursor() as cursor:
        for table in ("traffic", "channel_traffic"):
            cursor.execute(f"SELECT SUM(bytes) FROM {table}")
            assert cursor.fetchone() == (20_000,)
        cursor.execute("SELECT COUNT(*) FROM batch JOIN batch_body USING (stream_id, generation, seq, revision, part)")
        assert cursor.fetchone() == (20,)
