"""Whatever comes in a payload is a batch or a BatchError: anything else would end the aggregator, again and again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger.incoming import open_batch
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import BatchError, Key, derive_key, seal, unseal
from edgetally.wire.receipts import Request, open_request

MASTER = "a master key for the tests, long enough"
STREAM = "edge1/access"
KEY = derive_key(MASTER, "edge1")
CONFIG = AggregatorConfig(("127.0.0.1:1",), (MASTER,), DatabaseConfig("u", "p"))
(BODY,) = Batch(
    STREAM,
    f"{1:016x}",
    2,
    (600.0, 900.0),
    ("news", "größe"),
    ((600, 0, 3, 100, 1, 40), (900, 1, 2, 7, None, None)),
    rejected=1,
    unassigned_hosts=(("x.example", 1, 5),),
).encode()
ASKED: dict[str, Any] = {"stream": STREAM, "nonce": "n", "ask": [[f"{1:016x}", 1, 0, "ab" * 32]]}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 1, 300, 1 << 32, (1 << 63) - 1, 1 << 63, 10**4000])
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["ok", "news", STREAM, f"{1:016x}", "\ud800", "\0", "x" * 300])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all that is inside of a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(way for key, one in inside for way in places(one, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A JSON value with another one at a place."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, dict):
        return {**value, key: changed(value[key], tuple(rest), new)}
    return [changed(one, tuple(rest), new) if index == key else one for index, one in enumerate(value)]


def near(value: Any) -> st.SearchStrategy[bytes]:
    """JSON that differs from a good one in one or two places, as bytes."""
    change = st.tuples(st.sampled_from(places(value)[1:]), values)

    def apply(changes: list[tuple[tuple[Any, ...], Any]]) -> bytes:
        made = value
        for path, new in changes:
            try:
                made = changed(made, path, new)
            except (KeyError, TypeError, IndexError):
                continue  # the first change has taken the place away
        return json.dumps(made).encode()

    return st.lists(change, min_size=1, max_size=2).map(apply)


def damaged(good: bytes) -> st.SearchStrategy[bytes]:
    """Good bytes with a piece replaced, taken out or put in."""
    place = st.integers(0, len(good))
    return st.builds(lambda a, b, new: good[: min(a, b)] + new + good[max(a, b) :], place, place, st.binary(max_size=9))


bodies = st.binary(max_size=200) | damaged(BODY) | near(json.loads(BODY))


def a_batch_or_refused(act: Callable[[], Any]) -> Any:
    """What is made, or None where it was refused as it should be."""
    try:
        return act()
    except BatchError:
        return None


@settings(max_examples=300, deadline=None)
@given(bodies)
def test_a_body(body: bytes) -> None:
    made = a_batch_or_refused(lambda: Batch.decode(body))
    if made is not None:
        assert Batch.decode(made.encode()[0]) == made  # what is taken can be kept, and audited
        assert made.lines == sum(row[2] for row in made.rows) + made.rejected


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | damaged(seal(STREAM, KEY, BODY)) | bodies.map(lambda body: seal(STREAM, KEY, body)))
def test_a_payload(payload: bytes) -> None:
    envelope = a_batch_or_refused(lambda: unseal(payload, lambda _edge, _id: KEY))
    if envelope is not None:
        assert envelope.stream == STREAM
    incoming = open_batch(CONFIG, payload)
    assert (incoming.batch is None) == (incoming.refused is not None)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100) | near(ASKED) | damaged(json.dumps(ASKED).encode()))
def test_a_request_for_receipts(body: bytes) -> None:
    request = a_batch_or_refused(lambda: open_request(CONFIG, seal(STREAM, KEY, body)))
    if isinstance(request, Request):
        assert all(
            len(bytes.fromhex(sha)) == 32 and 0 <= seq < 1 << 63 for _generation, seq, _revision, sha in request.ask
        )


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"", b"1e999", b"1" * 10_000])
def test_json_that_breaks_readers(body: bytes) -> None:
    for act in (lambda: Batch.decode(body), lambda: open_request(CONFIG, seal(STREAM, KEY, body))):
        with pytest.raises(BatchError, match="invalid"):
            act()


def test_another_key_opens_nothing() -> None:
    with pytest.raises(BatchError, match="signature"):
        unseal(seal(STREAM, KEY, BODY), lambda _edge, _id: Key(KEY.id, bytes(32)))
