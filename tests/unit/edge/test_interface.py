"""The interface's counter is the chosen device's alone, or that of the default route's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edgetally.edge.interface import default_device, transmitted
from tests.support import SOURCE

# As kernels write them: a bond of two, a tunnel over it, and an old one whose counters have no blank before them.
DEV = """\
Inter-|  Receive  |  Transmit
 face |bytes  packets errs drop fifo frame compressed multicast|bytes  packets errs drop fifo colls carrier compressed
  lo:  3193  29  0  0  0  0  0  0  3193  29  0  0  0  0  0  0
  eth0: 507070551  14387  0  0  0  0  0  0  500000  8425  0  0  0  0  0  0
  eth1: 507070551  14387  0  0  0  0  0  0  255255  8425  0  0  0  0  0  0
 bond0: 1014141102  28774  0  0  0  0  0  0  755255  16850  0  0  0  0  0  0
  wg0:  100  2  0  0  0  0  0  0  4000  2  0  0  0  0  0  0
 eth10:4294967295  2  0  0  0  0  0  0 18446744073709551615 2 0  0  0  0  0  0
"""
ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
wg0\t00000000\t0102A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
bond0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth1\t00000000\t0102A8C0\t0203\t0\t0\t0\t00000000\t0\t0\t0
"""
ANY = "0" * 32
IPV6 = (
    f"{ANY} 00 {ANY} 00 fe80000000000000021a2bfffe3c4d5e 00000400 00000001 00000000 00000003     eth1\n"
    f"{ANY} 00 {ANY} 00 {ANY} ffffffff 00000001 00000000 00200200       lo\n"
)


def kernel(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_each_device_counts_for_itself_alone(tmp_path: Path) -> None:
    proc = kernel(tmp_path, dev=DEV)
    assert [transmitted(name, proc) for name in ("bond0", "wg0", "eth0", "eth10")] == [755255, 4000, 500000, 2**64 - 1]
    assert transmitted("eth", proc) is None


def test_the_default_routes_device_is_that_with_the_least_metric(tmp_path: Path) -> None:
    assert default_device(kernel(tmp_path, route=ROUTE, ipv6_route=IPV6)) == "bond0"


def test_a_host_without_ipv4_has_that_of_ipv6(tmp_path: Path) -> None:
    assert default_device(kernel(tmp_path, route=ROUTE.splitlines()[0] + "\n", ipv6_route=IPV6)) == "eth1"


def test_a_host_without_a_default_route_has_none(tmp_path: Path) -> None:
    assert default_device(tmp_path) == ""


def test_this_kernel_counts_what_is_sent() -> None:
    before = transmitted("lo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        for _ in range(10):
            way.sendto(b"x" * 1000, ("127.0.0.1", 9))
    after = transmitted("lo")
    assert before is not None
    assert after is not None
    assert after - before >= 10 * 1000


_LAYERS = """if True:
    import json, socket, subprocess, sys
    sys.path.insert(0, sys.argv[1])
    from edgetally.edge.interface import default_device, transmitted
    for command in (
        "link add under type veth peer name other", "link add over type bridge", "link set under master over",
        "link set other up", "link set under up", "link set over up", "addr add 192.0.2.1/24 dev over",
        "route add default via 192.0.2.9", "neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev over",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    before = {name: transmitted(name) for name in ("over", "under")}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        for _ in range(50):
            way.sendto(b"x" * 1000, ("198.51.100.7", 9))
    print(json.dumps([default_device(), {name: transmitted(name) - before[name] for name in before}]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes interfaces, in a network of its own")
def test_an_interface_over_another_is_counted_once() -> None:
    """Both count the same bytes: so only one is asked, that of the default route."""
    command = ["unshare", "--net", sys.executable, "-c", _LAYERS, str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    device, sent = json.loads(done.stdout)
    assert device == "over"
    assert 50 * 1028 <= sent["over"] <= 50 * 1100
    assert sent["under"] >= 50 * 1028
