"""What edgetally is compared with: the best that each program can do for the same sums."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench.cases import Case
from tests.bench.columns import HIT_WORDS
from tests.bench.logs import Cells, Log
from tests.bench.program import Program, missing
from tests.bench.sums import Row, Sums, from_cells

_FOLDER = Path(__file__).with_name("peers")
_NO_VALIDATION = "it validates nothing: of damaged lines it counts some"


# --------------------------------------------------------------------------------------------------------------------
# awk


def awk_command(program: str, case: Case) -> list[str]:
    """mawk or gawk with the program for a case."""
    name = f"{case.layout}-paths{case.paths}" if case.paths else case.layout
    return [program, "-f", str(_FOLDER / "sums.awk"), "-f", str(_FOLDER / f"{name}.awk")]


def _awk_on(program: str, log: Log) -> list[str]:
    rules = [f"rules={log.rules.with_suffix('.txt')}"] if log.case.paths else []
    return [*awk_command(program, log.case), *rules, str(log.path)]


def _awk(program: str, *version: str) -> Program:
    return Program(
        program,
        program,
        lambda log: _awk_on(program, log),
        (program, *version),
        unlike=_NO_VALIDATION,
        absent=missing(program),
    )


MAWK = _awk("mawk", "-W", "version")
GAWK = _awk("gawk", "--version")
MAWK_SIMPLE = Program(
    "mawk-simple",
    "mawk, a simpler program",
    lambda log: ["mawk", "-f", str(_FOLDER / "simple.awk"), str(log.path)],
    MAWK.version,
    cases=lambda case: case.layout == "nginx" and not case.paths,
    unlike=_NO_VALIDATION,
    absent=missing("mawk"),
)
WC = Program("wc", "wc -l, the floor", lambda log: ["wc", "-l", str(log.path)], ("wc", "--version"), read=None)


# --------------------------------------------------------------------------------------------------------------------
# GoAccess

_GOACCESS_FORMATS = {
    "nginx": (
        '--log-format=%h - %e [%d:%t %^] "%r" %s %b "%R" "%u" "%v" %T %C',
        *("--date-format=%d/%b/%Y", "--time-format=%H:%M:%S"),
    ),
    "caddy": ("--log-format=CADDY",),
}
_GOACCESS_PANELS = (
    *("VISITORS", "REQUESTS", "REQUESTS_STATIC", "NOT_FOUND", "HOSTS", "OS", "BROWSERS", "VISIT_TIMES", "REFERRERS"),
    *("REFERRING_SITES", "KEYPHRASES", "STATUS_CODES", "REMOTE_USER", "CACHE_STATUS", "GEO_LOCATION", "MIME_TYPE"),
    "TLS_TYPE",
)


def _first(case: Case) -> bool:
    return case.layout == "nginx" and case.clean


def _goaccess(name: str, title: str, *options: str, cases: Callable[[Case], bool] = _first) -> Program:
    """GoAccess gives requests and bytes of a host, and hits of all hosts together only."""
    quiet = ["--no-global-config", "--no-progress", "--max-items=100000", "--output=json"]
    return Program(
        name,
        title,
        lambda log: ["goaccess", str(log.path), *_GOACCESS_FORMATS[log.case.layout], *quiet, *options],
        ("goaccess", "--version"),
        _read_goaccess,
        cases=cases,
        slow=True,
        absent=missing("goaccess"),
    )


def _read_goaccess(path: Path) -> Sums:
    rows = json.loads(path.read_text(encoding="utf-8"))["vhosts"]["data"]
    return Sums({row["data"]: Row(row["hits"]["count"], row["bytes"]["count"]) for row in rows})


GOACCESS = _goaccess("goaccess", "GoAccess, its report")
GOACCESS_HOSTS = _goaccess(
    "goaccess-hosts", "GoAccess, hosts only", *(f"--ignore-panel={panel}" for panel in _GOACCESS_PANELS)
)
GOACCESS_CADDY = _goaccess("goaccess-caddy", "GoAccess, its report", cases=lambda case: case.layout == "caddy")


# --------------------------------------------------------------------------------------------------------------------
# mtail


def _mtail(log: Log) -> list[str]:
    program = str(_FOLDER / f"{log.case.layout}.mtail")
    return ["mtail", "-one_shot", "-address", "127.0.0.1", "-port", "0", "-progs", program, "-logs", str(log.path)]


def _read_mtail(path: Path) -> Sums:
    """Each counter's values by time and host; the times are left out."""
    text = path.read_text(encoding="utf-8")
    hosts: dict[str, list[int]] = {}
    for name, metrics in json.loads(text[text.index("{") :]).items():
        place = ("requests", "bytes", "hits", "hit_bytes").index(name)
        for value in (value for metric in metrics for value in metric["LabelValues"]):
            hosts.setdefault(value["Labels"][1], [0, 0, 0, 0])[place] += value["Value"]["Value"]
    return Sums({host: Row(*sums) for host, sums in hosts.items()})


