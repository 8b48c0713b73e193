"""What `edgetally check` opens of an edge: others may have put anything under a log's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetally.check.edge import check
from edgetally.errors import EdgetallyError
from tests.support.edge import ODD, Edge, put_odd


@pytest.mark.parametrize("odd", ODD)
def test_only_a_plain_file_is_read(tmp_path: Path, odd: str) -> None:
    """A pipe does not hang it. A second name is read, as the pin is one, and a link of root's own."""
    edge = Edge(tmp_path)
    other = tmp_path / "log" / "other"
    other.write_text("secret\n")
    put_odd(odd, edge.log, other)
    if odd in ("other name", "link"):
        assert check(edge.config).logs[0].tally.lines == 1
    else:
        with pytest.raises(EdgetallyError, match="cannot be read"):
            check(edge.config)
