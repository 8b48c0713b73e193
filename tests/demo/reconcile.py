#!/usr/bin/python3
"""The three-way reconciliation: what the load generator received, what the raw logs say, what the database holds.

    reconcile.py --lab LAB.json --sent SENT.json [--wait SECONDS]

Three ways that share no code: the generator counted bytes on its sockets (SENT.json, see traffic.py); awk sums the
archived raw logs on each edge; SQL sums the counters in MariaDB. For each channel, requests and bytes must be equal in
all three, to the byte; on each edge, too. First it waits (at most --wait seconds) until every edge has had all its
traffic confirmed. Prints a table, and where the three part: edge, channel, which of them, by how much.

Exit status: 0 all equal; 1 not equal; 2 for wrong use or when an edge or the database cannot be read.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLOT = 300
SETTLE = 60  # seconds after the traffic's end in which a server may still write a line about it
UNASSIGNED = "unassigned"
LOCAL = ("sh", "-c")
CLUSTER = (
    "mariadb -N -B --init-command='SET SESSION wsrep_sync_wait = 1' edgetally"  # all that the others have committed
)

# One line of output for each host and first folder of the path: host, folder, requests, bytes. from and to are epoch
# seconds. %.0f, because mawk's %d ends at 2^31; sums of doubles are exact up to 2^53.
_SUM = r"""
function add(time, host, path, bytes,    folder) {
    if (time < from || time >= to) return
    host = tolower(host); sub(/:[0-9]+$/, "", host)
    folder = match(path, /^\/[^\/?]*\//) ? substr(path, 1, RLENGTH) : "/"
    requests[host "\t" folder]++; sum[host "\t" folder] += bytes
}
END { for (key in requests) printf "%s\t%.0f\t%.0f\n", key, requests[key], sum[key] }
"""
# Epoch seconds of [24/Nov/2026:13:55:36 +0100]: the days since 1970-03-01, counted in years that begin in March.
_CLF = r"""
function epoch(clock,    part, month, year, zone) {
    split(clock, part, /[][\/: ]/)
    month = (index("JanFebMarAprMayJunJulAugSepOctNovDec", part[3]) + 2) / 3 - 3
    year = part[4] - (month < 0); month += 12 * (month < 0)
    zone = (substr(part[8], 2, 2) * 60 + substr(part[8], 4)) * 60
    year = 365 * year + int(year / 4) - int(year / 100) + int(year / 400)
    return (year + int((153 * month + 2) / 5) + part[2] - 719469) * 86400 \
        + part[5] * 3600 + part[6] * 60 + part[7] - (substr(part[8], 1, 1) == "-" ? -zone : zone)
}
"""

AWK = {
    # … $msec $host "$request" $status $bytes_sent …
    "nginx": _SUM
    + r"""
BEGIN { FS = "\"" }
{ n = split($1, before, " "); split($2, request, " "); split($3, after, " ")
  add(before[n - 1], before[n], request[2], after[2]) }
""",
    # time duration client result/status bytes method URL …
    "squid": _SUM
    + r"""
{ url = $7; sub(/^[a-z]+:\/\//, "", url); slash = index(url, "/")
  add($1, slash ? substr(url, 1, slash - 1) : url, slash ? substr(url, slash) : "/", $5) }
""",
    # [start] microseconds status bytes … "host" "request"; varnishncsa's request has the whole URL
    **dict.fromkeys(
        ("apache", "varnish"),
        _SUM
        + _CLF
        + r"""
BEGIN { FS = "\"" }
{ split($1, before, " "); split($4, request, " "); sub(/^http:\/\/[^\/]*/, "", request[2])
  add(epoch(before[1] " " before[2]) + before[3] / 1e6, $2, request[2], before[5]) }
""",
    ),
}

Sums = dict[tuple[str, str], tuple[int, int]]
"""(edge, channel) -> (requests, bytes)."""


class ReconcileError(Exception):
    """One sentence: what could not be read, where."""


@dataclass(frozen=True)
class Edge:
    """An edge's archive. run: the words to which a shell command is added; kind: the log's format, a key of AWK."""

    name: str
    run: tuple[str, ...]
    kind: str
    log: str = "access"
    spool: str = "/var/spool/edgetally"

    @property
    def stream(self) -> str:
        """The stream's name."""
        return f"{self.name}/{self.log}"


@dataclass(frozen=True)
class Database:
    """The aggregator's database. client: a shell command that reads SQL and prints rows with tabs, without a head."""

    run: tuple[str, ...] = LOCAL
    client: str = "mariadb -N -B edgetally"
    name: str = ""

    def query(self, sql: str) -> list[list[str]]:
        """The rows of a query."""
        return [line.split("\t") for line in shell(self.run, self.client, sql).splitlines()]


class Sent:
    """What the generator sent: SENT.json."""

    def __init__(self, path: str) -> None:
        data: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))
        self.start: float = data["start"]
        self.end: float = data["end"]
        self.failures: list[str] = data["failures"]
        self.channels = {(row["host"], row["prefix"]): row["channel"] for row in data["sent"]}
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for row in data["sent"]:
            sums[row["edge"], row["channel"]][0] += row["requests"]
            sums[row["edge"], row["channel"]][1] += row["bytes"]
        self.sums: Sums = {key: (cell[0], cell[1]) for key, cell in sums.items()}

    @property
    def slots(self) -> tuple[int, int]:
        """The first slot of the traffic, and the first one after it."""
        return int(self.start) // SLOT * SLOT, (int(self.end) + SETTLE) // SLOT * SLOT + SLOT


