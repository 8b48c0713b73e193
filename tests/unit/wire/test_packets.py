"""The cutter of packets: what passes is what came, but for the end of packets that are too long."""

from __future__ import annotations

import random
import struct

import pytest

from edgetally.wire.packets import Cutter, NotBinaryError


def packet(kind: int, rest: bytes) -> bytes:
    return struct.pack(">4sII", b"\0RES", kind, len(rest)) + rest


@pytest.mark.parametrize("seed", range(50))
def test_however_the_stream_is_cut_into_reads(seed: int) -> None:
    chance = random.Random(seed)
    rests = [chance.randbytes(chance.choice([0, 1, 99, 100, 101, 1000])) for _ in range(20)]
    stream = b"".join(packet(number, rest) for number, rest in enumerate(rests))
    cutter = Cutter(100)
    passed = b""
    while stream:
        size = chance.choice([1, 5, 12, 13, 200, 5000])
        passed += cutter.pass_on(stream[:size])
        stream = stream[size:]
    assert passed == b"".join(packet(number, rest[:100]) for number, rest in enumerate(rests))


def test_what_a_forged_length_can_make_us_keep() -> None:
    cutter = Cutter(100)
    head = struct.pack(">4sII", b"\0RES", 13, (1 << 32) - 1)
    assert len(cutter.pass_on(head)) == 12
    assert sum(len(cutter.pass_on(bytes(1 << 16))) for _ in range(100)) == 100


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", packet(1, b"x") + b"hi"])
def test_text_is_no_packet(text: bytes) -> None:
    with pytest.raises(NotBinaryError):
        Cutter(100).pass_on(text)
