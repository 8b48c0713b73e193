"""What is wrong with an inventory: each of these was a green rollout of something dead, or of a wrong bill."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from roles.inventory_check.filter_plugins.inventory_problems import ROLES, inventory_problems
from tests.support import ROOT

KEY = "0123456789abcdef0123456789abcdef"
SERVERS = ["192.0.2.10:7003"]
JOBS: dict[str, Any] = {"ansible_host": "192.0.2.10", "gearmand_listen": "192.0.2.10"}
AGGREGATOR: dict[str, Any] = {
    "edgetally_master_key": KEY,
    "edgetally_gearmand_servers": SERVERS,
    "aggregator_db_password": "secret",
}
EDGE: dict[str, Any] = {
    "edgetally_master_key": KEY,
    "edgetally_gearmand_servers": SERVERS,
    "edgetally_channels": [{"channel": "news"}],
    "edge_shipper_logs": [{"name": "access", "path": "/var/log/nginx/access.log"}],
}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program as bin/build makes it, beside its sources."""
    source = tmp_path / "src" / "edgetally" / "wire" / "batch.py"
    source.parent.mkdir(parents=True)
    source.write_text("VERSION = 1\n")
    path = tmp_path / "dist" / "edgetally.pyz"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(source, "edgetally/wire/batch.py")
    return path


def problems(program: Path | str, wanted: tuple[str, ...] = tuple(ROLES), **hosts: Mapping[str, Any]) -> list[str]:
    """What is said of hosts; the name before the first digit is the group."""
    fleet = {"jobs1": JOBS, "ledger1": AGGREGATOR, "edge1": EDGE, **hosts}
    kinds = {"jobs": "gearmand", "ledger": "aggregator", "edge": "edges"}
    groups: dict[str, list[str]] = {}
    for host in fleet:
        groups.setdefault(kinds[host.rstrip("0123456789")], []).append(host)
    return inventory_problems(fleet, groups, wanted, str(ROOT / "roles"), str(program))


def test_a_good_inventory_has_none(program: Path) -> None:
    assert problems(program) == []


def test_a_port_that_nobody_calls(program: Path) -> None:
    (said,) = problems(program, jobs1={**JOBS, "gearmand_port": 7004})
    assert said.startswith("jobs1 is to listen on port 7004 (gearmand_port), and edgetally_gearmand_servers has 7003")


@pytest.mark.parametrize(
    "servers",
    [["jobs1:7004"], ["[2001:db8::1]:7004"], ["balancer.example.com:7004"], ["balancer.example.com:1", "jobs1:7004"]],
)
def test_a_port_that_is_called_by_any_name(program: Path, servers: list[str]) -> None:
    jobs = {"ansible_host": "2001:db8::1", "gearmand_listen": "0.0.0.0", "gearmand_port": "7004"}
    told = {"edgetally_gearmand_servers": servers}
    assert problems(program, jobs1=jobs, ledger1={**AGGREGATOR, **told}, edge1={**EDGE, **told}) == []


TLS = {"edgetally_tls": True, "edgetally_ca_key": KEY, "edgetally_gearmand_servers": ["192.0.2.10:7004"]}


def test_tls_at_both_ends_and_at_its_port(program: Path) -> None:
    ends: dict[str, Any] = {"jobs1": {**JOBS, **TLS}, "ledger1": {**AGGREGATOR, **TLS}, "edge1": {**EDGE, **TLS}}
    assert problems(program, **ends) == []
    migrating = {**TLS, "edgetally_tls": "migrate"}
    assert problems(program, **{**ends, "jobs1": {**JOBS, **migrating}, "edge1": EDGE}) == []
    left = {**migrating, "edgetally_gearmand_servers": ["192.0.2.10:7003"]}
    for host, known in (("ledger1", AGGREGATOR), ("edge1", EDGE)):
        (said,) = problems(program, **{**ends, "jobs1": {**JOBS, **migrating}, host: {**known, **left}})
        assert said.startswith("jobs1 is to listen on port 7004 (gearmand_tls_port, because edgetally_tls is on), and")
        assert "has 7003: nobody" in said
    (said,) = problems(program, **{**ends, "jobs1": {**JOBS, **TLS, "gearmand_tls_port": 7005}})
    assert said.startswith("jobs1 is to listen on port 7005 (gearmand_tls_port, because edgetally_tls is on), and")
    (said,) = problems(program, **{**ends, "edge1": EDGE})
    assert said.startswith(
        "edgetally_tls is false for edge1, and the job servers are to take TLS alone: set it for all"
    )
    (said,) = problems(program, **{**ends, "jobs1": JOBS})
    assert said.startswith("edgetally_tls is true for ledger1, edge1, and the job servers are to take plain TCP")


