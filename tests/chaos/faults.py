"""The faults. Each is a function of the world and a random generator; what it breaks it mends itself, or time does."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edgetally.errors import EdgetallyError
from edgetally.health.aggregator import aggregator_status
from edgetally.limits import DAY
from edgetally.wire import submit
from edgetally.wire.batch import FUNCTION, Batch
from edgetally.wire.envelope import seal
from tests.chaos import rotators
from tests.chaos.bad_host import Host
from tests.chaos.world import LEASE_SECONDS, Cache, World, age_outbox, copy_tree, reconcile
from tests.chaos.writer import Writer
from tests.support import servers

Fault = Callable[[World, random.Random], bool]  # false where there was nothing to break
TAKEOVER_SECONDS = 30.0
NO_TAKEOVER = "takeovers not seen"
LATE_TAKEOVER = "takeovers late"
NOBODY = "nobody"


def kill_ship(world: World, chance: random.Random) -> bool:
    """At a random moment of a run."""
    cache = chance.choice(world.caches)
    before = cache.runs
    deadline = time.monotonic() + 3
    while cache.runs == before and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(chance.uniform(0.1, 0.7))
    cache.signal(signal.SIGKILL)
    world.note(cache.folder, "ship killed")
    return True


# Those that do something, or tell something of the world; the others only work in memory.
_CALLS = (
    "rename renameat renameat2 link linkat symlink unlink unlinkat mkdir open openat close read write pwrite64 fsync "
    "fdatasync ftruncate fallocate utimensat fchmod fchown stat fstat lstat newfstatat statx getdents64 fcntl flock "
    "lseek socket connect sendto recvfrom poll vfork clone wait4 seteuid setresuid"
)


def kill_at_a_call(world: World, chance: random.Random) -> bool:
    """Right before any one of a run's system calls. The kernel kills: nothing of the program runs after that."""
    cache = chance.choice(world.caches)
    with cache.resting():
        if not world.calls:
            world.calls = _count_calls(world, cache)
        if not world.calls:
            return False
        name = chance.choice(sorted(world.calls))
        number = world.calls[name]
        # A start of Python opens and reads a lot before the program begins
        which = chance.randint(1 if number < 100 else number * 2 // 3, number)
        kill = [f"--inject={name}:signal=KILL:when={which}", f"--trace={name}"]
        killed = cache.ship(under=["strace", "-qqq", "-o", "/dev/null", *kill]) < 0
        if killed:
            world.note(cache.folder, f"ship killed at {name} {which}")
        return killed


def _count_calls(world: World, cache: Cache) -> dict[str, int]:
    """How often a run makes each system call."""
    table = world.folder / "calls"
    if cache.ship(under=["strace", "-qqq", "-c", "-o", str(table)]) < 0:
        return {}
    rows = [line.split() for line in table.read_text().splitlines()]
    return {row[-1]: int(row[3]) for row in rows if row and row[-1] in _CALLS.split()}


def freeze_ship(world: World, chance: random.Random) -> bool:
    """A run stands still for a while."""
    cache = chance.choice(world.caches)
    cache.signal(signal.SIGSTOP)
    world.note(cache.folder, "ship frozen")
    time.sleep(chance.uniform(0.1, 1.5))
    cache.signal(signal.SIGCONT)
    world.note(cache.folder, "ship goes on")
    return True


def kill_aggregator(world: World, chance: random.Random) -> bool:
    """The active one or the other."""
    victim = chance.choice(world.aggregators.processes) if chance.random() < 0.4 else world.active()
    if victim is None:
        return False
    active = victim is world.active()
    victim.kill()
    victim.wait()
    if active:
        _await_takeover(world, victim)
    return True


def freeze_aggregator(world: World, chance: random.Random) -> bool:
    """The active one stands still, mostly for longer than its lease, and wakes up beside its successor."""
    victim = world.active()
    if victim is None:
        return False
    victim.send_signal(signal.SIGSTOP)
    if chance.random() < 0.6:
        _await_takeover(world, victim)
    else:
        time.sleep(chance.uniform(0.1, LEASE_SECONDS))
    victim.send_signal(signal.SIGCONT)
    return True


def abandon_aggregator(world: World, chance: random.Random) -> bool:
    """The active one stops with jobs in hand and never goes on. Its connection stays, so its jobs come from nowhere."""
    world.aggregators.end_abandoned(keep=3)
    victim = world.active()
    if victim is None:
        return False
    world.mariadb.signal(signal.SIGSTOP)  # so that it has jobs, and cannot commit them
    time.sleep(chance.uniform(0.5, 1.5))
    world.aggregators.abandon(victim)
    world.mariadb.signal(signal.SIGCONT)
    _await_takeover(world, victim)
    for cache in world.caches:
        age_outbox(cache)
    return True


def _await_takeover(world: World, victim: subprocess.Popen[bytes]) -> None:
    """Wait until the writer's row is another's than the victim's, who holds it, or did a moment ago.

    The time counts in which the database answers: without it nobody can take over.
    """
    began = last = time.monotonic()
    answered, whole = 0.0, True
    while answered < TAKEOVER_SECONDS and last - began < 3 * TAKEOVER_SECONDS:
        time.sleep(0.05)
        holder, now = _holder(world), time.monotonic()
        whole = whole and bool(holder)
        if holder and not holder.endswith((f":{victim.pid}", NOBODY)):
            if whole:
                world.takeovers.append(now - began)
            return
        answered += (now - last) if holder else 0.0
        last = now
    world.count(LATE_TAKEOVER if answered >= TAKEOVER_SECONDS else NO_TAKEOVER)


def _holder(world: World) -> str:
    """Who holds the writer's row, or nobody; empty where the database does not answer."""
    with contextlib.suppress(servers.ServerError):
        return world.mariadb.sql("SELECT holder FROM writer", "edgetally").strip() or NOBODY
    return ""


def kill_gearmand(world: World, chance: random.Random) -> bool:
    """With its queue on disk."""
    return _crash(world, world.gearmand, chance)


def wipe_queue(world: World, _chance: random.Random) -> bool:
    """The job server's queue is gone."""
    world.gearmand.kill()
    for path in world.gearmand.folder.glob("queue.db*"):
        path.unlink()
    world.gearmand.start()
    return True


def freeze_gearmand(world: World, chance: random.Random) -> bool:
    """The job server stands still."""
    return _freeze(world.gearmand, chance)


def kill_mariadb(world: World, chance: random.Random) -> bool:
    """The database crashes and recovers."""
    return _crash(world, world.mariadb, chance)


def freeze_mariadb(world: World, chance: random.Random) -> bool:
    """The database stands still."""
    return _freeze(world.mariadb, chance)


def _crash(world: World, server: servers.Server, chance: random.Random) -> bool:
    server.kill()
    time.sleep(chance.uniform(0.0, 0.5))
    server.start()
    return True


def _freeze(server: servers.Server, chance: random.Random) -> bool:
    server.signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0.1, 2.0))
    server.signal(signal.SIGCONT)
    return True


