"""The logs that the configuration means, one stream each, and since when they are counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgetally.edge.state import known_logs
from edgetally.edge.streams import Stream, find_streams, installed
from edgetally.errors import EdgetallyError
from tests.support.edge import Edge

GENERATION = "0123456789abcdef"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def test_a_glob_gives_each_file_its_stream(edge: Edge) -> None:
    """What an older program has renamed beside a log is none."""
    for name in ("a.log", "b.log", "a.log.1", f"a.log.edgetally-{GENERATION}-1-0.000-1.000.log"):
        (edge.log.parent / name).touch()
    edge.set(path=str(edge.log.parent / "*.log"))
    streams, problems = find_streams(edge.config)
    assert [(stream.name, stream.path.name) for stream in streams] == [
        ("edge1/access.a", "a.log"),
        ("edge1/access.b", "b.log"),
    ]
    assert problems == []


def test_a_log_of_a_glob_that_was_rotated_before_is_meant_though_it_is_gone(edge: Edge) -> None:
    """But not one that another glob means: `*` is no part of a path."""
    folder = edge.log.parent
    known = [str(folder / "gone.log"), str(folder / "sub" / "other.log"), str(folder / "gone.txt")]
    edge.set(path=str(folder / "*.log"))
    streams, problems = find_streams(edge.config, known)
    assert [(stream.name, stream.path.name) for stream in streams] == [("edge1/access.gone", "gone.log")]
    assert problems == []


def test_an_absent_log_of_a_glob_is_a_batch_that_says_so(edge: Edge) -> None:
    """Else its return would cover the time in which it was away."""
    edge.set(path=str(edge.log.parent / "*.log"))
    edge.log.touch()
    edge.rotate()
    edge.log.unlink()
    assert known_logs(edge.spool) == [str(edge.log)]
    assert edge.rotate() == 1
    edge.log.write_text("")
    edge.rotate()
    assert "absent" in [body["log"] for body in edge.bodies()]


def test_a_glob_that_matches_nothing_is_said(edge: Edge) -> None:
    edge.set(path=str(edge.log.parent / "*.log"))
    streams, (problem,) = find_streams(edge.config)
    assert streams == []
    assert "matches no file" in problem


def test_two_files_never_share_a_stream(edge: Edge) -> None:
    for name in ("one", "two"):
        (edge.folder / name).mkdir()
        (edge.folder / name / "access.log").touch()
    edge.set(path=str(edge.folder / "*" / "access.log"))
    streams, problems = find_streams(edge.config)
    assert len(streams) == 1
    assert "is left out" in problems[0]


def test_two_streams_never_share_a_file(edge: Edge) -> None:
    edge.log.touch()
    (edge.folder / "link").symlink_to(edge.log.parent)
    entry = edge.data["logs"][0]
    edge.set(logs=[entry, {**entry, "name": "other", "path": str(edge.folder / "link" / "access.log")}])
    streams, problems = find_streams(edge.config)
    assert [stream.log for stream in streams] == ["access"]
    assert "is left out: log 'access' is the same" in problems[0]


def test_a_name_that_cannot_be_a_stream_is_said(edge: Edge) -> None:
    (edge.log.parent / "what is this.log").touch()
    edge.set(path=str(edge.log.parent / "*.log"))
    streams, problems = find_streams(edge.config)
    assert streams == []
    assert "'access.what is this'" in problems[0]


def test_a_stream_is_hashable_and_knows_its_live_log(edge: Edge) -> None:
    stream = edge.stream
    assert isinstance(stream, Stream)
    assert {stream} == {edge.stream}
    assert stream.live() is None
    edge.log.write_text("x")
    live = stream.live()
    assert live is not None
    assert live.st_size == 1


def test_looking_at_a_stream_makes_nothing(edge: Edge) -> None:
    edge.log.touch()
    assert edge.stream.renamed() == []
    assert edge.stream.live() is not None
    assert [path.name for path in edge.log.parent.iterdir()] == ["access.log"]


# --- since when


def test_a_log_is_installed_once(edge: Edge) -> None:
    first = installed(edge.config, edge.config.logs[0])
    os.utime(edge.folder / "installed" / "access", (first - 5000, first - 5000))
    assert installed(edge.config, edge.config.logs[0]) == first - 5000


def test_a_look_installs_nothing(edge: Edge) -> None:
    installed(edge.config, edge.config.logs[0], make=False)
    assert not (edge.folder / "installed").exists()


def test_a_marker_that_cannot_be_made_is_said(edge: Edge) -> None:
    (edge.folder / "installed").touch()
    with pytest.raises(EdgetallyError, match="make its folder writable"):
        installed(edge.config, edge.config.logs[0])
