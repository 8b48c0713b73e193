"""The ledger in a real MariaDB: every batch once, corrections exact, one writer."""

from __future__ import annotations

import subprocess
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql
import pytest
from pymysql.cursors import SSCursor

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger import migrate
from edgetally.ledger.aggregator import Aggregator
from edgetally.ledger.audit import Audit
from edgetally.ledger.database import DatabaseError, check_schema, connect
from edgetally.ledger.incoming import Incoming
from edgetally.ledger.ledger import Ledger
from edgetally.ledger.statements import Statements
from edgetally.ledger.writer import FenceLostError
from edgetally.wire.batch import Batch, Row
from edgetally.wire.envelope import BatchError, content_hash, derive_key, seal
from tests.integration.conftest import MASTER
from tests.support.servers import MariaDB

NOW = int(time.time()) // 300 * 300 - 7200
TODAY = int(time.time()) // 86400 * 86400
KEY = derive_key(MASTER, "edge1")


def batch(seq: int, *rows: Row, **fields: Any) -> Batch:
    """The batch of the seq-th five minutes of stream edge1/access."""
    start = NOW + 300 * seq
    covers = (None if seq == 1 else float(start), start + 300.0)
    given: dict[str, Any] = {
        "stream": "edge1/access",
        "generation": "00000000000000aa",
        "covers": covers,
        "channels": ("news", "video"),
        "rows": rows or ((start, 0, 2, 1000, 1, 400), (start, 1, 1, 50, None, None)),
    }
    return Batch(seq=seq, **{**given, **fields})


def incoming(item: Batch) -> Incoming:
    (body,) = item.encode()
    return Incoming(seal(item.stream, KEY, body), item.stream, body, item)


def rows(ledger: Ledger, query: str) -> list[Any]:
    with ledger.connection.cursor() as cursor:
        cursor.execute(query)
        found = list(cursor.fetchall())
    ledger.connection.rollback()
    return found


def totals(ledger: Ledger) -> dict[str, tuple[int, ...]]:
    """Per channel requests, bytes, hits, hit bytes, cache requests, cache bytes: and both tables must agree."""
    query = (
        "SELECT c.name, SUM(requests), SUM(bytes), SUM(hits), SUM(hit_bytes), SUM(cache_requests), SUM(cache_bytes) "
        "FROM {} t JOIN channel c ON c.id = t.channel_id GROUP BY c.id ORDER BY c.name"
    )
    by_stream, by_channel = (rows(ledger, query.format(table)) for table in ("traffic", "channel_traffic"))
    assert by_stream == by_channel
    return {name.decode(): tuple(map(int, sums)) for name, *sums in by_channel}


def test_a_batch_is_a_row_a_body_and_sums(ledger: Ledger) -> None:
    assert ledger.commit([incoming(batch(1)), incoming(batch(2))]) == ["committed"] * 2
    assert totals(ledger) == {"news": (4, 2000, 2, 800, 4, 2000), "video": (2, 100, 0, 0, 0, 0)}
    assert rows(
        ledger, "SELECT COUNT(*) FROM batch JOIN batch_body USING (stream_id, generation, seq, revision, part)"
    ) == [(2,)]
    assert rows(ledger, "SELECT MIN(commit_no) = MAX(commit_no) FROM batch") == [(1,)]


def test_the_same_batch_counts_once(ledger: Ledger) -> None:
    """Within a group, in a later one, and under another attempt's signature."""
    assert ledger.commit([incoming(batch(1)), incoming(batch(1))]) == ["committed", "already"]
    assert ledger.commit([incoming(batch(1))]) == ["already"]
    assert totals(ledger)["news"] == (2, 1000, 1, 400, 2, 1000)


def test_another_batch_of_the_same_number_is_a_conflict(ledger: Ledger) -> None:
    other = batch(1, (NOW + 300, 0, 9, 9, None, None))
    assert ledger.commit([incoming(batch(1)), incoming(other), incoming(batch(2))]) == [
        "committed",
        "conflict",
        "committed",
    ]
    assert totals(ledger)["news"][0] == 4
    asked = [("00000000000000aa", 1, 0, content_hash(incoming(item).body)) for item in (batch(1), other)]
    assert ledger.states("edge1/access", asked) == ["committed", "conflict"]