def cut_database(world: World, _chance: random.Random) -> bool:
    """All connections to the database end."""
    world.proxy.cut()
    return True


def lose_commit(world: World, _chance: random.Random) -> bool:
    """The database commits, and the aggregator does not hear of it."""
    world.proxy.lose_commit()
    return True


def repeat_batches(world: World, chance: random.Random) -> bool:
    """Batches of any age come again, in any order, under other unique ids."""
    cache = chance.choice(world.caches)
    bodies = [body for folder in ("outbox", "sent") for body in _bodies(cache, folder)]
    chosen = chance.sample(bodies, min(len(bodies), 8))
    return _submit(world, cache, chosen, chance)


def clone_machine(world: World, chance: random.Random) -> bool:
    """A copy of an edge with a generation of its own ships what the edge has shipped."""
    cache = chance.choice(world.caches)
    with cache.resting():
        time.sleep(1.6)  # what covers less may be clock noise
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        batches = [Batch.decode(body) for body in _bodies(cache, "sent")]
        long = [one for one in batches if one.rows and one.covers[1] - (one.covers[0] or one.covers[1]) > 1.5]
        if long:
            original = chance.choice(long)
            copy = original._replace(generation=f"{chance.getrandbits(64):016x}", seq=2)
            world.note(cache.folder, f"batch {original.generation}-{original.seq} comes as {copy.generation}-2, too")
            return _submit(world, cache, copy.encode(), chance)
        time.sleep(0.2)
    return False


