"""TLS for the tests: the folders that the roles write, and the stunnel that they put in front of a gearmand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import jinja2

from roles.edgetally.filter_plugins import certificates
from tests.support import ROOT
from tests.support.servers import HOST, Server, free_port, listening, program

SECRET = "a secret of an authority for the tests"


def tls_folder(folder: Path, name: str, *, server: bool = False, secret: str = SECRET, now: float = 0.0) -> Path:
    """A folder of what a host needs to speak TLS. now: when it was rolled out, epoch s; 0 for now."""
    folder.mkdir(parents=True, exist_ok=True)
    moment = datetime.fromtimestamp(now or time.time(), timezone.utc)
    for file, text in certificates.tls_files(secret, name, server, now=moment).items():
        (folder / file).write_text(text)
        (folder / file).chmod(0o640)
    return folder


@contextlib.contextmanager
def stunnel(behind: Server, tls: Path, names: Iterable[str], *, faketime: str = "") -> Iterator[Server]:
    """A stunnel in front of a gearmand, with the role's own configuration.

    tls: a job server's folder, where its own configuration is put, too. names: who is admitted. faketime: its clock, as
    libfaketime wants it.
    """
    port = free_port()
    write_configuration(behind, tls, names, port)
    command = [program("stunnel4"), str(tls / "stunnel.conf")]
    if faketime:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        settings = [f"LD_PRELOAD={library}", f"FAKETIME={faketime}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
        command = [program("env"), *settings, *command]
    server = Server("stunnel", command, tls, port, lambda one: listening(one.port))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def write_configuration(behind: Server, tls: Path, names: Iterable[str], port: int) -> None:
    """The role's template with a test's values."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["comment"] = "# {}".format
    template = (ROOT / "roles/gearmand/templates/stunnel.conf.j2").read_text(encoding="utf-8")
    values = {"ansible_managed": "a test's", "gearmand_listen": HOST, "gearmand_port": behind.port}
    values.update({"__gearmand_own": behind.host, "__gearmand_tls_folder": str(tls), "gearmand_tls_port": port})
    text = environment.from_string(template).render(values, gearmand_tls_names=list(names))
    (tls / "stunnel.conf").write_text(text)
