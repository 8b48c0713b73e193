"""The check: a corpus of servers' configurations with what is wrong in each, formats, logs, an edge, the output."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import time
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pytest

from edgetally.check import configuration, edge, torn
from edgetally.check import log as logs
from edgetally.check.defects import DEFECTS
from edgetally.check.format import check_format, check_text
from edgetally.check.servers.source import Source
from edgetally.cli.main import main
from edgetally.config import load_edge
from edgetally.errors import EdgetallyError
from edgetally.formats.catalogue import FORMATS, PASTED, parse_format
from edgetally.formats.finding import Finding
from edgetally.formats.log_format import LogFormat
from edgetally.tally.count import tally
from edgetally.tally.engines.kernel.structures import VERSION
from edgetally.tally.running_tally import Window
from tests.support import ROOT

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
FORMAT = parse_format('$msec $request_time $host "$request" $bytes_sent $upstream_cache_status "$http_user_agent"')
T = 1780000200


def codes(found: Iterable[Finding]) -> set[str]:
    return {finding.code for finding in found}


# --- configurations


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CORPUS)) for path in FILES])
def test_a_configuration(path: Path) -> None:
    """Its first comment says what is to be found. What is good may have notes."""
    text = path.read_text()
    expected = re.search(r"(?m)^# expect: (.+)", text)
    assert configuration.server_of(text) == path.parent.name
    found = list(configuration.check(Source("the file", text)))
    assert codes(found) == set(expected[1].split(", ") if expected else ()), found
    assert path.name.startswith("good-") == all(finding.severity == "note" for finding in found), found
    assert all(re.fullmatch(r"the file:[1-9]\d*", finding.where) for finding in found)


def test_a_quote_that_is_not_closed_is_said_with_its_line() -> None:
    with pytest.raises(EdgetallyError, match=r"nginx.conf:2: a quote is not closed"):
        list(configuration.check(Source("nginx.conf", "http {\n  log_format x '$msec;\n}\n")))


def test_a_format_in_a_file_of_its_own(tmp_path: Path) -> None:
    """varnishncsa -f"""
    unit = Source("unit", f"ExecStart=/usr/bin/varnishncsa -a -D -w /var/log/x -f {tmp_path}/format\n")
    assert codes(configuration.check(unit)) == {"format_elsewhere"}
    (tmp_path / "format").write_text('%t %D "%{Host}i" "%r" %s %b %{Varnish:handling}x\n')
    found = list(configuration.check(unit))
    assert [(finding.code, finding.where) for finding in found] == [("body_bytes", f"{tmp_path}/format:1")]


def test_a_log_is_no_configuration() -> None:
    """Not even where a client sends what looks like one."""
    for fmt in FORMATS.values():
        assert configuration.server_of(fmt.example + "\n") == ""
    assert configuration.server_of(f'{T}.000 a "GET /access_log x; HTTP/1.1" 1 LogFormat "%h"\n') == ""


# --- formats


@pytest.mark.parametrize("server", PASTED)
def test_what_is_shown_as_right_is_right(server: str) -> None:
    assert [
        str(finding) for finding in check_format(parse_format(PASTED[server][1])) if finding.severity != "note"
    ] == []


@pytest.mark.parametrize("fmt", [*FORMATS.values(), *(parse_format(text) for _, text in PASTED.values())])
def test_a_line_can_be_made_for_each_format(fmt: LogFormat) -> None:
    """Else nothing would be known of what becomes of torn lines."""
    assert tally([io.BytesIO(torn.sample(fmt) + b"\n")], fmt, None).bytes in (4083, 8166)


@pytest.mark.parametrize(
    ("text", "server", "expected"),
    [
        ("%ts.%03tu %6tr %Ss %<st %ru", "", set()),
        ("%ts.%03tu %6tr %Ss %ru %<st", "", {"size_last"}),
        ("%{%F %T}t %D %V %O x", "apache", {"local_time"}),
        ('%t %D "%{Host}i" %b "%r" %{Varnish:hitmiss}x', "varnish", {"body_bytes"}),
        ("%t %D %V %>s %S x", "apache", {"received_bytes"}),
        ("%ts.%03tu %tr %Ss %>st %ru", "squid", {"received_bytes"}),
        ("%t nonsense", "apache", {"unreadable_format"}),
        ("caddy", "", {"body_bytes", "no_cache_status"}),
        ("traefik_json", "", {"body_bytes", "no_cache_status"}),
        ("combined", "", {"body_bytes", "no_host", "no_duration"}),
        ("#Fields: date time cs-host cs-uri-stem sc-bytes time-taken", "", set()),
        ("#Date: 2026-10-10\n#Fields: time cs-host cs-uri-stem sc-bytes time-taken", "", {"no_date", "slow_format"}),
    ],
)
def test_a_format(text: str, server: str, expected: set[str]) -> None:
    assert codes(check_text(text, server)) == expected


# --- logs


def line(time: float, size: object = 1000, took: float = 0.1, host: str = "a.example.com") -> str:
    return f'{time:.3f} {took:.3f} {host} "GET / HTTP/1.1" {size} HIT "agent"\n'


def look(
    path: Path, text: str | bytes, covers: Window | None = None, fmt: LogFormat = FORMAT, written: float = T
) -> dict[str, Finding]:
    """The findings of a log with this text, by their code."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (written, written))
    with logs.opened(str(path)) as file:
        found = list(logs.check(logs.read(file, str(path), fmt, covers)))
    assert all(finding.where == str(path) for finding in found)
    assert len(codes(found)) == len(found)
    return {finding.code: finding for finding in found}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def test_a_log_in_order_has_no_findings(log: Path) -> None:
    now = time.time()
    assert look(log, "".join(line(now - 9 + second) for second in range(10)), written=now) == {}
    assert look(log, "") == {}


