"""docs/how-to/backup.md: its commands, run as they are written, on one host and on another; the bill is the same.

A host is a mount and process namespace with a /var/lib/mysql and a /run/mysqld of its own, so that Debian's own places
are its. What the page leaves to systemd and Ansible is done by a few lines of shell under the same names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.health.edge import edge_status
from edgetally.ledger import migrate
from edgetally.limits import DAY, SLOT_SECONDS
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, SOURCE, aggregator, aggregator_file, run, wait_for
from tests.support import ROOT, servers
from tests.support.edge import Edge, line

PAGE = ROOT / "docs/how-to/backup.md"
WAYS = ("dump", "files")
TOOLS = {
    "edgetally": f'exec {sys.executable} -m edgetally "$@"',
    "systemctl": """case "$*" in
"start mariadb") setsid mariadbd --user=mysql --skip-networking >/run/mysqld/log 2>&1 &
    until mariadb-admin --silent ping >/dev/null 2>&1; do sleep 0.1; done ;;
"stop mariadb") mariadb-admin shutdown ;;
"start edgetally-aggregator") setsid edgetally aggregate >/run/mysqld/log.aggregator 2>&1 &
    echo $! >/run/mysqld/aggregator ;;
"stop edgetally-aggregator") kill "$(cat /run/mysqld/aggregator)" ;;
*) echo "systemctl $*" >&2; exit 1 ;;
esac""",
    "ansible-playbook": """test "$1" = playbooks/aggregator.yml
edgetally migrate --admin-socket /run/mysqld/mysqld.sock
systemctl start edgetally-aggregator""",
    "ansible": """test "$1 $2 $3" = "edges -m ansible.builtin.command" || exit 1
while [ "$1" != -a ]; do shift; done
$2 --config $EDGE""",
}


class Host:
    """A host with MariaDB, and one aggregator."""

    def __init__(self, folder: Path, tools: Path, backups: Path, edge: Path, job_server: str) -> None:
        folder.mkdir()
        shutil.copytree(servers.empty_database(), folder / "mysql")
        database = DatabaseConfig("edgetally", "secret", socket="/run/mysqld/mysqld.sock")
        (folder / "etc").mkdir()
        aggregator_file(folder / "etc", database, job_server, lease_seconds=2)
        for name in ("run", "data"):
            (folder / name).mkdir()
        start = f"""set -e
        mkdir -p /etc/edgetally /run/mysqld /var/lib/mysql /var/backups
        mount --bind {folder}/etc /etc/edgetally; mount --bind {folder}/run /run/mysqld
        mount --bind {folder}/mysql /var/lib/mysql; mount --bind {backups} /var/backups
        chown -R mysql:mysql /var/lib/mysql /run/mysqld
        echo ready; exec sleep infinity"""
        own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", start]
        self._environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}:/usr/sbin", "PYTHONPATH": str(SOURCE)}
        self._environment["EDGE"] = str(edge)
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(own, stdout=subprocess.PIPE, stderr=self._log)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", (folder / "log").read_text()
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self._inside = ["nsenter", "--target", children.strip(), "--mount", "--pid", f"--wdns={folder}", "bash", "-ec"]

    def run(self, commands: str) -> str:
        """What commands print; all of them succeed."""
        with (Path(self._log.name)).open("ab") as log:
            done = subprocess.run(
                [*self._inside, f"set -o pipefail\n{commands}"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, Path(self._log.name).read_text()
        return done.stdout.decode()

    def end(self) -> None:
        """End it, and all that runs on it."""
        self.process.kill()
        self.process.wait()
        self._log.close()


def steps() -> dict[str, str]:
    """The page's commands, by what they are for."""
    blocks = re.findall(r"(?:^ {4,}\S.*\n)+", PAGE.read_text(), re.MULTILINE)
    names = ("dump", "files", "stop", "restore dump", "restore files", "roll out", "reconcile", "look")
    assert len(blocks) == len(names), blocks
    return dict(zip(names, blocks))


