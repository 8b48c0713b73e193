"""The logs: written once, kept in the cache beside the true sums of their lines."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from tests.bench.cases import SPAN, Case
from tests.bench.columns import Columns, Source
from tests.bench.damage import damaged
from tests.bench.layouts import LAYOUTS
from tests.bench.paths import Paths, write_rules

SEED = 20260528
SLOT_SECONDS = 300
CACHE_BYTES = 2_800_000_000
_CHUNK = 20_000
_GENERATOR = ("cases.py", "columns.py", "layouts.py", "damage.py", "logs.py", "paths.py")
_NO_HITS = ("caddy",)  # layouts that do not tell hits: their true sums have none

Cells = dict[tuple[int, str], list[int]]


@dataclass(frozen=True)
class Log:
    """A log in the cache. size: bytes; truth: where its sums are."""

    case: Case
    path: Path
    lines: int
    size: int

    @property
    def rules(self) -> Path:
        """The channel rules of a case that has some by path: JSON, and as text beside it."""
        return self.path.with_suffix(".rules")

    @property
    def truth(self) -> Truth:
        """The sums of its well-formed lines."""
        return Truth.load(_truth_path(self.path))


@dataclass(frozen=True)
class Truth:
    """What strict readers find. cells: (slot, host or channel) -> [requests, bytes, hits, hit bytes]; slot: seconds."""

    lines: int
    rejected: int
    cells: Cells

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what `save` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(data["lines"], data["rejected"], {(slot, host): sums for slot, host, *sums in data["cells"]})

    def save(self, path: Path) -> None:
        """Write as JSON: {"lines", "rejected", "cells": [[slot, host, requests, bytes, hits, hit bytes], …]}."""
        cells = [[slot, host, *sums] for (slot, host), sums in sorted(self.cells.items())]
        path.write_text(json.dumps({"lines": self.lines, "rejected": self.rejected, "cells": cells}), encoding="utf-8")


def make(case: Case, lines: int, folder: Path, span: int = SPAN, keep: Collection[Path] = ()) -> Log:
    """The log of a case from the cache, made where it is not there.

    span: seconds that its lines stretch over. keep: logs that must stay in the cache; others may have to give way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.name}-{lines}-{_fingerprint(case, lines, span)}.log"
    if not _truth_path(path).exists():
        _make_room(folder, path, lines * (500 if case.mixed else 300), keep)
        print(f"bench: making {path.name}", file=sys.stderr, flush=True)
        temporary = path.with_suffix(".tmp")
        with open(temporary, "w", encoding="latin-1", newline="\n") as file:
            truth = write(case, lines, file, span)
        temporary.replace(path)
        if case.paths:
            write_rules(case.paths, path.with_suffix(".rules"))
        truth.save(_truth_path(path))
    os.utime(path)
    return Log(case, path, lines, path.stat().st_size)


def write(case: Case, lines: int, file: IO[str], span: int = SPAN, seed: int = SEED) -> Truth:
    """Write a log of a case; return its true sums."""
    cells: Cells = {}
    rejected = 0
    channel_of = Paths(case.paths).channel if case.paths else None
    for text, columns, bad in _chunks(case, lines, span, seed):
        file.write("\n".join(text) + "\n")
        rejected += len(bad)
        names = list(map(channel_of, columns.requests)) if channel_of else columns.hosts
        hits = [False] * len(names) if case.layout in _NO_HITS else columns.hits
        for place, (moment, host, size, hit) in enumerate(zip(columns.times, names, columns.sizes, hits)):
            if place in bad:
                continue
            slot = moment // 1000 // SLOT_SECONDS * SLOT_SECONDS
            cell = cells.setdefault((slot, host), [0, 0, 0, 0])
            cell[0] += 1
            cell[1] += size
            if hit:
                cell[2] += 1
                cell[3] += size
    return Truth(lines, rejected, cells)


def _chunks(case: Case, lines: int, span: int, seed: int) -> Iterator[tuple[list[str], Columns, set[int]]]:
    """Lines, what they say, and which of them (counted from the chunk's first) were damaged."""
    source = Source(case, lines, span, seed)
    for first in range(0, lines, _CHUNK):
        columns = source.draw(first, min(_CHUNK, lines - first))
        text = LAYOUTS[case.layout](columns)
        bad = source.places(case.malformed, len(text))
        whole = [text[place - 1] for place in bad]
        for place, other in zip(bad, whole):
            text[place] = damaged(source.random, text[place], other)
        yield text, columns, set(bad)


def _fingerprint(case: Case, lines: int, span: int) -> str:
    """What a log is made from, in 12 hex digits: the generator's source and its parameters."""
    digest = hashlib.sha256(json.dumps([asdict(case), lines, span, SEED]).encode())
    for name in _GENERATOR:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:12]


def _truth_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _make_room(folder: Path, path: Path, wanted: int, keep: Collection[Path]) -> None:
    """Remove what an earlier generator made of the same case, and other logs until so many bytes more fit.

    Those not used for a day go first. Of the others the last one used goes: a run takes the cases in turn, so its log
    is the one that is needed again last.
    """
    for old in folder.glob(f"{path.name.rpartition('-')[0]}-*"):
        old.unlink()
    yesterday = time.time() - 86400
    logs = [(log, log.stat()) for log in folder.glob("*.log") if log not in keep]
    used = sum(log.stat().st_size for log in folder.glob("*.log"))
    logs.sort(key=lambda item: item[1].st_mtime if item[1].st_mtime < yesterday else 2 * yesterday - item[1].st_mtime)
    for log, state in logs:
        if used + wanted <= CACHE_BYTES:
            break
        used -= state.st_size
        log.unlink()
        for beside in (_truth_path(log), log.with_suffix(".rules"), log.with_suffix(".txt")):
            beside.unlink(missing_ok=True)
