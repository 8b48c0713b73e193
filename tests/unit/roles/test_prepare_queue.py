"""What the unit runs before gearmand: a queue of another version is converted, and loses no job whatever happens."""

from __future__ import annotations

import importlib.util
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import ROOT

FILE = ROOT / "roles/gearmand/files/prepare_queue.py"
OLD = "CREATE TABLE gearman_queue(unique_key TEXT PRIMARY KEY,function_name TEXT,priority INTEGER,data BLOB)"
NEW = (
    "CREATE TABLE gearman_queue ( unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,"
    " when_to_run INTEGER, PRIMARY KEY (unique_key, function_name))"
)
LONG = "x" * 64


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_queue", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = load()


def make(file: Path, table: str, rows: list[tuple[Any, ...]]) -> None:
    """A queue as gearmand leaves it: rows of id, function, priority, payload and, in a new one, the time to run."""
    with sqlite3.connect(file) as queue:
        queue.execute(table)
        if rows:
            queue.executemany(f"INSERT INTO gearman_queue VALUES ({','.join('?' * len(rows[0]))})", rows)
    queue.close()


def rows(file: Path) -> list[tuple[Any, ...]]:
    queue = sqlite3.connect(file)
    try:
        return queue.execute("SELECT * FROM gearman_queue ORDER BY rowid").fetchall()
    finally:
        queue.close()


