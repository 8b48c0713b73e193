"""The batch's envelope, body and keys: what an edge writes is what the aggregator reads, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetally import limits
from edgetally.wire.batch import Batch, unique_id
from edgetally.wire.counters import Counters
from edgetally.wire.envelope import BatchError, Key, content_hash, derive_key, edge_of, seal, unseal

MASTER = "a master key of at least 32 characters"
KEY = derive_key(MASTER, "edge1")
SLOT = 1_780_000_200

BATCH = Batch(
    stream="edge1/access",
    generation="6f1c6f1c6f1c6f1c",
    seq=2,
    covers=(1_780_000_000.012, 1_780_000_300.044),
    channels=("news", "vidéo"),
    rows=((SLOT, 0, 3, 900, 1, 300), (SLOT, 1, 2, 100, None, None)),
    rejected=1,
    unassigned_hosts=(("example.org", 1, 10),),
)
(BODY,) = BATCH.encode()


def find_key(edge: str, key_id: str) -> Key | None:
    key = derive_key(MASTER, edge)
    return key if key.id == key_id else None


def test_a_batch_survives_the_way() -> None:
    envelope = unseal(seal(BATCH.stream, KEY, BODY), find_key)
    assert envelope == (BATCH.stream, KEY, BODY)
    assert Batch.decode(envelope.body) == BATCH


def test_a_batch_that_calls_another_time_missing_survives_it_too() -> None:
    """Its first part alone says so; a batch that does not is the same bytes as ever."""
    wrong = BATCH._replace(continuity="broken", missing=(1_780_000_000.5, 1_780_000_100.0))
    (body,) = wrong.encode()
    assert Batch.decode(body) == wrong
    large = wrong._replace(rows=BATCH.rows * 100)
    parts = [Batch.decode(body) for body in large.encode(max_bytes=2000)]
    assert [part.missing for part in parts] == [wrong.missing, *[None] * (len(parts) - 1)]
    assert len(parts) > 1
    assert b"missing" not in BODY


def test_a_batch_that_tells_of_its_edge_survives_it_too() -> None:
    """Its first part alone has the counters; a batch of an edge that tells nothing is the same bytes as ever."""
    counters = Counters(1_780_000_000.5, 1_780_000_300.0, 12_000, None, "eth0")
    telling = BATCH._replace(counters=counters, region="eu-west")
    (body,) = telling.encode()
    assert Batch.decode(body) == telling
    parts = [Batch.decode(part) for part in telling._replace(rows=BATCH.rows * 100).encode(max_bytes=2000)]
    assert len(parts) > 1
    assert [part.counters for part in parts] == [counters, *[None] * (len(parts) - 1)]
    assert {part.region for part in parts} == {"eu-west"}
    assert b"extra" not in BODY
    assert Batch.decode(BODY)._replace(counters=counters, region="eu-west") == telling


def test_what_a_newer_edge_tells_besides_is_left_out() -> None:
    """So that `extra` may grow without a batch being refused; the sums are never in it."""
    counters = {"version": 2, "anything": [1, {"else": 2}]}
    assert Batch.decode(altered(extra={"counters": counters, "weather": "fine"})) == BATCH
    known = {"version": 1, "time": [1, 2.5], "wire": 3, "server": 4, "device": "", "loss": 7}
    assert Batch.decode(altered(extra={"counters": known})).counters == Counters(1, 2.5, 3, 4)


def test_the_body_is_the_designs() -> None:
    """A change of a field's name or order would break every edge that is not upgraded."""
    data = json.loads(BODY)
    assert list(data)[:7] == ["stream", "generation", "seq", "revision", "covers", "continuity", "log"]
    assert list(data)[7:11] == ["lines", "rejected", "skewed", "bytes"]
    assert list(data)[11:] == ["channels", "rows", "unassigned_hosts"]
    assert (data["lines"], data["bytes"]) == (6, 1000)


def test_the_keys_are_those_that_ansible_derives() -> None:
    """Computed with Ansible's hash filter: (master ~ ':' ~ (edge | hash('sha256'))) | hash('sha256')."""
    assert KEY.id == "1923c175"
    assert KEY.secret.hex() == "08551e1767e13793373669e59e2b8bb9271bd7a0f29fa19fc328f93f83317977"
    assert derive_key(MASTER, "edge2").secret != KEY.secret
    assert derive_key(MASTER, "edge2").id == KEY.id


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "unsigned"),
        (b"no header\n{}", "unsigned"),
        (seal("edge1/access", KEY, BODY).replace(b"edgetally/1", b"edgetally/2"), "version"),
        (seal("edge1/access", KEY, BODY)[:-1], "signature"),
        (seal("edge1/access", KEY, BODY).replace(b"news", b"shop"), "signature"),
        (seal("edge2/access", KEY, BODY), "signature"),
        (seal("edge1/access", Key("00000000", KEY.secret), BODY), "foreign"),
        (seal("edge1", KEY, BODY), "foreign"),
        (seal("edge1/access", KEY, BODY + b" " * limits.MAX_BATCH_BYTES), "too_large"),
    ],
)
def test_a_payload_that_is_not_the_edges_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(BatchError) as refusal:
        unseal(payload, find_key)
    assert refusal.value.reason == reason


