#!/usr/bin/python3
"""Prove a job server: what its first users tried by hand, step by step, on a function name that nobody else has.

usage: smoke.py HOST PORT [--queue libsqlite3|libmemcached|builtin] [--kill auto|yes|no] [--unit gearmand.service]

Prints each step with what was expected and seen. Leaves no job, process or file behind, also when it is ended. Needs
the standard library only, and root for the step that kills the server.
Exit status: 0 all was as expected, 1 something was not, 2 wrong use or no answer.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

CAN_DO, PRE_SLEEP, NOOP, SUBMIT_JOB, JOB_CREATED, GRAB_JOB, NO_JOB, JOB_ASSIGN = 1, 4, 6, 7, 8, 9, 10, 11
WORK_COMPLETE, SUBMIT_JOB_BG, ERROR = 13, 18, 19
SECONDS = 20.0
"""How long anything that must happen may take."""

NAP = 2.0
"""Seconds that the worker sleeps with a job in hand, so that its client can be killed meanwhile."""

NOTES = "the original notes say 1 0 1 of a running job: that is the moment before the worker has fetched it"


class SmokeError(Exception):
    """The proof cannot go on; the text is one sentence."""


class DiffersError(Exception):
    """A step saw something else than what was expected: what comes after it would prove nothing."""


class Peer:
    """A connection to the job server, as a client, as a worker, or to ask it in its text protocol."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self.socket = socket.create_connection((host, port), SECONDS)
        except OSError as error:
            raise SmokeError(
                f"the job server {host}:{port} cannot be reached ({error}): look whether it runs"
            ) from error
        self.stream = self.socket.makefile("rb")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, kind: int, *arguments: bytes) -> None:
        """Send one packet of the binary protocol."""
        body = b"\0".join(arguments)
        self.socket.sendall(b"\0REQ" + struct.pack(">II", kind, len(body)) + body)

    def receive(self, *wanted: int) -> tuple[int, bytes]:
        """Return the next packet (kind, body) of one of the wanted kinds; SmokeError on an error or at the end."""
        while True:
            head = self.stream.read(12)
            if len(head) < 12:
                raise SmokeError("the job server hung up")
            kind, size = struct.unpack(">4xII", head)
            body = self.stream.read(size)
            if kind == ERROR:
                raise SmokeError(f"the job server says {body.decode('utf-8', 'replace')!r}")
            if kind in wanted:
                return kind, body

    def ask(self, command: str) -> str:
        """Send one command of the text protocol and return the first line of the answer."""
        self.socket.sendall(command.encode("ascii") + b"\r\n")
        return self.stream.readline().decode("utf-8", "replace").rstrip("\r\n")

    def status(self, function: str) -> str:
        """Return `total running workers` of a function; of one that the server does not know `0 0 0`."""
        return self.all_status().get(function, "0 0 0")

    def all_status(self) -> dict[str, str]:
        """Return `total running workers` of every function that the server knows."""
        found: dict[str, str] = {}
        line = self.ask("status")
        while line != ".":
            name, _, counts = line.partition("\t")
            found[name] = counts.replace("\t", " ")
            line = self.stream.readline().decode("utf-8", "replace").rstrip("\r\n")
        return found

    def submit(self, function: str, payload: str, kind: int = SUBMIT_JOB_BG) -> None:
        """Submit a job; back when the server has accepted it."""
        self.send(kind, function.encode(), secrets.token_hex(8).encode(), payload.encode())
        self.receive(JOB_CREATED)

    def grab(self) -> tuple[bytes, str] | None:
        """Fetch a job as a worker: its handle and its payload, or None where none waits."""
        self.send(GRAB_JOB)
        kind, body = self.receive(JOB_ASSIGN, NO_JOB)
        if kind == NO_JOB:
            return None
        handle, _, payload = body.split(b"\0", 2)
        return handle, payload.decode("utf-8", "replace")


def work(host: str, port: int, function: str, file: Path) -> None:
    """Be a worker: sleep, write the payload into the file, answer with the payload turned round; until killed."""
    with Peer(host, port) as worker:
        worker.socket.settimeout(None)
        worker.send(CAN_DO, function.encode())
        while True:
            job = worker.grab()
            if job is None:
                worker.send(PRE_SLEEP)
                worker.receive(NOOP)
                continue
            time.sleep(NAP)
            file.write_text(job[1], encoding="utf-8")
            worker.send(WORK_COMPLETE, job[0], job[1][::-1].encode())


def call(host: str, port: int, function: str, payload: str) -> None:
    """Be a client: submit a job in the foreground and print its result."""
    with Peer(host, port) as client:
        client.submit(function, payload, SUBMIT_JOB)
        print(client.receive(WORK_COMPLETE)[1].partition(b"\0")[2].decode())


