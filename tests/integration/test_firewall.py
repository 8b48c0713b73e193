"""The rules that let only hosts of the inventory reach a service, in network namespaces of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import jinja2
import pytest

from tests.support import ROOT

HOST, EDGE, STRANGER = "10.77.0.1", "10.77.0.2", "10.77.0.3"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5).close()"
LISTEN = """
import socket, sys
servers = [socket.create_server(("", port)) for port in (7003, 7004, 22)]
print(flush=True)
sys.stdin.read()
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def space() -> Iterator[str]:
    """A namespace that listens on three ports, and another that reaches it from two addresses."""
    inner, outer = (f"edgetally-{os.getpid()}-{end}" for end in ("inner", "outer"))
    with ExitStack() as stack:
        for name in (inner, outer):
            assert run("ip", "netns", "add", name).returncode == 0
            stack.callback(run, "ip", "netns", "delete", name)
        made = run("ip", "-n", inner, "link", "add", "way", "type", "veth", "peer", "name", "way", "netns", outer)
        assert made.returncode == 0, made.stderr
        for name, addresses in ((inner, [HOST]), (outer, [EDGE, STRANGER])):
            for address in addresses:
                run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "way")
            run("ip", "-n", name, "link", "set", "way", "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
        command = ["ip", "netns", "exec", inner, "python3", "-c", LISTEN]
        listener = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        stack.callback(listener.kill)
        assert listener.stdout
        listener.stdout.readline()
        yield inner


def rules(reach: dict[str, list[str]]) -> str:
    """The role's template, for a job server."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["comment"] = "# {}".format
    template = (ROOT / "roles/edgetally/templates/firewall.nft.j2").read_text(encoding="utf-8")
    walled = {"name": "gearmand", "ports": [7003, 7004]}
    values = {"ansible_managed": "a test's", "__edgetally_walled": walled, "__edgetally_walled_table": "gearmand"}
    return environment.from_string(template).render(values, __edgetally_reach=reach)


def reached(space: str, source: str, port: int) -> bool:
    """Whether a port is reached from an address; from the host itself where that is HOST."""
    where = space if source == HOST else space.replace("inner", "outer")
    program = CONNECT.replace("1.5)", f"1.5, ({source!r}, 0))")
    return run("ip", "netns", "exec", where, "python3", "-c", program, HOST, str(port)).returncode == 0


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, for namespaces")
def test_only_hosts_of_the_inventory_reach_the_ports(space: str, tmp_path: Path) -> None:
    assert reached(space, STRANGER, 7004)
    file = tmp_path / "rules.nft"
    for addresses in (["10.77.0.0/24"], [f"{EDGE}/32"]):  # the second takes the place of the first
        file.write_text(rules({"ipv4": addresses, "ipv6": ["2001:db8::1/128"]}))
        done = run("ip", "netns", "exec", space, "nft", "--file", str(file))
        assert done.returncode == 0, done.stderr
    assert [reached(space, EDGE, port) for port in (7003, 7004, 22)] == [True, True, True]
    assert [reached(space, HOST, port) for port in (7003, 7004)] == [True, True]
    assert [reached(space, STRANGER, port) for port in (7003, 7004, 22)] == [False, False, True]
    run("ip", "netns", "exec", space, "nft", "delete", "table", "inet", "gearmand")
    assert reached(space, STRANGER, 7004)
