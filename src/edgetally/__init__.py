"""Account the bandwidth of a fleet of web caches, per channel, for billing."""

__version__ = "0.1.0"
__commit__ = ""  # bin/build notes it here, in what it builds
