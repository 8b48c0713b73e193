"""What bad input gets: one sentence with what, where and how to mend it, an exit status, nothing lost, no traceback.

One row for each kind. What travels (a batch unsigned, altered, foreign, too large, of an unknown version) is refused by
the aggregator, whose log has the sentence: test_aggregate.py has those rows.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import DatabaseConfig
from edgetally.wire.envelope import derive_key
from tests.integration.conftest import MASTER, aggregator_file, listener, run
from tests.support import ROOT, SOURCE, servers

LINE = '192.0.2.1 - - [23/Nov/2026:14:00:00 +0000] "GET / HTTP/1.1" 200 512 "-" "curl"\n'


class Edge:
    """An edge's files, right in every respect; a row of the table then spoils one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "access.log"
        self.log.write_text(LINE)
        self.channels = folder / "channels.json"
        self.channels.write_text('[{"channel": "all", "log": "access"}]')
        key = derive_key(MASTER, "edge1")
        log = {"name": "access", "path": str(self.log), "server": "nginx", "format": "combined"}
        self.data: dict[str, Any] = {
            "edge": "edge1",
            "user": "",
            "key_id": key.id,
            "key": key.secret.hex(),
            "job_servers": ["127.0.0.1:1"],
            "spool": str(folder / "spool"),
            "channels": str(self.channels),
            "splay": 0,
            "receipt_wait": 1,
            "reserve_bytes": 0,  # some spools here are tiny
            "close_timeout": 1,
            "include_existing": True,
            "logs": [log],
        }
        self.config = folder / "edge.json"

    def ship(self, *options: str) -> subprocess.CompletedProcess[str]:
        if not self.config.exists():
            self.config.write_text(json.dumps(self.data))
        return run("ship", "--config", str(self.config), "--now", *options)

    def outbox(self) -> list[str]:
        folder = self.folder / "spool" / "outbox"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def fails_well(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """One line for a person, and the exit status."""
    assert "Traceback" not in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr
    assert done.returncode == status, done.stderr
    assert all(line.startswith(("edgetally: ", "usage: ")) for line in done.stderr.splitlines()), done.stderr


# --- the configuration and what it names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not JSON", ["is not JSON"]),
        ("[]", ["must be an object"]),
        ('{"edge": "edge1"}', ["key 'key_id' is missing"]),
        ('{"egde": "edge1"}', ["unknown key 'egde'", "did you mean 'edge'?"]),
    ],
)
@pytest.mark.parametrize("option", ["--config", "--check-config"])
def test_a_configuration_file(tmp_path: Path, text: str, words: list[str], option: str) -> None:
    file = tmp_path / "edge.json"
    file.write_text(text)
    fails_well(run("ship", option, str(file)), 2, str(file), *words)


def test_a_configuration_file_that_is_not_there(tmp_path: Path) -> None:
    for command in ("ship", "status", "aggregate", "report"):
        fails_well(run(command, "--config", str(tmp_path / "none.json")), 2, "none.json cannot be read")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("[]", ["empty"]),
        ("{}", ["list"]),
        ("nonsense", ["JSON"]),
        ('[{"channel": "news", "hots": "news.example.com"}]', ["hots", "host"]),
        ('[{"host": "news.example.com"}]', ["channel"]),
        ('[{"channel": "news", "host": "*news.example.com"}]', ["*news.example.com"]),
    ],
)
def test_a_channel_map(edge: Edge, rules: str, words: list[str]) -> None:
    """The rotation must not begin: a wrong map would bill wrongly, or lose the interval."""
    edge.channels.write_text(rules)
    edge.config.write_text(json.dumps(edge.data))
    fails_well(run("ship", "--check-config", str(edge.config)), 2, str(edge.channels), *words)
    fails_well(run("tally", str(edge.log), "--channels", str(edge.channels)), 2, str(edge.channels), *words)
    done = edge.ship()
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    kept = [path.read_text() for path in (edge.log, *edge.folder.glob(".edgetally/access/*")) if path.is_file()]
    assert LINE in kept, "nothing is lost"


def test_a_format_that_nobody_knows(edge: Edge) -> None:
    edge.data["logs"][0]["format"] = "combine"
    edge.config.write_text(json.dumps(edge.data))
    fails_well(run("ship", "--check-config", str(edge.config)), 2, "combine", "combined")
    fails_well(run("tally", str(edge.log), "--format", "combine"), 2, "combine", "combined")


def test_a_format_that_does_not_fit_its_log(edge: Edge) -> None:
    """Every line is rejected and counted as that; the raw log is kept for a second tally."""
    edge.data["logs"][0].update(format="squid", server="squid")
    done = edge.ship()
    fails_well(done, 1, "fits the format of log 'access'", str(edge.config))
    assert len(edge.outbox()) == 1
    assert len(list((edge.folder / "spool" / "raw").rglob("*.gz"))) == 1
    tally = run("tally", str(edge.log.with_name("none.log")), "--format", "squid")
    fails_well(tally, 2, "none.log")


