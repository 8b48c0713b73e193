"""Traffic Server: logging.yaml, of which the entries under formats and logs are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from edgetally.check import defects
from edgetally.check.format import check_text
from edgetally.check.servers.source import (
    NOWHERE,
    Source,
    bare,
    elsewhere,
    in_others,
    is_nowhere,
    once,
    target,
    two_logs,
    used_in,
)
from edgetally.formats.finding import Finding
from edgetally.formats.servers.trafficserver import NAMED

_ENTRY = re.compile(r"(?P<indent> *)(?P<dash>- +)?(?P<key>[\w-]+) *:(?: +(?P<value>.*?))? *$")
_KEEPS = ("0", "none", "no", "off", "false")


class Entry(NamedTuple):
    """One item of a list: the list's name, its line, its keys."""

    kind: str
    line: int
    keys: dict[str, str]


@once
def entries(source: Source) -> list[Entry]:
    """The items of the lists, as far as logging.yaml has them: keys with a text, or a list in one line."""
    all_entries: list[Entry] = []
    kind, rows = "", source.text.splitlines()
    for number, line in enumerate(rows, 1):
        match = _ENTRY.match(re.sub(r"(^|\s)#[^'\"]*$", "", line))
        if match is None:
            item = re.match(r" +- +([\w.-]+) *$", line)
            if item and all_entries:  # a filter's name in a list of several lines
                all_entries[-1].keys["filters"] = all_entries[-1].keys.get("filters", "") + item[1]
            continue
        if match["dash"]:
            all_entries.append(Entry(kind, number, {}))
        elif not match["value"] and match["key"] in ("formats", "logs", "filters", "logging"):
            kind = match["key"] if match["key"] != "filters" or len(match["indent"]) <= 2 else kind
            continue
        if all_entries:
            depth = len(match["indent"]) + len(match["dash"] or "")
            all_entries[-1].keys[match["key"]] = _text(match["value"] or "", rows[number:], depth)
    return all_entries


def _text(value: str, below: Sequence[str], depth: int) -> str:
    """A key's text: in its line, in the block below it (`|` or `>`), or in quotes over several lines.

    depth: how far the key stands in; what belongs to it stands further in.
    """
    block = [line.strip() for line in takewhile(lambda line: not line.strip() or _depth(line) > depth, below)]
    if re.fullmatch(r"[|>][-+\d]*", value):
        return ("\n" if value[0] == "|" else " ").join(block).strip()
    if value[:1] in ("'", '"') and (len(value) == 1 or value[-1] != value[0]):
        value = " ".join([value, *block]).strip()
    return bare(value)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def check(source: Source) -> Iterator[Finding]:
    """The findings of a logging.yaml."""
    all_entries = entries(source)
    formats = dict(_defined(source))
    logs = [entry for entry in all_entries if entry.kind == "logs"]
    for log in logs:
        yield from _log(source, log, formats)
    for entry in () if logs else formats.values():
        yield from _format(source, entry)
    yield from two_logs(
        (0, log.keys.get("filename", ""), source.at(log.line)) for log in logs if not log.keys.get("filters")
    )


def _format(source: Source, entry: Entry) -> Iterator[Finding]:
    where, text = source.at(entry.line), entry.keys.get("format", "")
    if entry.keys.get("interval", "0") != "0":
        what, mend = "it sums up requests over an interval", "log each request"
        yield defects.UNREADABLE_FORMAT.found(what, mend=mend, where=where)
    else:
        yield from check_text(text, "trafficserver", where)


@once
def _defined(source: Source) -> Iterator[tuple[str, Entry]]:
    """The formats of a file, with their names."""
    return ((one.keys["name"], one) for one in entries(source) if one.kind == "formats" and "name" in one.keys)


def _log(source: Source, log: Entry, formats: dict[str, Entry]) -> Iterator[Finding]:
    where, name, mode = source.at(log.line), log.keys.get("format", ""), log.keys.get("mode", "ascii")
    if is_nowhere(log.keys.get("filename", "")):
        yield from target(NOWHERE, where)
        return
    other = next(((other, entry) for other, (form, entry) in in_others(source, _defined) if form == name), None)
    if name in formats:
        yield from _format(source, formats[name])
    elif other:
        yield from used_in(_format(*other), where)
    elif name in NAMED:
        yield from check_text(name, "trafficserver", where)
    else:
        yield elsewhere(name, where)
    if mode == "binary":
        yield defects.BINARY_LOG.found("it is written in mode binary", mend="set mode to ascii", where=where)
    elif mode == "ascii_pipe":
        yield defects.NO_FILE.found("its log goes to a pipe", mend="set mode to ascii", where=where)
    if log.keys.get("filters", "").strip("[] "):
        what = f"only what the filter {log.keys['filters'].strip('[] ')} lets through is logged"
        yield defects.CONDITIONAL_LOG.found(what, where=where)
    if log.keys.get("rolling_enabled", "1") not in _KEEPS and mode != "ascii_pipe":
        said = "rolling_enabled is set" if "rolling_enabled" in log.keys else "rolling_enabled is not set to none"
        what = f"{said}: Traffic Server renames the log by itself"
        yield defects.OTHER_ROTATOR.found(what.replace(":", ","), mend="set rolling_enabled to none", where=where)
