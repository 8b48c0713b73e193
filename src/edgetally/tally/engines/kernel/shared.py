"""What both compilers of programs share: what a program is, and how it reads a time."""

from __future__ import annotations

from edgetally.formats import clocks
from edgetally.record import NamedTuple
from edgetally.tally.engines.kernel import structures as k

_CHUNK = 16  # bytes of a time that are looked at at once


class UnfitError(Exception):
    """The format has something that the kernel has no instruction for."""


class ClockText(NamedTuple):
    """How a time is written that the kernel asks about. fraction: what stands for none in its place."""

    kind: str
    written: clocks.Written


class Program(NamedTuple):
    """A format's program. target: the role of the host that is in a request or a URL; 0 where none is."""

    ops: tuple[k.Op, ...]
    clocks: tuple[ClockText, ...]
    options: int
    hosts: int
    target: int


def time_op(kind: str, number: int) -> tuple[k.Op, ClockText]:
    """The instruction for a kind of time, by a clock of some number."""
    written = clocks.written(kind) if clocks.is_time(kind) else None
    if written is None or not _CHUNK <= written.head <= 2 * _CHUNK or (written.tail or 0) > 8:
        raise UnfitError
    op = k.Op(kind=k.TIME, most=written.head, seconds=written.seconds, clock=number)
    op.fraction[:] = written.fraction
    op.open, op.tail = ord(written.point or "\0"), k.ZONE if written.tail is None else written.tail
    mask = [255] * written.head
    mask[written.seconds : written.seconds + 2] = [0, 0]
    op.minute_mask[:] = mask[:_CHUNK] + mask[-_CHUNK:]
    return op, ClockText(kind, written)
