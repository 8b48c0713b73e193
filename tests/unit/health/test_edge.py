"""The status: what waits, what is held, and what a person should look at."""

from __future__ import annotations

import argparse
import json
import os
import re
import threading
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgetally.cli import status as command
from edgetally.edge.spool import BatchName
from edgetally.edge.state import read_state, save_state
from edgetally.errors import EdgetallyError
from edgetally.health import host
from edgetally.health.edge import edge_status
from edgetally.health.host import host_status
from edgetally.tally.engines.kernel.structures import VERSION
from tests.support.edge import Edge
from tests.support.tls import tls_folder

GENERATION = "0123456789abcdef"
NAME = BatchName("access", GENERATION, 7)


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """An edge whose log was rotated just now, and which was installed an hour ago."""
    edge = Edge(tmp_path)
    edge.log.touch()
    (item,), _ = edge.turn()
    item.path.unlink()
    os.utime(edge.file, (time.time() - 3600, time.time() - 3600))
    return edge


def status(arguments: list[str]) -> int:
    """The command, without what turns an error into a message."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_an_edge_in_order(edge: Edge) -> None:
    edge.spool.publish(NAME, [b"body"])
    edge.spool.ledger.write_text("1234\n")
    found = edge_status(edge.config)
    assert (found["state"], found["problems"], found["ledger"], found["paused"]) == ("ok", [], "1234", False)
    (log,) = found["logs"]
    assert (log["next_seq"], log["outbox"], log["outbox_bytes"], log["held"], log["renamed"]) == (2, 1, 4, [], [])
    assert (log["oldest_outbox"] or 0.0) < 60
    assert abs((log["last_rotation"] or 0.0) - time.time()) < 60


def test_a_held_batch_is_critical(edge: Edge) -> None:
    edge.spool.publish(NAME, [b"body"])
    edge.spool.hold(NAME, "quarantined:overlap")
    found = edge_status(edge.config)
    assert found["state"] == "critical"
    assert found["logs"][0]["held"] == [{"batch": str(NAME), "reason": "quarantined:overlap"}]
    assert "quarantined:overlap" in found["problems"][0]


@pytest.mark.parametrize(
    ("reason", "command"), [("conflict", "edgetally tally"), ("quarantined:clock", "edgetally ship --reconcile")]
)
def test_a_held_batch_comes_with_the_command_that_mends_it(edge: Edge, reason: str, command: str) -> None:
    edge.spool.publish(NAME, [b"body"])
    edge.spool.hold(NAME, reason)
    assert f"`{command}" in edge_status(edge.config)["problems"][0]


def test_what_is_late_is_a_warning(edge: Edge) -> None:
    edge.spool.publish(NAME, [b"body"])
    os.utime(edge.spool.outbox / str(NAME), (time.time() - 3600, time.time() - 3600))
    state = read_state(edge.spool, "access")
    assert state is not None
    save_state(edge.spool, "access", state._replace(last_to=time.time() - 7200))
    edge.log.unlink()
    found = edge_status(edge.config)
    assert found["state"] == "warning"
    assert [text.partition("access")[2][:20] for text in found["problems"]]
    assert "is not there" in found["problems"][0]
    assert "was rotated 2 h ago" in found["problems"][1]
    assert "1 unconfirmed batch, the oldest for 1 h 0 min" in found["problems"][2]


def test_a_log_that_a_rotation_has_renamed_is_not_missed(edge: Edge) -> None:
    edge.log.unlink()
    server = threading.Timer(0.7, edge.log.touch)
    server.start()
    assert edge_status(edge.config)["problems"] == []
    server.join()


def test_a_renamed_log_that_a_server_still_writes_to_for_an_hour(edge: Edge) -> None:
    """One unfinished file is usual, but not for so long; and one that is closed is the next run's."""
    now = time.time()
    for ago, words in ((300, False), (4000, True)):
        path = edge.private / f"{'a' * 16}-1-{now - ago:.3f}-{now:.3f}"
        with path.open("w"):
            assert ("still writes to" in " ".join(edge_status(edge.config)["problems"])) is words
        assert "still writes to" not in " ".join(edge_status(edge.config)["problems"])
        path.unlink()


def test_a_paused_edge_is_a_warning_and_its_rotations_are_not_missed(edge: Edge) -> None:
    edge.spool.paused.touch()
    state = read_state(edge.spool, "access")
    assert state is not None
    save_state(edge.spool, "access", state._replace(last_to=1.0))
    found = edge_status(edge.config)
    assert (found["state"], len(found["problems"])) == ("warning", 1)
    assert "--resume" in found["problems"][0]


