"""Every field that a server documents, logged by the real server: none costs a line, and what it gives is right.

The server logs one field after the other between fields that are known, over hits, misses, errors, transfers that are
broken off, tunnels, bad requests, HTTP/2 and IPv6; see tests/fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edgetally.tally.result import Tally
from tests.fields.kinds import KINDS
from tests.fields.trial import BASE, Trial, run
from tests.fields.visits import BODIES, TUNNEL, TWO
from tests.support.odd_traffic import BIG, PAUSE
from tests.support.result import by_host

SERVERS = ("$server_name", "%v", "%[ssl_fc_sni]")  # hosts that are the server's own, or those of TLS


@pytest.fixture(scope="module", params=KINDS)
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    with TemporaryDirectory(prefix="et-fields-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # servers' own users have to enter it
        yield run(request.param, Path(name))


def test_what_stands_around_each_field_is_billed_as_clients_saw_it(trial: Trial) -> None:
    assert trial.tally(BASE).rejected == 0
    assert _wrong_bytes(trial, trial.tally(BASE)) == {}
    assert _hits(trial.tally(BASE)) == ({"hit.test": 1} if "hit" in trial.kind.base else {})


def test_no_field_costs_a_line_or_changes_the_bill(trial: Trial) -> None:
    base = trial.tally(BASE)
    for name, fields in trial.formats.items():
        if name.startswith("f"):
            found = trial.tally(name)
            assert found.rejects == [], fields[-2]
            assert (found.counted, found.bytes) == (base.counted, base.bytes), fields[-2]


def test_both_engines_read_each_field_alike(trial: Trial) -> None:
    for name, fields in trial.formats.items():
        assert trial.tally(name, "kernel") == trial.tally(name, "reference"), fields


@pytest.mark.parametrize("role", ["size", "host", "hit", "path", "time", "duration"])
def test_a_field_gives_what_the_client_saw(trial: Trial, role: str) -> None:
    names = [name for name, fields in trial.formats.items() if name.endswith(f"_{role}") and fields[-2] not in SERVERS]
    for name in names:
        assert {name: CHECKS[role](trial, name)} == {name: None}, trial.formats[name]


def _size(trial: Trial, name: str) -> object:
    sums = trial.tally(name)
    if trial.format(name).bytes_meaning == "wire":
        return _wrong_bytes(trial, sums) or None
    billed = {host: by_host(sums)[host][1] for host in BODIES}
    return None if billed == BODIES else billed


def _host(trial: Trial, name: str) -> object:
    # What the server cannot read it books to no host; some fields do not know the host of a tunnel or a cached answer.
    if any(finding.code == "remapped_url" for finding in trial.format(name).findings):
        return None  # it has the origin's host, which is said
    billed = by_host(trial.tally(name))
    wrong = {host: billed.get(host) for host in BODIES if billed.get(host, [0])[0] != trial.seen[host].requests}
    return wrong or None


def _hit(trial: Trial, name: str) -> object:
    hits = _hits(trial.tally(name))
    return None if hits == {"hit.test": 1} else hits


def _path(trial: Trial, name: str) -> object:
    channels = {channel: sums[0] for channel, sums in by_host(trial.tally(name, paths=True)).items()}
    return None if channels["slow"] == 1 and channels["others"] >= 9 else channels


def _time(trial: Trial, name: str) -> object:
    sums = trial.tally(name, only=b"/slow")
    right = sums.last is not None and trial.slow - PAUSE < sums.last < trial.ended + 1
    return None if right else (trial.slow, sums.last)


def _duration(trial: Trial, name: str) -> object:
    fmt = trial.format(name)
    matcher = fmt.matcher(durations=True)
    lines = (trial.folder / f"{name}.log").read_bytes().splitlines()
    found = (matcher.pattern.fullmatch(fmt.blanked(line)) for line in lines if b"/slow" in line)
    rows = [row.groups(b"") for row in found if row]
    transfers = [fmt.transfer_of(matcher.key_of(row)[0]) for row in rows]
    lasted = [transfer[1] / 1000 for transfer in transfers if transfer]
    return None if lasted and 2 * PAUSE - 1 < lasted[0] < 2 * PAUSE + 2 else lasted


CHECKS = {"size": _size, "host": _host, "hit": _hit, "path": _path, "time": _time, "duration": _duration}


def _wrong_bytes(trial: Trial, sums: Tally) -> dict[str, tuple[int, int]]:
    """(billed, seen) of each host whose clients saw something else; of a transfer broken off they saw a part."""
    billed = {host: row[1] for host, row in by_host(sums).items()}
    named = {name for name in trial.seen if name.endswith(".test")} | ({TUNNEL} if trial.server == "squid" else set())
    wrong = {}
    for host in sorted(named):
        seen = trial.seen[host]
        least = seen.bytes - trial.kind.lacks * seen.requests - seen.framing * (not trial.kind.framing)
        most = seen.bytes if seen.whole else BIG
        if not least <= billed.get(host, 0) <= most:
            wrong[host] = (billed.get(host, 0), seen.bytes)
    if trial.kind.http2 and not TWO < billed["two.test"] < TWO + 1000:  # its frames are no part of what curl gives
        wrong["two.test"] = (billed["two.test"], TWO)
    return wrong


def _hits(sums: Tally) -> dict[str, int]:
    """How many hits each host has."""
    return {host: row[2] for host, row in by_host(sums).items() if row[2]}
