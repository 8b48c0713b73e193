"""Apache httpd: LogFormat, CustomLog, TransferLog, GlobalLog, BufferedLogs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgetally.check import defects
from edgetally.check.format import check_text, check_unused
from edgetally.check.servers.source import Line, Source, bare, elsewhere, includes, lines, target, two_logs
from edgetally.formats.finding import Finding

_LOGS = ("customlog", "globallog", "transferlog")


def check(source: Source) -> Iterator[Finding]:
    """The findings of an Apache configuration file."""
    directives = list(lines(source))
    named = {bare(line.words[2]): line for line in directives if _is(line, "logformat") and len(line.words) > 2}
    unnamed = [line for line in directives if _is(line, "logformat") and len(line.words) == 2]
    logs = [(line, section) for line, section in _sections(directives) if _is(line, *_LOGS) and len(line.words) > 1]
    for line, _ in logs:
        yield from _log(source, line, named, unnamed)
    for line in () if logs else [*named.values(), *unnamed]:
        yield from check_unused(line.text, "apache", source.at(line.number))
    yield from two_logs(
        (section, bare(line.words[1]), source.at(line.number)) for line, section in logs if not _condition(line)
    )
    for line in directives:
        if [word.lower() for word in line.words] == ["bufferedlogs", "on"]:
            what, where = "lines are kept until a buffer is full", source.at(line.number)
            yield defects.BUFFERED_LOG.found(what, mend="take BufferedLogs out", where=where)
    yield from includes(
        source, ((line.number, bare(line.words[1])) for line in directives if _is(line, "include", "includeoptional"))
    )


def _is(line: Line, *names: str) -> bool:
    return line.words[0].lower() in names


def _sections(directives: list[Line]) -> Iterator[tuple[Line, int]]:
    """Each directive, and the line at which the virtual host around it begins, 0 where there is none."""
    section = 0
    for line in directives:
        if re.match(r"(?i)<VirtualHost\b", line.text):
            section = line.number
        elif re.match(r"(?i)</VirtualHost\b", line.text):
            section = 0
        yield line, section


def _condition(line: Line) -> str:
    """The env= or expr= of a log."""
    return next((bare(word) for word in line.words[3:] if re.match(r"""["']?(?:env|expr)=""", word)), "")


def _log(source: Source, line: Line, named: dict[str, Line], unnamed: list[Line]) -> Iterator[Finding]:
    """The findings of one access log: where it goes, which requests it holds, its format."""
    where, condition = source.at(line.number), _condition(line)
    yield from target(bare(line.words[1]), where)
    if condition:
        yield defects.CONDITIONAL_LOG.found(f"only requests with {condition} are logged", where=where)
    if _is(line, "transferlog"):
        before = [directive for directive in unnamed if directive.number < line.number]
        text, place = (before[-1].text, source.at(before[-1].number)) if before else ("common", where)
        yield from check_text(text, "apache", place)
    elif len(line.words) > 2:
        form = bare(line.words[2])
        if "%" in form:
            yield from check_text(line.words[2], "apache", where)
        elif form in named:
            yield from check_text(named[form].text, "apache", source.at(named[form].number))
        else:
            yield elsewhere(form, where)
