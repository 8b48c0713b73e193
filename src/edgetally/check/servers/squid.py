"""Squid: logformat, access_log, and what else changes the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edgetally.check import defects
from edgetally.check.format import check_text, check_unused
from edgetally.check.servers.source import Line, Source, bare, elsewhere, includes, lines, target, two_logs
from edgetally.formats.finding import Finding
from edgetally.formats.servers.squid import NAMED

_MODULES = ("stdio:", "daemon:")
_NETWORK = ("syslog:", "udp:", "tcp:")
_WITHOUT_BYTES = ("referrer", "useragent", "icap_squid")


def check(source: Source) -> Iterator[Finding]:
    """The findings of a squid.conf or a part of one."""
    directives = list(lines(source))
    formats = {line.words[1]: line for line in directives if line.words[0] == "logformat" and len(line.words) > 2}
    logs = [line for line in directives if line.words[0] == "access_log" and len(line.words) > 1]
    for line in logs:
        yield from _log(source, line, formats)
    for line in () if logs else formats.values():
        yield from check_unused(line.text, "squid", source.at(line.number))
    yield from two_logs(
        (0, line.words[1], source.at(line.number))
        for line in logs
        if line.words[1] != "none" and not _parse(line, set(formats))[2]
    )
    own = not logs or any(_parse(line, set(formats))[0] in NAMED for line in logs)
    for line in directives:
        yield from _setting(line, source.at(line.number), own)
    yield from _bare_headers(source, formats.values() if own else ())
    yield from includes(
        source, ((line.number, bare(line.words[1])) for line in directives if line.words[0] == "include")
    )


def _setting(line: Line, where: str, own: bool) -> Iterator[Finding]:
    """The findings of a line that sets something else. own: whether a log is of a format that squid names itself."""
    name, value = line.words[0], line.words[1] if len(line.words) > 1 else ""
    if name == "buffered_logs" and value == "on":
        yield defects.BUFFERED_LOG.found("lines are kept in a buffer", mend="set buffered_logs off", where=where)
    elif name == "log_mime_hdrs" and value == "on" and own:
        yield defects.MIME_HEADERS.found("each line ends in the headers of request and response", where=where)
    elif name == "logfile_rotate" and value != "0":
        yield defects.OTHER_ROTATOR.found("squid renames its log by itself", mend="set logfile_rotate 0", where=where)


def _bare_headers(source: Source, formats: Iterable[Line]) -> Iterator[Finding]:
    """A finding of a format, used or not, with all headers in it: squid then writes them into its own formats, too."""
    for line in formats:
        found = re.search(r"%[\"\[#'/]?-?\d*(?:\.\d+)?(?:http::)?[<>]h(?![\w{])", line.text)
        if found:
            what = f"{found[0]} without a header's name has squid end each line of its own formats in headers"
            mend = f"name one header, as in {found[0].replace('%', '%{Host}')}, or log with a logformat only"
            yield defects.MIME_HEADERS.found(what, mend=mend, where=source.at(line.number))


def _parse(line: Line, formats: set[str]) -> tuple[str, dict[str, str], list[str]]:
    """(format, options, ACLs) of an access_log."""
    options = dict(word.split("=", 1) for word in line.words[2:] if "=" in word)
    rest = [word for word in line.words[2:] if "=" not in word]
    form = options.get("logformat", "")
    if not form and rest and (rest[0] in formats or rest[0] in NAMED or rest[0] in _WITHOUT_BYTES):
        form = rest.pop(0)
    return form or "squid", options, [word for word in rest if word != "all"]


def _log(source: Source, line: Line, formats: dict[str, Line]) -> Iterator[Finding]:
    """The findings of one access log: where it goes, which requests it holds, its format."""
    where, path = source.at(line.number), line.words[1]
    form, options, acls = _parse(line, set(formats))
    if path == "none":
        words = " ".join(("access_log none", *acls))
        yield defects.LOG_OFF.found(f"{words} keeps requests off the log", where=where)
        return
    if path.startswith(_NETWORK):
        yield defects.NO_FILE.found(f"its log goes to {path}", where=where)
    else:
        yield from target(path.partition(":")[2] if path.startswith(_MODULES) else path, where)
    if acls:
        yield defects.CONDITIONAL_LOG.found(f"only requests that match {' '.join(acls)} are logged", where=where)
    if options.get("rotate", "0") != "0":
        yield defects.OTHER_ROTATOR.found("squid renames its log by itself", mend="set rotate=0", where=where)
    if form in formats:
        yield from check_text(formats[form].text, "squid", source.at(formats[form].number))
    elif form in _WITHOUT_BYTES:
        yield defects.UNREADABLE_FORMAT.found(
            f"the format {form} has no bytes", mend="use the format squid", where=where
        )
    elif form in NAMED:
        yield from check_text(form, "squid", where)
    else:
        yield elsewhere(form, where)
