"""Configuration files: whatever is wrong in one gets a sentence that names file, key and mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgetally.config import LogConfig, load_aggregator, load_edge, parse_server
from edgetally.errors import EdgetallyError

EDGE: dict[str, Any] = {
    "edge": "edge1",
    "key_id": "0123abcd",
    "key": "0" * 64,
    "job_servers": ["job1:7003"],
    "channels": "/etc/edgetally/channels.json",
    "logs": [{"name": "access", "path": "/var/log/nginx/access.log", "format": "combined"}],
}
AGGREGATOR: dict[str, Any] = {
    "job_servers": ["127.0.0.1:7003"],
    "master_keys": ["k" * 32],
    "database": {"user": "edgetally", "password": "secret"},
}


def written(folder: Path, data: Any) -> str:
    file = folder / "config.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return str(file)


def test_a_log_may_name_what_is_a_hit(tmp_path: Path) -> None:
    config = load_edge(written(tmp_path, {**EDGE, "logs": [{**EDGE["logs"][0], "hit": "X-Fast:HIT,STALE"}]}))
    assert (config.logs[0].hit, load_edge(written(tmp_path, EDGE)).logs[0].hit) == ("X-Fast:HIT,STALE", "")


def test_a_database_elsewhere_is_spoken_to_in_clear_only_where_that_is_said(tmp_path: Path) -> None:
    """By a socket or on this host nothing changes; of a cluster every node counts."""

    def load(**fields: Any) -> None:
        load_aggregator(written(tmp_path, {**AGGREGATOR, "database": {**AGGREGATOR["database"], **fields}}))

    for near in ({}, {"host": "127.0.0.1"}, {"hosts": ["[::1]:3306"]}, {"host": "db1", "socket": "/run/mysqld.sock"}):
        load(**near)
    for clear in ({"host": "db1"}, {"hosts": ["localhost", "db2:3307"]}):
        with pytest.raises(EdgetallyError, match=r"db[12] would be spoken to in clear: set aggregator_db_ssl_ca"):
            load(**clear)
        load(**clear, ssl_ca="/etc/ssl/certs/ca.pem")
        load(**clear, unencrypted=True)


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    config = load_edge(written(tmp_path, EDGE))
    assert (config.spool, config.splay, config.logs[0].reopen) == ("/var/spool/edgetally", 60, "")
    assert (config.interface, config.counters, config.region) == ("", (), "")
    database = load_aggregator(written(tmp_path, AGGREGATOR)).database
    assert (database.name, database.address) == ("edgetally", "localhost:3306")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("{", "is not JSON"),
        ([], "must be an object"),
        ({"edge": None}, "key 'edge' must be a text, not null"),
        ({"edge": "edge 1"}, "letters, digits"),
        ({"key": "abc"}, "64 lower-case hex digits"),
        ({"job_servers": []}, "key 'job_servers' must be a list of at least one"),
        ({"job_servers": ["job1:port"]}, "write host:port"),
        ({"splay": "60"}, "key 'splay' must be a whole number"),
        ({"splay": -1}, "at least 0"),
        ({"include_existing": 1}, "true or false"),
        ({"spaly": 1}, "did you mean 'splay'?"),
        ({"channels": "channels.json"}, "write the whole path"),
        ({"logs": [{"name": "access", "format": "combined"}]}, "key 'logs[1].path' is missing"),
        ({"logs": EDGE["logs"] * 2}, "two logs are named 'access'"),
        ({"logs": [{**EDGE["logs"][0], "private": "private"}]}, "write the whole path"),
        ({"interface": "eth0/1"}, "write the interface's name as `ip link` shows it"),
        ({"interface": "a-name-of-16-cha"}, "write the interface's name as `ip link` shows it"),
        (
            {"counters": [{"program": "nginx"}]},
            "of these alone counters are read: haproxy, squid, trafficserver, varnish",
        ),
        ({"counters": [{"at": "127.0.0.1:3128"}]}, "key 'counters[1].program' is missing"),
        ({"region": "eu west"}, "letters, digits"),
    ],
)
def test_a_wrong_edge_file_says_what_is_wrong(tmp_path: Path, change: Any, words: str) -> None:
    file = written(tmp_path, {**EDGE, **change} if isinstance(change, dict) else change)
    with pytest.raises(EdgetallyError) as error:
        load_edge(file)
    assert words in str(error.value)
    assert file in str(error.value)


@pytest.mark.parametrize("key", ["edge", "key_id", "key", "job_servers", "channels", "logs"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(EdgetallyError, match=f"key '{key}' is missing"):
        load_edge(written(tmp_path, {name: value for name, value in EDGE.items() if name != key}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"master_keys": ["short"]}, "at least 32 characters"),
        ({"database": {"user": "x"}}, "key 'database.password' is missing"),
        ({"lease_seconds": 0}, "at least 2"),
        ({"detail_days": 30}, "must be 0, which keeps all, or at least 100"),
    ],
)
def test_a_wrong_aggregator_file_says_what_is_wrong(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(EdgetallyError) as error:
        load_aggregator(written(tmp_path, {**AGGREGATOR, **change}))
    assert words in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EdgetallyError, match="cannot be read"):
        load_edge(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("job1:7004", ("job1", 7004)),
        ("job1", ("job1", 7003)),
        ("[::1]:7003", ("::1", 7003)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
    ],
)
def test_job_server_addresses(text: str, server: tuple[str, int]) -> None:
    assert parse_server(text) == server


def test_the_fields_of_a_log_in_json_stand_beside_its_format() -> None:
    log = LogConfig("a", "/a", "json", fields="time=ts,bytes=size")
    assert (log.whole_format, log._replace(fields="").whole_format) == ("json time=ts,bytes=size", "json")
