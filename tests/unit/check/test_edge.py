"""What `edgetally check` opens of an edge: others may have put anything under a log's name."""

from __future__ import annotations

import errno
import os
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


def refuse(*_: object, **_options: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("births", [True, False])
def test_a_log_without_a_second_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, births: bool) -> None:
    edge = Edge(tmp_path)
    edge.set(reopen=f"touch {edge.log}")
    edge.log.touch()
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse)
        edge.rotate()
    if not births:
        monkeypatch.setattr("edgetally.check.edge.birth_of", lambda _path: None)
    (finding,) = (finding for finding in check(edge.config).findings if finding.code == "no_pin")
    assert ("birth times" in finding.what) is not births
    edge.rotate()
    assert "no_pin" not in {finding.code for finding in check(edge.config).findings}


def test_a_log_that_its_server_made_since_the_last_run_has_no_second_name_yet(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.rotate()
    edge.log.touch()
    assert "no_pin" not in {finding.code for finding in check(edge.config).findings}


def test_a_log_that_was_never_rotated_needs_no_second_name(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.log.touch()
    assert "no_pin" not in {finding.code for finding in check(edge.config).findings}
