"""The cases: which logs are made, and what is difficult in them."""

from __future__ import annotations

from dataclasses import dataclass

NGINX = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $bytes_sent "$http_referer" "$http_user_agent" '
    '"$host" $request_time $upstream_cache_status'
)
SQUID = "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"
CSV = '$msec,$request_time,$host,$status,$bytes_sent,$upstream_cache_status,"$request","$http_user_agent"'
JSON = (
    """log_format json escape=json '{"time":"$time_iso8601","host":"$host","status":"$status","bytes":"$bytes_sent","""
    """"duration":"$request_time","cache":"$upstream_cache_status","request":"$request","agent":"$http_user_agent"}';"""
)
HAPROXY = (  # the HTTP log, with the cache's verdict and the host
    'log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq '
    '%[res.cache_hit] %{+Q}[var(txn.host)] %{+Q}r"'
)
FORMATS = {"nginx": NGINX, "squid": SQUID, "csv": CSV, "json": JSON, "haproxy": HAPROXY, "caddy": "caddy"}

SPAN = 3600  # seconds between a log's first and last line, whatever its length


@dataclass(frozen=True)
class Case:
    """A kind of log.

    layout: how its lines are written, a key of FORMATS. hosts: how many different ones. malformed, escaped: the
    share of lines that fit no format, and that hold backslashes. mixed: 30 % other status codes, 5 % lines of 2 to
    8 kB, times that go back by some seconds, and every word that the cache has. paths: how many channel rules by path
    prefix there are; the sums are by channel then, and by host without.
    """

    name: str
    title: str
    layout: str
    hosts: int = 100
    malformed: float = 0.0
    escaped: float = 0.0
    mixed: bool = False
    paths: int = 0

    @property
    def log_format(self) -> str:
        """The format as the server's configuration has it."""
        return FORMATS[self.layout]

    @property
    def clean(self) -> bool:
        """Whether nothing in it is difficult."""
        return not (self.malformed or self.escaped or self.mixed or self.hosts > 100 or self.paths)


CASES = {
    case.name: case
    for case in (
        Case("clean", "nginx, clean, 100 hosts", "nginx"),
        Case("malformed", "nginx, 0.1 % of the lines malformed", "nginx", malformed=0.001),
        Case("escaped", "nginx, 10 % of the lines with escaped quotes or backslashes", "nginx", escaped=0.1),
        Case("mixed", "nginx, other statuses, long lines, disorder, all cache words", "nginx", mixed=True),
        Case("hosts5000", "nginx, clean, 5,000 hosts", "nginx", hosts=5000),
        Case("squid", "squid native, clean, 100 hosts", "squid"),
        Case("squid-difficult", "squid native, 0.1 % malformed and mixed", "squid", malformed=0.001, mixed=True),
        Case("csv", "nginx, a CSV-like format", "csv"),
        Case("json", "nginx, a JSON format", "json"),
        Case("haproxy", "HAProxy, its HTTP log with host and cache", "haproxy"),
        Case("caddy", "Caddy, its JSON log, which tells no hits", "caddy"),
        Case("paths5", "nginx, clean, 5 channel rules by path prefix", "nginx", paths=5),
        Case("paths500", "nginx, clean, 500 channel rules by path prefix", "nginx", paths=500),
    )
}


def clean_one(case: Case) -> Case:
    """The clean case of the same layout."""
    return next(other for other in CASES.values() if other.layout == case.layout and other.clean)
