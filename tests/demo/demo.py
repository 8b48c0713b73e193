"""`bin/demo`: the whole pipeline on the lab's hosts, from a rollout with Ansible to a bill that equals the raw logs."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.demo import reconcile, result, traffic
from tests.demo.steps import DemoError, end_cleanly, heading, positive, say, step

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tests" / "lab" / "lab.py"
NAME = "demo"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgetally"
LOCAL_HINT = "`bin/demo --local` shows the same pipeline without containers"

NEXT = """\
The lab stays up; its edges rotate and ship every minute.
  bin/lab list                                     the hosts; `bin/lab ssh edge1` enters one
  bin/lab ssh edge1 edgetally status               how an edge is doing; the same on edge2 and agg1
  bin/lab ssh agg1 edgetally report                the bill of this month so far
  bin/lab ssh edge2 'ls /var/spool/edgetally/*'    what an edge keeps: batches, and the raw logs behind the bill
  bin/lab ssh agg1 mariadb edgetally -e "'SELECT * FROM v_channel_5min'"
Ansible's own health check (ansible and its PATH come with `tests/setup lab`):
  ansible -i {inventory} gearmand -m gearman_queue_info \\
    -a 'host={job_server} port=7003 queues=edgetally.batch max_waiting=100 min_workers=1'
  ansible-playbook -i {inventory} playbooks/health.yml
The demo's files: {folder} (ansible.log, sent.json).
bin/demo --down removes the lab."""


def lab(*arguments: str) -> int:
    """Run bin/lab; its progress goes to standard error."""
    return subprocess.run([sys.executable, str(LAB), *arguments], stdout=subprocess.DEVNULL, check=False).returncode


def job_server_program() -> dict[str, str]:
    """The environment that lets the lab build gearmand; empty, after a line that says so, where it cannot."""
    from tests.lab import tarball  # it needs the virtual environment, which `bin/demo --down` does without

    try:
        path = tarball.find()
    except OSError as error:
        say(f"gearmand 0.14 cannot be fetched from launchpad.net ({error}): the distribution's package is used")
        return {}
    say(f"gearmand is built from {path}")
    return {tarball.VARIABLE: str(path)}


def playbook(path: str, inventory: Path, log: Path, environment: dict[str, str]) -> None:
    """Run a playbook: a line for each play, all of it in the log. DemoError with the failed task when it fails."""
    command = ["ansible-playbook", "-i", str(inventory), path]
    environment = {**os.environ, **environment, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    kept: list[str] = []
    with (
        log.open("a", encoding="utf-8") as out,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            out.write(line)
            if line.startswith("PLAY [") and "inventory" not in line:
                say(f"    {line[6:].partition(']')[0]}")
            if line.startswith(("TASK [", "fatal:", "ERROR", "[ERROR]")):
                kept.append(line.strip())
    if process.returncode:
        raise DemoError(f"{path} failed: {' | '.join(kept[-3:])[:1500]}; all of it is in {log}")


def first_run(edges: Sequence[reconcile.Edge]) -> None:
    """Run `edgetally ship` once on every edge: what is logged from then on is counted."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda edge: reconcile.shell(edge.run, "edgetally ship --now"), edges))


def rotations(edge: reconcile.Edge) -> int:
    """How many rotations of its log an edge has archived so far."""
    return int(reconcile.shell(edge.run, f"find {edge.spool}/raw/{edge.log} -name '*.gz' | wc -l"))


def watch_rotations(edges: Sequence[reconcile.Edge], stop: threading.Event) -> None:
    """Say whenever an edge has rotated, until `stop` is set."""
    seen = {edge.name: rotations(edge) for edge in edges}
    while not stop.wait(5.0):
        for edge in edges:
            with contextlib.suppress(reconcile.ReconcileError):
                count = rotations(edge)
                if count != seen[edge.name]:
                    seen[edge.name] = count
                    say(f"    {edge.name} has rotated, {count} logs are archived")


def send(lab_file: Path, sent_file: Path, seconds: float, edges: Sequence[reconcile.Edge]) -> None:
    """Send the traffic to all edges while they rotate."""
    stop = threading.Event()
    watcher = threading.Thread(target=watch_rotations, args=(edges, stop), daemon=True)
    watcher.start()
    try:
        if traffic.main([f"--lab={lab_file}", f"--seconds={seconds:g}", f"--out={sent_file}"]):
            raise DemoError(f"some requests failed: {sent_file} lists them under failures")
    finally:
        stop.set()
        watcher.join()


def demo(folder: Path, seconds: float) -> bool:
    """Run the whole demo on the standing lab; whether the three ways agree."""
    lab_file, sent_file, log = folder / "lab.json", folder / "sent.json", folder / "ansible.log"
    inventory = Path(json.loads(lab_file.read_text("utf-8"))["inventory"])
    for old in (sent_file, log):
        old.unlink(missing_ok=True)
    edges, (database, *_) = reconcile.read_lab(str(lab_file))
    environment = job_server_program()
    with step("set up what an operator has: an origin, an nginx edge, a squid edge", remind=False):
        playbook("tests/lab/prepare.yml", inventory, log, {})
    with step("roll out site.yml: job server, aggregator with MariaDB, edges"):
        playbook("site.yml", inventory, log, environment)
    with step("first run of `edgetally ship` on every edge"):
        first_run(edges)
    with step(f"send traffic to every edge for {seconds:g} s, while cron rotates every minute", remind=False):
        send(lab_file, sent_file, seconds, edges)
    equal = result.show(
        sent_file,
        edges,
        database,
        lambda since, to: reconcile.shell(database.run, f"edgetally report --from {since} --to {to}"),
    )
    job_server = next(
        host["ip"] for host in json.loads(lab_file.read_text("utf-8"))["hosts"] if "gearmand" in host["groups"]
    )
    heading("What to look at next")
    print(NEXT.format(inventory=inventory, job_server=job_server, folder=folder))
    return equal


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; boot the lab and run the demo, or remove the lab."""
    parser = argparse.ArgumentParser(
        prog="bin/demo", description="The whole pipeline on the lab's hosts.", epilog=LOCAL_HINT
    )
    parser.add_argument("--seconds", type=positive, default=150.0, help="of traffic")
    parser.add_argument("--down", action="store_true", help="remove the lab, and all that the demo made")
    options = parser.parse_args(arguments)
    end_cleanly()
    if options.down:
        status = lab("down", NAME)
        if not status:
            say(f"the lab is gone; what a next run would reuse stays in {CACHE}: delete it if there is to be none")
        return status
    begun = time.monotonic()
    try:
        # New hosts each time: an earlier run's traffic would be in the same five minutes.
        with step(f"boot the lab's hosts (lab {NAME})", remind=False):
            if lab("up", NAME, "--fresh"):
                raise DemoError(f"the lab does not stand; {LOCAL_HINT}")
        equal = demo(CACHE / "lab" / NAME, options.seconds)
        say(f"all of it took {time.monotonic() - begun:.0f} s")
        return 0 if equal else 1
    except (DemoError, reconcile.ReconcileError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("interrupted; the lab is still up, `bin/demo --down` removes it")
        return 130


if __name__ == "__main__":
    sys.exit(main())
