"""The repository's own logs: of each format that edgetally knows a small one, which comes to what its lines say.

What they come to is in corpus/expected.py. Real logs, which lie outside the repository, are in test_shared_corpus.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetally.formats.catalogue import FORMATS, PASTED, parse_format
from edgetally.formats.log_format import LogFormat
from edgetally.tally.count import tally
from tests.unit.tally.corpus.expected import EXPECTED

CORPUS = Path(__file__).parent / "corpus"


def format_of(log: str) -> LogFormat:
    """What an administrator tells edgetally of the server that wrote a log. log: its key in EXPECTED."""
    folder, _, name = log.partition("/")
    return FORMATS[name] if folder == "named" else parse_format(PASTED[name][1], name)


@pytest.mark.parametrize("engine", ["kernel", "reference"])
@pytest.mark.parametrize("log", EXPECTED)
def test_a_log_comes_to_what_its_lines_say(log: str, engine: str) -> None:
    expected = EXPECTED[log]
    result = tally([CORPUS / f"{log}.log"], format_of(log), None, engine=engine)
    assert {place: tuple(cell[:3]) for place, cell in result.cells.items()} == expected.cells
    assert tuple(reject.line for reject in result.rejects) == expected.rejected
    assert (result.lines, result.bytes) == (expected.lines, expected.bytes)
    assert result.rejected == len(expected.rejected)


def test_each_format_has_a_log() -> None:
    """A new format needs one, and what it comes to: its example in the catalogue is one good line."""
    logs = {f"{path.parent.name}/{path.stem}" for path in CORPUS.glob("*/*.log")}
    formats = {*(f"named/{name}" for name in FORMATS), *(f"pasted/{server}" for server in PASTED)}
    assert logs == formats
    assert EXPECTED.keys() == formats
