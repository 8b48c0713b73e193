"""`edgetally tally`: count logs without any server."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgetally.cli import summary
from edgetally.cli.options import add_format, add_output, given_format
from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.limits import LONGEST_SPREAD
from edgetally.tally.channels import ChannelMap
from edgetally.tally.count import tally
from edgetally.tally.inputs import Progress, name_of, replayed, told_of, unpacked
from edgetally.tally.result import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

OUTPUTS = {"table": summary.write_table, "json": summary.write_json, "csv": summary.write_csv}
DEFAULT_FORMAT = "combined"

_HEAD = 256 << 10  # bytes of a stream that a guess looks at
_LONG_INPUT = 100 << 20  # bytes, which take about a second


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="logs, plain or packed; - or none is standard input")
    add_format(
        parser,
        "a known format: see `edgetally formats`; without, a guess",
        "whose format it is, where it does not show that",
    )
    parser.add_argument("--channels", metavar="FILE", help="the channel rules; without, a channel is the line's host")
    add_output(parser, *OUTPUTS)
    parser.add_argument("--spread", action="store_true", help="spread a transfer's bytes over the time that it lasted")
    parser.add_argument(
        "--max-spread", type=int, default=LONGEST_SPREAD, metavar="SECONDS", help=f"at most; without, {LONGEST_SPREAD}"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="count with so many threads, 0 for one a core")
    parser.add_argument(
        "--engine",
        choices=("auto", "kernel", "reference"),
        default="auto",
        help="the result is the same; auto looks at the size",
    )


def run(options: argparse.Namespace) -> int:
    """Count the files (`-` or none: standard input), print the result, and return the exit status.

    0: every line was counted; 1: some were rejected or are lost, the result is printed all the same. Raises
    EdgetallyError (exit status 2) for wrong use and for what cannot be read.
    """
    given = given_format(options)
    if options.spread and not 1 <= options.max_spread <= LONGEST_SPREAD:
        raise EdgetallyError(f"--max-spread {options.max_spread} is not from 1 to {LONGEST_SPREAD} seconds: correct it")
    if options.jobs < 0:
        raise EdgetallyError(f"--jobs {options.jobs} is less than none: give the number of cores to use, or 0 for all")
    sources = [_source(name) for name in options.files or ["-"]]
    log = parse_format(given, options.server, options.hit) if given else _guessed(sources, options.hit)
    rules = ChannelMap.load(options.channels) if options.channels else None
    spread = options.max_spread if options.spread else 0
    with _progress(options.files) as progress:
        result = tally(
            sources,
            log,
            rules,
            engine=options.engine,
            jobs=options.jobs or _cores(),
            max_spread=spread,
            progress=progress,
        )
    OUTPUTS[options.output](result, sys.stdout)
    if options.output != "json":
        _explain(result, log)
    for cut in result.cut:
        print(f"edgetally: {cut}", file=sys.stderr)
    return 1 if result.rejected or result.cut else 0


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


def _guessed(sources: list[str | BinaryIO], hit: str) -> LogFormat:
    """The format of logs, guessed from their first lines, which is said; the default's where none has a line."""
    from edgetally.tally.guess import guess

    found: dict[str, LogFormat] = {}
    for number, source in enumerate(sources):
        name, head = name_of(source), _head(sources, number)
        if not head:
            continue
        said = guess(head)
        if not said.fits:
            known = ", ".join(FORMATS)
            raise EdgetallyError(f"{name}: no known format fits it: paste the server's with --log-format ({known})")
        print(f"edgetally: {name} is {said}", file=sys.stderr)
        found.setdefault(said.format.name, said.format)
    if len(found) > 1:
        raise EdgetallyError(f"these are logs of several formats, {', '.join(found)}: count them apart")
    return next(iter(found.values()), FORMATS[DEFAULT_FORMAT]).with_hit(hit)


def _head(sources: list[str | BinaryIO], number: int) -> list[bytes]:
    """The first lines of a log. Of a stream they are put back: they are read once more when they are counted."""
    from edgetally.tally.guess import head_of

    source = sources[number]
    if isinstance(source, str):
        with told_of(source), open(source, "rb") as file:
            return head_of(unpacked(file))
    sources[number], data = replayed(source, _HEAD)
    return head_of(io.BytesIO(data))


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


def _cores() -> int:
    """All that this process may use. Threads are loaded where they are asked for."""
    from edgetally.tally.jobs import cores

    return cores()
