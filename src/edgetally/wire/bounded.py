"""Reads JSON that came from outside: never more memory or time than its length is worth.

A list of three bytes takes 64 in memory, a text of three 56, and a number of a million digits takes minutes to read. No
batch and no request is made of such, so a body that is gets refused before it is built.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 1 << 63  # what no count of a body reaches
SHORT_BYTES = 64 << 10  # what such a body can build is little in any case
VALUE_BYTES = 12  # a batch of the shortest names has 13: two values in 27, a name and its row
LONG_NUMBER = re.compile(rb"[0-9]{256}")  # of a channel's name, which may be all digits, 255


def read_json(body: bytes) -> Any:
    """The value of a body. Raises ValueError, also for one that is nested too deep or is out of all proportion."""
    if len(body) > SHORT_BYTES:
        values = body.count(b"[") + body.count(b"{") + body.count(b'"') // 2
        if values > len(body) // VALUE_BYTES:
            raise ValueError(f"it has {values} lists, objects and texts, too many for {len(body)} bytes")
        if LONG_NUMBER.search(body):
            raise ValueError("it has a number of more than 255 digits")
    try:
        return json.loads(str(body, "utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def is_count(value: Any) -> bool:
    """Whether a decoded value is a number of things that fits everywhere."""
    return type(value) is int and 0 <= value < MOST


def is_time(value: Any) -> bool:
    """Whether a decoded value is a time, in epoch seconds."""
    return type(value) in (int, float) and 0 <= value < 1 << 32
