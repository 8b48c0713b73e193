"""Real servers for the integration tests: one gearmand and one MariaDB a session, an empty database for each test."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import AggregatorConfig, DatabaseConfig
from edgetally.ledger import migrate
from edgetally.ledger.ledger import Ledger
from tests.support import servers
from tests.support.edge import wait_for as wait_for
from tests.support.servers import admin_command as admin_command
from tests.support.servers import queue as queue

MASTER = "a master key for the tests, long enough"
SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.MariaDB]:
    with servers.mariadb() as server:
        yield server


@pytest.fixture
def gearmand() -> Iterator[servers.Server]:
    with servers.gearmand() as server:
        yield server


@pytest.fixture
def admin(mariadb: servers.MariaDB) -> DatabaseConfig:
    """The administrator's way into the database server."""
    return administrator(mariadb)


@pytest.fixture
def database(mariadb: servers.MariaDB, capsys: pytest.CaptureFixture[str]) -> DatabaseConfig:
    """A fresh edgetally database, as the service sees it."""
    config = new_database(mariadb)
    capsys.readouterr()
    return config


def administrator(mariadb: servers.MariaDB) -> DatabaseConfig:
    """The administrator's way into a database server."""
    return DatabaseConfig("root", "", "mysql", socket=str(mariadb.socket))


def new_database(mariadb: servers.MariaDB) -> DatabaseConfig:
    """Make the edgetally database anew, and all that it had is gone; how the service reaches it."""
    mariadb.sql("DROP DATABASE IF EXISTS edgetally")
    admin = administrator(mariadb)
    config = admin._replace(user="edgetally", password="secret", name="edgetally")
    migrate.migrate(AggregatorConfig(("127.0.0.1:1",), (MASTER,), config), admin, "localhost", None)
    return config


@pytest.fixture
def ledger(database: DatabaseConfig) -> Iterator[Ledger]:
    """A ledger that holds the writer's row of a fresh database."""
    made = Ledger(database, "test")
    assert made.acquire()
    yield made
    made.disconnect()


@contextmanager
def listener(answer: bytes | None) -> Iterator[str]:
    """A server that accepts every connection and sends an answer, or nothing at all; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()
        kept: list[socket.socket] = []

        def serve() -> None:
            server.settimeout(0.1)
            while not stop.is_set():
                try:
                    kept.append(server.accept()[0])
                except socket.timeout:
                    continue
                if answer is not None:
                    kept[-1].sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        thread.join()
        for connection in kept:
            connection.close()


def environment() -> dict[str, str]:
    """What a program under test is started with: this source, and the libraries that these tests were started with."""
    given = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), *([given] if given else [])])}


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "edgetally", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def aggregator_file(folder: Path, database: DatabaseConfig, *job_servers: str, **fields: Any) -> Path:
    """An aggregator.json."""
    file = folder / "aggregator.json"
    data = {"job_servers": job_servers, "master_keys": [MASTER], "database": database._asdict(), **fields}
    file.write_text(json.dumps(data))
    return file


@contextmanager
def aggregator(config: Path) -> Iterator[subprocess.Popen[str]]:
    """An aggregator as a process of its own; killed at the end where it still runs. Its log: config's folder."""
    with (config.parent / "aggregator.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgetally", "aggregate", "--config", str(config)],
            env=environment(),
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
