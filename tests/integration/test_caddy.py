"""A real Caddy: its log is read by the names of its members, whatever became of a request."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from edgetally.formats.catalogue import FORMATS
from edgetally.tally.count import tally
from tests.fields.visits import BODIES, LAST, TWO, http2, make_visits
from tests.support import servers
from tests.support.edge import wait_for
from tests.support.odd_traffic import Crowd, origin

CADDYFILE = """
{{
    admin off
    auto_https off
    storage file_system {{folder}}/storage
    servers {{
        protocols h1 h2c
    }}
}}
http://:{{port}} {{
    log {{
        output file {{folder}}/access.log
    }}
    handle /status/500 {{
        error "as asked" 500
    }}
    reverse_proxy 127.0.0.1:{origin}
}}
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of visits of all kinds; the server has ended then."""
    folder = tmp_path_factory.mktemp("caddy")
    with origin() as behind:
        config = CADDYFILE.format(origin=behind.port).replace("{{", "{").replace("}}", "}")
        with servers.caddy(config, folder) as server:
            crowd = Crowd(server.port)
            http2(server.port, folder)
            make_visits(crowd)
            wait_for("the last line", lambda: LAST.encode() in (folder / "access.log").read_bytes())
    return folder / "access.log"


def lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_bytes().splitlines()]


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_every_request_is_counted_with_its_body(log: Path, engine: str) -> None:
    """Errors too, which Caddy logs at another level; of a client that left, what it was sent.

    Over HTTP/2 Caddy 2.6 now and then logs less than the client has got.
    """
    found = tally([str(log)], FORMATS["caddy"], None, engine=engine)
    written = lines(log)
    assert {line["level"] for line in written} == {"info", "error"}
    assert (found.lines, found.rejected) == (len(written), 0)
    sums: Counter[str] = Counter()
    for (_slot, host), cell in found.cells.items():
        sums[host] += cell[1] or 0
    expected = dict(BODIES)
    del expected["error.test"]  # of Caddy's own
    assert {host: sums[host] for host in expected} == expected
    for host in ("aborted.test", "two.test"):
        assert 0 < sums[host] == sum(line["size"] for line in written if host in str(line["request"]))  # type: ignore[misc]
    assert sums["two.test"] <= TWO
