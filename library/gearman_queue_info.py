#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ask a gearmand job server for its queues over its text protocol, and judge them where thresholds are given."""
# ruff: noqa: E402 (Ansible wants the documentation above the imports)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gearman_queue_info
short_description: Ask a gearman job server for its queues
description:
  - Asks a gearmand job server (0.14 and later) for its version, its queues and their workers, over the server's own
    text protocol.
  - With O(max_waiting) or O(min_workers) it also judges the queues, and fails when a threshold is exceeded, naming
    every problem. Without them it judges nothing.
  - Asks from the managed host, so it also shows whether that host reaches the server.
requirements:
  - Python 3.9 or later on the host that asks, nothing else
options:
  host:
    description:
      - Name or address of the job server.
      - Without it, the managed host's own job server is asked, at the address where something listens on O(port), else
        at 127.0.0.1.
    type: str
  port:
    description: TCP port of the job server.
    type: int
    default: 7003
  timeout:
    description:
      - Seconds for the whole call, from the look-up of the name to the last byte of the answer.
      - More than 0 and at most 3600.
    type: float
    default: 5.0
  tls:
    description:
      - The folder on the managed host that holds authority.pem, certificate.pem and key.pem, to ask over TLS.
      - Empty for plain TCP.
    type: str
    default: ""
  queues:
    description:
      - The queues (gearman calls them functions) to look at.
      - Each is an exact name, or a shell pattern with C(*), C(?) or C([…]).
      - An exact name that the server does not know is returned too, with zeros and RV(queues.registered=false).
      - Without it, every queue that the server knows is looked at.
    type: list
    elements: str
    default: []
  max_waiting:
    description:
      - At most this many jobs may wait in each queue looked at.
      - Waiting jobs are those that no worker has taken yet.
    type: int
  min_workers:
    description:
      - At least this many workers must be registered for each queue looked at.
      - A pattern that no queue matches, or a server without any queue, is a problem then.
      - The server lists a retired function with 0 workers until its next start, so name the queues in O(queues).
    type: int
  strict:
    description:
      - Whether a threshold that is exceeded fails the task.
      - If V(false), RV(healthy) and RV(problems) only report it.
      - A job server that cannot be asked always fails the task.
    type: bool
    default: true
notes:
  - A queue's workers are registrations. One worker process that serves two queues is counted in both, and so twice in
    RV(totals).
  - A worker that is registered and hangs looks the same as one that works.
  - The server answers one question after the other, so numbers of a busy server can differ by a moment.
attributes:
  check_mode:
    description: Runs in check mode as always, because it changes nothing.
    support: full
author:
  - The edgetally developers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at every queue
  gearman_queue_info:
    host: 10.0.0.10
  register: job_server

- name: Fail when batches pile up or nobody takes them
  gearman_queue_info:
    host: 10.0.0.10
    queues: [edgetally.batch, edgetally.receipt]
    max_waiting: 100
    min_workers: 1

- name: Report only
  gearman_queue_info:
    host: 10.0.0.10
    queues: ["edgetally.*"]
    max_waiting: 100
    strict: false
  register: job_server

# From the command line, to each job server itself:
#   ansible gearmand -m gearman_queue_info -a 'queues=edgetally.batch max_waiting=100 min_workers=1'
"""

RETURN = r"""
server:
  description: The server that was asked.
  returned: always
  type: dict
  contains:
    host:
      description: The address that was asked, as given in O(host) or found.
      returned: always
      type: str
      sample: 10.0.0.10
    port:
      description: As given in O(port).
      returned: always
      type: int
      sample: 7003
    version:
      description: What the server says it is. Empty when it does not say, or could not be asked.
      returned: always
      type: str
      sample: "0.14"
    certificate_ends:
      description: When the server's certificate ends, in seconds since 1970. Null where it was not asked over TLS.
      returned: always
      type: float
      sample: 1858982400.0
