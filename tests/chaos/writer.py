"""A live log and its writer: keeps it open, buffers, tears lines, and reopens late or never. It knows what it wrote."""

from __future__ import annotations

import calendar
import contextlib
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

from edgetally.limits import SLOT_SECONDS

HOSTS = {"a.example.com": "web", "b.example.com": "web", "v.example.com": "video", "else.example.org": "unassigned"}

Cell = tuple[int, str]  # slot, channel


class Account:
    """What was written: requests and bytes of every (slot, channel)."""

    def __init__(self) -> None:
        self.requests: Counter[Cell] = Counter()
        self.bytes: Counter[Cell] = Counter()

    def add(self, cell: Cell, requests: int, size: int) -> None:
        """Add to a cell; negative numbers take away."""
        self.requests[cell] += requests
        self.bytes[cell] += size


def read_line(line: bytes) -> tuple[Cell, int, int]:
    """The cell, the requests (1) and the bytes of a line."""
    host, _, rest = line.decode().partition(":")
    stamp = rest[rest.index("[") + 1 : rest.index("]")]
    when = calendar.timegm(time.strptime(stamp, "%d/%b/%Y:%H:%M:%S +0000"))
    return (when // SLOT_SECONDS * SLOT_SECONDS, HOSTS[host]), 1, int(rest.split()[-3])


class Writer(threading.Thread):
    """The server of one log. folder/reopen asks it for a new log, as a signal does."""

    def __init__(self, folder: Path, seed: str) -> None:
        super().__init__(name=f"writer of {folder.name}")
        self.log = folder / "log" / "access.log"
        self.wish = folder / "reopen"
        self.account = Account()
        self.lines = 0
        self.quiet = threading.Event()  # no more lines, and a new log at once when asked
        self.stop = threading.Event()
        self.copying = threading.Event()  # another rotator's copytruncate is asked for
        self.copies = 0
        self._chance = random.Random(seed)
        self._size = random.Random(f"{seed} sizes")
        self._file = self._open()
        self._old: list[tuple[float, int]] = []  # (until when, file): other processes of the server finish a transfer
        self._torn = b""  # the rest of a line whose beginning is in the file

    def _open(self) -> int:
        return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def run(self) -> None:
        """Write until told to be quiet; keep the log open until told to stop."""
        reopen_at = float("inf")
        while not self.stop.is_set():
            if self.wish.exists():
                self.wish.unlink(missing_ok=True)
                # Mostly at once, sometimes late, now and then not before the next wish
                waits = reopen_at == float("inf") and not self.quiet.is_set()
                reopen_at = time.monotonic() + (self._chance.choice([0, 0, 0, 0.1, 0.5, 2, 1e9]) if waits else 0)
            if time.monotonic() >= reopen_at or (self.quiet.is_set() and reopen_at < float("inf")):
                self._reopen()
                reopen_at = float("inf")
            if self.copying.is_set():
                self._copy_and_truncate()
                self.copying.clear()
            if self.quiet.is_set():
                self._end_line()
            else:
                self._write(self._chance.randint(0, 6))
            self._linger()
            self.stop.wait(self._chance.uniform(0.0, 0.15))
        os.close(self._file)

    def _reopen(self) -> None:
        old, new = self._file, self._open()
        self._end_line()
        if os.path.samestat(os.fstat(old), os.fstat(new)):  # nobody had renamed it; no server tears its own lines
            os.close(new)
            return
        self._file = new
        self._old.append((time.monotonic() + self._chance.choice([0, 0, 0.3, 1.0, 3.0]), old))

    def _copy_and_truncate(self) -> None:
        """What another rotator does with the log under its name; it loses nothing here, as nobody writes meanwhile."""
        self._end_line()
        with contextlib.suppress(FileNotFoundError), self.log.open("r+b") as log:
            if os.path.samestat(os.fstat(log.fileno()), os.fstat(self._file)):
                self.log.with_name(f"{self.log.name}.{time.time_ns()}").write_bytes(log.read())
                time.sleep(self._chance.choice([0, 0.1, 0.5]))  # a large log takes its time
                log.truncate(0)
                self.copies += 1

    def _linger(self) -> None:
        """What still goes to older files, before they are closed."""
        now = float("inf") if self.quiet.is_set() else time.monotonic()
        for until, file in self._old:
            if now >= until:
                os.close(file)
            elif self._chance.random() < 0.2:
                os.write(file, self._line())
        self._old = [(until, file) for until, file in self._old if now < until]

    def _end_line(self) -> None:
        if self._torn:
            os.write(self._file, self._torn)
            self._torn = b""

    def _write(self, count: int) -> None:
        """A buffer of lines; sometimes its last line is torn, and its rest comes with the next buffer."""
        buffer = self._torn + b"".join(self._line() for _ in range(count))
        keep = self._chance.randint(1, 40) if len(buffer) > 200 and self._chance.random() < 0.3 else 0
        if keep:
            buffer, self._torn = buffer[:-keep], buffer[-keep:]
        else:
            self._torn = b""
        if buffer:
            os.write(self._file, buffer)

    def _line(self) -> bytes:
        """A line of a transfer that ended a while ago. Its size is a number that no other line is likely to have."""
        when = int(time.time()) - self._chance.randint(0, 400)
        host = self._chance.choice(list(HOSTS))
        size = self._size.randrange(1, 1 << 40)
        self.account.add((when // SLOT_SECONDS * SLOT_SECONDS, HOSTS[host]), 1, size)
        self.lines += 1
        stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(when))
        return f'{host}:80 192.0.2.1 - - [{stamp}] "GET /{self.lines} HTTP/1.1" 200 {size} "-" "chaos"\n'.encode()