def test_time_that_is_covered_already_is_an_overlap(ledger: Ledger) -> None:
    """A cloned or restored machine begins a generation of its own; up to a second is clock noise."""
    assert ledger.commit([incoming(batch(1)), incoming(batch(2))]) == ["committed"] * 2
    twin = batch(2, generation="00000000000000bb")
    assert ledger.commit([incoming(twin)]) == ["overlap"]
    start = NOW + 900
    after = batch(3, covers=(start - 0.9, start + 300.0))
    assert ledger.commit([incoming(after)]) == ["committed"]
    assert ledger.commit([incoming(batch(2, stream="edge2/access"))]) == ["committed"]


def test_a_correction_whose_original_cannot_be_read_is_put_aside_whole(ledger: Ledger) -> None:
    assert ledger.commit([incoming(batch(1))]) == ["committed"]
    with ledger.connection.cursor() as cursor:
        cursor.execute("UPDATE batch_body SET body = %s", (zlib.compress(b"{}"),))
    ledger.connection.commit()
    assert ledger.commit([incoming(batch(1, revision=1))]) == ["invalid"]
    assert rows(ledger, "SELECT revision, state FROM batch") == [(0, "committed")]
    assert totals(ledger)["news"] == (2, 1000, 1, 400, 2, 1000)


def test_what_another_has_written_meanwhile_is_seen(ledger: Ledger) -> None:
    """An aggregator does not ask again what it knows of a stream, until a command has written beside it."""
    command = Ledger(ledger.config, "a command")
    assert ledger.commit([incoming(batch(1))]) == ["committed"]
    assert command.recommit([incoming(batch(2)), incoming(batch(4))]) == ["committed"] * 2
    twin = batch(2, generation="00000000000000bb")
    late, same, last = batch(3), batch(4), batch(5)
    assert ledger.commit([incoming(item) for item in (twin, late, same, last)]) == [
        *("overlap", "committed", "already", "committed")
    ]
    assert totals(ledger)["news"][0] == 10
    command.disconnect()


def test_what_is_known_of_a_stream_is_asked_for_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    union = Statements._union

    def counted(self: Statements, queries: Any) -> Any:
        every = list(queries)
        asked.append(len(every))
        return union(self, every)

    monkeypatch.setattr(Statements, "_union", counted)
    for seq in (1, 2, 3):
        assert ledger.commit([incoming(batch(seq))]) == ["committed"]
    ledger.disconnect()
    assert ledger.commit([incoming(batch(4))]) == ["committed"]
    assert asked == [0, 0] * 3 + [1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: {"covers": (float(NOW), time.time() + 1200)},
        lambda: {"rows": ((NOW - 86400, 0, 1, 1, None, None),)},
        lambda: {"rows": ((NOW + 86400, 0, 1, 1, None, None),)},
    ],
)
def test_a_clock_that_is_wrong_is_refused(ledger: Ledger, wrong: Callable[[], dict[str, Any]]) -> None:
    assert ledger.commit([incoming(batch(2, **wrong()))]) == ["clock"]
    assert totals(ledger) == {}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_a_correction_replaces_what_was_there_whatever_the_order(ledger: Ledger, order: tuple[int, ...]) -> None:
    """Re-tallied after a wrong channel map: only the highest revision is in the counters."""
    start = NOW + 300
    revisions = [
        batch(1),
        batch(1, (start, 0, 3, 1050, 1, 400), channels=("all",), revision=1),
        batch(1, (start, 0, 1, 7, 1, 7), (start, 1, 2, 1043, 0, 0), channels=("video", "shop"), revision=2),
    ]
    for number in order:
        ledger.commit([incoming(revisions[number])])
    found = {name: sums for name, sums in totals(ledger).items() if any(sums)}
    assert found == {"shop": (2, 1043, 0, 0, 2, 1043), "video": (1, 7, 1, 7, 1, 7)}
    assert rows(ledger, "SELECT revision, state FROM batch ORDER BY revision") == [
        (0, "superseded"),
        (1, "superseded"),
        (2, "committed"),
    ]


def test_parts_are_counted_each_once(ledger: Ledger) -> None:
    large = batch(1, *((NOW + 300, 0, 1, number, 0, 0) for number in range(500)))
    parts = [Incoming(b"", large.stream, body, Batch.decode(body)) for body in large.encode(max_bytes=6000)]
    assert len(parts) > 2
    assert ledger.commit(parts[1:]) == ["committed"] * (len(parts) - 1)
    assert rows(ledger, "SELECT COUNT(*) FROM v_batch") == [(0,)], "a batch that lacks a part vouches for nothing"
    assert ledger.commit(parts) == ["committed"] + ["already"] * (len(parts) - 1)
    assert rows(ledger, "SELECT COUNT(*) FROM v_batch") == [(1,)]
    assert totals(ledger)["news"][:2] == (500, large.size)


