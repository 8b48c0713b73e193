"""The filter that says from which addresses hosts of the inventory come, for what lets only them in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any, Union

Network = Union[IPv4Network, IPv6Network]


def host_addresses(
    hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], others: Iterable[str] = ()
) -> dict[str, list[str]]:
    """The addresses and networks of hosts, and other ones: ipv4 and ipv6; and unknown, the hosts that have none.

    A host's are its edgetally_address, one or a list, or else its ansible_host. What lies in another network is left
    out, because nftables takes no network twice.
    """
    given = [(host, text) for host in hosts for text in _given(hostvars[host])] + [(text, text) for text in others]
    networks = [(name, _network(text)) for name, text in given]
    known = [network for name, network in networks]
    four = collapse_addresses(network for network in known if isinstance(network, IPv4Network))
    six = collapse_addresses(network for network in known if isinstance(network, IPv6Network))
    unknown = [name for name, network in networks if network is None]
    return {"ipv4": [str(one) for one in four], "ipv6": [str(one) for one in six], "unknown": unknown}


def _given(variables: Mapping[str, Any]) -> list[str]:
    address = variables.get("edgetally_address") or variables.get("ansible_host") or ""
    return [address] if isinstance(address, str) else list(address)


def _network(text: str) -> Network | None:
    """A network or an address; None where it is a name."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"host_addresses": host_addresses}
