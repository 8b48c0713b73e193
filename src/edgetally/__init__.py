"""Account the bandwidth of a fleet of web caches, per channel, for billing."""

__version__ = "0.1.0"

SLOT_SECONDS = 300  # the unit of all accounts: slots begin at multiples of it, in epoch seconds
