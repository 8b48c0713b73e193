"""TCP connections that notice when the other end's host is gone: without a word, as after a power cut."""

from __future__ import annotations

import socket


def dial(host: str, port: int, timeout: float, silence: int) -> socket.socket:
    """Connect within `timeout` seconds. Later on, a host that answers nothing for `silence` seconds is lost: OSError.

    It is the host's kernel that answers: a server that takes its time is not lost, nor one that is frozen.
    """
    link = socket.create_connection((host, port), timeout)
    for option, value in (
        (socket.TCP_KEEPIDLE, silence // 2),
        (socket.TCP_KEEPINTVL, silence // 6),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, silence * 1000),
    ):
        link.setsockopt(socket.IPPROTO_TCP, option, value)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return link
