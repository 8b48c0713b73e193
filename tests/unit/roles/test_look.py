"""The role's look at an edge before it changes anything: a renamed edge or a wrong path was a green rollout once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roles.edge_shipper.files.look import look


def known(folder: Path, **values: object) -> Path:
    """An edge.json as the role wrote it before."""
    config = folder / "edge.json"
    config.write_text(json.dumps({"edge": "edge1", "logs": [{"name": "access", "path": "/gone/old.log"}], **values}))
    return config


def test_a_new_edge_whose_logs_are_there(tmp_path: Path) -> None:
    (tmp_path / "access.log").touch()
    paths = [str(tmp_path / "access.log"), str(tmp_path / "*.log")]
    assert look(paths, tmp_path / "edge.json") == {"edge": None, "missing": []}


def test_the_name_that_it_ships_under(tmp_path: Path) -> None:
    assert look([], known(tmp_path))["edge"] == "edge1"


def test_a_new_log_that_is_not_there(tmp_path: Path) -> None:
    paths = ["/gone/old.log", "/gone/new.log", str(tmp_path / "*.log")]
    assert look(paths, known(tmp_path))["missing"] == paths[1:], "the first was there once: it may be away"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"edge": "edge1"}'])
def test_a_damaged_configuration_says_nothing(tmp_path: Path, text: str) -> None:
    config = tmp_path / "edge.json"
    config.write_text(text)
    assert look(["/gone/new.log"], config) == {"edge": None, "missing": ["/gone/new.log"]}
