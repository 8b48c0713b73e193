"""Making a batch: the tally of one rotated log, as the body that travels. The run makes them, and replay once more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from edgetally.config import EdgeConfig
from edgetally.edge.renamed import ARCHIVED, Renamed
from edgetally.edge.streams import Stream
from edgetally.edge.unprivileged import ask_as, user_named
from edgetally.errors import EdgetallyError
from edgetally.files import open_plain
from edgetally.formats.catalogue import parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.limits import UNASSIGNED_HOSTS
from edgetally.tally.channels import ChannelMap, hosts_by_bytes
from edgetally.tally.count import tally
from edgetally.tally.inputs import unpacked
from edgetally.tally.running_tally import Window
from edgetally.wire.batch import Batch


class Counted(TypedDict):
    """What a batch needs of a tally. rows: as those of a batch; reason: of the first line that was rejected."""

    counted: int
    rejected: int
    skewed: int
    channels: list[str]
    rows: list[Any]
    hosts: list[Any]
    reason: str


_LOG = {"absent": "absent", "full": "disk_full"}  # a renamed log's mark: what its batch says of the log


class BatchMaker:
    """Makes batches of rotated logs. The same file, covers and channel map give the same batch, whenever it is made.

    All that the tally depends on besides the configuration is in the file: its name has the covers, its time says when
    it was last written to, and the archive keeps both. warn takes a sentence on what is wrong.
    """

    def __init__(self, config: EdgeConfig, warn: Callable[[str], None]) -> None:
        self.config = config
        self.warn = warn
        self._user = user_named(config.user)
        self._channels: ChannelMap | None = None
        self._formats: dict[tuple[str, str], LogFormat] = {}

    def batch(self, stream: Stream, item: Renamed, path: Path, revision: int = 0) -> Batch:
        """The tally of one rotated log as a batch. path: where the log lies now, plain or in the archive."""
        with open_plain(path) as file:
            counted = self._counted(stream, item, path, file)
        lines = counted["counted"] + counted["rejected"]
        if lines and not counted["counted"]:
            self.warn(
                f"none of the {lines} lines of {path} fits the format of log '{stream.log}' ({counted['reason']}): "
                f"correct its format in {self.config.path}; the raw log is kept"
            )
        return Batch(
            stream=stream.name,
            generation=item.generation,
            seq=item.seq,
            revision=revision,
            covers=(None if item.seq == 1 else item.start, item.end),
            channels=tuple(counted["channels"]),
            rows=tuple(map(tuple, counted["rows"])),
            continuity="broken" if item.mark in ("odd", "broken", "blind") else "ok",
            log=_LOG.get(item.mark, "ok"),
            missing=item.missing,
            rejected=counted["rejected"],
            skewed=counted["skewed"],
            unassigned_hosts=tuple((host, requests, size) for host, requests, size in counted["hosts"]),
        )

    def _counted(self, stream: Stream, item: Renamed, path: Path, file: BinaryIO) -> Counted:
        """The sums of a log, found by a child without rights: what is in it is its clients' choice."""
        fmt, channels, packed = self._format(stream), self._channel_map(), path.suffix == ARCHIVED

        def work() -> bytes:
            try:
                return json.dumps(_count(file, packed, fmt, channels, stream, item, self.config.engine)).encode()
            except EdgetallyError as error:
                return json.dumps({"error": str(error)}).encode()

        said = json.loads(ask_as(self._user, work) or b"{}")
        if "counted" not in said:
            why = said.get("error", "it was killed, perhaps for want of memory")
            raise EdgetallyError(f"{path} could not be tallied ({why}): look at it; the next run tries again")
        counted: Counted = said
        return counted

    def _format(self, stream: Stream) -> LogFormat:
        key = stream.config.format, stream.config.server
        if key not in self._formats:
            self._formats[key] = parse_format(*key)
        return self._formats[key]

    def _channel_map(self) -> ChannelMap:
        if self._channels is None:
            self._channels = ChannelMap.load(Path(self.config.channels))
        return self._channels


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
