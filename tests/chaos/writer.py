"""A live log and its writer: keeps it open, buffers, tears lines, and reopens late or never. It knows what it wrote."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from edgetally.limits import SLOT_SECONDS, UNASSIGNED

CHANNELS = 1500  # so many that a (slot, channel) has a few lines of a log, whose sizes tell which of them it counts
NOBODYS_HOST = "else.example.org"

Cell = tuple[int, str]  # slot, channel


def rules() -> list[dict[str, str]]:
    """The channel map: a channel a host, and one host that is nobody's."""
    return [{"channel": f"c{number}", "host": f"h{number}.example.com"} for number in range(1, CHANNELS)]


@dataclass
class Line:
    """A line of a log. began, ended: when its writing began, and when all of it was in the file; epoch s."""

    cell: Cell
    size: int
    began: float
    ended: float = 0.0


class Writer(threading.Thread):
    """The server of one log. The file `wish` asks it for a new log, as a signal does."""

    def __init__(self, log: Path, wish: Path, stream: str, seed: str) -> None:
        super().__init__(name=f"writer of {log}")
        self.log, self.wish, self.stream = log, wish, stream
        self.lines: list[Line] = []
        self.ahead = 0  # of the true time is the server's clock, seconds
        self.quiet = threading.Event()  # no more lines, and a new log at once when asked
        self.last = threading.Event()  # one more line, the last one
        self.ended = threading.Event()  # that is written
        self.stop = threading.Event()
        self._chance = random.Random(seed)
        self._size = random.Random(f"{seed} sizes")
        self._file = self._open()
        self._old: list[tuple[float, int]] = []  # (until when, file): other processes of the server finish a transfer
        self._torn = b""  # the rest of a line whose beginning is in the file
        self._torn_line: Line | None = None

    def _now(self) -> float:
        return time.time() + self.ahead

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
            if self.quiet.is_set():
                self._end()
            else:
                self._write(self._chance.randint(0, 6))
            self._linger()
            self.stop.wait(self._chance.uniform(0.0, 0.15))
        os.close(self._file)

    def _end(self) -> None:
        """What was begun is written; and the last line, into the log of that name, once it is asked for."""
        self._end_line()
        if self.last.is_set() and not self.ended.is_set() and not self._old:
            self._reopen()
            self._put(self._file, [self._line()])
            self.ended.set()

    def _reopen(self) -> None:
        old, new = self._file, self._open()
        self._end_line()
        if os.path.samestat(os.fstat(old), os.fstat(new)):  # nobody had renamed it; no server tears its own lines
            os.close(new)
            return
        self._file = new
        self._old.append((time.monotonic() + self._chance.choice([0, 0, 0.3, 1.0, 3.0]), old))

    def _linger(self) -> None:
        """What still goes to older files, before they are closed."""
        now = float("inf") if self.quiet.is_set() else time.monotonic()
        for until, file in self._old:
            if now >= until:
                os.close(file)
            elif self._chance.random() < 0.2:
                self._put(file, [self._line()])
        self._old = [(until, file) for until, file in self._old if now < until]

    def _end_line(self) -> None:
        if self._torn_line:
            os.write(self._file, self._torn)
            self._torn_line.ended = self._now()
            self._torn_line = None

    def _write(self, count: int) -> None:
        """A buffer of lines; sometimes its last line is torn, and its rest comes with the next buffer."""
        self._end_line()
        if count:
            tears = count > 1 and self._chance.random() < 0.3
            self._put(self._file, [self._line() for _ in range(count)], self._chance.randint(1, 40) if tears else 0)

    def _put(self, file: int, lines: list[bytes], keep: int = 0) -> None:
        """Write new lines at once, but for the last bytes: a torn line, whose end `_end_line` will note."""
        buffer = b"".join(lines)
        os.write(file, buffer[: len(buffer) - keep])
        now = self._now()
        for line in self.lines[-len(lines) :]:
            line.ended = now
        if keep:
            self._torn, self._torn_line = buffer[-keep:], self.lines[-1]

    def _line(self) -> bytes:
        """A line of a transfer that ended a while ago. Its size is a number that no other line is likely to have."""
        began = self._now()
        when = int(began) - self._chance.randint(0, 400)
        number = len(self.lines) % CHANNELS
        host, channel = (f"h{number}.example.com", f"c{number}") if number else (NOBODYS_HOST, UNASSIGNED)
        size = self._size.randrange(1, 1 << 40)
        self.lines.append(Line((when // SLOT_SECONDS * SLOT_SECONDS, channel), size, began))
        stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(when))
        request = f'"GET /{len(self.lines)} HTTP/1.1" 200 {size} "-" "chaos"'
        return f"{host}:80 192.0.2.1 - - [{stamp}] {request}\n".encode()