def test_names_are_compared_byte_by_byte(ledger: Ledger) -> None:
    names = ("video", "Video", "vidéo", "video ")
    ledger.commit([incoming(batch(1, *((NOW + 300, n, 1, 1, None, None) for n in range(4)), channels=names))])
    assert set(totals(ledger)) == set(names)


def test_only_the_holder_writes(ledger: Ledger, database: DatabaseConfig) -> None:
    """A writer that was frozen and wakes up behind a newer epoch must not write a byte."""
    other = Ledger(database, "other", lease_seconds=1)
    assert not other.acquire(), "the lease is fresh"
    ledger.commit([incoming(batch(1))])
    rows(ledger, "SELECT 1")
    with ledger.connection.cursor() as cursor:
        cursor.execute("UPDATE writer SET renewed_at = renewed_at - INTERVAL 5 SECOND")
    ledger.connection.commit()
    assert other.acquire()
    with pytest.raises(FenceLostError):
        ledger.commit([incoming(batch(2))])
    assert other.commit([incoming(batch(3))]) == ["committed"]
    assert [seq for (seq,) in rows(other, "SELECT seq FROM batch ORDER BY seq")] == [1, 3]
    other.disconnect()


def test_an_epoch_that_comes_twice_is_one_holders_alone(ledger: Ledger) -> None:
    """The database was restored from a backup, and another aggregator took the row over under the same number."""
    with ledger.connection.cursor() as cursor:
        cursor.execute("UPDATE writer SET holder = 'other'")
    ledger.connection.commit()
    with pytest.raises(FenceLostError):
        ledger.renew()
    ledger.release()
    assert ledger.writer()["holder"] == "other"


def test_a_released_lease_is_free_at_once(ledger: Ledger, database: DatabaseConfig) -> None:
    ledger.release()
    assert Ledger(database, "other").acquire()


def test_a_batch_that_the_database_refuses_blocks_no_other(ledger: Ledger, database: DatabaseConfig) -> None:
    """Sums beyond BIGINT: no retry mends that; the others of its group are counted, the culprit is put aside."""
    huge = 1 << 62
    group = [
        incoming(batch(seq, (NOW + 300, 0, 1, size, None, None)))
        for seq, size in ((1, 5), (2, huge), (3, huge), (4, 7))
    ]
    ledger.release()
    aggregator = Aggregator(AggregatorConfig(("127.0.0.1:1",), (MASTER,), database))
    assert aggregator.ledger.acquire()
    aggregator._commit(group)
    assert totals(ledger)["news"][1] == huge + 12
    assert rows(ledger, "SELECT reason FROM quarantine") == [("database",)]
    asked = [("00000000000000aa", seq, 0, content_hash(item.body)) for seq, item in enumerate(group, 1)]
    assert ledger.states("edge1/access", asked) == ["committed", "committed", "quarantined:database", "committed"]


def test_a_lost_connection_is_mended_and_nothing_is_doubled(ledger: Ledger, database: DatabaseConfig) -> None:
    """The connection dies between two groups; the same group is then committed over a new one."""
    ledger.release()
    aggregator = Aggregator(AggregatorConfig(("127.0.0.1:1",), (MASTER,), database))
    assert aggregator.ledger.acquire()
    aggregator._commit([incoming(batch(1))])
    ((number,),) = rows(aggregator.ledger, "SELECT CONNECTION_ID()")
    with ledger.connection.cursor() as cursor:
        cursor.execute(f"KILL {number}")
    aggregator._commit([incoming(batch(1)), incoming(batch(2))])
    assert totals(ledger)["news"][:2] == (4, 2000)


def test_what_strangers_send_is_kept_once_and_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetally.ledger.statements.STRANGERS_ROWS", 3)
    monkeypatch.setattr("edgetally.ledger.statements.STRANGERS_PAYLOAD", 9)
    monkeypatch.setattr("edgetally.ledger.transaction.BOUND_EVERY", 1)
    for number in (1, 1, 2, 3, 4):
        refusal = BatchError("signature", "the signature does not fit")
        ledger.commit([Incoming(b"payload %d and more" % number, refused=refusal)])
    kept = rows(ledger, "SELECT payload, size, count FROM quarantine ORDER BY payload")
    assert kept == [(b"payload 2", 18, 1), (b"payload 3", 18, 1), (b"payload 4", 18, 1)]


