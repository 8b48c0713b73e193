"""The replay: corrections of what was sent, and of nothing else."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetally.cli import replay as command
from edgetally.edge.closing import is_closed
from edgetally.edge.replay import replay
from edgetally.errors import EdgetallyError
from tests.support import SOURCE
from tests.support.edge import Edge, Writer, line, wait_for

RIGHT = [{"channel": "web", "host": "a.example.com"}, {"channel": "news", "host": "b.example.com"}]


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    """An edge whose channel map knows nothing of one host; three batches are sent, of which two have its lines."""
    edge = Edge(tmp_path, include_existing=True, interface="lo", region="eu")
    with Writer(edge.log) as server:
        edge.set(reopen=f"kill -USR1 {server.pid}")
        for hosts in (["a.example.com"], ["a.example.com", "b.example.com"], ["b.example.com"] * 3):
            with edge.log.open("a") as log:
                log.write("".join(line(number, host=host) for number, host in enumerate(hosts)))
            assert edge.rotate() == 0
        send(edge)
        yield edge


def send(edge: Edge) -> None:
    """As a confirmed delivery does."""
    for name in edge.spool.batches(edge.spool.outbox):
        os.rename(edge.spool.outbox / str(name), edge.spool.sent / str(name))


def mend(edge: Edge, rules: Any = RIGHT) -> None:
    (edge.folder / "channels.json").write_text(json.dumps(rules))


def correct(arguments: list[str], **options: Any) -> int:
    """`edgetally replay`, without what turns an error into a message."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(argparse.Namespace(**{**vars(parser.parse_args(arguments)), **options}))


def run(edge: Edge, **options: Any) -> int:
    """A replay of the last hour."""
    arguments = ["--config", str(edge.file), "--from", str(int(time.time()) - 3600), "--to", str(int(time.time()) + 60)]
    return correct(arguments, **options)


def facts(body: dict[str, Any]) -> dict[str, Any]:
    """What a correction must not change."""
    names = ("stream", "generation", "seq", "covers", "continuity", "log", "lines", "rejected", "skewed", "bytes")
    return {name: body[name] for name in names}


