"""What logged values mean to the tally: a hit, a host; and how they are quoted in messages."""

from __future__ import annotations

import re

# What each server calls a hit. nginx: an old copy that is served, or confirmed by the origin, is one.
NGINX_HIT = re.compile(rb"HIT|STALE|UPDATING|REVALIDATED")
# Squid and Traffic Server: what ends in _HIT came from the cache (MEM, IMS, INM, NEGATIVE, OFFLINE, STALE, ASYNC,
# REF_FAIL, CF), and so did an old copy that the origin confirmed (UNMODIFIED) or did not answer for (FAIL, FAIL_OLD).
# REFRESH_MODIFIED, REFRESH_FAIL_ERR, TUNNEL, DENIED, REDIRECT and NONE did not. UDP_HIT answers a neighbour's question:
# no content.
SQUID_HIT = re.compile(
    rb"TCP_(?:[A-Z]+_)*?(?:HIT|REFRESH_UNMODIFIED|REFRESH_FAIL(?:_OLD)?)(?:_ABORTED|_TIMEDOUT|_IGNORED)*"
)
VARNISH_HIT = re.compile(rb"(?:streaming-)?hit")
HAPROXY_HIT = re.compile(rb"1")
# What servers that log JSON have in common, whatever its case.
JSON_HIT = re.compile(rb"(?i:(?:TCP_)?(?:HIT|STALE|UPDATING|REVALIDATED)|true|1)")
W3C_HIT = re.compile(rb"(?:RefreshHit|Hit|OriginShieldHit)")


def normal_host(raw: bytes) -> str:
    """A host as rules and bills know it: lower case, no port, no trailing dot, IPv6 in brackets; empty for none."""
    host = raw.rpartition(b"@")[2].decode("ascii", "backslashreplace").lower()
    if host.startswith("["):
        host = host[: host.find("]") + 1]
    elif host.count(":") > 1:
        host = f"[{host}]"
    else:
        host = host.partition(":")[0]
    host = host.rstrip(".")[:253]
    return "" if host == "-" else host


def shorten(text: str) -> str:
    """A text that is short enough to be quoted in a message."""
    return text if len(text) <= 60 else text[:59] + "…"
