"""`edgetally status`: how this host's edge or aggregator is doing, in one table or as JSON."""

from __future__ import annotations

import json
import time

from edgetally import table
from edgetally.edge.archive import mib
from edgetally.health.host import host_status
from edgetally.health.status import AggregatorStatus, BesideStatus, EdgeStatus, JobServer, Status
from edgetally.times import age, utc
from edgetally.wire import clock_offset

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

SHOWN_EDGES = 20
DEFAULTS = {"config": None, "output": "table", "nagios": False, "metrics": None, "timeout": 10.0}
PLAIN = ("config", "metrics")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--config", metavar="FILE", help="an edge's or an aggregator's configuration file")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--output", choices=("table", "json"), default="table", help="how it is written")
    how.add_argument("--nagios", action="store_true", help="one line, and exit status 0, 1, 2 or 3")
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULTS["timeout"],
        metavar="SECONDS",
        help="with --nagios: how long the status may take, by default 10",
    )
    how.add_argument("--metrics", metavar="FILE", help="write them for node_exporter's textfile collector: NAME.prom")


def run(options: argparse.Namespace) -> int:
    """Print the status of the host, or of one configuration file; with --metrics, only write them to that file.

    0: ok; 1: a warning or worse. Nagios gets 0 ok, 1 warning, 2 critical, 3 unknown.
    """
    if options.nagios:
        from edgetally.health import nagios

        return nagios.run(lambda: host_status(options.config, lost=True), options.timeout)
    if options.metrics:
        from edgetally.health.metrics import write

        write(options.metrics, host_status(options.config, lost=True))
        return 0
    statuses = host_status(options.config)
    if options.output == "json":
        print(json.dumps(statuses[0] if len(statuses) == 1 else statuses, indent=2))
    else:
        print("\n\n".join(map(_table, statuses)))
    return int(any(status["state"] != "ok" for status in statuses))


def _table(status: Status) -> str:
    """The status for people: a headline, the details, and the problems."""
    lines: list[str] = []
    if status["role"] == "edge":
        lines = _edge_lines(status)
    elif "writer" in status:
        lines = _aggregator_lines(status)
    critical = status["critical"]
    said = (f"{'CRITICAL' if problem in critical else 'warning'}: {problem}" for problem in status["problems"])
    return "\n".join([*lines, *said])


def _edge_lines(status: EdgeStatus) -> list[str]:
    head = ("log", "next", "rotated", "unfinished", "outbox", "bytes", "oldest", "sent", "held")
    rows = [head]
    now = time.time()
    for log in status["logs"]:
        rotated = None if log["last_rotation"] is None else now - log["last_rotation"]
        rows.append(
            (
                *(log["log"], str(log["next_seq"] or "-"), age(rotated), str(len(log["renamed"]))),
                *(str(log["outbox"]), str(log["outbox_bytes"]), age(log["oldest_outbox"])),
                *(str(log["sent"]), str(len(log["held"]))),
            )
        )
    room = status["spool"]
    return [
        f"edge {status['edge']}: {status['state']}, ledger {status['ledger'] or 'not known yet'}, "
        f"clock {clock_offset.say(status['clock'])}"
        + (f", spool {mib(room['used'])} of {mib(room['quota'])}, {mib(room['free'])} free" if room else ""),
        f"engine: {status['engine']}",
        f"job servers: {_way(status)}",
        *table.render(rows),
    ]


def _aggregator_lines(status: AggregatorStatus) -> list[str]:
    writer = status["writer"]
    return [
        f"aggregator on {status['database']}: {status['state']}, ledger {status['ledger']}, "
        f"clock {clock_offset.say(status['clock'])}",
        f"writer      {writer['holder'] or 'none'}, epoch {writer['epoch']}, renewed {age(writer['age'])} ago",
        f"batches     about {status['batches']} of {status['streams']} streams, "
        f"the last {age(status['last_commit'])} ago",
        f"link        {_way(status)}",
        *(f"job server  {_job_server_line(server)}" for server in status["job_servers"]),
        *(f"edge        {_beside_line(edge)}" for edge in status["beside"][:SHOWN_EDGES]),
        f"quarantine  {', '.join(f'{count} {reason}' for reason, count in status['quarantine'].items()) or 'empty'}",
    ]


def _beside_line(edge: BesideStatus) -> str:
    """What an edge counted in the last day."""
    from edgetally.ledger.beside import part_text
    from edgetally.words import known

    of_server = part_text(edge["of_server"], edge["usual_of_server"])
    of_wire = part_text(edge["of_wire"], edge["usual_of_wire"])
    return (
        f"{edge['edge']}: {edge['logged']:,} bytes logged in the last day: "
        f"{of_server} of {known(edge['server'])} that its servers counted, "
        f"{of_wire} of {known(edge['wire'])} on the wire"
    )


def _way(status: EdgeStatus | AggregatorStatus) -> str:
    """How the job servers are spoken to."""
    if not status["tls"]:
        return "plain TCP, in which anybody who reaches them can take part; edgetally_tls keeps strangers out"
    own = status["certificate"]
    return f"TLS, as {own['name']} until {utc(own['ends'])}" if own else "TLS, without a certificate"


def _job_server_line(server: JobServer) -> str:
    if not server["up"]:
        return f"{server['server']}: not reached"
    queues = (f"{queue['waiting']} {name} wait" for name, queue in server["queues"].items())
    workers = (worker["client_id"] or worker["address"] for worker in server["workers"])
    return f"{server['server']}, {server['version']}: {', '.join(queues)}; worked by {', '.join(workers) or 'nobody'}"
