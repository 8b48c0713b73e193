"""What a quantity costs: worked examples in the shapes of the price lists that CDNs and carriers publish.

Every amount here was worked out by hand, or by a second computation of another kind; none is what the program printed.
"""

from __future__ import annotations

import json
import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from edgetally.bill.charge import Charge
from edgetally.bill.contracts import Contract, load, parse
from edgetally.bill.price import Billed, amount, price_text, rounded, totals
from edgetally.bill.regions import divided
from edgetally.bill.sample import Sample
from edgetally.bill.series import canonical
from edgetally.bill.units import decimals
from edgetally.errors import EdgetallyError
from tests.unit.bill.test_charge import MBPS, month

# A public cloud's list for egress, in USD per GB: the first 10 TB, the next 40, the next 100, the rest.
CLOUD = [
    {"up_to": 10_000, "price": "0.085"},
    {"up_to": 50_000, "price": "0.080"},
    {"up_to": 150_000, "price": "0.060"},
    {"price": "0.040"},
]
GB = {"rule": "volume", "currency": "USD"}
MBIT = {"currency": "EUR"}


def contract(**terms: Any) -> Contract:
    return parse([{"name": "c", "channels": ["video"], **terms}], "x").listed[0]


def cost(quantity: str, unit: str, share: str = "1", in_force: str = "1", **terms: Any) -> dict[str, Any]:
    """What a quantity costs."""
    agreed = contract(**terms)
    commit = None if agreed.commit is None else Fraction(agreed.commit)
    billed = Billed(max(commit or Fraction(0), Fraction(quantity)), commit, Fraction(share))
    found = amount(agreed, billed, unit, Fraction(in_force))
    assert found is not None
    assert sum(Decimal(item["amount"]) for item in found["items"]) == Decimal(found["net"]), "items add up to the cent"
    return found


def net(quantity: str, unit: str, **terms: Any) -> str:
    return str(cost(quantity, unit, **terms)["net"])


def items(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(item["what"], item["quantity"], item["price"], item["amount"]) for item in found["items"]]


# --- shapes of price lists


def test_a_cloud_s_graduated_tiers() -> None:
    """160 TB: 10,000 x 0.085 + 40,000 x 0.080 + 100,000 x 0.060 + 10,000 x 0.040 = 850 + 3,200 + 6,000 + 400."""
    found = cost("160000", "GB", **GB, tiers=CLOUD)
    assert found["net"] == "10450.00"
    assert items(found) == [
        ("tier up to 10000", "10000.000", "0.085", "850.00"),
        ("tier from 10000 to 50000", "40000.000", "0.08", "3200.00"),
        ("tier from 50000 to 150000", "100000.000", "0.06", "6000.00"),
        ("tier above 150000", "10000.000", "0.04", "400.00"),
    ]


def test_a_list_by_volume_prices_all_at_the_tier_that_is_reached() -> None:
    """A regional network's list in USD per TB: up to 500 TB 5.00, up to 1 PB 4.00, above 2.00; all TB at one price."""
    tiers = [{"up_to": 500, "price": 5}, {"up_to": 1000, "price": 4}, {"price": 2}]
    terms: dict[str, Any] = {**GB, "per": "TB", "tiers": tiers, "tiering": "volume"}
    assert net("500000", "GB", **terms) == "2500.00"
    assert net("500001", "GB", **terms) == "2000.00", "500.001 TB at 4.00 is 2,000.004"
    assert net("1200000", "GB", **terms) == "2400.00"


def test_a_carrier_s_commit_and_burst() -> None:
    """1 Gbit/s committed at 0.45 per Mbit/s, 0.60 above, at p95: 450.00, and 140.74 for what is above."""
    terms: dict[str, Any] = {**MBIT, "commit": 1000, "commit_price": "0.45", "overage_price": "0.60"}
    assert items(cost("1234.567", "Mbit/s", **terms)) == [
        ("commit", "1000.000", "0.45", "450.00"),
        ("overage", "234.567", "0.6", "140.74"),
    ]
    assert items(cost("17", "Mbit/s", **terms)) == [("commit", "1000.000", "0.45", "450.00")]


