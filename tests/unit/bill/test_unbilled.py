"""What is on no invoice is on the bill: free channels, contracts that bill nothing, lines that nobody could read."""

from __future__ import annotations

from typing import Any

from edgetally.bill.contracts import parse
from edgetally.bill.unbilled import Host, narrowed, sentences, unbilled

WELL = {"rejected": 0, "late": 0, "skewed": 0}
KNOWN = ("globex-1", "globex-2", "acme", "unassigned")


def part(free: dict[str, int], contracts: list[Any], known: Any = KNOWN, **completeness: int) -> dict[str, Any]:
    """The bill's part. free: the bytes of channels that no contract bills."""
    agreed = parse(contracts, "x")
    hosts = [Host("www.example.com", 900)]
    return unbilled(free, agreed.listed, agreed, known, hosts, {**WELL, **completeness})


def test_a_misspelt_contract_is_no_traffic_free_of_charge() -> None:
    contracts = [{"name": "globex", "channels": ["gloebx-*", "globex-1"]}, {"name": "a", "channels": "acme"}]
    free = {"acme": 0, "unassigned": 1000, "globex-2": 2000}
    found = part(free, contracts, rejected=3, late=1)
    assert found["contracts"] == [{"contract": "globex", "channel": "gloebx-*", "nearest": "globex-2"}]
    assert [one["channel"] for one in found["channels"]] == ["globex-2", "unassigned"]
    assert (found["bytes"], found["empty"]) == (3000, False)
    assert sentences(found, 4000) == [
        "3,000 bytes, 75.0% of the total.",
        "Contract globex bills nothing by 'gloebx-*', which fits no channel of its own: did you mean globex-2?",
        "Channel globex-2 has 2,000 bytes without a contract.",
        "Channel unassigned has 1,000 bytes without a contract.",
        "Of it host www.example.com, which no channel rule assigns: 900 bytes.",
        "3 lines could not be read and are on no bill.",
        "1 slot came late: counted, and billed.",
    ]


def test_a_contract_behind_another_bills_nothing() -> None:
    late = {"name": "late", "channels": ["acm?"]}
    found = part({}, [{"name": "all", "channels": "*"}, late])
    assert [(one["contract"], one["channel"]) for one in found["contracts"]] == [("late", "acm?")]
    assert not found["empty"]
    assert part({}, [{"name": "all", "channels": "*", "valid_to": "2026-10-31"}, late])["empty"], "it follows it"


def test_all_that_is_billed_and_all_that_is_not_asked_for() -> None:
    """Late and skewed lines are billed; without contracts the bill is one of quantities; one of some names none."""
    found = part({"acme": 0, "unassigned": 0}, [{"name": "all", "channels": "*"}], skewed=2)
    assert (found["empty"], found["hosts"]) == (True, [])
    assert sentences(found, 2000) == ["Nothing.", "2 lines ended outside the time of their log: counted, and billed."]
    assert part({"acme": 1000}, [])["empty"]
    assert part({"unassigned": 1000}, [])["bytes"] == 1000
    assert part({}, [{"name": "all", "channels": "z*"}], None)["empty"]


def test_a_day_that_the_logs_did_not_see_is_left_out() -> None:
    """What the servers counted, and no log has, is on no invoice; a bill of some channels does not know whose it is."""
    edges: list[dict[str, Any]] = [
        {"edge": "edge1", "odd": [{"date": "2026-10-02", "text": "edge1 logged half"}]},
        {"edge": "edge2", "odd": []},
    ]
    contracts = parse([{"name": "all", "channels": "*"}], "x")
    found = unbilled({}, contracts.listed, contracts, KNOWN, [], WELL, edges)
    assert not found["empty"]
    assert sentences(found, 1000) == ["0 bytes, 0.0% of the total.", "2026-10-02: edge1 logged half."]
    assert unbilled({}, contracts.listed, contracts, None, [], WELL, edges)["empty"]
    assert narrowed(found, {"acme"})["empty"]


def test_a_bill_of_fewer_channels_has_their_part() -> None:
    whole = part({"acme": 1000, "unassigned": 1000}, [{"name": "globex", "channels": ["gloebx-*"]}])
    some = narrowed(whole, {"acme"})
    assert (some["bytes"], some["hosts"], some["contracts"]) == (1000, [], [])
    assert narrowed(whole, set())["empty"]
