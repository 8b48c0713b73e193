"""An edge in a folder, for the tests: its configuration, its logs, and a real process that writes to one.

edge = Edge(tmp_path)
with Writer(edge.log) as server:            # holds the log open, as a server does
    server.write(3)                         # lines 0, 1 and 2
    edge.ship()
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgetally.config import EdgeConfig, load_edge
from edgetally.edge import ship
from edgetally.edge.place import PIN, PRIVATE
from edgetally.edge.renamed import Renamed
from edgetally.edge.rotation import Rotation, take_over
from edgetally.edge.spool import Spool
from edgetally.edge.state import State, load_state, note_live, read_state
from edgetally.edge.streams import Stream, find_streams

KEY = "00" * 32

# A server: holds its log open, writes a numbered line for each line of its input, reopens the log on SIGUSR1.
_WRITER = """
import os, signal, sys
path = sys.argv[1]
log = [open(path, "ab", buffering=0)]
signal.signal(signal.SIGUSR1, lambda *_: log.insert(0, open(path, "ab", buffering=0)) or log.pop().close())
for text in iter(sys.stdin.readline, ""):
    log[0].write(text.encode())
    print(flush=True)
"""


def wait_for(what: str, condition: Callable[[], Any], timeout: float = 60.0) -> Any:
    """The first true value of a condition; an AssertionError names `what` when there is none in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"after {timeout:g} s there was no {what}")


def line(number: int, when: float | None = None, host: str = "a.example.com") -> str:
    """A vhost_combined line of the nature of an access log; its size is its number plus 1,000."""
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() if when is None else when))
    return f'{host}:80 192.0.2.1 - - [{stamp}] "GET /{number} HTTP/1.1" 200 {number + 1000} "-" "test"\n'


ODD = ("pipe", "link", "folder", "other name", "device")  # what may stand under a log's name, and is no log


def put_odd(odd: str, path: Path, target: Path) -> None:
    """Put something under a name; a link and another name are the target's."""
    if odd == "pipe":
        os.mkfifo(path)
    elif odd == "link":
        path.symlink_to(target)
    elif odd == "folder":
        path.mkdir()
    elif odd == "other name":
        os.link(target, path)
    elif odd == "device":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # as /dev/zero: it has no end
    else:
        raise ValueError(odd)


class Writer:
    """A process that holds a log open for writing and reopens it on SIGUSR1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Writer:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.write(0)
        wait_for("live log", self.path.exists)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    def write(self, count: int, when: float | None = None) -> None:
        """Write the next lines; they are in the file when this returns."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for number in range(self.number, self.number + count):
            self.process.stdin.write(line(number, when))
            self.process.stdin.flush()
            self.process.stdout.readline()
        self.number += count

    def reopen(self) -> None:
        """Ask for a new log and wait until it is there."""
        os.kill(self.pid, signal.SIGUSR1)
        wait_for("new log", self.path.exists)

    def stop(self) -> None:
        """End the process as a crash does."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate()


class Edge:
    """An edge whose files all lie under one folder."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.folder = folder
        self.log = folder / "log" / "access.log"
        self.log.parent.mkdir(exist_ok=True)
        (folder / "channels.json").write_text('[{"channel": "web", "host": "a.example.com"}]')
        self.file = folder / "edge.json"
        self.data: dict[str, Any] = {
            "edge": "edge1",
            "key_id": "01234567",
            "key": KEY,
            "job_servers": ["127.0.0.1:1"],
            "spool": str(folder / "spool"),
            "channels": str(folder / "channels.json"),
            "splay": 0,
            "user": "",
            "close_timeout": 5,
            "receipt_wait": 5,
            "linger_timeout": 0,
            "logs": [{"name": "access", "path": str(self.log), "format": "vhost_combined", "reopen": ""}],
        }
        self.set(**fields)
        (folder / "spool").mkdir(exist_ok=True)
        self.spool.prepare()

    def set(self, **fields: Any) -> None:
        """Change the configuration; reopen=… is the first log's."""
        for name, value in fields.items():
            if name in ("reopen", "path", "format"):
                self.data["logs"][0][name] = value
            else:
                self.data[name] = value
        self.file.write_text(json.dumps(self.data))

    @property
    def config(self) -> EdgeConfig:
        """The configuration as the program reads it."""
        return load_edge(str(self.file))

    @property
    def spool(self) -> Spool:
        """The spool."""
        return Spool(self.config.spool)

    @property
    def stream(self) -> Stream:
        """The first log's stream."""
        return find_streams(self.config)[0][0]

    def ship(self, **options: bool) -> int:
        """One run in this process; its exit status."""
        return ship.run(self.config, ship.Options(**options))

    def rotate(self) -> int:
        """The first half of a run: everything but the delivery."""
        work = ship.Ship(self.config, self.spool)
        work.phase("rotate", work.rotate_all)
        return work.status

    def turn(self, over: bool = True) -> tuple[list[Renamed], list[str]]:
        """The rotation of the first log alone: the renamed files, and what is said. Nothing is closed or tallied.

        over: pin a log that the server has made, and note it, as the end of a run does.
        """
        stream = self.stream
        with stream.place() as place:
            take_over(stream, place, read_state(self.spool, stream.log))
            rotation = Rotation(self.config, self.spool, stream, place, load_state(self.spool, stream, place))
            rotation.recover()
            rotation.run()
            if over and rotation.made and not place.status(PIN):
                place.pin()
        if over:
            self.note()
        return rotation.made, rotation.problems

    def note(self) -> None:
        """Note the live log of the first stream, as the end of a run does."""
        stream = self.stream
        with stream.place() as place:
            note_live(self.spool, stream, place)

    @property
    def state(self) -> State:
        """The state of the first log as it is written."""
        state = read_state(self.spool, self.stream.log)
        assert state is not None
        return state

    @property
    def private(self) -> Path:
        """The first log's private place, which may not be there yet."""
        with self.stream.place(make=False) as place:
            return place.private

    def kept(self) -> list[str]:
        """The names in the private place."""
        return sorted(path.name for path in self.private.iterdir()) if self.private.is_dir() else []

    def bodies(self, folder: str = "outbox") -> list[dict[str, Any]]:
        """The batches in outbox/, sent/ or held/, in order."""
        place = Path(self.config.spool) / folder
        return [json.loads((place / str(name)).read_bytes()) for name in self.spool.batches(place)]

    def files(self) -> list[str]:
        """The names in the log's folder, but for the private place, and of the private place but for the pin."""
        beside = [path.name for path in self.log.parent.iterdir() if path.name != PRIVATE]
        return sorted(beside + [name for name in self.kept() if name != PIN])