def test_tls_without_an_authority(program: Path) -> None:
    ends: dict[str, Any] = {"jobs1": {**JOBS, **TLS}, "ledger1": {**AGGREGATOR, **TLS}}
    (said,) = problems(program, **ends, edge1={**EDGE, **TLS, "edgetally_ca_key": ""})
    assert said.startswith(
        "edgetally_ca_key is not set for edge1, and edgetally_tls is on: make one with `openssl rand"
    )


def test_a_job_server_that_nobody_names(program: Path) -> None:
    (said,) = problems(program, jobs2={**JOBS, "ansible_host": "192.0.2.11", "gearmand_listen": "192.0.2.11"})
    assert said.startswith("No entry of edgetally_gearmand_servers names jobs2")


def test_two_aggregators_with_a_database_each(program: Path) -> None:
    (said,) = problems(program, ledger2=AGGREGATOR)
    assert said.startswith("ledger1 and ledger2 are aggregators with a database each")


def cluster(*nodes: str, **values: Any) -> dict[str, Any]:
    """An aggregator of a database that is there already."""
    there = {"aggregator_db_install": False, "aggregator_db_socket": "", "aggregator_db_hosts": list(nodes)}
    return {**AGGREGATOR, **there, **values}


def test_two_aggregators_of_one_cluster(program: Path) -> None:
    assert problems(program, ledger1=cluster("db1", "db2"), ledger2=cluster("db2", "db1")) == []


@pytest.mark.parametrize(
    "second",
    [AGGREGATOR, cluster("db3"), cluster("db1", aggregator_db_name="other"), cluster("127.0.0.1")],
)
def test_two_aggregators_of_two_databases(program: Path, second: dict[str, Any]) -> None:
    (said,) = problems(program, ledger1=cluster("db1", "db2"), ledger2=second)
    assert "with a database each" in said


def test_two_fleets_in_one_inventory(program: Path) -> None:
    """Aggregators of other job servers meet in nothing."""
    other = {"edgetally_gearmand_servers": ["jobs2:7003"]}
    assert problems(program, jobs2=JOBS, ledger2={**AGGREGATOR, **other}, edge2={**EDGE, **other}) == []


def test_two_edges_of_one_name(program: Path) -> None:
    (said,) = problems(program, edge2={**EDGE, "edge_shipper_edge": "edge1"})
    assert said.startswith("Two edges are called edge1")


def test_a_program_that_is_not_built(program: Path) -> None:
    program.unlink()
    (said,) = problems(program)
    assert said == (
        f"{program} is not there on the controller: run bin/build first, or let edgetally_program name the file."
    )
    assert problems(program, ("gearmand",)) == [], "a job server needs none"


def test_a_program_of_other_sources(program: Path) -> None:
    source = program.parent.parent / "src" / "edgetally" / "wire" / "batch.py"
    source.write_text("VERSION = 2\n")
    (said,) = problems(program)
    assert said.startswith(f"{program} was built of other sources")
    source.write_text("VERSION = 1\n")
    assert problems(program) == [], "what counts is what is in it, not when it was written"
    source.with_name("receipts.py").touch()
    assert len(problems(program)) == 1


def test_where_nothing_is_changed_hosts_need_not_fit_together() -> None:
    assert problems("", jobs1={**JOBS, "gearmand_port": 7004}, ledger2=AGGREGATOR) == []


class Sealed(Mapping[str, Any]):
    """Variables as Ansible has them where the vault's password is another one: read, and an error comes."""

    def __getitem__(self, name: str) -> Any:
        if name == "edgetally_master_key":
            raise ValueError("Decryption failed (no vault secrets were found\nthat could decrypt).")
        return EDGE[name]

    def __iter__(self) -> Any:
        return iter(EDGE)

    def __len__(self) -> int:
        return len(EDGE)

    def __contains__(self, name: object) -> bool:
        return name in EDGE


def test_a_wrong_vault_password_is_one_sentence(program: Path) -> None:
    (said,) = problems(program, edge1=Sealed(), edge2=Sealed())
    assert said.startswith(
        "edgetally_master_key of edge1 cannot be read (Decryption failed (no vault secrets were found that could "
        "decrypt)): give the vault's password"
    )
