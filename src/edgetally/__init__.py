"""Account the bandwidth of a fleet of web caches, per channel, for billing."""

__version__ = "0.1.0"
