"""Finds what makes a bill wrong on an edge: logs and their formats, other rotators, reopening, clock, disk."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from edgetally.check import defects
from edgetally.check import log as logs
from edgetally.check.beside import check_beside
from edgetally.check.format import check_format
from edgetally.config import EdgeConfig, LogConfig
from edgetally.edge.place import PIN, Place
from edgetally.edge.spool import Spool
from edgetally.edge.state import read_state
from edgetally.edge.streams import Stream, find_streams
from edgetally.errors import EdgetallyError
from edgetally.files import birth_of
from edgetally.formats.catalogue import parse_format
from edgetally.formats.finding import NO_HOST, Finding
from edgetally.limits import UNASSIGNED
from edgetally.tally.channels import ChannelMap, hosts_by_bytes
from edgetally.tally.count import tally
from edgetally.tally.engines.kernel.load import engine_said

FREE_BYTES = 1 << 30
FREE_SHARE = 0.05

_RULE = re.compile(r"(?m)^[ \t]*(?P<names>[^#\s{}][^{}]*?)\{(?P<body>.*?)^[ \t]*\}", re.S)
# What logrotate leaves out of a folder that it includes.
_TABOO = ("*.disabled", "*.dpkg-*", "*.rpm*", "*.swp", "*.bak", "*.cfsaved", "*.ucf-*", "*~", ".*", "*,v")
_SHELL = frozenset({".", "[", "cd", "command", "eval", "exec", "for", "if", "kill", "set", "test", "while"})


@dataclass
class Edge:
    """What was found on an edge. disks: free bytes by folder; engine: what reads its logs."""

    findings: list[Finding] = field(default_factory=list)
    logs: list[logs.Log] = field(default_factory=list)
    disks: dict[str, int] = field(default_factory=dict)
    engine: str = ""


def check(config: EdgeConfig, etc: str = "/etc") -> Edge:
    """Look at an edge. etc: where logrotate's rules lie. Raises EdgetallyError for what cannot be read."""
    edge = Edge(engine=engine_said(config.engine))
    rules = ChannelMap.load(config.channels)
    streams, problems = find_streams(config)
    for problem in problems:
        what, _, mend = problem.rpartition(": ")
        edge.findings.append(defects.STREAM_PROBLEM.found(what, mend=mend, where=config.path))
    for log in config.logs:
        paths = [str(stream.path) for stream in streams if stream.config is log]
        edge.findings += _configured(log, paths, config.path)
    for stream in streams:
        edge.findings += _other_rotators(stream, etc)
        edge.findings += _stream(stream, rules, config, edge)
    edge.findings += check_beside(config)
    edge.findings += _clock()
    for folder in (config.spool, *(str(stream.path.parent) for stream in streams)):
        edge.findings += _disk(folder, edge.disks)
    return edge


def _configured(log: LogConfig, paths: list[str], where: str) -> Iterator[Finding]:
    """The findings of one log's entry in the edge's configuration. paths: the files that it means."""
    where = f"{where}, log '{log.name}'"
    if len(paths) > 1:
        yield defects.SEVERAL_LOGS.found(f"{log.path} means {len(paths)} logs: {', '.join(paths)}", where=where)
    words = shlex.split(log.reopen)
    if not words:
        what, mend = "it has no reopen command", "give the command that makes the server open a new log"
        yield defects.NOT_REOPENED.found(what, mend=mend, where=where)
    elif words[0] not in _SHELL and "=" not in words[0] and shutil.which(words[0]) is None:
        yield defects.REOPEN_PROGRAM.found(f"its reopen command begins with {words[0]}, which is not here", where=where)


