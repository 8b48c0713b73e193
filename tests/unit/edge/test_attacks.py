"""Whoever owns a log's folder tries to lead root astray: nothing of root's changes, and nothing waits for anybody.

The attacker is `nobody`, who owns the folder of the log, and does what he does in processes of his own.
"""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from edgetally.edge import place as places
from edgetally.edge.place import PIN
from edgetally.edge.renamed import Renamed
from edgetally.edge.state import State, save_state
from tests.support.edge import ODD, Edge, line, put_odd, wait_for

GENERATION = "0123456789abcdef"
NOBODY = 65534
SECONDS = 30  # nothing here takes half of that, even on a busy machine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led astray")


@contextmanager
def in_time() -> Iterator[None]:
    """Nothing that anybody puts anywhere makes root wait."""

    def hangs(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it hangs for {SECONDS} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class World:
    """An edge whose log's folder is nobody's, and files of root's beside it."""

    def __init__(self, folder: Path) -> None:
        self.edge = Edge(folder, include_existing=True, close_timeout=0, user="daemon")
        self.log = self.edge.log
        self.folder = self.log.parent
        os.chown(self.folder, NOBODY, NOBODY)
        folder.chmod(0o755)
        self.treasure = folder / "treasure"
        self.treasure.mkdir()
        for name, mode in (("secret", 0o600), ("passwd", 0o644), ("shared", 0o666), ("access.log", 0o644)):
            (self.treasure / name).write_text(f"root's {name}\n")
            (self.treasure / name).chmod(mode)
        (self.treasure / "folder").mkdir()
        self._before = self._seen()

    def _seen(self) -> dict[str, object]:
        """All that is to be known of root's files; not the number of names, which a hard link changes."""
        found: dict[str, object] = {}
        for path in (*self.treasure.rglob("*"), self.treasure, Path("/etc/passwd"), Path("/etc/shadow")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            owner = status.st_uid, status.st_gid
            found[str(path)] = status.st_dev, status.st_ino, status.st_mode, *owner, status.st_mtime_ns, content
        return found

    def attacker(self, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a shell of nobody's in the log's folder."""
        return subprocess.Popen(
            ["/bin/sh", "-c", script, "sh", *arguments],
            cwd=self.folder,
            env={**os.environ, "LINE": line(1).rstrip()},
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )

    def attack(self, script: str, *arguments: str) -> None:
        assert self.attacker(script, *arguments).wait(SECONDS) == 0, script

    def python(self, code: str) -> subprocess.Popen[bytes]:
        """Start a Python of nobody's there; it is ready when it has said so."""
        process = subprocess.Popen(
            [os.path.realpath(sys.executable), "-I", "-c", code],
            cwd=self.folder,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    def rotate(self) -> int:
        with in_time():
            return self.edge.rotate()

    def check(self) -> None:
        """Nothing of root's has changed, nor has any of it got into a batch or an archive."""
        assert self._seen() == self._before
        for path in (self.edge.spool.raw / "access").glob("*.gz"):
            assert b"root's" not in gzip.decompress(path.read_bytes())
        assert not any("root's" in str(body) for body in self.edge.bodies())
        for path in self.edge.folder.glob("**/.edgetally/access/*"):
            assert path.is_symlink() or not path.is_file() or "root's" not in path.read_text(errors="replace")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.check()


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a run has said: each a sentence on one line."""
    found = capsys.readouterr().err.splitlines()
    assert all(text.startswith("edgetally: ") and "Traceback" not in text for text in found)
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- what stands under the log's name


PUT = {
    "link to what only root reads": 'ln -s "$1/secret" access.log',
    "link to what all may read": 'ln -s "$1/passwd" access.log',
    "link to /etc/shadow": "ln -s /etc/shadow access.log",
    "link to a folder": 'ln -s "$1/folder" access.log',
    "link to itself": "ln -s access.log access.log",
    "link to nothing": 'ln -s "$1/new" access.log',
    "link to a device": "ln -s /dev/zero access.log",
    "pipe": "mkfifo access.log",
    "folder": "mkdir -p access.log/deep && touch access.log/deep/file",
    "socket": "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"access.log\")'",
    "another name of root's": "ln ../treasure/shared access.log",
    "another name of his own": "touch own && ln own access.log",
}


def _refuse(*_: object) -> None:
    raise OSError(errno.EINVAL, "Invalid argument")


@pytest.mark.parametrize("exchanged", [True, False])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("what", PUT)
def test_what_is_no_log_under_the_logs_name(
    world: World,
    what: str,
    first: bool,
    exchanged: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the first run, and when all went well before: it is left there, and said in one sentence each time."""
    if not exchanged:
        monkeypatch.setattr(places, "exchange_at", _refuse)
    if not first:
        world.attack('echo "$LINE" >access.log')
        assert world.rotate() == 0
        world.attack('echo "$LINE" >>access.log; rm access.log')
        capsys.readouterr()
    process = world.attacker(PUT[what], str(world.treasure))
    if process.wait(SECONDS):
        pytest.skip("the kernel does not allow that")
    before = os.lstat(world.log)
    for _ in range(3):
        assert world.rotate() == 1
        (text,) = said(capsys)
        assert f"{world.log} is no plain file, or has another name" in text
        after = os.lstat(world.log)
        assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, before.st_uid)
    assert {body["continuity"] for body in world.edge.bodies()[1 - first :]} == {"broken"}
    assert not (world.treasure / "new").exists()
    world.attack('rm -rf access.log; echo "$LINE" >access.log')
    world.rotate()
    assert world.rotate() == (not exchanged), "no server makes a new log where there is none"


@pytest.mark.parametrize("odd", ODD)
def test_the_same_put_there_by_root(world: World, odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A device above all, which only root can make. Even root's link may have been moved there by him."""
    put_odd(odd, world.log, world.treasure / "secret")
    for _ in range(2):
        assert world.rotate() == 1
        assert len(said(capsys)) == 1
    before = os.lstat(world.log)
    world.check()
    assert os.lstat(world.log).st_ino == before.st_ino


def test_a_log_of_many_modes(world: World) -> None:
    """What he gives the file, its successor has; but it never runs as anybody."""
    world.attack('echo "$LINE" >access.log; chmod 7777 access.log')
    assert world.rotate() == 0
    status = world.log.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o666, NOBODY, NOBODY)
    world.attack("chmod 0 access.log")
    assert world.rotate() == 0
    assert stat.S_IMODE(world.log.stat().st_mode) == 0


def test_a_lease_of_the_owner_holds_nobody_up(world: World) -> None:
    """Whoever opens the log would wait 45 s for him, if at all."""
    world.attack('echo "$LINE" >access.log')
    assert world.rotate() == 0
    world.log.write_text(line(1))
    code = "import fcntl, os, signal, time; signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
    code += "file = os.open('access.log', os.O_RDWR); fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
    code += "print('ready', flush=True); time.sleep(60)"
    with world.python(code) as holder:
        begin = time.monotonic()
        world.rotate()
        world.rotate()
        assert time.monotonic() - begin < 15
        assert len(world.edge.stream.renamed()) == 1, "it is open, so it waits"
        holder.kill()
    world.rotate()
    assert world.edge.stream.renamed() == []


def test_a_live_log_is_never_unpacked(world: World) -> None:
    """A gzip bomb: 4 GiB in 4 MiB. Its lines are none."""
    one = gzip.compress(b"\0" * (1 << 24), 9)
    with world.log.open("wb") as file:
        for _ in range(256):
            file.write(one)
    begin = time.process_time()
    world.rotate()
    assert time.process_time() - begin < 10
    (body,) = world.edge.bodies()
    assert body["rejected"] == body["lines"] > 0
    (archived,) = (world.edge.spool.raw / "access").iterdir()
    assert archived.stat().st_size < 1 << 23


# --- while root is at it


def test_the_name_is_swapped_all_the_time(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """For a link to a file of root's, a pipe, another name of root's, a folder, and back."""
    code = f"""if True:
        import os
        treasure = {str(world.treasure)!r}
        def make(name, number):
            if number == 0: os.symlink(treasure + "/secret", name)
            elif number == 1: os.mkfifo(name)
            elif number == 2: os.link("../treasure/shared", name)
            elif number == 3: os.mkdir(name)
            else: open(name, "x").write("line\\n")
        print("ready", flush=True)
        number = 0
        while True:
            number += 1
            try:
                make("new", number % 5)
                os.rename("new", "access.log")
            except OSError:
                for name in ("new", "access.log"):
                    try: os.rmdir(name) if os.path.isdir(name) else os.unlink(name)
                    except OSError: pass
    """
    with world.python(code) as process:
        for _ in range(40):
            world.rotate()
        process.kill()
    said(capsys)
    world.check()
    assert {body["log"] for body in world.edge.bodies()} <= {"ok", "absent"}
    world.attack('rm -rf access.log; echo "$LINE" >access.log')
    for _ in range(2):
        world.rotate()
    assert world.rotate() == 0
    assert not [name for name in world.edge.kept() if name in ("next", "took")]


def test_a_folder_of_the_path_is_swapped_all_the_time(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The log of root's that lies under the same name elsewhere is never taken for his."""
    world.edge.set(path=str(world.folder / "logs" / "access.log"))
    world.attack('mkdir logs real; echo "$LINE" >logs/access.log; echo "$LINE" >real/access.log')
    code = f"""if True:
        import os
        os.symlink({str(world.treasure)!r}, "link")
        print("ready", flush=True)
        while True:
            os.rename("logs", "real-logs")
            os.rename("link", "logs")
            os.rename("logs", "link")
            os.rename("real-logs", "logs")
    """
    with world.python(code) as process:
        for _ in range(40):
            world.rotate()
        process.kill()
    assert all("edgetally: " in text for text in said(capsys))


# --- on the way to the log


def test_a_link_in_the_middle_of_the_path(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.edge.set(path=str(world.folder / "logs" / "access.log"))
    world.attack('ln -s "$1" logs', str(world.treasure))
    assert world.rotate() == 1
    (text,) = said(capsys)
    assert f"by way of {world.folder / 'logs'} (it is a link that root does not own)" in text
    assert world.edge.bodies() == []
    assert names(world.treasure) == {"secret", "passwd", "shared", "access.log", "folder"}


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_parent_that_everybody_can_write_to(tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str]) -> None:
    """He puts a folder, or a link, of his own in the log's folder's place, where that is not sticky."""
    world = World(tmp_path)
    open_folder = tmp_path / "open"
    (open_folder / "logs").mkdir(parents=True)
    open_folder.chmod(mode)
    (open_folder / "logs" / "access.log").write_text(line(1))
    world.edge.set(path=str(open_folder / "logs" / "access.log"))
    world.folder = open_folder
    if mode == 0o777:
        assert world.edge.private == tmp_path / ".edgetally" / "access"
        world.attack('mv logs away && ln -s "$1" logs', str(world.treasure))
        assert world.rotate() == 1
        assert "it is a link that root does not own" in said(capsys)[0]
    else:
        assert world.edge.private == open_folder / "logs" / ".edgetally" / "access"
        assert world.attacker("mv logs away").wait(SECONDS) != 0
        assert world.rotate() == 0
    assert names(world.treasure) == {"secret", "passwd", "shared", "access.log", "folder"}


def test_a_folder_that_goes_away(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.edge.set(path=str(world.folder / "logs" / "access.log"))
    world.attack('mkdir logs; echo "$LINE" >logs/access.log')
    assert world.rotate() == 0
    world.attack('echo "$LINE" >>logs/access.log; mv logs away')
    assert world.rotate() == 1
    assert "it is not there" in said(capsys)[0]
    world.attack("mv away logs")
    assert world.rotate() == 0
    assert sum(body["lines"] for body in world.edge.bodies()) == 2


# --- the private place, and forged names


def test_a_private_place_of_his_own_making_means_nothing(world: World) -> None:
    """Root's lies in a folder that he cannot change."""
    world.attack("mkdir -p .edgetally/access; mkfifo .edgetally/access/live; ln -s / .edgetally/access/next")
    world.attack(f'echo forged >.edgetally/access/{GENERATION}-1-0.000-99999999999.000; echo "$LINE" >access.log')
    for _ in range(2):
        assert world.rotate() == 0
    assert world.edge.private == world.folder.parent / ".edgetally" / "access"
    assert names(world.folder / ".edgetally" / "access") >= {"live", "next"}
    assert world.edge.kept() == [PIN]
    status = world.edge.private.parent.lstat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o700)
    assert world.attacker('ls "$1"', str(world.edge.private)).wait(SECONDS) != 0


@pytest.mark.parametrize("how", ["mkdir -p .edgetally/access", 'ln -s "$1" .edgetally', "mkfifo .edgetally"])
def test_a_private_place_from_when_the_folder_was_his_is_refused(
    world: World, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.attack(how, str(world.treasure))
    os.chown(world.folder, 0, 0)
    world.log.write_text(line(1))
    assert world.rotate() == 1
    (text,) = said(capsys)
    assert f"{world.folder / '.edgetally'} is not a folder of root's alone: remove it" in text
    assert world.log.stat().st_size == len(line(1))
    assert names(world.treasure) == {"secret", "passwd", "shared", "access.log", "folder"}


def forge(world: World, made: bool) -> None:
    """Put what an older program would have renamed beside the log, with far numbers and times, and as no files."""
    now, old = time.time(), "access.log.edgetally-"
    items = [
        Renamed(world.folder, GENERATION, seq, start, end, mark)
        for seq in (1, 5, 6, 10**17)
        for start, end in ((0.0, 1.0), (now - 9e8, now), (now, now + 9e9))
        for mark in ("", "absent", "broken")
    ]
    for number, item in enumerate(items):
        path = world.folder / f"{old}{item.name}"
        if not made or number % 4:
            put_odd(("pipe", "link", "folder", "other name")[number % 4], path, world.treasure / "shared")
        else:
            path.write_text(line(number))
        os.lchown(path, NOBODY, NOBODY) if number % 4 != 3 else None


@pytest.mark.parametrize("upgraded", [True, False])
def test_forged_names_beside_the_log(world: World, upgraded: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of an older program are looked at once, when this one follows it; then nothing there means anything."""
    world.attack('echo "$LINE" >access.log')
    state = State(world.edge.stream.name, str(world.log), GENERATION, 5, round(time.time() - 300, 3), None)
    save_state(world.edge.spool, "access", state._replace(private="" if upgraded else str(world.edge.private)))
    forge(world, made=False)
    before = names(world.folder)
    world.rotate()
    assert names(world.folder) == before
    assert len(said(capsys)) == 1, "that nobody knows what was there before the log"
    assert [body["seq"] for body in world.edge.bodies()] == [5, 6]
    assert world.rotate() == 0
    assert [body["seq"] for body in world.edge.bodies()] == [5, 6, 7]


def test_forged_names_of_plain_files_are_at_most_his_own_lines(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """He could have written them into his log: but no number comes twice, and no time lies ahead."""
    world.attack('echo "$LINE" >access.log')
    last = round(time.time() - 300, 3)
    save_state(world.edge.spool, "access", State("edge1/access", str(world.log), GENERATION, 5, last, None))
    forge(world, made=True)
    world.rotate()
    world.rotate()
    said(capsys)
    numbers = [body["seq"] for body in world.edge.bodies()]
    assert len(numbers) == len(set(numbers))
    assert max(numbers) < 10
    assert all(body["covers"][1] < time.time() + 60 for body in world.edge.bodies())


def test_names_of_a_glob_that_are_no_names(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.edge.set(path=str(world.folder / "*.log"))
    world.attack("touch 'a\nb.log' ' .log' ./-rf.log; mkfifo pipe.log")
    world.attack('ln -s "$1/secret" link.log', str(world.treasure))
    world.attack(f"touch access.log.edgetally-{GENERATION}-1-0.000-1.000.log")
    assert world.rotate() == 1
    texts = said(capsys)
    assert len(texts) == 4
    streams = {body["stream"] for body in world.edge.bodies()}
    assert streams == {"edge1/access.pipe", "edge1/access.link", "edge1/access.-rf"}


def test_a_place_that_was_his_is_not_looked_into(world: World) -> None:
    """Root's private place was in the log's folder until that was made his: he puts another folder of root's there."""
    os.chown(world.folder, 0, 0)
    world.log.write_text(line(1))
    assert world.rotate() == 0
    os.chown(world.folder, NOBODY, NOBODY)
    world.attack('mv .edgetally away && ln -s "$1" .edgetally', str(world.treasure.parent))
    shutil.copytree(world.treasure, world.treasure.parent / "access")
    world.rotate()
    assert names(world.treasure.parent / "access") == names(world.treasure)
    world.attack("rm .edgetally")
    assert world.edge.private == world.folder.parent / ".edgetally" / "access"


def test_the_attacker_is_real(world: World) -> None:
    """Else none of this proves anything."""
    assert world.attacker("cat ../treasure/secret").wait(SECONDS) != 0
    world.attack("cat ../treasure/passwd >copy")
    world.attack('echo "$LINE" >access.log')
    wait_for("file of nobody's", lambda: world.log.stat().st_uid == NOBODY)
