"""`bin/demo --local` at its shortest: real servers, real traffic, and the three ways equal."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.demo import local


def test_the_local_demo_is_equal_and_ends_all_it_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run([local.ROOT / "bin" / "build"], check=True, stdout=subprocess.DEVNULL)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # squid's own user has to enter it
    assert local.demo(tmp_path, seconds=8, interval=3)
    out = capsys.readouterr().out
    assert "EQUAL on 2 edges" in out
    assert "Completeness: complete" in out
    sent = json.loads((tmp_path / "sent.json").read_text())
    assert sum(sent["kinds"].values()) > 100
    assert len(list((tmp_path / "edge2/spool/raw/access").glob("*.gz"))) > 2, "it rotated in mid-traffic"
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in processes
