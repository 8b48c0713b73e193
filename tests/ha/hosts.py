"""The lab's hosts, and what can be done to them: power, freezing, processes, the network between two."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pymysql

from tests.demo import reconcile

PODMAN = Path(__file__).resolve().parents[1] / "lab" / "podman"
POLL_SECONDS = 0.3
BOOT_SECONDS = 60.0

T = TypeVar("T")


class DrillError(Exception):
    """One sentence: what did not come, or what must not be."""


def until(what: str, condition: Callable[[], T | None], seconds: float) -> T:
    """Wait until condition gives something true, and return it. What cannot be read at the moment is not true."""
    deadline = time.monotonic() + seconds
    problem: object = ""
    while True:
        try:
            if found := condition():
                return found
        except (reconcile.ReconcileError, pymysql.MySQLError, OSError) as error:
            problem = f" ({error})"
        if time.monotonic() > deadline:
            raise DrillError(f"{what}: not within {seconds:g} s{problem}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Host:
    """A host of the lab. ssh: the words to which a shell command is added."""

    name: str
    ip: str
    groups: tuple[str, ...]
    container: str
    ssh: tuple[str, ...]

    def sh(self, command: str, text: str = "") -> str:
        """Run a shell command there; its output. ReconcileError when it fails."""
        return reconcile.shell(self.ssh, command, text)

    def podman(self, *words: str) -> None:
        """A podman command on the host's container."""
        done = subprocess.run([PODMAN, *words, self.container], capture_output=True, text=True, check=False)
        if done.returncode:
            raise DrillError(f"podman {words[0]} {self.name}: {done.stderr.strip()}")

    def cut_power(self) -> None:
        """All of its processes end at once, and nobody is told."""
        self.podman("kill", "--signal", "KILL")

    def boot(self) -> None:
        """Switch the host on; it is not waited for."""
        self.podman("start")

    def wait_booted(self) -> None:
        """Wait until it can be entered and its services are started."""
        until(f"{self.name} boots", lambda: self.sh("systemctl is-system-running --wait || true").strip(), BOOT_SECONDS)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All of its processes stand still, its kernel goes on answering."""
        self.podman("pause")
        try:
            yield
        finally:
            self.podman("unpause")

    def kill(self, unit: str) -> None:
        """End a unit's main process with SIGKILL."""
        self.sh(f"kill -9 $(systemctl show --property=MainPID --value {unit})")

    def mend(self) -> None:
        """Let all packets through again."""
        with suppress(reconcile.ReconcileError):
            self.sh("nft delete table inet drill 2>&1 || true")


@contextmanager
def cut(host: Host, *others: Host) -> Iterator[None]:
    """Nothing goes from the host to the others, nor back; no side is told."""
    addresses = ", ".join(other.ip for other in others)
    rules = "".join(
        f"chain {hook} {{ type filter hook {hook} priority 0; ip {end} {{ {addresses} }} drop; }}\n"
        for hook, end in (("input", "saddr"), ("output", "daddr"))
    )
    host.sh("nft -f -", f"table inet drill {{\n{rules}}}\n")
    try:
        yield
    finally:
        host.mend()


class Lab:
    """The hosts by name and by group; read from lab.json."""

    def __init__(self, path: str) -> None:
        known: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))
        ssh = ("ssh", "-F", "none", "-i", known["key"], *known["ssh_args"].split(), "-o", "ConnectTimeout=3")
        self.hosts: dict[str, Host] = {}
        for host in known["hosts"]:
            way = (*ssh, f"{known['user']}@{host['ip']}")
            self.hosts[host["name"]] = Host(host["name"], host["ip"], tuple(host["groups"]), host["container"], way)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def group(self, name: str) -> list[Host]:
        """The hosts of a group, in their order."""
        return [host for host in self.hosts.values() if name in host.groups]
