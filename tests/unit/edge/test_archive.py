"""Quota and reserve: what is confirmed makes room, what is not stays, and then the rotation pauses and says so."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetally.config import load_edge
from edgetally.edge.renamed import Renamed
from edgetally.errors import EdgetallyError
from edgetally.health.edge import edge_status
from tests.support.edge import Edge, Writer, line

MIB = 1 << 20


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    """An edge with a server that writes half a mebibyte that no archive makes smaller, four times."""
    edge = Edge(tmp_path, include_existing=True)
    with Writer(edge.log) as server:
        edge.set(reopen=f"kill -USR1 {server.pid}")
        for _ in range(4):
            write(edge)
            assert edge.rotate() == 0
        yield edge


def write(edge: Edge) -> None:
    with edge.log.open("a") as log:
        log.writelines(line(number).replace("test", os.urandom(1000).hex()) for number in range(500))


def confirm(edge: Edge, *seqs: int) -> None:
    for name in edge.spool.batches(edge.spool.outbox):
        if name.seq in seqs:
            os.rename(edge.spool.outbox / str(name), edge.spool.sent / str(name))


def archived(edge: Edge) -> list[int]:
    folder = edge.spool.raw / "access"
    items = (Renamed.parse(folder, path.name[: -len(".gz")]) for path in folder.glob("*.gz"))
    return sorted(item.seq for item in items if item)


def test_the_oldest_confirmed_raw_logs_go_first_and_no_more_than_needed(edge: Edge) -> None:
    confirm(edge, 2, 3)
    edge.set(quota_bytes=2 * MIB)
    assert edge_status(edge.config)["state"] == "ok", "there is enough that may go"
    assert edge.rotate() == 0
    assert archived(edge) == [1, 3, 4, 5]
    assert [body["seq"] for body in edge.bodies("sent")] == [2, 3], "what was confirmed is still known"


def test_what_is_not_confirmed_stays_and_the_rotation_pauses(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    """The live log grows, nothing is lost, and status is critical; with confirmations the run goes on by itself."""
    edge.set(quota_bytes=MIB)
    edge.spool.hold(edge.spool.batches(edge.spool.outbox)[1], "quarantined:clock")
    write(edge)
    for _ in range(2):
        assert edge.rotate() == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "the rotation pauses" in said
        assert "more than its quota of 1 MiB" in said
    status = edge_status(edge.config)
    assert status["state"] == "critical"
    assert any("the rotation pauses" in problem for problem in status["problems"])
    assert archived(edge) == [1, 2, 3, 4]
    assert edge.files() == ["access.log"]
    confirm(edge, 1, 3, 4)
    assert edge.rotate() == 0
    assert archived(edge) == [2, 5], "a held batch's raw log stays, too"
    assert sum(body["lines"] for folder in ("outbox", "sent", "held") for body in edge.bodies(folder)) == 2500


def test_a_correction_that_waits_keeps_its_raw_log(edge: Edge) -> None:
    confirm(edge, 1, 2, 3, 4)
    name = edge.spool.batches(edge.spool.sent)[0]
    edge.spool.publish(name._replace(revision=1), [b"body"])
    edge.set(quota_bytes=MIB)
    edge.rotate()
    assert 1 in archived(edge)
    assert 2 not in archived(edge)


def test_a_raw_log_without_a_batch_is_not_confirmed(edge: Edge) -> None:
    (edge.spool.outbox / str(edge.spool.batches(edge.spool.outbox)[0])).unlink()
    edge.set(quota_bytes=MIB)
    assert edge.rotate() == 1
    assert archived(edge) == [1, 2, 3, 4]


def test_a_log_that_was_renamed_before_is_still_finished(edge: Edge) -> None:
    """It lies in the private place already; only no new one is made."""
    (first, *_) = sorted((edge.spool.raw / "access").glob("*-4-*.gz"))
    name = first.name[: -len(".gz")]
    (edge.private / name).write_bytes(gzip.decompress(first.read_bytes()))
    first.unlink()
    edge.set(quota_bytes=MIB)
    assert edge.rotate() == 1
    assert edge.files() == ["access.log"]
    assert archived(edge) == [1, 2, 3, 4]


def test_the_disk_is_not_filled_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a file system of 4 MiB: confirmed raw logs make room for the reserve; without any, the rotation pauses."""
    edge = Edge(tmp_path, include_existing=True, reserve_bytes=2 * MIB)
    root = edge.spool.root
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(root)], capture_output=True).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        edge.spool.prepare()
        with Writer(edge.log) as server:
            edge.set(reopen=f"kill -USR1 {server.pid}")
            for _ in range(6):
                write(edge)
                edge.rotate()
            assert "less than 2 MiB (edge_shipper_spool_reserve)" in capsys.readouterr().err
            before = archived(edge)
            confirm(edge, *before)
            assert edge.rotate() == 0
            assert archived(edge)[0] > before[0], "the oldest went"
            assert archived(edge)[-1] > before[-1], "and the rotation goes on"
            lines = sum(body["lines"] for folder in ("outbox", "sent") for body in edge.bodies(folder))
            assert lines == 3000
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def test_a_quota_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.set(quota_bytes=5000)
    with pytest.raises(EdgetallyError, match="quota_bytes"):
        load_edge(str(edge.file))