def _bodies(cache: Cache, folder: str) -> list[bytes]:
    found = []
    for path in sorted((cache.folder / "spool" / folder).glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            found.append(path.read_bytes())
    return found


def _submit(world: World, cache: Cache, bodies: list[bytes], chance: random.Random) -> bool:
    jobs = [
        submit.Job(f"{chance.getrandbits(128):032x}", seal(json.loads(body)["stream"], cache.key, body))
        for body in bodies
    ]
    with contextlib.suppress(EdgetallyError):
        return bool(submit.submit([world.gearmand.address], FUNCTION, jobs, 3.0))
    return False


def _one_log(world: World, chance: random.Random) -> tuple[Cache, Writer]:
    cache = chance.choice(world.caches)
    return cache, chance.choice(cache.writers)


def _perhaps_between_runs(cache: Cache, chance: random.Random) -> contextlib.AbstractContextManager[None]:
    return cache.resting() if chance.random() < 0.5 else contextlib.nullcontext()


def foreign_rotation(world: World, chance: random.Random) -> bool:
    """Somebody else's logrotate moves the log away and has the server reopen it, also in the middle of a run."""
    cache, writer = _one_log(world, chance)
    with _perhaps_between_runs(cache, chance):
        return rotators.rename(world, cache, writer, chance)


def copy_and_truncate(world: World, chance: random.Random) -> bool:
    """Somebody else's logrotate copies the log and truncates it, at any moment."""
    return rotators.copy_and_truncate(world, *_one_log(world, chance), chance)


def pair_of_rotators(world: World, chance: random.Random) -> bool:
    """Two after each other, up to five seconds apart; often no run comes between."""
    cache, writer = _one_log(world, chance)
    first, second = chance.choice(
        [
            (rotators.rename, rotators.rename),
            (rotators.copy_and_truncate, rotators.rename),
            (rotators.rename, rotators.copy_and_truncate),
        ]
    )
    apart = chance.choice([0.0, chance.uniform(0.0, 0.5), chance.uniform(0.0, 2.0), chance.uniform(0.0, 5.0)])
    with _perhaps_between_runs(cache, chance):
        done = first(world, cache, writer, chance)
        time.sleep(apart)
        return second(world, cache, writer, chance) or done


def three_rotators(world: World, chance: random.Random) -> bool:
    """Three programs rotate a log at the same time."""
    cache, writer = _one_log(world, chance)
    three = chance.choices([rotators.rename, rotators.copy_and_truncate, rotators.delete], [4, 3, 2], k=3)
    with _perhaps_between_runs(cache, chance):
        return rotators.at_once(three, world, cache, writer, chance)


def deleting_rotator(world: World, chance: random.Random) -> bool:
    """A rotator that keeps no old log."""
    cache, writer = _one_log(world, chance)
    with _perhaps_between_runs(cache, chance):
        return rotators.delete(world, cache, writer, chance)


def hostile_names(world: World, chance: random.Random) -> bool:
    """Who may write to the log's folder puts links, FIFOs, devices and forged names there, and takes them away."""
    cache, writer = _one_log(world, chance)
    made = [rotators.strange_thing(cache, writer, chance) for _ in range(chance.randint(1, 3))]
    things = [path for path in made if path]
    for path in things:
        world.note(cache.folder, f"made {path.name}, {stat.filemode(path.lstat().st_mode)}")
    time.sleep(chance.uniform(0.5, 3.0))
    for path in things:
        rotators.remove(path)
    return bool(things)


def glob_log_goes(world: World, chance: random.Random) -> bool:
    """A log that only a glob names is away for a while: it comes back as it was, or its server makes a new one."""
    globbed = [cache for cache in world.caches if len(cache.writers) > 1]
    cache = chance.choice(globbed)
    log = (writer := chance.choice(cache.writers)).log
    away = cache.folder / "away"
    away.mkdir(exist_ok=True)
    taken = away / f"{log.name}.{time.time_ns()}"
    with _perhaps_between_runs(cache, chance):
        os.rename(log, taken)
        world.note(cache.folder, f"{log.name} taken away")
    time.sleep(chance.uniform(0.0, 3.0))
    if chance.random() < 0.5:
        with contextlib.suppress(FileExistsError):  # the server may have made a new one meanwhile
            os.link(taken, log)
            taken.unlink()
            world.note(cache.folder, f"{log.name} brought back")
            return True
    writer.wish.touch()
    world.note(cache.folder, f"{log.name} asked for")
    return True


def two_machines(world: World, chance: random.Random) -> bool:
    """A second machine has the name and the key of an edge, and ships its own log for a while."""
    cache = chance.choice(world.caches)
    logs = [writer.log.stem for writer in cache.writers]
    twin = world.machine(cache.name, logs, f"{cache.name}-twin{len(world.twins) + 1}")
    world.twins.append(twin)
    world.telling_twice.add(cache.name)  # each has an interface
    world.note(cache.folder, f"{twin.folder.name} begins")
    world.run_machine(twin)
    time.sleep(chance.uniform(2.0, 6.0))
    twin.end_writing()
    deadline = time.monotonic() + 6
    while twin.under_way() and time.monotonic() < deadline:  # else the end will have the rest
        twin.ship()
    world.note(cache.folder, f"{twin.folder.name} ends")
    return True


def clock_hours_ahead(world: World, chance: random.Random) -> bool:
    """An edge's clock is hours ahead for a run or two. Afterwards a person has it begin a new generation."""
    cache = chance.choice(world.caches)
    hours = chance.uniform(1.0, 20.0)
    enough = cache.runs + chance.choice([2, 3])
    cache.faketime = f"+{hours:.2f}h"
    world.note(cache.folder, f"clock {hours:.2f} hours ahead")
    deadline = time.monotonic() + 6
    while cache.runs < enough and time.monotonic() < deadline:
        time.sleep(0.05)
    cache.faketime = ""
    with cache.resting():
        world.note(cache.folder, "clock right, and the state removed")
        for path in (cache.folder / "spool" / "state").glob("*.json"):
            path.unlink()
    return True


def step_clock(world: World, chance: random.Random) -> bool:
    """An edge's clock is wrong for a run or two, and right again."""
    cache = chance.choice(world.caches)
    cache.faketime = f"{chance.choice([-50, -20, -5, 5, 60, 150]):+d}s"
    world.note(cache.folder, f"clock {cache.faketime}")
    time.sleep(chance.uniform(0.3, 1.5))
    cache.faketime = ""
    world.note(cache.folder, "clock right")
    return True


def restore_spool(world: World, chance: random.Random) -> bool:
    """An edge's spool comes back from an older copy, on a machine that went on meanwhile.

    Only where all was delivered: what lay on a lost disk alone is lost. What is held stays, for the oracle.
    """
    cache = chance.choice(world.caches)
    spool, copy = cache.folder / "spool", cache.folder / "copy"

    def restore() -> None:
        copy_tree(spool / "held", copy / "held")
        copy_tree(copy, spool)

    with world.disaster:
        if cache.rolled_back or not _at_rest(cache, lambda: copy_tree(spool, copy)):
            return False
        world.note(cache.folder, "spool copied")
        time.sleep(chance.uniform(0.5, 2.0))
        restored = _at_rest(cache, restore)
        world.telling_twice.add(cache.name)  # it tells again what it has forgotten that it told
        world.note(cache.folder, f"spool restored: {restored}")
        return restored


def _at_rest(cache: Cache, action: Callable[[], None]) -> bool:
    """Do it between two runs, as soon as all is delivered; false where that does not come soon."""
    for _attempt in range(20):
        with cache.resting():
            if not set(cache.under_way()).difference(writer.log for writer in cache.writers):
                action()
                return True
        time.sleep(0.1)
    return False


def fill_spool(world: World, chance: random.Random) -> bool:
    """The disk of an edge's spool is full for a while."""
    cache = chance.choice(world.caches)
    ballast = cache.folder / "spool" / "ballast"
    _fill(ballast)
    time.sleep(chance.uniform(0.3, 2.0))
    ballast.unlink()
    return True


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))


