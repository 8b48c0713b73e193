"""Units of what is billed, and what a currency's amounts are rounded to."""

from __future__ import annotations

RATES = {"Mbit/s": 10**6, "Gbit/s": 10**9, "Mibit/s": 2**20, "Gibit/s": 2**30}  # bit/s
VOLUMES = {"GB": 10**9, "TB": 10**12, "PB": 10**15, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}  # bytes
UNITS = {**RATES, **VOLUMES}

# ISO 4217: the currencies whose amounts have not two decimals.
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def decimals(currency: str) -> int:
    """How many decimals an amount has."""
    return _DECIMALS.get(currency, 2)


def unit_of(rule: str, base: str) -> str:
    """The unit of a rule's quantity."""
    return (("GB", "Mbit/s") if base == "decimal" else ("GiB", "Mibit/s"))[rule != "volume"]


def of_rule(rule: str) -> dict[str, int]:
    """The units that a price of a contract with this rule can be of."""
    return VOLUMES if rule == "volume" else RATES
