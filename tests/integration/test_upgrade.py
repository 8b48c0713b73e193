"""Data that was written under each earlier schema is migrated, billed and audited: every figure stays the same.

schemas/ has the data by the schema that brought its tables: one of schema 3 has what is in the first three files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger import migrate
from edgetally.ledger.database import migrations
from tests.integration.conftest import MASTER, aggregator_file, run
from tests.support import servers

DATA = Path(__file__).parent / "schemas"
VERSIONS = range(1, len(migrations()) + 1)
OCTOBER = {"news": (12, 12300), "unassigned": (2, 60), "video": (6, 6000), "film": (2, 222)}
SEPTEMBER = {"news": (15, 1700), "video": (4, 400000)}


def of_schema(version: int, mariadb: servers.MariaDB) -> None:
    """A database as the program of that schema left it."""
    mariadb.sql("DROP DATABASE IF EXISTS edgetally; CREATE DATABASE edgetally COLLATE utf8mb4_bin")
    mariadb.sql("CREATE TABLE schema_version (version INT UNSIGNED PRIMARY KEY, applied_at DATETIME(6))", "edgetally")
    for name, text in migrations()[:version]:
        for statement in migrate.statements(text):
            mariadb.sql(f"DELIMITER $$\n{statement.rstrip(';')}\n$$", "edgetally")
        mariadb.sql(f"INSERT INTO schema_version VALUES ({int(name[:4])}, UTC_TIMESTAMP())", "edgetally")
    for number in range(1, version + 1):
        mariadb.sql((DATA / f"{number:04}.sql").read_text(), "edgetally")


def billed(file: Path, month: str) -> dict[str, Any]:
    done = run("report", "--month", month, "--output", "json", "--config", str(file))
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def figures(bill: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {line["channel"]: (line["requests"], line["bytes"]) for line in bill["channels"]}


def test_every_schema_has_its_data() -> None:
    """A new migration brings a file of what only it can hold, or of nothing."""
    assert [path.name for path in sorted(DATA.iterdir())] == [f"{version:04}.sql" for version in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_figures_stay(tmp_path: Path, mariadb: servers.MariaDB, admin: DatabaseConfig, version: int) -> None:
    of_schema(version, mariadb)
    database = admin._replace(user="edgetally", password="secret", name="edgetally")
    done = migrate.migrate(AggregatorConfig(("127.0.0.1:1",), (MASTER,), database), admin, "localhost", None)
    assert [line for line in done if "applied" in line] == [f"applied {name}" for name, _text in migrations()[version:]]
    file = aggregator_file(tmp_path, database, "127.0.0.1:1")
    if version == 1:  # what schema 2 has in its tables
        assert run("channel", "alias", "film", "video", "--config", str(file)).returncode == 0
    october = billed(file, "2026-10")
    expected = {**OCTOBER, "video": (OCTOBER["video"][0] + 2, OCTOBER["video"][1] + 222)}
    del expected["film"]
    assert figures(october) == expected
    assert figures(billed(file, "2026-09")) == SEPTEMBER
    gaps = {(gap["stream"], gap["reason"], gap["first_seq"]) for gap in october["completeness"]["gaps"]}
    assert ("edge2/access", "missing", 2) in gaps
    assert (("edge2/access", "missing", None) in gaps) == (version < 4), "an edge that is gone for good"
    assert (("edge1/access", "refused", 9) in gaps) == (version >= 5)
    assert (("edge1/access", "broken", 5) in gaps) == (version >= 7)
    assert run("audit", "--config", str(file)).returncode == 0
    if version >= 6:
        assert mariadb.sql("SELECT edge, LENGTH(boot) FROM machine", "edgetally").split() == ["edge1", "16"]
    if version >= 8:
        assert mariadb.sql("SELECT wire, server FROM edge_hour", "edgetally").split() == ["9000", "8000"]
        assert mariadb.sql("SELECT region FROM edge_region", "edgetally").split() == ["eu"]


def test_a_closed_month_stays_as_it_was(tmp_path: Path, mariadb: servers.MariaDB, admin: DatabaseConfig) -> None:
    """Its text is the same bytes under each schema since the second, whatever came later."""
    seen = set()
    for version in VERSIONS[1:]:
        of_schema(version, mariadb)
        database = admin._replace(user="edgetally", password="secret", name="edgetally")
        migrate.migrate(AggregatorConfig(("127.0.0.1:1",), (MASTER,), database), admin, "localhost", None)
        file = aggregator_file(tmp_path, database, "127.0.0.1:1")
        seen.add(run("report", "--month", "2026-09", "--output", "json", "--config", str(file)).stdout)
    (text,) = seen
    assert figures(json.loads(text)) == SEPTEMBER
