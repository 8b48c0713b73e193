"""`edgetally check`: look at what is named, print what was found."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgetally.check import configuration, defects, edge
from edgetally.check import log as logs
from edgetally.check.format import check_format, unreadable
from edgetally.check.servers.source import MOST_BYTES, Source, source_of
from edgetally.cli.options import add_format, add_output, given_format
from edgetally.config import EDGE_CONFIG, load_edge
from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.formats.finding import SEVERITIES, Finding
from edgetally.formats.log_format import LogFormat
from edgetally.tally.engines.kernel.load import engine_said
from edgetally.tally.running_tally import Window
from edgetally.times import epoch_seconds


@dataclass
class Report:
    """All that a check found out. disks: free bytes by folder, of an edge; engine: what reads the logs."""

    findings: list[Finding] = field(default_factory=list)
    logs: list[logs.Log] = field(default_factory=list)
    disks: dict[str, int] = field(default_factory=dict)
    engine: str = ""

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings, each once."""
        self.findings += [finding for finding in dict.fromkeys(findings) if finding not in self.findings]

    @property
    def status(self) -> int:
        """The exit status: 1 where something is wrong or at risk."""
        return int(any(finding.severity != "note" for finding in self.findings))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.description = (
        "Without anything, this host's edge is checked. Exit status: 0 nothing is wrong, 1 something is."
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="logs and servers' configuration files; - is a log")
    add_format(
        parser,
        "the logs' format: see `edgetally formats`; without, a guess",
        "whose format or file it is, if that is not plain",
    )
    parser.add_argument("--config", metavar="FILE", help="an edge's configuration file")
    parser.add_argument("--covers", nargs=2, metavar=("FROM", "TO"), help="the interval of the logs")
    add_output(parser, "table", "json")


def run(options: argparse.Namespace) -> int:
    """Check what is named, print it, and return the exit status.

    Files are told apart by their content; without any, a format that is given is checked alone, and without anything
    this host's edge. 0: nothing is wrong, 1: something is. Raises EdgetallyError (exit status 2) for wrong use and for
    what cannot be read.
    """
    report = Report()
    given, config = given_format(options), options.config
    if not options.files and not given and config is None:
        if not os.path.exists(EDGE_CONFIG):
            raise EdgetallyError(
                f"there is nothing to check: name files or a format, or run this where {EDGE_CONFIG} is"
            )
        config = EDGE_CONFIG
    window = _window(options.covers)
    if config is not None:
        _edge(report, config)
    fmt = _format(given, options, report) if given else None
    if fmt or not given:
        _files(report, options.files, fmt, options.server, window)
    if report.logs and not report.engine:
        report.engine = engine_said("auto")
    _print(report, options.output)
    return report.status


def _edge(report: Report, config: str) -> None:
    state = edge.check(load_edge(config))
    report.add(state.findings)
    report.logs += state.logs
    report.disks.update(state.disks)
    report.engine = state.engine


def _format(text: str, options: argparse.Namespace, report: Report) -> LogFormat | None:
    """The format that the command line gives; None, and a finding, where no line can be read with it."""
    try:
        return parse_format(text, options.server, options.hit)
    except EdgetallyError as error:
        finding = unreadable(text, options.server, "", error)
        if finding.code == "unreadable_format":
            raise
        report.add([finding])
        return None


def _window(covers: Sequence[str] | None) -> Window | None:
    if covers is None:
        return None
    low, high = (epoch_seconds(text, "--covers") for text in covers)
    if low >= high:
        raise EdgetallyError(f"--covers {covers[0]} {covers[1]}: the first is not before the second: exchange them")
    return Window(low, high)


# --- files


def _files(report: Report, files: Sequence[str], fmt: LogFormat | None, server: str, window: Window | None) -> None:
    """Check each file, then the configurations and the formats of the logs among them."""
    formats = {fmt.name: fmt} if fmt else {}
    sources: list[Source] = []
    for name in files:
        with logs.opened(name) as file:
            source = source_of(name, file.read(MOST_BYTES + 1))
            text = source.text
            file.seek(0)
            if text.startswith("{") and '"job_servers"' in text:
                _edge(report, name)
                continue
            if configuration.server_of(text):
                sources.append(source)
                continue
            known, said = (fmt, None) if fmt else logs.guess(file, name)
            if said and said.code == "no_format":
                said = _not_a_log(text, name) or said
            report.add([said] if said else [])
            if known is not None:
                formats[known.name] = known
                report.logs.append(logs.read(file, name, known, window))
                report.add(logs.check(report.logs[-1]))
    report.add(configuration.check_all(sources, server))
    for known in formats.values():
        read = [log.tally for log in report.logs if log.format is known]
        requests, size = sum(sums.counted for sums in read), sum(sums.bytes for sums in read)
        where = f"format {known.name}"
        report.add(logs.with_headers(finding, requests, size) for finding in check_format(known, where))


def _not_a_log(text: str, name: str) -> Finding | None:
    """What is said of a file that is no log, but a configuration that is not looked at."""
    what = configuration.not_looked_at(text)
    return defects.NOT_LOOKED_AT.found(what, where=name) if what else None


# --- output


def _print(report: Report, output: str) -> None:
    findings = sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    if output == "json":
        print(json.dumps(_as_json(report, findings), indent=2))
        return
    for finding in findings:
        print("\n".join(_block(finding)), end="\n\n")
    for log in report.logs:
        print(f"{log.name}: {log.tally.lines} lines as {log.format.name}, {log.tally.rejected} of them rejected")
    if report.engine:
        print(f"engine: {report.engine}")
    counts = Counter(finding.severity for finding in findings)
    print(", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES))


def _block(finding: Finding) -> list[str]:
    """A finding for people."""
    where = f"{finding.where}: " if finding.where else ""
    return [
        f"{finding.severity.upper()} {where}{finding.what} ({finding.code})",
        f"  costs: {finding.cost}",
        f"  mend:  {finding.mend}",
    ]


def _as_json(report: Report, findings: Sequence[Finding]) -> dict[str, Any]:
    shown = [finding._asdict() for finding in findings]
    return {
        "findings": shown,
        "logs": [log.figures() for log in report.logs],
        "disks": report.disks,
        "engine": report.engine,
    }
