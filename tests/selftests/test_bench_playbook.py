"""bin/bench playbook: a table that leaves a task out, or gives its time to another, would send the work elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import bench
from tests.bench.playbook import measured, table

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - {name: Sleep, ansible.builtin.command: {argv: [sleep, "0.7"]}, changed_when: false}
    - {name: Skip, ansible.builtin.debug: {}, when: false}
    - {name: Notify, ansible.builtin.debug: {}, changed_when: true, notify: Handle}
    - {name: Fail, ansible.builtin.fail: {}, when: fails is defined}
  handlers:
    - {name: Handle, ansible.builtin.debug: {}}
"""


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    """A playbook of a few tasks."""
    path = tmp_path / "playbook.yml"
    path.write_text(PLAYBOOK)
    return str(path)


def test_every_task_is_there_with_its_own_time(playbook: str) -> None:
    status, lines = measured([playbook, "-i", "localhost,"])
    assert status == 0
    assert [(line["task"], line["hosts"]) for line in lines] == [
        ("Sleep", 1),
        ("Skip", 0),
        ("Notify", 1),
        ("Fail", 0),
        ("Handle", 1),
    ]
    assert float(lines[0]["seconds"]) >= 0.7
    assert all(float(line["cpu"]) > 0 for line in lines)


def test_the_bench_knows_it(playbook: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        bench.main(["--help"])
    assert "    playbook " in capsys.readouterr().out
    assert bench.main(["playbook", playbook, "-i", "localhost,", "-e", "fails=yes"]) == 2
    assert "  Sleep\n" in capsys.readouterr().out


def test_the_status_is_the_playbooks(playbook: str) -> None:
    status, lines = measured([playbook, "-i", "localhost,", "-e", "fails=yes"])
    assert status == 2
    assert lines[-1]["task"] == "Fail"


def test_tasks_of_one_name_are_added_up() -> None:
    one: dict[str, float | str] = {"task": "Copy", "hosts": 50, "seconds": 2.25, "cpu": 1.5}
    text = table([one, {"task": "Wait", "hosts": 1, "seconds": 5.0, "cpu": 0.0}, one]).splitlines()
    assert text[1].split() == ["9.5", "3.0", "all", "3", "tasks"]
    assert [line.split() for line in text[2:]] == [["5.0", "0.0", "1", "Wait"], ["4.5", "3.0", "100", "Copy"]]
