"""The aggregator as a process: crashes, takeovers, an unreachable database, and what it answers."""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import DatabaseConfig
from edgetally.ledger.database import connect
from edgetally.wire import submit as job_servers
from edgetally.wire import worker
from edgetally.wire.batch import FUNCTION, Batch, unique_id
from edgetally.wire.envelope import Key, content_hash, derive_key, seal, unseal
from edgetally.wire.receipts import RECEIPT_FUNCTION
from tests.integration.conftest import MASTER, aggregator, aggregator_file, queue, run, wait_for
from tests.support import servers

NOW = int(time.time()) // 300 * 300 - 7200
KEY = derive_key(MASTER, "edge1")
STREAM = "edge1/access"
GENERATION = "00000000000000aa"


def body_of(seq: int, size: int = 100) -> bytes:
    start = NOW + 300 * seq
    covers = (None if seq == 1 else float(start), start + 300.0)
    rows = ((start, 0, 1, size, None, None),)
    (body,) = Batch(STREAM, GENERATION, seq, covers, ("news",), rows).encode()
    return body


def submit(server: servers.Server, *bodies: bytes, key: Key = KEY) -> None:
    jobs = [job_servers.Job(content_hash(body)[:60], seal(STREAM, key, body)) for body in bodies]
    assert len(job_servers.submit([server.address], FUNCTION, jobs)) == len(jobs)


def receipts(server: servers.Server, *bodies: bytes, key: Key = KEY, stream: str = STREAM) -> Any:
    """Ask what became of bodies, and check the answer as an edge does."""
    asked = [[GENERATION, json.loads(body)["seq"], 0, content_hash(body)] for body in bodies]
    request = json.dumps({"stream": stream, "nonce": "n1", "ask": asked}).encode()
    answer = job_servers.ask([server.address], RECEIPT_FUNCTION, seal(stream, key, request), timeout=20).result
    return json.loads(unseal(answer, lambda _edge, _id: KEY).body) if answer else None


def total(mariadb: servers.MariaDB) -> str:
    return mariadb.sql("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM channel_traffic", "edgetally").strip()


def log(folder: Path) -> str:
    return (folder / "aggregator.log").read_text()


@pytest.fixture
def config(tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig) -> Path:
    return aggregator_file(tmp_path, database, gearmand.address, lease_seconds=2)


def test_batches_are_committed_and_confirmed(config: Path, gearmand: servers.Server, mariadb: servers.MariaDB) -> None:
    bodies = [body_of(seq) for seq in range(1, 6)]
    submit(gearmand, *bodies)
    with aggregator(config):
        answer = wait_for("commit", lambda: (a := receipts(gearmand, *bodies))["state"] == ["committed"] * 5 and a)
        assert answer["nonce"] == "n1"
        assert answer["ledger"] == mariadb.sql("SELECT id FROM ledger", "edgetally").strip()
        assert receipts(gearmand, body_of(1, size=7))["state"] == ["unknown"]
    assert total(mariadb) == "5\t500"


def test_a_request_that_is_not_the_edges_gets_no_answer(config: Path, gearmand: servers.Server) -> None:
    """Neither another edge's key nor a stream that the envelope does not name may learn anything."""
    with aggregator(config):
        assert receipts(gearmand, body_of(1), key=derive_key(MASTER, "edge2")) is None
        assert receipts(gearmand, body_of(1), key=Key("00000000", KEY.secret)) is None


def test_a_batch_that_an_older_master_key_signed_is_still_accepted(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig
) -> None:
    """The aggregator gets the new key before the edges do."""
    config = aggregator_file(
        tmp_path, database, gearmand.address, master_keys=["a newer master key, long enough too", MASTER]
    )
    with aggregator(config):
        submit(gearmand, body_of(1))
        wait_for("commit", lambda: receipts(gearmand, body_of(1))["state"] == ["committed"])


def test_what_must_not_be_counted_is_quarantined_with_its_reason(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB
) -> None:
    good, foreign = body_of(1), body_of(2).replace(b'"edge1/access"', b'"edge2/access"')
    payloads = [
        seal(STREAM, KEY, good),
        b"not a batch",
        seal(STREAM, KEY, good)[:-1] + b" ",
        seal(STREAM, KEY, foreign),
        seal(STREAM, KEY, b"{}"),
        seal(STREAM, KEY, rb'{"\ud800": 1}'),  # a field name that is no text
        seal(STREAM, KEY, good).replace(b"edgetally/1", b"edgetally/9"),
        seal(STREAM, KEY, good + b" " * (9 << 20)),
    ]
    jobs = [job_servers.Job(str(number), payload) for number, payload in enumerate(payloads)]
    with aggregator(config):
        job_servers.submit([gearmand.address], FUNCTION, jobs)
        reasons = "SELECT GROUP_CONCAT(reason ORDER BY reason) FROM quarantine"
        expected = "foreign,invalid,invalid,signature,too_large,unsigned,version"
        wait_for("quarantine", lambda: mariadb.sql(reasons, "edgetally").strip() == expected)
        assert receipts(gearmand, good)["state"] == ["committed"]
        assert receipts(gearmand, b'{"seq": 2}')["state"] == ["unknown"]
    assert total(mariadb) == "1\t100"