def disk_errors(world: World, chance: random.Random) -> bool:
    """Some of what an edge reads and writes fails, of its logs as of its spool."""
    return _bad_disk(world, chance, errno.EIO, chance.choice([0.01, 0.1, 0.5]))


def over_quota(world: World, chance: random.Random) -> bool:
    """An edge's disk takes nothing more for a while, or now and then nothing."""
    return _bad_disk(world, chance, errno.EDQUOT, chance.choice([0.1, 1.0]))


def slow_disk(world: World, chance: random.Random) -> bool:
    """An edge's disk takes its time."""
    return _bad_disk(world, chance, seconds=chance.uniform(0.001, 0.02))


def _bad_disk(world: World, chance: random.Random, error: int = 0, share: float = 0.0, seconds: float = 0.0) -> bool:
    cache = chance.choice(world.caches)
    what = os.strerror(error) if error else f"{seconds * 1000:.0f} ms a call"
    world.note(cache.folder, f"disk: {what}, {share:.0%}")
    with cache.host.bad_disk(error, share, seconds):
        time.sleep(chance.uniform(0.3, 3.0))
    world.note(cache.folder, "disk well")
    return True


def days_away(world: World, chance: random.Random) -> bool:
    """A new edge reaches no job server for the first three days of its time; then all of them come at once."""
    edge = world.machine(f"away{len(world.away) + 1}")
    edge.edge.set(job_servers=["127.0.0.1:1"])
    edge.set_clock(-3 * DAY)
    world.away.append(edge)
    world.begin_writing(edge)
    for ahead in sorted(chance.randrange(-3 * DAY, 0) for _ in range(6)):
        time.sleep(chance.uniform(0.05, 0.2))
        edge.set_clock(ahead)
    edge.set_clock(0)
    edge.edge.set(job_servers=[world.gearmand.address])
    world.run_cron(edge)
    return True


