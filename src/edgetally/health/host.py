"""The status of a host: of its edge, of its aggregator, or of both."""

from __future__ import annotations

import json
import os
from pathlib import Path

from edgetally.config import AGGREGATOR_CONFIG, EDGE_CONFIG, load_edge
from edgetally.errors import EdgetallyError
from edgetally.health.status import Status


def host_status(path: str | None, lost: bool = False) -> list[Status]:
    """The status of each part of the host, or of the one of a configuration file.

    lost: a database that cannot be asked is a status, too, and no error.
    """
    paths = [path] if path else [name for name in (EDGE_CONFIG, AGGREGATOR_CONFIG) if os.path.exists(name)]
    if not paths:
        raise EdgetallyError(
            f"neither {EDGE_CONFIG} nor {AGGREGATOR_CONFIG} is here: run this on an edge or the aggregator, or name a "
            "file with --config"
        )
    return [_status_of(name, lost) for name in paths]


def _status_of(path: str, lost: bool) -> Status:
    try:
        is_edge = "edge" in json.loads(Path(path).read_bytes())
    except (OSError, ValueError, TypeError):
        is_edge = True  # loading it says what is wrong
    if is_edge:
        from edgetally.health.edge import edge_status

        return edge_status(load_edge(path))
    from edgetally.health.aggregator import aggregator_status, lost_status
    from edgetally.ledger.database import DatabaseError

    try:
        return aggregator_status(path)
    except DatabaseError as error:
        if not lost:
            raise
        return lost_status(path, error)