class Proof:
    """One run: the private function, the processes and files that belong to it, and what was seen so far."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.host, self.port, self.unit = arguments.host, arguments.port, arguments.unit
        self.queue, self.kill = arguments.queue, arguments.kill
        self.function = f"edgetally.smoke.{secrets.token_hex(6)}"
        self.file = folder / "written-by-the-worker"
        self.processes: list[subprocess.Popen[str]] = []

    def see(self, step: str, expected: str, look: Callable[[], str]) -> None:
        """Print one step; what is seen may take its time to become what is expected. Raises DiffersError."""
        deadline = time.monotonic() + SECONDS
        while (seen := look()) != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        print(f"{'ok    ' if seen == expected else 'FAILED'}  {step}: expected {expected}, seen {seen}", flush=True)
        if seen != expected:
            raise DiffersError(step)

    def say(self, text: str) -> None:
        """Print a line that belongs to the step before."""
        print(f"        {text}", flush=True)

    def status(self) -> str:
        """The three numbers of the private function, asked on a new connection."""
        with Peer(self.host, self.port) as peer:
            return peer.status(self.function)

    def start(self, role: str, *words: str) -> subprocess.Popen[str]:
        """Start this program as a process of its own, as worker or client."""
        command = [
            sys.executable,
            "-I",
            os.path.abspath(__file__),
            role,
            self.host,
            str(self.port),
            self.function,
            *words,
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        """Kill a process of ours by SIGKILL."""
        process.kill()
        process.wait()
        self.processes.remove(process)

    # ---- The steps

    def run(self) -> None:
        """All steps, in the order of the original experiment."""
        with Peer(self.host, self.port) as peer:
            print(f"gearmand {peer.ask('version').removeprefix('OK ')} on {self.host}:{self.port}, {self.function}")
        self.one_worker_in_hand()
        worker = self.start("work", str(self.file))
        self.see("a worker registers", "0 0 1", self.status)
        self.client_is_killed()
        self.result_comes_back()
        self.end(worker)
        reason = self.why_not_killed()
        if reason:
            print(f"skipped  kill -9 and restart of the server: {reason}", flush=True)
        else:
            self.server_is_killed()

    def one_worker_in_hand(self) -> None:
        """The status at each moment of a job's life, with a worker that does nothing by itself."""
        with Peer(self.host, self.port) as client, Peer(self.host, self.port) as worker:
            client.submit(self.function, "first")
            self.see("a job is submitted, there is no worker", "1 0 0", self.status)
            worker.send(CAN_DO, self.function.encode())
            self.finish(worker)
            self.see("a worker registers and has done it", "0 0 1", self.status)
            worker.send(PRE_SLEEP)
            client.submit(self.function, "second")
            worker.receive(NOOP)
            self.see("a job is submitted, the worker has not fetched it yet", "1 0 1", self.status)
            job = worker.grab()
            self.see("the job runs", "1 1 1", self.status)
            self.say(NOTES)
            if job:
                worker.send(WORK_COMPLETE, job[0], b"")
            # 0.14 throws an answer away whose connection ends before it was read
            self.see("the job is done", "0 0 1", self.status)
        self.see("the worker is gone", "0 0 0", self.status)

    def finish(self, worker: Peer) -> None:
        """Do all jobs that wait, with nothing done."""
        while job := worker.grab():
            worker.send(WORK_COMPLETE, job[0], b"")

    def client_is_killed(self) -> None:
        """A client is killed while the worker sleeps with its job: the job completes all the same."""
        client = self.start("call", "of a client that is dead")
        self.see("a client waits for its job", "1 1 1", self.status)
        self.end(client)
        killed = time.time()
        self.see("the client is killed, the job completes", "0 0 1", self.status)
        later = f"{self.file.stat().st_mtime - killed:.1f} s after the kill" if self.file.exists() else "never"
        self.see("its file was written after the kill", "yes", lambda: "yes" if self.written_after(killed) else "no")
        self.say(f"the file changed {later}, while the worker slept {NAP:g} s")

    def written_after(self, moment: float) -> bool:
        """Whether the worker's file has changed since."""
        return self.file.exists() and self.file.stat().st_mtime > moment

    def result_comes_back(self) -> None:
        """A waiting client gets its result; the command-line client is used where it is installed."""
        text = "there and back"
        program = shutil.which("gearman")
        if program:
            command = [program, "-h", self.host, "-p", str(self.port), "-f", self.function, text]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.processes.append(process)
        else:
            process = self.start("call", text)
        seen = "nothing"
        with contextlib.suppress(subprocess.TimeoutExpired):
            seen = process.communicate(timeout=SECONDS)[0].strip()
        self.see(f"the result comes back to {program or 'a client'}", text[::-1], lambda: seen)

    # ---- The server is killed

    def why_not_killed(self) -> str:
        """Why the server is not to be killed; empty when it is."""
        if self.queue == "builtin":
            return "the queue builtin is memory and loses its jobs at every stop"
        if self.kill == "no":
            return "not wanted; -e gearmand_smoke_kill=yes kills it"
        if self.kill == "yes":
            return ""
        with Peer(self.host, self.port) as peer:
            used = [
                name
                for name, counts in peer.all_status().items()
                if name != self.function and (not counts.startswith("0 ") or not counts.endswith(" 0"))
            ]
        if used:
            return f"others use it ({', '.join(sorted(used)[:3])}); -e gearmand_smoke_kill=yes kills it all the same"
        return ""

    def server_is_killed(self) -> None:
        """A background job is there again after kill -9 and restart, and is done once."""
        with Peer(self.host, self.port) as client:
            client.submit(self.function, "survivor")
        self.see("a background job is submitted", "1 0 0", self.status)
        before = self.main_pid()
        subprocess.run(
            ["systemctl", "kill", "--signal=KILL", self.unit], check=True, capture_output=True, timeout=SECONDS
        )
        begun = time.monotonic()
        self.see("the server is killed, systemd starts another", "yes", lambda: "yes" if self.is_new(before) else "no")
        self.see("the job is there again", "1 0 0", self.status_or_none)
        self.say(f"{time.monotonic() - begun:.1f} s after kill -9")
        worker = self.start("work", str(self.file))
        self.see("a worker does it", "0 0 1", self.status_or_none)
        self.see("its payload is what was submitted", "survivor", lambda: self.file.read_text(encoding="utf-8"))
        self.end(worker)

    def main_pid(self) -> str:
        """The process id of the unit, 0 while there is none."""
        command = ["systemctl", "show", "--property=MainPID", "--value", self.unit]
        shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
        return shown.stdout.strip()

    def is_new(self, before: str) -> bool:
        """Whether another process than before is the server now, and answers."""
        return self.main_pid() not in ("0", before) and self.status_or_none() != "no answer"

    def status_or_none(self) -> str:
        """The status, of a server that may not answer yet."""
        try:
            return self.status()
        except (SmokeError, OSError):
            return "no answer"

    # ---- The end

    def clean_up(self) -> None:
        """End our processes and take our jobs off the queue; say what stays."""
        for process in list(self.processes):
            self.end(process)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:  # a job comes back when the server has noticed that its worker is dead
            with Peer(self.host, self.port) as worker:
                worker.send(CAN_DO, self.function.encode())
                self.finish(worker)
            if self.status() == "0 0 0":
                break
            time.sleep(0.1)
        self.see("nothing of this is left", "0 0 0", self.status)
        with Peer(self.host, self.port) as peer:
            if not peer.ask(f"drop function {self.function}").startswith("OK"):
                self.say("the name stays in the server's status until its next start: it cannot forget one")


