"""lighttpd: accesslog.filename, accesslog.format and the other settings of mod_accesslog."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgetally.check import defects
from edgetally.check.format import check_text
from edgetally.check.servers.source import Source, bare, in_others, includes, is_nowhere, lines, once, target
from edgetally.formats.finding import Finding

DEFAULT = '%h %V %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
_SETTING = re.compile(r"(accesslog\.[\w-]+)\s*\+?=\s*(.*)")


def check(source: Source) -> Iterator[Finding]:
    """The findings of a lighttpd.conf or a part of one."""
    settings = _settings(source)
    formats = [(number, text) for number, name, text in settings if name == "accesslog.format"]
    files = [number for number, name, text in settings if name == "accesslog.filename" and not is_nowhere(bare(text))]
    set_elsewhere = any(name == "accesslog.format" for _, (_, name, _) in in_others(source, _settings))
    for number, text in formats:
        yield from check_text(f"accesslog.format = {text}", "lighttpd", source.at(number))
    if files and not formats and not set_elsewhere:
        yield from check_text(DEFAULT, "lighttpd", source.at(files[0]))
    for number, name, text in settings:
        where = source.at(number)
        if name == "accesslog.filename" and not bare(text):
            yield defects.LOG_OFF.found("accesslog.filename is empty here", where=where)
        elif name == "accesslog.filename":
            yield from target(bare(text), where)
        elif name == "accesslog.use-syslog" and bare(text) == "enable":
            yield defects.NO_FILE.found("its log goes to syslog", where=where)
    shell = [(line.number, bare(line.words[1])) for line in lines(source) if line.words[0] == "include_shell"]
    yield from includes(source, [*included(source), *shell])


def included(source: Source) -> list[tuple[int, str]]:
    """The lines of a file that include others, and what these are called there."""
    found = (line for line in lines(source) if len(line.words) > 1 and line.words[0] == "include")
    return [(line.number, bare(line.words[1])) for line in found]


@once
def _settings(source: Source) -> list[tuple[int, str, str]]:
    """The line, name and value of each setting of the access log."""
    return [(line.number, match[1], match[2].strip()) for line in lines(source) if (match := _SETTING.match(line.text))]
