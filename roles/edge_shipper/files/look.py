"""What preflight.yml asks an edge before anything is changed: the name it ships under, and new logs that are not there.

usage: look.py PATH…

The paths of edge_shipper_logs are files or globs; it prints {"edge": name or null, "missing": [path]}. A log that
edgetally has known before may be away for a moment, because its server is stopped: that is the health check's.
"""

from __future__ import annotations

import glob
import json
import sys
from pathlib import Path

CONFIG = Path("/etc/edgetally/edge.json")


def look(paths: list[str], config: Path = CONFIG) -> dict[str, object]:
    """What is found; a configuration that cannot be read says nothing."""
    try:
        known = json.loads(config.read_text(encoding="utf-8"))
        edge, there = known["edge"], {log["path"] for log in known["logs"]}
    except (OSError, ValueError, KeyError, TypeError):
        edge, there = None, set()
    return {"edge": edge, "missing": [path for path in paths if path not in there and not glob.glob(path)]}


if __name__ == "__main__":
    print(json.dumps(look(sys.argv[1:])))