def test_the_quarantine_is_bounded_now_and_then(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look at all of it at each refusal would let a flood slow the others; never to look would keep all of it."""
    monkeypatch.setattr("edgetally.ledger.statements.STRANGERS_ROWS", 2)
    monkeypatch.setattr("edgetally.ledger.transaction.BOUND_EVERY", 4)
    kept = []
    for number in range(6):
        ledger.commit([Incoming(b"payload %d" % number, refused=BatchError("unsigned", "…"))])
        kept.append(len(rows(ledger, "SELECT sha256 FROM quarantine")))
    assert kept == [1, 2, 3, 4, 2, 3]


@pytest.mark.parametrize(("bound", "value"), [("QUARANTINE_ROWS", 3), ("QUARANTINE_BYTES", 3 * 400)])
def test_an_edge_drives_out_its_own_payloads_alone(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(f"edgetally.ledger.statements.{bound}", value)
    monkeypatch.setattr("edgetally.ledger.transaction.BOUND_EVERY", 1)
    refusal = BatchError("invalid", "…")
    others = [Incoming(b"of edge1 %d" % number, "edge1/a", b"%d" % number, refused=refusal) for number in range(3)]
    flood = [
        Incoming(b"x" * 390 + b"%09d" % number, f"edge11/log{number}", b"-%d" % number, refused=refusal)
        for number in range(40)
    ]
    ledger.commit(others)
    ledger.commit(flood)
    kept = rows(ledger, "SELECT SUBSTRING_INDEX(stream, '/', 1), COUNT(*) FROM quarantine GROUP BY 1 ORDER BY 1")
    assert kept == [(b"edge1", 3), (b"edge11", 3)]


def test_a_foreigner_cannot_have_a_batch_held(ledger: Ledger) -> None:
    """Only a payload whose signature was good may turn an edge's receipt into `quarantined`."""
    item = incoming(batch(1))
    ledger.commit([Incoming(item.payload + b"x", refused=BatchError("signature", "…"))])
    asked = [("00000000000000aa", 1, 0, content_hash(item.body))]
    assert ledger.states("edge1/access", asked) == ["unknown"]
    assert ledger.states("edge2/access", asked) == ["unknown"]


def test_gaps_are_seen_in_the_view(ledger: Ledger) -> None:
    broken = batch(4, continuity="broken")
    ledger.commit([incoming(item) for item in (batch(1), batch(2), broken, batch(5))])
    view = "SELECT stream, from_time, to_time, reason FROM v_stream_gaps WHERE from_time < %d ORDER BY from_time"
    found = rows(ledger, view % (NOW + 1800))  # from then on nothing has come, and that is a gap, too
    assert [(stream, int(low) - NOW, int(high) - NOW, reason) for stream, low, high, reason in found] == [
        ("edge1/access", 900, 1200, "missing"),
        ("edge1/access", 1200, 1500, "broken"),
    ]


# --- the database as the program finds it


def test_a_second_migration_has_nothing_to_do(database: DatabaseConfig, admin: DatabaseConfig) -> None:
    config = AggregatorConfig(("127.0.0.1:1",), (MASTER,), database)
    assert migrate.migrate(config, admin, "localhost", None) == []
    changed = config._replace(database=database._replace(password="new"))
    assert migrate.migrate(changed, admin, "localhost", None) == [f"set the password of {database.user}@localhost"]
    assert "created account reader@%" in migrate.migrate(config, admin, "localhost", ("reader", "%", "secret"))
    bound = migrate.migrate(config, admin, "localhost", ("reader", "127.0.0.2", "secret"))
    assert ("created account reader@127.0.0.2" in bound, bound[-1]) == (
        True,
        "removed account reader@%: it is bound to 127.0.0.2 now",
    )
    assert migrate.migrate(config, admin, "localhost", ("reader", "127.0.0.2", "secret")) == []


def test_migrations_at_the_same_time(database: DatabaseConfig, admin: DatabaseConfig, mariadb: MariaDB) -> None:
    """Two aggregators are rolled out at once: one makes everything, the others find it."""
    mariadb.sql(f"DROP DATABASE {database.name}; DROP USER {database.user}@localhost")
    config = AggregatorConfig(("127.0.0.1:1",), (MASTER,), database)
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(migrate.migrate, config, admin, "localhost", None) for _ in range(3)]
        done = [run.result() for run in runs]
    assert done.count([]) == 2
    assert "applied 0001_first.sql" in max(done, key=len)
    assert mariadb.sql("SELECT COUNT(*) FROM ledger", database.name) == "1\n"