def test_kill_9_with_jobs_in_hand_loses_and_doubles_nothing(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB, admin: DatabaseConfig, database: DatabaseConfig
) -> None:
    """The ledger is locked, so the aggregator dies in mid-transaction; the next one counts every batch once."""
    bodies = [body_of(seq) for seq in range(1, 21)]
    with (
        connect(admin, database=database.name) as locking,
        locking.cursor() as cursor,
        aggregator(config) as process,
    ):
        wait_for("worker", lambda: queue(gearmand, FUNCTION)[2] > 0)
        cursor.execute("LOCK TABLES batch WRITE")
        submit(gearmand, *bodies)
        wait_for("jobs in hand", lambda: queue(gearmand, FUNCTION)[1] > 0)
        process.kill()
        process.wait()
    with aggregator(config):
        wait_for("all slots", lambda: total(mariadb) == "20\t2000")


def test_sigterm_leaves_the_lease_and_ends_well(config: Path, mariadb: servers.MariaDB) -> None:
    with aggregator(config) as process:
        wait_for("active aggregator", lambda: "active" in log(config.parent))
        process.terminate()
        assert process.wait(10) == 0
    assert mariadb.sql("SELECT holder FROM writer", "edgetally").strip() == ""


def test_a_second_aggregator_takes_over_and_a_frozen_first_writes_nothing(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB
) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    files = [aggregator_file(folder, database, gearmand.address, lease_seconds=2) for folder in (first, second)]
    with aggregator(files[0]) as frozen, aggregator(files[1]) as standby:
        wait_for("an active one", lambda: "active: " in log(first) + log(second))
        if "active: " in log(second):
            frozen, standby, first, second = standby, frozen, second, first
        wait_for("a standby", lambda: "standing by" in log(second))
        frozen.send_signal(signal.SIGSTOP)
        submit(gearmand, body_of(1))
        wait_for("takeover", lambda: "active: " in log(second), timeout=30)
        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(20) == 3
        assert "writes nothing more" in log(first)
        submit(gearmand, body_of(1), body_of(2))
        bodies = [body_of(1), body_of(2)]
        wait_for("commit", lambda: receipts(gearmand, *bodies)["state"] == ["committed"] * 2)
        assert standby.poll() is None
    assert total(mariadb) == "2\t200"


def test_a_database_that_goes_away_is_waited_for(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB
) -> None:
    with aggregator(config) as process:
        wait_for("active aggregator", lambda: "active" in log(config.parent))
        mariadb.kill()
        submit(gearmand, body_of(1))
        wait_for("message", lambda: "the database is away" in log(config.parent))
        mariadb.start()
        wait_for("commit", lambda: total(mariadb) == "1\t100")
        assert process.poll() is None


def test_a_deadlock_is_tried_again_on_the_same_connection(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB, admin: DatabaseConfig, database: DatabaseConfig
) -> None:
    """A real one, that the aggregator loses: the database is not away, and on a cluster no other node is better."""
    mariadb.sql(
        "CREATE TABLE heavy (id INT PRIMARY KEY, v INT) SELECT seq AS id, 0 AS v FROM seq_1_to_2000", "edgetally"
    )
    sessions = "SELECT GROUP_CONCAT(id) FROM information_schema.processlist WHERE user = 'edgetally'"
    deadlocks = "SELECT COUNT FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
    with (
        aggregator(config),
        connect(admin, database=database.name) as other,
        other.cursor() as cursor,
    ):
        submit(gearmand, body_of(1))
        wait_for("first batch", lambda: total(mariadb) == "1\t100")
        before = mariadb.sql(sessions), int(mariadb.sql(deadlocks))
        cursor.execute("UPDATE heavy SET v = v + 1")  # the one that has changed less is the one to give way
        cursor.execute("UPDATE channel_traffic SET bytes = bytes")
        cursor.execute("SELECT * FROM channel_traffic WHERE slot > 0 FOR UPDATE")
        submit(gearmand, body_of(2))
        waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'INSERT INTO channel_traffic%'"
        wait_for("aggregator at the locked counters", lambda: mariadb.sql(waiting) == "1\n")
        cursor.execute("UPDATE writer SET txn = txn + 1")
        other.commit()
        wait_for("second batch", lambda: total(mariadb) == "2\t200")
        assert int(mariadb.sql(deadlocks)) == before[1] + 1
        assert mariadb.sql(sessions) == before[0]
    assert "away" not in log(config.parent)


