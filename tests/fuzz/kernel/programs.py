"""Writes the programs of all formats, and lines of each: python -m tests.fuzz.kernel.programs FOLDER"""

from __future__ import annotations

import random
import struct
import sys
from ctypes import sizeof
from pathlib import Path

from edgetally.tally.engines.kernel import structures
from edgetally.tally.engines.kernel.program import program_of
from tests.fuzz import logs


def main(folder: Path) -> None:
    """Write `programs`, and in `seeds/` some inputs of each format to begin with."""
    chance, seeds = random.Random(1), folder / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    data = struct.pack("<Q", sizeof(structures.Op))
    known = {name: fmt for name, fmt in logs.formats().items() if name not in logs.OF_THE_REFERENCE}
    for number, (name, fmt) in enumerate(sorted(known.items())):
        program = program_of(fmt, paths=True, durations=True)
        if program is None:
            raise SystemExit(f"the kernel does not read {name}")
        options = program.options | structures.ADDS * fmt.adds_duration | structures.HITS * fmt.hit_known
        data += struct.pack("<4Q", len(program.ops), options, program.hosts, program.target)
        data += b"".join(map(bytes, program.ops))
        for small in range(8):
            (seeds / f"{name}-{small}").write_bytes(bytes([number, small]) + logs.log(fmt, chance)[:4000])
    (folder / "programs").write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
