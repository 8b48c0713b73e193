"""The commands. Each is a file of its own, and only the one that is asked for is loaded: cron runs `ship` very often.

Exit status: 0 all is well; 1 the work was done as far as it could be, and something is wrong; 2 wrong use, wrong
configuration or unreadable input, and nothing was done. A message is one sentence on standard error.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace

from edgetally import __version__
from edgetally.errors import EdgetallyError, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

# A command's file has `add_arguments(parser)` and `run(options)`, which returns the exit status. That of one which cron
# runs has DEFAULTS, the value of each option, and PLAIN, those that are read without argparse, which takes 5 ms.
COMMANDS = {
    "tally": "tally access logs where they lie, without any server",
    "check": "what of a log format, a server's configuration, a log or this edge makes a bill wrong",
    "formats": "the log formats that are known by name, with an example line",
    "ship": "rotate, tally and deliver this edge's logs; cron runs it",
    "replay": "correct what was sent: tally archived logs again, with today's channel map",
    "aggregate": "the single writer: commit what the edges deliver",
    "migrate": "bring the database up to this program: tables, accounts",
    "report": "the bill: per channel bytes, requests, hit ratio, peak, 95th percentile",
    "audit": "sum the bodies of all batches again, and compare with the counters",
    "quarantine": "what the aggregator refused to count: look, retry, drop",
    "canary": "prove the whole way: a batch without traffic through every job server must come back as a receipt",
    "period": "closed months: close one, list them, show what came later",
    "stream": "the edges' logs: list them, retire one that is gone for good",
    "channel": "the channels: list them, bill one under another name",
    "status": "how this host's edge or aggregator is doing",
    "manual": "write the manual page, and the completion of bash and zsh, to a folder such as /usr/local/share",
}
_OF_CRON = ("ship", "status")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given:
        _parser("").print_help()
        return 0
    try:
        _check_command(given[0])
        options = _plain(given) or _parser(given[0]).parse_args(given)
        _collect_again()
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except EdgetallyError as error:
        print(f"edgetally: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"edgetally: the disk under {error.filename or 'the output'} is full: free some space", file=sys.stderr)
        return 1
    except ImportError as error:
        print(
            f"edgetally: the program cannot be loaded ({error}): it was replaced while it ran, or is damaged; run it "
            "again, or roll it out again",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130


def _check_command(word: str) -> None:
    """Refuse what is no command, with the one that was probably meant."""
    if word in COMMANDS or word.startswith("-"):
        return
    close = nearest(word, COMMANDS)
    hint = f"did you mean '{close}'?" if close else "`edgetally` alone lists the commands"
    raise EdgetallyError(f"'{word}' is no command: {hint}")


def _plain(given: Sequence[str]) -> Any:
    """The options of a command as cron asks for it; None for all else, which argparse knows."""
    if not given or given[0] not in _OF_CRON:
        return None
    module: Any = import_module(f"edgetally.cli.{given[0]}")
    values, words = dict(module.DEFAULTS), iter(given[1:])
    for word in words:
        name = word[2:].replace("-", "_")
        if not word.startswith("--") or name not in module.PLAIN:
            return None
        values[name] = module.DEFAULTS[name] is False or next(words, "-")
        if str(values[name]).startswith("-"):
            return None
    return SimpleNamespace(**values, run=module.run)


def _collect_again() -> None:
    """Have garbage collected from now on, and what was loaded until now left alone."""
    gc.freeze()
    gc.enable()


def _version() -> str:
    """What --version tells: the release and its commit, with a + where files differ from it."""
    import pkgutil

    try:
        commit = (pkgutil.get_data("edgetally", "share/commit") or b"").decode()
    except OSError:
        commit = ""  # bin/build has not made this program, or not in a clone
    return f"edgetally {__version__}" + (f", commit {commit}" if commit else "")


def _parser(command: str) -> argparse.ArgumentParser:
    """A parser with the options of one command, or with the names of all commands where `command` is none of them."""
    import argparse

    parser = argparse.ArgumentParser(prog="edgetally", description="Account the bandwidth of web caches, per channel.")
    parser.add_argument("--version", action="version", version=_version() if command == "--version" else "")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in [command] if command in COMMANDS else COMMANDS:
        subparser = commands.add_parser(name, help=COMMANDS[name])
        if name == command:
            module: Any = import_module(f"edgetally.cli.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
