"""What a bill leaves out: channels without a contract, contracts that bill no channel, lines that nobody could read.

Without it a contract with a misspelt channel would be traffic free of charge, and nobody would know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from edgetally.bill.contracts import Contracts
from edgetally.errors import nearest
from edgetally.limits import UNASSIGNED
from edgetally.words import count

_LINES = ("rejected", "late", "skewed")  # of the bill's completeness


class Host(NamedTuple):
    """A host that no channel rule assigned."""

    host: str
    requests: int
    bytes: int


def unbilled(
    lines: Sequence[dict[str, Any]],
    contracts: Contracts,
    known: Collection[str] | None,
    hosts: Iterable[Host],
    completeness: Mapping[str, Any],
) -> dict[str, Any]:
    """The bill's part `unbilled`, as docs/reference/bill.md describes it.

    lines: the bill's channels; known: the names of all channels that ever had traffic, None where the bill is of some.
    Without any contract the bill is one of quantities, and only what no channel rule assigned is not billed.
    """
    free = [line for line in lines if not line["contract"] and (contracts.listed or line["channel"] == UNASSIGNED)]
    channels = [{name: line[name] for name in ("channel", "requests", "bytes")} for line in free]
    is_free = any(line["channel"] == UNASSIGNED for line in free)
    found = {
        "contracts": [] if known is None else idle_contracts(contracts, known),
        "channels": sorted(channels, key=lambda one: (-one["bytes"], one["channel"])),
        "hosts": [host._asdict() for host in hosts] if is_free else [],
        **{name: completeness[name] for name in _LINES},
        # What the edges' counters saw and their logs did not would be a list of its own here, counted in `empty`, and a
        # sentence in `sentences`.
    }
    return _summed(found)


def idle_contracts(contracts: Contracts, known: Collection[str]) -> list[dict[str, Any]]:
    """The contracts' names and globs that fit no known channel, or only those that an earlier contract bills."""
    of = {channel: contracts.of(channel) for channel in known}
    idle = []
    for contract in contracts.listed:
        mine = [channel for channel, owner in of.items() if owner is contract]
        for pattern in contract.channels:
            if not any(fnmatchcase(channel, pattern) for channel in mine):
                guess = nearest(pattern, sorted(known))
                idle.append({"contract": contract.name, "channel": pattern, "nearest": guess or None})
    return idle


def narrowed(part: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The part of a bill of fewer channels."""
    channels = [one for one in part["channels"] if one["channel"] in names]
    hosts = part["hosts"] if UNASSIGNED in names else []
    return _summed({**part, "contracts": [], "channels": channels, "hosts": hosts})


def sentences(part: Mapping[str, Any], total: int) -> list[str]:
    """The part in words; the first sentence is its sum. total: the bytes of the bill."""
    if part["empty"]:
        text = ["Nothing."]
    else:
        share = part["bytes"] / total if total else 0
        text = [f"{part['bytes']:,} bytes in {count(part['requests'], 'request')}: {share:.1%} of the total."]
    text += [idle_text(one) for one in part["contracts"]]
    text += [f"Channel {one['channel']} has no contract: {_amount(one)}." for one in part["channels"]]
    text += [f"Of it host {one['host']}, which no channel rule assigns: {_amount(one)}." for one in part["hosts"]]
    if part["rejected"]:
        text.append(f"{count(part['rejected'], 'line')} could not be read and are on no bill.")
    odd = [("late", "slot", "came late"), ("skewed", "line", "ended outside the time of their log")]
    text += [f"{count(part[name], thing)} {what}: counted, and billed." for name, thing, what in odd if part[name]]
    return text


def idle_text(one: Mapping[str, Any]) -> str:
    """A contract that bills nothing by one of its names, as a sentence."""
    hint = f": did you mean {one['nearest']}?" if one["nearest"] not in (None, one["channel"]) else "."
    return f"Contract {one['contract']} bills nothing by '{one['channel']}', which fits no channel of its own{hint}"


def _summed(part: dict[str, Any]) -> dict[str, Any]:
    """With the sums, and whether nothing is left out: what came late or skewed is billed."""
    sums = {name: sum(one[name] for one in part["channels"]) for name in ("requests", "bytes")}
    left_out = part["contracts"], part["channels"], part["rejected"]
    return {**part, **sums, "empty": not any(left_out)}


def _amount(one: Mapping[str, Any]) -> str:
    return f"{one['bytes']:,} bytes in {count(one['requests'], 'request')}"
