"""How columns are written as lines. Each layout is one comprehension: it runs for every line of a log."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Callable

from tests.bench.columns import NO_REQUEST, Columns


@lru_cache(maxsize=1 << 17)
def _local(second: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(second))


@lru_cache(maxsize=1 << 17)
def _iso(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(second))


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def nginx(columns: Columns) -> list[str]:
    """cases.NGINX."""
    return [
        f'{client} - - [{_local(time // 1000)}] "{request} HTTP/1.1" {status} {size} "{referer}" "{agent}" "{host}" '
        f"{_seconds(duration)} {cache}"
        for time, duration, client, host, request, status, size, referer, agent, cache in zip(
            *(columns.times, columns.durations, columns.clients, columns.hosts, columns.requests, columns.statuses),
            *(columns.sizes, columns.referers, columns.agents, columns.caches),
        )
    ]


def csv(columns: Columns) -> list[str]:
    """cases.CSV."""
    return [
        f'{_seconds(time)},{_seconds(duration)},{host},{status},{size},{cache},"{request} HTTP/1.1","{agent}"'
        for time, duration, host, request, status, size, agent, cache in zip(
            *(columns.times, columns.durations, columns.hosts, columns.requests, columns.statuses),
            *(columns.sizes, columns.agents, columns.caches),
        )
    ]


def json(columns: Columns) -> list[str]:
    """cases.JSON; where there is no value, nginx writes an empty text."""
    return [
        f'{{"time":"{_iso(time // 1000)}","host":"{host}","status":"{status}","bytes":"{size}",'
        f'"duration":"{_seconds(duration)}","cache":"{cache if cache != "-" else ""}",'
        f'"request":"{request} HTTP/1.1","agent":"{agent}"}}'
        for time, duration, host, request, status, size, agent, cache in zip(
            *(columns.times, columns.durations, columns.hosts, columns.requests, columns.statuses),
            *(columns.sizes, columns.agents, columns.caches),
        )
    ]


def squid(columns: Columns) -> list[str]:
    """cases.SQUID, with a tunnel of TLS for one request in nine: it has no path, and the host has a port."""
    return [
        _squid_line(*values)
        for values in zip(
            *(columns.times, columns.durations, columns.clients, columns.hosts, columns.requests, columns.statuses),
            *(columns.sizes, columns.caches, columns.hits),
        )
    ]


def _squid_line(
    time: int, duration: int, client: str, host: str, request: str, status: str, size: int, cache: str, hit: bool
) -> str:
    if cache == NO_REQUEST:
        request, peer = "- error:invalid-request", "HIER_NONE/-"
        return f"{_seconds(time)} {duration:6d} {client} {cache}/400 {size} {request} - {peer} text/html"
    if cache == "TCP_DENIED":
        status = "403"
    if not hit and duration % 2:
        method, url, kind = "CONNECT", f"{host}:443", "-"
        cache, peer = ("TCP_TUNNEL" if cache == "TCP_MISS" else cache), "HIER_DIRECT/192.0.2.9"
    else:
        method, _, path = request.partition(" ")
        url, kind = f"http://{host}{path}", "video/mp2t" if path.endswith(".ts") else "text/html"
        peer = "HIER_NONE/-" if hit else "HIER_DIRECT/192.0.2.9"
    return f"{_seconds(time)} {duration:6d} {client} {cache}/{status} {size} {method} {url} - {peer} {kind}"


def haproxy(columns: Columns) -> list[str]:
    """cases.HAPROXY. It logs when a request came, and how long it took."""
    return [
        f"{client}:{40000 + size % 20000} [{_local(came // 1000)[:-6]}.{came % 1000:03d}] www~ cache/edge1 "
        f"0/0/{duration % 4}/{duration // 2}/{duration} {status} {size} - - ---- {size % 90}/{size % 80}/2/1/0 0/0 "
        f'{int(hit)} "{host}" "{request} HTTP/1.1"'
        for came, duration, client, host, request, status, size, hit in zip(
            (time - duration for time, duration in zip(columns.times, columns.durations)),
            *(columns.durations, columns.clients, columns.hosts, columns.requests, columns.statuses),
            *(columns.sizes, columns.hits),
        )
    ]


def caddy(columns: Columns) -> list[str]:
    """Caddy's JSON log, with the members and headers that it has."""
    return [
        f'{{"level":"info","ts":{time // 1000}.{time % 1000:03d}4567,"logger":"http.log.access.log0","msg":"handled '
        f'request","request":{{"remote_ip":"{client}","remote_port":"{40000 + size % 20000}","client_ip":"{client}",'
        f'"proto":"HTTP/2.0","method":"{request[: request.index(" ")]}","host":"{host}",'
        f'"uri":"{request[request.index(" ") + 1 :]}","headers":{{"User-Agent":["{agent}"],"Referer":["{referer}"],'
        f'"Accept-Encoding":["gzip"]}}}},"bytes_read":0,"user_id":"","duration":{_seconds(duration)},"size":{size},'
        f'"status":{status},"resp_headers":{{"Server":["Caddy"],"Content-Type":["text/html"]}}}}'
        for time, duration, client, host, request, status, size, referer, agent in zip(
            *(columns.times, columns.durations, columns.clients, columns.hosts, columns.requests, columns.statuses),
            *(columns.sizes, columns.referers, columns.agents),
        )
    ]


LAYOUTS: dict[str, Callable[[Columns], list[str]]] = {
    "nginx": nginx,
    "csv": csv,
    "json": json,
    "squid": squid,
    "haproxy": haproxy,
    "caddy": caddy,
}
