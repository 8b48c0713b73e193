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
# CloudFront's words, a proxy's, and the W3C's own field `cached`
W3C_HIT = re.compile(rb"RefreshHit|Hit|OriginShieldHit|[1-9]|" + SQUID_HIT.pattern)

# The directives of W3C logs, by name. Any other # can be the beginning of a client's text: such a line is rejected.
DIRECTIVE = re.compile(rb"#(?:Version|Fields|Software|Date|Start-?Date|End-?Date|GMT-Offset|Remark):")
# HAProxy's server where its own cache answers.
HAPROXY_CACHE = re.compile(rb"<CACHE>")
# mod_cache tells in words how it came to its answer; an old copy that the origin confirmed is a hit.
APACHE_HIT = re.compile(rb"(?:conditional )?cache hit.*")
# Response headers with a cache's verdict. Of several caches the last one is the nearest to the client. The last of them
# is that of RFC 9211, in which a hit is a word behind the cache's name.
VERDICT_HEADERS = (
    *("x-cache", "x-cache-status", "x-proxy-cache", "x-cache-hit", "cf-cache-status", "x-varnish-cache"),
    *("x-fastcgi-cache", "x-nginx-cache", "x-litespeed-cache", "cdn-cache", "x-cdn-cache", "x-vercel-cache"),
    *("x-cache-remote", "cache-status"),
)
_HIT_WORDS = rb"(?:hit|stale|updating|revalidated?|refresh_?hit|originshieldhit)"
VERDICT_HIT = re.compile(
    rb"(?i:(?:.*, *)?(?:(?:cache |tcp_(?:[a-z]+_)*)?"
    + _HIT_WORDS
    + rb"(?![\w-])[^,]*|[^,;]+(?:;[^,;]*)*; *hit *(?:;[^,]*)?))"
)


def hit_words(words: str) -> re.Pattern[bytes]:
    """What matches the words of a cache that mean a hit, given with commas between them, whatever comes behind one."""
    known = "|".join(re.escape(word.strip()) for word in words.split(",") if word.strip())
    return re.compile(rf"(?:{known})(?![\w-]).*".encode())


def normal_host(raw: bytes) -> str:
    """A host as rules and bills know it: lower case, no port, no trailing dot, IPv6 in brackets; empty for none.

    Blanks and quotes around it are not its own.
    """
    host = raw.strip(b' "').rpartition(b"@")[2].decode("ascii", "backslashreplace").lower()
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