@contextlib.contextmanager
def cleaning_up(proof: Proof) -> Iterator[None]:
    """Clean up whatever happens, also on SIGTERM, and let nothing stop that."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise SmokeError("ended by a signal")

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        proof.clean_up()


def prove(arguments: argparse.Namespace) -> int:
    """Run all steps and return the exit status."""
    with Peer(arguments.host, arguments.port), tempfile.TemporaryDirectory(prefix="gearmand-smoke-") as folder:
        proof = Proof(arguments, Path(folder))
        try:
            with cleaning_up(proof):
                proof.run()
        except DiffersError as error:
            print(f"not as expected: {error}")
            return 1
    print("all is as expected")
    return 0


def main(words: list[str]) -> int:
    """Run the program; return its exit status."""
    if words[:1] == ["work"]:
        work(words[1], int(words[2]), words[3], Path(words[4]))
    elif words[:1] == ["call"]:
        call(words[1], int(words[2]), words[3], words[4])
    parser = argparse.ArgumentParser(prog="smoke.py", description="Prove a job server.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--queue", choices=["libsqlite3", "libmemcached", "builtin"], default="builtin")
    parser.add_argument("--kill", choices=["auto", "yes", "no"], default="no")
    parser.add_argument("--unit", default="gearmand.service")
    try:
        return prove(parser.parse_args(words))
    except (SmokeError, OSError, subprocess.SubprocessError) as error:
        print(f"smoke.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
