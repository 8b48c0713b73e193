"""Two machines under one edge's name are named, in the status and on the bill; one that was started again is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import DatabaseConfig
from edgetally.ledger import machines
from edgetally.ledger.ledger import Ledger
from edgetally.wire.envelope import derive_key
from edgetally.wire.machine import Machine, read_machine, this_machine
from tests.integration.conftest import MASTER, aggregator, aggregator_file, environment, queue, run, wait_for
from tests.support import servers
from tests.support.edge import Edge, line

BOOTS = ("0" * 32, "1" * 32)


def asked(file: Path, *command: str) -> Any:
    return json.loads(run(*command, "--config", str(file), "--output", "json").stdout)


@pytest.fixture
def file(tmp_path: Path, gearmand: servers.Server, database: DatabaseConfig) -> Iterator[Path]:
    """The configuration of an aggregator that is at work."""
    file = aggregator_file(tmp_path, database, gearmand.address)
    with aggregator(file):
        wait_for("active aggregator", lambda: queue(gearmand, "edgetally.batch")[2])
        yield file


def run_on(host: str, *command: str) -> int:
    """Run a command of the program on a host of that name; its exit status."""
    program = f'hostname {host} && exec {sys.executable} -m edgetally "$@"'
    started = ["unshare", "--uts", "sh", "-c", program, "sh", *command]
    return subprocess.run(started, env=environment(), stderr=subprocess.DEVNULL, check=False).returncode


class Cache:
    """A machine with a name of its own, whose program ships as edge1."""

    def __init__(self, folder: Path, host: str, job_server: str) -> None:
        folder.mkdir()
        key = derive_key(MASTER, "edge1")
        self.edge = Edge(folder, job_servers=[job_server], key_id=key.id, key=key.secret.hex(), include_existing=True)
        self.host = host
        self.number = 0

    def ship(self) -> None:
        with self.edge.log.open("a") as log:
            log.write(line(self.number))
        self.number += 1
        run_on(self.host, "ship", "--config", str(self.edge.file), "--now")


def test_two_machines_of_one_name_are_named_with_their_addresses(
    tmp_path: Path, file: Path, gearmand: servers.Server
) -> None:
    one, two = (Cache(tmp_path / host, host, gearmand.address) for host in ("cache1", "cache2"))
    for cache in (one, two, one):
        cache.ship()
    status = asked(file, "status")
    assert status["twins"] == [
        {"edge": "edge1", "host": "cache1", "address": "127.0.0.1"},
        {"edge": "edge1", "host": "cache2", "address": "127.0.0.1"},
    ]
    sentence = "several machines spoke for edge edge1 at the same time: cache1 (127.0.0.1), cache2 (127.0.0.1);"
    assert status["state"] == "critical"
    assert [problem for problem in status["problems"] if sentence in problem]
    (twin,) = asked(file, "report")["completeness"]["twins"]
    assert [machine["host"] for machine in twin["machines"]] == ["cache1", "cache2"]
    assert sentence[1:] in " ".join(run("report", "--config", str(file)).stdout.split())
    assert sentence[1:] in run("report", "--config", str(file), "--output", "html").stdout


def test_each_aggregator_may_send_canaries(file: Path) -> None:
    """They have one stream, and no edge."""
    for host in ("ledger1", "ledger2", "ledger1"):
        assert run_on(host, "canary", "--config", str(file)) == 0
    assert asked(file, "status")["twins"] == []


def test_a_machine_that_was_started_again_or_renamed_is_one(file: Path, database: DatabaseConfig) -> None:
    ledger = Ledger(database, "test")
    with ledger.connection.cursor() as cursor:
        for machine in (Machine(BOOTS[0], "a", "192.0.2.1"), Machine(BOOTS[1], "a", ""), Machine(BOOTS[1], "b", "")):
            for _ in range(2):
                machines.note(cursor, {"edge1": machine})
        assert machines.twins(cursor, 0, 2e9) == {}
        machines.note(cursor, {"edge1": Machine(BOOTS[0], "a", "192.0.2.9")})
        (sightings,) = machines.twins(cursor, 0, 2e9).values()
        assert {one.machine.address for one in sightings} == {"192.0.2.9", ""}
        assert machines.twins(cursor, 0, sightings[0].first) == {}, "before that, there was one"
    ledger.disconnect()
    assert asked(file, "status")["twins"] == []


def test_a_machine_is_noted_again_when_it_changes_or_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = machines.Watch()
    one, two = Machine(BOOTS[0], "a", ""), Machine(BOOTS[1], "a", "")
    assert watch.is_new("edge1", one)
    watch.noted({"edge1": one})
    assert not watch.is_new("edge1", one)
    assert watch.is_new("edge1", two)
    assert watch.is_new("edge2", one)
    monkeypatch.setattr(machines, "AGAIN_SECONDS", -1)
    assert watch.is_new("edge1", one)


def test_a_request_tells_its_machine_or_none(gearmand: servers.Server) -> None:
    here = this_machine(gearmand.address)
    assert (read_machine(list(here)), here.address) == (here, "127.0.0.1")
    assert this_machine("nowhere.invalid:4730").address == ""
    odd = (["x", "a", ""], [BOOTS[0], "", ""], [BOOTS[0], "a\n", ""], [BOOTS[0], "a", "<b>"], [1, 2, 3])
    for wrong in (None, [], *odd):
        assert read_machine(wrong) is None