def test_sigterm_while_the_database_is_away(config: Path, mariadb: servers.MariaDB) -> None:
    with aggregator(config) as process:
        wait_for("active aggregator", lambda: "active" in log(config.parent))
        mariadb.kill()
        wait_for("message", lambda: "the database is away" in log(config.parent))
        process.terminate()
        assert process.wait(10) == 0
        mariadb.start()


@pytest.mark.parametrize("hanging", ["database", "job server"])
def test_sigterm_ends_it_though_the_other_side_does_not_answer(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB, hanging: str
) -> None:
    """Within ten seconds, as systemd expects; what it had in hand is committed by the next, once."""
    server = mariadb if hanging == "database" else gearmand
    with aggregator(config) as process:
        wait_for("lease", lambda: "active" in log(config.parent))
        submit(gearmand, body_of(1))
        wait_for("first batch", lambda: total(mariadb) == "1\t100")
        server.signal(signal.SIGSTOP)
        try:
            if hanging == "database":
                submit(gearmand, *(body_of(seq) for seq in range(2, 12)))
                wait_for("jobs in hand", lambda: queue(gearmand, FUNCTION)[1] > 0)
            process.terminate()
            assert process.wait(10) == 0
        finally:
            server.signal(signal.SIGCONT)
    if hanging == "job server":
        submit(gearmand, *(body_of(seq) for seq in range(2, 12)))
    with aggregator(config):
        wait_for("all batches", lambda: total(mariadb) == "11\t1100", 40)


def test_a_lost_job_server_is_said_once_and_come_back_to(
    config: Path, gearmand: servers.Server, mariadb: servers.MariaDB
) -> None:
    with aggregator(config):
        wait_for("active aggregator", lambda: "active" in log(config.parent))
        gearmand.kill()
        wait_for("message", lambda: "cannot be reached" in log(config.parent))
        gearmand.start()
        submit(gearmand, body_of(1))
        wait_for("commit", lambda: total(mariadb) == "1\t100")
    assert log(config.parent).count("cannot be reached") == 1


def test_an_aggregator_that_no_job_server_answers_lets_another_one_in(
    tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig, mariadb: servers.MariaDB
) -> None:
    """The network between them is cut: the database alone is of no use to it, and the other one reaches both."""
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    with servers.gearmand(tmp_path / "cut-off") as gone:
        files = [aggregator_file(folder, database, server.address, lease_seconds=2)
                 for folder, server in ((first, gone), (second, gearmand))]  # fmt: skip
        with aggregator(files[0]) as process:
            wait_for("active aggregator", lambda: "active: " in log(first))
            with aggregator(files[1]):
                wait_for("a standby", lambda: "standing by" in log(second))
                gone.kill()
                submit(gearmand, body_of(1))
                wait_for("commit", lambda: total(mariadb) == "1\t100", timeout=30)
                wait_for("reason", lambda: f"standing by: no job server can be reached ({gone.address}: " in log(first))
                gone.start()
                wait_for("another reason", lambda: log(first).endswith(" is the active aggregator\n"))
            wait_for("the first again", lambda: log(first).count("active: ") == 2)
            submit(gone, body_of(2))
            wait_for("commit", lambda: total(mariadb) == "2\t200")
            assert process.poll() is None


def test_the_report_of_what_was_committed(config: Path, gearmand: servers.Server, mariadb: servers.MariaDB) -> None:
    submit(gearmand, *(body_of(seq, size=37_500_000 * seq) for seq in range(1, 11)))
    with aggregator(config):
        wait_for("commit", lambda: total(mariadb).startswith("10\t"))
    period = ["--from", str(NOW + 300), "--to", str(NOW + 3300)]
    done = run("report", "--config", str(config), *period, "--output", "json")
    bill = json.loads(done.stdout)
    (news,) = bill["channels"]
    assert (news["bytes"], news["requests"]) == (37_500_000 * 55, 10)
    assert (news["peak_mbps"], news["percentiles"][0]["mbps"]) == (10.0, 10.0)
    assert bill["completeness"]["complete"] is True
    assert done.returncode == 0
    assert "complete (1 stream, " in run("report", "--config", str(config), *period).stdout
    rows = run("report", "--config", str(config), *period, "--output", "csv").stdout.splitlines()
    assert rows[1].endswith(",UTC,news,,10,2062500000,0,0,0,0,,,10.0,10.0,10.0,10.0,0")
    longer = run("report", "--config", str(config), "--from", str(NOW + 300), "--to", str(NOW + 6900))
    assert longer.returncode == 1
    assert "of 1 stream missing:\n  edge1/access: " in longer.stdout


