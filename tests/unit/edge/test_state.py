"""A log's state: whatever is lost or late of it, no number comes twice, and nothing unknown is taken for known."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from edgetally.edge.live_log import Live
from edgetally.edge.place import PIN
from edgetally.edge.renamed import Renamed
from edgetally.edge.spool import BatchName
from edgetally.edge.state import State, known_logs, load_state, note_extended, read_state, save_state
from tests.support.edge import Edge

GENERATION = "0123456789abcdef"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """An edge whose log was rotated before, 300 s ago: batch 4 was the last."""
    edge = Edge(tmp_path)
    edge.log.touch()
    edge.turn()
    (item,) = edge.stream.renamed()
    item.path.unlink()
    last = round(time.time() - 300, 3)
    save_state(edge.spool, "access", edge.state._replace(generation=GENERATION, next_seq=5, last_to=last))
    return edge


def load(edge: Edge) -> State:
    with edge.stream.place() as place:
        return load_state(edge.spool, edge.stream, place)


# --- written and read


def test_state_survives(edge: Edge) -> None:
    state = State(
        "edge1/access",
        "/x",
        GENERATION,
        5,
        1780000000.125,
        Live(1, 2, 3, "head", 4.5),
        {"4": 6},
        1780000000.5,
        "/private",
    )
    save_state(edge.spool, "access", state)
    assert read_state(edge.spool, "access") == state
    assert read_state(edge.spool, "other") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"stream": 1}', b"\xff"])
def test_a_damaged_state_is_none(edge: Edge, damage: bytes) -> None:
    (edge.spool.state / "access.json").write_bytes(damage)
    assert read_state(edge.spool, "access") is None
    assert known_logs(edge.spool) == []


def test_an_older_programs_state_is_read(edge: Edge) -> None:
    """It knew what lay beside the log, and no birth, turn or private place."""
    old: dict[str, Any] = {
        "stream": "edge1/access",
        "path": "/x",
        "generation": GENERATION,
        "next_seq": 5,
        "last_to": 1780000000.125,
        "live": {"dev": 1, "inode": 2, "size": 3, "head": "head"},
        "beside": [["access.log.1", 7]],
        "size": 6,
    }
    (edge.spool.state / "access.json").write_text(json.dumps(old))
    state = State("edge1/access", "/x", GENERATION, 5, 1780000000.125, Live(1, 2, 3, "head"))
    assert read_state(edge.spool, "access") == state


def test_the_paths_of_all_logs_are_known(edge: Edge) -> None:
    assert known_logs(edge.spool) == [str(edge.log)]
    shutil.rmtree(edge.spool.state)
    assert known_logs(edge.spool) == []


# --- mended


@pytest.mark.parametrize("folder", ["outbox", "sent", "held"])
def test_a_number_is_never_used_twice_even_with_an_older_state(edge: Edge, folder: str) -> None:
    last = edge.state.last_to
    assert last is not None
    for seq in (5, 6):
        name = BatchName("access", GENERATION, seq)
        (edge.spool.root / folder / str(name)).write_text(json.dumps({"covers": [0, last + seq]}))
    state = load(edge)
    assert state.next_seq == 7
    assert state.last_to == pytest.approx(last + 6)
    assert state.live is None, "what was noted is the log of an older rotation"


def test_a_renamed_log_that_the_state_does_not_know(edge: Edge) -> None:
    item = Renamed(edge.private, GENERATION, 7, 0.0, round(time.time(), 3))
    item.path.touch()
    item._replace(generation="f" * 16, seq=99).path.touch()
    item._replace(seq=3, end=1.0).path.touch()
    state = load(edge)
    assert (state.next_seq, state.last_to, state.live) == (8, item.end, None)
    assert read_state(edge.spool, "access") == state


def test_a_batch_that_cannot_be_read_still_has_its_number(edge: Edge) -> None:
    (edge.spool.sent / str(BatchName("access", GENERATION, 5))).write_text("{")
    state = load(edge)
    assert (state.next_seq, state.last_to) == (6, edge.state.last_to)


def test_a_state_that_is_right_is_not_written_again(edge: Edge) -> None:
    before = (edge.spool.state / "access.json").stat().st_ino
    load(edge)
    assert (edge.spool.state / "access.json").stat().st_ino == before


# --- generations


@pytest.mark.parametrize("damage", ["{", None])
def test_a_lost_or_damaged_state_begins_a_generation(edge: Edge, damage: str | None) -> None:
    path = edge.spool.state / "access.json"
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    (item,), problems = edge.turn()
    assert (item.seq, item.mark, problems) == (1, "", [])
    assert item.generation != GENERATION


def test_another_edge_name_begins_a_generation(edge: Edge) -> None:
    edge.set(edge="edge2")
    (item,), _ = edge.turn()
    assert (item.seq, item.generation != GENERATION) == (1, True)


def test_a_conflict_begins_a_generation_once(edge: Edge) -> None:
    name = BatchName("access", GENERATION, 4)
    edge.spool.publish(name, [b"{}"])
    edge.spool.hold(name, "conflict")
    (item,), _ = edge.turn()
    (following,), _ = edge.turn()
    assert (item.seq, following.seq) == (1, 2)
    assert item.generation == following.generation != GENERATION


# --- noted


def test_the_pinned_log_is_noted_whatever_stands_under_the_name(edge: Edge) -> None:
    edge.log.write_text("pinned\n")
    edge.log.rename(edge.log.with_suffix(".log.1"))
    edge.log.write_text("other and longer\n")
    edge.note()
    live = edge.state.live
    assert live is not None
    assert (live.inode, live.size) == ((edge.private / PIN).stat().st_ino, 7)


def test_a_log_that_lost_lines_stays_as_it_was_noted(edge: Edge) -> None:
    """The next rotation says so, and no note before it may make that forgotten."""
    edge.log.write_text("line\n" * 9)
    edge.note()
    noted = edge.state.live
    os.truncate(edge.log, 5)
    edge.note()
    assert edge.state.live == noted
    edge.log.write_text("otherwise\n" * 9)
    edge.note()
    assert edge.state.live == noted


def test_a_log_that_is_not_pinned_is_known_only_to_the_run_that_took_the_one_before(edge: Edge) -> None:
    """Later it may be another one than the server has made first."""
    (edge.private / PIN).unlink()
    now = round(time.time(), 3)
    for turn, last_to, known in ((None, now, False), (now + 1, now, False), (now, now, True)):
        save_state(edge.spool, "access", edge.state._replace(turn=turn, last_to=last_to, live=None))
        edge.note()
        assert (edge.state.live is not None) is known
        assert edge.state.turn is None


@pytest.mark.parametrize("name", ["took", "next"])
def test_nothing_is_noted_while_a_rotation_is_cut_off(edge: Edge, name: str) -> None:
    (edge.private / name).touch()
    save_state(edge.spool, "access", edge.state._replace(turn=1.0))
    before = edge.state
    edge.log.write_text("line\n")
    edge.note()
    assert edge.state == before


def test_a_longer_batch_is_noted(edge: Edge) -> None:
    end = round(time.time(), 3)
    note_extended(edge.spool, edge.stream, Renamed(edge.private, GENERATION, 4, 0.0, end))
    assert (edge.state.last_to, edge.state.next_seq) == (end, 5)