# --- the check


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}/none.conf"], ["none.conf cannot be read", "No such file"]),
        (["{folder}"], ["cannot be read", "Is a directory"]),
        (["--config", "{folder}/none.json"], ["none.json cannot be read"]),
        (["--format", "combine"], ["'combine' is not known", "did you mean 'combined'?"]),
        (["--format", "json"], ["format json needs fields", "--fields time=MEMBER"]),
        (["--format", "json", "--fields", "tme=ts,bytes=b"], ["'tme' is no field", "did you mean 'time'?"]),
        (["--fields", "time=ts,bytes=b:mb"], ["'mb' is no way to read b", "body, wire"]),
        (["--format", "squid", "--fields", "time=ts"], ["--fields go with json or one of", "not with squid"]),
        (["--log-format", "$msec $host"], ["does not say the bytes", "add $bytes_sent"]),
        (["--server", "ngnix", "{folder}/nginx.conf"], ["'ngnix'", "did you mean 'nginx'?"]),
        (["{folder}/quote.conf"], ["quote.conf:2: a quote is not closed"]),
        (["{folder}/unit.service"], ["unit.service:1: varnishncsa's options cannot be read"]),
        (["{folder}/a.zip"], ["a.zip is zip, which cannot be read here: unzip -p", "| edgetally tally -"]),
        (["--covers", "noon", "1800000000", "{folder}/access.log"], ["--covers noon", "write 2026-11-23T14:05"]),
        (["--covers", "1800000000", "1700000000", "{folder}/access.log"], ["exchange them"]),
    ],
)
def test_what_the_check_cannot_look_at(edge: Edge, arguments: list[str], words: list[str]) -> None:
    (edge.folder / "nginx.conf").write_text("http {\n}\n")
    (edge.folder / "quote.conf").write_text("http {\n  log_format x '$msec;\n}\n")
    (edge.folder / "unit.service").write_text("ExecStart=/usr/bin/varnishncsa -w\n")
    (edge.folder / "a.zip").write_bytes(b"PK\3\4")
    fails_well(run("check", *(word.replace("{folder}", str(edge.folder)) for word in arguments)), 2, *words)


def test_a_log_with_nonsense_in_it(edge: Edge) -> None:
    """Findings are the check's result: they go to standard output, with the exit status of a defect."""
    edge.log.write_bytes(b"\0\xff\n" + LINE.encode() + b"x" * (3 << 20))
    done = run("check", "--format", "combined", str(edge.log))
    assert (done.returncode, done.stderr) == (1, "")
    assert "(rejected)" in done.stdout
    assert "(nul_bytes)" in done.stdout


# --- logs


def test_a_log_that_is_not_there(edge: Edge) -> None:
    edge.log.unlink()
    fails_well(edge.ship(), 1, str(edge.log), "is not there")
    assert len(edge.outbox()) == 1, "the interval is a batch that says the log was absent"


def test_a_folder_that_is_not_there(edge: Edge) -> None:
    edge.data["logs"][0]["path"] = str(edge.folder / "nowhere" / "access.log")
    fails_well(edge.ship(), 1, str(edge.folder / "nowhere"), "correct the log's path")


def test_an_empty_log_is_no_error(edge: Edge) -> None:
    """Silence and zero are different things: an empty interval is a batch like any other."""
    edge.log.write_text("")
    edge.ship()
    assert len(edge.outbox()) == 1


def test_a_log_that_may_not_be_read() -> None:
    """As another user than root; the program as it is installed, one file."""
    program = ROOT / "dist" / "edgetally.pyz"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(program, folder)
        secret = folder / "access.log"
        secret.write_text(LINE)
        secret.chmod(0o600)
        done = subprocess.run(
            ["/usr/bin/python3", str(folder / program.name), "tally", str(secret)],
            user="nobody",
            capture_output=True,
            text=True,
            check=False,
        )
    fails_well(done, 2, str(secret), "Permission denied")


