"""What is refused before it is built, and what a batch may look like at its densest."""

from __future__ import annotations

import itertools
import string

import pytest

from edgetally.wire.batch import Batch
from edgetally.wire.bounded import SHORT_BYTES, read_json

SLOT = 1_780_000_200


def test_a_batch_of_the_shortest_names_is_read() -> None:
    """Thousands of channels of two letters, each with one small row: no batch has more values for its length."""
    names = tuple(map("".join, itertools.product(string.ascii_letters, repeat=2)))
    rows = tuple((SLOT, number, 1, 1, 0, 0) for number in range(len(names)))
    (body,) = Batch("e/a", "0" * 16, 2, (float(SLOT), SLOT + 300.0), names, rows).encode()
    assert len(body) > SHORT_BYTES
    assert Batch.decode(body).channels == names


@pytest.mark.parametrize("value", ["[]", "{}", '"ab"', "[[[]]]"])
def test_what_is_out_of_proportion_is_refused(value: str) -> None:
    body = f"[{','.join([value] * SHORT_BYTES)}]".encode()
    with pytest.raises(ValueError, match="too many"):
        read_json(body)


def test_a_long_number_is_refused() -> None:
    with pytest.raises(ValueError, match="255 digits"):
        read_json(b"[" + b"9" * SHORT_BYTES + b"]")
