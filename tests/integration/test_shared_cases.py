"""Cases of other people's logs and configurations, with what is right: found without edgetally, by hand or otherwise.

They lie beside the repository, in ../shared/cases, a folder each: `command`, its input, and in expected.txt what is
right. A plain clone skips this; each kind also has a small test of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import ROOT, SOURCE

CASES = ROOT.parent / "shared" / "cases"
if not CASES.is_dir():  # here, so that it is said once, and not for each test
    pytest.skip("no cases at ../shared/cases: they are no part of the repository", allow_module_level=True)


class Right(NamedTuple):
    """What is right: patterns that are found in what the command prints, on both outputs, and patterns that are not."""

    said: tuple[str, ...]
    never: tuple[str, ...] = ()


def sums(lines: int, channel: str, requests: int, size: int, hits: str = r"\S+") -> tuple[str, ...]:
    """How the table shows a log's lines, none of which is rejected, and one channel of it."""
    return rf"\b{lines} lines, 0 rejected", rf"(?m)^{re.escape(channel)} +{requests} +{size} +{hits} "


RIGHT = {
    "cache-verdict-of-other-fields": Right((r" 2 +1500 +1 +1000 ",)),
    "caddy-before-2.5-member-order": Right(sums(1, "www.example.com", 1, 5120)),
    "caddy-error-level": Right(sums(4, "www.example.com", 4, 29)),
    "compressed-otherwise": Right(
        (r"\b6 lines, 0 rejected", r"a\.log\.xz: 3 lines as combined"), (r"NUL", r"no_format")
    ),
    "configuration-taken-for-a-log": Right(
        (r"lighttpd\.conf:2: it includes", r"Caddyfile: configuration files of Caddy are not looked at"),
        (r"no_format",),
    ),
    "gzip-cut-by-a-crash": Right(
        (r"\b981 lines, 0 rejected", r"what follows its first 981 lines is lost", r"cut_file")
    ),
    "haproxy-bi-is-an-address": Right((r"\b4 lines, 0 rejected", r" 4 +3180 ")),
    "haproxy-httpslog": Right((), (r"without their bytes", r"add option httplog")),
    "haproxy-plus-Q-quoting": Right((r"\b1 lines, 0 rejected", r" 1 +76 ")),
    "log-to-dev-null": Right((r"(?s)(?:\(log_off\).*){5}", r"varnishncsa\.sh:2: .*log_off"), (r"body_bytes",)),
    "nginx-format-used-in-another-file": Right(
        (r"nginx\.conf:5: .*\$request_length.* vhost\.conf:4 .*received_bytes",)
    ),
    "nginx-request-unquoted": Right((r"\b3 lines, 0 rejected|(?s:WRONG .*\$request)",)),
    "nginx-stream-block": Right(
        (r"\$ssl_preread_server_name",), (r"\$host\b", r"\$request_time", r"\$upstream_cache_status", r"no_duration")
    ),
    "nginx-upstream-lists-unquoted": Right((*sums(5, "www.example.com", 4, 6192, "1"), r"localhost +1 +154 ")),
    "squid-bare-header-code-changes-native-log": Right((r"WRONG .*mime_headers",)),
    "squid-dns-time-dash": Right((r"\b6 lines, 0 rejected",)),
    "squid-documented-codes-refused": Right(sums(1, "www.example.com", 1, 2931)),
    "squid-peer-time-dash": Right((r"\b6 lines, 0 rejected",)),
    "squid-tg-has-no-offset": Right((r"\b6 lines, 0 rejected",)),
    "trafficserver-block-scalar": Right((r"no_host", r"unescaped"), (r"unreadable_format",)),
    "varnishncsa-format-from-variable": Right(
        (r"ncsa\.sh:3: the format is in .*format_elsewhere",), (r"does not say the time", r"add %t\b")
    ),
    "w3c-log-without-format": Right(sums(1, "example.com", 1, 182)),
    "w3c-quoted-values": Right((*sums(1, "example.com", 1, 27028), r"input\.log: 1 lines as w3c, 0 of them rejected")),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program by its name."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "edgetally").write_text(f'#!/bin/sh\nexec {sys.executable} -m edgetally "$@"\n')
    (folder / "edgetally").chmod(0o755)
    return folder


def output_of(case: str, folder: Path, programs: Path) -> str:
    """What a case's command prints, on both outputs."""
    shutil.copytree(CASES / case, folder / case)
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        ["sh", "command"], cwd=folder / case, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    print(done.stdout, done.stderr)
    return done.stdout + done.stderr


@pytest.mark.parametrize("case", RIGHT)
def test_a_case_comes_to_what_is_right(case: str, tmp_path: Path, programs: Path) -> None:
    said = output_of(case, tmp_path, programs)
    assert "Traceback" not in said
    for pattern in RIGHT[case].said:
        assert re.search(pattern, said), pattern
    for pattern in RIGHT[case].never:
        assert not re.search(pattern, said), pattern


def test_what_is_right_is_known_of_every_case() -> None:
    assert {path.name for path in CASES.iterdir() if path.is_dir()} == RIGHT.keys()


def test_the_bytes_of_squids_cases_are_those_that_the_client_received(tmp_path: Path, programs: Path) -> None:
    for case in ("squid-dns-time-dash", "squid-peer-time-dash", "squid-tg-has-no-offset"):
        said = output_of(case, tmp_path, programs)
        rows = re.findall(r"(?m)^\S+ +(\d+) +(\d+) +\S+ +\S+ +[\d.]+ +[\d.]+$", said)
        assert sum(int(size) for _, size in rows) == 3040 + 644 + 3046 + 2931 + 3483 + 3436, case