# --- job servers


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, ["did not answer"]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ["gearman"]),
    ],
)
def test_a_job_server_that_is_silent_or_garbles(
    edge: Edge, data: bytes | None, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetally.edge.deliver.SUBMIT_SECONDS", 1.0)
    with listener(data) as address:
        edge.data["job_servers"] = [address]
        edge.config.write_text(json.dumps(edge.data))
        done = _in_process(edge, monkeypatch)
    assert address in done
    for word in words:
        assert word in done
    assert len(edge.outbox()) == 1


def _in_process(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run `ship` in this process, where a time-out can be shortened; its messages."""
    from edgetally.config import load_edge
    from edgetally.edge import ship

    said: list[str] = []
    monkeypatch.setattr(ship, "say", said.append)
    assert ship.run(load_edge(str(edge.config)), ship.Options(now=True)) == 1
    return "\n".join(said)


def test_a_job_server_that_refuses(edge: Edge) -> None:
    fails_well(edge.ship(), 1, "127.0.0.1:1: Connection refused", "nothing is lost")
    assert len(edge.outbox()) == 1


def test_a_job_server_whose_name_is_not_known(edge: Edge) -> None:
    edge.data["job_servers"] = ["no-such-host.invalid:7003"]
    fails_well(edge.ship(), 1, "no-such-host.invalid:7003: its name is not known")


# --- the database


@pytest.mark.parametrize("command", ["aggregate", "report"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"password": "wrong"}, ["refuses user 'edgetally'", "check the password"]),
        ({"name": "nowhere"}, ["'nowhere' is not there", "edgetally migrate"]),
        ({"socket": "", "host": "127.0.0.1", "port": 1}, ["127.0.0.1:1 cannot be used", "Connection refused"]),
    ],
)
def test_a_database_that_cannot_be_used(
    tmp_path: Path, database: DatabaseConfig, command: str, spoil: dict[str, Any], words: list[str]
) -> None:
    file = aggregator_file(tmp_path, database, "127.0.0.1:1")
    data = json.loads(file.read_text())
    data["database"].update(spoil)
    file.write_text(json.dumps(data))
    fails_well(run(command, "--config", str(file)), 2, *words)


@pytest.mark.parametrize("command", ["aggregate", "report"])
def test_a_database_of_another_schema_version(
    tmp_path: Path, database: DatabaseConfig, mariadb: servers.MariaDB, command: str
) -> None:
    mariadb.sql("INSERT INTO schema_version VALUES (99, NOW())", "edgetally")
    file = aggregator_file(tmp_path, database, "127.0.0.1:1")
    fails_well(run(command, "--config", str(file)), 2, "has schema version 99, and this program needs ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--jobs", "-1"], "give the number of cores to use, or 0 for all"),
        (["--spread", "--max-spread", "0"], "is not from 1 to 21600 seconds"),
        (["--spread", "--max-spread", "21601"], "is not from 1 to 21600 seconds"),
        (["--spread"], "log the duration too, or do not spread"),
    ],
)
def test_a_tally_that_cannot_be(options: list[str], words: str) -> None:
    fails_well(run("tally", "--format", "combined", *options, "/dev/null"), 2, words)


def test_a_month_that_is_none(tmp_path: Path, database: DatabaseConfig) -> None:
    file = aggregator_file(tmp_path, database, "127.0.0.1:1")
    fails_well(run("report", "--config", str(file), "--month", "2026-13"), 2, "write it as 2026-11")


def test_a_manual_where_none_was_built(tmp_path: Path) -> None:
    """The sources have none; tests/selftests/test_build.py tries what is built."""
    fails_well(run("manual", "--install", str(tmp_path)), 2, "is in a program that bin/build has made")


# --- the disk


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system, which only root may")
def test_a_full_disk_under_the_spool(edge: Edge) -> None:
    """The log stays where it is, whole; once there is room again, the next run counts it."""
    spool = edge.folder / "spool"
    spool.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(spool)], check=True)
    try:
        filler = spool / "filler"
        with filler.open("wb", 0) as file, suppress(OSError):
            while file.write(b"x" * 1024):
                pass
        assert os.statvfs(spool).f_bavail == 0
        fails_well(edge.ship(), 1, "disk", "is full", "nothing is lost")
        lines = [path.read_text() for path in edge.folder.glob("access.log*")]
        assert LINE in lines
        filler.unlink()
        edge.ship()
        bodies = [json.loads(path.read_text()) for path in (spool / "outbox").iterdir()]
        assert sum(body["lines"] for body in bodies) == 1
    finally:
        subprocess.run(["umount", str(spool)], check=True)


# --- wrong use


@pytest.mark.parametrize(
    "arguments",
    [
        ["ship", "--nonsense"],
        ["report", "--output", "odt"],
        ["tally", "--format", "x", "--log-format", "y"],
        ["check", "--format", "x", "--log-format", "y"],
        ["check", "--covers", "1780000000"],
    ],
)
def test_wrong_use(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage: edgetally" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """`edgetally … | head`: no traceback. The reader is gone before the first byte, so nothing depends on timing."""
    log = tmp_path / "access.log"
    log.write_text(LINE)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "edgetally", "tally", "--format", "combined", str(log)]
    source = str(SOURCE)
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": source}, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
