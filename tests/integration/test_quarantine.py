"""`edgetally quarantine`: look at what was refused, have it counted after all, drop it, beside a working aggregator."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from edgetally.cli import quarantine as command
from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.incoming import open_batch
from edgetally.ledger.ledger import Ledger
from edgetally.ledger.quarantine import Choice, Quarantine
from edgetally.wire import submit
from edgetally.wire.batch import FUNCTION, Batch
from edgetally.wire.envelope import content_hash, derive_key, seal
from tests.integration.conftest import MASTER, aggregator, aggregator_file, run, wait_for
from tests.support import servers

OTHER = "another master key for the tests, long enough"
START = 1_790_000_100 // 300 * 300


def payload(seq: int, master: str = MASTER, edge: str = "edge1", size: int = 10) -> bytes:
    slot = START + 300 * seq
    batch = Batch(
        f"{edge}/a",
        f"{1:016x}",
        seq,
        (None if seq == 1 else float(slot), slot + 300.0),
        ("news",),
        ((slot, 0, 1, size, None, None),),
    )
    (body,) = batch.encode()
    return seal(batch.stream, derive_key(master, edge), body)


@pytest.fixture
def config(database: DatabaseConfig) -> AggregatorConfig:
    return AggregatorConfig(("127.0.0.1:1",), (MASTER,), database)


@pytest.fixture
def refused(config: AggregatorConfig) -> list[bytes]:
    """Two batches that were signed with a key that nobody knew yet, one that is no batch, and one conflict."""
    payloads = [payload(1, OTHER), payload(1, OTHER, "edge2"), b"hello", payload(5), payload(5, size=11)]
    ledger = Ledger(config.database, "test")
    assert ledger.acquire()
    states = ledger.commit([open_batch(config, one) for one in payloads])
    assert states == ["foreign", "foreign", "unsigned", "committed", "conflict"]
    ledger.release()
    ledger.disconnect()
    return payloads


def total(mariadb: servers.MariaDB) -> int:
    return int(mariadb.sql("SELECT COALESCE(SUM(bytes), 0) FROM channel_traffic", "edgetally"))


def test_list_and_show(config: AggregatorConfig, refused: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.show_list(config, Choice(), "json") == 0
    entries = json.loads(capsys.readouterr().out)
    assert sorted(entry["reason"] for entry in entries) == ["conflict", "foreign", "foreign", "unsigned"]
    assert command.show_list(config, Choice(stream="edge1/*"), "table") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2  # who is not known by a signature has no stream
    assert command.show_list(config, Choice(reason="unsigned"), "csv") == 0
    assert content_hash(b"hello") in capsys.readouterr().out
    (entry,) = [one for one in entries if one["reason"] == "conflict"]
    assert command.show(config, [entry["id"][:12]]) == 0
    text = capsys.readouterr().out
    assert "another batch of the same number" in text
    assert '"seq": 5' in text
    assert "edgetally/1 edge1/a" in text


def test_retry_counts_what_is_good_now(
    config: AggregatorConfig, refused: list[bytes], mariadb: servers.MariaDB, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the master key is known: the batches count once, and the receipt says so; what is bad stays."""
    asked = [(f"{1:016x}", 1, 0, content_hash(refused[0].partition(b"\n")[2]))]
    assert command.retry(config, Choice(reason="foreign")) == 1
    assert capsys.readouterr().out.count("refused again (foreign)") == 2
    assert total(mariadb) == 10
    better = config._replace(master_keys=(MASTER, OTHER))
    assert command.retry(better, Choice(all=True)) == 1
    said = capsys.readouterr().out
    assert said.count(": counted\n") == 2
    assert "refused again (unsigned)" in said
    assert "refused again (conflict)" in said
    assert total(mariadb) == 30
    assert Ledger(config.database, "test").states("edge1/a", asked) == ["committed"]
    assert [entry.reason for entry in Quarantine(config).entries()] == ["unsigned", "conflict"]
    assert command.retry(better, Choice(reason="foreign")) == 0
    assert total(mariadb) == 30


def test_drop_asks_first(
    config: AggregatorConfig, refused: list[bytes], mariadb: servers.MariaDB, capsys: pytest.CaptureFixture[str]
) -> None:
    name = content_hash(b"hello")[:8]
    with pytest.raises(EdgetallyError, match="say --yes"):
        command.drop(config, Choice([name]), False)
    assert len(Quarantine(config).entries()) == 4
    assert command.drop(config, Choice([name]), True) == 0
    assert "dropped" in capsys.readouterr().out
    assert "unsigned" not in [entry.reason for entry in Quarantine(config).entries()]
    assert total(mariadb) == 10


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (Choice(), "name what is meant"),
        (Choice(["xyz"]), "is no id"),
        (Choice(["abcdef"]), "names 0 payloads"),
    ],
)
def test_what_is_meant_must_be_clear(
    config: AggregatorConfig, refused: list[bytes], choice: Choice, sentence: str
) -> None:
    with pytest.raises(EdgetallyError, match=sentence):
        command.retry(config, choice)


def test_a_payload_that_was_cut_is_not_retried(config: AggregatorConfig) -> None:
    ledger = Ledger(config.database, "test")
    assert ledger.acquire()
    assert ledger.commit([open_batch(config, bytes(2 << 20))]) == ["unsigned"]
    with pytest.raises(EdgetallyError, match=r"only the first 4096 are kept, .* sends it again"):
        command.retry(config, Choice(all=True))


def test_beside_a_working_aggregator(
    gearmand: servers.Server, config: AggregatorConfig, mariadb: servers.MariaDB, tmp_path: Path
) -> None:
    """Retries and the aggregator's transactions wait for each other: every batch counts once, the lease goes on."""
    file = aggregator_file(tmp_path, config.database, gearmand.address)
    later = aggregator_file(tmp_path, config.database, gearmand.address, master_keys=[MASTER, OTHER])
    (tmp_path / "retry").mkdir()
    both = tmp_path / "retry" / "aggregator.json"
    both.write_text(later.read_text())
    file = aggregator_file(tmp_path, config.database, gearmand.address)
    strange = [payload(seq, OTHER, "edge2") for seq in range(1, 41)]
    submit.submit([gearmand.address], FUNCTION, [submit.Job(f"s{n}", one) for n, one in enumerate(strange)])
    with aggregator(file) as process:
        wait_for("quarantine", lambda: len(Quarantine(config).entries()) == 40)

        def load() -> None:
            for seq in range(1, 201):
                submit.submit([gearmand.address], FUNCTION, [submit.Job(f"g{seq}", payload(seq))])

        thread = threading.Thread(target=load)
        thread.start()
        ids = [entry.id for entry in Quarantine(config).entries()]
        for start in range(0, 40, 10):
            done = run("quarantine", "retry", "--config", str(both), *ids[start : start + 10])
            assert (done.returncode, done.stderr) == (0, "")
        thread.join()
        wait_for("all committed", lambda: mariadb.sql("SELECT COUNT(*) FROM batch", "edgetally") == "240\n")
        assert process.poll() is None
    assert total(mariadb) == 2400
    assert mariadb.sql("SELECT epoch FROM writer", "edgetally") == "1\n"
    assert run("audit", "--config", str(file)).returncode == 0
    assert run("quarantine", "list", "--config", str(file)).stdout == "the quarantine is empty\n"
