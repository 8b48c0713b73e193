"""`bin/demo --local` at its shortest: real servers, real traffic, and the three ways equal."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.demo import local, reconcile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that squid's own user can enter."""
    for place in (tmp_path, *tmp_path.parents):
        place.chmod(0o755)
        if place.name.startswith("pytest-of-"):
            break
    return tmp_path


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_local_demo(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is equal, notices when it is not, and ends all that it started."""
    subprocess.run([local.ROOT / "bin" / "build"], check=True, stdout=subprocess.DEVNULL)
    sent_file = folder / "sent.json"
    with local.pipeline(folder) as pipe:
        assert local.demo(pipe, sent_file, seconds=8, interval=3)
        out = capsys.readouterr().out
        assert "EQUAL on 2 edges" in out
        assert "Completeness: complete" in out
        assert re.search(r"^Example & Co +\d+\.\d\d +\d+\.\d\d \(19 %\) +\d+\.\d\d +EUR$", out, re.MULTILINE)
        assert (folder / "statement.pdf").read_bytes().startswith(b"%PDF-")
        beside = {row[0]: row[1:] for line in out.splitlines() if (row := line.split()) and len(row) == 5}
        for edge, counts in (("edge1", False), ("edge2", True)):
            logged, server, wire = beside[edge][:3]
            assert number(wire) > number(logged) > 0
            assert (number(server) >= number(logged)) if counts else server == "-"
        assert sum(json.loads(sent_file.read_text())["kinds"].values()) > 100
        logs = list((folder / "edge2/spool/raw/access").glob("*.gz"))
        assert len(logs) > 2, "it rotated in mid-traffic"

        pipe.database.sql("UPDATE traffic SET bytes = bytes + 1 ORDER BY bytes DESC LIMIT 1", "edgetally")
        max(logs, key=lambda path: path.stat().st_size).unlink()
        assert not reconcile.compare(str(sent_file), pipe.archives, pipe.ledger)
        out = capsys.readouterr().out
        assert "NOT EQUAL" in out
        assert "the database has +0 requests and +1 bytes" in out
        assert "edge2, news: the raw logs have -" in out
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(folder) not in processes
