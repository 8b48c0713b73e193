"""From where hosts come: what lets only them in must know every one, or say which it does not."""

from __future__ import annotations

from typing import Any

from roles.edgetally.filter_plugins.addresses import host_addresses

HOSTS: dict[str, dict[str, Any]] = {
    "edge1": {"ansible_host": "192.0.2.31"},
    "edge2": {"ansible_host": "edge2.example.com", "edgetally_address": ["198.51.100.7/28", "2001:db8::7"]},
    "edge3": {"ansible_host": "edge3.example.com"},
    "edge4": {},
}


def test_addresses_and_networks_of_both_kinds() -> None:
    """nftables refuses what lies in a network that it has already."""
    assert host_addresses(["edge1", "edge2"], HOSTS, ["192.0.2.80", "198.51.100.9"]) == {
        "ipv4": ["192.0.2.31/32", "192.0.2.80/32", "198.51.100.0/28"],
        "ipv6": ["2001:db8::7/128"],
        "unknown": [],
    }


def test_hosts_without_an_address_are_named() -> None:
    assert host_addresses(HOSTS, HOSTS, ["somewhere"])["unknown"] == ["edge3", "edge4", "somewhere"]
