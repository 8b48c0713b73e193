"""What a bill leaves out: channels without a contract, contracts that bill no channel, what the logs did not see.

Without it a contract with a misspelt channel would be traffic free of charge, and nobody would know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from edgetally.bill.contracts import Contract, Contracts
from edgetally.errors import nearest
from edgetally.limits import UNASSIGNED
from edgetally.words import count

_LINES = ("rejected", "late", "skewed")  # of the bill's completeness


class Host(NamedTuple):
    """A host that no channel rule assigned."""

    host: str
    bytes: int


def unbilled(
    free: Mapping[str, int],
    listed: Sequence[Contract],
    contracts: Contracts,
    known: Collection[str] | None,
    hosts: Iterable[Host],
    completeness: Mapping[str, Any],
    edges: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The bill's part `unbilled`, as docs/reference/bill.md describes it.

    free: the bytes of each channel that no contract bills; listed: the contracts that are in force; known: the names of
    all channels that ever had traffic, None where the bill is of some; edges: the bill's `beside`. Without any contract
    the bill is one of quantities, and only what no channel rule assigned is not billed.
    """
    sizes = {name: size for name, size in free.items() if size and (contracts.listed or name == UNASSIGNED)}
    found = {
        "contracts": [] if known is None else idle_contracts(listed, contracts, known),
        "channels": [
            {"channel": name, "bytes": sizes[name]} for name in sorted(sizes, key=lambda one: (-sizes[one], one))
        ],
        "hosts": [host._asdict() for host in hosts] if UNASSIGNED in sizes else [],
        **{name: completeness[name] for name in _LINES},
        "unseen": [] if known is None else [{"edge": one["edge"], **odd} for one in edges for odd in one["odd"]],
    }
    return _summed(found)


def idle_contracts(listed: Sequence[Contract], contracts: Contracts, known: Collection[str]) -> list[dict[str, Any]]:
    """The names and globs of some contracts that fit no known channel, or only those that an earlier contract bills."""
    idle = []
    for contract in listed:
        mine = [channel for channel in known if contracts.takes(contract, channel)]
        for pattern in contract.channels:
            if not any(fnmatchcase(channel, pattern) for channel in mine):
                guess = nearest(pattern, sorted(known))
                idle.append({"contract": contract.name, "channel": pattern, "nearest": guess or None})
    return idle


def narrowed(part: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The part of a bill of fewer channels."""
    channels = [one for one in part["channels"] if one["channel"] in names]
    hosts = part["hosts"] if UNASSIGNED in names else []
    return _summed({**part, "contracts": [], "channels": channels, "hosts": hosts, "unseen": []})


def sentences(part: Mapping[str, Any], total: int) -> list[str]:
    """The part in words; the first sentence is its sum. total: the bytes of the bill."""
    if part["empty"]:
        text = ["Nothing."]
    else:
        share = part["bytes"] / total if total else 0
        text = [f"{part['bytes']:,} bytes, {share:.1%} of the total."]
    text += [idle_text(one) for one in part["contracts"]]
    text += [f"Channel {one['channel']} has {one['bytes']:,} bytes without a contract." for one in part["channels"]]
    text += [
        f"Of it host {one['host']}, which no channel rule assigns: {one['bytes']:,} bytes." for one in part["hosts"]
    ]
    if part["rejected"]:
        text.append(f"{count(part['rejected'], 'line')} could not be read and are on no bill.")
    text += [f"{one['date']}: {one['text']}." for one in part["unseen"]]
    odd = [("late", "slot", "came late"), ("skewed", "line", "ended outside the time of their log")]
    text += [f"{count(part[name], thing)} {what}: counted, and billed." for name, thing, what in odd if part[name]]
    return text


def idle_text(one: Mapping[str, Any]) -> str:
    """A contract that bills nothing by one of its names, as a sentence."""
    hint = f": did you mean {one['nearest']}?" if one["nearest"] not in (None, one["channel"]) else "."
    return f"Contract {one['contract']} bills nothing by '{one['channel']}', which fits no channel of its own{hint}"


def _summed(part: dict[str, Any]) -> dict[str, Any]:
    """With the sum, and whether nothing is left out: what came late or skewed is billed."""
    left_out = part["contracts"], part["channels"], part["rejected"], part["unseen"]
    return {**part, "bytes": sum(one["bytes"] for one in part["channels"]), "empty": not any(left_out)}