def test_a_channel_glob_selects(config: Path, gearmand: servers.Server, mariadb: servers.MariaDB) -> None:
    submit(gearmand, body_of(1))
    with aggregator(config):
        wait_for("commit", lambda: total(mariadb) == "1\t100")
    period = ["--from", str(NOW), "--to", str(NOW + 900), "--output", "csv"]
    assert "news" in run("report", "--config", str(config), *period, "--channel", "n*").stdout
    assert "news" not in run("report", "--config", str(config), *period, "--channel", "v*").stdout


def test_unique_ids_of_attempts_are_new_jobs(gearmand: servers.Server) -> None:
    """A worker that hangs with a job would swallow a resubmission under the same id."""
    body = body_of(1)
    payload = seal(STREAM, KEY, body)
    hanging = worker.Worker([gearmand.address], (FUNCTION,), "hanging", 1, 1 << 20)
    ids = [unique_id(STREAM, GENERATION, 1, 0, 0, attempt) for attempt in (0, 0, 1)]
    job_servers.submit([gearmand.address], FUNCTION, [job_servers.Job(ids[0], payload)])
    wait_for("job in hand", lambda: hanging.wait(0.5))
    job_servers.submit([gearmand.address], FUNCTION, [job_servers.Job(ids[1], payload)])
    fresh = worker.Worker([gearmand.address], (FUNCTION,), "fresh", 10, 1 << 20)
    assert fresh.wait(0.3) == []
    job_servers.submit([gearmand.address], FUNCTION, [job_servers.Job(ids[2], payload)])
    assert wait_for("second attempt", lambda: fresh.wait(0.5))[0].payload == payload
    hanging.close()
    fresh.close()


def test_a_request_that_is_malformed_ends_nothing(config: Path, gearmand: servers.Server) -> None:
    """Signed, and still wrong: each gets an empty answer, at once, and the aggregator goes on."""
    asked = [GENERATION, 1, 0, "ab" * 32]
    good = {"stream": STREAM, "nonce": "n", "ask": [asked]}
    entries: list[Any] = [
        [GENERATION, 10**30, 0, "ab" * 32],
        [GENERATION, -1, 0, "ab" * 32],
        [GENERATION, float("inf"), 0, "ab" * 32],
        [GENERATION, "1", 0, "ab" * 32],
        ["xyz", 1, 0, "ab" * 32],
        ["\ud800", 1, 0, "ab" * 32],
        [GENERATION, 1, 0, "ab"],
        [GENERATION, 1, 0, None],
        [GENERATION, 1, 0],
        {},
        None,
    ]
    wrong: list[bytes] = [
        b"",
        b"no JSON",
        b"[" * 100_000,
        b"null",
        b'{"ask": 1e999}',
        *(json.dumps({**good, "ask": [one]}).encode() for one in entries),
        json.dumps({**good, "ask": [asked] * 1001}).encode(),
        json.dumps({**good, "nonce": {}}).encode(),
        json.dumps({**good, "stream": "edge2/access"}).encode(),
    ]
    with aggregator(config) as process:
        wait_for("lease", lambda: "active" in log(config.parent))
        for body in wrong:
            assert job_servers.ask([gearmand.address], RECEIPT_FUNCTION, seal(STREAM, KEY, body), 30).result == b"", (
                body[:80]
            )
        assert receipts(gearmand, body_of(1))["state"] == ["unknown"]
        assert process.poll() is None


def test_systemd_hears_that_it_is_ready_and_alive(
    tmp_path: Path, database: DatabaseConfig, gearmand: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it stands by for another, and at work: of one that is frozen systemd hears nothing, and restarts it."""
    (tmp_path / "second").mkdir()
    first = aggregator_file(tmp_path, database, gearmand.address)
    second = aggregator_file(tmp_path / "second", database, gearmand.address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, ExitStack() as stack:
        with aggregator(first):
            wait_for("the first", lambda: queue(gearmand, "edgetally.batch")[2] == 1)
            listener.bind(str(tmp_path / "notify"))
            listener.settimeout(30)
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
            stack.enter_context(aggregator(second))
            assert [listener.recv(100) for _ in range(4)] == [b"READY=1", *[b"WATCHDOG=1"] * 3]
        wait_for("the second at work", lambda: queue(gearmand, "edgetally.batch")[2] == 1)
        listener.setblocking(False)
        with suppress(BlockingIOError):
            while listener.recv(100):
                pass
        listener.settimeout(30)
        assert listener.recv(100) == b"WATCHDOG=1"
