"""The sums of a tally while they grow: each request in its slot and channel, and what was not counted and why.

Engines read lines and bring here what they found. The sums do not depend on which engine it was.
"""

from __future__ import annotations

from edgetally.formats.log_format import Key, LogFormat
from edgetally.limits import EARLY_LINE_SECONDS, LATE_LINE_SECONDS, MAX_LINE, SLOT_SECONDS, UNASSIGNED
from edgetally.outside import visible
from edgetally.record import NamedTuple
from edgetally.tally.channels import ChannelMap, HostRules, hosts_by_bytes
from edgetally.tally.result import REJECTS, Reject, Tally

NO_HOST = "-"
ALL = "all"
TOO_LONG = f"it is longer than {MAX_LINE >> 20} MiB"
REJECT_TEXT = 200  # bytes of a rejected line that are kept
_SLOT = SLOT_SECONDS * 1000
_CACHED_HOSTS = 50_000
_CACHED_WORDS = 1_000
_UNASSIGNED_KEPT = 1_000


class Window(NamedTuple):
    """What a rotation covers, in epoch seconds. A line that ends far outside is counted in the nearest slot of it."""

    covers_from: float | None
    covers_to: float


class Bounds(NamedTuple):
    """Epoch seconds: what ended before `since` is set aside, what did not end from `early` to `late` is skewed."""

    since: float
    early: float
    late: float


class Place(NamedTuple):
    """Where requests for one host are booked: in one channel; where that is empty, in the one that the path decides."""

    channel: str
    host: str
    rules: HostRules | None