@pytest.mark.parametrize(
    ("offset", "code", "words"),
    [
        (7200, "time_zone", "2.0 h ahead of the file's own time, like the local time of a zone +02:00 read as UTC"),
        (-19800, "time_zone", "5.5 h behind the file's own time, like the local time of a zone -05:30 read as UTC"),
        (420, "clock_skew", "7 min ahead"),
        (-600, "clock_skew", "10 min behind"),
    ],
)
def test_a_clock_or_a_zone_that_is_wrong(log: Path, offset: float, code: str, words: str) -> None:
    now = time.time()
    found = look(log, line(now + offset), written=now)
    assert list(found) == [code]
    assert words in found[code].what


def test_a_log_that_nobody_writes_to_says_nothing_of_the_clock(log: Path) -> None:
    assert look(log, line(T), written=T + 7200) == {}


def test_lines_outside_of_the_interval(log: Path) -> None:
    """Given, or in the name that a rotation gave it; its first batch has no beginning."""
    text = line(T - 700) + line(T) + line(T + 400) * 2
    found = look(log, text, Window(T, T + 300))
    assert found["outside_covers"].what == "3 lines end outside of its interval, up to 12 min before it"
    for before, seq in product(("", "access.log.edgetally-"), (1, 2)):  # an older program's, too
        renamed = log.with_name(f"{before}0123456789abcdef-{seq}-{T}.000-{T + 300}.000")
        renamed.write_text(text)
        os.utime(renamed, (T + 400, T + 400))
        packed = renamed.with_name(f"{renamed.name}.gz")
        packed.write_bytes(gzip.compress(renamed.read_bytes()))
        os.utime(packed, (T + 400, T + 400))
        for path in (renamed, packed):
            with logs.opened(str(path)) as file:
                said = [finding.what for finding in logs.check(logs.read(file, str(path), FORMAT))]
            assert said == ["1 lines end outside of its interval, up to 12 min before it"] * (seq > 1)


