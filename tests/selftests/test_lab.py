"""The lab says beforehand what this machine cannot do: hosts that hang in their boot say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.lab import LabError, check_room


def test_more_hosts_than_the_machine_lets_root_watch_for(tmp_path: Path) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text("128\n")
    check_room(25, limit)
    with pytest.raises(LabError, match=r"^53 hosts .* after `sysctl fs.inotify.max_user_instances=530`$"):
        check_room(53, limit)
