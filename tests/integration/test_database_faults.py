"""Faults of the database are not the batches': all of them are waited for, and counted when somebody has mended it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetally.config import DatabaseConfig, load_aggregator
from edgetally.health.aggregator import aggregator_status
from edgetally.ledger.database import DatabaseError
from edgetally.ledger.quarantine import Choice, Quarantine
from edgetally.wire.batch import FUNCTION
from tests.integration.conftest import aggregator, aggregator_file, queue, wait_for
from tests.integration.test_aggregate import NOW, body_of, log, receipts, submit, total
from tests.support import servers

FAULTS = {
    "a table is missing": ("RENAME TABLE batch_body TO away", "RENAME TABLE away TO batch_body", "error 1146"),
    "a column is missing": (
        "ALTER TABLE batch CHANGE skewed skewed_2 BIGINT UNSIGNED NOT NULL",
        "ALTER TABLE batch CHANGE skewed_2 skewed BIGINT UNSIGNED NOT NULL",
        "error 1054",
    ),
    "INSERT is revoked": (
        "REVOKE INSERT ON edgetally.* FROM edgetally@localhost",
        "GRANT INSERT ON edgetally.* TO edgetally@localhost",
        "error 1142",
    ),
    "it is read-only": ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0", "error 1290"),
    "the account is locked": (
        "ALTER USER edgetally@localhost ACCOUNT LOCK",
        "ALTER USER edgetally@localhost ACCOUNT UNLOCK",
        "locked",
    ),
}


@pytest.fixture
def config(tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig) -> Path:
    return aggregator_file(tmp_path, database, gearmand.address, lease_seconds=4)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_database_refuses_waits(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB, fault: str
) -> None:
    """Nothing is put aside, one sentence says why, status is critical, and it goes on by itself."""
    wrong, right, words = FAULTS[fault]
    with aggregator(config) as process:
        submit(gearmand, body_of(1))
        wait_for("first batch", lambda: total(mariadb) == "1\t100")
        mariadb.sql(wrong, "edgetally")
        if words in ("locked", "error 1142"):
            mariadb.sql("KILL USER edgetally")
        try:
            submit(gearmand, body_of(2), body_of(3))
            wait_for("its sentence", lambda: "batches wait" in log(config.parent))
            wait_for("status", lambda: any(words in problem for problem in problems(config)))
            assert queue(gearmand, FUNCTION)[0] == 2
        finally:
            mariadb.sql(right, "edgetally")
        wait_for("all batches", lambda: total(mariadb) == "3\t300", 40)
        assert process.poll() is None
        assert receipts(gearmand, body_of(2))["state"] == ["committed"]
    assert mariadb.sql("SELECT COUNT(*) FROM quarantine", "edgetally") == "0\n"
    assert "Traceback" not in log(config.parent)
    assert log(config.parent).count("batches wait") == 1


def problems(config: Path) -> list[str]:
    """What status calls critical of a configuration's aggregator."""
    try:
        status = aggregator_status(str(config))
    except DatabaseError as error:
        return [str(error)]
    assert status["state"] == "critical"
    return status["problems"]


def test_a_missing_procedure_is_named_and_waited_for(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB
) -> None:
    """A default dump has none: the aggregator of a restored database waits for `edgetally migrate`."""
    mariadb.sql("DROP PROCEDURE make_partitions", "edgetally")
    with aggregator(config) as process:
        wait_for("its sentence", lambda: "make_partitions does not exist" in log(config.parent))
        assert any("make_partitions" in problem for problem in problems(config))
        assert process.poll() is None


def test_a_value_that_no_counter_takes_is_its_batchs_fault(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB
) -> None:
    """The rest of its group is counted, and `retry` says the same again."""
    most = (1 << 63) - 1
    with aggregator(config):
        submit(gearmand, body_of(1))
        wait_for("first batch", lambda: total(mariadb) == "1\t100")
        mariadb.sql(f"UPDATE channel_traffic SET bytes = {most}", "edgetally")
        late = body_of(2).replace(b'"rows":[[%d' % (NOW + 600), b'"rows":[[%d' % (NOW + 300))
        submit(gearmand, late, body_of(3))
        wait_for("the other batch", lambda: "quarantined (database)" in log(config.parent))
        wait_for("empty queue", lambda: queue(gearmand, FUNCTION)[0] == 0)
    quarantine = Quarantine(load_aggregator(str(config)))
    assert quarantine.retry(quarantine.entries(Choice(all=True))) == ["database"]
    assert mariadb.sql("SELECT COUNT(*) FROM batch", "edgetally") == "2\n"
