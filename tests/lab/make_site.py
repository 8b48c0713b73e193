#!/usr/bin/python3
"""Make an origin's static files: usage: make_site.py FOLDER SMALLEST LARGEST COUNT.

FOLDER/files/000 … hold seeded bytes, of sizes between SMALLEST and LARGEST bytes, spread evenly over the orders of
magnitude. The same arguments always make the same files.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path


def main() -> None:
    """Write the files."""
    folder, (smallest, largest, count) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    seeded = random.Random(folder.name)
    (folder / "files").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        size = round(math.exp(seeded.uniform(math.log(smallest), math.log(largest))))
        (folder / "files" / f"{number:03}").write_bytes(seeded.randbytes(size))


if __name__ == "__main__":
    main()