def test_an_edge_that_was_just_installed_is_in_order(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.log.touch()
    assert edge_status(edge.config)["state"] == "ok"
    os.utime(edge.file, (time.time() - 3600, time.time() - 3600))
    assert "was rotated never" in edge_status(edge.config)["problems"][0]


def test_a_log_that_is_no_longer_configured_is_still_shown(edge: Edge) -> None:
    edge.spool.publish(NAME._replace(log="gone"), [b"body"])
    logs = edge_status(edge.config)["logs"]
    assert [(log["log"], log["path"] is None, log["outbox"]) for log in logs] == [
        ("access", False, 0),
        ("gone", True, 1),
    ]


def test_an_edge_without_a_spool_has_a_status(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.set(spool=str(tmp_path / "none"))
    assert edge_status(edge.config)["state"] == "warning"


def test_the_exit_status_tells(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["--config", str(edge.file), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "ok"
    edge.spool.publish(NAME, [b"body"])
    edge.spool.hold(NAME, "conflict")
    assert status(["--config", str(edge.file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("edge edge1: critical, ledger not known yet, clock not measured yet, spool ")
    assert lines[1] == f"engine: kernel {VERSION}"
    assert lines[2].startswith("job servers: plain TCP, in which anybody who reaches them can take part")
    assert lines[3].split() == ["log", "next", "rotated", "unfinished", "outbox", "bytes", "oldest", "sent", "held"]
    assert lines[4].split()[0] == "access"
    assert lines[5].startswith("CRITICAL: batch access-")


def test_the_certificate_of_the_edge(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, and a warning from 30 days before its end on, or where it cannot be read."""
    folder = tls_folder(edge.folder / "tls", "edge1", now=time.time() - 690 * 86400)
    edge.set(tls=str(folder))
    assert status(["--config", str(edge.file)]) == 0
    assert re.search(r"^job servers: TLS, as edge1 until 20\d\d-", capsys.readouterr().out, re.MULTILINE)
    for days, words in ((710, r"ends in 1\d days, on"), (740, "has ended on")):
        tls_folder(folder, "edge1", now=time.time() - days * 86400)
        found = edge_status(edge.config)
        assert found["state"] == "warning"
        (problem,) = found["problems"]
        assert re.match(f"the certificate of this host {words} 20", problem)
        assert problem.endswith("roll it out again, which renews it")
    (folder / "certificate.pem").write_text("nothing")
    (problem,) = edge_status(edge.config)["problems"]
    assert (
        problem
        == f"this host's certificate {folder}/certificate.pem cannot be read (it holds none): roll the host out again"
    )


def test_a_host_without_any_configuration_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "EDGE_CONFIG", str(tmp_path / "edge.json"))
    monkeypatch.setattr(host, "AGGREGATOR_CONFIG", str(tmp_path / "aggregator.json"))
    with pytest.raises(EdgetallyError, match=r"neither .*edge\.json nor"):
        host_status(None)
    with pytest.raises(EdgetallyError, match="cannot be read"):
        host_status(str(tmp_path / "other.json"))


# --- the clock, as the last receipt told


def note_clock(edge: Edge, offset: float, accuracy: float = 0.1) -> None:
    edge.spool.clock.write_text(json.dumps({"offset": offset, "accuracy": accuracy}))


@pytest.mark.parametrize(
    ("offset", "accuracy", "words"),
    [
        (0.2, 0.1, ""),
        (-29.0, 0.1, ""),
        (35.0, 6.0, ""),  # the answer took 12 s: it may be within 30
        (120.0, 0.1, "the clock is 120 s ahead of the database's"),
        (-400.0, 1.0, "the clock is 400 s behind the database's"),
    ],
)
def test_a_clock_that_is_wrong_is_named(edge: Edge, offset: float, accuracy: float, words: str) -> None:
    note_clock(edge, offset, accuracy)
    found = edge_status(edge.config)
    assert found["clock"] is not None
    assert found["clock"]["offset"] == offset
    assert (found["state"], bool(found["problems"])) == (("warning", True) if words else ("ok", False))
    assert words in "".join(found["problems"])


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"offset": "x", "accuracy": 1}'])
def test_a_damaged_clock_file_is_no_clock(edge: Edge, text: str) -> None:
    edge.spool.clock.write_text(text)
    assert edge_status(edge.config)["clock"] is None


def test_the_room_of_the_spool_is_told(edge: Edge) -> None:
    edge.spool.publish(NAME, [b"body" * 5000])
    room = edge_status(edge.config)["spool"]
    assert room is not None
    assert room["used"] >= 20_000
    assert room["free"] > 0
    assert (room["path"], room["quota"]) == (str(edge.spool.root), edge.config.quota_bytes)


def test_every_problem_names_a_command(edge: Edge) -> None:
    edge.spool.publish(NAME, [b"body"])
    edge.spool.hold(NAME, "conflict")
    late = NAME._replace(seq=8)
    edge.spool.publish(late, [b"body"])
    os.utime(edge.spool.outbox / str(late), (1, 1))
    state = read_state(edge.spool, "access")
    assert state is not None
    save_state(edge.spool, "access", state._replace(last_to=1.0))
    edge.log.unlink()
    note_clock(edge, 99.0)
    problems = edge_status(edge.config)["problems"]
    assert len(problems) == 5
    for problem in problems:
        assert re.search(r"`\w+ .*`", problem), problem


# --- Nagios


def nagios(edge: Edge, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = status(["--config", str(edge.file), "--nagios"])
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.count(" | ") == (code != 3)
    return code, printed


def test_nagios(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    note_clock(edge, 0.25)
    code, line = nagios(edge, capsys)
    assert code == 0
    assert line.startswith("EDGETALLY OK: edge edge1 | 'outbox'=0 'oldest'=0.0s;900 'held'=0;;0 'spool'=")
    assert line.endswith("'edge clock'=0.25s\n")
    edge.spool.paused.touch()
    code, line = nagios(edge, capsys)
    assert code == 1
    assert line.startswith("EDGETALLY WARNING: edge edge1: shipping is paused")
    edge.spool.publish(NAME, [b"body"])
    edge.spool.hold(NAME, "quarantined:a|b\nc")
    code, line = nagios(edge, capsys)
    assert code == 2
    assert line.startswith("EDGETALLY CRITICAL: edge edge1: ")
    assert "quarantined:a/b c" in line
    edge.file.write_text("{")
    code, line = nagios(edge, capsys)
    assert code == 3
    assert line.startswith("EDGETALLY UNKNOWN: ")


# --- metrics


def test_metrics(edge: Edge, tmp_path: Path) -> None:
    edge.spool.publish(NAME, [b"body"])
    os.utime(edge.spool.outbox / str(NAME), (1000.0, 1000.0))
    note_clock(edge, -1.5)
    file = tmp_path / "metrics" / "edge.prom"
    with pytest.raises(EdgetallyError, match="edge_shipper_metrics_dir"):
        status(["--config", str(edge.file), "--metrics", str(file)])
    file.parent.mkdir()
    assert status(["--config", str(edge.file), "--metrics", str(file)]) == 0
    assert [path.name for path in file.parent.iterdir()] == ["edge.prom"], "the temporary file is gone"
    assert file.stat().st_mode & 0o777 == 0o644
    families = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    values = {(one.name, *one.labels.values()): one.value for family in families.values() for one in family.samples}
    assert values["edgetally_state", "edge"] == 1
    assert values["edgetally_outbox_batches", "access"] == 1
    assert values["edgetally_outbox_bytes", "access"] == 4
    assert values["edgetally_outbox_oldest_timestamp_seconds", "access"] == pytest.approx(1000, abs=1)
    assert values["edgetally_held_batches", "access"] == 0
    assert values["edgetally_clock_offset_seconds", "edge"] == -1.5
    assert values["edgetally_spool_quota_bytes",] == edge.config.quota_bytes
    assert abs(values["edgetally_last_rotation_timestamp_seconds", "access"] - time.time()) < 60
    with pytest.raises(EdgetallyError, match=r"end in \.prom"):
        status(["--config", str(edge.file), "--metrics", str(tmp_path / "metrics.txt")])


def test_what_reads_the_logs_is_said(edge: Edge, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, with the reason where it is not the kernel; and as a metric."""
    for engine, said, metric in (
        ("auto", f"kernel {VERSION}", 1),
        ("reference", "reference, because it is asked for", 0),
    ):
        edge.file.write_text(json.dumps({**json.loads(edge.file.read_text()), "engine": engine}))
        status(["--config", str(edge.file)])
        assert capsys.readouterr().out.count(f"engine: {said}\n") == 1
        out = tmp_path / "edge.prom"
        status(["--config", str(edge.file), "--metrics", str(out)])
        assert f"edgetally_kernel {metric}.0\n" in out.read_text()