def backups(file: Path) -> list[Path]:
    return sorted(file.parent.glob("*.before-*"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


def test_a_missing_queue_is_made_empty_in_wal_mode_and_private(file: Path) -> None:
    subprocess.run([sys.executable, FILE, str(file), "new"], check=True)
    assert file.stat().st_mode & 0o777 == 0o600
    queue = sqlite3.connect(file)
    assert queue.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert queue.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)  # the table is gearmand's to make
    queue.close()


@pytest.mark.parametrize(("table", "kind"), [(OLD, "old"), (NEW, "new")])
def test_a_queue_that_fits_is_left_alone(file: Path, table: str, kind: str) -> None:
    job = ("id", "edgetally.batch", 1, b"\0payload") + ((0,) if kind == "new" else ())
    make(file, table, [job])
    assert program.prepare(file, kind) == ""
    assert rows(file) == [job]
    assert backups(file) == []


def test_an_upgrade_keeps_every_job_in_its_place(file: Path) -> None:
    jobs = [(f"id-{number}", "edgetally.batch", number % 3, bytes([number % 256, 0])) for number in range(1000)]
    make(file, OLD, jobs)
    told = program.prepare(file, "new")
    assert "1000 jobs are now as gearmand from 1.0 keeps them" in told
    assert rows(file) == [(*job, 0) for job in jobs]
    (backup,) = backups(file)
    assert rows(backup) == jobs
    assert program.prepare(file, "new") == ""


def test_a_downgrade_and_back(file: Path) -> None:
    jobs = [("a", "one", 0, b"1", 0), ("b", "two", 2, b"2", 0)]
    make(file, NEW, jobs)
    assert "before 1.0" in program.prepare(file, "old")
    assert rows(file) == [job[:4] for job in jobs]
    program.prepare(file, "new")
    assert rows(file) == jobs


def test_what_the_old_version_cannot_tell_apart_gets_another_id(file: Path) -> None:
    """0.14's only key is the id: it would delete both rows when one job is done."""
    make(file, NEW, [("a", "one", 1, b"1", 0), ("a", "two", 1, b"2", 0), ("b", "two", 1, b"3", 4102444800)])
    told = program.prepare(file, "old")
    found = rows(file)
    assert [row[1:] for row in found] == [("one", 1, b"1"), ("two", 1, b"2"), ("two", 1, b"3")]
    assert found[0][0] == "a"
    assert len(found[1][0]) == 60
    assert found[2][0] == "b"
    assert "1 of them under another id" in told
    assert "1 that were to run later run at once" in told


def test_rows_on_which_gearmand_would_not_start_are_mended(file: Path) -> None:
    """An empty payload is stored as NULL; an id over 63 bytes is cut in memory, and its row stays for ever."""
    make(file, OLD, [("empty", "f", 1, None), (LONG, "f", 1, b"long"), (LONG + "y", "f", 1, b"longer")])
    for kind, extra in (("old", ()), ("new", (0,))):
        program.prepare(file, kind)
        found = rows(file)
        assert found[0] == ("empty", "f", 1, b"", *extra)
        assert [row[3] for row in found] == [b"", b"long", b"longer"]
        assert len({row[0] for row in found}) == 3
        assert max(len(row[0]) for row in found) <= 63
        assert program.prepare(file, kind) == ""


def test_a_failed_start_of_the_new_version_has_left_its_column(file: Path) -> None:
    """1.1 adds its column to 0.14's table before it finds that it cannot read the rows."""
    make(file, OLD, [("a", "f", 1, b"1")])
    queue = sqlite3.connect(file)
    queue.execute("ALTER TABLE gearman_queue ADD COLUMN when_to_run INTEGER")
    queue.close()
    program.prepare(file, "new")
    assert rows(file) == [("a", "f", 1, b"1", 0)]


def test_ids_that_are_no_utf_8(file: Path) -> None:
    make(file, OLD, [])
    queue = sqlite3.connect(file)
    queue.execute("INSERT INTO gearman_queue VALUES (CAST(x'ff80' AS TEXT), CAST(x'fe' AS TEXT), 1, x'00ff')")
    queue.execute(f"INSERT INTO gearman_queue VALUES (CAST(x'{'ff' * 70}' AS TEXT), CAST(x'fe' AS TEXT), 1, x'00ff')")
    queue.commit()
    program.prepare(file, "new")
    found = queue.execute("SELECT hex(unique_key), hex(function_name), hex(data) FROM gearman_queue").fetchall()
    assert found[0] == ("FF80", "FE", "00FF")
    assert found[1][1:] == ("FE", "00FF")
    queue.close()


def test_only_the_last_backups_stay(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(file, OLD, [("a", "f", 1, b"1")])
    for number in range(6):
        monkeypatch.setattr(program.time, "strftime", lambda *_, number=number: f"2026010{number}T000000Z")
        program.prepare(file, "new" if number % 2 == 0 else "old")
    assert [path.name[-16:-8] for path in backups(file)] == ["20260103", "20260104", "20260105"]


def test_killed_at_any_write_it_loses_nothing(file: Path, tmp_path: Path) -> None:
    """SIGKILL after each step of the transaction: the next start finds the queue as it was, or converted."""
    jobs = [(f"id-{number}", "f", 1, b"p" * 1000) for number in range(500)]
    for step in ("CREATE", "INSERT", "DROP", "ALTER", "COMMIT"):
        path = tmp_path / f"{step}.db"
        make(path, OLD, jobs)
        code = (
            "import os, signal, sqlite3, sys\n"
            f"sys.path.insert(0, {str(FILE.parent)!r})\n"
            "import prepare_queue\n"
            "class Mortal(sqlite3.Connection):\n"
            "    def execute(self, sql, *rest):\n"
            "        done = super().execute(sql, *rest)\n"
            f"        if sql.startswith({step!r}): os.kill(os.getpid(), signal.SIGKILL)\n"
            "        return done\n"
            "connect = sqlite3.connect\n"
            "sqlite3.connect = lambda *words, **named: connect(*words, factory=Mortal, **named)\n"
            "prepare_queue.prepare(prepare_queue.Path(sys.argv[1]), 'new')\n"
        )
        killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
        assert killed.returncode == -signal.SIGKILL, step
        assert [row[:4] for row in rows(path)] == jobs, step
        program.prepare(path, "new")
        assert rows(path) == [(*job, 0) for job in jobs], step


@pytest.mark.parametrize("words", [[], ["queue.db"], ["queue.db", "2.0"]])
def test_wrong_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(words) == 2
    assert "usage: prepare_queue.py FILE old|new" in capsys.readouterr().err


def test_a_table_that_is_not_gearmand_s(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(file, "CREATE TABLE gearman_queue (id INTEGER)", [(1,)])
    assert program.main([str(file), "new"]) == 1
    assert "is none of gearmand's; move" in capsys.readouterr().err
    assert rows(file) == [(1,)]


def test_a_file_that_is_no_database(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("this is no database at all, but it is long enough to be looked at\n" * 20)
    assert program.main([str(file), "new"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(file) in error
    assert "file is not a database" in error


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([str(tmp_path / "none" / "queue.db"), "new"]) == 1
    assert "unable to open database file" in capsys.readouterr().err
