"""Times and durations: what they look like in a line, and what they mean.

A kind of time is `clf`, `iso`, `rfc3339` (`iso` with any fraction), `epoch` (seconds with milliseconds), `unix`
(seconds with any fraction), `stamp` (`unix` or `rfc3339`, whose offset needs no colon), `haproxy`, or else `local:`,
`utc:` or `given DATE OFFSET:` and a format in the words of strftime(3). To those are added %:z (+hh:mm), and of our
own %1 and %6, milli- and microseconds of the epoch, %3 and %f, the three or six digits of a second's fraction, and %?,
a fraction that may be there. A local time without an offset is read as UTC. `given` has what the log says once for all
lines: yyyy-mm-dd or nothing, +hhmm or nothing. Whatever the fraction, microseconds count: what is beyond is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import lru_cache

from edgetally.record import NamedTuple

Clock = Callable[[bytes], "float | None"]

_FREE = ("local:", "utc:", "given ")
_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_SHAPES: dict[str, bytes] = {
    "clf": rb"\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "iso": rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d|Z)",
    "rfc3339": rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[+-]\d\d:\d\d|Z)",
    "epoch": rb"\d{1,10}\.\d{3}",
    "unix": rb"\d{1,10}(?:\.\d{1,9})?",
    "haproxy": rb"\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d\.\d{3}",
}
_SHAPES["stamp"] = (
    rb"(?:" + _SHAPES["unix"] + rb"|" + _SHAPES["rfc3339"].replace(rb"\d\d:\d\d|Z", rb"\d\d:?\d\d|Z") + rb")"
)
_SPLIT = {"T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d", "D": "%m/%d/%y", "h": "%b"}
_FIELDS: dict[str, bytes] = {
    "Y": rb"\d{4}",
    "y": rb"\d\d",
    "m": rb"\d\d",
    "b": rb"[A-Z][a-z][a-z]",
    "d": rb"\d\d",
    "e": rb"[ \d]\d",
    "H": rb"\d\d",
    "M": rb"\d\d",
    "S": rb"\d\d",
    "z": rb"[+-]\d{4}",
    ":z": rb"[+-]\d\d:\d\d",
    "s": rb"\d{1,10}",
    "1": rb"\d{1,13}",
    "6": rb"\d{1,16}",
    "3": rb"\d{3}",
    "f": rb"\d{6}",
    "?": rb"(?:\.\d{1,9})?",
    "a": rb"[A-Z][a-z][a-z]",
    "t": rb"\t",
    "%": rb"%",
}

_TOKEN = re.compile(r"%(:z|.)|([^%]+)", re.S)
_DAY = (("Y", "y"), ("m", "b"), ("d", "e"), ("H",), ("M",))


def is_time(kind: str) -> bool:
    """Whether this is a kind of time."""
    return kind in _SHAPES or is_free(kind)


def is_free(kind: str) -> bool:
    """Whether a kind has its format of strftime's words in itself, behind a colon."""
    return kind.startswith(_FREE)


def has_offset(kind: str) -> bool:
    """Whether a time of this kind says which moment it is, whatever the server's time zone."""
    if kind.startswith("local:"):
        return any(word in ("z", ":z", "s", "1", "6") for _, word in _tokens(kind))
    return kind != "haproxy"


def shape(kind: str) -> bytes:
    """The pattern of a kind of time."""
    return _SHAPES.get(kind) or b"".join(pattern for pattern, _ in _tokens(kind))


def unknown_word(spec: str) -> str:
    """The first word of a strftime format that cannot be read, `a whole date and time` if it lacks that, or empty."""
    words = [token[1] for token in _TOKEN.finditer(_expanded(spec)) if token[1]]
    odd = next((word for word in words if word not in _FIELDS), "")
    if odd:
        return f"%{odd}"
    complete = {"s", "1", "6"} & set(words) or all(set(choice) & set(words) for choice in _DAY)
    return "" if complete else "a whole date and time"


class Written(NamedTuple):
    """Where in a time the seconds and their fraction are, which say nothing of the minute.

    head: how many bytes stand before the fraction, of which the two from `seconds` on are those. point: the byte that
    a fraction begins with; fraction: how many digits it has, at least and at most. tail: how many bytes follow, None
    for Z or an offset.
    """

    head: int
    seconds: int
    point: str = ""
    fraction: tuple[int, int] = (0, 0)
    tail: int | None = 0


