"""How real servers let go of a log that was renamed: nothing that they write to it afterwards may be lost."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from edgetally.edge.closing import is_closed
from edgetally.formats.catalogue import PASTED
from tests.support import ROOT, servers
from tests.support.edge import Edge, wait_for

ROLE = ROOT / "roles" / "edge_shipper"
APACHE = """
Listen 127.0.0.1:{port}
ServerLimit 4
MaxRequestWorkers 64
DocumentRoot {folder}
<Directory {folder}>
    Require all granted
</Directory>
%s
GlobalLog {folder}/access.log edgetally
"""
BIG = 64 << 20  # more than the buffers between two sockets hold


@pytest.fixture
def apache() -> Iterator[servers.Server]:
    with servers.apache(APACHE % PASTED["apache"][1]) as server:
        for name, size in (("big", BIG), ("small", 10)):
            with (server.folder / name).open("wb") as file:
                file.truncate(size)
        yield server


def reopen_command(server: servers.Server) -> str:
    """The role's command, for an Apache whose files lie elsewhere."""
    known = yaml.safe_load((ROLE / "vars/main.yml").read_text("utf-8"))["__edge_shipper_servers"]["apache"]["reopen"]
    own = known.replace("apache2ctl", f"{servers.program('apache2')} -f {server.folder}/apache.conf")
    return str(own.replace("/run/apache2/apache2.pid", f"{server.folder}/apache.pid"))


def download(server: servers.Server, name: str) -> socket.socket:
    """Ask for a file; of the answer, not a byte is read yet."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((server.host, server.port))
    connection.sendall(f"GET /{name} HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n".encode())
    return connection


def received(connection: socket.socket) -> int:
    """How many bytes come until the server closes."""
    with connection:
        return sum(map(len, iter(lambda: connection.recv(1 << 20), b"")))


def test_a_long_download_of_apache_comes_with_a_late_batch(apache: servers.Server, tmp_path: Path) -> None:
    edge = Edge(
        tmp_path,
        path=str(apache.folder / "access.log"),
        format=PASTED["apache"][1],
        reopen=reopen_command(apache),
        include_existing=True,
        close_timeout=1,
    )
    long = download(apache, "big")
    first = long.recv(1)
    edge.rotate()
    assert edge.bodies() == [], "the child that serves the download still has the log open"
    (renamed,) = edge.stream.renamed()
    short = received(download(apache, "small"))
    everything = len(first) + received(long)
    wait_for("closed log", lambda: is_closed(renamed.path))
    edge.rotate()
    assert [(body["lines"], body["rejected"], body["bytes"]) for body in edge.bodies()] == [
        (1, 0, everything),
        (1, 0, short),
    ]


def test_apache_outlives_a_rotation_while_its_configuration_is_broken(apache: servers.Server) -> None:
    """Told to reopen its logs with a configuration that it cannot read, it would end."""
    configuration = apache.folder / "apache.conf"
    configuration.write_text(configuration.read_text() + "NoSuchDirective On\n")
    done = subprocess.run(["/bin/sh", "-c", reopen_command(apache)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "NoSuchDirective" in done.stderr
    assert received(download(apache, "small")) > 10
    assert apache.process is not None
    assert apache.process.poll() is None
