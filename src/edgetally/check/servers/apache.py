"""Apache httpd: LogFormat, CustomLog, TransferLog, GlobalLog, BufferedLogs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from edgetally.check import defects
from edgetally.check.format import check_text, check_unused
from edgetally.check.servers.source import (
    Line,
    Source,
    bare,
    elsewhere,
    in_others,
    includes,
    is_nowhere,
    lines,
    once,
    target,
    two_logs,
    used_in,
)
from edgetally.formats.finding import Finding

_LOGS = ("customlog", "globallog", "transferlog")


def check(source: Source) -> Iterator[Finding]:
    """The findings of an Apache configuration file."""
    directives, logs = lines(source), _logs(source)
    named = dict(defined(source))
    unnamed = [line for line in directives if _is(line, "logformat") and len(line.words) == 2]
    for line, _ in logs:
        yield from _log(source, line, named, unnamed)
    wanted = {bare(line.words[2]) for _, (line, _) in in_others(source, _logs) if len(line.words) > 2}
    for line in () if logs else [*(line for name, line in named.items() if name not in wanted), *unnamed]:
        yield from check_unused(line.text, "apache", source.at(line.number))
    yield from two_logs(
        (section, bare(line.words[1]), source.at(line.number)) for line, section in logs if not _condition(line)
    )
    yield from _replaced(source, logs)
    for line in directives:
        if [word.lower() for word in line.words] == ["bufferedlogs", "on"]:
            what, where = "lines are kept until a buffer is full", source.at(line.number)
            yield defects.BUFFERED_LOG.found(what, mend="take BufferedLogs out", where=where)
    yield from _redefined(source)
    yield from includes(source, included(source))


@once
def defined(source: Source) -> Iterator[tuple[str, Line]]:
    """The formats of a file, with their names. Of two with one Apache takes the last, wherever the log stands."""
    return ((bare(line.words[2]), line) for line in lines(source) if _is(line, "logformat") and len(line.words) > 2)


def included(source: Source) -> list[tuple[int, str]]:
    """The lines of a file that include others, and what these are called there."""
    found = (line for line in lines(source) if _is(line, "include", "includeoptional") and len(line.words) > 1)
    return [(line.number, bare(line.words[1])) for line in found]


def root(source: Source) -> str:
    """The folder that names of files begin at, where the file says so."""
    found = [bare(line.words[1]) for line in lines(source) if _is(line, "serverroot") and len(line.words) > 1]
    return found[-1] if found else ""


@once
def _logs(source: Source) -> Iterator[tuple[Line, int]]:
    return ((line, section) for line, section in _sections(lines(source)) if _is(line, *_LOGS) and len(line.words) > 1)


def _replaced(source: Source, logs: Sequence[tuple[Line, int]]) -> Iterator[Finding]:
    """Notes where a virtual host's log takes the place of the server's. GlobalLog is written all the same."""
    kept = [(line, section) for line, section in logs if not is_nowhere(bare(line.words[1]))]
    outer = [bare(line.words[1]) for line, section in kept if not section and not _is(line, "globallog")]
    for line, section in kept:
        path = bare(line.words[1])
        if outer and section and path not in outer:
            what = f"requests here go to {path}, and not to {outer[-1]}"
            yield defects.REPLACED_LOG.found(what, where=source.at(line.number))


def _redefined(source: Source) -> Iterator[Finding]:
    """Notes where a name is given to a second format: the first is then nowhere used."""
    seen: dict[str, int] = {}
    for name, line in defined(source):
        if name in seen:
            what = f"the format '{name}' of line {seen[name]} is defined anew"
            cost = "every log takes this one, those above it too"
            yield defects.REDEFINED_FORMAT.found(what, cost=cost, where=source.at(line.number))
        seen[name] = line.number


def _is(line: Line, *names: str) -> bool:
    return line.words[0].lower() in names


def _sections(directives: Iterable[Line]) -> Iterator[tuple[Line, int]]:
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
    if is_nowhere(bare(line.words[1])):
        return
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
            yield from _of_another_file(source, form, where)


def _of_another_file(source: Source, form: str, where: str) -> Iterator[Finding]:
    """The findings of a format that another file defines, or that it is not known."""
    found = [(other, line) for other, (name, line) in in_others(source, defined) if name == form]
    if not found:
        yield elsewhere(form, where)
        return
    other, line = found[-1]
    yield from used_in(check_text(line.text, "apache", other.at(line.number)), where)
