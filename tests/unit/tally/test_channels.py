"""Channels: order, hosts, paths, logs; strict reading of the file; no cost that grows with the rules."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetally.errors import EdgetallyError
from edgetally.limits import UNASSIGNED
from edgetally.tally.channels import ChannelMap, Rule

RULES = [
    {"channel": "live", "host": "*.v.example.com", "path": "/live/"},
    {"channel": "video", "host": "*.v.example.com"},
    {"channel": "special", "host": "a.v.example.com"},
    {"channel": "news", "log": "news"},
    {"channel": "images", "path": "/img/"},
    {"channel": "big", "path": "/img/big/"},
    {"channel": "www", "host": "WWW.example.com."},
]


@pytest.mark.parametrize(
    ("log", "host", "path", "channel"),
    [
        ("access", "a.v.example.com", "/live/1.ts", "live"),
        ("access", "a.b.v.example.com", "/other", "video"),
        ("access", "a.v.example.com", "/other", "video"),  # the exact host's rule comes later
        ("access", "v.example.com", "/live/1.ts", UNASSIGNED),  # a suffix is not the name itself
        ("access", "xv.example.com", "/", UNASSIGNED),
        ("news", "www.example.com", "/", "news"),
        ("access", "www.example.com", "/", "www"),
        ("access", "www.example.com", "/img/big/x", "images"),
        ("access", "", "/img/", "images"),
        ("access", "", "", UNASSIGNED),
        ("access", "www.example.com", "/img", "www"),
    ],
)
def test_the_first_rule_that_matches_decides(log: str, host: str, path: str, channel: str) -> None:
    assert ChannelMap(RULES).resolve(log, host, path) == channel


def plain(rules: list[Rule], log: str, host: str, path: str) -> str:
    """The same by the definition: one rule after the other."""
    for rule in rules:
        host_fits = rule.host is None or rule.host == host or (rule.host[0] == "*" and host.endswith(rule.host[1:]))
        if rule.log in (None, log) and host_fits and (rule.path is None or path.startswith(rule.path)):
            return rule.channel
    return UNASSIGNED


LABELS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(".".join)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "host": st.builds("{}{}".format, st.sampled_from(["", "*."]), LABELS),
        "path": st.lists(st.sampled_from(["a", "b/", "/"]), max_size=3).map(lambda parts: "/" + "".join(parts)),
        "log": st.sampled_from(["x", "y"]),
    },
).filter(bool)


@given(
    st.lists(CONDITIONS, min_size=1, max_size=12),
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.one_of(st.just(""), LABELS), st.text("ab/", max_size=4)), max_size=12
    ),
)
def test_the_index_means_what_the_list_means(
    conditions: list[dict[str, str]], requests: list[tuple[str, str, str]]
) -> None:
    rules = [Rule(f"c{number}", **condition) for number, condition in enumerate(conditions)]
    channels = ChannelMap(rules)
    for log, host, path in requests:
        assert channels.resolve(log, host, path) == plain(rules, log, host, path)


def test_five_thousand_rules_cost_a_request_what_one_costs() -> None:
    """A bound far above what a lookup takes, far below what a walk through the rules would."""
    rules = [{"channel": f"c{n}", "host": f"*.h{n}.example.com", "path": f"/p{n}/"} for n in range(5000)]
    channels = ChannelMap(rules)
    channels.resolve("access", "a.h4999.example.com", "/")
    start = time.process_time()
    for number in range(5000):
        assert channels.resolve("access", f"a.h{number}.example.com", f"/p{number}/x") == f"c{number}"
    assert time.process_time() - start < 2


def test_paths_are_asked_for_only_where_a_rule_of_the_log_has_one() -> None:
    channels = ChannelMap([{"channel": "a", "log": "x", "path": "/a/"}, {"channel": "b", "host": "b.example.com"}])
    assert channels.needs_path("x")
    assert not channels.needs_path("y")
    assert ChannelMap(RULES).rules_for("news", "www.example.com").constant == "news"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "is empty: add a rule such as {"),
        ({"channel": "a"}, "is not a list of rules"),
        (["video"], "rule 1 is not an object"),
        (
            [RULES[0], {"chanel": "a", "host": "b.example.com"}],
            "rule 2 has the unknown key 'chanel': did you mean 'channel'?",
        ),
        ([{"channel": "a", "zzz": "b"}], "rule 1 has the unknown key 'zzz': a rule has channel, host, path, log"),
        ([{"host": "b.example.com"}], "rule 1 has no channel"),
        ([{"channel": "a"}], "rule 1 matches nothing in particular: add host, path or log"),
        ([{"channel": "", "log": "a"}], 'rule 1: channel must be a text that is not empty, not ""'),
        ([{"channel": "a", "host": 7}], "rule 1: host must be a text that is not empty, not 7"),
        ([{"channel": "a", "host": None}], "rule 1: host must be a text that is not empty, not null"),
        ([{"channel": UNASSIGNED, "log": "a"}], "rule 1: 'unassigned' is the channel of what no rule matches"),
        ([{"channel": " a", "log": "a"}], "rule 1: channel ' a' is no usable name"),
        (
            [{"channel": "a", "path": "live/"}],
            "rule 1: path 'live/' never matches: a path begins with /, such as /live/",
        ),
        ([{"channel": "a", "path": "/live/*"}], "rule 1: path '/live/*' never matches: it is a plain prefix"),
        ([{"channel": "a", "host": "http://b.example.com/"}], "rule 1: host 'http://b.example.com/' is more than"),
        ([{"channel": "a", "host": "b.example.com:80"}], "rule 1: host 'b.example.com:80' has a port or no name"),
        ([{"channel": "a", "host": "b.*.com"}], "rule 1: host 'b.*.com' has a * where none can be"),
        ([{"channel": "a", "host": "*"}], "rule 1: host '*' has a * where none can be"),
        ([{"channel": "a", "host": "b\u00fccher.example"}], "is not in the form that requests carry (xn--…)"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(tmp_path: Path, rules: Any, message: str) -> None:
    file = tmp_path / "channels.json"
    file.write_text(json.dumps(rules), encoding="utf-8")
    with pytest.raises(EdgetallyError) as caught:
        ChannelMap.load(file)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_json_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgetallyError, match=r"cannot be read \(No such file or directory\)"):
        ChannelMap.load(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_bytes(b"[\xff")
    with pytest.raises(EdgetallyError, match="is not JSON"):
        ChannelMap.load(tmp_path / "bad.json")
