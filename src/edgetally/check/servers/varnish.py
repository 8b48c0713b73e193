"""varnishncsa: its command line, in a systemd unit, in /etc/default, in a script."""

from __future__ import annotations

import getopt
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from edgetally.check import defects
from edgetally.check.format import check_text
from edgetally.check.servers.source import Source, elsewhere, is_nowhere, lines, target
from edgetally.check.servers.variables import filled, given, left_in
from edgetally.errors import EdgetallyError
from edgetally.formats.finding import Finding
from edgetally.formats.servers.varnish import DEFAULT

_OPTIONS = "abcCdDEF:f:g:hjk:L:n:N:P:Q:q:r:R:t:Vw:"
_COMMAND = re.compile(r"(?:^|[\s=/@!+-])varnishncsa\s+(?=[-$\"'])|^DAEMON_OPTS=(?=[\"'])")


def check(source: Source) -> Iterator[Finding]:
    """The findings of a file that starts varnishncsa."""
    values = {name: value for one in (*source.others, source) for name, value in given(one).items()}
    taken = any("$DAEMON_OPTS" in other.text for other in source.others)
    percents = _percents(source.text)
    for line in lines(source):
        command = _COMMAND.search(line.text)
        if command is None:
            continue
        text, where = _of_shell(line.text) or line.text[command.end() :], source.at(line.number)
        if command[0].startswith("DAEMON_OPTS"):
            if not taken:  # else it is looked at in the command that takes it
                yield from _command("".join(shlex.split(text)[:1]), where, {}, "")
        else:
            yield from _command(text, where, values, percents)


def _of_shell(text: str) -> str:
    """The options of a command that stands in the one word of `sh -c`; empty where there is none."""
    try:
        words = shlex.split(text)
    except ValueError:
        return ""
    found = next((match for word in words if " " in word and (match := _COMMAND.search(word))), None)
    return found.string[found.end() :] if found and "-c" in words else ""


def included(source: Source) -> list[tuple[int, str]]:
    """The files that a unit takes variables from, and their lines."""
    found = [(line.number, re.match(r"EnvironmentFile=-?(\S+)", line.text)) for line in lines(source)]
    return [(number, match[1]) for number, match in found if match]


def _percents(text: str) -> str:
    """Whose a file is in which %% is a %: systemd's or supervisord's; empty for neither."""
    if re.search(r"(?m)^\[program:", text):
        return "supervisord"
    return "systemd" if re.search(r"(?m)^Exec\w+=", text) else ""


def _command(text: str, where: str, values: Mapping[str, str], percents: str) -> Iterator[Finding]:
    """The findings of one command line. percents: whose file it stands in, where %% is a %."""
    try:
        if percents == "systemd" and re.search(r"(?<!%)%(?:%%)*(?!%)", _options(shlex.split(text))[0].get("-F", "")):
            yield defects.UNIT_PERCENT.found("the format has a single % in a systemd unit", where=where)
        given, hidden = _options(filled(text.replace("%%", "%") if percents else text, values))
    except (ValueError, getopt.GetoptError) as error:
        raise EdgetallyError(f"{where}: varnishncsa's options cannot be read ({error}): correct them") from None
    yield from _format(given, where, hidden)
    yield from _output(given, where, hidden)
    yield from _selection(given, where)


def _options(words: Sequence[str]) -> tuple[dict[str, str], str]:
    """The options of a command, and a variable that stands for more of them; empty for none."""
    own = list(takewhile(lambda word: word[0] not in "|>;&", filter(None, words)))
    hidden = next((word for word in own if left_in(word) == word and word not in _values_of(own)), "")
    return dict(getopt.gnu_getopt([word for word in own if word != hidden], _OPTIONS)[0]), hidden


def _values_of(words: Sequence[str]) -> list[str]:
    """The words that stand behind an option which takes one."""
    taking = {f"-{letter}" for letter, after in zip(_OPTIONS, _OPTIONS[1:]) if after == ":"}
    return [word for before, word in zip(words, words[1:]) if before in taking]


def _format(given: Mapping[str, str], where: str, hidden: str) -> Iterator[Finding]:
    """The findings of the format: of -F, of the file of -f, or Varnish's own. hidden: options in a variable."""
    form, file = given.get("-F", DEFAULT), Path(given.get("-f", ""))
    if is_nowhere(given.get("-w", "")):
        return
    unknown = left_in(form) if "-F" in given else hidden
    if file.is_file():
        yield from check_text(file.read_text(encoding="utf-8", errors="replace").strip(), "varnish", f"{file}:1")
    elif "-f" in given:
        yield elsewhere(given["-f"], where)
    elif unknown:
        what, mend = f"the format is in {unknown}, whose value is not here", "check the file that sets it as well"
        yield defects.FORMAT_ELSEWHERE.found(what, mend=mend, where=where)
    else:
        yield from check_text(form, "varnish", where)


def _output(given: dict[str, str], where: str, hidden: str) -> Iterator[Finding]:
    """The findings about where the lines go. hidden: a variable that may say so."""
    if hidden and "-w" not in given:
        return
    path = given.get("-w", "-")
    yield from target(path if "$" not in path else "a file", where)
    if path == "-" or is_nowhere(path):
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
