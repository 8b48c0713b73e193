"""nginx: log_format, access_log, and what else decides which requests are logged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from edgetally.check import defects
from edgetally.check.format import check_text, check_unused
from edgetally.check.servers.source import (
    Source,
    bare,
    elsewhere,
    in_others,
    includes,
    is_nowhere,
    once,
    target,
    two_logs,
    used_in,
)
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
    """A directive: its words as written, its line, its text up to the ;, and the blocks that it stands in.

    blocks: the offset of each { and what stands before it, from the outermost in.
    """

    words: list[str]
    line: int
    text: str
    blocks: tuple[tuple[int, str], ...]

    @property
    def name(self) -> str:
        """The directive's name."""
        return self.words[0]


@once
def statements(source: Source) -> Iterator[Statement]:
    """The directives of a file, those that begin a block too."""
    text, at = source.text, 0
    blocks: list[tuple[int, str]] = [(-1, source.inside)]
    words: list[str] = []
    start, line = 0, 1
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise EdgetallyError(f"{source.at(text.count(chr(10), 0, at) + 1)}: a quote is not closed: correct it")
        at = token.end()
        if token["word"]:
            if not words:
                start, line = token.start(), line + text.count("\n", start, token.start())
            words.append(token["word"])
        elif token["end"]:
            if words:
                yield Statement(words, line, text[start:at], tuple(blocks))
            if token["end"] == "{":
                blocks.append((at, words[0] if words else ""))
                at = _after_code(text, at) if words and words[0].endswith("_by_lua_block") else at
            elif token["end"] == "}":
                blocks = blocks[:-1] or [(-1, source.inside)]
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
    directives, logs = statements(source), _logs(source)
    formats = dict(defined(source))
    used = {key: log.line for log in logs for key in _formats_of(log)}
    elsewhere_logs = [log for _, log in in_others(source, _logs)]
    http = next((statement for statement in directives if statement.name == "http"), None)
    named = {name for _, name in included(source)}
    if not logs and not elsewhere_logs and http and named <= source.followed:
        used = {("combined", False): http.line}
    wanted = {name for log in elsewhere_logs for name, _ in _formats_of(log)}
    for name, statement in () if used else formats.items():
        if name not in wanted:
            yield from check_unused(statement.text, "nginx", source.at(statement.line))
    yield from _formats(source, formats, used)
    for log in logs:
        yield from _access_log(log, source.at(log.line))
        yield from _replaced(log, logs, source.at(log.line))
    yield from two_logs((log.blocks[-1], bare(log.words[1]), source.at(log.line)) for log in logs if _is_on(log))
    for statement in directives:
        if statement.words == ["log_subrequest", "on"]:
            yield defects.SUBREQUESTS.found(
                "log_subrequest is on", mend="take log_subrequest out", where=source.at(statement.line)
            )
    yield from includes(source, included(source))


@once
def defined(source: Source) -> Iterator[tuple[str, Statement]]:
    """The formats of a file, with their names."""
    for statement in statements(source):
        if statement.name == "log_format" and len(statement.words) > 2:
            yield bare(statement.words[1]), statement


def included(source: Source) -> list[tuple[int, str]]:
    """The lines of a file that include others, and what these are called there."""
    found = (statement for statement in statements(source) if statement.name == "include" and len(statement.words) > 1)
    return [(statement.line, bare(statement.words[1])) for statement in found]


def inside(source: Source, name: str) -> str:
    """The block that another file is included in, as far as that matters: `stream`."""
    found = [one for one in statements(source) if one.name == "include" and bare(one.words[-1]) == name]
    return "stream" if any(_is_stream(one) for one in found) else ""


def _is_stream(statement: Statement) -> bool:
    return any(name == "stream" for _, name in statement.blocks)


@once
def _logs(source: Source) -> Iterator[Statement]:
    return (one for one in statements(source) if one.name == "access_log" and len(one.words) > 1)


def _formats(
    source: Source, formats: Mapping[str, Statement], used: Mapping[tuple[str, bool], int]
) -> Iterator[Finding]:
    """The findings of the formats that logs use, which other files may define."""
    for (name, stream), line in used.items():
        server = "nginx_stream" if stream else "nginx"
        if name in formats:
            yield from check_text(formats[name].text, server, source.at(formats[name].line))
            continue
        found = next(((other, form) for other, (named, form) in in_others(source, defined) if named == name), None)
        if found:
            other, form = found
            yield from used_in(check_text(form.text, server, other.at(form.line)), source.at(line))
        elif name == "combined":
            yield from check_text(_COMBINED, "nginx", source.at(line))
        else:
            yield elsewhere(name, source.at(line))


def _is_on(log: Statement) -> bool:
    return bare(log.words[1]) != "off" and not is_nowhere(bare(log.words[1]))


def _replaced(log: Statement, logs: Sequence[Statement], where: str) -> Iterator[Finding]:
    """A note where a log takes the place of that of a block around it."""
    outer = [one for one in logs if _is_on(one) and one.blocks == log.blocks[: len(one.blocks)] != log.blocks]
    path, around = bare(log.words[1]), bare(outer[-1].words[1]) if outer else ""
    if around and _is_on(log) and path != around:
        yield defects.REPLACED_LOG.found(f"requests here go to {path}, and not to {around}", where=where)


def _options(log: Statement) -> Sequence[str]:
    return [bare(word) for word in log.words[2:] if "=" in word or word == "gzip"]


def _formats_of(log: Statement) -> Iterator[tuple[str, bool]]:
    """The format that an access_log names, and whether it stands in stream{}."""
    if _is_on(log):
        named = [bare(word) for word in log.words[2:3] if bare(word) not in _options(log)]
        yield named[0] if named else "combined", _is_stream(log)


def _access_log(log: Statement, where: str) -> Iterator[Finding]:
    """The findings of one access_log: whether it is on, where it goes, what keeps lines back or off."""
    path, options = bare(log.words[1]), _options(log)
    if path == "off":
        yield defects.LOG_OFF.found("access_log is off here", where=where)
        return
    yield from target(re.sub(r"\$\{(\w+)\}", r"$\1", path), where)
    for option in options:
        name, _, value = option.partition("=")
        if name == "gzip":
            yield defects.GZIP_LOG.found("the log is compressed while it is written", mend="drop gzip=", where=where)
        elif name == "buffer" and "gzip" not in {other.partition("=")[0] for other in options}:
            flush = dict(one.partition("=")[::2] for one in options).get("flush", "")
            long = f", at most {flush}" if flush else " until it is full, for there is no flush="
            what = f"lines are kept in a buffer of {value}{long}"
            yield defects.BUFFERED_LOG.found(what, mend="drop buffer=", where=where)
        elif name == "if":
            yield defects.CONDITIONAL_LOG.found(f"only requests for which {value} is true are logged", where=where)
