"""What caches say of a hit, in fields that are known, and in those that the operator names."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from edgetally.cli.main import main
from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import parse_format
from edgetally.tally.count import tally
from tests.support.result import by_host


@pytest.mark.parametrize(
    ("server", "text", "hits", "misses"),
    [
        ("apache", '%t 5 %O "%{cache-status}e"', ["cache hit", "conditional cache hit: a"], ["cache miss: x", "-"]),
        ("apache", '%t 5 %O "%{X-Cache}o"', ["HIT from a.example.com", "REVALIDATE from a"], ["MISS from a", "-"]),
        ("nginx", "[$time_local] 5 $bytes_sent $srcache_fetch_status", ["HIT"], ["MISS", "BYPASS", "-"]),
        ("nginx", '[$time_local] 5 $bytes_sent "$sent_http_x_cache"', ["HIT", "MISS, HIT", "TCP_HIT a"], ["a, MISS"]),
        ("nginx", '[$time_local] 5 $bytes_sent "$upstream_http_cf_cache_status"', ["HIT", "STALE"], ["DYNAMIC", "-"]),
        ("nginx", '[$time_local] 5 $bytes_sent "$sent_http_cache_status"', ["a; b=c, B; hit; ttl=5"], ["A; hit, b"]),
        ("varnish", '%t 5 %O "%{X-Cache}o"', ["HIT", "hit cached"], ["MISS", "hits", "-"]),
        ("squid", "[%tl] 5 %<st %{X-Cache}<h", ["HIT%20from%20a", "HIT"], ["MISS%20from%20a", "-"]),
        ("haproxy", "[%trl] 5 %B %s", ["<CACHE>"], ["edge1", "<NOSRV>"]),
        ("haproxy", "[%trl] 5 %B %[res.cache_name]", ["small"], ["-"]),
        ("haproxy", '[%trl] 5 %B "%[capture.res.hdr(x-cache)]"', ["HIT"], ["MISS"]),
    ],
)  # fmt: skip
def test_fields_that_are_known(server: str, text: str, hits: list[str], misses: list[str]) -> None:
    assert _hits(text, server, [*hits, *misses]) == len(hits)


@pytest.mark.parametrize(
    ("hit", "hits"),
    [
        ("%{X-Fast}o:HIT,STALE", 3),
        ("X-fast:hit", 0),  # words are as the cache writes them
        ("X-Fast:HIT", 2),
    ],
)
def test_a_field_and_words_that_the_operator_names(hit: str, hits: int) -> None:
    values = ["HIT", "HIT from a", "STALE", "HITS", "MISS", "-"]
    assert _hits('%t 5 %O "%{X-Fast}o"', "apache", values, hit) == hits


@pytest.mark.parametrize(
    ("hit", "why"),
    [
        ("%{X-Fast}o", "hit '%{X-Fast}o' names no words: write it as FIELD:WORD,WORD"),
        ("%{X}o:HIT", "hit '%{X}o:HIT': the format apache has no field '%{X}o': name one of %t, %O, %{X-Fast}o"),
    ],
)
def test_what_names_no_field_or_no_word_is_refused(hit: str, why: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_format('%t 5 %O "%{X-Fast}o"', "apache").with_hit(hit)
    assert str(caught.value) == why


def _hits(text: str, server: str, values: list[str], hit: str = "") -> int:
    """The hits among lines with these values in their last field, if both engines agree."""
    fmt = parse_format(text, server).with_hit(hit)
    time = "10/Oct/2026:13:55:36 +0000" if server == "haproxy" and "[" not in text else "[10/Oct/2026:13:55:36 +0000]"
    quote = '"' if '"' in text else ""
    data = "".join(f"{time} 5 7 {quote}{value}{quote}\n" for value in values).encode()
    one, two = (tally([io.BytesIO(data)], fmt, None, engine=engine) for engine in ("kernel", "reference"))
    assert (one, one.rejects) == (two, [])
    return sum(row[2] for row in by_host(one).values())


def test_the_command_takes_the_words_of_a_hit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "access.log"
    log.write_text('[10/Oct/2026:13:55:36 +0000] 7 "HIT"\n[10/Oct/2026:13:55:36 +0000] 7 "MISS"\n')
    arguments = ["tally", "--log-format", '%t %O "%{X-Fast}o"', "--server", "apache", "--hit", "X-Fast:HIT"]
    assert main([*arguments, "--output", "json", str(log)]) == 0
    assert [channel["hits"] for channel in json.loads(capsys.readouterr().out)["channels"]] == [1]


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_the_words_of_a_hit_hold_where_the_fields_of_a_log_change(tmp_path: Path, engine: str) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        "#Fields: date time cs(Host) sc-bytes x-verdict\n"
        "2026-10-10 13:50:06 a.example 100 YES\n"
        "#Fields: date time cs(Host) sc-bytes cs-uri-stem x-verdict\n"
        "2026-10-10 13:50:07 a.example 20 /a YES\n"
        "2026-10-10 13:50:08 a.example 3 /a NO\n"
    )
    fmt = parse_format("#Fields: date time cs(Host) sc-bytes x-verdict", hit="x-verdict:YES")
    found = tally([str(log)], fmt, None, engine=engine)
    assert [cell[2:] for cell in found.cells.values()] == [[2, 120]]
