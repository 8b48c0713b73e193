"""Making a batch: the tally of one rotated log, as the body that travels. The run makes them, and replay once more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgetally.config import EdgeConfig
from edgetally.edge.renamed import Renamed
from edgetally.edge.streams import Stream
from edgetally.limits import UNASSIGNED_HOSTS
from edgetally.wire.batch import Batch, Row

if TYPE_CHECKING:
    from edgetally.formats.log_format import LogFormat
    from edgetally.tally.channels import ChannelMap
    from edgetally.tally.result import Tally

_LOG = {"absent": "absent", "full": "disk_full"}  # a renamed log's mark: what its batch says of the log


class BatchMaker:
    """Makes batches of rotated logs. The same file, covers and channel map give the same batch, whenever it is made.

    All that the tally depends on besides the configuration is in the file: its name has the covers, its time says when
    it was last written to, and the archive keeps both. warn takes a sentence on what is wrong.
    """

    def __init__(self, config: EdgeConfig, warn: Callable[[str], None]) -> None:
        self.config = config
        self.warn = warn
        self._channels: ChannelMap | None = None
        self._formats: dict[tuple[str, str], LogFormat] = {}

    def batch(self, stream: Stream, item: Renamed, path: Path, revision: int = 0) -> Batch:
        """The tally of one rotated log as a batch. path: where the log lies now, plain or packed."""
        from edgetally.tally.channels import hosts_by_bytes

        tally = self._tally(stream, item, path)
        if tally.lines and not tally.counted:
            reason = tally.rejects[0].reason if tally.rejects else "unknown reason"
            self.warn(
                f"none of the {tally.lines} lines of {path} fits the format of log '{stream.log}' ({reason}): "
                f"correct its format in {self.config.path}; the raw log is kept"
            )
        channels = tuple(sorted({channel for _slot, channel in tally.cells}))
        index = {channel: number for number, channel in enumerate(channels)}
        hosts = hosts_by_bytes(tally.unassigned_hosts, UNASSIGNED_HOSTS)
        rows = sorted((slot, index[channel], *cell) for (slot, channel), cell in tally.cells.items())
        return Batch(
            stream=stream.name,
            generation=item.generation,
            seq=item.seq,
            revision=revision,
            covers=(None if item.seq == 1 else item.start, item.end),
            channels=channels,
            rows=tuple(cast("list[Row]", rows)),
            continuity="broken" if item.mark == "broken" else "ok",
            log=_LOG.get(item.mark, "ok"),
            rejected=tally.rejected,
            skewed=tally.skewed,
            unassigned_hosts=tuple((_cut(host), requests, size) for host, requests, size in hosts),
        )

    def _tally(self, stream: Stream, item: Renamed, path: Path) -> Tally:
        from edgetally.tally.count import tally
        from edgetally.tally.running_tally import Window

        first = item.seq == 1
        return tally(
            [path],
            self._format(stream),
            self._channel_map(),
            log=stream.log,
            window=Window(*item.covers(path.stat().st_mtime)),
            since=item.start if first else None,
            max_spread=stream.config.max_spread if stream.config.spread else 0,
        )

    def _format(self, stream: Stream) -> LogFormat:
        from edgetally.formats.catalogue import parse_format

        key = stream.config.format, stream.config.server
        if key not in self._formats:
            self._formats[key] = parse_format(*key)
        return self._formats[key]

    def _channel_map(self) -> ChannelMap:
        from edgetally.tally.channels import ChannelMap

        if self._channels is None:
            self._channels = ChannelMap.load(Path(self.config.channels))
        return self._channels


def _cut(host: str) -> str:
    """A host as a batch may carry it: at most 255 bytes of UTF-8."""
    return host.encode("utf-8", "replace")[:255].decode("utf-8", "ignore")
