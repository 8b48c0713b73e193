"""A log whose own disk was full: its server could not write all lines, so its time is missing and not empty."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edge import Edge, Writer

FILLING = "filling"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    """An edge whose log lies on a file system of its own, of 200 KB; the spool does not."""
    edge = Edge(tmp_path, include_existing=True)
    folder = edge.log.parent
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k,mode=755", "tmpfs", str(folder)], capture_output=True
    ).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        with Writer(edge.log) as server:
            edge.set(reopen=f"kill -USR1 {server.pid}")
            edge.rotate()
            yield edge
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(edge: Edge) -> None:
    with (edge.log.parent / FILLING).open("wb", buffering=0) as filling, contextlib.suppress(OSError):
        while filling.write(b"x" * 4096):
            pass


def logs(edge: Edge) -> list[str]:
    return [body["log"] for body in edge.bodies()]


def test_the_batches_before_and_after_the_disk_was_full_at_a_rotation(
    edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines are lost before that rotation, and after it until there is room; then all is well again."""
    fill(edge)
    assert edge.rotate() == 1
    assert f"the disk of {edge.log} is or was full" in capsys.readouterr().err
    (edge.log.parent / FILLING).unlink()
    assert edge.rotate() == 1
    assert edge.rotate() == 0
    assert logs(edge) == ["ok", "disk_full", "disk_full", "ok"]
    assert all(not name.endswith("-full") for name in edge.files())
    assert not list(edge.spool.state.glob("*.full"))


def test_a_full_disk_that_is_seen_while_the_rotation_pauses_is_not_forgotten(edge: Edge) -> None:
    edge.set(quota_bytes=1 << 20)
    block = edge.spool.held / "block"
    block.write_bytes(b"x" * (2 << 20))
    fill(edge)
    assert edge.rotate() == 1
    assert logs(edge) == ["ok"]
    (edge.log.parent / FILLING).unlink()
    block.unlink()
    edge.rotate()
    assert logs(edge) == ["ok", "disk_full"]
