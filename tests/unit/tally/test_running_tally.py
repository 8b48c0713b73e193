"""Spreading: a transfer's bytes lie evenly over the time that it lasted, exactly, whichever engine reads them."""

from __future__ import annotations

import io
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.limits import LONGEST_SPREAD
from edgetally.tally.count import tally
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import Window

FORMAT = parse_format("$msec $request_time $host $bytes_sent $upstream_cache_status")
APACHE = parse_format('LogFormat "%V %a %t %D \\"%r\\" %>s %O" x')
T = 1780000200  # the beginning of a slot


def line(end: float, lasted: float, size: int, cache: str = "MISS") -> bytes:
    return f"{end:.3f} {lasted:.3f} a.example.com {size} {cache}\n".encode()


def count(data: bytes, max_spread: int = LONGEST_SPREAD, fmt: Any = FORMAT, **options: Any) -> Tally:
    """What both engines make of it, which must be the same."""
    one, two = (
        tally([io.BytesIO(data)], fmt, None, engine=engine, max_spread=max_spread, **options)
        for engine in ("kernel", "reference")
    )
    assert one == two
    return one


def cells(found: Tally) -> dict[int, list[int | None]]:
    return {(slot - T) // 300: sums for (slot, _), sums in sorted(found.cells.items())}


def test_bytes_lie_in_the_slots_they_were_sent_in_and_the_request_in_that_of_its_end() -> None:
    found = count(line(T + 600, 700, 700, "HIT"))
    assert cells(found) == {-1: [0, 100, 0, 100], 0: [0, 300, 0, 300], 1: [0, 300, 0, 300], 2: [1, 0, 1, 0]}
    assert (found.counted, found.bytes, found.first, found.last) == (1, 700, T + 600, T + 600)


def test_no_byte_is_lost_to_rounding() -> None:
    assert cells(count(line(T + 301, 2, 5))) == {0: [0, 2, 0, 0], 1: [1, 3, 0, 0]}
    assert cells(count(line(T + 300.001, 0.003, 1))) == {0: [0, 0, 0, 0], 1: [1, 1, 0, 0]}


@pytest.mark.parametrize("lasted", [0, 0.001, 299.999])
def test_a_transfer_within_one_slot_is_booked_whole(lasted: float) -> None:
    assert cells(count(line(T + 299.999, lasted, 10))) == {0: [1, 10, 0, 0]}


def test_a_transfer_that_ends_with_a_slot_is_a_request_of_the_next() -> None:
    assert cells(count(line(T + 300, 300, 10))) == {0: [0, 10, 0, 0], 1: [1, 0, 0, 0]}


def test_a_transfer_that_lasted_too_long_is_clipped_to_the_last_hours_and_counted() -> None:
    found = count(line(T + 900, 9000, 9000), max_spread=600)
    assert cells(found) == {1: [0, 8700, 0, 0], 2: [0, 300, 0, 0], 3: [1, 0, 0, 0]}
    assert found.clipped == 1
    assert count(line(T + 900, 500, 9000), max_spread=600).clipped == 0


def test_what_is_far_off_or_from_before_is_not_spread() -> None:
    window = Window(T, T + 300)
    skewed = count(line(T + 5000, 700, 70), window=window)
    assert (cells(skewed), skewed.skewed) == ({1: [1, 70, 0, 0]}, 1)
    assert count(line(T, 700, 70), since=T + 1).set_aside == 1


KINDS: dict[str, tuple[str, Callable[[int, int], str]]] = {
    "seconds": (
        "$msec $request_time $host $bytes_sent",
        lambda end, took: f"{end / 1000:.3f} {took / 1000:.3f} a 1000\n",
    ),
    "ms": (
        "logformat x %ts.%03tu %tr %>a %<st %ru",
        lambda end, took: f"{end / 1000:.3f} {took} 192.0.2.7 1000 http://a/\n",
    ),
    "us": (
        'accesslog.format = "%{sec}t.%{msec_frac}t %D %V %O"',
        lambda end, took: f"{end / 1000:.3f} {took * 1000} a 1000\n",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_of_each_transfer_it_is_known_whether_it_began_before_its_slot(kind: str) -> None:
    """Whether it ended soon after that or late, and lasted a little less than that, or a little more."""
    text, written = KINDS[kind]
    fmt = parse_format(text)
    for end in (1, 999, 1000, 1001, 3500, 9999, 10_000, 10_001, 12_000, 99_999, 100_000, 250_000, 299_999):
        for took in {end - 1, end, end + 1, end + 1000, end * 10, 9_999, 10_000, 10_001, 99_999, 100_000}:
            found = count(written(T * 1000 + end, took).encode(), fmt=fmt)
            before = sum(sums[1] or 0 for slot, sums in cells(found).items() if slot < 0)
            assert before == (1000 * (took - end) // took if took > end else 0), (end, took)


def test_a_start_and_a_duration_are_spread_up_to_the_end() -> None:
    """Apache logs when a request came."""
    data = b'a.example.com 192.0.2.7 [28/May/2026:20:34:00 +0000] 120000000 "GET / HTTP/1.1" 200 1200\n'
    assert cells(count(data, fmt=APACHE)) == {0: [0, 600, None, None], 1: [1, 600, None, None]}


def test_a_format_without_a_duration_cannot_be_spread() -> None:
    with pytest.raises(EdgetallyError, match="log the duration too"):
        count(b"", fmt=FORMATS["combined"])


@given(
    st.lists(
        st.tuples(st.integers(0, 3_000_000), st.integers(0, 30_000_000), st.integers(0, 10**12)),
        min_size=1,
        max_size=50,
    ),
    st.integers(1, LONGEST_SPREAD),
)
def test_bytes_and_requests_are_conserved(transfers: list[tuple[int, int, int]], max_spread: int) -> None:
    """Each with its end, its duration in milliseconds, and its bytes."""
    data = b"".join(line(T + end / 1000, lasted / 1000, size) for end, lasted, size in transfers)
    found = count(data, max_spread)
    assert found.counted == len(transfers) == sum(sums[0] or 0 for sums in found.cells.values())
    assert found.bytes == sum(size for *_, size in transfers) == sum(sums[1] or 0 for sums in found.cells.values())
    assert all((sums[1] or 0) >= 0 for sums in found.cells.values())
    assert count(data, 0).bytes == found.bytes
