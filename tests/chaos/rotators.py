"""Other programs at the logs of an edge: those that rotate them, and those that put strange things beside them."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edgetally.edge.spool import BatchName, Spool
from edgetally.edge.state import read_state
from tests.chaos.world import Cache, World
from tests.chaos.writer import Writer

KEPT = 3  # by those that count their old logs: what was rotated before is deleted
NOBODY = 65534

Rotator = Callable[[World, Cache, Writer, random.Random], bool]


def rename(world: World, cache: Cache, writer: Writer, chance: random.Random) -> bool:
    """As logrotate does: the log gets another name, and its server is asked for a new one."""
    if _rename(world, cache, writer, chance) is None:
        return False
    time.sleep(chance.choice([0.0, chance.uniform(0.0, 0.3)]))
    writer.wish.touch()
    time.sleep(chance.uniform(0.0, 0.3))
    return True


def copy_and_truncate(world: World, cache: Cache, writer: Writer, chance: random.Random) -> bool:
    """As logrotate does with copytruncate: what is written between the copy and the truncation is lost to everybody.

    Not a log in which no run has seen a line yet: that leaves no trace, as docs/reference/edge.md says.
    """
    target = _new_name(writer, chance)
    try:
        with writer.log.open("r+b") as log:
            if not _is_seen(cache, writer, os.fstat(log.fileno())):
                return False
            target.write_bytes(log.read())
            time.sleep(chance.choice([0, 0.1, 0.5]))  # a large log takes its time
            log.truncate(0)
    except FileNotFoundError:
        return False
    world.note(cache.folder, f"{writer.log.name} copied to {target.name} and truncated")
    return True


def _is_seen(cache: Cache, writer: Writer, status: os.stat_result) -> bool:
    """Whether a run has noted this log, with a line in it."""
    log = writer.stream.partition("/")[2]
    state = read_state(Spool(cache.folder / "spool"), log)
    live = state.live if state else None
    return live is not None and live.size > 0 and (live.dev, live.inode) == (status.st_dev, status.st_ino)


def delete(world: World, cache: Cache, writer: Writer, chance: random.Random) -> bool:
    """Keeps nothing: the log gets another name or none, and is deleted, mostly with its server still at it."""
    if chance.random() < 0.3:
        with contextlib.suppress(FileNotFoundError):
            writer.log.unlink()
            world.note(cache.folder, f"{writer.log.name} deleted")
            writer.wish.touch()
            return True
        return False
    old = _rename(world, cache, writer, chance)
    if old is None:
        return False
    writer.wish.touch()
    time.sleep(chance.choice([0.0, chance.uniform(0.0, 0.3), chance.uniform(0.0, 3.0)]))
    with contextlib.suppress(FileNotFoundError):  # the edge, or another rotator, was first
        old.unlink()
        world.note(cache.folder, f"{old.name} deleted")
    return True


def _rename(world: World, cache: Cache, writer: Writer, chance: random.Random) -> Path | None:
    target = _new_name(writer, chance)
    try:
        os.rename(writer.log, target)
    except FileNotFoundError:
        return None
    world.note(cache.folder, f"{writer.log.name} renamed to {target.name}")
    return target


def _new_name(writer: Writer, chance: random.Random) -> Path:
    """A name of its own; or number 1, and the others move on, and the last goes."""
    log = writer.log
    if chance.random() < 0.5:
        return log.with_name(f"{log.name}.{time.time_ns()}")
    for number in range(KEPT, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(log.with_name(f"{log.name}.{number}"), log.with_name(f"{log.name}.{number + 1}"))
    with contextlib.suppress(FileNotFoundError):
        log.with_name(f"{log.name}.{KEPT + 1}").unlink()
    return log.with_name(f"{log.name}.1")


def at_once(rotators: Sequence[Rotator], world: World, cache: Cache, writer: Writer, chance: random.Random) -> bool:
    """Several of them on one log at the same time, each with a chance of its own."""
    done = []

    def rotate(rotator: Rotator, seed: float) -> None:
        with contextlib.suppress(OSError):
            done.append(rotator(world, cache, writer, random.Random(seed)))

    threads = [threading.Thread(target=rotate, args=(rotator, chance.random())) for rotator in rotators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return any(done)


# --- strange things in the log's folder


def strange_thing(cache: Cache, writer: Writer, chance: random.Random) -> Path | None:
    """Make one: a link, a FIFO, a device or a plain file, under a name of a rotated log. None where it cannot be."""
    path = writer.log.parent / chance.choice([_rotated_name, _forged_name, _forged_name])(cache, writer, chance)
    what = chance.choice(["link", "link to nothing", "second name", "FIFO", "device", "file", "file"])
    try:
        if what == "second name":
            os.link(writer.log, path)
            return path
        if what.startswith("link"):
            path.symlink_to(writer.log if what == "link" else "/nowhere")
        elif what == "FIFO":
            os.mkfifo(path)
        elif what == "device":
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # null
        else:
            path.touch(0o640)
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    except OSError:
        return None
    return path


def _rotated_name(_cache: Cache, writer: Writer, chance: random.Random) -> str:
    return f"{writer.log.name}.{chance.choice(['1', '7', 'old', '1.gz'])}"


def _forged_name(cache: Cache, writer: Writer, chance: random.Random) -> str:
    """A name that an edge of an older version gave to a log that it had renamed; with its generation, if there is."""
    names = filter(None, (BatchName.parse(path.name) for path in (cache.folder / "spool" / "sent").glob("*.json")))
    known = sorted({name.generation for name in names})
    generation = chance.choice([*known, f"{chance.getrandbits(64):016x}"])
    number = chance.choice([1, chance.randint(2, 500), 10**6])
    end = time.time() + chance.choice([-86400, -10, 0, 300, 86400])
    mark = chance.choice(["", "", "-absent", "-broken"])
    return f"{writer.log.name}.edgetally-{generation}-{number}-{end - 300:.3f}-{end:.3f}{mark}"


def remove(path: Path) -> None:
    """Take away what was made, if it is there yet; who waits at a FIFO waits no longer."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISFIFO(path.lstat().st_mode):
            both = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            path.unlink()
            time.sleep(0.05)
            os.close(both)
        else:
            path.unlink()
