"""The status: what waits, what is held, and what a person should look at."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from edgetally import status
from edgetally.errors import EdgetallyError
from edgetally.rotate import load_state, record_live, rotate
from edgetally.spool import BatchName
from edgetally.status import edge_status
from tests.edge import Edge

GENERATION = "0123456789abcdef"
NAME = BatchName("access", GENERATION, 7)


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """An edge whose log was rotated just now, and which was installed an hour ago."""
    edge = Edge(tmp_path)
    edge.log.touch()
    (item,), _ = rotate(edge.config, edge.spool, edge.stream, load_state(edge.spool, edge.stream))
    item.path.unlink()
    edge.log.touch()
    record_live(edge.spool, edge.stream)
    os.utime(edge.file, (time.time() - 3600, time.time() - 3600))
    return edge


def test_an_edge_in_order(edge: Edge) -> None:
    edge.spool.publish(NAME, [b"body"])
    edge.spool.ledger.write_text("1234\n")
    found = edge_status(edge.config)
    assert (found["state"], found["problems"], found["ledger"], found["paused"]) == ("ok", [], "1234", False)
    (log,) = found["logs"]
    assert (log["next_seq"], log["outbox"], log["outbox_bytes"], log["held"], log["renamed"]) == (2, 1, 4, [], [])
    assert log["oldest_outbox"] < 60
    assert abs(log["last_rotation"] - time.time()) < 60


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
    state = edge.spool.load_state("access")
    assert state is not None
    edge.spool.save_state("access", state.__class__(**{**state.__dict__, "last_to": time.time() - 7200}))
    edge.log.unlink()
    found = edge_status(edge.config)
    assert found["state"] == "warning"
    assert [text.partition("access")[2][:20] for text in found["problems"]]
    assert "is not there" in found["problems"][0]
    assert "was rotated 2 h ago" in found["problems"][1]
    assert "the oldest for 60 min" in found["problems"][2]


def test_a_paused_edge_is_a_warning_and_its_rotations_are_not_missed(edge: Edge) -> None:
    edge.spool.paused.touch()
    state = edge.spool.load_state("access")
    assert state is not None
    edge.spool.save_state("access", state.__class__(**{**state.__dict__, "last_to": 1.0}))
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
    assert status.run(str(edge.file), "json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "ok"
    edge.spool.publish(NAME, [b"body"])
    edge.spool.hold(NAME, "conflict")
    assert status.run(str(edge.file), "table") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "edge edge1: critical, ledger not known yet"
    assert lines[1].split() == ["log", "next", "rotated", "unfinished", "outbox", "bytes", "oldest", "sent", "held"]
    assert lines[2].split()[0] == "access"
    assert lines[3].startswith("! batch access-")


def test_a_host_without_any_configuration_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "EDGE_CONFIG", str(tmp_path / "edge.json"))
    monkeypatch.setattr(status, "AGGREGATOR_CONFIG", str(tmp_path / "aggregator.json"))
    with pytest.raises(EdgetallyError, match=r"neither .*edge\.json nor"):
        status.run(None, "table")
    with pytest.raises(EdgetallyError, match="cannot be read"):
        status.run(str(tmp_path / "other.json"), "table")