def altered(**fields: Any) -> bytes:
    return json.dumps({**json.loads(BODY), **fields}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        altered(another=1),
        altered(extra=1),
        altered(extra={"region": 1}),
        altered(extra={"region": ["eu"]}),
        altered(extra={"region": "e" * 256}),
        altered(extra={"counters": 1}),
        altered(extra={"counters": {}}),
        altered(extra={"counters": {"version": 1}}),
        altered(extra={"counters": {"version": 1, "time": [2, 1], "wire": 1, "server": 1, "device": ""}}),
        altered(extra={"counters": {"version": 1, "time": [1, 1 << 40], "wire": 1, "server": 1, "device": ""}}),
        altered(extra={"counters": {"version": 1, "time": [1, 2], "wire": -1, "server": 1, "device": ""}}),
        altered(extra={"counters": {"version": 1, "time": [1, 2], "wire": 1, "server": 1 << 63, "device": ""}}),
        altered(extra={"counters": {"version": 1, "time": [1, 2], "wire": 1.5, "server": 1, "device": ""}}),
        altered(extra={"counters": {"version": 1, "time": [1, 2], "wire": 1, "server": 1, "device": "e\n"}}),
        altered(extra={"counters": {"version": 1, "time": [1, 2], "wire": 1, "server": 1, "device": 7}}),
        altered(lines=7),
        altered(bytes=1001),
        altered(seq=0),
        altered(seq=True),
        altered(seq="2"),
        altered(revision=-1),
        altered(generation="6F1C6F1C6F1C6F1C"),
        altered(stream="edge1"),
        altered(stream="edge1/a/b"),
        altered(covers=[1, None]),
        altered(covers=[2, 1]),
        altered(covers=[None, 1_780_000_300]),
        altered(covers=[float("nan"), 1]),
        altered(continuity="perhaps"),
        altered(log="gone"),
        altered(channels=["news", "news"]),
        altered(channels=["news", "a\nb"]),
        altered(channels=["news"]),
        altered(rows=[[SLOT + 1, 0, 5, 1000, None, None]]),
        altered(rows=[[SLOT, 0, 5, 1000, None]]),
        altered(rows=[[SLOT, 0, 5, 1000, 6, 0]]),
        altered(rows=[[SLOT, 0, 5.0, 1000, None, None]]),
        altered(rows=[[SLOT, -1, 5, 1000, None, None]]),
        altered(rows=[[SLOT, 0, 5, -1000, None, None]]),
        altered(rows=[[SLOT, 0, 5, 1000, 1, None]]),
        altered(unassigned_hosts=[["x", 1, 1]] * 21),
        altered(unassigned_hosts=[["x" * 256, 1, 1]]),
        altered(missing=None),
        altered(missing=[1]),
        altered(missing=[2, 1]),
        altered(missing=["1", "2"]),
        altered(missing="12"),
        altered(part=0),
        altered(part=2, parts=2),
    ],
)
def test_a_body_that_no_edge_would_write_is_invalid(body: bytes) -> None:
    with pytest.raises(BatchError) as refusal:
        Batch.decode(body)
    assert refusal.value.reason == "invalid"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_order(data: bytes) -> None:
    """No traceback, whatever comes: a crash would stop the only writer."""
    with pytest.raises(BatchError):
        Batch.decode(data)
    with pytest.raises(BatchError):
        unseal(data, find_key)


def test_a_large_batch_travels_in_parts_that_add_up() -> None:
    rows = tuple((SLOT, 0, 1, number, 0, 0) for number in range(1000))
    large = BATCH._replace(rows=rows, rejected=3, skewed=2)
    bodies = large.encode(max_bytes=6000)
    parts = [Batch.decode(body) for body in bodies]
    assert len(parts) > 1
    assert max(map(len, bodies)) <= 6000 - 512
    assert [part.part for part in parts] == list(range(len(parts)))
    assert {part.parts for part in parts} == {len(parts)}
    assert sum(part.lines for part in parts) == large.lines
    assert sum(part.size for part in parts) == large.size
    assert sum(part.skewed for part in parts) == 2
    assert len({unique_id(p.stream, p.generation, p.seq, p.revision, p.part, 0) for p in parts}) == len(parts)


def test_unique_ids_fit_gearmand_and_differ_by_attempt() -> None:
    ids = [unique_id("edge1/access", "0" * 16, 1, 0, 0, attempt) for attempt in range(3)]
    assert len(set(ids)) == 3
    assert all(len(unique) == 60 for unique in ids)


def test_the_content_hash_is_of_the_body_alone() -> None:
    """A new key signs the same body anew; the ledger must see the same batch."""
    other = derive_key("another master key of 32 characters!", "edge1")
    body = unseal(seal(BATCH.stream, other, BODY), lambda _edge, _id: other).body
    assert content_hash(body) == content_hash(BODY)


@pytest.mark.parametrize("stream", ["", "edge1", "/access", "edge1/", "a/b/c", "e dge/x", "é/x", "../x"])
def test_what_is_no_stream(stream: str) -> None:
    assert edge_of(stream) == ""