queues:
  description:
    - One entry for each queue looked at, by name.
    - A byte of a name that is not UTF-8 is written as C(\xNN).
  returned: always
  type: dict
  contains:
    total:
      description: Jobs in the queue, running ones included.
      returned: always
      type: int
    running:
      description: Jobs that a worker holds.
      returned: always
      type: int
    waiting:
      description: Jobs that no worker has taken yet, which is total less running.
      returned: always
      type: int
    workers:
      description: Workers registered for the queue, busy or not.
      returned: always
      type: int
    registered:
      description: Whether the server knows the queue. It does from the first job or worker until its next start.
      returned: always
      type: bool
    priorities:
      description: The waiting jobs by their priority. Null where the server does not tell, as 0.14 does not.
      returned: always
      type: dict
      contains:
        high:
          description: Waiting jobs of high priority.
          returned: when the server tells
          type: int
        normal:
          description: Waiting jobs of normal priority.
          returned: when the server tells
          type: int
        low:
          description: Waiting jobs of low priority.
          returned: when the server tells
          type: int
  sample:
    edgetally.batch:
      total: 3
      running: 1
      waiting: 2
      workers: 1
      registered: true
      priorities: {high: 0, normal: 2, low: 0}
workers:
  description: The connections that are registered for a queue looked at, in the order of their addresses.
  returned: always
  type: list
  elements: dict
  contains:
    address:
      description: Where the connection comes from.
      returned: always
      type: str
    client_id:
      description: What the worker calls itself. Empty when it does not say.
      returned: always
      type: str
    queues:
      description:
        - The queues looked at for which it is registered.
        - The server separates names by blanks, so a name with a blank in it may be seen in others.
      returned: always
      type: list
      elements: str
  sample:
    - {address: 10.0.0.20, client_id: "edgetally ledger1:4711", queues: [edgetally.batch, edgetally.receipt]}
totals:
  description: Sums over RV(queues).
  returned: always
  type: dict
  contains:
    total:
      description: Jobs, running ones included.
      returned: always
      type: int
    running:
      description: Jobs that a worker holds.
      returned: always
      type: int
    waiting:
      description: Jobs that no worker has taken yet.
      returned: always
      type: int
    workers:
      description: Registrations of workers.
      returned: always
      type: int
  sample: {total: 3, running: 1, waiting: 2, workers: 1}
healthy:
  description:
    - Whether the server answered and no threshold is exceeded.
    - Without thresholds every server that answers is healthy.
  returned: always
  type: bool
  sample: true
problems:
  description: One sentence for each problem.
  returned: always
  type: list
  elements: str
  sample: ["edgetally.batch: 120 waiting, at most 100 allowed"]
"""

import errno
import fnmatch
import re
import socket
import struct
import threading
import time
from typing import Any, Callable, Union

try:
    from ansible.module_utils.basic import AnsibleModule
except ImportError:  # the program edgetally asks its job servers with the same code, where there is no Ansible
    AnsibleModule = None

try:
    from ansible.module_utils.edgetally_tls import peer_ends, secure
except ImportError:
    from edgetally.wire.tls import peer_ends, secure

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of one answer. A queue takes some 40 bytes, so this is room for 400,000."""

VERSION = re.compile(rb"(?:(?:OK )?([0-9][0-9A-Za-z.+~_-]*)|OK ?)\r?\n")
"""`0.14` from 0.14, `OK 1.1.20` from later ones, and `OK ` alone from a build that forgot its version."""

COUNT = re.compile(rb"[0-9]{1,10}")
"""gearmand counts in 32 bits without a sign."""

LISTEN = "0A"
"""The state of a listening socket in /proc/net/tcp."""

COUNTS = ("total", "running", "waiting", "workers")

Bytes = Union[bytes, bytearray]

WORKER = re.compile(rb"-?[0-9]+ (\S+) (.*?) :( .*)?")
"""A line of `workers`: a number, the address, what the worker calls itself, and a blank before each of its queues."""

PRIORITIES = ("high", "normal", "low")

Queue = dict[str, Any]
"""One queue: total, running, waiting and workers (int), registered (bool), priorities (dict, or None: not told)."""


class ServerError(Exception):
    """The job server could not be asked or not be understood; the text is one sentence that says what to look at."""