def test_lines_that_do_not_fit(log: Path) -> None:
    whole = line(T)
    torn_line = whole[:40] + whole
    found = look(log, (whole * 96 + torn_line + "x" * 8192 + "\n" + "nonsense\n").encode() + b"\0\0\0" + whole.encode())
    assert set(found) == {"rejected", "torn_lines", "nul_bytes", "cut_lines"}
    assert found["rejected"].severity == "wrong"
    assert found["rejected"].what.startswith(
        "4 of 100 (4.0 %) of its lines do not fit the format nginx, mostly expected"
    )
    assert found["torn_lines"].what == "1 lines hold more than one record"
    assert found["nul_bytes"].what == "1 lines hold NUL bytes"
    few = look(log, line(T) * 2000 + "nonsense\n")
    assert (list(few), few["rejected"].severity) == (["rejected"], "risk")


def test_a_packed_log_that_is_cut(log: Path) -> None:
    """Its lines are looked at as far as they are whole."""
    packed = gzip.compress("".join(line(T + number / 7) for number in range(5000)).encode())
    found = look(log, packed[: len(packed) // 2])
    assert list(found) == ["cut_file"]
    assert "it is cut or damaged behind its first " in found["cut_file"].what


def test_values_that_are_not_right(log: Path) -> None:
    assert list(look(log, line(T, size="-") * 9)) == ["no_bytes"]
    assert list(look(log, line(T, size="-") * 9 + line(T) * 2)) == ["dash_bytes"]
    assert (
        look(log, line(T, host="-") + line(T) * 9)["no_host_lines"].what == "1 of 10 (10.0 %) of its lines name no host"
    )
    assert look(log, line(T, took=90000))["odd_duration"].what.endswith("the longest 25.0 h")


def test_lines_out_of_order(log: Path) -> None:
    found = look(log, line(T) + line(T - 299) + line(T - 301) + line(T - 7200))
    assert found["out_of_order"].what == "2 lines are more than 300 s older than one before them, at most 2.0 h"


def test_durations_are_added_where_the_start_is_logged(log: Path) -> None:
    fmt = parse_format('%{usec}t %D %V %>s %O "%r"', "apache")
    text = "".join(f'{T}000000 {took} a 200 1 "GET / HTTP/1.1"\n' for took in (7_000_000_000, 1_000_000))
    assert look(log, text, fmt=fmt)["out_of_order"].what.endswith("at most 1.9 h")


def test_body_bytes_cost_what_the_headers_are(log: Path) -> None:
    body = next(finding for finding in FORMATS["combined"].findings if finding.code == "body_bytes")
    said = logs.with_headers(body, 10, 27_000).cost
    assert said == "headers are not billed, and with 2,700 bytes a response, about 10.0 % are missing"
    assert logs.with_headers(body, 0, 0) == body


# --- guessing


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_guessed_from_its_lines(log: Path, name: str) -> None:
    log.write_text(f"{FORMATS[name].example}\n" * 3)
    with logs.opened(str(log)) as file:
        fmt, said = logs.guess(file, str(log))
    assert fmt is not None
    assert said is not None
    assert (said.code, name in said.what) == ("guessed_format", True)


def test_of_equal_formats_it_is_the_one_with_most_fields(log: Path) -> None:
    """`combined` takes the lines of vhost_combined, and would bill them without their host."""
    log.write_text(f"{FORMATS['vhost_combined'].example}\n")
    with logs.opened(str(log)) as file:
        fmt, said = logs.guess(file, str(log))
    assert (fmt and fmt.name, said and said.what.partition("; ")[2]) == (
        "vhost_combined",
        "equally good: combined, varnish",
    )


def test_a_log_that_no_known_format_fits(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text(line(T))
    status, said = check(capsys, str(log))
    assert (status, "(no_format)" in said) == (1, True)
    log.write_text("")
    assert check(capsys, str(log)) == (0, "0 wrong, 0 risk, 0 note\n")


def test_w3c_says_its_format_itself(log: Path) -> None:
    log.write_text(f"#Version: 1.0\n{PASTED['w3c'][1]}\n2026-10-10 13:55:36 a.example.com GET / 200 100 5\n")
    with logs.opened(str(log)) as file:
        fmt, said = logs.guess(file, str(log))
        assert (fmt and fmt.server, said) == ("w3c", None)
        assert fmt is not None
        assert logs.read(file, str(log), fmt).tally.counted == 1
    log.write_text("#Fields: date time cs-host cs-uri-stem cs-bytes\n")
    with logs.opened(str(log)) as file:
        fmt, said = logs.guess(file, str(log))
    assert (fmt, said and said.code) == (None, "received_bytes")


# --- an edge


EDGE = {"edge": "edge1", "key_id": "0" * 8, "key": "0" * 64, "job_servers": ["127.0.0.1:1"]}
WIRE = """log_format e '$msec $request_time $host "$request" $bytes_sent $upstream_cache_status "$http_user_agent"';"""


@pytest.fixture
def config(tmp_path: Path, log: Path) -> Path:
    """An edge's configuration with nothing wrong in it, its log, its channel map."""
    log.write_text(line(time.time()))
    (tmp_path / "channels.json").write_text('[{"channel": "a", "host": "a.example.com"}]')
    (tmp_path / "logrotate.d").mkdir()
    entry = {"name": "access", "path": str(log), "server": "nginx", "format": WIRE, "reopen": "true"}
    data = {**EDGE, "spool": str(tmp_path / "spool"), "channels": str(tmp_path / "channels.json"), "logs": [entry]}
    (tmp_path / "edge.json").write_text(json.dumps(data))
    return tmp_path / "edge.json"


def look_at_edge(config: Path, **changes: str) -> dict[str, Finding]:
    """The findings of an edge by their code, but those of the machine: its clock, its disk."""
    data = json.loads(config.read_text())
    data["logs"][0].update(changes)
    config.write_text(json.dumps(data))
    found = edge.check(load_edge(str(config)), str(config.parent)).findings
    return {finding.code: finding for finding in found if finding.code not in ("clock_free", "disk_space")}


def test_an_edge_with_nothing_wrong(config: Path) -> None:
    assert look_at_edge(config) == {}


def test_another_rotator(config: Path, log: Path) -> None:
    """Any rule that names the log, but not what logrotate leaves out itself, and no rule for other logs."""
    rules = config.parent / "logrotate.d"
    names = f'# comment {{\nweekly\n"{log.parent}/*.log" /var/log/other\n'
    rule = names + "{\n  daily\n  postrotate\n    x ${Y}\n  endscript\n}\n"
    (rules / "nginx.disabled").write_text(rule)
    (rules / "nginx.dpkg-old").write_text(rule)
    (rules / "others").write_text(rule.replace(".log", ".err"))
    assert look_at_edge(config) == {}
    (rules / "nginx").write_text(rule)
    found = look_at_edge(config)["other_rotator"]
    assert (found.severity, found.where) == ("risk", f"{rules}/nginx:2")
    (rules / "nginx").write_text(rule.replace("daily", "copytruncate"))
    assert look_at_edge(config)["other_rotator"].severity == "wrong"
    (rules / "nginx").unlink()
    (config.parent / "logrotate.conf").write_text(f"weekly\n{log} {{\n rotate 4\n}}\n")
    assert "other_rotator" in look_at_edge(config)


def test_a_log_that_is_not_there_or_not_reopened(config: Path, log: Path) -> None:
    assert set(look_at_edge(config, reopen="")) == {"not_reopened"}
    assert look_at_edge(config, reopen="no-such-program -s x")["reopen_program"].severity == "risk"
    log.unlink()
    assert set(look_at_edge(config, reopen="true")) == {"log_absent"}
    assert set(look_at_edge(config, path=f"{log.parent}/*.none")) == {"stream_problem"}


def test_a_glob_of_several_logs(config: Path, log: Path) -> None:
    log.with_name("other.log").write_text("")
    found = look_at_edge(config, path=f"{log.parent}/*.log")
    assert (set(found), found["several_logs"].severity) == ({"several_logs"}, "note")


def test_a_host_matters_where_a_rule_asks_for_it(config: Path, log: Path) -> None:
    form = 'log_format e \'$msec $request_time "$request" $bytes_sent $upstream_cache_status "$http_user_agent"\';'
    log.write_text(line(time.time()).replace("a.example.com ", ""))
    found = look_at_edge(config, format=form)
    assert (found["no_host"].severity, "unassigned" in found) == ("wrong", True)
    (config.parent / "channels.json").write_text('[{"channel": "a", "log": "access"}]')
    found = look_at_edge(config)
    assert (list(found), found["no_host"].severity) == (["no_host"], "note")


def test_traffic_of_no_channel(config: Path, log: Path) -> None:
    log.write_text(line(time.time(), 3000) + line(time.time(), 1000, host="b.example.com"))
    assert look_at_edge(config)["unassigned"].what == "25.0 % of its bytes are of no channel, most of b.example.com"


@pytest.mark.parametrize(("answer", "expected"), [("no", ["clock_free"]), ("yes", []), ("", [])])
def test_a_clock_that_nothing_holds(
    config: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: list[str]
) -> None:
    program = config.parent / "timedatectl"
    program.write_text(f'#!/bin/sh\n[ "$*" = "show -p NTPSynchronized --value" ] && echo {answer}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{config.parent}:{os.environ['PATH']}")
    found = edge.check(load_edge(str(config)), str(config.parent)).findings
    assert [finding.code for finding in found if finding.code == "clock_free"] == expected


def test_a_disk_that_fills_up(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spool and the log lie in one folder here, which is said once."""
    for least, expected in ((1 << 60, 1), (0, 0)):
        monkeypatch.setattr(edge, "FREE_BYTES", least)
        monkeypatch.setattr(edge, "FREE_SHARE", 0.0)
        found = edge.check(load_edge(str(config)), str(config.parent))
        assert len([finding for finding in found.findings if finding.code == "disk_space"]) == expected
        assert list(found.disks) == [str(config.parent)]


# --- the command


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["check", *arguments])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_the_table_has_the_worst_first(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text(FORMATS["common"].example + "\n")
    os.utime(log, (T, T))
    status, said = check(capsys, str(log), "--format", "common")
    blocks = said.split("\n\n")
    assert status == 1
    assert blocks[0] == (
        "WRONG format common: its bytes are the body's only (body_bytes)\n"
        "  costs: headers are not billed, and with 2,326 bytes a response, about 11.4 % are missing\n"
        "  mend:  log $bytes_sent or %O instead"
    )
    assert [block.split()[0] for block in blocks[:-1]] == ["WRONG", "RISK", "RISK", "NOTE"]
    assert (
        blocks[-1]
        == f"{log}: 1 lines as common, 0 of them rejected\nengine: kernel {VERSION}\n1 wrong, 2 risk, 1 note\n"
    )


def test_json_has_findings_and_figures(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text(line(T) + "nonsense\n")
    os.utime(log, (T, T))
    status, said = check(capsys, "--log-format", WIRE, "--output", "json", "--covers", str(T), str(T + 300), str(log))
    data = json.loads(said)
    assert status == 1
    assert [finding["code"] for finding in data["findings"]] == ["rejected"]
    assert set(data["findings"][0]) == {"code", "severity", "what", "cost", "mend", "where"}
    figures = data["logs"][0]
    assert {name: value for name, value in figures.items() if value} == {
        "file": str(log),
        "format": "e",
        "lines": 2,
        "counted": 1,
        "rejected": 1,
        "bytes": 1000,
        "first": T,
        "last": T,
        "covers": [T, T + 300],
        "longest": 0.1,
        "reasons": {"expected $msec": 1},
    }
    assert set(figures) > {"skewed", "written", "torn", "nul", "cut", "dashes", "out_of_order"}


def test_the_exit_status(
    config: Path, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = CORPUS / "nginx" / "good-wire.conf", CORPUS / "apache" / "bad-sum.conf"
    assert check(capsys, str(good))[0] == 0
    assert check(capsys, str(good), str(bad))[0] == 1
    assert check(capsys, str(CORPUS / "nginx" / "bad-condition.conf"))[0] == 1, "a risk is a defect, too"
    assert check(capsys, "--log-format", WIRE) == (0, "0 wrong, 0 risk, 0 note\n")
    assert check(capsys, "--log-format", "%t %S %V", "--server", "apache")[0] == 1
    assert check(capsys, "--log-format", WIRE, str(log))[0] == 0
    assert check(capsys, str(tmp_path / "none"))[0] == 2
    absent = str(tmp_path / "absent.json")
    monkeypatch.setattr("edgetally.cli.check.EDGE_CONFIG", absent)
    assert check(capsys) == (
        2,
        f"edgetally: there is nothing to check: name files or a format, or run this where {absent} is\n",
    )
    monkeypatch.setattr("edgetally.cli.check.EDGE_CONFIG", str(config))
    host = {"clock_free", "disk_space"}  # what this machine is like
    for arguments in ([], ["--config", str(config)], [str(config)]):
        found = json.loads(check(capsys, *arguments, "--output", "json")[1])
        assert {finding["code"] for finding in found["findings"]} <= host
        assert [(read["file"], read["lines"]) for read in found["logs"]] == [(str(log), 1)]


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe can be read once only, and is read more often."""
    reader, writer = os.pipe()
    os.write(writer, (FORMATS["squid"].example + "\n").encode())
    os.close(writer)
    path = f"/proc/self/fd/{reader}"
    status, said = check(capsys, path)
    os.close(reader)
    assert (status, said.splitlines()[-1]) == (0, "0 wrong, 0 risk, 1 note")
    assert f"{path}: 1 lines as squid" in said


def test_a_format_that_the_kernel_cannot_read_is_slow(capsys: pytest.CaptureFixture[str]) -> None:
    """Here: its time has no seconds."""
    for moment, slow in (("%{%Y-%m-%dT%H:%M}t", True), ("%{%Y-%m-%dT%H:%M:%S}t", False)):
        _, said = check(capsys, "--server", "apache", "--log-format", f'{moment} %D %O "%V" "%r"')
        assert ("slow_format" in said) is slow


# --- the documentation


def test_the_documentation_has_every_defect() -> None:
    page = (ROOT / "docs" / "how-to" / "check.md").read_text()
    rows = re.findall(r"(?m)^\| `(\w+)` \| (\w+) \| (.+) \| (.+) \|$", page)
    assert rows == [(code, known.severity, known.cost, known.mend) for code, known in DEFECTS.items()]


def test_every_defect_of_a_configuration_is_in_the_corpus() -> None:
    """A check that nothing shows to work may have ceased to."""
    shown = {
        code for path in FILES for code in re.findall(r"\w+", "".join(re.findall(r"# expect: (.+)", path.read_text())))
    }
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in DEFECTS if code not in shown and not re.search(rf"\b{code}\b", text)] == []


@pytest.mark.parametrize(
    ("text", "server", "unknown"),
    [
        ("%ts.%03tu %<st %ru %newer %>newerstill", "squid", "%newer, %>newerstill are not known"),
        ("%trl %B %Zz", "haproxy", "%Zz is not known"),
        ("%t %O %J", "apache", "%J is not known"),
        ("%t %O %V", "varnish", "%V is not known"),
        ("%<cqtq> %<psql> %<zzz>", "trafficserver", "%<zzz> is not known"),
    ],
)
def test_a_field_that_is_newer_than_edgetally_is_text_and_said_once(text: str, server: str, unknown: str) -> None:
    (found,) = [finding for finding in check_text(text, server) if finding.code == "unknown_field"]
    assert (found.severity, found.what) == ("note", unknown)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$msec $bytes_sent $request $status", None),
        ("$msec $http_a $request $bytes_sent", ("wrong", "no request is read")),
        (
            "$msec $bytes_sent $http_a $sent_http_x_cache $status",
            ("risk", "a line where one of them holds a blank is rejected"),
        ),
    ],
)
def test_texts_without_quotes_that_cannot_be_told_apart_are_named(text: str, found: tuple[str, str] | None) -> None:
    said = [(one.severity, one.cost) for one in check_text(text, "nginx") if "cannot be told apart" in one.what]
    assert said == ([found] if found else [])