@pytest.fixture
def edge(tmp_path: Path, gearmand: servers.Server) -> Edge:
    key = derive_key(MASTER, "edge1")
    given = {"job_servers": [gearmand.address], "key_id": key.id, "key": key.secret.hex(), "include_existing": True}
    return Edge(tmp_path, receipt_wait=20, **given)


@contextmanager
def hosts(folder: Path, edge: Edge, job_server: str) -> Iterator[tuple[Host, Host]]:
    tools, backups = folder / "tools", folder / "backups"
    backups.mkdir()
    tools.mkdir()
    for name, text in TOOLS.items():
        (tools / name).write_text(f"#!/bin/bash\nset -e\n{text}\n")
        (tools / name).chmod(0o755)
    made = [Host(folder / name, tools, backups, edge.file, job_server) for name in ("ledger1", "ledger2")]
    try:
        yield made[0], made[1]
    finally:
        for host in made:
            host.end()


def deliver(edge: Edge, lines: int) -> None:
    """Rotate a log of so many lines, of the slot before this one, and see it confirmed."""
    edge.log.write_text("".join(line(number, time.time() - SLOT_SECONDS) for number in range(lines)))
    assert edge.ship(now=True) == 0
    assert edge.bodies() == []


def report() -> str:
    """The command that prints the bill of the last hour, complete or not."""
    now = int(time.time()) // SLOT_SECONDS * SLOT_SECONDS
    return f"edgetally report --from {now - 3600} --to {now + SLOT_SECONDS} --output csv || test $? = 1"


@pytest.mark.parametrize("other", [False, True], ids=["the same host", "another host"])
@pytest.mark.parametrize("way", WAYS)
def test_a_restored_backup_makes_the_same_bill(
    tmp_path: Path, edge: Edge, gearmand: servers.Server, way: str, other: bool
) -> None:
    """What the backup does not have comes from the edges."""
    page = steps()
    with hosts(tmp_path, edge, gearmand.address) as (first, second):
        first.run("systemctl start mariadb\nansible-playbook playbooks/aggregator.yml")
        deliver(edge, 3)
        first.run(page[way])
        deliver(edge, 2)
        deliver(edge, 4)
        asked = report()
        bill = first.run(asked)
        assert ",9," in bill
        if other:
            first.end()
            second.run("systemctl start mariadb")
        else:
            first.run(page["stop"])
        host = second if other else first
        host.run(page[f"restore {way}"])
        host.run(page["roll out"])
        host.run(page["reconcile"])
        assert edge.bodies() == []
        assert host.run(asked) == bill
        assert "agree" in host.run(page["look"])


def test_a_backup_that_is_too_old(
    tmp_path: Path,
    edge: Edge,
    gearmand: servers.Server,
    database: DatabaseConfig,
    mariadb: servers.MariaDB,
    admin: DatabaseConfig,
) -> None:
    """What nobody has any more is named: by the edge's status, and on the bill as missing, with its numbers."""
    file = aggregator_file(tmp_path, database, gearmand.address, lease_seconds=2)
    with aggregator(file):
        deliver(edge, 3)
        dump = mariadb.dump("edgetally")
        deliver(edge, 2)
        deliver(edge, 4)
        _first, pruned, _last = sorted((edge.spool.sent).iterdir(), key=lambda path: path.name)
        os.utime(pruned, (time.time() - 8 * DAY,) * 2)
        os.utime(_first, (time.time() - 9 * DAY,) * 2)
        deliver(edge, 1)
        mariadb.sql("DROP DATABASE edgetally; CREATE DATABASE edgetally")
        mariadb.sql(dump, "edgetally")
        migrate.migrate(AggregatorConfig(("127.0.0.1:1",), (MASTER,), database), admin, "localhost", None)
        assert edge.ship(now=True, reconcile=True) == 0
        wait_for("the rest", lambda: edge.ship(now=True) == 0 and not edge.bodies())
        problems = edge_status(edge.config)["problems"]
        assert [text for text in problems if "cannot be refilled" in text and "log 'access'" in text], problems
        now = int(time.time())
        done = run("report", "--config", str(file), "--from", str(now - 3600), "--to", str(now), "--output", "json")
    (gap,) = json.loads(done.stdout)["completeness"]["gaps"]
    assert (done.returncode, gap["reason"], gap["first_seq"], gap["last_seq"]) == (1, "missing", 2, 2)


