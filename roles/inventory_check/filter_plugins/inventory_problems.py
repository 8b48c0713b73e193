"""The filter that says what is wrong with an inventory, before any host is touched."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Variables = Mapping[str, Any]
Fleet = Mapping[str, Mapping[str, Variables]]
"""By group and host, what the inventory says of the host."""

ROLES = {"gearmand": "gearmand", "aggregator": "aggregator", "edges": "edge_shipper"}
"""The groups, each with the role whose argument_specs say what its hosts need."""

PORT = 7003
TLS_PORT = 7004
SECRET = re.compile(r"(password|keys?)$")
SUFFIXES = {".py", ".sql", ".html", ".css", ".js"}  # what bin/build takes of the sources
HERE = {"localhost", "127.0.0.1", "::1"}


def inventory_problems(
    hostvars: Mapping[str, Variables],
    groups: Mapping[str, Iterable[str]],
    wanted: Iterable[str],
    roles: str,
    program: str = "",
) -> list[str]:
    """What is wrong, a sentence each; nothing when all is well.

    wanted: the groups that the playbook is for: what their hosts lack is looked for.
    roles: the folder of the roles.
    program: where the program lies that is about to be installed. Empty where nothing is installed: then only what
    hosts lack is looked for, not whether they fit together.
    """
    fleet = {group: {host: _seen(hostvars, host) for host in groups.get(group, ())} for group in ROLES}
    wanted = [group for group in ROLES if group in set(wanted)]
    problems = [one for group in wanted for one in _lacking(group, fleet[group], _options(roles, ROLES[group]))]
    if not problems and program:
        problems += [*_authority(fleet), *_modes(fleet)] or [*_ports(fleet)]
        problems += [*_twins(fleet), *_ledgers(fleet)]
        if {"aggregator", "edges"} & set(wanted):
            problems += _programs(fleet, program)
    return problems


def _seen(hostvars: Mapping[str, Any], host: str) -> Variables:
    """What the inventory says of a host, also where it names another host's variables.

    Ansible keeps `hostvars` from what is read through hostvars: an address that is taken from there would be undefined.
    """
    variables: Variables = hostvars[host]
    own = getattr(variables, "_vars", None)  # in every Ansible from 2.15 to 2.21
    if isinstance(own, dict):
        own["hostvars"] = hostvars
    return variables


# --- what a host lacks


def _options(roles: str, role: str) -> dict[str, dict[str, Any]]:
    """The options that a role's argument_specs list, by name."""
    text = (Path(roles) / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return found


def _lacking(group: str, hosts: Mapping[str, Variables], options: Mapping[str, Any]) -> Iterator[str]:
    """The required variables that hosts of a group have not, and the secrets that cannot be read."""
    where = f"group_vars/{group}.yml or group_vars/all.yml"
    for name, option in options.items():
        missing = [host for host in hosts if name not in hosts[host]]
        if missing and option.get("required"):
            what = option["description"] if isinstance(option["description"], str) else option["description"][0]
            yield (
                f"{name} is not set for {', '.join(missing)} ({what}): set it in the inventory's {where}, "
                f"roles/{ROLES[group]}/README.md and inventory.example/ show how."
            )
    yield from _sealed(hosts, [*(name for name in options if SECRET.search(name)), "edgetally_ca_key"])


def _sealed(hosts: Mapping[str, Variables], names: list[str]) -> Iterator[str]:
    """The secrets that cannot be read. They are one of the whole group as a rule, so the first host's are looked at."""
    for host, variables in list(hosts.items())[:1]:
        causes = {name: _cause(variables, name) for name in names if name in variables}
        sealed = [name for name, cause in causes.items() if cause]
        if sealed:
            yield (
                f"{', '.join(sealed)} of {host} cannot be read ({causes[sealed[0]]}): give the vault's password, "
                "--ask-vault-pass or --vault-password-file FILE, the one that it was encrypted with."
            )


def _cause(variables: Variables, name: str) -> str:
    """Why a variable cannot be read; empty when it can be."""
    try:
        str(variables[name])
    except Exception as error:
        return " ".join(str(error.__cause__ or error).split()).rstrip(".")
    return ""


# --- whether the hosts fit together


def _names(hosts: Mapping[str, Variables]) -> dict[str, str]:
    """The name that each edge ships under, by host."""
    return {host: str(variables.get("edge_shipper_edge", host)) for host, variables in hosts.items()}


def _twins(fleet: Fleet) -> Iterator[str]:
    """Two edges of one name would write one stream, and the ledger would refuse the second."""
    names = list(_names(fleet["edges"]).values())
    twins = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twins:
        called = " ".join(twins)
        yield f"Two edges are called {called}: give each a name of its own, edge_shipper_edge in its host_vars."


def _servers(variables: Variables) -> list[tuple[str, str]]:
    """The job servers that a host is told of: host and port. What is no host:port is the role's to refuse."""
    given = variables.get("edgetally_gearmand_servers") or []
    parts = [str(server).rpartition(":") for server in ([given] if isinstance(given, str) else given)]
    return [(host.strip("[]"), port) for host, _colon, port in parts]


def _ports(fleet: Fleet) -> Iterator[str]:
    """A job server that is not called where it listens for this caller: who speaks TLS calls another port.

    An entry of edgetally_gearmand_servers is a job server's by its host's names; one that is none of them (a name in
    the DNS, an address behind a translation) may be any job server's that is not named otherwise.
    """
    jobs = fleet["gearmand"]
    known = {host: {host, *_addresses(variables)} for host, variables in jobs.items()}
    callers = [one for group in ("aggregator", "edges") for one in fleet[group].values()]
    told = {(name, port, _tls(one) != "false") for one in callers for name, port in _servers(one)}
    strange = {one for one in told if not any(one[0] in names for names in known.values())}
    for host, variables in jobs.items() if told else ():
        named = {one for one in told if one[0] in known[host]}
        wrong = {one for one in named or strange if one[1] != _port(variables, one[2])[0]}
        if not named and not strange:
            yield (
                f"No entry of edgetally_gearmand_servers names {host}, which is in the group gearmand: nobody would "
                "use it."
            )
        elif wrong and (named or wrong == strange):
            port, variable = _port(variables, any(tls for _name, _port_told, tls in wrong))
            others = ", ".join(sorted({port_told for _name, port_told, _tls_wanted in wrong}))
            yield (
                f"{host} is to listen on port {port} ({variable}), and edgetally_gearmand_servers has {others}: nobody "
                "would reach it; give both the same port."
            )


def _port(variables: Variables, tls: bool) -> tuple[str, str]:
    """The port of a job server for those who speak TLS, or for others, and the variable that it is from."""
    if tls and _tls(variables) != "false":
        return str(variables.get("gearmand_tls_port", TLS_PORT)), "gearmand_tls_port, because edgetally_tls is on"
    return str(variables.get("gearmand_port", PORT)), "gearmand_port"


def _tls(variables: Variables) -> str:
    return str(variables.get("edgetally_tls", False)).lower()


def _modes(fleet: Fleet) -> Iterator[str]:
    """Hosts that speak plain TCP to job servers that take TLS alone, or the other way round."""
    jobs = {_tls(variables) for variables in fleet["gearmand"].values()}
    others = {host: _tls(one) for group in ("aggregator", "edges") for host, one in fleet[group].items()}
    plain = [host for host, mode in others.items() if mode == "false"]
    tls = [host for host, mode in others.items() if mode != "false"]
    for hosts, has, mode, takes in ((plain, "false", "true", "TLS alone"), (tls, "true", "false", "plain TCP")):
        if mode in jobs and hosts:
            yield (
                f"edgetally_tls is {has} for {', '.join(hosts)}, and the job servers are to take {takes}: set it for "
                "all hosts together, in group_vars/all.yml; `migrate` is for while some are still as before."
            )


def _authority(fleet: Fleet) -> Iterator[str]:
    """Hosts that are to speak TLS, without the secret of the authority."""
    hosts = {host: one for group in fleet.values() for host, one in group.items()}
    missing = [host for host, one in hosts.items() if _tls(one) != "false" and not one.get("edgetally_ca_key")]
    if missing:
        yield (
            f"edgetally_ca_key is not set for {', '.join(missing)}, and edgetally_tls is on: make one with `openssl "
            "rand -hex 32` and keep it in group_vars/all.yml with ansible-vault."
        )


def _addresses(variables: Variables) -> list[str]:
    return [str(variables[name]) for name in ("ansible_host", "gearmand_listen") if name in variables]


def _ledgers(fleet: Fleet) -> Iterator[str]:
    """Aggregators of the same job servers with databases of their own: each would count a part of the traffic."""
    hosts = fleet["aggregator"]
    for number, (host, variables) in enumerate(hosts.items()):
        for other, others in list(hosts.items())[number + 1 :]:
            same = set(_servers(variables)) & set(_servers(others))
            if same and not _databases(host, variables) & _databases(other, others):
                yield (
                    f"{host} and {other} are aggregators with a database each ({_told(host, variables)}; "
                    f"{_told(other, others)}), and each would count a part of the traffic: leave one in the group "
                    "aggregator, or give both one database as docs/how-to/high-availability.md says."
                )
                return


def _databases(host: str, variables: Variables) -> set[tuple[str, str]]:
    """The nodes that hold an aggregator's database, each with the database's name."""
    install = str(variables.get("aggregator_db_install", True)).lower() in ("true", "yes", "1", "on")
    socket = variables.get("aggregator_db_socket", "/run")
    given = variables.get("aggregator_db_hosts") or [variables.get("aggregator_db_host", "localhost")]
    nodes = {host} if install or socket else {host if node in HERE else str(node) for node in given}
    return {(node, str(variables.get("aggregator_db_name", "edgetally"))) for node in nodes}


def _told(host: str, variables: Variables) -> str:
    nodes = sorted(node for node, _name in _databases(host, variables))
    return f"{host}: aggregator_db_install or its socket" if nodes == [host] else f"{host}: {', '.join(nodes)}"


# --- the program


def _programs(fleet: Fleet, default: str) -> Iterator[str]:
    """A program that is not there, or that was built of other sources than lie beside it."""
    hosts = [*fleet["aggregator"].values(), *fleet["edges"].values()]
    for name in sorted({str(one.get("edgetally_program", default)) for one in hosts}):
        path = Path(name).resolve()
        if not path.is_file():
            yield (
                f"{path} is not there on the controller: run bin/build first, or let edgetally_program name the file."
            )
        elif _stale(path):
            yield f"{path} was built of other sources than lie in {_sources(path)}: run bin/build."


def _sources(program: Path) -> Path:
    return program.parent.parent / "src" / "edgetally"


def _stale(program: Path) -> bool:
    """Whether a source is not in the program as it lies there now. Of a program elsewhere nobody can say."""
    folder = _sources(program)
    sources = [path for path in folder.rglob("*") if path.suffix in SUFFIXES]
    if not sources or not zipfile.is_zipfile(program):
        return False
    with zipfile.ZipFile(program) as archive:
        built = set(archive.namelist())
        names = {path.relative_to(folder.parent).as_posix(): path for path in sources}
        return any(name not in built or archive.read(name) != path.read_bytes() for name, path in names.items())


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"inventory_problems": inventory_problems}