def test_pay_as_you_go_with_a_monthly_minimum() -> None:
    """0.01 USD per GB, at least 1 USD a month, as the cheap networks have it."""
    assert items(cost("42", "GB", **GB, price="0.01", minimum=1)) == [
        ("usage", "42.000", "0.01", "0.42"),
        ("up to the minimum of 1.00", None, None, "0.58"),
    ]
    assert net("100", "GB", **GB, price="0.01", minimum=1) == "1.00"
    assert net("1000", "GB", **GB, price="0.01", minimum=1) == "10.00"
    assert net("0", "GB", **GB, minimum=25) == "25.00", "a flat rate is a minimum alone"


def test_a_discount_for_a_long_contract_comes_before_the_minimum() -> None:
    assert items(cost("333.333", "GB", **GB, price="0.05", discount="12.5")) == [
        ("usage", "333.333", "0.05", "16.67"),
        ("discount of 12.5 %", None, None, "-2.08"),
    ]
    assert net("333.333", "GB", **GB, price="0.05", discount="12.5", minimum=20) == "20.00"


def test_units_of_a_thousand_and_of_1024() -> None:
    """A price per TB of a quantity in GB, and of one in GiB; per Gbit/s of Mbit/s."""
    assert net("1500", "GB", **GB, per="TB", price=10) == "15.00"
    assert net("1024", "GiB", **GB, base="binary", per="TiB", price=10) == "10.00"
    assert net("1024", "GiB", **GB, base="binary", per="GB", price=1, places=9) == "1099.51", "1,099.511627776 GB"
    assert net("2500", "Mbit/s", **MBIT, per="Gbit/s", price=300) == "750.00"


def test_currencies_without_decimals_and_with_three() -> None:
    assert net("333.333", "GB", rule="volume", currency="JPY", price="8.5") == "2833", "2,833.3305 yen"
    assert net("100.1", "GB", rule="volume", currency="JPY", price=5) == "501", "500.5 is rounded half up"
    assert net("333.333", "GB", rule="volume", currency="KWD", price="0.0215") == "7.167"
    assert [decimals(one) for one in ("EUR", "USD", "JPY", "KRW", "BHD", "CLF")] == [2, 2, 0, 0, 3, 4]
    found = cost("100.1", "GB", rule="volume", currency="JPY", price=5)
    assert found["items"][0]["amount"] == "501"


# --- borders, rounding, days


@pytest.mark.parametrize(
    ("quantity", "graduated", "volume"),
    [
        ("0", "0.00", "0.00"),
        ("0.001", "0.00", "0.00"),
        ("9999.999", "850.00", "850.00"),
        ("10000", "850.00", "850.00"),
        ("10000.001", "850.00", "800.00"),
        ("10000.0004", "850.00", "850.00"),
        ("10001", "850.08", "800.08"),
        ("50000", "4050.00", "4000.00"),
        ("50001", "4050.06", "3000.06"),
        ("150000", "10050.00", "9000.00"),
        ("150001", "10050.04", "6000.04"),
    ],
)
def test_tiers_at_their_borders(quantity: str, graduated: str, volume: str) -> None:
    """A border belongs to the tier below it. The quantity is rounded first: 10,000.0004 GB is 10,000."""
    assert net(quantity, "GB", **GB, tiers=CLOUD) == graduated
    assert net(quantity, "GB", **GB, tiers=CLOUD, tiering="volume") == volume


def test_the_rounding_rule_is_the_contract_s() -> None:
    rules = ("half_up", "half_even", "up", "down")
    amounts = {rule: net("0.5", "GB", **GB, price="0.09", rounding=rule) for rule in rules}
    assert amounts == {"half_up": "0.05", "half_even": "0.04", "up": "0.05", "down": "0.04"}, "0.045"
    assert net("1.23456", "GB", **GB, price=100) == "123.50", "1.235 GB"
    assert net("1.23456", "GB", **GB, price=100, places=5) == "123.46", "1.23456 GB"
    assert rounded(Fraction(1, 3), 4, "half_up") == Decimal("0.3333")
    assert [rounded(Fraction(half, 2), 0, "half_even") for half in (1, 3, 5, -1)] == [0, 2, 2, 0]