def shell(run: Sequence[str], command: str, text: str = "") -> str:
    """Run a shell command there; its output. ReconcileError when it fails."""
    done = subprocess.run([*run, command], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        where = "here" if run == LOCAL else f"on {run[-1]}"
        raise ReconcileError(f"`{command.splitlines()[0][:60]}` failed {where}: {said[-1]}")
    return done.stdout


def raw_sums(edge: Edge, sent: Sent) -> Sums:
    """What an edge's archived raw logs say, by awk: lines from the traffic's start on."""
    program = AWK[edge.kind].replace("'", "'\\''")
    _, to = sent.slots
    command = (
        f"find {edge.spool}/raw/{edge.log} -name '*.gz' -exec zcat {{}} + | "
        f"LC_ALL=C awk -v from={int(sent.start)} -v to={to} '{program}'"
    )
    sums: Sums = {}
    for line in shell(edge.run, command).splitlines():
        host, folder, requests, size = line.split("\t")
        key = edge.name, sent.channels.get((host, folder), UNASSIGNED)
        before = sums.get(key, (0, 0))
        sums[key] = before[0] + int(requests), before[1] + int(size)
    return sums


def database_sums(database: Database, edges: Sequence[Edge], sent: Sent) -> tuple[Sums, dict[str, tuple[int, int]]]:
    """What the database holds for the traffic's slots: by edge and channel (traffic), and by channel alone."""
    since, to = sent.slots
    names = {edge.stream: edge.name for edge in edges}
    streams = database.query(
        "SELECT s.name, c.name, SUM(t.requests), SUM(t.bytes) FROM traffic t JOIN stream s ON s.id = t.stream_id "
        f"JOIN channel c ON c.id = t.channel_id WHERE t.slot >= {since} AND t.slot < {to} GROUP BY s.name, c.name"
    )
    channels = database.query(
        "SELECT c.name, SUM(t.requests), SUM(t.bytes) FROM channel_traffic t JOIN channel c ON c.id = t.channel_id "
        f"WHERE t.slot >= {since} AND t.slot < {to} GROUP BY c.name"
    )
    by_edge = {(names.get(row[0], row[0]), row[1]): (int(row[2]), int(row[3])) for row in streams}
    return by_edge, {row[0]: (int(row[1]), int(row[2])) for row in channels}


def unconfirmed(database: Database, edges: Sequence[Edge], sent: Sent) -> list[str]:
    """What has not arrived yet: streams whose last commit ends before the traffic, batches that wait."""
    rows = database.query(
        "SELECT s.name, MAX(b.covers_to) FROM batch b JOIN stream s ON s.id = b.stream_id GROUP BY s.name"
    )
    covered = {name: float(to) for name, to in rows}
    missing = []
    for edge in edges:
        behind = sent.end - covered.get(edge.stream, 0.0)
        count = f"cd {edge.spool} && find outbox -name '*.json' | wc -l && find held -name '*.json' | wc -l"
        waiting, held = map(int, shell(edge.run, count).split())
        if held:
            raise ReconcileError(f"{edge.name} has {held} held batches: `edgetally status` there says why")
        if behind > 0:
            missing.append(f"{edge.stream} up to {time.strftime('%H:%M:%S', time.gmtime(sent.end))} UTC")
        elif waiting:
            missing.append(f"{waiting} batches in the outbox of {edge.name}")
    return missing


def wait(
    database: Database,
    edges: Sequence[Edge],
    sent: Sent,
    seconds: float,
    say: Callable[[str], None] = lambda text: print(f"reconcile: {text}", file=sys.stderr, flush=True),
) -> list[str]:
    """Wait until the database has all of the traffic and says so to the edges; what is still missing then."""
    deadline, said = time.monotonic() + seconds, ""
    while missing := unconfirmed(database, edges, sent):
        if time.monotonic() > deadline:
            break
        if said != (said := "; ".join(missing)):
            say(f"waiting for {said}")
        time.sleep(1.0)
    return missing


def differences(sent: Sums, raw: Sums, held: Sums, totals: dict[str, tuple[int, int]]) -> list[str]:
    """Where the three part, a sentence for each place; empty when all is equal."""
    found = []
    for edge, channel in sorted({*sent, *raw, *held}):
        first = sent.get((edge, channel), (0, 0))
        for name, sums in (("the raw logs have", raw), ("the database has", held)):
            more = [there - here for there, here in zip(sums.get((edge, channel), (0, 0)), first)]
            if any(more):
                found.append(f"{edge}, {channel}: {name} {more[0]:+,} requests and {more[1]:+,} bytes")
    for channel in sorted({channel for _edge, channel in held} | set(totals)):
        streams = [cell for (_edge, name), cell in held.items() if name == channel]
        more = [totals.get(channel, (0, 0))[column] - sum(cell[column] for cell in streams) for column in (0, 1)]
        if any(more):
            found.append(f"{channel}: channel_traffic has {more[0]:+,} requests and {more[1]:+,} bytes against traffic")
    return found


def by_channel(sums: Sums) -> dict[str, tuple[int, int]]:
    """The sums over all edges."""
    total: dict[str, tuple[int, int]] = {}
    for (_edge, channel), (requests, size) in sums.items():
        before = total.get(channel, (0, 0))
        total[channel] = before[0] + requests, before[1] + size
    return total


def table(columns: Sequence[dict[str, tuple[int, int]]]) -> str:
    """The channels with requests and bytes of generator, raw logs and database, aligned, and their totals."""
    channels = sorted({channel for column in columns for channel in column})
    numbers = [[column.get(name, (0, 0))[part] for part in (0, 1) for column in columns] for name in channels]
    numbers.append([sum(row[place] for row in numbers) for place in range(6)])
    sources = ["generator", "raw logs", "database"]
    cells = [["channel", *sources, *sources]]
    cells += [[name, *(f"{n:,}" for n in row)] for name, row in zip([*channels, "total"], numbers)]
    widths = [max(len(row[number]) for row in cells) for number in range(7)]
    half = sum(widths[1:4]) + 4
    rows = [f"{'':{widths[0]}}  {'requests':>{half}}    {'bytes':>{sum(widths[4:]) + 4}}"]
    for row in cells:
        right = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:])]
        rows.append(f"{row[0]:{widths[0]}}  {'  '.join(right[:3])}    {'  '.join(right[3:])}")
    return "\n".join(rows)