class RunningTally:
    """What one engine has counted so far.

    spreads: whether the bytes of a transfer are spread over the time it lasted, and longest, over how many milliseconds
    at most; see `spread`. kept_rejects: how many lines that are not counted are kept, with their reasons.

    A kind is what a format's key says without the time: hosts, the cache's word, the path where `paths` is true. Times
    are those of a transfer's end, in epoch seconds.
    """

    def __init__(
        self,
        fmt: LogFormat,
        channels: ChannelMap | None,
        log: str = "",
        window: Window | None = None,
        since: float | None = None,
        max_spread: int = 0,
        kept_rejects: int = REJECTS,
    ) -> None:
        self.spreads = max_spread > 0
        self.paths = fmt.has_path and channels is not None and channels.needs_path(log)
        self._format, self._channels, self._log = fmt, channels, log
        low, high = window or (None, float("inf"))
        self._low, self._high = float("-inf") if low is None else low, high
        self._early, self._late = self._low - EARLY_LINE_SECONDS, high + LATE_LINE_SECONDS
        self._since = float("-inf") if since is None else since // 1
        self.longest = max_spread * 1000
        self._kept_rejects = kept_rejects
        self._hosts = len(fmt.roles.get("host", ()))
        self._places: dict[Key, Place] = {}
        self._hits: dict[bytes, bool] = {}
        self._sums = Tally()
        self._sums.cells.hit_known = fmt.hit_known

    def is_whole(self, time: float) -> bool:
        """Whether nothing of the slot of a time is set aside or skewed, so that all of it can be counted at once."""
        slot = time // SLOT_SECONDS * SLOT_SECONDS
        return slot >= self._since and slot >= self._early and slot + SLOT_SECONDS <= self._late

    def add(self, time: float, kind: Key, requests: int, size: int) -> None:
        """Count requests that ended at one time, with the bytes of all of them."""
        if time < self._since:
            self._sums.set_aside += requests
            return
        self.saw(time, time)
        if not self._early <= time <= self._late:
            self._sums.skewed += requests
            time = self._low if time < self._early else self._high
        self.add_to_slot(int(time // SLOT_SECONDS * SLOT_SECONDS), kind, requests, size)

    def spread(self, time: float, lasted: int, kind: Key, size: int) -> None:
        """Count one request whose bytes were sent evenly over the milliseconds that it lasted, up to its end.

        Up to a time t, size * (t - start) // (end - start) of them were sent. A slot's share is what was sent up to its
        end less what was sent up to its beginning: no byte is lost to rounding. The request itself is counted in the
        slot of its end. What was sent in slots that ended more than max_spread before that is counted in the first slot
        that did not, and the request as clipped. A request far outside the window is not spread.
        """
        end = round(time * 1_000_000) // 1000
        start = end - lasted
        if time < self._since or not self._early <= time <= self._late or lasted <= 0:
            self.add(time, kind, 1, size)
            return
        slot, sent = max(start, end - self.longest) // _SLOT * _SLOT, 0
        if start < slot:
            self._sums.clipped += 1
        while slot + _SLOT <= end:
            until = size * (slot + _SLOT - start) // lasted
            self.add_to_slot(slot // 1000, kind, 0, until - sent)
            slot, sent = slot + _SLOT, until
        self.add_to_slot(slot // 1000, kind, 1, size - sent)
        self.saw(time, time)

    def add_to_slot(self, slot: int, kind: Key, requests: int, size: int) -> None:
        """Count requests of a common slot; `saw` has to be told of their times."""
        place = self.place_of(kind[: self._hosts])
        channel = place.channel
        if place.rules is not None:
            channel = place.rules.channel(kind[-1].decode("utf-8", "backslashreplace"))
        hit = self._format.hit_known and self._is_hit(kind[self._hosts])
        self.add_to_channel(slot, channel, place.host, requests, size, *((requests, size) if hit else ()))

    def add_to_channel(
        self, slot: int, channel: str, host: str, requests: int, size: int, hits: int = 0, hit_bytes: int = 0
    ) -> None:
        """Count requests of a common slot, of which all is known; `saw` has to be told of their times."""
        sums = self._sums
        sums.cells.add(slot, channel, requests, size, hits, hit_bytes)
        if channel == UNASSIGNED and self._channels is not None:
            self._add_unassigned(host, requests, size)
        sums.counted += requests
        sums.bytes += size

    def note(self, set_aside: int, clipped: int) -> None:
        """Count requests that were set aside, and ones that are counted but not spread over all of their slots."""
        self._sums.set_aside += set_aside
        self._sums.clipped += clipped

    def place_of(self, hosts: Key) -> Place:
        """Where requests for a host are booked. hosts: what a kind says of it."""
        return self._places.get(hosts) or self._find_place(hosts)

    @property
    def bounds(self) -> Bounds:
        """The times that are counted as they are."""
        return Bounds(self._since, self._early, self._late)

    def saw(self, first: float, last: float) -> None:
        """Note the times of requests that are counted."""
        sums = self._sums
        if sums.first is None or first < sums.first:
            sums.first = first
        if sums.last is None or last > sums.last:
            sums.last = last

    def reject(self, name: str, line: int, reason: str, text: bytes) -> None:
        """Count a rejected line, and keep the first few with their reason (explained here where it is empty)."""
        self._sums.rejected += 1
        if len(self._sums.rejects) < self._kept_rejects:
            shown = text.rstrip(b"\r")[:REJECT_TEXT].decode("utf-8", "backslashreplace")
            self._sums.rejects.append(Reject(name, line, reason or self._format.explain(text), visible(shown)))

    def _is_hit(self, word: bytes) -> bool:
        """Whether a word of the cache's means a hit. Servers have few, but a log can hold any: not all are kept."""
        hit = self._hits.get(word)
        if hit is None:
            if len(self._hits) >= _CACHED_WORDS:
                self._hits.clear()
            hit = self._hits[word] = self._format.is_hit(word)
        return hit

    def _find_place(self, hosts: Key) -> Place:
        """Look up where requests for a host not seen lately are booked. hosts: what a kind says of it."""
        host = self._format.host_of(hosts)
        rules = self._channels.rules_for(self._log, host) if self._channels is not None else None
        if rules is None:
            place = Place((host or NO_HOST) if self._format.has_host else ALL, host, None)
        elif rules.constant is not None or not self.paths:
            place = Place(rules.channel(""), host or NO_HOST, None)
        else:
            place = Place("", host or NO_HOST, rules)
        if len(self._places) >= _CACHED_HOSTS:
            self._places.clear()
        self._places[hosts] = place
        return place

    def _add_unassigned(self, host: str, requests: int, size: int) -> None:
        hosts = self._sums.unassigned_hosts
        sums = hosts.setdefault(host, [0, 0])
        sums[0] += requests
        sums[1] += size
        if len(hosts) > 10 * _UNASSIGNED_KEPT:  # hosts are the clients' choice: bound what they can fill
            kept = hosts_by_bytes(hosts, _UNASSIGNED_KEPT)
            hosts.clear()
            hosts.update((name, [count, total]) for name, count, total in kept)

    def close(self) -> Tally:
        """The finished tally."""
        return self._sums
