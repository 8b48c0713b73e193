"""TCP connections that notice when the host at the other end is gone without a word, as after a power cut."""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEAD_SECONDS = 12


def named(host: str) -> Any:
    """A host as `socket` takes it: for a text, Python would load its tables for names beyond ASCII."""
    return host.encode() if host.isascii() else host


def dial(host: str, port: int, timeout: float) -> socket.socket:
    """Connect within `timeout` seconds. Once the host has answered nothing for DEAD_SECONDS, any use raises OSError.

    It is the host's kernel that answers: a server that takes its time is not lost, nor one that is frozen.
    """
    link = socket.create_connection((named(host), port), timeout)
    for option, value in (
        (socket.TCP_KEEPIDLE, DEAD_SECONDS // 2),
        (socket.TCP_KEEPINTVL, DEAD_SECONDS // 6),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000),
    ):
        link.setsockopt(socket.IPPROTO_TCP, option, value)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return link
