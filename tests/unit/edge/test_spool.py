"""The spool: nothing half-written is ever seen, and whatever a crash leaves is completed or undone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetally.edge.spool import BatchName, Spool
from edgetally.edge.state import State, save_state
from edgetally.files import temporary, write_atomic
from tests.support import SOURCE

GENERATION = "0123456789abcdef"
NAME = BatchName("access", GENERATION, 7)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path)
    spool.prepare()
    return spool


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("log", ["access", "sites.a-b", "x-0123456789abcdef-1-0-0.json"])
def test_a_batch_name_survives_its_file_name(log: str) -> None:
    name = BatchName(log, GENERATION, 12, 3, 4)
    assert BatchName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["access.json", "access-0123-1-0-0.json", f"{NAME}.tmp", "access-x.reason"])
def test_other_files_are_no_batches(text: str) -> None:
    assert BatchName.parse(text) is None


def test_batches_are_in_order_of_number(spool: Spool) -> None:
    for seq in (10, 9, 100):
        spool.publish(NAME._replace(seq=seq), [b"x"])
    assert [name.seq for name in spool.batches(spool.outbox)] == [9, 10, 100]


@pytest.mark.parametrize("folder", ["outbox", "sent", "held"])
def test_a_published_batch_is_found_wherever_it_went(spool: Spool, folder: str) -> None:
    assert spool.find(NAME) is None
    spool.publish(NAME, [b"body"])
    os.rename(spool.outbox / str(NAME), spool.root / folder / str(NAME))
    assert spool.find(NAME) == spool.root / folder / str(NAME)


def test_publishing_cut_off_before_the_first_rename_leaves_nothing(spool: Spool) -> None:
    temporary(spool.outbox / str(NAME)).write_bytes(b"half")
    temporary(spool.outbox / str(NAME._replace(part=1))).write_bytes(b"half")
    spool.recover()
    assert os.listdir(spool.outbox) == []


@pytest.mark.parametrize("folder", ["outbox", "sent"])
def test_publishing_cut_off_between_the_parts_is_completed(spool: Spool, folder: str) -> None:
    """The first part may even be confirmed by then. The others must come with the contents decided with it."""
    (spool.root / folder / str(NAME)).write_bytes(b"0")
    for part in (1, 2):
        temporary(spool.outbox / str(NAME._replace(part=part))).write_bytes(b"%d" % part)
    spool.recover()
    assert [(spool.outbox / str(NAME._replace(part=part))).read_bytes() for part in (1, 2)] == [b"1", b"2"]
    assert not [name for name in os.listdir(spool.outbox) if name.endswith(".tmp")]


def test_a_full_disk_leaves_no_part_of_a_batch(small_disk: Path) -> None:
    spool = Spool(small_disk)
    spool.prepare()
    with pytest.raises(OSError, match="No space left") as caught:
        spool.publish(NAME, [b"x" * 30_000, b"x" * 60_000])
    assert str(small_disk) in caught.value.filename
    assert os.listdir(spool.outbox) == []


def test_a_full_disk_keeps_the_old_state(small_disk: Path) -> None:
    write_atomic(small_disk / "state", b"old")
    with pytest.raises(OSError, match="No space left"):
        write_atomic(small_disk / "state", b"x" * 100_000)
    assert os.listdir(small_disk) == ["state"]
    assert (small_disk / "state").read_bytes() == b"old"


def test_holding_keeps_batch_and_reason(spool: Spool) -> None:
    spool.publish(NAME, [b"body"])
    spool.hold(NAME, "quarantined:overlap")
    assert (spool.held / str(NAME)).read_bytes() == b"body"
    assert spool.batches(spool.outbox) == []
    assert spool.reason(NAME) == "quarantined:overlap"
    assert not spool.conflicted("access", GENERATION)


def test_only_a_conflict_of_this_generation_asks_for_a_new_one(spool: Spool) -> None:
    spool.publish(NAME, [b"body"])
    spool.hold(NAME, "conflict")
    assert spool.conflicted("access", GENERATION)
    assert not spool.conflicted("access", "f" * 16)
    assert not spool.conflicted("other", GENERATION)


def test_a_reason_without_its_batch_means_nothing(spool: Spool) -> None:
    """The reason is written first; a crash right after it must not hold anything."""
    write_atomic(spool.reason_path(NAME), b"conflict\n")
    assert not spool.conflicted("access", GENERATION)


def test_a_second_run_learns_how_long_the_lock_is_held(spool: Spool) -> None:
    with spool.lock("rotate") as first:
        assert first is None
        os.utime(spool.root / "rotate.lock", (time.time() - 700, time.time() - 700))
        with spool.lock("rotate") as second:
            assert second == pytest.approx(700, abs=5)
        with spool.lock("send") as other:
            assert other is None
    with spool.lock("rotate") as again:
        assert again is None


def test_a_killed_run_gives_its_lock_back(spool: Spool) -> None:
    code = (
        "import sys, time; from edgetally.edge.spool import Spool\n"
        f"with Spool({str(spool.root)!r}).lock('send') as held: print(held, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=_path()) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"None\n"
        with spool.lock("send") as held:
            assert held is not None
        holder.kill()
    with spool.lock("send") as held:
        assert held is None


def _path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE)}


def test_everything_is_unreadable_for_others(spool: Spool) -> None:
    spool.publish(NAME, [b"body"])
    save_state(spool, "access", State("edge1/access", "/x", GENERATION))
    for path in spool.root.rglob("*"):
        assert path.stat().st_mode & 0o007 == 0, path
