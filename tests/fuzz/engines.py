"""Feeds both engines with logs as bad as they get, and stops where they differ, with that log in fuzz.log.

usage: python -m tests.fuzz.engines [SEED [ROUNDS]]     from the repository's folder, after bin/build
"""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path
from typing import Any

from edgetally.formats.log_format import LogFormat
from edgetally.tally.channels import ChannelMap
from edgetally.tally.count import tally
from edgetally.tally.result import Tally
from edgetally.tally.running_tally import Window
from tests.fuzz import logs

RULES = [
    {"channel": "live", "host": "a.example.com", "path": "/live/"},
    {"channel": "a", "host": "a.example.com"},
    {"channel": "rest", "host": "*.example.com"},
]


def options(chance: random.Random, fmt: LogFormat) -> dict[str, Any]:
    """How a log is counted: with a window, a beginning, and channels, or without."""
    found: dict[str, Any] = {"channels": None}
    if chance.random() < 0.3:
        early, late = chance.randrange(2000), chance.randrange(2000)
        found["window"] = Window(logs.START + early, logs.START + early + late)
    if chance.random() < 0.3:
        found["since"] = logs.START + chance.randrange(900)
    if fmt.has_duration and chance.random() < 0.3:
        found["max_spread"] = chance.choice([1, 60, 21600])
    if chance.random() < 0.5:
        found["channels"] = ChannelMap(RULES if chance.random() < 0.5 else RULES[1:])
    return found


def compare(data: bytes, fmt: LogFormat, **how: Any) -> tuple[Tally, Tally]:
    """What the kernel and the reference make of a log."""
    one, two = (tally([io.BytesIO(data)], fmt, engine=engine, **how) for engine in ("kernel", "reference"))
    return one, two


def main(seed: int = 1, rounds: int = 1000) -> int:
    chance, known, lines = random.Random(seed), logs.formats(), 0
    for number in range(rounds):
        name = chance.choice(sorted(known))
        data, how = logs.log(known[name], chance), options(chance, known[name])
        one, two = compare(data, known[name], **how)
        if one != two:
            Path("fuzz.log").write_bytes(data)
            print(f"round {number}: {name} with {how} differs on the log that is now in fuzz.log")
            return 1
        lines += one.lines
    print(f"{rounds} logs with {lines} lines: no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
