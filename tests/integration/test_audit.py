"""`edgetally audit`: whatever is changed behind the ledger's back is found and named."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgetally.cli.audit import show
from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.audit import audit
from edgetally.ledger.incoming import Incoming
from edgetally.ledger.ledger import Ledger
from edgetally.wire.batch import Batch
from edgetally.wire.envelope import derive_key, seal
from tests.integration.conftest import MASTER, aggregator_file, run
from tests.support import servers

START = 1_790_000_100 // 300 * 300
SQL = Callable[[str], str]


def incoming(batch: Batch) -> Incoming:
    (body,) = batch.encode()
    return Incoming(seal(batch.stream, derive_key(MASTER, "edge1"), body), batch.stream, body, batch)


def batch(seq: int, revision: int = 0, log: str = "a") -> Batch:
    """Half a day after the batch before, with rows of its own and an older slot, as spreading makes them."""
    chance = random.Random(f"{seq} {revision} {log}")
    slot = START + 43200 * seq
    rows = tuple((slot - 3000 * n, n % 2, 10, chance.randrange(1000), 5, 0) for n in range(3))
    low = None if seq == 1 else float(slot)
    covers = (low, slot + 300.0)
    return Batch(f"edge1/{log}", f"{1:016x}", seq, covers, ("news", "größe"), rows, revision=revision)


@pytest.fixture
def config(database: DatabaseConfig, mariadb: servers.MariaDB) -> AggregatorConfig:
    """A ledger of two streams, several days and a correction, all as it should be."""
    ledger = Ledger(database, "test")
    assert ledger.acquire()
    ledger.commit([incoming(batch(seq, log=log)) for seq in range(1, 8) for log in ("a", "b")])
    assert ledger.commit([incoming(batch(3, revision=1))]) == ["committed"]
    ledger.disconnect()
    return AggregatorConfig(("127.0.0.1:1",), (MASTER,), database)


def found(config: AggregatorConfig, capsys: pytest.CaptureFixture[str], *times: str) -> dict[str, Any]:
    start, end = times or (None, None)
    status = show(audit(config, start, end), "json")
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert status == (1 if figures["differences"] else 0)
    return figures


def test_what_agrees_is_said_to_agree(config: AggregatorConfig, capsys: pytest.CaptureFixture[str]) -> None:
    figures = found(config, capsys)
    assert figures == {"batches": 14, "cells": 42, "differences": []}
    assert show(audit(config, None, None), "table") == 0
    assert "all agrees" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (
            "UPDATE traffic SET bytes = bytes + 1 ORDER BY slot LIMIT 1",
            "stream edge1/",
            "counted",
        ),
        ("DELETE FROM traffic ORDER BY slot DESC LIMIT 1", "stream edge1/", "requests 0 counted, 10 in the bodies"),
        (
            "UPDATE channel_traffic SET requests = requests - 1 ORDER BY slot LIMIT 1",
            "all streams, slot",
            "requests 19",
        ),
        (
            "INSERT INTO channel_traffic SELECT channel_id, slot + 864000, 1, 2, 3, 4, 5, 6 FROM traffic LIMIT 1",
            "all streams, slot",
            "requests 1 counted, 0 in the bodies",
        ),
        ("DELETE FROM batch_body WHERE seq = 2 AND stream_id = 1", "batch edge1/", "it has no body"),
        (
            "UPDATE batch_body b JOIN batch_body o ON o.seq = 3 AND o.revision = 0 SET b.body = o.body WHERE b.seq = 2",
            "batch edge1/",
            "another hash",
        ),
        ("UPDATE batch_body SET body = SUBSTR(body, 9) WHERE seq = 2", "batch edge1/", "cannot be read"),
        (
            "UPDATE batch SET sha256 = UNHEX(SHA2('x', 256)) WHERE seq = 4 AND stream_id = 1",
            "batch edge1/",
            "another hash",
        ),
        ("UPDATE batch SET `lines` = `lines` + 1 WHERE seq = 5 AND stream_id = 1", "batch edge1/", "31 lines"),
        ("DELETE FROM batch WHERE seq = 6 AND stream_id = 1", "stream edge1/", "0 in the bodies"),
        ("UPDATE batch SET state = 'committed' WHERE seq = 3", "stream edge1/a", "in the bodies"),
    ],
)
def test_a_change_is_found(
    config: AggregatorConfig,
    mariadb: servers.MariaDB,
    capsys: pytest.CaptureFixture[str],
    change: str,
    where: str,
    what: str,
) -> None:
    mariadb.sql(change, "edgetally")
    differences = found(config, capsys)["differences"]
    assert any(one["where"].startswith(where) and what in one["what"] for one in differences), differences


def test_only_the_time_that_is_asked_for(
    config: AggregatorConfig, mariadb: servers.MariaDB, capsys: pytest.CaptureFixture[str]
) -> None:
    slot = START + 43200 * 4
    mariadb.sql(f"UPDATE traffic SET bytes = bytes + 1 WHERE slot = {slot} AND stream_id = 1", "edgetally")
    assert len(found(config, capsys, str(slot), str(slot + 300))["differences"]) == 1
    assert found(config, capsys, str(slot + 300), str(slot + 300 + 86400))["differences"] == []
    assert found(config, capsys, str(slot - 86400), str(slot))["differences"] == []
    with pytest.raises(EdgetallyError, match="exchange them"):
        audit(config, "2026-11-02", "2026-11-01")


def test_on_the_command_line(config: AggregatorConfig, mariadb: servers.MariaDB, tmp_path: Path) -> None:
    file = aggregator_file(tmp_path, config.database, "127.0.0.1:1")
    done = run("audit", "--config", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    mariadb.sql("UPDATE traffic SET hits = 0", "edgetally")
    done = run("audit", "--config", str(file))
    assert (done.returncode, done.stderr) == (1, "")
    assert "hits 0 counted, 5 in the bodies" in done.stdout
    assert "42 differences" in done.stdout
