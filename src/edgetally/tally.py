"""The tally: one pass over access logs, into five-minute slots by channel.

Lines are read in blocks and matched all at once; equal keys (time, host, cache status) are added up before anything is
looked up for them. A line that the format's pattern leaves over is rejected, and named with its reason.
"""

from __future__ import annotations

import io
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, Union, cast

from edgetally import SLOT_SECONDS
from edgetally.channels import UNASSIGNED, ChannelMap, HostRules, hosts_by_bytes
from edgetally.errors import EdgetallyError
from edgetally.formats import Key, LogFormat

EARLY_SECONDS = 600
LATE_SECONDS = 60
REJECTS = 20
NO_HOST = "-"
ALL = "all"

_BLOCK = 512 << 10
_MAX_LINE = 2 << 20  # at least a block: only a line that began in an earlier block can be too long
_REJECT_TEXT = 200
_CACHED_REQUESTS = 50_000
_UNASSIGNED_KEPT = 1_000
# Of W3C logs, by their names: any other # can be the beginning of a client's text, and is rejected.
_DIRECTIVE = re.compile(rb"#(?:Version|Fields|Software|Date|Start-Date|End-Date|Remark):")

Source = Union[str, "os.PathLike[str]", BinaryIO]


class Window(NamedTuple):
    """What a rotation covers, in epoch seconds. A line that ends far outside is counted in the nearest slot of it."""

    covers_from: float | None
    covers_to: float


class Reject(NamedTuple):
    """A line that was not counted. line counts from 1; text is its beginning, fit to be printed."""

    file: str
    line: int
    reason: str
    text: str