def test_the_same_map_gives_the_same_batches(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    """A spread, late or first batch too: all that the first tally depended on is kept."""
    assert run(edge) == 0
    assert edge.bodies() == []
    assert capsys.readouterr().out == "corrected 0 of 3 batches: nothing to do\n"


def test_a_correction_does_not_tell_again_what_was_counted_beside_the_log(edge: Edge) -> None:
    """And says where the edge was then, whatever it is now."""
    edge.set(region="us")
    mend(edge)
    assert run(edge) == 0
    assert [body["extra"] for body in edge.bodies()] == [{"region": "eu"}] * 2
    assert all("counters" in body["extra"] for body in edge.bodies("sent")[1:])


def test_a_late_batch_and_a_spread_one_come_out_the_same(edge: Edge) -> None:
    """Their tally depends on when the file was last written to, which the archive keeps."""
    edge.set(close_timeout=0, format='%t %D "%r" %>s %O %{Host}i')
    edge.data["logs"][0].update(spread=True, max_spread=3600, server="apache")
    edge.set()
    with edge.log.open("a") as child:
        edge.rotate()
        ended = time.time() + 3
        stamp = time.strftime("[%d/%b/%Y:%H:%M:%S +0000]", time.gmtime(ended - 900))
        child.write(f'{stamp} 900000000 "GET / HTTP/1.1" 200 1000 a.example.com\n')
        child.flush()
        os.utime(child.fileno(), (ended, ended))
    (item,) = edge.stream.renamed()
    wait_for("closed log", lambda: is_closed(item.path))
    edge.rotate()
    (late,) = (body for body in edge.bodies() if body["bytes"] == 1000)
    assert len(late["rows"]) > 2
    send(edge)
    assert run(edge) == 1, "those that were made with another format are left"
    assert edge.bodies() == []


def test_what_comes_out_otherwise_is_the_next_revision(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    before = {body["seq"]: body for body in edge.bodies("sent")}
    mend(edge)
    assert run(edge) == 0
    bodies = edge.bodies()
    assert [(body["seq"], body["revision"]) for body in bodies] == [(2, 1), (3, 1)]
    assert [facts(body) for body in bodies] == [facts(before[2]), facts(before[3])]
    assert [body["channels"] for body in bodies] == [["news", "web"], ["news"]]
    assert capsys.readouterr().out.splitlines() == [
        "channel     requests  bytes",
        "news              +4  +4004",
        "unassigned        -4  -4004",
        "corrected 2 of 3 batches: the next run sends them, or `edgetally ship --now` at once",
    ]
    assert run(edge) == 0
    assert edge.bodies() == bodies, "what is corrected already is left alone, sent or not"
    send(edge)
    mend(edge, RIGHT[:1])
    assert run(edge) == 0
    assert [(body["seq"], body["revision"]) for body in edge.bodies()] == [(2, 2), (3, 2)]


def test_a_rehearsal_only_shows_the_difference(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    mend(edge)
    before = sorted(edge.spool.root.rglob("*.*"))
    assert run(edge, dry_run=True) == 0
    assert set(edge.spool.root.rglob("*.*")) - set(before) <= {edge.spool.root / "replay.lock"}
    assert "news              +4  +4004" in capsys.readouterr().out


def test_only_the_time_and_the_log_that_are_asked_for(edge: Edge) -> None:
    mend(edge)
    start, end = next(body["covers"] for body in edge.bodies("sent") if body["seq"] == 2)
    with pytest.raises(EdgetallyError, match="--log other"):
        run(edge, log="other")
    assert correct(["--config", str(edge.file), "--from", f"{start:.3f}", "--to", f"{end:.3f}"], log="access") == 0
    assert [body["seq"] for body in edge.bodies()] == [2]


def test_a_batch_that_still_waits_is_corrected_too(edge: Edge) -> None:
    """Both revisions are sent, and the ledger decides: in whatever order they come."""
    for name in edge.spool.batches(edge.spool.sent):
        os.rename(edge.spool.sent / str(name), edge.spool.outbox / str(name))
    mend(edge)
    assert run(edge) == 0
    assert [(body["seq"], body["revision"]) for body in edge.bodies()] == [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1)]


def test_a_batch_without_its_raw_log_is_named(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    mend(edge)
    next((edge.spool.raw / "access").glob("*-2-*-*.gz")).unlink()
    assert run(edge) == 1
    assert [body["seq"] for body in edge.bodies()] == [3], "the others are corrected"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "its raw log is gone" in said
    assert "kept for 7 days" in said


def test_a_log_of_another_format_is_named_and_left(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    """Its lines are all rejected today: replacing what was right with nothing would be the worst of corrections."""
    mend(edge)
    edge.set(format="squid")
    assert run(edge) == 1
    assert edge.bodies() == []
    assert "today's format of log 'access' reads 1 lines, 1 of them rejected, and 0 bytes" in capsys.readouterr().err


def test_unless_the_format_was_the_mistake(edge: Edge) -> None:
    edge.set(format="squid")
    edge.rotate()
    with edge.log.open("a") as log:
        log.write(line(7))
    edge.rotate()
    send(edge)
    edge.set(format="vhost_combined")
    assert run(edge) == 1
    assert edge.bodies() == []
    assert run(edge, changed_format=True) == 0
    (body,) = edge.bodies()
    assert (body["lines"], body["rejected"], body["bytes"], body["revision"]) == (1, 0, 1007, 1)


def test_a_damaged_raw_log_is_named_and_left(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    mend(edge)
    raw = next((edge.spool.raw / "access").glob("*-3-*-*.gz"))
    status = raw.stat()
    raw.write_text(line(5))
    os.utime(raw, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run(edge, changed_format=True) == 1
    assert [body["seq"] for body in edge.bodies()] == [2]
    assert "damaged" in capsys.readouterr().err


def test_a_held_batch_is_left_and_a_held_correction_is_made_again(
    edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number of a held batch is another's in the ledger; a correction's is ours, so it gets the next one."""
    names = edge.spool.batches(edge.spool.sent)
    edge.spool.hold(names[1], "conflict")
    mend(edge)
    assert run(edge) == 1
    assert "it is held" in capsys.readouterr().err
    (made,) = edge.spool.batches(edge.spool.outbox)
    edge.spool.hold(made, "conflict")
    run(edge)
    assert [(body["seq"], body["revision"]) for body in edge.bodies()] == [(3, 2)]


def test_wrong_use_is_a_sentence(edge: Edge) -> None:
    with pytest.raises(EdgetallyError, match="exchange them"):
        replay(edge.config, "1780000300", "1780000000")
    with pytest.raises(EdgetallyError, match="--from yesterday"):
        replay(edge.config, "yesterday", "1780000000")


_KILL = """
import os, signal, sys, time
from edgetally.edge.closing import is_closed
from edgetally.edge.replay import replay
from edgetally.config import load_edge
import edgetally.tally.count, edgetally.tally.channels, edgetally.formats.catalogue
left, count = int(sys.argv[2]), 0

def trace(frame, event, argument):
    global count
    if os.path.basename(frame.f_code.co_filename) not in ("replay.py", "spool.py"):
        return None
    if event == "line":
        count += 1
        if count == left:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

config = load_edge(sys.argv[1])
sys.settrace(trace)
replay(config, str(time.time() - 3600), str(time.time() + 60))
sys.settrace(None)
print(count)
"""


def test_killed_anywhere_a_replay_is_completed_by_the_next(edge: Edge) -> None:
    """Each revision is there whole or not at all, and its content is the same, whoever made it."""
    mend(edge)
    shutil.copytree(edge.spool.root, edge.folder / "copy")

    def start(after: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", _KILL, str(edge.file), str(after)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.stdout

    total = int(start(0).splitlines()[-1])
    wanted = edge.bodies()
    assert len(wanted) == 2
    for after in range(1, total, max(1, total // 15)):
        shutil.rmtree(edge.spool.root)
        shutil.copytree(edge.folder / "copy", edge.spool.root)
        start(after)
        edge.spool.recover()
        assert run(edge) == 0
        assert edge.bodies() == wanted
        assert len(edge.bodies("sent")) == 3
