"""What the lines of a generated log say, column by column: realistic values of varied lengths, drawn from pools.

Pools are composed once, so that drawing a value costs next to nothing; equal seeds draw equal values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from random import Random

from tests.bench.cases import Case

NO_REQUEST = "NONE_NONE"  # squid's word for a connection without a request: it has no host
START = 1780000217  # epoch seconds, inside a slot: an hour touches 13 of them

_KINDS = ("www", "img", "static", "cdn", "vod", "live", "api", "downloads", "media", "assets")
_NAMES = ("news", "shop", "kino", "sport-archive", "weather", "tube", "forum", "linux-mirror", "x", "maps")
_DOMAINS = ("example.com", "example.net", "example.org", "cust.example")
WORDS = (
    *("index", "images", "thumbs", "live", "hls", "segment", "css", "js", "article", "user", "search", "product"),
    *("2026", "05", "stream", "chunklist", "big-buck-bunny", "1080p", "a", "static-content", "bundle.min", "download"),
)
_ENDINGS = (".jpg", ".ts", ".m4s", ".html", ".js?v=12", ".css", ".webp", "/", ".mp4?start=30&token=9f8e7d", ".iso")
_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{} "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
    "VLC/3.0.{0} LibVLC/3.0.{0}",
    "curl/8.{}.0",
    "AppleCoreMedia/1.0.0.21{}",
)
# As Apache writes them, and as nginx does: an agent that ends in a backslash, quotes beside backslashes, and so on.
_ESCAPED = (r"\"quoted\"", r"\x22quoted\x22", r"C:\\dir\\", r"odd\\\"even\\\\", r"\x5Cn\xC3\xA9", r"\\\"", r"a\"")

# (the cache's word, whether it is a hit, weight)
_Words = tuple[tuple[str, bool, int], ...]
_NGINX_CACHE: _Words = (("HIT", True, 82), ("MISS", False, 14), ("-", False, 4))
_NGINX_MIXED: _Words = (
    *(("HIT", True, 30), ("MISS", False, 20), ("EXPIRED", False, 10), ("STALE", True, 10), ("UPDATING", True, 8)),
    *(("REVALIDATED", True, 8), ("BYPASS", False, 8), ("-", False, 6)),
)
_SQUID_CACHE: _Words = (("TCP_HIT", True, 40), ("TCP_MEM_HIT", True, 42), ("TCP_MISS", False, 18))
_SQUID_MIXED: _Words = (
    *(("TCP_HIT", True, 25), ("TCP_MEM_HIT", True, 20), ("TCP_MISS", False, 25), ("TCP_IMS_HIT", True, 5)),
    *(("TCP_REFRESH_UNMODIFIED", True, 6), ("TCP_REFRESH_MODIFIED", False, 6), ("TCP_DENIED", False, 3)),
    *(("TCP_MISS_ABORTED", False, 4), ("TCP_HIT_ABORTED", True, 3), ("TCP_CLIENT_REFRESH_MISS", False, 3)),
    (NO_REQUEST, False, 1),
)
HIT_WORDS = frozenset(
    word for words in (_NGINX_CACHE, _NGINX_MIXED, _SQUID_CACHE, _SQUID_MIXED) for word, hit, _ in words if hit
)
_STATUSES = (("200",) * 94 + ("206",) * 3 + ("304",) * 2 + ("404",)) * 2
_STATUSES_MIXED = ("200",) * 70 + (
    *(("206",) * 10 + ("304",) * 8 + ("404",) * 4 + ("301",) * 2 + ("302",) * 2),
    *("499", "403", "416", "502"),
)


@dataclass
class Columns:
    """Some consecutive lines, one list a column. times: epoch milliseconds; durations: milliseconds; sizes: bytes.

    requests: method and path, with a blank between them; caches: the cache's word; hits: whether that is a hit.
    """

    times: list[int]
    durations: list[int]
    clients: list[str]
    hosts: list[str]
    requests: list[str]
    statuses: list[str]
    sizes: list[int]
    referers: list[str]
    agents: list[str]
    caches: list[str]
    hits: list[bool]


class Source:
    """Draws columns for a case. lines: of the whole log; span: its length in seconds."""

    def __init__(self, case: Case, lines: int, span: int, seed: int) -> None:
        self.random = Random(f"{seed}/{case.name}")
        self._case, self._lines, self._span = case, lines, span
        draw = self.random
        self._hosts = hosts(case.hosts)
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(case.hosts)))
        self._clients = [_client(draw) for _ in range(min(20_000, lines))]
        self._requests = [_request(draw) for _ in range(min(50_000, lines))]
        self._referers = ["-" if draw.random() < 0.5 else _referer(draw, self._hosts) for _ in range(min(5_000, lines))]
        self._agents = [_agent(draw) for _ in range(min(2_000, lines))]
        self._sizes = [_size(draw) for _ in range(min(50_000, lines))]
        self._durations = [int(draw.expovariate(1 / 180)) for _ in range(min(10_000, lines))] + [3_600_000, 12_345_678]
        squid = case.layout == "squid"
        words = (_SQUID_MIXED if squid else _NGINX_MIXED) if case.mixed else (_SQUID_CACHE if squid else _NGINX_CACHE)
        self._caches = [(word, hit) for word, hit, weight in words for _ in range(weight)]
        self._long = [_long_request(draw) for _ in range(200)] if case.mixed else []

    def draw(self, first: int, count: int) -> Columns:
        """The columns of `count` lines, of which the first has the number `first` (from 0)."""
        draw, case = self.random, self._case
        caches = draw.choices(self._caches, k=count)
        statuses = _STATUSES_MIXED if case.mixed else _STATUSES
        columns = Columns(
            times=[START * 1000 + n * self._span * 1000 // self._lines for n in range(first, first + count)],
            durations=draw.choices(self._durations, k=count),
            clients=draw.choices(self._clients, k=count),
            hosts=draw.choices(self._hosts, cum_weights=self._weights, k=count),
            requests=draw.choices(self._requests, k=count),
            statuses=draw.choices(statuses, k=count),
            sizes=draw.choices(self._sizes, k=count),
            referers=draw.choices(self._referers, k=count),
            agents=draw.choices(self._agents, k=count),
            caches=[word for word, _ in caches],
            hits=[hit for _, hit in caches],
        )
        columns.hosts = ["-" if word == NO_REQUEST else host for host, word in zip(columns.hosts, columns.caches)]
        for place in self.places(case.escaped, count):
            self._escape(columns, place)
        if case.mixed:
            for place in self.places(0.05, count):
                columns.requests[place] = draw.choice(self._long)
            for place in self.places(0.2, count):
                columns.times[place] -= draw.randrange(4_000)
        return columns

    def places(self, share: float, count: int) -> list[int]:
        """Which of `count` lines belong to a share of all."""
        draw = self.random.random
        return [place for place in range(count) if draw() < share] if share else []

    def _escape(self, columns: Columns, place: int) -> None:
        """Put what servers escape into an agent or, one time in three, into a request."""
        text = self.random.choice(_ESCAPED)
        if self.random.random() < 1 / 3:
            columns.requests[place] += text
        else:
            columns.agents[place] += text


def hosts(count: int) -> list[str]:
    """Different hosts, the most asked for first; the same ones for every seed."""
    return [
        f"{_KINDS[n % 10]}{n // 40 or ''}.{_NAMES[n * 7 // 10 % 10]}{n % 9 or ''}.{_DOMAINS[n % 4]}"
        for n in range(count)
    ]


def _client(draw: Random) -> str:
    if draw.random() < 0.1:
        return f"2001:db8:{draw.randrange(65536):x}:{draw.randrange(256):x}::{draw.randrange(65536):x}"
    return f"{draw.randint(1, 223)}.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randint(1, 254)}"


def _path(draw: Random) -> str:
    depth = draw.randint(1, 4)
    parts = [f"{draw.choice(WORDS)}{draw.choice(('', '', draw.randrange(100_000)))}" for _ in range(depth)]
    return "/" + "/".join(parts) + draw.choice(_ENDINGS)


def _request(draw: Random) -> str:
    return f"{draw.choice(('GET',) * 40 + ('HEAD', 'POST'))} {_path(draw)}"


def _long_request(draw: Random) -> str:
    length = int(2000 * 4 ** draw.random())
    return f"GET {_path(draw)}?{f'q={draw.randrange(1 << 64):x}&' * 400}"[:length]


def _referer(draw: Random, names: list[str]) -> str:
    return f"https://{draw.choice(names)}{_path(draw)[: draw.randint(1, 32)]}"


def _agent(draw: Random) -> str:
    return draw.choice(_BROWSERS[:4] * 2 + _BROWSERS[4:]).format(draw.randint(4, 140))


def _size(draw: Random) -> int:
    """Headers and a body: mostly kilobytes, some megabytes, a few gigabytes."""
    if draw.random() < 0.0002:
        return draw.randint(1 << 30, 6 << 30)
    return int(draw.lognormvariate(9.2, 1.8)) + 240
