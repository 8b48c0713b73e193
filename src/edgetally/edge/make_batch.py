"""Making a batch: the tally of one rotated log, as the body that travels. The run makes them, and replay once more."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edgetally.config import EdgeConfig
from edgetally.edge.renamed import ARCHIVED, Renamed
from edgetally.edge.streams import Stream
from edgetally.files import open_plain
from edgetally.wire.batch import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from edgetally.edge.count_log import Counted, LogCounter


_NOTHING: Counted = {
    "counted": 0,
    "rejected": 0,
    "skewed": 0,
    "channels": [],
    "rows": [],
    "hosts": [],
    "reason": "",
}
_LOG = {"absent": "absent", "full": "disk_full"}  # a renamed log's mark: what its batch says of the log


class BatchMaker:
    """Makes batches of rotated logs. The same file, covers and channel map give the same batch, whenever it is made.

    All that the tally depends on besides the configuration is in the file: its name has the covers, its time says when
    it was last written to, and the archive keeps both. warn takes a sentence on what is wrong.
    """

    def __init__(self, config: EdgeConfig, warn: Callable[[str], None]) -> None:
        self.config = config
        self.warn = warn
        self._counter: LogCounter | None = None

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
            region=self.config.region,
            rejected=counted["rejected"],
            skewed=counted["skewed"],
            unassigned_hosts=tuple((host, requests, size) for host, requests, size in counted["hosts"]),
        )

    def _counted(self, stream: Stream, item: Renamed, path: Path, file: BinaryIO) -> Counted:
        """The sums of a log. One without a byte, as most are at night, needs none of what tallies."""
        if path.suffix != ARCHIVED and not os.fstat(file.fileno()).st_size:
            return _NOTHING
        if self._counter is None:
            from edgetally.edge.count_log import LogCounter

            self._counter = LogCounter(self.config)
        return self._counter.count(stream, item, path, file)
