"""varnishncsa: its command line, in a systemd unit, in /etc/default, in a script."""

from __future__ import annotations

import getopt
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from edgetally.check import defects
from edgetally.check.format import check_text
from edgetally.check.servers.source import Source, elsewhere, lines, target
from edgetally.errors import EdgetallyError
from edgetally.formats.finding import Finding
from edgetally.formats.servers.varnish import DEFAULT

_OPTIONS = "abcCdDEF:f:g:hjk:L:n:N:P:Q:q:r:R:t:Vw:"
_COMMAND = re.compile(r"(?:^|[\s=/@!+-])varnishncsa\s+(?=-)|^DAEMON_OPTS=(?=[\"'])")


def check(source: Source) -> Iterator[Finding]:
    """The findings of a file that starts varnishncsa."""
    for line in lines(source):
        command = _COMMAND.search(line.text)
        if command:
            text, where = line.text[command.end() :], source.at(line.number)
            if command[0].startswith("DAEMON_OPTS"):
                text = "".join(shlex.split(text)[:1])
            yield from _command(text, where, unit=line.text.startswith("ExecStart"))


def _command(text: str, where: str, unit: bool) -> Iterator[Finding]:
    """The findings of one command line. unit: it stands in a systemd unit, where %% is a %."""
    try:
        words = takewhile(lambda word: word[0] not in "|>;&", filter(None, shlex.split(text)))
        options = getopt.gnu_getopt(list(words), _OPTIONS)[0]
    except (ValueError, getopt.GetoptError) as error:
        raise EdgetallyError(f"{where}: varnishncsa's options cannot be read ({error}): correct them") from None
    given = dict(options)
    form = given.get("-F", DEFAULT)
    if unit:
        if "-F" in given and re.search(r"(?<!%)%(?:%%)*(?!%)", form):
            yield defects.UNIT_PERCENT.found("the format has a single % in a systemd unit", where=where)
        form = form.replace("%%", "%")
    file = Path(given.get("-f", ""))
    if file.is_file():
        yield from check_text(file.read_text(encoding="utf-8", errors="replace").strip(), "varnish", f"{file}:1")
    elif "-f" in given:
        yield elsewhere(given["-f"], where)
    else:
        yield from check_text(form, "varnish", where)
    yield from _output(given, where)
    yield from _selection(given, where)


def _output(given: dict[str, str], where: str) -> Iterator[Finding]:
    """The findings about where the lines go."""
    path = given.get("-w", "-")
    yield from target(path if "$" not in path else "a file", where)
    if path == "-":
        return
    if "-a" not in given:
        yield defects.OVERWRITTEN_LOG.found("varnishncsa writes without -a", where=where)
    if "-D" not in given:
        what, cost = "varnishncsa runs without -D: a SIGHUP ends it", "requests are not billed until it runs again"
        yield defects.NOT_REOPENED.found(what, cost=cost, mend="add -D", where=where)


def _selection(given: dict[str, str], where: str) -> Iterator[Finding]:
    """The findings about which requests get a line."""
    if "-b" in given:
        yield defects.BACKEND_TRAFFIC.found("-b logs requests to the origins", mend="drop -b", where=where)
    if "-R" in given:
        yield defects.SAMPLED_LOG.found(f"-R {given['-R']} drops the lines beyond that", mend="drop -R", where=where)
    for option in ("-q", "-Q"):
        if option in given:
            what = f"only requests that match {option} {given[option]} are logged"
            yield defects.CONDITIONAL_LOG.found(what, mend=f"drop {option}", where=where)
    if "-E" in given:
        yield defects.SUBREQUESTS.found("-E logs the requests of ESI, too", mend="drop -E", where=where)
