"""nginx: log_format, access_log, and what else decides which requests are logged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from edgetally.check import defects
from edgetally.check.format import check_text, check_unused
from edgetally.check.servers.source import Source, bare, elsewhere, includes, target, two_logs
from edgetally.errors import EdgetallyError
from edgetally.formats.finding import Finding

_TOKEN = re.compile(
    r"""\#[^\n]*|(?P<end>[;{}])|(?P<word>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|"""
    r"""(?:\$\{\w*\}|\\.|[^\s;{}"'\\])(?:\$\{\w*\}|\\.|[^\s;{}\\])*)|\s+""",
    re.S,
)

_COMBINED = (
    'log_format combined \'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"\';'
)


class Statement(NamedTuple):
    """A directive: its words as written, its line, its text up to the ; and the block that it stands in."""

    words: list[str]
    line: int
    text: str
    block: int

    @property
    def name(self) -> str:
        """The directive's name."""
        return self.words[0]


def statements(source: Source) -> Iterator[Statement]:
    """The directives of a file, those that begin a block too. block: the offset of its {, or -1."""
    text, at, blocks = source.text, 0, [-1]
    words: list[str] = []
    start = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise EdgetallyError(f"{source.at(text.count(chr(10), 0, at) + 1)}: a quote is not closed: correct it")
        at = token.end()
        if token["word"]:
            start = start if words else token.start()
            words.append(token["word"])
        elif token["end"]:
            if words:
                yield Statement(words, text.count("\n", 0, start) + 1, text[start:at], blocks[-1])
            if token["end"] == "{":
                blocks.append(at)
                at = _after_code(text, at) if words and words[0].endswith("_by_lua_block") else at
            elif token["end"] == "}":
                blocks = blocks[:-1] or [-1]
            words = []


def _after_code(text: str, at: int) -> int:
    """The place of the } that ends a block of code, which is not nginx's own language."""
    depth = 1
    for brace in re.finditer(r"[{}]", text[at:]):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return at + brace.start()
    return len(text)


def check(source: Source) -> Iterator[Finding]:
    """The findings of an nginx configuration file."""
    directives = list(statements(source))
    formats = {
        bare(statement.words[1]): statement
        for statement in directives
        if statement.name == "log_format" and len(statement.words) > 2
    }
    logs = [statement for statement in directives if statement.name == "access_log" and len(statement.words) > 1]
    included = [
        (statement.line, bare(statement.words[1]))
        for statement in directives
        if statement.name == "include" and len(statement.words) > 1
    ]
    used = {name: line for log in logs for name, line in _formats_of(log)}
    http = next((statement for statement in directives if statement.name == "http"), None)
    if not logs and http and not included:
        used = {"combined": http.line}
    for statement in () if used else formats.values():
        yield from check_unused(statement.text, "nginx", source.at(statement.line))
    yield from _formats(source, formats, used)
    for log in logs:
        yield from _access_log(log, source.at(log.line))
    yield from two_logs((log.block, bare(log.words[1]), source.at(log.line)) for log in logs if _is_on(log))
    for statement in directives:
        if statement.words == ["log_subrequest", "on"]:
            yield defects.SUBREQUESTS.found(
                "log_subrequest is on", mend="take log_subrequest out", where=source.at(statement.line)
            )
    yield from includes(source, included)


def _formats(source: Source, formats: Mapping[str, Statement], used: Mapping[str, int]) -> Iterator[Finding]:
    for name, line in used.items():
        if name in formats:
            yield from check_text(formats[name].text, "nginx", source.at(formats[name].line))
        elif name == "combined":
            yield from check_text(_COMBINED, "nginx", source.at(line))
        else:
            yield elsewhere(name, source.at(line))


def _is_on(log: Statement) -> bool:
    return bare(log.words[1]) != "off"


def _options(log: Statement) -> Sequence[str]:
    return [bare(word) for word in log.words[2:] if "=" in word or word == "gzip"]


def _formats_of(log: Statement) -> Iterator[tuple[str, int]]:
    """The format that an access_log names, and its line."""
    if _is_on(log):
        named = [bare(word) for word in log.words[2:3] if bare(word) not in _options(log)]
        yield named[0] if named else "combined", log.line


def _access_log(log: Statement, where: str) -> Iterator[Finding]:
    path, options = bare(log.words[1]), _options(log)
    if not _is_on(log):
        yield defects.LOG_OFF.found("access_log is off here", where=where)
        return
    yield from target(re.sub(r"\$\{(\w+)\}", r"$\1", path), where)
    for option in options:
        name, _, value = option.partition("=")
        if name == "gzip":
            yield defects.GZIP_LOG.found("the log is compressed while it is written", mend="drop gzip=", where=where)
        elif name == "buffer" and "gzip" not in {other.partition("=")[0] for other in options}:
            yield defects.BUFFERED_LOG.found(f"lines are kept in a buffer of {value}", mend="drop buffer=", where=where)
        elif name == "if":
            yield defects.CONDITIONAL_LOG.found(f"only requests for which {value} is true are logged", where=where)
