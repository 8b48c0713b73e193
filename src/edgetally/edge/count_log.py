"""The sums of one rotated log, found by a child without rights: what is in a log is its clients' choice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from edgetally.config import EdgeConfig
from edgetally.edge.renamed import ARCHIVED, Renamed
from edgetally.edge.streams import Stream
from edgetally.edge.unprivileged import ask_as, user_named
from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.limits import UNASSIGNED_HOSTS
from edgetally.tally.channels import ChannelMap, hosts_by_bytes
from edgetally.tally.count import tally
from edgetally.tally.inputs import unpacked
from edgetally.tally.running_tally import Window


class Counted(TypedDict):
    """What a batch needs of a tally. rows: as those of a batch; reason: of the first line that was rejected."""

    counted: int
    rejected: int
    skewed: int
    channels: list[str]
    rows: list[Any]
    hosts: list[Any]
    reason: str


class LogCounter:
    """Counts logs. It reads the channel map and each format once."""

    def __init__(self, config: EdgeConfig) -> None:
        self._user = user_named(config.user)
        self._engine = config.engine
        self._channels = ChannelMap.load(Path(config.channels))
        self._formats: dict[tuple[str, str, str], LogFormat] = {}

    def count(self, stream: Stream, item: Renamed, path: Path, file: BinaryIO) -> Counted:
        """The sums of a log. Raises EdgetallyError where there are none."""
        fmt, packed = self._format(stream), path.suffix == ARCHIVED

        def work() -> bytes:
            try:
                return json.dumps(_count(file, packed, fmt, self._channels, stream, item, self._engine)).encode()
            except EdgetallyError as error:
                return json.dumps({"error": str(error)}).encode()

        said = json.loads(ask_as(self._user, work) or b"{}")
        if "counted" not in said:
            why = said.get("error", "it was killed, perhaps for want of memory")
            raise EdgetallyError(f"{path} could not be tallied ({why}): look at it; the next run tries again")
        counted: Counted = said
        return counted

    def _format(self, stream: Stream) -> LogFormat:
        key = stream.config.whole_format, stream.config.server, stream.config.hit
        if key not in self._formats:
            self._formats[key] = parse_format(*key)
        return self._formats[key]


def _count(
    file: BinaryIO, packed: bool, fmt: LogFormat, channels: ChannelMap, stream: Stream, item: Renamed, engine: str
) -> Counted:
    """Tally one log. A live log is never unpacked, whatever it begins with; the archive's are."""
    sums = tally(
        [unpacked(file) if packed else file],
        fmt,
        channels,
        log=stream.log,
        window=Window(*item.covers(os.fstat(file.fileno()).st_mtime)),
        since=item.start if item.seq == 1 else None,
        max_spread=stream.config.max_spread if stream.config.spread else 0,
        engine=engine,
    )
    if sums.cut:  # of the archive: what is lost there was counted before
        raise EdgetallyError(str(sums.cut[0]))
    names = sorted({channel for _slot, channel in sums.cells})
    index = {channel: number for number, channel in enumerate(names)}
    rows = sorted((slot, index[channel], *cell) for (slot, channel), cell in sums.cells.items())
    hosts = hosts_by_bytes(sums.unassigned_hosts, UNASSIGNED_HOSTS)
    return {
        "counted": sums.counted,
        "rejected": sums.rejected,
        "skewed": sums.skewed,
        "channels": names,
        "rows": [list(row) for row in rows],
        "hosts": [(_cut(host), requests, size) for host, requests, size in hosts],
        "reason": sums.rejects[0].reason if sums.rejects else "unknown reason",
    }


def _cut(host: str) -> str:
    """A host as a batch may carry it: at most 255 bytes of UTF-8."""
    return host.encode("utf-8", "replace")[:255].decode("utf-8", "ignore")