_WRITTEN = {
    "clf": Written(26, 18),
    "iso": Written(19, 17, tail=None),
    "rfc3339": Written(19, 17, ".", (0, 9), None),
    "haproxy": Written(20, 18, ".", (3, 3)),
}
_WIDTHS = {"Y": 4, "b": 3, "a": 3, "z": 5, ":z": 6, "t": 1, "%": 1, "3": 3, "f": 6}
_WIDTHS.update(dict.fromkeys(("y", "m", "d", "e", "H", "M", "S"), 2))


def written(kind: str) -> Written | None:
    """How times of a kind are written; None where it is not always with the seconds at the same place."""
    if not is_free(kind):
        return _WRITTEN.get(kind)
    words = [(token[1], token[2] or "") for token in _TOKEN.finditer(_expanded(kind.partition(":")[2]))]
    names = [word for word, _ in words]
    if names[-2:] == ["S", "?"]:
        return _with_fraction(kind)
    if names.count("S") != 1 or any(word and word not in _WIDTHS for word in names):
        return None
    sizes = [_WIDTHS[word] if word else len(text) for word, text in words]
    seconds = sum(sizes[: names.index("S")])
    fractions = [number for number, word in enumerate(names) if word in ("3", "f")]
    if not fractions:
        return Written(sum(sizes), seconds)
    at = fractions[0]
    if len(fractions) > 1 or at < names.index("S") or not words[at - 1][1]:
        return None
    digits = sizes[at]
    return Written(sum(sizes[:at]) - 1, seconds, words[at - 1][1][-1], (digits, digits), sum(sizes[at + 1 :]))


def _with_fraction(kind: str) -> Written | None:
    """How times are written that end in seconds, and a fraction that may be there."""
    whole = written(kind.removesuffix("%?"))
    return whole and whole._replace(point=".", fraction=(0, 9))


def reader(kind: str) -> Clock:
    """A function that gives the epoch seconds of a time of this kind, or None where there is no such time."""
    return _READERS.get(kind) or _free_reader(kind)


def ends(clock: Clock, duration: str) -> Clock:
    """A function that gives the end of a transfer from its start and its duration.

    It takes both as logged, with a newline between them, and gives epoch seconds, None where there is no such time.
    Sums are made in whole microseconds, so that no rounding moves an end over the edge of a slot.
    """
    lasted = microseconds(duration)

    def end(text: bytes) -> float | None:
        start, _, took = text.partition(b"\n")
        begun = clock(start)
        return None if begun is None else (round(begun * 1_000_000) + lasted(took)) / 1_000_000

    return end


def microseconds(duration: str) -> Callable[[bytes], int]:
    """A function that gives a duration as logged in whole microseconds; 0 for `-` and -1: it never got so far."""
    unit = NANOSECONDS[duration]

    def read(text: bytes) -> int:
        whole, _, fraction = text.partition(b".")
        if not whole.isdigit():
            return 0
        return (int(whole) * 10**9 + int(fraction[:9].ljust(9, b"0"))) * unit // 10**12

    return read