def test_a_part_of_the_month_costs_its_days() -> None:
    """100 Mbit/s at 2.00 for 10 of 31 days; tiers are found by the quantity, and the minimum has its days, too."""
    assert net("100", "Mbit/s", share="10/31", **MBIT, price=2) == "64.52"
    tiers = [{"up_to": 50, "price": 3}, {"price": 1}]
    found = cost("100", "Mbit/s", share="1/2", **MBIT, tiers=tiers)
    assert items(found) == [("tier up to 50", "50.000", "3", "75.00"), ("tier above 50", "50.000", "1", "25.00")]
    assert {item["share"] for item in found["items"]} == {"1/2"}
    assert net("0", "Mbit/s", share="1/2", in_force="1/2", **MBIT, price=1, minimum=99) == "49.50"


@pytest.mark.parametrize("seed", range(50))
def test_tiers_against_a_price_for_each_unit(seed: int) -> None:
    """Whole units, each priced by the tier that it falls into, one after the other."""
    draw = random.Random(seed)
    ends = sorted(draw.sample(range(1, 200), 3))
    prices = [draw.randint(0, 500) for _ in range(4)]
    tiers = [{"up_to": end, "price": f"{price / 100:.2f}"} for end, price in zip(ends, prices)]
    quantity = draw.randint(0, 250)
    cents = sum(prices[sum(unit > end for end in ends)] for unit in range(1, quantity + 1))
    found = net(str(quantity), "GB", **GB, tiers=[*tiers, {"price": f"{prices[3] / 100:.2f}"}])
    assert Decimal(found) == Decimal(cents) / 100


# --- regions


def by_region(quantity: str, sums: dict[str, int], **terms: Any) -> list[tuple[Any, ...]]:
    agreed = contract(**terms)
    commit = None if agreed.commit is None else Fraction(agreed.commit)
    billed = Billed(max(commit or Fraction(0), Fraction(quantity)), commit, Fraction(1))
    total = int(Fraction(quantity) * 10**9)
    found = amount(agreed, billed, "GB", Fraction(1), divided(agreed, sums, total))
    assert found is not None
    assert sum(Decimal(item["amount"]) for item in found["items"]) == Decimal(found["net"])
    return items(found)


def test_each_region_has_its_own_price() -> None:
    """A CDN's list in USD per GB: Europe 0.085, Asia by its own tiers, all else 0.120; each tier counts its region."""
    asia = [{"up_to": 100, "price": "0.140"}, {"price": "0.100"}]
    terms: dict[str, Any] = {**GB, "price": "0.120", "regions": {"eu": {"price": "0.085"}, "ap": {"tiers": asia}}}
    assert by_region("1000", {"eu": 600 * 10**9, "ap": 150 * 10**9, "us": 200 * 10**9}, **terms) == [
        ("usage in eu", "600.000", "0.085", "51.00"),
        ("tier up to 100 in ap", "100.000", "0.14", "14.00"),
        ("tier above 100 in ap", "50.000", "0.1", "5.00"),
        ("usage elsewhere", "250.000", "0.12", "30.00"),
    ]
    assert by_region("10", {"eu": 10**10}, **terms) == [("usage in eu", "10.000", "0.085", "0.85")]
    assert by_region("0", {}, **terms) == [("usage elsewhere", "0.000", "0.12", "0.00")]


def test_the_tiers_of_all_that_is_elsewhere_count_that_alone() -> None:
    """160 TB, of them 120 in a region of its own price: 40 are left, 10 at 0.085 and 30 at 0.080."""
    found = by_region("160000", {"eu": 120_000 * 10**9}, **GB, tiers=CLOUD, regions={"eu": {"price": "0.01"}})
    assert [item[1:] for item in found] == [
        ("120000.000", "0.01", "1200.00"),
        ("10000.000", "0.085", "850.00"),
        ("30000.000", "0.08", "2400.00"),
    ]


