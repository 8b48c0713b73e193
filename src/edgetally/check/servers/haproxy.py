"""HAProxy: log, log-format and the options of a proxy that decide what its log holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgetally.check import defects
from edgetally.check.format import check_text
from edgetally.check.servers.source import Line, Source, in_others, lines, once
from edgetally.formats.finding import Finding

TCPLOG = "log-format %ci:%cp\\ [%t]\\ %ft\\ %b/%s\\ %Tw/%Tc/%Tt\\ %B\\ %ts\\ %ac/%fc/%bc/%sc/%rc\\ %sq/%bq"
_OPTIONS = {"httplog": "haproxy", "httpslog": "haproxy_https", "tcplog": TCPLOG}
_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice")  # HAProxy logs requests at info, which is below these
_HERE = re.compile(r"/|127\.|::1|\[::1|localhost|abns@|unix@|fd@|stdout|stderr|ring@|\$")


@dataclass
class Section:
    """A section: its kind, its line, and what of it concerns the log. form: the last line that sets the format."""

    kind: str
    line: int
    form: Line | None = None
    settings: list[Line] = field(default_factory=list)


@once
def sections(source: Source) -> list[Section]:
    """The sections of a file. A proxy without a format of its own takes that of the defaults before it."""
    all_sections = [Section("global", 1)]
    defaults: Line | None = None
    for line in lines(source):
        first = line.words[0]
        if first in ("global", "defaults", "frontend", "listen", "backend"):
            all_sections.append(Section(first, line.number, defaults if first in ("frontend", "listen") else None))
        elif first == "log-format" or (first == "option" and line.words[1:2] in ([name] for name in _OPTIONS)):
            all_sections[-1].form = line
            defaults = line if all_sections[-1].kind == "defaults" else defaults
        else:
            all_sections[-1].settings.append(line)
    return all_sections


def check(source: Source) -> Iterator[Finding]:
    """The findings of a haproxy.cfg or a part of one."""
    all_sections = sections(source)
    fronts = [section for section in all_sections if section.kind in ("frontend", "listen")]
    forms = {section.form.number: section.form for section in fronts or all_sections if section.form}
    for form in forms.values():
        yield from _format(form, source.at(form.number))
    by_default = any(one.kind == "defaults" and one.form for _, one in in_others(source, sections))
    for section in fronts:
        if section.form is None and not by_default:
            what, mend = "its log has connections only, without their bytes", "add option httplog or a log-format"
            yield defects.UNREADABLE_FORMAT.found(what, mend=mend, where=source.at(section.line))
    for section in all_sections:
        for line in section.settings:
            yield from _setting(line, source.at(line.number))
    yield from _destinations(
        source, [line for section in all_sections for line in section.settings if line.words[0] == "log"]
    )


def _format(form: Line, where: str) -> Iterator[Finding]:
    if form.words[0] == "log-format":
        yield from check_text(form.text, "haproxy", where)
    else:
        clf = form.words[1:] == ["httplog", "clf"]
        yield from check_text("haproxy_clf" if clf else _OPTIONS[form.words[1]], "haproxy", where)


def _setting(line: Line, where: str) -> Iterator[Finding]:
    words = line.words
    if words[:2] == ["option", "logasap"]:
        yield defects.EARLY_LINE.found("logasap logs a response when it begins", mend="drop logasap", where=where)
    elif words[:2] == ["option", "dontlog-normal"]:
        what = "requests that went well are not logged"
        yield defects.CONDITIONAL_LOG.found(what, severity="wrong", mend="drop dontlog-normal", where=where)
    elif "set-log-level" in words and "silent" in words:
        yield defects.CONDITIONAL_LOG.found(f"{' '.join(words[:3])} keeps requests off the log", where=where)


def _destinations(source: Source, logs: list[Line]) -> Iterator[Finding]:
    """The findings about where the lines go, and which of them go there."""
    logs = [line for line in logs if len(line.words) > 2]
    for line in logs:
        where = source.at(line.number)
        if not _HERE.match(line.words[1]):
            yield defects.NO_FILE.found(f"its log goes to {line.words[1]}", where=where)
        if "sample" in line.words:
            share = line.words[line.words.index("sample") + 1 :][:1]
            yield defects.SAMPLED_LOG.found(f"the log takes a sample, {''.join(share)}", mend="drop it", where=where)
    if logs and all(_level(line) in _LEVELS for line in logs):
        what, mend = f"its log takes {_level(logs[0])} and worse, and requests are info", "drop the level"
        yield defects.CONDITIONAL_LOG.found(what, severity="wrong", mend=mend, where=source.at(logs[0].number))


def _level(line: Line) -> str:
    """The level of a log directive: the first behind the facility; a second one would be its minimum."""
    words = [word for word in line.words[2:] if word not in ("len", "format", "sample")]
    return next((word for word in words if word in (*_LEVELS, "info", "debug")), "")