# For each kind of duration, how many nanoseconds its unit has.
NANOSECONDS: dict[str, int] = {"seconds": 10**9, "decimal": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@lru_cache(maxsize=4096)
def _minute(year: bytes, month: int, day: bytes, hour: bytes, minute: bytes, zone: bytes) -> int | None:
    """Epoch seconds of a minute, or None where there is no such minute. zone: `Z`, `+hhmm` or `+hh:mm`."""
    try:
        local = datetime(int(year), month, int(day), int(hour), int(minute), tzinfo=timezone.utc)
    except ValueError:
        return None
    hours, minutes = (int(zone[1:3]), int(zone[-2:])) if zone != b"Z" else (0, 0)
    offset = (hours * 60 + minutes) * (-60 if zone.startswith(b"-") else 60)
    seconds = int(local.timestamp()) - offset
    return seconds if seconds >= 0 and hours <= 14 and minutes < 60 else None


@lru_cache(maxsize=4096)
def _clf_time(text: bytes) -> float | None:
    """10/Oct/2000:13:55:36 -0700"""
    month = _MONTHS.get(text[3:6], 0)
    minute = _minute(text[7:11], month, text[:2], text[12:14], text[15:17], text[21:])
    second = int(text[18:20])
    return minute + second if minute is not None and second < 60 else None


@lru_cache(maxsize=4096)
def _iso_time(text: bytes) -> float | None:
    """2000-10-10T13:55:36-07:00"""
    minute = _minute(text[:4], int(text[5:7]), text[8:10], text[11:13], text[14:16], text[19:])
    second = int(text[17:19])
    return minute + second if minute is not None and second < 60 else None


def _rfc3339_time(text: bytes) -> float | None:
    """2000-10-10T13:55:36.123456789-07:00"""
    fraction = text[19:].rstrip(b"Z").partition(b"+")[0].partition(b"-")[0]
    seconds = _iso_time(text[:19] + text[19 + len(fraction) :])
    return None if seconds is None else (int(seconds) * 1_000_000 + _millionths(fraction[1:])) / 1_000_000


def _unix_time(text: bytes) -> float:
    """1780000000.123456789"""
    whole, _, fraction = text.partition(b".")
    return (int(whole) * 1_000_000 + _millionths(fraction)) / 1_000_000


def _stamp_time(text: bytes) -> float | None:
    """Either of both"""
    return _rfc3339_time(text) if b"-" in text else _unix_time(text)


def _millionths(fraction: bytes) -> int:
    return int(fraction[:6].ljust(6, b"0"))


def _haproxy_time(text: bytes) -> float | None:
    """10/Oct/2000:13:55:36.123"""
    seconds = _clf_time(text[:20] + b" +0000")
    return None if seconds is None else (int(seconds) * 1000 + int(text[21:])) / 1000


_READERS: dict[str, Clock] = {
    "clf": _clf_time,
    "iso": _iso_time,
    "rfc3339": _rfc3339_time,
    "epoch": float,
    "unix": _unix_time,
    "stamp": _stamp_time,
    "haproxy": _haproxy_time,
}


def _expanded(spec: str) -> str:
    return re.sub(r"%(.)", lambda word: _SPLIT.get(word[1], word[0]), spec, flags=re.S)


def _tokens(kind: str) -> list[tuple[bytes, str]]:
    """(pattern, field) of what a strftime format is made of; the field is empty for literals."""
    spec = _expanded(kind.partition(":")[2])
    return [
        (_FIELDS[token[1]], token[1]) if token[1] else (re.escape(token[2]).encode(), "")
        for token in _TOKEN.finditer(spec)
    ]


@lru_cache(maxsize=64)
def _free_reader(kind: str) -> Clock:
    tokens = _tokens(kind)
    pattern = re.compile(b"".join(b"(" + shape + b")" if word else shape for shape, word in tokens))
    words, given = [word for _, word in tokens if word], _given(kind)

    @lru_cache(maxsize=4096)
    def read(text: bytes) -> float | None:
        match = pattern.fullmatch(text)
        return _moment({**given, **dict(zip(words, match.groups()))}) if match else None

    return read


def _given(kind: str) -> dict[str, bytes]:
    """What a kind says of all its times: the day and the offset, as fields of strftime."""
    head = kind.partition(":")[0]
    found = re.search(r"(\d{4})-(\d\d)-(\d\d)", head)
    offset = re.search(r" ([+-]\d{4})$", head)
    day = dict(zip("Ymd", (part.encode() for part in found.groups()))) if found else {}
    return {**day, **({"z": offset[1].encode()} if offset else {})}


def _moment(said: Mapping[str, bytes]) -> float | None:
    """The epoch seconds of a time, given the text of each field of its strftime format."""
    for word, unit in (("s", 1), ("1", 1_000), ("6", 1_000_000)):
        if word in said:
            return int(said[word]) / unit + _fraction(said)
    year = said["Y"] if "Y" in said else b"20" + said["y"]
    month = int(said["m"]) if "m" in said else _MONTHS.get(said["b"], 0)
    day = said["d"] if "d" in said else said["e"].strip()
    zone = said.get("z") or said.get(":z") or b"Z"
    minute, second = _minute(year, month, day, said["H"], said["M"], zone), int(said.get("S", b"0"))
    return minute + second + _fraction(said) if minute is not None and second < 60 else None


def _fraction(said: Mapping[str, bytes]) -> float:
    if said.get("?"):
        return _millionths(said["?"][1:]) / 1_000_000
    return int(said["f"]) / 1_000_000 if "f" in said else int(said.get("3", b"0")) / 1_000
