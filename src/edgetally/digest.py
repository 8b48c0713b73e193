"""sha256 and its HMAC. Python has them twice: OpenSSL's are many times as fast, and take 3 ms and 5 MB to load.

So what is little is left to Python's own, unless OpenSSL's are loaded already.
"""

from __future__ import annotations

import sys
from _operator import _compare_digest as same_digest  # which `hmac` has as compare_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["hmac_sha256", "same_digest", "sha256"]

_LITTLE = 1 << 18  # bytes; Python's own takes 1 ms for them
_BLOCK = 64  # bytes of a block of sha256
_INNER, _OUTER = (bytes(number ^ pad for number in range(256)) for pad in (0x36, 0x5C))


def sha256(data: bytes) -> bytes:
    """The sha256 of some bytes."""
    own = _own(len(data))
    if own is None:
        import hashlib

        return hashlib.sha256(data).digest()
    return own(data)


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """The HMAC of RFC 2104 with sha256. key: at most a block."""
    own = _own(len(data))
    if own is None:
        import hmac

        return hmac.digest(key, data, "sha256")
    block = key.ljust(_BLOCK, b"\0")
    return own(block.translate(_OUTER) + own(block.translate(_INNER) + data))


def _own(size: int) -> Callable[[bytes], bytes] | None:
    """Python's own sha256, which has another name from 3.12 on; None where OpenSSL's is the better choice."""
    if size > _LITTLE or "hashlib" in sys.modules:
        return None
    for name in ("_sha2", "_sha256"):
        try:
            make = __import__(name).sha256
        except ImportError:
            continue
        return lambda data: bytes(make(data).digest())
    return None