class Connection:
    """A connection to a job server. All that it does, from the look-up of the name on, ends by one deadline."""

    def __init__(self, host: str, port: int, timeout: float, tls: str = "") -> None:
        """Look `host` up and connect; `timeout` is in seconds and for everything together.

        tls: the folder of what TLS needs. Raises ServerError when the name has no address, or no address accepts.
        """
        self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        self.socket = self._connect(self._look_up(host, port))
        if tls:
            self.socket = self._secure(tls)

    def certificate_ends(self) -> float | None:
        """Return when the server's certificate ends, in epoch seconds; None where there is no TLS."""
        ends: float | None = peer_ends(self.socket)
        return ends

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def version(self) -> str:
        """Return the server's version, empty where it does not say. Raises ServerError."""
        answer = self._ask("version", lambda answer: b"\n" in answer)
        match = VERSION.fullmatch(answer)
        if match is None and not is_error(answer):
            raise self._not_understood("version", answer)
        return match.group(1).decode("ascii") if match and match.group(1) else ""

    def status(self) -> dict[str, Queue]:
        """Return every queue that the server knows, by name. Raises ServerError."""
        return self._table("status", parse_status_line)

    def priorities(self) -> dict[str, dict[str, int]]:
        """Return the waiting jobs by priority of every queue; nothing where the server does not know the question.

        Raises ServerError.
        """
        return self._table("prioritystatus", parse_priority_line, may_refuse=True)

    def workers(self) -> list[dict[str, str]]:
        """Return every connection: address, client_id, and text, its queues with a blank before each.

        Raises ServerError.
        """
        found = []
        for line in self._lines("workers"):
            match = WORKER.fullmatch(line.rstrip(b"\r"))
            if match is None:
                raise self._not_understood("workers", line)
            address, name, queues = (to_text(part or b"") for part in match.groups())
            found.append({"address": address, "client_id": "" if name == "-" else name, "text": queues})
        return found

    def _table(
        self, command: str, parse: Callable[[bytes], tuple[str, Any] | None], may_refuse: bool = False
    ) -> dict[str, Any]:
        """Return what `parse` makes of each line of a list, by its name; each name is there once."""
        table: dict[str, Any] = {}
        for line in self._lines(command, may_refuse):
            parsed = parse(line)
            if parsed is None or parsed[0] in table:
                raise self._not_understood(command, line)
            table[parsed[0]] = parsed[1]
        return table

    def _lines(self, command: str, may_refuse: bool = False) -> list[bytes]:
        """Ask for a list and return its lines without the last `.`; none where the server may refuse, and does."""
        answer = self._ask(command, lambda answer: is_whole_list(answer) or is_error(answer))
        if not is_error(answer):
            return answer.split(b"\n")[:-2]  # the last two are the `.` and what follows its line end: nothing
        if may_refuse:
            return []
        raise self._not_understood(command, answer)

    def _look_up(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Resolve the name, in a thread that is left behind when it takes too long: getaddrinfo knows no time-out."""
        found: list[tuple[Any, ...]] = []
        causes = [f"no answer within {self.timeout:g} s"]

        def resolve() -> None:
            try:
                found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                causes.append(str(getattr(error, "strerror", None) or error))

        thread = threading.Thread(target=resolve, daemon=True)
        thread.start()
        thread.join(self._left())
        if not found:
            raise ServerError(
                f"The job server {self.where} has no address, because its name cannot be resolved ({causes[-1]});"
                f" look at `getent hosts {host}`."
            )
        return found

    def _connect(self, addresses: list[tuple[Any, ...]]) -> socket.socket:
        """Connect to the first address that accepts; each gets an even share of the time that is left."""
        cause = OSError("no address")
        for index, (family, kind, protocol, _name, address) in enumerate(addresses):
            try:
                candidate = socket.socket(family, kind, protocol)
            except OSError as error:  # such as IPv6 in a kernel that has none
                cause = error
                continue
            try:
                candidate.settimeout(max(self._left() / (len(addresses) - index), 0.001))
                candidate.connect(address)
            except OSError as error:
                candidate.close()
                cause = error
            else:
                return candidate
        raise ServerError(self._why_not_connected(cause)) from cause

    def _secure(self, tls: str) -> socket.socket:
        """Speak TLS from now on."""
        try:
            secured: socket.socket = secure(self.socket, tls, max(self._left(), 0.001))
        except OSError as error:
            raise ServerError(f"The job server {self.where} is not reached over TLS: {error.strerror}.") from error
        return secured

    def _why_not_connected(self, cause: OSError) -> str:
        if cause.errno == errno.ECONNREFUSED:
            return (
                f"The job server {self.where} refused the connection, because nothing listens there; look at"
                " `systemctl status gearmand` on that host, and at gearmand_listen and gearmand_port."
            )
        if is_timeout(cause):
            return (
                f"The job server {self.where} accepted no connection within {self.timeout:g} s; look whether the host"
                " is up and whether a firewall on the way drops the packets."
            )
        return (
            f"The job server {self.where} cannot be reached ({cause.strerror or cause}); look at the address, and at"
            " the routes and the firewall of the host that asks."
        )

    def _ask(self, command: str, is_complete: Callable[[bytearray], bool]) -> bytes:
        """Send one command, and return its answer as soon as that is complete.

        The line ends in CRLF because gearmand 1.1 wants it; 0.14 takes it too.
        """
        answer = bytearray()
        try:
            self.socket.settimeout(self._left_or_stop())
            self.socket.sendall(command.encode("ascii") + b"\r\n")
            while not is_complete(answer):
                self.socket.settimeout(self._left_or_stop())
                data = self.socket.recv(1024 * 1024)
                if not data:
                    raise ConnectionError("it hung up")
                answer += data
                if len(answer) > MAX_ANSWER:
                    raise self._not_understood(command, answer)
        except OSError as error:
            raise ServerError(self._why_no_answer(command, answer, error)) from error
        return bytes(answer)

    def _why_no_answer(self, command: str, answer: Bytes, cause: OSError) -> str:
        seen = f"only {excerpt(answer)}" if answer else "nothing"
        if is_timeout(cause):
            return (
                f"The job server {self.where} accepted the connection, but answered {seen} to `{command}` within"
                f" {self.timeout:g} s; look whether it hangs or still replays its queue (`journalctl -u gearmand` on"
                " that host), and whether it is gearmand that listens there."
            )
        return (
            f"The job server {self.where} broke off ({cause.strerror or cause}) after it had answered {seen} to"
            f" `{command}`; look at `journalctl -u gearmand` on that host, and whether it is gearmand that listens."
        )

    def _not_understood(self, command: str, line: Bytes) -> ServerError:
        return ServerError(
            f"The job server {self.where} answered {excerpt(line)} to `{command}`, as gearmand would not; look what"
            " listens there (`ss -ltnp` on that host)."
        )

    def _left_or_stop(self) -> float:
        """Return the seconds until the deadline. Raises TimeoutError after it: a server that keeps sending ends too."""
        left = self._left()
        if not left:
            raise TimeoutError
        return left

    def _left(self) -> float:
        """Return the seconds until the deadline, at least 0."""
        return max(self.deadline - time.monotonic(), 0.0)


def is_timeout(error: OSError) -> bool:
    """Tell whether the time ran out. Until Python 3.10 socket.timeout is not a TimeoutError."""
    return isinstance(error, (TimeoutError, socket.timeout))


def is_error(answer: Bytes) -> bool:
    """Tell whether the answer is an error: one whole line, no `.` after it. A queue named ERR has tabs behind it."""
    return answer.startswith(b"ERR") and answer.endswith(b"\n") and b"\t" not in answer


def is_whole_list(answer: Bytes) -> bool:
    """Tell whether a list has come to its end, a line of nothing but a `.`."""
    return answer in (b".\n", b".\r\n") or answer.endswith((b"\n.\n", b"\n.\r\n"))


def excerpt(answer: Bytes) -> str:
    """Return the start of an answer as printable ASCII in quotes, with its length where it is cut."""
    text = ascii(answer[:60].decode("latin-1"))
    return text if len(answer) <= 60 else f"{text}… ({len(answer)} bytes)"


def parse_status_line(line: bytes) -> tuple[str, Queue] | None:
    """Read `name TAB total TAB running TAB workers`; None where it is something else. The name itself may hold tabs."""
    parsed = parse_counts(line, 3)
    if parsed is None or parsed[1][1] > parsed[1][0]:
        return None
    name, (total, running, workers) = parsed
    return name, new_queue(total, running, workers, registered=True)


def parse_priority_line(line: bytes) -> tuple[str, dict[str, int]] | None:
    """Read `name TAB high TAB normal TAB low TAB workers`; None where it is something else."""
    parsed = parse_counts(line, 4)
    return None if parsed is None else (parsed[0], dict(zip(PRIORITIES, parsed[1])))


def parse_counts(line: bytes, count: int) -> tuple[str, list[int]] | None:
    """Read a name and so many counts behind tabs; None where it is something else."""
    name, *fields = line.rstrip(b"\r").rsplit(b"\t", count)
    if len(fields) != count or not all(COUNT.fullmatch(field) for field in fields):
        return None
    return to_text(name), [int(field) for field in fields]


def to_text(name: bytes) -> str:
    """Return a name of the server as text, with an escape for each byte that is not UTF-8 or cannot be seen.

    Anybody who reaches the server can give a queue or a worker any name.
    """
    text = name.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def new_queue(total: int, running: int, workers: int, registered: bool) -> Queue:
    """Return a queue as the module returns it."""
    return {
        "total": total,
        "running": running,
        "waiting": total - running,
        "workers": workers,
        "registered": registered,
        "priorities": None,
    }


def serving(connections: list[dict[str, str]], queues: dict[str, Queue]) -> list[dict[str, Any]]:
    """Return the connections that are registered for one of `queues`, with those that they are registered for."""
    found = []
    for one in connections:
        served = [name for name in queues if f" {name} " in one["text"] + " "]
        if served:
            found.append({"address": one["address"], "client_id": one["client_id"], "queues": served})
    return sorted(found, key=lambda one: (one["address"], one["client_id"]))


def is_pattern(wanted: str) -> bool:
    """Tell whether this is a shell pattern rather than an exact name."""
    return any(character in wanted for character in "*?[")


def select(known: dict[str, Queue], wanted: list[str]) -> dict[str, Queue]:
    """Return the queues that `wanted` means: all where it is empty, and zeros for an exact name that nobody knows."""
    if not wanted:
        return dict(known)
    selected: dict[str, Queue] = {}
    for one in wanted:
        if one in known or not is_pattern(one):
            selected[one] = known.get(one) or new_queue(0, 0, 0, registered=False)
        else:
            selected.update({name: known[name] for name in known if fnmatch.fnmatchcase(name, one)})
    return selected


def judge(queues: dict[str, Queue], wanted: list[str], max_waiting: int | None, min_workers: int | None) -> list[str]:
    """Return one sentence for each threshold that a queue exceeds, and for each pattern that matches none."""
    problems: list[str] = []
    for name, queue in queues.items():
        if max_waiting is not None and queue["waiting"] > max_waiting:
            problems.append(f"{name}: {queue['waiting']} waiting, at most {max_waiting} allowed")
        if min_workers is not None and queue["workers"] < min_workers:
            unknown = "" if queue["registered"] else " (the server does not know this queue)"
            problems.append(f"{name}: {queue['workers']} workers, at least {min_workers} wanted{unknown}")
    if min_workers:
        problems += [f"{one}: no queue matches, so it has no worker" for one in unmatched(queues, wanted)]
    return problems


def unmatched(queues: dict[str, Queue], wanted: list[str]) -> list[str]:
    """Return the patterns of `wanted` that no queue matches; no `wanted` at all is the pattern `*`."""
    patterns = [one for one in wanted or ["*"] if is_pattern(one)]
    return [one for one in patterns if one not in queues and not fnmatch.filter(queues, one)]


def wrong_option(options: dict[str, Any]) -> str | None:
    """Return what is wrong with the options beyond their types, None when nothing is."""
    if options["host"] == "":
        return "The option host is empty: give the job server's name or address."
    if not 1 <= options["port"] <= 65535:
        return f"The option port is {options['port']}, which is no TCP port: give one from 1 to 65535."
    if not 0 < options["timeout"] <= 3600:
        return f"The option timeout is {options['timeout']:g}: give more than 0 and at most 3600 seconds."
    for name in ("max_waiting", "min_workers"):
        if options[name] is not None and options[name] < 0:
            return f"The option {name} is {options[name]}: give 0 or more."
    return None


def listening(port: int) -> str:
    """Return the address at which something on this host listens on `port`; loopback first, and where nothing does."""
    addresses: list[str] = []
    for table, family, words in (("tcp", socket.AF_INET, 1), ("tcp6", socket.AF_INET6, 4)):
        try:
            with open(f"/proc/net/{table}", encoding="ascii") as lines:
                rows = [line.split() for line in lines][1:]
        except OSError:  # no Linux, or no IPv6
            continue
        for row in rows:
            address, _colon, number = row[1].partition(":")
            if row[3] == LISTEN and int(number, 16) == port:
                # Each word of 32 bits is printed as this machine's number, so back the same way it is in network order.
                packed = struct.pack(f"={words}I", *(int(address[at * 8 : at * 8 + 8], 16) for at in range(words)))
                addresses.append(socket.inet_ntop(family, packed))
    if not addresses or {"0.0.0.0", "::", "127.0.0.1"} & set(addresses):  # noqa: S104 (looked for, not listened on)
        return "127.0.0.1"
    return addresses[0]


def examine(options: dict[str, Any]) -> dict[str, Any]:
    """Ask the server and judge its queues: the module's return values. Raises ServerError."""
    wanted = [one for one in options["queues"] if one]
    connection = Connection(options["host"], options["port"], options["timeout"], options["tls"])
    try:
        ends = connection.certificate_ends()
        version = connection.version()
        queues = select(connection.status(), wanted)
        for name, waiting in connection.priorities().items():
            if name in queues:
                queues[name]["priorities"] = waiting
        workers = serving(connection.workers(), queues)
    finally:
        connection.close()
    problems = judge(queues, wanted, options["max_waiting"], options["min_workers"])
    return result(options, problems, version, queues, workers, ends)


def result(
    options: dict[str, Any],
    problems: list[str],
    version: str = "",
    queues: dict[str, Queue] | None = None,
    workers: list[dict[str, Any]] | None = None,
    certificate_ends: float | None = None,
) -> dict[str, Any]:
    """Return the module's return values; the keys are the same in every case."""
    queues = queues or {}
    return {
        "server": {
            "host": options["host"],
            "port": options["port"],
            "version": version,
            "certificate_ends": certificate_ends,
        },
        "queues": queues,
        "workers": workers or [],
        "totals": {count: sum(queue[count] for queue in queues.values()) for count in COUNTS},
        "healthy": not problems,
        "problems": problems,
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str"},
            "port": {"type": "int", "default": 7003},
            "timeout": {"type": "float", "default": 5.0},
            "tls": {"type": "str", "default": ""},
            "queues": {"type": "list", "elements": "str", "default": []},
            "max_waiting": {"type": "int"},
            "min_workers": {"type": "int"},
            "strict": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options: dict[str, Any] = dict(module.params)
    if options["host"] is None:
        options["host"] = listening(options["port"])
    wrong = wrong_option(options)
    if wrong:
        module.fail_json(msg=wrong, **result(options, [wrong]))
    try:
        found = examine(options)
    except ServerError as error:
        module.fail_json(msg=str(error), **result(options, [str(error)]))
    if options["strict"] and not found["healthy"]:
        where = f"{options['host']}:{options['port']}"
        module.fail_json(msg=f"The job server {where} is not healthy: {'; '.join(found['problems'])}.", **found)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