@dataclass
class Tally:
    """What a pass over logs found.

    cells: (slot, channel) -> [requests, bytes, hits, hit bytes]; slot in epoch seconds, UTC; the hits are None where
    the format does not tell. first, last: ends of the earliest and latest line counted, as logged (epoch seconds).
    skewed: of those counted, the ones outside the window. set_aside: lines from before `since`, counted nowhere else.
    unassigned_hosts: host -> [requests, bytes]; the biggest ones only, where there are very many.
    """

    counted: int = 0
    rejected: int = 0
    skewed: int = 0
    set_aside: int = 0
    bytes: int = 0
    first: float | None = None
    last: float | None = None
    cells: dict[tuple[int, str], list[int | None]] = field(default_factory=dict)
    unassigned_hosts: dict[str, list[int]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Lines read: those counted and those rejected. Blank lines and W3C directives are not lines."""
        return self.counted + self.rejected


def tally(
    files: Iterable[Source],
    fmt: LogFormat,
    channels: ChannelMap | None,
    *,
    log: str = "",
    window: Window | None = None,
    since: float | None = None,
) -> Tally:
    """Count logs of one format.

    files: paths (plain or gzip, by content) or open binary files. channels: None makes the line's host its channel, or
    `all` where the format has none. log: the log's name, for the channel rules. since: epoch seconds; lines that end
    in an earlier second are set aside. Raises EdgetallyError for a file that cannot be read.
    """
    book = _Book(fmt, channels, log, window, since)
    for source in files:
        name = _name_of(source)
        try:
            if isinstance(source, (str, os.PathLike)):
                with open(source, "rb") as stream:
                    book.read(name, unpacked(stream))
            else:
                book.read(name, source)
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or error
            raise EdgetallyError(f"{name} cannot be read ({why}): check its path, its mode and its content") from None
    return book.close()


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or what it unpacks to where it begins as gzip does."""
    peekable = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
    if peekable.peek(2)[:2] != b"\x1f\x8b":
        return peekable
    import gzip

    return cast("BinaryIO", gzip.GzipFile(fileobj=peekable))


def _name_of(source: Source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", NO_HOST)
    return name if isinstance(name, str) else NO_HOST


# --------------------------------------------------------------------------------------------------------------------
# Reading


class _Block(NamedTuple):
    """Some whole lines with their newlines, or the beginning of one line that is too long to be one."""

    data: bytes
    too_long: bool = False


def _blocks(stream: BinaryIO, size: int) -> Iterator[_Block]:
    """Cut a stream into blocks of whole lines, in bounded memory whatever the lines' length."""
    rest = b""  # the line that is not finished yet
    head = b""  # the beginning of a line too long, while its end is looked for
    for chunk in iter(lambda: stream.read(size), b""):
        if head:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            yield _Block(head, too_long=True)
            head, chunk = b"", chunk[end + 1 :]
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            rest += chunk
        elif len(rest) + chunk.find(b"\n") > _MAX_LINE:
            yield _Block(rest[:_REJECT_TEXT], too_long=True)
            yield _Block(chunk[chunk.find(b"\n") + 1 : cut])
            rest = chunk[cut:]
        else:
            yield _Block(rest + chunk[:cut])
            rest = chunk[cut:]
        if len(rest) > _MAX_LINE:
            head, rest = rest[:_REJECT_TEXT], b""
    if head:
        yield _Block(head, too_long=True)
    elif rest:
        yield _Block(rest + b"\n")


# --------------------------------------------------------------------------------------------------------------------
# Counting


class _Place(NamedTuple):
    """Where requests of one kind are booked: in one channel, or, where that is empty, where the path says."""

    channel: str
    hit: bool
    host: str
    rules: HostRules | None


def _total(sizes: list[bytes]) -> int:
    """The sum of sizes as logged; `-` is 0."""
    try:
        return sum(map(int, sizes))
    except ValueError:
        return sum(int(size) for size in sizes if size != b"-")


class _Book:
    """The sums while they grow."""

    def __init__(
        self,
        fmt: LogFormat,
        channels: ChannelMap | None,
        log: str,
        window: Window | None,
        since: float | None,
    ) -> None:
        self._format, self._channels, self._log = fmt, channels, log
        self._window, self._since = window, float("-inf") if since is None else since // 1
        self._paths = fmt.has_path and channels is not None and channels.needs_path(log)
        self._matcher = fmt.matcher(self._paths)
        self._cells: dict[tuple[int, str], list[int]] = {}
        self._places: dict[Key, _Place] = {}
        self._sums = Tally()

    def read(self, name: str, stream: BinaryIO) -> None:
        """Count one file."""
        line = 1
        for block in _blocks(stream, _BLOCK):
            if block.too_long:
                self._reject(name, line, f"it is longer than {_MAX_LINE >> 20} MiB", block.data)
                line += 1
            else:
                line += self._count(name, line, block.data)

    def _count(self, name: str, line: int, block: bytes) -> int:
        """Count a block of whole lines, the first of which has the number `line`; return how many lines it has."""
        pattern, key_of, size_of = self._matcher
        data = self._format.blanked(block)
        rows = pattern.findall(data)
        groups: dict[Key, list[bytes]] = defaultdict(list)
        for key, size in zip(map(key_of, rows), map(size_of, rows)):
            groups[key].append(size)
        timeless = self._book(groups)
        newlines = block.count(b"\n")
        if timeless or len(rows) != newlines:
            self._reject_rest(name, line, block, data, timeless)
        return newlines

    def _reject_rest(self, name: str, line: int, block: bytes, data: bytes, timeless: set[Key]) -> None:
        """Reject the lines of a block that do not fit the format, or that fit but whose time is no time.

        data: the block as the pattern reads it.
        """
        pattern, key_of, _ = self._matcher
        left = data if timeless else pattern.sub(b"", data)
        for number, (text, read) in enumerate(zip(block.split(b"\n"), left.split(b"\n")), line):
            if not read.strip():
                continue
            found = pattern.fullmatch(read)
            if found is None:
                if not _DIRECTIVE.match(text):
                    self._reject(name, number, "", text)
            elif key_of(found.groups(b"")) in timeless:
                self._reject(name, number, "its time is no time", text)

    def _reject(self, name: str, line: int, reason: str, text: bytes) -> None:
        """Count a rejected line, and keep the first few with their reason (found out here where it is empty)."""
        self._sums.rejected += 1
        if len(self._sums.rejects) < REJECTS:
            shown = text.rstrip(b"\r")[:_REJECT_TEXT].decode("utf-8", "backslashreplace")
            printable = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in shown)
            self._sums.rejects.append(Reject(name, line, reason or self._format.explain(text), printable))

    def _book(self, groups: dict[Key, list[bytes]]) -> set[Key]:
        """Book lines by their key, given their sizes; return the keys that cannot be booked: their time is no time."""
        sums, cells, since, time_of = self._sums, self._cells, self._since, self._format.time_of
        kind = slice(1, -1 if self._paths else None)
        timeless = set()
        for key, sizes in groups.items():
            time, requests = time_of(key[0]), len(sizes)
            if time is None:
                timeless.add(key)
                continue
            if time < since:
                sums.set_aside += requests
                continue
            size = _total(sizes)
            channel, hit, host, rules = self._places.get(key[kind]) or self._find_place(key[kind])
            if rules is not None:
                channel = rules.channel(key[-1].decode("utf-8", "backslashreplace"))
            cell = cells.setdefault((self._slot(time, requests), channel), [0, 0, 0, 0])
            cell[0] += requests
            cell[1] += size
            if hit:
                cell[2] += requests
                cell[3] += size
            if channel == UNASSIGNED and self._channels is not None:
                self._add_unassigned(host, requests, size)
            sums.counted += requests
            sums.bytes += size
            if sums.first is None or time < sums.first:
                sums.first = time
            if sums.last is None or time > sums.last:
                sums.last = time
        return timeless

    def _slot(self, time: float, requests: int) -> int:
        """The slot of a time; one far outside the window is counted as skewed and moved to the window's edge."""
        if self._window is not None:
            low, high = self._window
            if low is not None and time < low - EARLY_SECONDS:
                self._sums.skewed += requests
                time = low
            elif time > high + LATE_SECONDS:
                self._sums.skewed += requests
                time = high
        return int(time // SLOT_SECONDS * SLOT_SECONDS)

    def _find_place(self, kind: Key) -> _Place:
        """Look up where a kind of request not seen lately is booked. kind: its key without time and path."""
        host, hit = self._format.request_of(kind)
        rules = self._channels.rules_for(self._log, host) if self._channels is not None else None
        if rules is None:
            place = _Place((host or NO_HOST) if self._format.has_host else ALL, bool(hit), host, None)
        elif rules.constant is not None or not self._paths:
            place = _Place(rules.channel(""), bool(hit), host or NO_HOST, None)
        else:
            place = _Place("", bool(hit), host or NO_HOST, rules)
        if len(self._places) >= _CACHED_REQUESTS:
            self._places.clear()
        self._places[kind] = place
        return place

    def _add_unassigned(self, host: str, requests: int, size: int) -> None:
        hosts = self._sums.unassigned_hosts
        sums = hosts.setdefault(host, [0, 0])
        sums[0] += requests
        sums[1] += size
        if len(hosts) > 10 * _UNASSIGNED_KEPT:  # hosts are the clients' choice: bound what they can fill
            kept = hosts_by_bytes(hosts, _UNASSIGNED_KEPT)
            hosts.clear()
            hosts.update((name, [count, total]) for name, count, total in kept)

    def close(self) -> Tally:
        """The finished tally."""
        known = self._format.hit_known
        for place, (requests, size, hits, hit_bytes) in self._cells.items():
            self._sums.cells[place] = [requests, size, hits if known else None, hit_bytes if known else None]
        return self._sums