def queue_disk_bad(world: World, chance: random.Random) -> bool:
    """The disk of the job server's queue fails, is full or slow. It is started anew after errors."""
    error = _bad_server_disk(world.queue_host, chance)
    if error:
        world.gearmand.kill()
        world.gearmand.start()
    return True


def database_disk_bad(world: World, chance: random.Random) -> bool:
    """The database's disk fails, is full or slow. A server that has met errors is started anew."""
    if _bad_server_disk(world.database_host, chance):
        world.mariadb.kill()
        world.mariadb.start()
    return True


def _bad_server_disk(host: Host, chance: random.Random) -> int:
    """Let a disk be bad for a while. Returns the number of its error, 0 where it was only slow."""
    error = chance.choice([0, errno.EIO, errno.EDQUOT])
    share = chance.choice([0.02, 0.5])
    with host.bad_disk(error, share, 0.0 if error else chance.uniform(0.001, 0.05)):
        time.sleep(chance.uniform(0.3, 2.0))
    return error


def strangers(world: World, chance: random.Random) -> bool:
    """Whoever reaches the job server floods it with what nobody has signed."""
    sizes = [int(10 ** chance.uniform(0, 4.5)) for _ in range(chance.choice([20, 300]))]
    forged = [b"edgetally/1 edge1/access 00000000 " + b"0" * 64 + b"\n{}", b"edgetally/1", b""]
    payloads = [chance.choice([*forged, b""])[:size] + chance.randbytes(size) for size in sizes]
    jobs = [submit.Job(f"{chance.getrandbits(128):032x}", payload) for payload in payloads]
    with contextlib.suppress(EdgetallyError):
        return bool(submit.submit([world.gearmand.address], FUNCTION, jobs, 3.0))
    return False


