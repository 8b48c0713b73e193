"""Filters that say what is wrong with an edge's variables, and with what was found on its host: a sentence each.

One task a check would cost a fleet of fifty edges some forty seconds.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

NEEDED, EITHER = ("name", "path"), ("format", "install")
KEYS = (*NEEDED, *EITHER, "server", "reopen", "spread", "max_spread", "private", "hit", "fields")
"""What an entry of edge_shipper_logs may have."""

KEY_LENGTH = 32
_DISTRIBUTIONS = re.compile(r"/var/log/(nginx|squid|apache2|varnish)/([^/]*[.]log|[^/]*[*?[].*)$")
"""The logs that the distribution's logrotate files name."""

_NAME, _PLAIN_PATH, _ADDRESS = (
    re.compile(text) for text in ("[A-Za-z0-9][A-Za-z0-9._-]*$", "/[A-Za-z0-9._/-]+$", ".+:[0-9]+$")
)

Log = Mapping[str, Any]
Servers = Mapping[str, Mapping[str, Any]]
Entry = Mapping[str, Any]


def edge_problems(
    logs: Sequence[Log], host: str, key_length: int, lists: Mapping[str, Sequence[Any]], edge: str, servers: Servers
) -> list[str]:
    """What is wrong with an edge's variables; empty when nothing is.

    logs: edge_shipper_logs. lists: edgetally_channels and edgetally_gearmand_servers, by these names. servers: what the
    role knows of each kind of server, __edge_shipper_servers.
    """
    if key_length < KEY_LENGTH:
        return [
            f"edgetally_master_key has {key_length} characters and needs at least {KEY_LENGTH}: "
            "make one with `openssl rand -hex 32` and keep it in group_vars/all.yml with ansible-vault."
        ]
    found = [
        f"{name} is an empty list on {host}: give it at least one entry, roles/edge_shipper/README.md has examples."
        for name, values in {"edge_shipper_logs": logs, **lists}.items()
        if not values
    ]
    found += _keys(logs, host)
    return found or [
        *_names(logs, host, edge),
        *_servers_called(lists),
        *(said for log in logs for said in _log(log, logs, servers)),
    ]


def _keys(logs: Sequence[Log], host: str) -> list[str]:
    *more, last = KEYS[len(NEEDED) + len(EITHER) :]
    return [
        f"Entry {number} of edge_shipper_logs on {host} has the keys {', '.join(log)}: it needs {', '.join(NEEDED)}, "
        f"and {' or '.join(EITHER)}, and may have {', '.join(more)} and {last}."
        for number, log in enumerate(logs, 1)
        if not set(NEEDED) <= set(log) <= set(KEYS)
    ]


def _names(logs: Sequence[Log], host: str, edge: str) -> Iterator[str]:
    names = [str(log["name"]) for log in logs]
    for name in [edge, *names]:
        if not _NAME.match(name):
            yield (
                f"`{name}` cannot name an edge or a log: use letters, digits, dot, dash and underscore "
                "(edge_shipper_edge, edge_shipper_logs)."
            )
    if len(set(names)) < len(names):
        yield (
            f"Two entries of edge_shipper_logs have the same name on {host} ({', '.join(names)}): each log is a stream "
            "and needs a name of its own."
        )


