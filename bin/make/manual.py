"""Writes the manual page and the completion of bash and zsh, made of the parser: python -m bin.make.manual FOLDER.

bin/build runs it, with the program, its libraries and what requirements.txt here names in PYTHONPATH. The folder is
laid out as /usr/share is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

EXIT_STATUS = """0: all is well. 1: the work was done as far as it could be, and something is wrong.
2: wrong use, wrong configuration or unreadable input, and nothing was done.
A message is one sentence on standard error.
"""
FILES = """.TP
/etc/edgetally/
edge.json and channels.json of an edge; aggregator.json and contracts.json of an aggregator
.TP
/var/spool/edgetally/
what an edge has tallied, and the ledger has not confirmed: nothing in it is ever deleted before that
"""
DESCRIPTION = """The edges of a fleet of web caches rotate and tally their access logs and ship the tallies
through gearmand to one aggregator, which writes the database; report makes the bill of it.
tally, check and formats need no server.
"""


def main(folder: Path) -> None:
    """Write all of them."""
    parser = whole_parser()
    files = {
        "bash-completion/completions/edgetally": completion(parser, "bash"),
        "zsh/site-functions/_edgetally": completion(parser, "zsh"),
        "man/man1/edgetally.1": page(parser),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def whole_parser() -> argparse.ArgumentParser:
    """The program's parser, with the options of all commands: a run of the program has those of one."""
    program: Any = import_module("edgetally.cli.main")
    parser: argparse.ArgumentParser = program._parser("")
    for name, command in _commands(parser).items():
        command.description = program.COMMANDS[name]
        module: Any = import_module(f"edgetally.cli.{name}")
        module.add_arguments(command)
    return parser


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """What the shell needs to complete a command line."""
    import shtab

    for action in _actions(parser):
        if action.metavar in ("FILE", "PATH"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return f"{shtab.complete(parser, shell).rstrip()}\n"


def page(parser: argparse.ArgumentParser) -> str:
    """The manual page, in troff."""
    from argparse_manpage.manpage import Manpage

    parser.description = DESCRIPTION
    found = Manpage(parser)
    found.description = "account the bandwidth of a fleet of web caches, per channel, for billing"
    found.manual = "edgetally"
    found.add_section("exit status", "=", EXIT_STATUS)
    found.add_section("files", "=", FILES)
    return str(found)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a parser's commands or actions, by name."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return found[0].choices if found else {}


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every option and argument, those of commands and their actions too."""
    yield from parser._actions
    for command in _commands(parser).values():
        yield from _actions(command)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