def compare(sent_file: str, edges: Sequence[Edge], database: Database, missing: Sequence[str] = ()) -> bool:
    """Print the comparison; whether all is equal. missing: what was waited for in vain."""
    sent = Sent(sent_file)
    raw: Sums = {}
    with ThreadPoolExecutor() as pool:
        for sums in pool.map(lambda edge: raw_sums(edge, sent), edges):
            raw.update(sums)
    held, totals = database_sums(database, edges, sent)
    print(table([by_channel(sent.sums), by_channel(raw), totals]))
    found = [f"not confirmed in time: {place}" for place in missing]
    found += differences(sent.sums, raw, held, totals)
    if not sum(requests for requests, _size in sent.sums.values()):
        found.append("nothing was sent")
    if found:
        print("NOT EQUAL. Against the generator:\n  " + "\n  ".join(found))
    else:
        print(f"EQUAL on {len(edges)} edges: requests in all three, and bytes to the byte.")
    return not found


def read_lab(path: str) -> tuple[list[Edge], list[Database]]:
    """A lab's edges and its database, reached by ssh: on the aggregator's host, or every node of a cluster."""
    lab = json.loads(Path(path).read_text("utf-8"))

    def ssh(host: dict[str, Any]) -> tuple[str, ...]:
        return ("ssh", "-F", "none", "-i", lab["key"], *lab["ssh_args"].split(), f"{lab['user']}@{host['ip']}")

    edges = [
        Edge(host["name"], ssh(host), next((kind for kind in AWK if f"{kind}_edges" in host["groups"]), ""))
        for host in lab["hosts"]
        if "edges" in host["groups"]
    ]
    databases = [Database(ssh(host), CLUSTER, host["name"]) for host in lab["hosts"] if "galera" in host["groups"]]
    databases = databases or [Database(ssh(host)) for host in lab["hosts"] if "aggregator" in host["groups"]]
    if not edges or not databases:
        raise ReconcileError(f"{path} has no edges or no database")
    return edges, databases


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, reconcile."""
    parser = argparse.ArgumentParser(description="Compare the generator, the raw logs and the database, to the byte.")
    parser.add_argument("--lab", required=True, metavar="LAB.json")
    parser.add_argument("--sent", required=True, metavar="SENT.json")
    parser.add_argument("--wait", type=float, default=180.0, metavar="SECONDS", help="for the last batches")
    options = parser.parse_args(arguments)
    try:
        edges, databases = read_lab(options.lab)
        missing = wait(databases[0], edges, Sent(options.sent), options.wait)
        equal = []
        for database in databases:
            if database.name:
                print(f"\n{database.name}")
            equal.append(compare(options.sent, edges, database, missing))
        return 0 if all(equal) else 1
    except (OSError, KeyError, ValueError, ReconcileError) as error:
        print(f"reconcile: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
