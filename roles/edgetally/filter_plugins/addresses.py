"""The filter that says from which addresses hosts of the inventory come, for what lets only them in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from typing import Any


def host_addresses(
    hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], others: Iterable[str] = ()
) -> dict[str, list[str]]:
    """The addresses and networks of hosts, and other ones: ipv4 and ipv6; and unknown, the hosts that have none.

    A host's are its edgetally_address, one or a list, or else its ansible_host.
    """
    found: dict[str, list[str]] = {"ipv4": [], "ipv6": [], "unknown": []}
    given = {host: _given(hostvars[host]) for host in hosts}
    for name, texts in [*given.items(), *((text, [text]) for text in others)]:
        for text in texts:
            _sort(found, name, text)
    return {kind: sorted(set(texts)) for kind, texts in found.items()}


def _given(variables: Mapping[str, Any]) -> list[str]:
    address = variables.get("edgetally_address") or variables.get("ansible_host") or ""
    return [address] if isinstance(address, str) else list(address)


def _sort(found: dict[str, list[str]], name: str, text: str) -> None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        found["unknown"].append(name)
    else:
        found[f"ipv{network.version}"].append(str(network))


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"host_addresses": host_addresses}
