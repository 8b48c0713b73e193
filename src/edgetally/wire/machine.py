"""Which machine speaks for an edge: two that have one name are told apart by it, and found by its address."""

from __future__ import annotations

import re
import socket
from contextlib import suppress

from edgetally.config import parse_server
from edgetally.record import NamedTuple
from edgetally.sockets import named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Machine(NamedTuple):
    """A machine from one boot to the next. boot: 32 hex digits, the kernel's; host: its name; address: its own, as the
    job server sees it where nothing stands between, empty where that is not known."""

    boot: str
    host: str
    address: str


def this_machine(server: str) -> Machine:
    """The machine that this program runs on. server: a job server, towards which the address is the machine's own."""
    return Machine(boot_id(), socket.gethostname()[:255], _address_towards(server))


def boot_id() -> str:
    """The kernel's id of this boot, 32 hex digits; empty where it tells none."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip().replace("-", "")
    return ""


def _address_towards(server: str) -> str:
    """This machine's address on the way to a server. Nothing is sent."""
    with suppress(OSError):
        host, port = parse_server(server)
        for family, kind, protocol, _name, there in socket.getaddrinfo(named(host), port, type=socket.SOCK_DGRAM):
            with socket.socket(family, kind, protocol) as way:
                way.connect(there)
                return str(way.getsockname()[0])
    return ""


def read_machine(value: Any) -> Machine | None:
    """A machine as a request says it; None where it says none, as from an older edge, or none that could be."""
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(part, str) for part in value):
        return None
    machine = Machine(*value)
    usable = re.fullmatch(r"[0-9a-f]{32}", machine.boot) and re.fullmatch(r"[0-9A-Za-z.:%_-]{0,64}", machine.address)
    return machine if usable and 0 < len(machine.host) <= 255 and machine.host.isprintable() else None
