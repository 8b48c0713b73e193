"""Squid: logformat, access_log, and what else changes the log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

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
from edgetally.formats.servers.squid import NAMED

_MODULES = ("stdio:", "daemon:")
_NETWORK = ("syslog:", "udp:", "tcp:")
_ALL_HEADERS = re.compile(r"%[\"\[#'/]?-?\d*(?:\.\d+)?(?:http::)?(?:>ha?|<h)(?![\w{])")
_WITHOUT_BYTES = ("referrer", "useragent", "icap_squid")
_OWN = frozenset({*NAMED, *_WITHOUT_BYTES})  # formats that squid has without their being defined

Known = Mapping[str, tuple[Source, Line]]  # the formats that are taken, each with its file


def check(source: Source) -> Iterator[Finding]:
    """The findings of a squid.conf or a part of one."""
    logs, known = _logs(source), _taken(source)
    for line in logs:
        yield from _log(source, line, known)
    wanted = {_parse(line, known)[0] for _, line in in_others(source, _logs) if not is_nowhere(line.words[1])}
    for name, (file, line) in () if logs else known.items():
        if file is source and name not in wanted:
            yield from check_unused(line.text, "squid", source.at(line.number))
    yield from two_logs(
        (0, line.words[1], source.at(line.number))
        for line in logs
        if line.words[1] != "none" and not _parse(line, known)[2]
    )
    own = not logs or any(_parse(line, known)[0] in NAMED for line in logs)
    for line in lines(source):
        yield from _setting(line, source.at(line.number), own)
    yield from _redefined(source, known)
    yield from includes(source, included(source))


@once
def defined(source: Source) -> Iterator[tuple[str, Line]]:
    """The formats of a file, with their names."""
    return ((line.words[1], line) for line in lines(source) if line.words[0] == "logformat" and len(line.words) > 2)


def _taken(source: Source) -> Known:
    """The formats of all files. Of two with one name squid takes the first, and says so when it starts."""
    every = [*((source, one) for one in defined(source)), *in_others(source, defined)]
    every.sort(key=lambda found: (*found[0].place, found[1][1].number))
    return {name: (file, line) for file, (name, line) in reversed(every) if name not in _OWN}


def included(source: Source) -> list[tuple[int, str]]:
    """The lines of a file that include others, and what these are called there."""
    found = (line for line in lines(source) if line.words[0] == "include")
    return [(line.number, bare(word)) for line in found for word in line.words[1:]]


@once
def _logs(source: Source) -> Iterator[Line]:
    return (line for line in lines(source) if line.words[0] == "access_log" and len(line.words) > 1)


def _redefined(source: Source, known: Known) -> Iterator[Finding]:
    """Notes where a name is given to a second format."""
    for name, line in defined(source):
        file, taken = known.get(name, (source, None))
        if taken is line:
            continue
        of = "squid itself" if taken is None else f"line {taken.number}"
        what = f"the format '{name}' of {of if file is source else f'{file.path}, {of},'} is defined again"
        yield defects.REDEFINED_FORMAT.found(what, cost="squid ignores this one", where=source.at(line.number))


def _setting(line: Line, where: str, own: bool) -> Iterator[Finding]:
    """The findings of a line that sets something else. own: whether a log is of a format that squid names itself."""
    name, value = line.words[0], line.words[1] if len(line.words) > 1 else ""
    if name == "buffered_logs" and value == "on":
        yield defects.BUFFERED_LOG.found("lines are kept in a buffer", mend="set buffered_logs off", where=where)
    elif name == "log_mime_hdrs" and value == "on" and own:
        yield defects.MIME_HEADERS.found("each line ends in the headers of request and response", where=where)
    elif name == "logformat" and own and _ALL_HEADERS.search(line.text):
        what = f"{_ALL_HEADERS.findall(line.text)[0]} without a header's name sets log_mime_hdrs, used or not"
        yield defects.MIME_HEADERS.found(what, mend="name the header, as in %{Host}>h", where=where)
    elif name == "logfile_rotate" and value != "0":
        yield defects.OTHER_ROTATOR.found("squid renames its log by itself", mend="set logfile_rotate 0", where=where)


def _parse(line: Line, known: Known) -> tuple[str, dict[str, str], list[str]]:
    """(format, options, ACLs) of an access_log."""
    options = dict(word.split("=", 1) for word in line.words[2:] if "=" in word)
    rest = [word for word in line.words[2:] if "=" not in word]
    form = options.get("logformat", "")
    if not form and rest and (rest[0] in known or rest[0] in _OWN):
        form = rest.pop(0)
    return form or "squid", options, [word for word in rest if word != "all"]


def _log(source: Source, line: Line, known: Known) -> Iterator[Finding]:
    """The findings of one access log: where it goes, which requests it holds, its format."""
    where, path = source.at(line.number), line.words[1]
    form, options, acls = _parse(line, known)
    if path == "none":
        words = " ".join(("access_log none", *acls))
        yield defects.LOG_OFF.found(f"{words} keeps requests off the log", where=where)
        return
    if path.startswith(_NETWORK):
        yield defects.NO_FILE.found(f"its log goes to {path}", where=where)
    else:
        yield from target(path.partition(":")[2] if path.startswith(_MODULES) else path, where)
    if is_nowhere(path):
        return
    if options.get("on-error") == "drop":
        what, mend = "on-error=drop: what cannot be written at once is dropped", "take on-error=drop out"
        yield defects.DROPPED_LINES.found(what, mend=mend, where=where)
    if acls:
        yield defects.CONDITIONAL_LOG.found(f"only requests that match {' '.join(acls)} are logged", where=where)
    if options.get("rotate", "0") != "0":
        yield defects.OTHER_ROTATOR.found("squid renames its log by itself", mend="set rotate=0", where=where)
    if form in known:
        file, taken = known[form]
        found = check_text(taken.text, "squid", file.at(taken.number))
        yield from found if file is source else used_in(found, where)
    elif form in _WITHOUT_BYTES:
        yield defects.UNREADABLE_FORMAT.found(
            f"the format {form} has no bytes", mend="use the format squid", where=where
        )
    elif form in NAMED:
        yield from check_text(form, "squid", where)
    else:
        yield elsewhere(form, where)
