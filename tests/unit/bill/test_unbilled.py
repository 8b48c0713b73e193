"""What is on no invoice is on the bill: free channels, contracts that bill nothing, lines that nobody could read."""

from __future__ import annotations

from typing import Any

from edgetally.bill.contracts import parse
from edgetally.bill.unbilled import Host, narrowed, sentences, unbilled

WELL = {"rejected": 0, "late": 0, "skewed": 0}
KNOWN = ("globex-1", "globex-2", "acme", "unassigned")


def lines(**contracts: str | None) -> list[dict[str, Any]]:
    """Channels of a bill, each of 1,000 bytes, and their contracts."""
    return [{"channel": name, "requests": 2, "bytes": 1000, "contract": of} for name, of in contracts.items()]


def test_a_misspelt_contract_is_no_traffic_free_of_charge() -> None:
    contracts = parse(
        [{"name": "globex", "channels": ["gloebx-*", "globex-1"]}, {"name": "a", "channels": "acme"}], "x"
    )
    bill = lines(**{"acme": "a", "globex-1": "globex", "globex-2": None, "unassigned": None})
    found = unbilled(bill, contracts, KNOWN, [Host("www.example.com", 2, 900)], {**WELL, "rejected": 3, "late": 1})
    assert found["contracts"] == [{"contract": "globex", "channel": "gloebx-*", "nearest": "globex-2"}]
    assert [one["channel"] for one in found["channels"]] == ["globex-2", "unassigned"]
    assert (found["bytes"], found["requests"], found["empty"]) == (2000, 4, False)
    assert sentences(found, 4000) == [
        "2,000 bytes in 4 requests: 50.0% of the total.",
        "Contract globex bills nothing by 'gloebx-*', which fits no channel of its own: did you mean globex-2?",
        "Channel globex-2 has no contract: 1,000 bytes in 2 requests.",
        "Channel unassigned has no contract: 1,000 bytes in 2 requests.",
        "Of it host www.example.com, which no channel rule assigns: 900 bytes in 2 requests.",
        "3 lines could not be read and are on no bill.",
        "1 slot came late: counted, and billed.",
    ]


def test_a_contract_behind_another_bills_nothing() -> None:
    contracts = parse([{"name": "all", "channels": "*"}, {"name": "late", "channels": ["acm?"]}], "x")
    found = unbilled(lines(acme="all"), contracts, KNOWN, [], WELL)
    assert [(one["contract"], one["channel"]) for one in found["contracts"]] == [("late", "acm?")]
    assert not found["empty"]


def test_all_that_is_billed_and_all_that_is_not_asked_for() -> None:
    """Late and skewed lines are billed; without contracts the bill is one of quantities; one of some names none."""
    all_ = parse([{"name": "all", "channels": "*"}], "x")
    found = unbilled(lines(acme="all", unassigned="all"), all_, KNOWN, [Host("h", 1, 1)], {**WELL, "skewed": 2})
    assert (found["empty"], found["hosts"]) == (True, [])
    assert sentences(found, 2000) == ["Nothing.", "2 lines ended outside the time of their log: counted, and billed."]
    assert unbilled(lines(acme=None), parse([], "x"), KNOWN, [], WELL)["empty"]
    assert unbilled(lines(unassigned=None), parse([], "x"), KNOWN, [], WELL)["bytes"] == 1000
    assert unbilled(lines(acme="all"), parse([{"name": "all", "channels": "a*"}], "x"), None, [], WELL)["empty"]


def test_a_bill_of_fewer_channels_has_their_part() -> None:
    contracts = parse([{"name": "globex", "channels": ["gloebx-*"]}], "x")
    whole = unbilled(lines(acme=None, unassigned=None), contracts, KNOWN, [Host("h", 1, 1)], WELL)
    part = narrowed(whole, {"acme"})
    assert (part["bytes"], part["hosts"], part["contracts"]) == (1000, [], [])
    assert narrowed(whole, set())["empty"]