def test_a_migration_makes_what_a_default_dump_leaves_out(
    database: DatabaseConfig, admin: DatabaseConfig, mariadb: MariaDB
) -> None:
    """Restored from one, the database has no procedures; views and triggers may be lost, too."""
    config = AggregatorConfig(("127.0.0.1:1",), (MASTER,), database)
    command = ["mariadb-dump", "--no-defaults", f"--socket={mariadb.socket}", "-u", "root", database.name]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    mariadb.sql(f"DROP DATABASE {database.name}; CREATE DATABASE {database.name}")
    mariadb.sql(dump, database.name)
    mariadb.sql("DROP VIEW v_stream_gaps, v_batch; DROP TRIGGER period_is_kept", database.name)
    assert migrate.migrate(config, admin, "localhost", None) == [
        f"made {name}, which was gone"
        for name in ("v_batch", "v_stream_gaps", "make_partitions", "period_is_kept", "drop_old_partitions")
    ]
    assert migrate.migrate(config, admin, "localhost", None) == []
    made = Ledger(database, "test")
    assert made.acquire()
    made.maintain()
    assert rows(made, "SELECT COUNT(*) FROM v_stream_gaps") == [(0,)]
    made.disconnect()


def test_partitions_reach_30_days_ahead(ledger: Ledger) -> None:
    """Made by the procedure, which the service may call; a second call finds nothing to do."""
    query = (
        "SELECT COUNT(*) FROM information_schema.partitions WHERE table_name = 'traffic' AND table_schema = DATABASE()"
    )
    before = rows(ledger, query)
    assert before[0][0] >= 32
    ledger.maintain()
    assert rows(ledger, query) == before