def test_a_ledger_that_lost_what_is_kept_is_no_problem_afterwards(
    tmp_path: Path,
    edge: Edge,
    gearmand: servers.Server,
    database: DatabaseConfig,
    mariadb: servers.MariaDB,
    admin: DatabaseConfig,
) -> None:
    """The oldest batch that is kept is in the backup: all that it lacks comes again, and status says nothing of it."""
    with aggregator(aggregator_file(tmp_path, database, gearmand.address, lease_seconds=2)):
        deliver(edge, 3)
        dump = mariadb.dump("edgetally")
        deliver(edge, 2)
        mariadb.sql("DROP DATABASE edgetally; CREATE DATABASE edgetally")
        mariadb.sql(dump, "edgetally")
        migrate.migrate(AggregatorConfig(("127.0.0.1:1",), (MASTER,), database), admin, "localhost", None)
        assert edge.ship(now=True, reconcile=True) == 0
        assert not [text for text in edge_status(edge.config)["problems"] if "refilled" in text]
    assert mariadb.sql("SELECT SUM(requests) FROM channel_traffic", "edgetally") == "5\n"


def test_a_replica_that_lags_takes_over(tmp_path: Path, edge: Edge, gearmand: servers.Server) -> None:
    """It is promoted without the last batches; they come from the edges, and the bill is the same."""
    options = ("--log-bin", "--binlog-format=ROW")
    with (
        servers.mariadb(arguments=(*options, "--server-id=1")) as primary,
        servers.mariadb(arguments=(*options, "--server-id=2", "--read-only=1")) as replica,
    ):
        primary.sql("CREATE USER copy@'%' IDENTIFIED BY 'secret'; GRANT REPLICATION SLAVE ON *.* TO copy@'%'")
        replica.sql(
            f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {primary.port}, MASTER_USER = 'copy', "
            "MASTER_PASSWORD = 'secret', MASTER_USE_GTID = slave_pos; START SLAVE"
        )
        configs = []
        for name, server in (("old", primary), ("new", replica)):
            (tmp_path / name).mkdir()
            reached = DatabaseConfig("edgetally", "secret", host="127.0.0.1", port=server.port)
            configs.append(aggregator_file(tmp_path / name, reached, gearmand.address, lease_seconds=2))
        bring = ["migrate", "--account-host", "%"]
        assert run(*bring, "--config", str(configs[0]), "--admin-socket", str(primary.socket)).returncode == 0
        with aggregator(configs[0]):
            deliver(edge, 3)
            wait_for("the replica", lambda: "3" in replica.sql("SELECT SUM(requests) FROM edgetally.channel_traffic"))
            replica.sql("STOP SLAVE IO_THREAD")
            deliver(edge, 2)
            deliver(edge, 4)
            asked = ["bash", "-c", report().replace("report", "report --config {}", 1)]
            bill = printed(asked, configs[0])
            primary.kill()
        assert replica.sql("SELECT SUM(requests) FROM edgetally.channel_traffic") == "3\n"
        replica.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0")
        done = run(*bring, "--config", str(configs[1]), "--admin-socket", str(replica.socket))
        assert (done.returncode, done.stdout) == (0, "nothing to do\n")
        with aggregator(configs[1]):
            assert edge.ship(now=True, reconcile=True) == 0
            assert printed(asked, configs[1]) == bill
        assert run("audit", "--config", str(configs[1])).returncode == 0


def printed(command: list[str], config: Path) -> str:
    """What a command prints, with the configuration put in."""
    text = command[-1].format(config).replace("edgetally", f"{sys.executable} -m edgetally", 1)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run([*command[:-1], text], env=environment, capture_output=True, text=True, check=True).stdout
