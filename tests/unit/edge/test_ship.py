"""The run: whatever happens at whatever moment, each line is in exactly one batch, and messages say what is wrong."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gearman
import pytest

from edgetally.edge import ship
from edgetally.edge.make_batch import BatchMaker
from edgetally.edge.place import PIN, Place
from edgetally.edge.renamed import Renamed
from edgetally.edge.spool import BatchName, Spool
from edgetally.errors import EdgetallyError
from tests.support import SOURCE
from tests.support.edge import Edge, Writer, line

GENERATION = "0123456789abcdef"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """An edge that was installed an hour ago."""
    edge = Edge(tmp_path, interface="lo")
    (tmp_path / "installed").mkdir()
    marker = tmp_path / "installed" / "access"
    marker.touch()
    os.utime(marker, (time.time() - 3600, time.time() - 3600))
    return edge


@pytest.fixture
def server(edge: Edge) -> Iterator[Writer]:
    """A server that writes the log and reopens it when asked."""
    with Writer(edge.log) as server:
        edge.set(reopen=f"kill -USR1 {server.pid}")
        yield server


def requests(edge: Edge, folder: str = "outbox") -> list[int]:
    return [sum(row[2] for row in body["rows"]) for body in edge.bodies(folder)]


# --- an ordinary run


def test_a_run_makes_a_batch_of_each_rotation(edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    server.write(3)
    assert edge.rotate() == 0
    server.write(2)
    assert edge.rotate() == 0
    first, second = edge.bodies()
    assert requests(edge) == [3, 2]
    assert (first["stream"], first["seq"], second["seq"]) == ("edge1/access", 1, 2)
    assert first["covers"][0] is None
    assert second["covers"][0] == first["covers"][1]
    assert (first["bytes"], second["bytes"]) == (3 * 1000 + 3, 2 * 1000 + 7)
    assert (first["channels"], first["continuity"], first["log"]) == (["web"], "ok", "ok")
    assert edge.files() == ["access.log"]
    assert capsys.readouterr() == ("", ""), "it is silent when all is well"


def test_silence_is_a_batch_too(edge: Edge, server: Writer) -> None:
    edge.rotate()
    (body,) = edge.bodies()
    assert (body["lines"], body["rows"], body["channels"], body["log"]) == (0, [], [], "ok")


def test_the_raw_log_is_archived_whole_with_its_time(edge: Edge, server: Writer) -> None:
    server.write(2)
    raw = edge.log.read_bytes()
    changed = edge.log.stat().st_mtime
    edge.rotate()
    (archived,) = (edge.spool.raw / "access").iterdir()
    assert gzip.decompress(archived.read_bytes()) == raw
    assert archived.stat().st_mtime == pytest.approx(changed)
    item = Renamed.parse(archived.parent, archived.name[: -len(".gz")])
    assert item is not None
    assert (item.seq, item.end) == (1, edge.bodies()[0]["covers"][1])


def test_lines_from_before_the_installation_are_not_counted(edge: Edge, server: Writer) -> None:
    server.write(2, when=time.time() - 7200)
    server.write(1)
    edge.rotate()
    assert requests(edge) == [1]


def test_unless_they_are_asked_for(edge: Edge, server: Writer) -> None:
    edge.set(include_existing=True)
    server.write(2, when=time.time() - 7200)
    server.write(1)
    edge.rotate()
    assert requests(edge) == [3]


def test_a_log_truncated_by_one_that_opened_it_before_the_rename_is_said_and_sent(
    edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copytruncate of a large log: what it has copied is gone from ours, and lies where nobody looks."""
    edge.set(close_timeout=0)
    server.write(3)
    copier = os.open(edge.log, os.O_RDWR)
    assert edge.rotate() == 1, "it is still open"
    os.ftruncate(copier, 0)
    os.close(copier)
    capsys.readouterr()
    edge.set(close_timeout=20)
    server.write(1)
    assert edge.rotate() == 1
    assert "was truncated by another program after it was rotated" in capsys.readouterr().err
    assert [(body["continuity"], body["lines"]) for body in edge.bodies()] == [("broken", 0), ("ok", 1)]
    assert edge.rotate() == 0