def roll_back_database(world: World, chance: random.Random) -> bool:
    """The database comes back from an older copy of its files; the edges reconcile."""
    with world.disaster:
        _roll_back(world, chance.uniform(0.5, 3.0))
    return True


def power_loss(world: World, chance: random.Random) -> bool:
    """The database does not sync its COMMITs: status says so, and a power loss takes the last second's."""
    with world.disaster:
        world.mariadb.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        said = aggregator_status(str(world.aggregator_file))["problems"]
        if not any("innodb_flush_log_at_trx_commit" in problem for problem in said):
            world.wrong.append(f"status does not say that COMMITs are not synced, but {said}")
        _roll_back(world, chance.uniform(0.2, 1.0))
    return True


def _roll_back(world: World, seconds: float) -> None:
    """Let the database lose what it writes from now on, for so many seconds."""
    data, copy = world.mariadb.folder / "data", world.folder / "db-copy"
    world.mariadb.signal(signal.SIGSTOP)
    copy_tree(data, copy)
    world.mariadb.signal(signal.SIGCONT)
    time.sleep(seconds)
    world.mariadb.kill()
    copy_tree(copy, data)
    world.mariadb.start()
    _reconcile_all(world)


def restore_dump(world: World, chance: random.Random) -> bool:
    """The database is restored from an older dump, as it comes without options: migrate brings what it has not."""
    with world.disaster:
        dump = world.mariadb.dump("edgetally")
        time.sleep(chance.uniform(0.5, 3.0))
        world.mariadb.sql("DROP DATABASE edgetally; CREATE DATABASE edgetally")
        world.mariadb.sql(dump, "edgetally")
        world.migrate()
        _reconcile_all(world)
    return True


def _reconcile_all(world: World) -> None:
    for machine in world.machines:
        machine.rolled_back = True
    for cache in world.caches:
        world.note(cache.folder, "database rolled back")
        reconcile(cache)


def read_only(world: World, chance: random.Random) -> bool:
    """The database takes no writes for a while, as a replica, or while somebody copies it."""
    world.mariadb.sql("SET GLOBAL read_only = 1")
    time.sleep(chance.uniform(0.3, 3.0))
    world.mariadb.sql("SET GLOBAL read_only = 0")
    return True


def drop_privilege(world: World, chance: random.Random) -> bool:
    """Somebody takes a privilege from the aggregator's account; migrate gives it back."""
    lost = chance.choice(["INSERT", "UPDATE", "DELETE", "EXECUTE", "ALL PRIVILEGES"])
    # A connection knows what it may do until it ends
    world.mariadb.sql(f"REVOKE {lost} ON edgetally.* FROM edgetally@'%'; KILL USER edgetally")
    time.sleep(chance.uniform(0.3, 3.0))
    world.migrate()
    return True


def fill_database(world: World, chance: random.Random) -> bool:
    """The database's disk is full for a while, and every batch needs some of it; now and then it crashes of that."""
    ballast = world.mariadb.folder / "ballast"
    world.mariadb.sql("TRUNCATE padding", "edgetally")  # a small file grows with every row
    _fill(ballast)
    try:
        time.sleep(chance.uniform(0.5, 3.0))
        if chance.random() < 0.2:
            world.mariadb.kill()
    finally:
        ballast.unlink()
    if not _holder(world):
        world.mariadb.kill()
        world.mariadb.start()
    return True