def test_a_day_has_a_bounded_number_of_unassigned_hosts(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for a new host each time fills no table: those beyond are summed, the others go on."""
    monkeypatch.setattr("edgetally.ledger.statements.HOSTS_A_DAY", 3)
    for seq, hosts in enumerate(["ab", "bcde", "af"], 2):
        named = tuple((f"{host}.example", 1, 5) for host in hosts)
        ledger.commit([incoming(batch(seq, (NOW + 300 * seq, 0, 1, 5, None, None), unassigned_hosts=named))])
    found = rows(ledger, "SELECT host, requests, bytes FROM unassigned_host ORDER BY host")
    assert found == [(b"", 3, 15), (b"a.example", 2, 10), (b"b.example", 2, 10), (b"c.example", 1, 5)]


def test_unassigned_hosts_are_forgotten_after_two_months(ledger: Ledger) -> None:
    """They are the clients' choice: without an end, anybody could fill the table."""
    for days, host in ((0, "new.example"), (70, "old.example")):
        start = NOW - days * 86400
        covers = (float(start), start + 300.0)
        item = batch(2 + days, (start, 0, 1, 5, None, None), covers=covers, unassigned_hosts=((host, 1, 5),))
        assert ledger.commit([incoming(item)]) == ["committed"]
    ledger.maintain()
    assert rows(ledger, "SELECT host, requests, bytes FROM unassigned_host") == [(b"new.example", 1, 5)]


def test_the_service_can_change_no_table(ledger: Ledger) -> None:
    with pytest.raises(pymysql.MySQLError), ledger.connection.cursor() as cursor:
        cursor.execute("DROP TABLE batch")


def test_another_schema_version_is_refused(database: DatabaseConfig, admin: DatabaseConfig) -> None:
    with connect(admin._replace(name=database.name), autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO schema_version VALUES (99, NOW())")
        with pytest.raises(EdgetallyError, match="schema version 99, and this program needs"):
            check_schema(connection, database)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM schema_version")
        with pytest.raises(EdgetallyError, match="run `edgetally migrate`"):
            check_schema(connection, database)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, "refuses user"),
        ({"name": "nowhere"}, "is not there, or not for user"),
        ({"socket": "/nowhere/s.sock"}, "cannot be used"),
        ({"socket": "", "host": "127.0.0.1", "port": 1}, "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_says_why(database: DatabaseConfig, change: dict[str, Any], words: str) -> None:
    with pytest.raises(DatabaseError, match=words):
        connect(database._replace(**change))


def test_old_detail_goes_and_the_sums_stay(ledger: Ledger) -> None:
    """Late batches and corrections of dropped days are right in the sums that are billed, and in no day's detail."""
    old, new = NOW - 40 * 86400, NOW
    sent = [
        batch(seq, (slot, 0, 1, 100, 1, 10), covers=(float(slot), slot + 300.0))
        for seq, slot in ((2, old), (3, old + 600), (4, new))
    ]
    assert ledger.commit(list(map(incoming, sent))) == ["committed"] * 3
    root = ledger.config._replace(user="root", password="")
    with connect(root) as admin, admin.cursor() as cursor:  # as if the installation had been long ago
        bounds = ", ".join(f"PARTITION d{n} VALUES LESS THAN ({TODAY - n * 86400})" for n in (35, 20))
        cursor.execute(
            "SELECT partition_name FROM information_schema.partitions WHERE table_name = 'traffic' "
            "AND table_schema = DATABASE() ORDER BY partition_ordinal_position LIMIT 1"
        )
        (first,) = cursor.fetchone() or ("",)
        cursor.execute(
            f"ALTER TABLE traffic REORGANIZE PARTITION {first} INTO ({bounds}, "
            f"PARTITION {first} VALUES LESS THAN ({TODAY + 86400}))"
        )
    ledger.maintain(detail_days=0)
    assert rows(ledger, "SELECT COUNT(*) FROM traffic") == [(3,)]
    ledger.maintain(detail_days=30)
    assert rows(ledger, "SELECT slot FROM traffic") == [(new,)]
    assert rows(ledger, "SELECT SUM(bytes) FROM channel_traffic") == [(300,)]
    late = batch(5, (old + 1200, 0, 1, 100, 1, 10), covers=(old + 1200.0, old + 1500.0))
    correction = sent[0]._replace(revision=1, rows=((old, 1, 1, 7, 1, 2),))
    assert ledger.commit([incoming(late), incoming(correction)]) == ["committed"] * 2
    assert rows(ledger, "SELECT slot, bytes FROM traffic") == [(new, 100)]
    assert rows(ledger, "SELECT slot, bytes FROM channel_traffic WHERE bytes > 0 ORDER BY slot") == [
        (old, 7),
        (old + 600, 100),
        (old + 1200, 100),
        (new, 100),
    ]
    audit = Audit(connect(ledger.config, cursorclass=SSCursor), 0, 1 << 32)
    audit.run()
    assert (list(audit.differences), audit.batches) == ([], 4)
    ledger.maintain(detail_days=60)  # what is dropped does not come back
    assert rows(ledger, "SELECT from_slot FROM detail") == [(TODAY - 30 * 86400,)]


def test_detail_that_somebody_reads_is_dropped_another_time(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetally.ledger.ledger.READERS_SECONDS", 1)
    with connect(ledger.config) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM traffic")
        before = cursor.fetchone()
        with ledger.fenced_transaction() as transaction:
            transaction.cursor.execute("UPDATE detail SET from_slot = %s", (NOW + 86400 * 3,))
        ledger.maintain()
        assert before == (0,)
    query = (
        "SELECT COUNT(*) FROM information_schema.partitions WHERE table_name = 'traffic' AND table_schema = DATABASE()"
    )
    kept = rows(ledger, query)
    ledger.maintain()
    assert rows(ledger, query) < kept


def test_partitions_are_made_another_time_where_somebody_reads(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """And batches are committed all the while."""
    monkeypatch.setattr("edgetally.ledger.ledger.READERS_SECONDS", 1)
    query = (
        "SELECT partition_name FROM information_schema.partitions WHERE table_name = 'traffic' "
        "AND table_schema = DATABASE() ORDER BY partition_ordinal_position"
    )
    whole = rows(ledger, query)
    with connect(ledger.config._replace(user="root", password="")) as admin, admin.cursor() as cursor:
        cursor.execute(f"ALTER TABLE traffic DROP PARTITION {whole[-2][0]}")  # the last one has no end
    with connect(ledger.config) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM traffic")
        ledger.maintain()
        assert ledger.commit([incoming(batch(1))]) == ["committed"]
        assert rows(ledger, query) == [*whole[:-2], whole[-1]]
    ledger.maintain()
    assert rows(ledger, query) == whole