def test_a_log_that_is_truncated_after_the_next_rotation_is_said_too(
    edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its copier is slow: the log waits for its end, while a later one is rotated."""
    edge.set(close_timeout=0)
    server.write(3)
    copier = os.open(edge.log, os.O_RDWR)
    edge.rotate()
    server.write(1)
    edge.rotate()
    os.ftruncate(copier, 0)
    os.close(copier)
    capsys.readouterr()
    edge.set(close_timeout=20)
    edge.rotate()
    assert "was truncated by another program after it was rotated" in capsys.readouterr().err
    bodies = sorted(edge.bodies(), key=lambda body: int(body["seq"]))
    assert [(body["continuity"], body["lines"]) for body in bodies[:2]] == [("broken", 0), ("ok", 1)]


def test_leaving_takes_away_the_pin_and_no_line(edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    """A role that is uninstalled leaves a log with one name, which logrotate rotates again."""
    server.write(1)
    edge.rotate()
    server.write(2)
    assert (edge.log.stat().st_nlink, edge.kept()) == (2, [PIN])
    assert edge.ship(leave=True) == 0
    assert capsys.readouterr().out == f"took away {edge.private}\n"
    assert (edge.log.stat().st_nlink, edge.private.parent.exists()) == (1, False)
    assert edge.log.read_text().count("\n") == 2
    assert edge.ship(leave=True) == 0
    assert capsys.readouterr().out == ""
    edge.rotate()
    assert requests(edge) == [1, 2], "installed again, it goes on where it was"
    assert {body["continuity"] for body in edge.bodies()} == {"ok"}


@pytest.mark.parametrize("what", ["a log that waits", "a pinned log that was moved away"])
def test_what_is_not_tallied_yet_is_not_left(
    edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    server.write(1)
    edge.rotate()
    server.write(1)
    if what == "a log that waits":
        edge.set(close_timeout=0, reopen="true")
        edge.rotate()
    else:
        edge.log.rename(edge.log.with_name("moved"))
    kept = edge.kept()
    capsys.readouterr()
    assert edge.ship(leave=True) == 1
    assert "holds what is not tallied yet: run `edgetally ship` first" in capsys.readouterr().err
    assert edge.kept() == kept


def test_a_log_that_is_moved_away_while_it_is_rotated_is_not_lost(
    edge: Edge, server: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange finds nothing, and the server is asked to open a new log: that is not taken for the old one."""
    server.write(1)
    assert edge.rotate() == 0
    server.write(2)
    exchange = Place.exchange

    def late(self: Place, status: os.stat_result) -> bool:
        monkeypatch.setattr(Place, "exchange", exchange)
        edge.log.rename(edge.log.with_name("access-20261126.log"))
        return exchange(self, status)

    monkeypatch.setattr(Place, "exchange", late)
    assert edge.rotate() == 1
    server.write(3)
    assert edge.rotate() == 1, "another program rotated"
    assert requests(edge) == [1, 2, 3]
    assert [body["continuity"] for body in edge.bodies()] == ["ok", "broken", "broken"]


def test_an_absent_log_is_said_and_sent(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge.rotate() == 1
    (body,) = edge.bodies()
    assert (body["log"], body["lines"]) == ("absent", 0)
    assert "is not there" in capsys.readouterr().err


def test_a_broken_log_is_said_and_counted(edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    edge.rotate()
    server.write(3)
    edge.log.unlink()
    server.reopen()
    server.write(1)
    assert edge.rotate() == 1
    assert [body["continuity"] for body in edge.bodies()] == ["ok", "broken", "broken"]
    assert requests(edge) == [0, 3, 1], "what was deleted was still pinned"
    assert "counts as missing" in capsys.readouterr().err


def test_hosts_without_a_channel_are_named(edge: Edge, server: Writer) -> None:
    server.write(1)
    with edge.log.open("a") as log:
        log.write(line(5, host="b.example.com") + line(6, host="c.example.com"))
    edge.rotate()
    (body,) = edge.bodies()
    assert body["unassigned_hosts"] == [["c.example.com", 1, 1006], ["b.example.com", 1, 1005]]
    assert body["channels"] == ["unassigned", "web"]


def test_the_same_log_gives_the_same_batch(edge: Edge) -> None:
    path = edge.folder / f"{GENERATION}-2-1780000000.000-1780000300.000"
    stream = edge.stream
    item = Renamed.parse(path.parent, path.name)
    assert item is not None
    path.write_text("".join(line(number, 1780000000 + number) for number in range(300)))
    bodies = {BatchMaker(edge.config, print).batch(stream, item, path).encode()[0] for _ in range(2)}
    assert len(bodies) == 1


# --- a server that does not close its log


def test_a_log_that_stays_open_is_left_and_taken_later(
    edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.set(reopen="echo no such process >&2; exit 1", close_timeout=0)
    server.write(2)
    assert edge.rotate() == 1
    said = capsys.readouterr().err
    assert "still open for writing" in said
    assert "no such process" in said
    assert edge.bodies() == []
    server.write(1)
    edge.set(reopen=f"kill -USR1 {server.pid}", close_timeout=5)
    assert edge.rotate() == 0
    assert requests(edge) == [3]
    assert [body["seq"] for body in edge.bodies()] == [1], "one batch covers all of its time"


def test_lines_of_a_server_that_reopens_after_the_run_keep_their_own_slots(edge: Edge, server: Writer) -> None:
    """They are in the older batch, which covers the time up to its rotation; the next goes on there."""
    edge.set(reopen="", close_timeout=0)
    edge.rotate()
    (item,) = edge.stream.renamed()
    later = item.end + 400
    server.write(2, when=later)
    os.utime(item.path, (later, later))
    server.reopen()
    edge.set(reopen=f"kill -USR1 {server.pid}", close_timeout=5)
    edge.rotate()
    first, second = edge.bodies()
    assert requests(edge) == [2, 0]
    assert ([row[0] for row in first["rows"]], first["skewed"]) == ([int(later) // 300 * 300], 0)
    assert first["covers"][1] == second["covers"][0] == item.end


def test_a_child_that_ends_a_long_transfer_is_a_late_batch(edge: Edge, server: Writer) -> None:
    """As Apache's old children do: the new log goes on meanwhile, and the late lines keep their own slot."""
    edge.set(close_timeout=1)
    with edge.log.open("a") as child:
        server.write(1)
        assert edge.rotate() == 1
        server.write(2)
        assert edge.rotate() == 0, "an old child is no news"
        assert requests(edge) == [2]
        child.write(line(99))
    assert edge.rotate() == 0
    assert requests(edge) == [2, 2, 0]
    assert [body["skewed"] for body in edge.bodies()] == [0, 0, 0]


def test_a_log_that_is_open_for_long_is_said(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.log.touch()
    assert edge.rotate() == 0
    path = edge.private / f"{GENERATION}-2-1780000000.000-1780000300.000"
    with Writer(path):
        assert edge.rotate() == 1
        assert f"{path} is still open" in capsys.readouterr().err


# --- trouble with one thing does not stop the others


def test_one_log_in_trouble_does_not_stop_the_others(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    other = edge.log.with_name("other.log")
    other.write_text(line(1))
    os.mkfifo(edge.log)
    entry = edge.data["logs"][0]
    edge.set(logs=[entry, {**entry, "name": "other", "path": str(other)}], include_existing=True)
    assert edge.rotate() == 1
    assert [(body["stream"], body["continuity"]) for body in edge.bodies()] == [
        ("edge1/access", "broken"),
        ("edge1/other", "ok"),
    ]
    assert "is no plain file" in capsys.readouterr().err


def test_a_bad_channel_map_loses_nothing(edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    good = (edge.folder / "channels.json").read_text()
    server.write(3)
    (edge.folder / "channels.json").write_text("[]")
    assert edge.rotate() == 1
    assert "channels.json" in capsys.readouterr().err
    (edge.folder / "channels.json").write_text(good)
    server.write(1)
    assert edge.rotate() == 0
    assert requests(edge) == [3, 1]


def test_a_format_that_does_not_fit_is_said(edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    edge.set(format="squid")
    server.write(3)
    assert edge.rotate() == 1
    assert "none of the 3 lines" in capsys.readouterr().err
    (body,) = edge.bodies()
    assert (body["lines"], body["rejected"]) == (3, 3)


def test_an_unknown_format_loses_nothing(edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    edge.set(format="combinde")
    server.write(3)
    assert edge.rotate() == 1
    assert "combinde" in capsys.readouterr().err
    edge.set(format="vhost_combined")
    assert edge.rotate() == 0
    assert requests(edge) == [3, 0]


@pytest.fixture
def full(edge: Edge) -> Iterator[Path]:
    """A spool on a file system of its own that has no room left; what is removed by the test is the filling."""
    spool = Path(edge.config.spool)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(spool)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    edge.spool.prepare()
    edge.set(reserve_bytes=0)
    edge.rotate()
    with (spool / "filling").open("wb", buffering=0) as filling, contextlib.suppress(OSError):
        while filling.write(b"x" * 4096):
            pass
    yield spool / "filling"
    subprocess.run(["umount", str(spool)], check=True)


def test_a_full_disk_is_one_sentence_and_loses_nothing(
    edge: Edge, server: Writer, full: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live log is renamed at most once, and grows from then on until there is room again."""
    capsys.readouterr()
    server.write(3)
    for _ in range(3):
        assert edge.rotate() == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert f"the disk under {edge.config.spool}" in said
        server.write(1)
    assert len(edge.files()) <= 2
    assert not list(edge.spool.root.rglob("*.tmp"))
    full.unlink()
    assert edge.rotate() == 0
    assert edge.rotate() == 0
    assert sum(requests(edge)) == 6
    assert edge.files() == ["access.log"]


def test_an_archive_that_has_filled_the_disk_makes_room(edge: Edge, server: Writer, full: Path) -> None:
    """It is of a confirmed batch, and the renamed log that waits needs its place more."""
    server.write(3)
    assert edge.rotate() == 1
    edge.set(reserve_bytes=16 << 10)
    old = edge.spool.raw / "access" / f"{GENERATION}-1-1780000000.000-1780000300.000.gz"
    full.rename(old)
    (edge.spool.sent / str(BatchName("access", GENERATION, 1))).touch()
    assert edge.rotate() == 0
    assert not old.exists()
    assert sum(requests(edge)) == 3


# --- pause, locks, dry run, check


def test_a_paused_edge_does_nothing(edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge.ship(pause=True) == 0
    server.write(1)
    assert edge.ship() == 0
    assert (edge.bodies(), edge.files()) == ([], ["access.log"])
    assert edge.ship(resume=True) == 0
    assert edge.rotate() == 0
    assert requests(edge) == [1]
    assert capsys.readouterr().err == ""


def test_a_second_run_leaves_the_rotation_to_the_first(
    edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    with edge.spool.lock("rotate"):
        assert edge.rotate() == 0
        assert edge.files() == ["access.log"]
        assert capsys.readouterr().err == ""
        os.utime(edge.spool.root / "rotate.lock", (0, 0))
        assert edge.rotate() == 1
        assert "another run has been rotating" in capsys.readouterr().err


def test_a_run_that_still_sends_does_not_delay_the_rotation(edge: Edge, server: Writer) -> None:
    server.write(1)
    with edge.spool.lock("send"):
        assert edge.ship(now=True) == 0
    assert requests(edge) == [1]


def test_no_job_server_is_said_and_nothing_is_lost(
    edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.write(1)
    assert edge.ship(now=True) == 1
    said = capsys.readouterr().err
    assert "127.0.0.1:1" in said
    assert said.count("\n") == 1
    assert requests(edge) == [1]


def test_a_rehearsal_changes_nothing(edge: Edge, server: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    (edge.folder / "installed" / "access").unlink()
    before = sorted(edge.folder.rglob("*"))
    assert edge.ship(dry_run=True) == 0
    said = capsys.readouterr().out
    assert sorted(edge.folder.rglob("*")) == before
    assert f"would rotate {edge.log}" in said
    assert f"would run: kill -USR1 {server.pid}" in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"format": "combinde"}, "combinde"),
        ({"channels": "/nowhere/channels.json"}, "/nowhere/channels.json"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(edge: Edge, fields: dict[str, Any], said: str) -> None:
    ship.check(edge.config)
    edge.set(**fields)
    with pytest.raises(EdgetallyError, match=said):
        ship.check(edge.config)


# --- keep


def test_archives_and_confirmed_batches_go_with_age(edge: Edge, server: Writer) -> None:
    """Not those whose batch is unconfirmed or held, however old."""
    for _ in range(3):
        edge.rotate()
    names = edge.spool.batches(edge.spool.outbox)
    os.rename(edge.spool.outbox / str(names[0]), edge.spool.sent / str(names[0]))
    edge.spool.hold(names[1], "quarantined:clock")
    long_ago = time.time() - 8 * 86400
    for path in edge.spool.root.rglob("*"):
        if path.is_file() and path.parent != edge.spool.state:
            os.utime(path, (long_ago, long_ago))
    edge.rotate()
    numbers = sorted(
        item.seq
        for path in (edge.spool.raw / "access").iterdir()
        if (item := Renamed.parse(path.parent, path.name[: -len(".gz")]))
    )
    assert numbers == [2, 3, 4]
    assert edge.spool.batches(edge.spool.sent) == []
    assert len(edge.spool.batches(edge.spool.held)) == 1


# --- killed at every step

_KILL_AFTER = """
import os, signal, sys
from edgetally.edge import ship
from edgetally.config import load_edge
import edgetally.tally.count, edgetally.tally.channels, edgetally.formats.catalogue
config, left = load_edge(sys.argv[1]), int(sys.argv[2])
count = 0

def trace(frame, event, argument):
    global count
    folder, name = os.path.split(frame.f_code.co_filename)
    if not folder.endswith("edgetally/edge") and not frame.f_code.co_filename.endswith("edgetally/files.py"):
        return None
    if event == "line":
        count += 1
        if count == left:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

work = ship.Ship(config, ship.Spool(config.spool))
sys.settrace(trace)
work.phase("rotate", work.rotate_all)
sys.settrace(None)
print(count)
"""


def run_and_kill(edge: Edge, after: int) -> int:
    """A rotation in a process that is killed with -9 before the given line of its code; the number of lines it ran."""
    source = SOURCE
    done = subprocess.run(
        [sys.executable, "-c", _KILL_AFTER, str(edge.file), str(after)],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return int(done.stdout or 0)


def numbers(edge: Edge) -> list[tuple[int, int]]:
    """(seq, requests) of every batch."""
    return [(body["seq"], sum(row[2] for row in body["rows"])) for body in edge.bodies()]


def check_whole(edge: Edge, server: Writer) -> None:
    """Every line is in exactly one batch and in exactly one archive; numbers and covers have no hole."""
    bodies = edge.bodies()
    assert len({body["generation"] for body in bodies}) == 1
    assert [body["seq"] for body in bodies] == list(range(1, len(bodies) + 1))
    for one, other in zip(bodies, bodies[1:]):
        assert other["covers"][0] == one["covers"][1]
    assert all((body["continuity"], body["log"], body["skewed"]) == ("ok", "ok", 0) for body in bodies)
    assert sum(body["lines"] for body in bodies) == server.number
    assert sum(body["bytes"] for body in bodies) == sum(range(1000, 1000 + server.number))
    archived = b"".join(gzip.decompress(path.read_bytes()) for path in (edge.spool.raw / "access").glob("*.gz"))
    assert sorted(archived.splitlines()) == sorted(set(archived.splitlines()))
    assert archived.count(b"\n") == server.number
    assert not list(edge.spool.root.rglob("*.tmp"))
    assert edge.files() == ["access.log"]
    check_counters(edge, bodies)


def check_counters(edge: Edge, bodies: list[dict[str, Any]]) -> None:
    """What was counted beside the log is told without a hole and without doubling, up to the last batch."""
    told = sorted(body["extra"]["counters"]["time"] for body in bodies if "extra" in body)
    assert told
    assert all(one[1] == other[0] for one, other in zip(told, told[1:]))
    assert json.loads(edge.spool.counters.read_text())["next"]["time"] == told[-1][1]


def test_killed_at_every_step(edge: Edge, server: Writer) -> None:
    """Runs are killed with -9 before a line of their code, each further on; every other time a whole run follows.

    The server goes on writing to whatever file it has open, and later runs must bring everything together.
    EDGETALLY_KILLS=1000 kills before every single line.
    """
    server.write(1)
    total = run_and_kill(edge, 0)
    step = max(1, total // int(os.environ.get("EDGETALLY_KILLS", "40")))
    for number, after in enumerate(range(1, total + step, step)):
        server.write(1)
        run_and_kill(edge, after)
        server.write(1)
        if number % 2:
            assert edge.rotate() == 0
    for _ in range(2):
        assert edge.rotate() == 0
    check_whole(edge, server)


_WAIT = """
import sys
from edgetally.edge import make_batch, ship
from edgetally.config import load_edge
config = load_edge(sys.argv[1])
work = ship.Ship(config, ship.Spool(config.spool))
print(flush=True)
sys.stdin.readline()
work.phase("rotate", work.rotate_all)
"""
# What changes something on the disk, and with it what the next run finds.
_CHANGING = re.compile(
    r"(write|ftruncate|fsync|rename\w*|link\w*|unlink\w*|symlink\w*|mkdir\w*|rmdir|\w*chown\w*|\w*chmod\w*|utimensat)\("
    r"|openat\(.*O_(?:CREAT|TRUNC)"
)


def run_traced(edge: Edge, *options: str) -> list[str]:
    """A rotation in a process that strace follows with some options; its system calls, one a line."""
    trace = edge.folder / "trace"
    with subprocess.Popen(
        [sys.executable, "-c", _WAIT, str(edge.file)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        run.stdout.readline()
        command = ["strace", "-p", str(run.pid), "-o", str(trace), *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            if "attached" not in strace.stderr.readline():
                run.kill()
                pytest.skip("this machine lets no process be traced")
            run.stdin.write("\n")
            run.stdin.flush()
            assert run.wait() in (0, -signal.SIGKILL)
    return trace.read_text().splitlines()


def calls_to_kill_at(trace: list[str], every: bool) -> list[tuple[str, int]]:
    """Which call of its name each is, for those that change something, or for every one."""
    seen: dict[str, int] = {}
    found = []
    for text in trace:
        name = text.partition("(")[0]
        if name.isidentifier():
            seen[name] = seen.get(name, 0) + 1
            if every or _CHANGING.match(text):
                found.append((name, seen[name]))
    return found


def test_killed_at_every_system_call(edge: Edge, server: Writer) -> None:
    """Runs are killed with -9 before a call that changes something on the disk; every other time a whole run follows.

    EDGETALLY_KILLS=1000 kills before every single call.
    """
    server.write(1)
    assert edge.rotate() == 0
    server.write(1)
    kills = int(os.environ.get("EDGETALLY_KILLS", "40"))
    calls = calls_to_kill_at(run_traced(edge), kills >= 1000)
    assert len(calls) > 30
    step = max(1, len(calls) // kills)
    for number, (name, call) in enumerate(calls[::step]):
        server.write(1)
        trace = run_traced(edge, f"--inject={name}:signal=KILL:when={call}")
        assert "killed by SIGKILL" in trace[-1] or "exited with 0" in trace[-1]
        server.write(1)
        if number % 2:
            assert edge.rotate() == 0, (name, call)
    for _ in range(2):
        assert edge.rotate() == 0
    check_whole(edge, server)


def test_killed_again_and_again_before_any_run_succeeds(edge: Edge, server: Writer) -> None:
    """Kills at the same early step, one after another, pile nothing up and lose nothing."""
    for after in (120, 60, 180, 150, 90):
        server.write(2)
        run_and_kill(edge, after)
    for _ in range(2):
        assert edge.rotate() == 0
    check_whole(edge, server)


def test_a_batch_of_several_parts_is_decided_once(edge: Edge, server: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the parts, and the channel map changed before the next run: no mixture of both maps."""
    monkeypatch.setattr("edgetally.wire.batch.Batch.encode.__defaults__", (1200,), raising=False)
    with edge.log.open("a") as log:
        for number in range(200):
            log.write(line(number, time.time() - 300 * number))
    edge.set(include_existing=True)
    assert edge.rotate() == 0
    (archived,) = (edge.spool.raw / "access").iterdir()
    (edge.private / archived.name[: -len(".gz")]).write_bytes(gzip.decompress(archived.read_bytes()))
    archived.unlink()
    names = edge.spool.batches(edge.spool.outbox)
    for name in names[2:]:
        os.rename(edge.spool.outbox / str(name), edge.spool.outbox / f"{name}.tmp")
    (edge.folder / "channels.json").write_text('[{"channel": "other", "host": "a.example.com"}]')

    assert edge.rotate() == 0
    bodies = [body for body in edge.bodies() if body["seq"] == 1]
    assert len(bodies) == len(names) > 3
    assert {body["parts"] for body in bodies} == {len(bodies)}
    assert [body["channels"] for body in bodies] == [["web"]] * len(bodies)
    assert sum(body["lines"] for body in bodies) == 200
    assert edge.files() == ["access.log"]


def test_an_interrupted_archive_is_made_again(edge: Edge, server: Writer) -> None:
    server.write(3)
    edge.rotate()
    (archived,) = (edge.spool.raw / "access").iterdir()
    name = archived.name[: -len(".gz")]
    (edge.private / name).write_bytes(gzip.decompress(archived.read_bytes()))
    archived.with_name(archived.name + ".tmp").write_bytes(b"half")
    archived.unlink()
    edge.rotate()
    assert gzip.decompress(archived.read_bytes()).count(b"\n") == 3
    assert [body["seq"] for body in edge.bodies()] == [1, 2], "it was not tallied again"
    assert edge.files() == ["access.log"]


@pytest.mark.parametrize("folder", ["sent", "held"])
def test_a_batch_that_went_on_is_never_tallied_again(edge: Edge, server: Writer, folder: str) -> None:
    server.write(3)
    edge.rotate()
    (archived,) = (edge.spool.raw / "access").iterdir()
    (edge.private / archived.name[: -len(".gz")]).write_bytes(gzip.decompress(archived.read_bytes()))
    (name,) = edge.spool.batches(edge.spool.outbox)
    os.rename(edge.spool.outbox / str(name), edge.spool.root / folder / str(name))
    edge.rotate()
    assert [body["seq"] for body in edge.bodies()] == [2]


def test_a_deleted_spool_counts_what_lies_in_the_private_place(edge: Edge, server: Writer) -> None:
    """Renamed logs keep the identity in their names, so that a batch that was confirmed before is known again."""
    edge.set(reopen="", close_timeout=0)
    server.write(2)
    edge.rotate()
    (item,) = edge.stream.renamed()
    subprocess.run(["rm", "-r", edge.config.spool], check=True)
    Spool(edge.config.spool).root.mkdir()
    edge.spool.prepare()
    server.reopen()
    server.write(3)
    edge.set(reopen=f"kill -USR1 {server.pid}", close_timeout=5)
    edge.rotate()
    bodies = {body["generation"]: body for body in edge.bodies()}
    assert len(bodies) == 2
    assert sum(row[2] for row in bodies[item.generation]["rows"]) == 2
    del bodies[item.generation]
    (fresh,) = bodies.values()
    assert (fresh["seq"], fresh["covers"][0], fresh["lines"]) == (1, None, 3)


def test_a_writer_that_comes_during_a_lease_does_not_end_the_run(edge: Edge) -> None:
    """The kernel tells a lease's holder with SIGIO, which ends a process that does not expect it."""
    code = "import os, signal, sys; from edgetally.edge import ship; from edgetally.config import load_edge\n"
    code += "status = ship.run(load_edge(sys.argv[1]), ship.Options(now=True)); os.kill(os.getpid(), signal.SIGIO)\n"
    code += "print(status)"
    source = SOURCE
    done = subprocess.run(
        [sys.executable, "-c", code, str(edge.file)],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0


def test_messages_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    ship.say("two\nlines")
    assert capsys.readouterr().err == "edgetally: two lines\n"


def test_a_run_with_an_empty_log_loads_next_to_nothing(edge: Edge, server: Writer) -> None:
    """cron starts it every five minutes on every edge; each of these modules costs one to five milliseconds."""
    libraries = Path(gearman.__file__).parent.parent
    edge.set(user="")  # so that it delivers in this very process
    code = f"""if True:
        import sys
        sys.path += [{str(SOURCE)!r}, {str(libraries)!r}]
        sys.argv[1:] = ["ship", "--config", {str(edge.file)!r}, "--now"]
        from edgetally.cli.startup import main
        main()
        print(*sys.modules)
    """
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert [body["lines"] for body in edge.bodies()] == [0]
    assert "gearman.client" in loaded
    assert not loaded & {
        *("argparse", "dataclasses", "datetime", "encodings.idna", "hashlib", "hmac", "_hashlib", "locale", "logging"),
        *("gearman.worker", "subprocess", "threading", "typing", "zoneinfo"),
        *("edgetally.formats", "edgetally.tally", "edgetally.edge.count_log"),
    }


def test_an_empty_log_gives_the_batch_that_a_tally_of_it_would(edge: Edge, server: Writer) -> None:
    edge.rotate()
    (body,) = edge.bodies()
    (packed,) = (edge.spool.raw / "access").iterdir()
    item = Renamed.parse_archived(packed)
    assert item is not None
    maker = BatchMaker(edge.config, pytest.fail)  # which has what is packed tallied, whatever its size
    assert json.loads(maker.batch(edge.stream, item, packed).encode()[0]) == body


def test_a_run_loads_only_what_it_needs(edge: Edge, server: Writer) -> None:
    server.write(3)
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(SOURCE)!r})
        sys.argv[1:] = ["ship", "--config", {str(edge.file)!r}, "--now"]
        from edgetally.cli.startup import main
        main()
        print(*sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, formats = set(done.stdout.split()), "edgetally.formats."
    assert [body["lines"] for body in edge.bodies()] == [3]
    assert {name for name in loaded if name.startswith(formats)} >= {f"{formats}servers.apache", f"{formats}log_format"}
    assert not loaded & {
        "_ssl",
        "_bz2",
        "_lzma",
        "linecache",
        f"{formats}servers.squid",
        f"{formats}servers.haproxy",
    }


def test_what_a_server_wrote_until_its_renamed_log_was_truncated_is_missing(edge: Edge) -> None:
    """It did not heed the wish for a new log, so that is time after the batch's own."""
    with Writer(edge.log) as server:
        edge.set(reopen="", close_timeout=0)
        server.write(3)
        edge.ship(now=True)
        (renamed,) = [path for path in edge.private.iterdir() if path.name != PIN]
        server.write(2)
        last = time.time()
        os.truncate(renamed, 0)
        server.write(1)
    edge.ship(now=True)
    batch = edge.bodies()[0]
    assert batch["continuity"] == "broken"
    low, high = batch["missing"]
    assert low == batch["covers"][1] < last <= high <= time.time()


def test_a_state_that_cannot_be_written_leaves_the_log_to_the_next_run(edge: Edge) -> None:
    """Else it would not know until when the last batch covers, and the next one would cover the same time: refused."""
    with Writer(edge.log) as server:
        edge.set(reopen="", close_timeout=0)
        server.write(1)
        edge.ship(now=True)  # the server still writes to the renamed log
        server.write(2)
        in_the_way = edge.spool.state / "access.json.tmp"
        in_the_way.mkdir()
        edge.set(reopen=f'kill -KILL {server.pid}; until [ -z "$(ls /proc/{server.pid}/fd)" ]; do :; done')
        edge.ship(now=True)
        in_the_way.rmdir()
    edge.set(reopen="")
    edge.log.write_text(line(3))
    edge.ship(now=True)
    first, second = edge.bodies()
    assert first["lines"] == 3
    assert first["covers"][1] == second["covers"][0]