def hide_table(world: World, chance: random.Random) -> bool:
    """A table is not there for a while, as while somebody copies it."""
    table = chance.choice(["batch_body", "channel_traffic", "writer", "missing"])
    world.mariadb.sql(f"RENAME TABLE {table} TO hidden", "edgetally")
    time.sleep(chance.uniform(0.3, 3.0))
    world.mariadb.sql(f"RENAME TABLE hidden TO {table}", "edgetally")
    return True


# Those of one victim come one after the other, those of different victims at the same time.
EDGE, LOG, JOB_SERVER, AGGREGATOR, DATABASE = "edge", "log", "job server", "aggregator", "database"


class Kind(NamedTuple):
    """A kind of fault: what it does, to whom, how often among all."""

    run: Fault
    victim: str
    weight: int


KINDS = {
    "kill ship": Kind(kill_ship, EDGE, 14),
    "kill at a call": Kind(kill_at_a_call, EDGE, 14),
    "freeze ship": Kind(freeze_ship, EDGE, 4),
    "step a clock": Kind(step_clock, EDGE, 5),
    "clock hours ahead": Kind(clock_hours_ahead, EDGE, 1),
    "restore a spool": Kind(restore_spool, EDGE, 3),
    "fill a spool": Kind(fill_spool, EDGE, 5),
    "two machines": Kind(two_machines, EDGE, 1),
    "disk errors": Kind(disk_errors, EDGE, 5),
    "over quota": Kind(over_quota, EDGE, 4),
    "slow disk": Kind(slow_disk, EDGE, 2),
    "days away": Kind(days_away, EDGE, 1),
    "foreign rotation": Kind(foreign_rotation, LOG, 6),
    "copy and truncate": Kind(copy_and_truncate, LOG, 4),
    "pair of rotators": Kind(pair_of_rotators, LOG, 6),
    "three rotators": Kind(three_rotators, LOG, 3),
    "deleting rotator": Kind(deleting_rotator, LOG, 3),
    "hostile names": Kind(hostile_names, LOG, 4),
    "a glob's log goes": Kind(glob_log_goes, LOG, 3),
    "kill gearmand": Kind(kill_gearmand, JOB_SERVER, 10),
    "wipe queue": Kind(wipe_queue, JOB_SERVER, 10),
    "freeze gearmand": Kind(freeze_gearmand, JOB_SERVER, 4),
    "repeat batches": Kind(repeat_batches, JOB_SERVER, 14),
    "clone a machine": Kind(clone_machine, JOB_SERVER, 6),
    "queue's disk": Kind(queue_disk_bad, JOB_SERVER, 4),
    "strangers": Kind(strangers, JOB_SERVER, 4),
    "kill aggregator": Kind(kill_aggregator, AGGREGATOR, 6),
    "freeze aggregator": Kind(freeze_aggregator, AGGREGATOR, 3),
    "abandon aggregator": Kind(abandon_aggregator, AGGREGATOR, 2),
    "kill MariaDB": Kind(kill_mariadb, DATABASE, 5),
    "freeze MariaDB": Kind(freeze_mariadb, DATABASE, 3),
    "cut database": Kind(cut_database, DATABASE, 16),
    "lose a COMMIT": Kind(lose_commit, DATABASE, 16),
    "fill the database": Kind(fill_database, DATABASE, 4),
    "roll the database back": Kind(roll_back_database, DATABASE, 2),
    "power loss": Kind(power_loss, DATABASE, 2),
    "restore a dump": Kind(restore_dump, DATABASE, 2),
    "database's disk": Kind(database_disk_bad, DATABASE, 4),
    "read only": Kind(read_only, DATABASE, 3),
    "drop a privilege": Kind(drop_privilege, DATABASE, 3),
    "hide a table": Kind(hide_table, DATABASE, 2),
}


def run(world: World, kind: str, seed: str) -> None:
    """One fault. What finds its victim gone is no error: another fault was first."""
    done = False
    with contextlib.suppress(servers.ServerError, OSError, shutil.Error):
        done = KINDS[kind].run(world, random.Random(seed))
    world.count(f"fault: {kind}" if done else f"idle: {kind}")