def _stream(stream: Stream, rules: ChannelMap, config: EdgeConfig, edge: Edge) -> Iterator[Finding]:
    """The findings of one log: of its format, and of what lies in it now."""
    fmt = parse_format(stream.config.whole_format, stream.config.server, stream.config.hit)
    by_host = any(rule.host for rule in rules.rules if rule.log in (None, stream.log))
    where = f"{config.path}, log '{stream.config.name}'"
    if stream.live() is None:
        yield defects.LOG_ABSENT.found("the log is not there", where=str(stream.path))
        yield from (_weighed(finding, by_host) for finding in check_format(fmt, where))
        return
    with stream.place(make=False) as place, logs.opened(str(stream.path), place.path) as file:
        yield from _pinned(stream, place, Spool(config.spool))
        log = logs.read(file, str(stream.path), fmt)
        file.seek(0)
        sums = tally([file], fmt, rules, log=stream.log, engine=config.engine)
    edge.logs.append(log)
    for finding in check_format(fmt, where):
        yield _weighed(logs.with_headers(finding, log.tally.counted, log.tally.bytes), by_host)
    yield from (_weighed(finding, by_host) for finding in logs.check(log))
    missed = sum(cell[1] or 0 for (_, channel), cell in sums.cells.items() if channel == UNASSIGNED)
    if missed:
        hosts = ", ".join(host for host, _, _ in hosts_by_bytes(sums.unassigned_hosts, 3))
        what = f"{100 * missed / sums.bytes:.1f} % of its bytes are of no channel, most of {hosts}"
        yield defects.UNASSIGNED.found(what, where=str(stream.path))


def _pinned(stream: Stream, place: Place, spool: Spool) -> Iterator[Finding]:
    """A finding where a run has noted the log, and could not give it a second name: its file system knows no links."""
    with suppress(PermissionError):  # who may not look there cannot tell
        state = read_state(spool, stream.log)
        noted = state is not None and state.live is not None and state.live.is_same(place.path, birthless=True)
        if noted and place.status(PIN) is None:
            birthless = "" if birth_of(place.path) else ", nor birth times"
            what = f"the log has no second name in {place.private}: its file system knows no hard links{birthless}"
            yield defects.NO_PIN.found(what, where=str(stream.path))


def _weighed(finding: Finding, by_host: bool) -> Finding:
    """The finding with its severity: a missing host is wrong where a rule asks for one, else only a note."""
    if finding.code not in (NO_HOST.code, defects.NO_HOST_LINES.code):
        return finding
    return finding._replace(severity="wrong" if by_host else "note")


# --------------------------------------------------------------------------------------------------------------------
# The host


def _other_rotators(stream: Stream, etc: str) -> Iterator[Finding]:
    """logrotate's rules that name the log."""
    paths = {str(stream.path), stream.config.path}
    for file in _rule_files(etc):
        text = file.read_text(encoding="utf-8", errors="replace")
        for rule in _RULE.finditer(text):
            names = [name.strip("\"'") for name in rule["names"].split()]
            if any(name.startswith("/") and PurePosixPath(path).match(name) for name in names for path in paths):
                copies = re.search(r"(?m)^\s*copytruncate\b", rule["body"])
                what = "logrotate copies and empties the log" if copies else "logrotate rotates the log"
                where = f"{file}:{text.count(chr(10), 0, rule.start('names')) + 1}"
                yield defects.OTHER_ROTATOR.found(
                    f"{what} {stream.path}", severity="wrong" if copies else "", mend="take it out there", where=where
                )


def _rule_files(etc: str) -> Iterator[Path]:
    folder = Path(etc, "logrotate.d")
    for file in (Path(etc, "logrotate.conf"), *(sorted(folder.iterdir()) if folder.is_dir() else ())):
        if file.is_file() and not any(fnmatch(file.name, taboo) for taboo in _TABOO):
            yield file


def _clock() -> Iterator[Finding]:
    """A finding where no time service holds the clock, as far as systemd knows."""
    if shutil.which("timedatectl") is None:
        return
    command = ["timedatectl", "show", "-p", "NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.stdout.strip() == "no":
        yield defects.CLOCK_FREE.found("no time service holds this host's clock", where="this host")


def _disk(folder: str, disks: dict[str, int]) -> Iterator[Finding]:
    """A finding where there is little room. disks: those looked at so far, to which this is added."""
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    try:
        state = os.statvfs(folder)
    except OSError as error:
        raise EdgetallyError(f"{folder} cannot be looked at ({error.strerror}): check its mode") from None
    if folder in disks:
        return
    disks[folder] = free = state.f_bavail * state.f_frsize
    if free < max(FREE_BYTES, FREE_SHARE * state.f_blocks * state.f_frsize):
        yield defects.DISK_SPACE.found(f"{free / (1 << 20):,.0f} MiB are free", where=folder)