def test_a_commit_is_divided_as_the_bytes_are() -> None:
    """200 GB against a commit of 100, half in eu: the commit of what is elsewhere is 50."""
    terms: dict[str, Any] = {**GB, "commit": 100, "commit_price": 1, "overage_price": 2}
    terms["regions"] = {"eu": {"price": 3}}
    assert by_region("200", {"eu": 100 * 10**9}, **terms) == [
        ("usage in eu", "100.000", "3", "300.00"),
        ("commit elsewhere", "50.000", "1", "50.00"),
        ("overage elsewhere", "50.000", "2", "100.00"),
    ]
    assert by_region("50", {"eu": 25 * 10**9}, **terms) == [
        ("usage in eu", "50.000", "3", "150.00"),
        ("commit elsewhere", "50.000", "1", "50.00"),
    ], "the commit of 100 is billed, half of it in eu"


def test_a_line_has_the_bytes_of_its_regions_and_says_them() -> None:
    """A percentile is one of the whole, and has the prices of its regions by their part of the bytes."""
    terms: dict[str, Any] = {**MBIT, "price": 2, "regions": {"eu": {"price": 1}, "sa": {"tiers": [{"price": 9}]}}}
    sizes = [200 * MBPS] * 8640
    regions = {"eu": sum(sizes) // 4, "us": sum(sizes) // 4}
    made = Charge(contract(**terms), ["video"], Sample(sizes), month("2026-04"), regions=regions).line()
    assert made["regions"] == {"eu": sum(sizes) // 4, "sa": 0, "-": sum(sizes) // 4 * 3}
    assert items(made["amount"]) == [
        ("usage in eu", "50.000", "1", "50.00"),
        ("usage elsewhere", "150.000", "2", "300.00"),
    ]
    text = made["text"]
    assert text[-1] == (
        f"Bytes by region of the edges that sent them: eu {sum(sizes) // 4:,}, sa 0, elsewhere {sum(sizes) // 4 * 3:,}."
    )
    assert "Price for eu: 1 EUR per Mbit/s." in text
    assert "Price for sa in EUR per Mbit/s, each part at the price of its tier: 9 above 0." in text
    assert Contract.of_terms(json.loads(json.dumps(made["terms"]))) == contract(**terms, percent=95)
    assert Charge(contract(**MBIT, price=2), ["video"], Sample(sizes), month("2026-04")).line()["regions"] is None
    half = Charge(
        contract(**terms), ["video"], Sample(sizes[:4320]), month("2026-04", so_far=4320), regions=regions
    ).line()
    assert half["projection"]["net"] == "300.00", "eu had half of the bytes so far: 100 x 1 + 100 x 2"


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"regions": {"eu": {"price": 1}}}, "has regions and no price: say the price, or tiers, of all"),
        ({"price": 1, "regions": ["eu"]}, 'regions is ["eu"]: write {"ap": {"price": "0.12"}'),
        ({"price": 1, "regions": {"e u": {"price": 1}}}, "can be no region's name: write it as"),
        ({"price": 1, "regions": {"eu": {}}}, "regions: eu has nothing: a region has a price, or tiers"),
        ({"price": 1, "regions": {"eu": {"price": 1, "commit": 2}}}, "eu has commit, price: a region has"),
        ({"price": 1, "regions": {"eu": {"price": -1}}}, "regions: eu: price is -1: it is a number of at least 0"),
        ({"price": 1, "regions": {"eu": {"tiers": [{"up_to": 1, "price": 1}]}}}, "eu: tiers: the last tier"),
    ],
)
def test_regions_that_make_no_sense_are_refused(terms: dict[str, Any], said: str) -> None:
    with pytest.raises(EdgetallyError) as refused:
        contract(**GB, **terms)
    assert said in str(refused.value)


