"""What the logs beside this file come to, worked out by hand from their lines; nothing here was computed by edgetally.

`named/` has a log of each format with a name, `pasted/` one of each server's recommended format. All are written as
their server writes them, with two damaged lines each: one is cut short, one is two records torn into one. Their slots
are those of 13:50 and 13:55 UTC. A cell's bytes are added up in the order of the log's lines, to look each up.
"""

from __future__ import annotations

from typing import NamedTuple

EARLY = 1791640200  # 10 October 2026, 13:50 UTC
LATE = EARLY + 300


class Cell(NamedTuple):
    """What is booked in one slot for one channel. hits: None where the format does not tell."""

    requests: int
    bytes: int
    hits: int | None = None


class Expected(NamedTuple):
    """What a log comes to. rejected: the numbers of the damaged lines in the file; cells: by slot and channel."""

    lines: int
    rejected: tuple[int, ...]
    bytes: int
    cells: dict[tuple[int, str], Cell]


EXPECTED = {
    # nginx writes it: 0 for no bytes, \x22 for a quote. The format has no host, whatever the request line says.
    "named/combined": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=1_213_837,
        cells={
            (EARLY, "all"): Cell(6, 5120 + 0 + 1048576 + 153 + 157 + 159219),
            (LATE, "all"): Cell(3, 612 + 0 + 0),
        },
    ),
    # Apache writes it, two hours east of UTC: `-` for no bytes, \" for a quote, "" for a user without a name.
    "named/common": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=2_641_529,
        cells={
            (EARLY, "all"): Cell(6, 4523 + 0 + 10240 + 196 + 381 + 0),
            (LATE, "all"): Cell(3, 4523 + 2621440 + 226),
        },
    ),
    # A request line's host goes before the virtual host's: line 4.
    "named/vhost_combined": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=3_446_552,
        cells={
            (EARLY, "www.example.com"): Cell(4, 5410 + 181 + 437 + 3408048),
            (EARLY, "static.example.com"): Cell(2, 30512 + 1204),
            (LATE, "www.example.com"): Cell(2, 0 + 483),
            (LATE, "static.example.com"): Cell(1, 277),
        },
    ),
    # The time is that of the end: the tunnel of line 8 is booked in the slot that it ended in.
    "named/squid": Expected(
        lines=12,
        rejected=(7, 10),
        bytes=1_102_332,
        cells={
            (EARLY, "www.example.com"): Cell(3, 5278 + 312 + 641, hits=1),
            (EARLY, "static.example.com"): Cell(1, 1180, hits=1),
            (EARLY, "-"): Cell(2, 3404 + 0, hits=0),
            (EARLY, "shop.example.com"): Cell(1, 901823, hits=0),
            (LATE, "static.example.com"): Cell(2, 180505 + 3905, hits=0),
            (LATE, "www.example.com"): Cell(1, 5284, hits=1),
        },
    ),
    # Varnish calls the host of what it cannot read `localhost`.
    "named/varnish": Expected(
        lines=10,
        rejected=(6, 9),
        bytes=4_292_690,
        cells={
            (EARLY, "www.example.com"): Cell(3, 5120 + 0 + 153),
            (EARLY, "static.example.com"): Cell(1, 30210),
            (EARLY, "localhost"): Cell(1, 0),
            (EARLY, "chat.example.com"): Cell(1, 0),
            (LATE, "static.example.com"): Cell(1, 4256395),
            (LATE, "www.example.com"): Cell(1, 812),
        },
    ),
    # Lines 8 and 9 came at one moment, and ended in the last millisecond of a slot and the first of the next.
    "named/trafficserver_squid": Expected(
        lines=12,
        rejected=(6, 10),
        bytes=3_262_108,
        cells={
            (EARLY, "www.example.com"): Cell(3, 5321 + 144 + 162, hits=1),
            (EARLY, "static.example.com"): Cell(3, 1217 + 3248128 + 700, hits=2),
            (EARLY, "-"): Cell(1, 405, hits=0),
            (LATE, "static.example.com"): Cell(1, 701, hits=1),
            (LATE, "www.example.com"): Cell(2, 0 + 5330, hits=1),
        },
    ),
    # The bytes are body and headers, the second and the eighth number after the request; the last one is the seconds.
    "named/trafficserver_extended": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=3_256_230,
        cells={
            (EARLY, "www.example.com"): Cell(3, (5120 + 201) + (0 + 144) + (9 + 153)),
            (EARLY, "static.example.com"): Cell(2, (1016 + 201) + (3247961 + 167)),
            (EARLY, "-"): Cell(1, 219 + 186),
            (LATE, "static.example.com"): Cell(1, 533 + 167),
            (LATE, "www.example.com"): Cell(2, (0 + 0) + (7 + 146)),
        },
    ),
    "named/trafficserver_extended2": Expected(
        lines=10,
        rejected=(5, 8),
        bytes=3_252_714,
        cells={
            (EARLY, "www.example.com"): Cell(3, (1000 + 164) + (1000 + 164) + (207 + 201), hits=1),
            (EARLY, "film.example.com"): Cell(2, (20 + 207) + (3247961 + 167), hits=1),
            (LATE, "-"): Cell(1, 0 + 0, hits=0),
            (LATE, "www.example.com"): Cell(2, (247 + 212) + (1000 + 164), hits=1),
        },
    ),
    # The captured Host header has no meaning of its own: the format has no host.
    "named/haproxy": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=181_333,
        cells={
            (EARLY, "all"): Cell(6, 5342 + 1151 + 10420 + 151 + 0 + 163352, hits=1),
            (LATE, "all"): Cell(3, 700 + 0 + 217, hits=0),
        },
    ),
    "named/haproxy_https": Expected(
        lines=5,
        rejected=(4,),
        bytes=6_570,
        cells={
            (EARLY, "www.example.com"): Cell(1, 5342, hits=0),
            (EARLY, "static.example.com"): Cell(1, 1151, hits=1),
            (EARLY, "-"): Cell(1, 0, hits=0),
            (LATE, "-"): Cell(1, 77, hits=0),
        },
    ),
    "named/haproxy_clf": Expected(
        lines=5,
        rejected=(4,),
        bytes=6_710,
        cells={(EARLY, "all"): Cell(3, 5342 + 1151 + 0, hits=1), (LATE, "all"): Cell(1, 217, hits=0)},
    ),
    "named/traefik": Expected(
        lines=10,
        rejected=(5, 8),
        bytes=195_212,
        cells={
            (EARLY, "all"): Cell(5, 5120 + 0 + 30210 + 19 + 159219),
            (LATE, "all"): Cell(3, 612 + 21 + 11),
        },
    ),
    # Lines 6 and 7 came at one moment, and ended in the last nanosecond of a slot and the first of the next.
    "named/traefik_json": Expected(
        lines=10,
        rejected=(5, 8),
        bytes=175_330,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5120 + 10240),
            (EARLY, "static.example.com"): Cell(1, 0),
            (EARLY, "unknown.example.net"): Cell(1, 19),
            (EARLY, "[2001:db8::80]"): Cell(1, 700),
            (LATE, "static.example.com"): Cell(1, 159219),
            (LATE, "www.example.com"): Cell(2, 21 + 11),
        },
    ),
    "named/caddy": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=175_286,
        cells={
            (EARLY, "www.example.com"): Cell(3, 5120 + 0 + 10240),
            (EARLY, "static.example.com"): Cell(1, 0),
            (EARLY, "-"): Cell(1, 0),
            (EARLY, "film.example.com"): Cell(1, 159219),
            (LATE, "static.example.com"): Cell(1, 700),
            (LATE, "www.example.com"): Cell(1, 7),
            (LATE, "[2001:db8::80]"): Cell(1, 0),
        },
    ),
    # Line 4 is as a log shipper writes it on: in another order, numbers as text, a list of upstreams.
    "named/ingress_nginx": Expected(
        lines=5,
        rejected=(3, 5),
        bytes=5_301,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5120 + 0),
            (LATE, "static.example.com"): Cell(1, 181),
        },
    ),
    # Times as text, in nanoseconds and in seconds, as a job's options may say.
    "named/cloudflare": Expected(
        lines=5,
        rejected=(3, 5),
        bytes=15_972,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5120 + 10240, hits=1),
            (LATE, "static.example.com"): Cell(1, 612, hits=0),
        },
    ),
    "named/fastly": Expected(
        lines=5,
        rejected=(3, 5),
        bytes=5_820,
        cells={
            (EARLY, "www.example.com"): Cell(1, 5120, hits=1),
            (EARLY, "static.example.com"): Cell(1, 700, hits=0),
            (LATE, "www.example.com"): Cell(1, 0, hits=0),
        },
    ),
    "named/bunny": Expected(
        lines=5,
        rejected=(3, 5),
        bytes=1_054_396,
        cells={
            (EARLY, "www.example.com"): Cell(1, 5120, hits=1),
            (EARLY, "film.example.com"): Cell(1, 1048576, hits=0),
            (LATE, "film.example.com"): Cell(1, 700, hits=1),
        },
    ),
    # Lines 2 and 4 ended in the last moment of a slot, and the first of the next; line 5 does not say its bytes.
    "named/azure_front_door": Expected(
        lines=5,
        rejected=(3, 5),
        bytes=164_827,
        cells={
            (EARLY, "www.example.com"): Cell(1, 5120, hits=1),
            (EARLY, "film.example.com"): Cell(1, 159219, hits=0),
            (LATE, "film.example.com"): Cell(1, 488, hits=1),
        },
    ),
    # Lines 2 and 4 ended in the last microsecond of a slot, and the first of the next.
    "named/google_lb": Expected(
        lines=5,
        rejected=(3, 5),
        bytes=164_827,
        cells={
            (EARLY, "www.example.com"): Cell(1, 5120, hits=1),
            (EARLY, "film.example.com"): Cell(1, 159219, hits=0),
            (LATE, "film.example.com"): Cell(1, 488, hits=0),
        },
    ),
    # Any order, any other members, numbers as text, times of three kinds.
    "pasted/json": Expected(
        lines=6,
        rejected=(4, 6),
        bytes=1_055_008,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5120 + 612, hits=2),
            (EARLY, "film.example.com"): Cell(1, 1048576, hits=0),
            (LATE, "film.example.com"): Cell(1, 700, hits=0),
        },
    ),
    # Of a TLS hello nginx knows no host, and writes nothing in its place: line 5.
    "pasted/nginx": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=171_864,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5279 + 312, hits=0),
            (EARLY, "static.example.com"): Cell(1, 1157, hits=1),
            (EARLY, "[2001:db8::80]"): Cell(1, 147, hits=1),
            (EARLY, "-"): Cell(1, 309, hits=0),
            (EARLY, "film.example.com"): Cell(1, 159381, hits=0),
            (LATE, "film.example.com"): Cell(1, 0, hits=0),
            (LATE, "www.example.com"): Cell(2, 5279 + 0, hits=1),
        },
    ),
    # What Apache refuses has its ServerName; an IPv6 host has no brackets. Lines 7 and 8 end a microsecond apart.
    "pasted/apache": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=3_430_772,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5293 + 448),
            (EARLY, "static.example.com"): Cell(1, 121),
            (EARLY, "[2001:db8::80]"): Cell(1, 10421),
            (EARLY, "cache1.example.net"): Cell(1, 448),
            (EARLY, "film.example.com"): Cell(1, 3408048),
            (LATE, "film.example.com"): Cell(1, 700),
            (LATE, "www.example.com"): Cell(1, 5293),
            (LATE, "cache1.example.net"): Cell(1, 0),
        },
    ),
    # An old copy that is served since the origin does not answer is a hit: line 11.
    "pasted/squid": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=1_098_427,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5278 + 641, hits=0),
            (EARLY, "static.example.com"): Cell(1, 1180, hits=1),
            (EARLY, "[2001:db8::80]"): Cell(1, 312, hits=1),
            (EARLY, "-"): Cell(1, 3404, hits=0),
            (EARLY, "shop.example.com"): Cell(1, 901823, hits=0),
            (LATE, "static.example.com"): Cell(1, 180505, hits=0),
            (LATE, "-"): Cell(1, 0, hits=0),
            (LATE, "www.example.com"): Cell(1, 5284, hits=1),
        },
    ),
    # A request without a Host header has none, though Varnish writes `localhost` in its URL.
    "pasted/varnish": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=4_265_215,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5373 + 430, hits=0),
            (EARLY, "static.example.com"): Cell(1, 1260, hits=1),
            (EARLY, "[2001:db8::80]"): Cell(1, 248, hits=1),
            (EARLY, "-"): Cell(1, 28, hits=0),
            (EARLY, "film.example.com"): Cell(1, 4256652, hits=0),
            (LATE, "chat.example.com"): Cell(1, 553, hits=0),
            (LATE, "www.example.com"): Cell(1, 220, hits=0),
            (LATE, "-"): Cell(1, 451, hits=0),
        },
    ),
    "pasted/trafficserver": Expected(
        lines=12,
        rejected=(7, 10),
        bytes=3_261_806,
        cells={
            (EARLY, "www.example.com"): Cell(3, 5321 + 144 + 162, hits=1),
            (EARLY, "static.example.com"): Cell(1, 1217, hits=1),
            (EARLY, "-"): Cell(1, 405, hits=0),
            (EARLY, "shop.example.com"): Cell(1, 408, hits=0),
            (EARLY, "film.example.com"): Cell(1, 3248128, hits=0),
            (LATE, "film.example.com"): Cell(1, 700, hits=1),
            (LATE, "-"): Cell(1, 0, hits=0),
            (LATE, "www.example.com"): Cell(1, 5321, hits=1),
        },
    ),
    # Two hours east of UTC. Lines 7 and 8 came at one moment, and ended a millisecond apart.
    "pasted/haproxy": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=170_858,
        cells={
            (EARLY, "www.example.com"): Cell(3, 5342 + 162 + 151, hits=1),
            (EARLY, "static.example.com"): Cell(1, 1151, hits=1),
            (EARLY, "-"): Cell(1, 0, hits=0),
            (EARLY, "film.example.com"): Cell(1, 163352, hits=0),
            (LATE, "[2001:db8::80]"): Cell(1, 700, hits=0),
            (LATE, "www.example.com"): Cell(1, 0, hits=0),
            (LATE, "-"): Cell(1, 0, hits=0),
        },
    ),
    # The time is that of the end: what line 8 took is not added to it.
    "pasted/lighttpd": Expected(
        lines=11,
        rejected=(6, 9),
        bytes=2_639_829,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5315 + 530),
            (EARLY, "static.example.com"): Cell(1, 121),
            (EARLY, "[2001:db8::80]"): Cell(1, 10448),
            (EARLY, "-"): Cell(1, 500),
            (EARLY, "film.example.com"): Cell(1, 2621440),
            (LATE, "film.example.com"): Cell(1, 700),
            (LATE, "www.example.com"): Cell(1, 215),
            (LATE, "-"): Cell(1, 560),
        },
    ),
    # Line 3 is from before targets were listed, line 6 has fields of times to come. A bad request names the balancer.
    "named/alb": Expected(
        lines=8,
        rejected=(5, 7),
        bytes=1_056_874,
        cells={
            (EARLY, "www.example.com"): Cell(2, 2326 + 5000),
            (EARLY, "static.example.com"): Cell(1, 700),
            (EARLY, "lb-1.elb.amazonaws.com"): Cell(1, 272),
            (LATE, "live.example.com"): Cell(1, 1048576),
            (LATE, "www.example.com"): Cell(1, 0),
        },
    ),
    # Its time is that of the request: line 6 ended in the next slot. Line 3 is from before 2019, line 4 a copy.
    "named/s3": Expected(
        lines=8,
        rejected=(5, 7),
        bytes=10_051_002,
        cells={
            (EARLY, "film.s3.eu-west-1.amazonaws.com"): Cell(2, 2326 + 1048576),
            (EARLY, "film"): Cell(1, 100),
            (EARLY, "pages"): Cell(1, 0),
            (LATE, "film.s3.eu-west-1.amazonaws.com"): Cell(2, 9000000 + 0),
        },
    ),
    # IIS ends its lines with CR and LF. Its fields were changed between the slots; what begins with # is no line.
    "pasted/w3c": Expected(
        lines=11,
        rejected=(10, 18),
        bytes=2_645_305,
        cells={
            (EARLY, "www.example.com"): Cell(2, 5377 + 10511),
            (EARLY, "static.example.com"): Cell(2, 210 + 1477),
            (EARLY, "-"): Cell(1, 703),
            (EARLY, "film.example.com"): Cell(1, 2621440),
            (LATE, "www.example.com"): Cell(1, 5377),
            (LATE, "static.example.com"): Cell(1, 210),
            (LATE, "film.example.com"): Cell(1, 0),
        },
    ),
}
