"""The counters that the kernel keeps of each network interface, as /proc/net tells them."""

from __future__ import annotations

from pathlib import Path

from edgetally.files import read_plain

PROC = Path("/proc/net")
_UP, _REJECT = 0x1, 0x200  # flags of a route, see <linux/route.h>
_ANY = "0" * 32


def transmitted(device: str, proc: Path = PROC) -> int | None:
    """How many bytes an interface has sent since it was made; None where there is no such interface.

    A bond, a bridge or a tunnel counts what went through it, and so do the interfaces below: only one is asked.
    """
    for line in _lines(proc / "dev"):
        name, colon, counts = line.partition(":")
        if colon and name.strip() == device:
            return int(counts.split()[8])
    return None


def default_device(proc: Path = PROC) -> str:
    """The interface of the default route, of IPv4 before IPv6, with the least metric; empty where there is none."""
    routes = [*_ipv4(proc), *_ipv6(proc)]
    return min(routes)[2] if routes else ""


def _ipv4(proc: Path) -> list[tuple[int, int, str]]:
    """(4, metric, interface) of each default route."""
    rows = [line.split() for line in _lines(proc / "route")[1:]]
    return [
        (4, int(metric), device)
        for device, target, _gateway, flags, _count, _use, metric, mask, *_rest in rows
        if (target, mask) == ("00000000", "00000000") and int(flags, 16) & _UP and not int(flags, 16) & _REJECT
    ]


def _ipv6(proc: Path) -> list[tuple[int, int, str]]:
    """(6, metric, interface) of each default route."""
    rows = [line.split() for line in _lines(proc / "ipv6_route")]
    return [
        (6, int(metric, 16), device)
        for target, length, _source, _length, _hop, metric, _count, _use, flags, device in rows
        if (target, length) == (_ANY, "00") and int(flags, 16) & _UP and not int(flags, 16) & _REJECT
    ]


def _lines(path: Path) -> list[str]:
    """The lines of a file of the kernel's; none where it has no such file, as one without IPv6."""
    try:
        return read_plain(path).decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return []
