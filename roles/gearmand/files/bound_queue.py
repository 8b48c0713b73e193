"""Bound how many batches wait in a gearmand: what comes beyond them is refused, and waits on the edges.

usage: bound_queue.py NUMBER --listen=HOST --port=PORT …    (as gearmand is told; its other flags are passed over)

gearmand has no flag for it, and forgets it when it ends, so its unit says it after each start. systemd does not wait: a
gearmand that reads a long queue first may take minutes until it answers.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time

FUNCTION = "edgetally.batch"
CAN_DO, ECHO = 1, 16  # packets of gearman's protocol
PATIENCE_SECONDS = 3600.0


def bound(host: str, port: int, number: int) -> bool:
    """Whether gearmand has heard it. It bounds only a function that it knows: of one that somebody could do."""
    name = FUNCTION.encode()
    known = b"\0REQ" + struct.pack(">II", CAN_DO, len(name)) + name + b"\0REQ" + struct.pack(">II", ECHO, 0)
    try:
        with socket.create_connection((host, port), 5) as worker, socket.create_connection((host, port), 5) as admin:
            worker.sendall(known)
            worker.recv(100)
            admin.sendall(b"maxqueue %s %d\r\n" % (name, number))
            return admin.recv(100).startswith(b"OK")
    except OSError:
        return False


def main() -> None:
    """Say it as soon as gearmand answers."""
    flags = dict(flag[2:].split("=", 1) for flag in sys.argv[2:] if "=" in flag)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not bound(flags["listen"], int(flags["port"]), int(sys.argv[1])):
        if time.monotonic() > deadline:
            sys.exit(f"gearmand does not answer, so how many batches may wait in it is not bounded: {flags}")
        time.sleep(0.5)


if __name__ == "__main__":
    if os.fork() == 0:
        main()
