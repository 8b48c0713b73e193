#!/usr/bin/python3
"""Record what a gearmand answers to each command of its text protocol, with the same jobs and workers in it each time.

usage: python3 tests/unit/library/transcripts/record.py HOST PORT "HOW IT WAS BUILT AND STARTED" > VERSION.json

Only for a server of one's own that was started for this: it must be empty, and jobs stay in it.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

CAN_DO, GRAB_JOB, SET_CLIENT_ID = 1, 9, 22
SUBMIT_JOB_BG, SUBMIT_JOB_HIGH_BG, SUBMIT_JOB_LOW_BG = 18, 32, 34
QUIET = 0.5
"""Seconds without a byte that end an answer: `ERR` has no end of its own."""

EMPTY = ["version", "status", "workers", "prioritystatus", "show jobs", "show unique jobs"]
COMMANDS = [
    "version",
    "status",
    "workers",
    "prioritystatus",
    "show jobs",
    "show unique jobs",
    "maxqueue edgetally.batch 500",
    "maxqueue",
    "getpid",
    "verbose",
    "cancel job H:nowhere:1",
    "drop function retired",
    "status",
    "nonsense",
    "",
]


def packet(kind: int, *arguments: bytes) -> bytes:
    """One packet of the binary protocol."""
    body = b"\0".join(arguments)
    return b"\0REQ" + struct.pack(">II", kind, len(body)) + body


def peer(host: str, port: int, *packets: bytes) -> socket.socket:
    """A client or worker that has sent these packets, and been answered if it was to be."""
    connection = socket.create_connection((host, port), 10)
    connection.sendall(b"".join(packets))
    time.sleep(QUIET)
    return connection


def populate(host: str, port: int) -> list[socket.socket]:
    """Put jobs and workers into the server; they stay as long as the connections are open."""
    jobs = peer(
        host,
        port,
        packet(SUBMIT_JOB_BG, b"edgetally.batch", b"id-normal", b"one"),
        packet(SUBMIT_JOB_HIGH_BG, b"edgetally.batch", b"id-high", b"two"),
        packet(SUBMIT_JOB_LOW_BG, b"edgetally.batch", b"id-low", b"three"),
        packet(SUBMIT_JOB_BG, b"name-\xff-not-utf-8", b"id-odd", b"four"),
    )
    busy = peer(
        host,
        port,
        packet(SET_CLIENT_ID, b"aggregator-1"),
        packet(CAN_DO, b"edgetally.batch"),
        packet(CAN_DO, b"edgetally.receipt"),
        packet(GRAB_JOB),
    )
    idle = peer(host, port, packet(CAN_DO, b"edgetally.receipt"))
    peer(host, port, packet(CAN_DO, b"retired")).close()
    time.sleep(QUIET)
    return [jobs, busy, idle]


def answers(host: str, port: int, commands: list[str]) -> list[dict[str, str]]:
    """Ask each command on a connection of its own; every character of an answer is one byte."""
    said = []
    for command in commands:
        with socket.create_connection((host, port), 10) as connection:
            connection.settimeout(QUIET)
            connection.sendall(command.encode("ascii") + b"\r\n")
            answer = b""
            try:
                while data := connection.recv(65536):
                    answer += data
            except TimeoutError:
                pass
        said.append({"command": command, "answer": answer.decode("latin-1")})
    return said


def main(host: str, port: str, how: str) -> None:
    """Record the empty server, then the populated one."""
    empty = answers(host, int(port), EMPTY)
    connections = populate(host, int(port))
    record = {"recorded": how, "empty": empty, "populated": answers(host, int(port), COMMANDS)}
    for connection in connections:
        connection.close()
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