MTAIL = Program(
    "mtail",
    "mtail",
    _mtail,
    ("mtail", "--version"),
    _read_mtail,
    cases=lambda case: case.layout in ("nginx", "squid") and case.clean,
    slow=True,
    absent=missing("mtail"),
)


# --------------------------------------------------------------------------------------------------------------------
# Miller

_MILLER = {
    "nginx": (
        ["--icsv", "--implicit-csv-header", "--ifs", " "],
        "$4 = substr1($4, 2, 18)",
        ["-f", "8", "-g", "4,11,13"],
    ),
    "squid": (
        ["--inidx", "--ifs", " ", "--repifs"],
        '$1 = int($1 / 300) * 300; $4 = splitax($4, "/")[1]; '
        '$7 = $6 == "CONNECT" ? splitax($7, ":")[1] : splitax($7, "/")[3]',
        ["-f", "5", "-g", "1,7,4"],
    ),
    "json": (
        ["--ijsonl"],
        "$time = substr1($time, 1, 16); $bytes = int($bytes)",
        ["-f", "bytes", "-g", "time,host,cache"],
    ),
    "caddy": (
        ["--ijsonl"],
        '$ts = int($ts / 300) * 300; $host = $request["host"]; $cache = "-"',
        ["-f", "size", "-g", "ts,host,cache"],
    ),
}


def _miller(log: Log) -> list[str]:
    """Sums by slot (nginx: by minute), host and cache status; with cut first, or with maps, it takes longer."""
    reader, expression, sums = _MILLER[log.case.layout]
    chain = ["put", expression, "then", "stats1", "-a", "count,sum", *sums]
    return ["mlr", *reader, "--onidx", "--ofs", " ", *chain, str(log.path)]


def _read_miller(path: Path) -> Sums:
    return Sums(from_cells(_cells(line.split(" ") for line in path.read_text(encoding="utf-8").splitlines())))


def _cells(rows: Iterable[list[str]]) -> Cells:
    """Rows of slot, host, the cache's word, requests, bytes; the slots are left out."""
    cells: Cells = {}
    for _, host, word, requests, size in rows:
        hit = word in HIT_WORDS
        cell = cells.setdefault((0, host), [0, 0, 0, 0])
        for place, value in enumerate((int(requests), int(size), hit * int(requests), hit * int(size))):
            cell[place] += value
    return cells


MILLER = Program(
    "miller",
    "Miller",
    _miller,
    ("mlr", "--version"),
    _read_miller,
    cases=lambda case: case.layout in _MILLER and case.clean,
    slow=True,
    absent=missing("mlr"),
)


# --------------------------------------------------------------------------------------------------------------------
# lnav

_LNAV_SUMS = """;SELECT substr(log_time, 1, 10) || 'T' || substr(log_time, 12, 5) AS minute,
    host, cache, count(*), sum(size) FROM bench_nginx GROUP BY 1, 2, 3"""


def _lnav(log: Log) -> list[str]:
    """It indexes the log by its format, which is in peers/lnav, and answers in SQL."""
    how = ["-n", "-I", str(_FOLDER / "lnav"), "-c", " ".join(_LNAV_SUMS.split()), "-c", ":write-csv-to -"]
    return ["lnav", *how, str(log.path)]


def _read_lnav(path: Path) -> Sums:
    _heading, *lines = path.read_text(encoding="utf-8").splitlines()
    return Sums(from_cells(_cells(line.split(",") for line in lines)))


LNAV = Program(
    "lnav",
    "lnav",
    _lnav,
    ("lnav", "-V"),
    _read_lnav,
    cases=_first,
    slow=True,
    absent=missing("lnav"),
)


# --------------------------------------------------------------------------------------------------------------------
# DuckDB, Polars and ClickHouse, from the environment that this runs in


def _library(name: str, title: str) -> Program:
    return Program(
        name,
        title,
        lambda log: [sys.executable, "-I", str(_FOLDER / f"{name}_tally.py"), str(log.path)],
        (sys.executable, "-I", "-c", f"import {name}; print('{title}', {name}.__version__)"),
        cases=_first,
        absent=lambda: "" if importlib.util.find_spec(name) else f"{title} is not installed: start bin/bench",
    )


DUCKDB = _library("duckdb", "DuckDB")
POLARS = _library("polars", "Polars")

_CLICKHOUSE = ("nginx", "csv", "json", "haproxy", "caddy")
CLICKHOUSE = Program(
    "clickhouse",
    "ClickHouse",
    lambda log: [sys.executable, "-I", str(_FOLDER / "clickhouse_tally.py"), log.case.layout, str(log.path)],
    (sys.executable, "-I", "-c", "import chdb; print('ClickHouse, as chdb', chdb.__version__)"),
    cases=lambda case: case.layout in _CLICKHOUSE and case.clean,
    absent=lambda: "" if importlib.util.find_spec("chdb") else "ClickHouse is not installed: start bin/bench",
)

PEERS = (
    *(WC, MAWK, MAWK_SIMPLE, GAWK, GOACCESS, GOACCESS_HOSTS, GOACCESS_CADDY, MTAIL, MILLER, LNAV),
    *(DUCKDB, POLARS, CLICKHOUSE),
)
