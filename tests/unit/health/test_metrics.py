"""The metrics' text is Prometheus' own, as its client library reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgetally.errors import EdgetallyError
from edgetally.health.metrics import Figures, write


def test_what_is_written_is_read_back() -> None:
    figures = Figures()
    odd = 'a "quoted" \\ back\\nslash, and\na new line'
    figures.set("state", "0 ok, 1 warning", 2)
    figures.set("log_bytes", "Bytes of a log", 1 << 60, log=odd, server="é")
    figures.set("log_bytes", "Bytes of a log", 0.25, log="b", server="")
    figures.set("left_out", "It has no value", None)
    families = list(text_string_to_metric_families(figures.text()))
    assert [(one.name, one.type, one.documentation) for one in families] == [
        ("edgetally_state", "gauge", "0 ok, 1 warning"),
        ("edgetally_log_bytes", "gauge", "Bytes of a log"),
    ]
    assert [(sample.labels, sample.value) for one in families for sample in one.samples] == [
        ({}, 2.0),
        ({"log": odd, "server": "é"}, float(1 << 60)),
        ({"log": "b", "server": ""}, 0.25),
    ]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken.prom").mkdir()
    with pytest.raises(EdgetallyError, match=r"taken\.prom cannot be written"):
        write(str(tmp_path / "taken.prom"), [])
    assert [path.name for path in tmp_path.iterdir()] == ["taken.prom"]