def _servers_called(lists: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for server in lists["edgetally_gearmand_servers"]:
        if not _ADDRESS.match(str(server)):
            yield (
                f"`{server}` in edgetally_gearmand_servers is not host:port; edgetally's job server listens on port "
                "7003 unless you chose another."
            )


def _log(log: Log, logs: Sequence[Log], servers: Servers) -> Iterator[str]:
    install, server, path = log.get("install", False), log.get("server", ""), str(log["path"])
    entry = f"The log {log['name']} in edge_shipper_logs"
    if not isinstance(install, bool) or ("format" in log) == install:
        yield (
            f"{entry} needs either `format`, which says what its server writes, or `install: true`, which has the role "
            "configure the server."
        )
    elif install:
        yield from _installed(entry, server, path, logs, servers)
    if not path.startswith("/") or not (server in servers or log.get("reopen")):
        yield (
            f"{entry} needs an absolute path, and a server ({', '.join(servers)}) or else the command that makes its "
            "writer reopen it (reopen)."
        )


def _installed(entry: str, server: str, path: str, logs: Sequence[Log], servers: Servers) -> Iterator[str]:
    if server not in servers:
        yield (
            f"{entry} has `install: true`, which the role can do for {', '.join(servers)}: for another server, "
            "configure what `edgetally formats` recommends by hand and give that as `format`."
        )
        return
    rivals = [other for other in logs if other.get("install") and other.get("server") == server]
    if not _PLAIN_PATH.match(path) or path in servers[server]["others"] or len(rivals) > 1:
        yield (
            f"{entry} has `install: true`: it needs a plain path that none of {server}'s other logs has, and no second "
            f"installed log of {server} beside it, because each would count every request."
        )


def host_problems(found: Mapping[str, Any], host: str, edge: str) -> list[str]:
    """What is wrong with an edge's host, by what files/look.py has found there; empty when nothing is."""
    was, missing = found["edge"], found["missing"]
    problems = []
    if not found["debian"]:
        problems.append(f"{host} runs {found['system']}: edgetally's roles need Debian 11, 12 or 13.")
    if was not in (None, edge):
        problems.append(
            f"{host} ships as {was} and was to ship as {edge}: from now on the bill would miss the one. Set "
            f"edge_shipper_edge to {was} in its host_vars, or, for good, uninstall it with edge_shipper_purge and "
            "retire its old streams (`edgetally stream retire`) first."
        )
    if missing:
        problems.append(
            f"{', '.join(missing)} of edge_shipper_logs is not there on {host}: correct the path, or start the server "
            "that writes it first (an empty file will do)."
        )
    return problems


def diverted(logs: Sequence[Log], servers: Servers) -> list[str]:
    """The kinds of server of the logs that the distribution's logrotate file rotates too, in the order of `servers`."""
    kinds = {log.get("server") for log in logs if _DISTRIBUTIONS.match(str(log["path"]))}
    return [kind for kind in servers if kind in kinds]


def logrotate_files(servers: Servers, kinds: Sequence[str], rules: str) -> dict[str, Any]:
    """What files/rotation.py is asked for. rules: for the other logs of the kinds that are diverted."""
    back = [server["logrotate"] for kind, server in servers.items() if kind not in kinds]
    return {"divert": [servers[kind]["logrotate"] for kind in kinds], "back": back, "rules": rules if kinds else ""}


def rotation_problems(lines: Sequence[str], host: str, names: str) -> list[str]:
    """What is wrong with what logrotate would rotate. lines: files/rotation.py's; names: a regular expression for those
    of the edge's logs."""
    rotating = [line for line in lines if re.search(names, line)]
    return [
        f"logrotate on {host} still rotates a log of edge_shipper_logs ({', '.join(rotating)}): take it out of the "
        "file in /etc/logrotate.d that names it."
    ] * bool(rotating)


def unlike(entries: Sequence[Entry], files: Mapping[str, Mapping[str, str]]) -> list[Entry]:
    """The entries, as the module host_files takes them or with the sha256 of a content, of what is not so on the host.

    files: what files/look.py has found there.
    """
    return [entry for entry in entries if not _is_like(entry, files.get(entry["path"]))]


def _is_like(entry: Entry, found: Mapping[str, str] | None) -> bool:
    if found is None or found["state"] != entry.get("state", "file"):
        return False
    content = entry.get("content")
    sha256 = entry.get("sha256") if content is None else hashlib.sha256(base64.b64decode(content)).hexdigest()
    wished = {"sha256": sha256, "owner": entry.get("owner"), "group": entry.get("group")}
    rights = int(found["mode"], 8) == int(entry.get("mode", "0644"), 8)
    return rights and all(found[key] == value for key, value in wished.items() if value)


class FilterModule:
    """Ansible asks a file of filters for this class."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by the names that templates use."""
        named = (edge_problems, host_problems, diverted, logrotate_files, rotation_problems, unlike)
        return {one.__name__: one for one in named}