# --- a bill


def test_lines_add_up_to_the_total_to_the_cent() -> None:
    """Seven lines of 14.285714… each rounded, and a tax that is rounded once; two currencies are two totals."""
    eur: dict[str, Any] = {"currency": "EUR", "price": "1", "places": 9, "tax": "19", "customer": "Globex"}
    lines = [line(contract(**eur), "100/7") for _ in range(7)]
    lines += [line(contract(**{**eur, "tax": "7"}), "10"), line(contract(**{**eur, "currency": "JPY"}), "10")]
    first, second = totals(lines)
    assert first == {
        "customer": "Globex",
        "currency": "EUR",
        "net": "110.03",
        "taxes": [{"rate": "19", "net": "100.03", "tax": "19.01"}, {"rate": "7", "net": "10.00", "tax": "0.70"}],
        "gross": "129.74",
    }
    assert (second["currency"], second["net"], second["gross"]) == ("JPY", "10", "12"), "1.9 yen of tax"
    untaxed = line(contract(**MBIT, price=1), "5")
    assert totals([untaxed]) == [{"customer": None, "currency": "EUR", "net": "5.00", "taxes": [], "gross": "5.00"}]


def line(agreed: Contract, quantity: str) -> dict[str, Any]:
    cost = amount(agreed, Billed(Fraction(quantity), None, Fraction(1)), "Mbit/s")
    return {"terms": agreed.terms(), "amount": cost}


def test_a_line_of_the_bill_has_its_amount_and_one_without_a_price_has_none() -> None:
    """200 Mbit/s against a commit of 150, uplifted by 1.05: 150 at 1.00 and 60 at 2.00."""
    period = month("2026-04")
    agreed = contract(**MBIT, commit=150, price=1, overage_price=2, uplift="1.05", tax="19")
    made = Charge(agreed, ["video"], Sample([200 * MBPS] * 8640), period).line()
    assert (made["billable"], made["amount"]["net"], made["amount"]["tax"]) == (210.0, "270.00", "19")
    assert "Price: 1 EUR per Mbit/s of the commit, 2 EUR of what is above it." in made["text"]
    assert "Quantities are rounded to 3 decimals of a Mbit/s, amounts to 2 of a EUR, half up." in made["text"]
    assert b"270.00" in canonical(made)
    plain = Charge(contract(), ["video"], Sample([MBPS] * 8640), period).line()
    assert plain["amount"] is None
    half = month("2026-04", so_far=4320)
    forecast = Charge(agreed, ["video"], Sample([200 * MBPS] * 4320), half).line()["projection"]
    assert forecast["net"] == "270.00"


def test_prices_are_read_exactly(tmp_path: Path) -> None:
    """A number of JSON is no floating point: 0.1 + 0.2 of it is 0.3."""
    file = tmp_path / "contracts.json"
    file.write_text('[{"name": "a", "channels": "x", "currency": "EUR", "price": 0.10000000000000000001}]')
    assert load(str(file)).listed[0].price == "0.10000000000000000001"
    file.write_text('[{"name": "a", "channels": "x", "currency": "EUR", "price": "1e-3"}]')
    assert load(str(file)).listed[0].price == "0.001"
    assert json.loads(json.dumps(contract(**GB, tiers=CLOUD).terms()))["tiers"][3] == {"up_to": None, "price": "0.04"}


def test_a_price_list_in_words() -> None:
    assert price_text(contract(**GB, tiers=CLOUD, discount=5, minimum=10)) == [
        "Price in USD per GB, each part at the price of its tier: 0.085 up to 10000, 0.08 from 10000 to 50000, "
        "0.06 from 50000 to 150000, 0.04 above 150000.",
        "Discount: 5 %.",
        "At least 10 USD a month.",
        "Quantities are rounded to 3 decimals of a GB, amounts to 2 of a USD, half up.",
    ]
    assert "all at the price of the last tier" in price_text(contract(**GB, tiers=CLOUD, tiering="volume"))[0]
    assert price_text(contract()) == []
