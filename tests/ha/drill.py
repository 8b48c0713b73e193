"""The drill of the scenario `ha`: every part is lost in turn while traffic runs, and what each loss costs is measured.

    python -m tests.ha.drill --lab LAB.json --sent SENT.json

The administrator's account of the database comes in EDGETALLY_LAB_ADMIN, as user:password. For each loss the drill
waits until every edge has had something counted that it rotated after the loss, and says how long that took. At the end
the binary logs of all nodes say who wrote when: one writer at a time, no transaction twice, none missing. That nothing
was lost or doubled is then verify.yml's matter. Exit status: 0; 1 where
something was not as it must be; 2 for wrong use.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pymysql

from tests.demo import reconcile
from tests.demo.steps import end_cleanly, say
from tests.ha import history
from tests.ha.hosts import DrillError, Host, Lab, cut, until
from tests.ha.world import Traffic, World

LEASE_SECONDS = 20.0
TAKEOVER_SECONDS = 30.0
PATIENCE_SECONDS = 120.0


@dataclass
class Loss:
    """A loss and what it cost. moment, over: epoch seconds; counted: seconds until all edges were counted again.

    silence: how long, in seconds, no aggregator may write.
    """

    title: str
    silence: float
    moment: float = 0.0
    over: float = 0.0
    counted: float = 0.0


class Drill:
    """All losses, one after the other; each leaves the parts as it found them."""

    def __init__(self, world: World, traffic: Traffic) -> None:
        self.world = world
        self.traffic = traffic
        self.cluster = world.cluster
        self.losses: list[Loss] = []

    # --- how a loss is measured

    @contextmanager
    def loss(self, title: str, silence: float = TAKEOVER_SECONDS) -> Iterator[Loss]:
        """Everything inside is the loss; after it, or after `regained`, all edges are counted again."""
        say(title)
        one = Loss(title, silence, time.time())
        yield one
        if not one.over:
            self.regained(one)
        self.losses.append(one)
        say(f"    counted again after {one.counted:.1f} s")

    def regained(self, one: Loss, since: float = 0.0) -> None:
        """Wait until all edges are counted again; from `since` on where the loss was meant to last."""
        begin = since or one.moment
        first = until(
            f"after '{one.title}' every edge is counted again",
            lambda: self.world.first_counted(begin),
            PATIENCE_SECONDS,
        )
        one.counted = first - begin
        one.over = time.time()

    def taken_over(self, epoch: int) -> None:
        """Wait until another aggregator has taken over."""
        until("another aggregator takes over", lambda: self.world.row().epoch > epoch, PATIENCE_SECONDS)

    # --- the losses

    def nothing(self) -> None:
        with self.loss("nothing is lost"):
            pass

    def job_servers(self) -> None:
        first = self.world.jobs[0]
        with self.loss(f"gearmand on {first.name} is killed"):
            first.kill("gearmand.service")
        with self.loss(f"{first.name} loses its power"):
            first.cut_power()
        first.boot()
        first.wait_booted()
        self.world.wait_listening()
        with self.loss(f"{first.name} is frozen") as one, first.frozen():
            self.regained(one)
        self.world.wait_listening()

    def paths_to_job_servers(self) -> None:
        first, edge = self.world.jobs[0], self.world.edges[0]
        with self.loss(f"{edge.name} is cut off from {first.name}") as one, cut(edge, first):
            self.regained(one)
        active = self.world.active()
        with self.loss(f"the active aggregator is cut off from {first.name}") as one, cut(active, first):
            self.regained(one)
        self.world.wait_listening()

    def aggregators(self) -> None:
        world = self.world
        self.drop_a_partition()
        row = world.row()
        with self.loss("the active aggregator is killed"):
            world.active().kill("edgetally-aggregator.service")
            self.taken_over(row.epoch)
        self.check_partitions()
        row, host = world.row(), world.active()
        with self.loss("the active aggregator's host loses its power"):
            host.cut_power()
            self.taken_over(row.epoch)
        host.boot()
        host.wait_booted()
        row, host = world.row(), world.active()
        with self.loss("the active aggregator's host is frozen") as one, host.frozen():
            self.taken_over(row.epoch)
            self.regained(one)
        self.sees_the_fence(host, one.moment)
        row, host = world.row(), world.active()
        away = cut(host, *self.cluster.nodes)
        with self.loss("the active aggregator is cut off from all nodes") as one, away:
            self.taken_over(row.epoch)
            self.regained(one)
        self.sees_the_fence(host, one.moment)
        world.wait_listening()

    def sees_the_fence(self, host: Host, moment: float) -> None:
        """One that was thought dead has to find out by itself that another writes now, and end; then it stands by."""
        log = f"journalctl --unit=edgetally-aggregator --since=@{moment:.0f} --output=cat"
        for words in ("writes nothing more, and ends", "standing by"):
            until(f"{host.name} says '{words}'", partial(self.said, host, log, words), 90)

    def said(self, host: Host, log: str, words: str) -> bool:
        return words in host.sh(log)

    def drop_a_partition(self) -> None:
        """Take the last day's partition away: the next aggregator has to make it again, on all nodes at once."""
        name = self.cluster.ask(
            "SELECT partition_name FROM information_schema.partitions WHERE table_schema = 'edgetally' AND "
            "table_name = 'traffic' AND partition_description <> 'MAXVALUE' ORDER BY partition_ordinal_position DESC"
        )[0][0]
        self.cluster.ask(f"ALTER TABLE traffic DROP PARTITION {name}")

    def check_partitions(self) -> None:
        """All nodes have the partitions of a month ahead."""
        month = (
            "SELECT COUNT(*), MAX(CAST(partition_description AS UNSIGNED)) >= UNIX_TIMESTAMP() + 30 * 86400 "
            "FROM information_schema.partitions WHERE table_schema = 'edgetally' AND table_name = 'traffic'"
        )

        def same() -> bool:
            found = {self.cluster.query(node, month)[0] for node in self.cluster.nodes}
            return len(found) == 1 and bool(found.pop()[1])

        until("the partitions are the same on all nodes, 30 days ahead", same, 30)

    def nodes(self) -> None:
        for title, fault in (
            ("mariadbd on the node in use is killed", lambda node: node.kill("mariadb.service")),
            ("the node in use loses its power", Host.cut_power),
        ):
            with self.loss(title):
                node = self.cluster.used_by(self.world.active())
                fault(node)
            self.back(node)
        node = self.cluster.used_by(self.world.active())
        with self.loss("the node in use is frozen", 45) as one, node.frozen():
            self.regained(one)
        self.cluster.wait_whole()
        node = self.cluster.used_by(self.world.active())
        others = [other for other in self.cluster.nodes if other != node]
        with self.loss("the node in use is cut off from the other nodes") as one, cut(node, *others):
            self.cluster.wait_ready(node, False)
            self.regained(one)
        self.cluster.wait_whole()

    def back(self, *nodes: Host) -> None:
        """Switch nodes on that lost their power, or wait for systemd's restart; and wait until they have caught up."""
        for node in nodes:
            with contextlib.suppress(DrillError):
                node.boot()
        self.cluster.wait_whole(120)

    def quorum(self) -> None:
        nodes = self.cluster.nodes
        with self.loss("all nodes are cut off from each other, then joined again", 60) as one:
            with contextlib.ExitStack() as cuts:
                for number, node in enumerate(nodes[:-1]):
                    cuts.enter_context(cut(node, *nodes[number + 1 :]))
                self.is_lost(nodes)
            self.regained(one, time.time())
        self.cluster.wait_whole()
        survivor = self.cluster.used_by(self.world.active())
        lost = [node for node in nodes if node != survivor]
        with self.loss("two nodes lose their power, and the third is told to go on", 60) as one:
            for node in lost:
                node.cut_power()
            self.is_lost([survivor])
            begin = time.time()
            self.cluster.query(survivor, "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'", None)
            self.regained(one, begin)
        self.back(*lost)
        with self.loss("all three nodes lose their power, and come back", 90) as one:
            for node in nodes:
                node.cut_power()
            begin = time.time()
            self.back(*nodes)
            self.regained(one, begin)

    def is_lost(self, nodes: Sequence[Host]) -> None:
        """No node takes a query, for so long that aggregators and edges notice."""
        for node in nodes:
            self.cluster.wait_ready(node, False)
        time.sleep(5)
        if any(self.cluster.status(node, "wsrep_ready") != "OFF" for node in nodes):
            raise DrillError("a node without the majority takes queries")

    def edge(self) -> None:
        edge = self.world.edges[0]
        with self.loss(f"{edge.name} loses its power in the middle of a run, and comes back") as one:
            with self.traffic.silent():
                time.sleep(1)  # the server has written its last lines
                edge.sh("setsid edgetally ship --now </dev/null >/dev/null 2>&1 & sleep 0.1")
                begin = time.time()
                edge.cut_power()
                edge.boot()
                edge.wait_booted()
                until("the web server is back", lambda: edge.sh("nc -z 127.0.0.1 80 && echo back"), 30)  # logs nothing
            self.world.start_beat(edge)
            self.regained(one, begin)

    def conflicts(self) -> None:
        """Another node's transactions change the writer's row, too: some of the aggregator's fail, and are retried."""
        node = self.cluster.used_by(self.world.active())
        other = next(one for one in self.cluster.nodes if one != node)
        before = self.aborts(node)
        with self.loss("a command writes over another node"), self.cluster.connection(other) as connection:
            end = time.time() + 60
            while self.aborts(node) < before + 3:
                if time.time() > end:
                    raise DrillError(f"no transaction on {node.name} was aborted by those of {other.name}")
                for _ in range(50):
                    # It may be the one that has to give way
                    with contextlib.suppress(pymysql.OperationalError), connection.cursor() as cursor:
                        cursor.execute("UPDATE writer SET txn = txn + 1 WHERE id = 1")
                    time.sleep(0.01)

    def aborts(self, node: Host) -> int:
        """Transactions of a node that lost against another node's; its client was told 1213."""
        counters = ("wsrep_local_bf_aborts", "wsrep_local_cert_failures")
        return sum(int(self.cluster.status(node, name)) for name in counters)

    # --- the account

    def same_tables(self) -> None:
        """Every node has the same rows in all tables but the writer's, which changes all the time."""
        tables = (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'edgetally' AND engine IS NOT NULL"
        )
        names = sorted(name for (name,) in self.cluster.ask(tables) if name != "writer")

        def same() -> bool:
            sums = {
                tuple(self.cluster.query(node, f"CHECKSUM TABLE {', '.join(names)}")) for node in self.cluster.nodes
            }
            return len(sums) == 1 and None not in {value for _name, value in sums.pop()}

        until(f"the tables {', '.join(names)} are the same on all nodes", same, 60)

    def judge(self) -> list[str]:
        """Print the table of losses; what must not be, as sentences."""
        account = history.join({node.name: history.read(node) for node in self.cluster.nodes}, LEASE_SECONDS)
        problems = account.problems[:20]
        print(f"{'loss':64} {'counted again':>14} {'longest silence':>16}")
        for one in self.losses:
            silence = account.silence(one.moment, one.over)
            print(f"{one.title:64} {one.counted:12.1f} s {silence:14.1f} s")
            if silence > one.silence:
                problems.append(
                    f"'{one.title}': no aggregator wrote for {silence:.1f} s, {one.silence:g} s are the most"
                )
        for change in account.takeovers:
            before, after = change
            print(f"epoch {after.epoch:3}: {after.holder:14} {after.at - before.at:5.1f} s after {before.holder}")
        print(f"{len(account.changes)} transactions, {len(account.takeovers)} takeovers")
        return problems

    def run(self, names: Sequence[str]) -> None:
        """All losses, or those that were named."""
        parts: dict[str, Callable[[], None]] = {
            part.__name__: part
            for part in (
                *(self.nothing, self.job_servers, self.paths_to_job_servers, self.aggregators),
                *(self.nodes, self.quorum, self.edge, self.conflicts),
            )
        }
        for name in names or parts:
            parts[name]()
        self.world.wait_listening()


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; run the drill."""
    parser = argparse.ArgumentParser(description="Lose every part in turn.")
    parser.add_argument("--lab", required=True, metavar="LAB.json")
    parser.add_argument("--sent", required=True, metavar="SENT.json")
    parser.add_argument("--only", default="", metavar="PART,…")
    options = parser.parse_args(arguments)
    admin = os.environ.get("EDGETALLY_LAB_ADMIN", "")
    if ":" not in admin:
        print("drill: EDGETALLY_LAB_ADMIN must be user:password", file=sys.stderr)
        return 2
    end_cleanly()
    world = World(Lab(options.lab), admin)
    traffic = Traffic(options.lab, options.sent)
    drill = Drill(world, traffic)
    begun = time.monotonic()
    try:
        for host in world.lab.hosts.values():
            host.mend()  # a drill that was killed may have left a cut
        with world.beats(), traffic.flowing():
            drill.run([name for name in options.only.split(",") if name])
        drill.same_tables()
        problems = drill.judge()
    except (DrillError, reconcile.ReconcileError) as error:
        problems = [str(error)]
    print(f"drill: {time.monotonic() - begun:.0f} s")
    for problem in problems:
        print(f"drill: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
