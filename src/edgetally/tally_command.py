"""`edgetally tally`: count logs without any server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from edgetally import summary
from edgetally.channels import ChannelMap
from edgetally.config import LONGEST_SPREAD
from edgetally.errors import EdgetallyError
from edgetally.formats import FORMATS, LogFormat, is_pasted, parse_format
from edgetally.tally import Progress, Tally, tally, unpacked

OUTPUTS = {"table": summary.write_table, "json": summary.write_json, "csv": summary.write_csv}
DEFAULT_FORMAT = "combined"

_LONG_INPUT = 100 << 20  # bytes, which take about a second


def run(
    files: list[str],
    *,
    format: str | None,
    log_format: str | None,
    server: str = "",
    channels: str | None,
    output: str,
    engine: str = "auto",
    jobs: int = 1,
    max_spread: int | None = None,
) -> int:
    """Count the files (`-` or none: standard input), print the result, and return the exit code.

    format: a known name, `combined` where neither is given; log_format: what the server's configuration says; server:
    whose configuration that is, where it does not show; channels: the file with the rules; engine, jobs, max_spread: as
    in tally. 0: every line was counted; 1: some were rejected, the result is printed all the same. Raises
    EdgetallyError (exit code 2) for wrong use and for what cannot be read.
    """
    if format and log_format:
        raise EdgetallyError("--format and --log-format are both given: leave one of them out")
    if format and is_pasted(format):
        raise EdgetallyError("--format takes a name: give the pasted format with --log-format")
    if max_spread is not None and not 1 <= max_spread <= LONGEST_SPREAD:
        raise EdgetallyError(f"--max-spread {max_spread} is not from 1 to {LONGEST_SPREAD} seconds: correct it")
    if jobs < 1:
        raise EdgetallyError(f"--jobs {jobs} is less than one process: give the number of cores to use")
    log = parse_format(log_format or format or DEFAULT_FORMAT, server)
    rules = ChannelMap.load(channels) if channels else None
    with _progress(files) as progress:
        sources = [_source(name) for name in files or ["-"]]
        result = tally(sources, log, rules, engine=engine, jobs=jobs, max_spread=max_spread or 0, progress=progress)
    OUTPUTS[output](result, sys.stdout)
    if output != "json":
        _explain(result, log)
    return 1 if result.rejected else 0


@contextmanager
def _progress(files: list[str]) -> Iterator[Progress | None]:
    """A bar on a terminal, where there is something to wait for."""
    size = sum(os.path.getsize(name) for name in files if os.path.isfile(name))
    if size < _LONG_INPUT or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=size, unit="B", unit_scale=True, unit_divisor=1024, leave=False, file=sys.stderr) as bar:
        yield bar.update


def _source(name: str) -> str | BinaryIO:
    return unpacked(sys.stdin.buffer) if name == "-" else name


def _explain(result: Tally, log: LogFormat) -> None:
    """Say on standard error what was not counted, and why."""
    for reject in result.rejects:
        print(f"{reject.file}:{reject.line}: {reject.reason}: {reject.text}", file=sys.stderr)
    if result.rejected > len(result.rejects):
        print(f"… and {result.rejected - len(result.rejects)} more rejected lines", file=sys.stderr)
    if result.clipped:
        print(f"{result.clipped} transfers lasted too long to be spread over all of their slots", file=sys.stderr)
    if result.rejected and not result.counted:
        known = ", ".join(FORMATS)
        print(
            f"edgetally: not one line fits the format {log.name}: name the right one with --format ({known}) or "
            "paste the server's with --log-format",
            file=sys.stderr,
        )
