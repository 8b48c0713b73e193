"""Tells systemd how a service goes (sd_notify): that it is ready, and again and again that it is not frozen.

Where systemd did not start it with Type=notify, nothing is told.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

READY = "READY=1"
ALIVE = "WATCHDOG=1"
PATIENCE = 1.0  # seconds


def tell(state: str) -> None:
    """Tell systemd a state. One that does not listen is no reason to fail, or to wait for long."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.settimeout(PATIENCE)
        link.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        link.sendall(state.encode())
