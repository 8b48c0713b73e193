"""The check: a corpus of servers' configurations with what is wrong in each, formats, logs, an edge, the output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgetally.check import configuration
from edgetally.check.source import Source
from edgetally.formats.finding import Finding

CORPUS = Path(__file__).parent / "check_corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())


def codes(found: list[Finding]) -> set[str]:
    return {finding.code for finding in found}


# --- configurations


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CORPUS)) for path in FILES])
def test_a_configuration(path: Path) -> None:
    """Its first comment says what is to be found. What is good may have notes."""
    text = path.read_text()
    expected = re.search(r"(?m)^# expect: (.+)", text)
    assert configuration.server_of(text) == path.parent.name
    found = list(configuration.check(Source("the file", text)))
    assert codes(found) == set(expected[1].split(", ") if expected else ()), found
    assert path.name.startswith("good-") == all(finding.severity == "note" for finding in found), found
    assert all(re.fullmatch(r"the file:[1-9]\d*", finding.where) for finding in found)
