"""Time zones: the system's, else those that edgetally.pyz brings in one file."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from edgetally.bill.zones import zone_named
from tests.support import ROOT

PYZ = ROOT / "dist" / "edgetally.pyz"
ASK = """if True:
    import sys
    sys.path.insert(0, sys.argv[1])
    from datetime import datetime
    from edgetally.bill.period import parse_zone
    from edgetally.errors import EdgetallyError
    for name in sys.argv[2:]:
        try:
            zone = parse_zone(name)
            print(zone.key, *(datetime(2026, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)))
        except EdgetallyError:
            print("none")
"""


def test_the_systems_zones_come_first() -> None:
    assert zone_named("Europe/Berlin") is ZoneInfo("Europe/Berlin")
    with pytest.raises(ZoneInfoNotFoundError):
        zone_named("Europe/Nowhere")


@pytest.mark.skipif(not PYZ.exists(), reason="bin/build was not run")
def test_a_host_without_time_zones_uses_those_of_the_program() -> None:
    names = ["Europe/Berlin", "America/New_York", "UTC", "Europe/Nowhere", "../etc/passwd", "Europe"]
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-c", ASK, str(PYZ), *names],
        env={"PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "Europe/Berlin 1:00:00 2:00:00",
        "America/New_York -1 day, 19:00:00 -1 day, 20:00:00",
        "UTC 0:00:00 0:00:00",
        *["none"] * 3,
    ]


@pytest.mark.skipif(not PYZ.exists(), reason="bin/build was not run")
def test_the_program_has_all_zones_in_one_entry(tmp_path: Path) -> None:
    with zipfile.ZipFile(PYZ) as pyz:
        assert [name for name in pyz.namelist() if name.startswith("tzdata/")] == []
        with zipfile.ZipFile(pyz.open("edgetally/bill/zones.zip")) as zones:
            assert len(zones.namelist()) > 500
            assert zones.read("Europe/Berlin").startswith(b"TZif")
