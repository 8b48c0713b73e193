"""The canary: a batch without traffic goes the whole way and must come back as a receipt.

It is the only proof that someone is at work: a worker that is registered and hangs looks like one that works. A canary
travels as any batch does, sent by the code that sends an edge's, signed with the key of an edge named `edgetally`.

A canary counts nothing and covers no time but its own moment, which is its revision too. So each replaces the one
before it, the ledger has one committed canary at most, and a stream of one batch has no gap; Ledger.maintain deletes
old ones.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

from edgetally.config import AggregatorConfig, EdgeConfig
from edgetally.digest import sha256
from edgetally.edge.deliver import Delivery
from edgetally.edge.spool import BatchName, Spool
from edgetally.wire.batch import CANARY_STREAM, Batch
from edgetally.wire.envelope import derive_key, edge_of

GENERATION = sha256(CANARY_STREAM.encode()).hex()[:16]


@dataclass(frozen=True)
class Canary:
    """What became of one canary. seconds: from submit to receipt; problem: a sentence, empty if it came back."""

    server: str
    state: str
    seconds: float
    problem: str = ""


def fly(config: AggregatorConfig, timeout: int) -> Iterator[Canary]:
    """Send a canary through each job server, one after the other; each has timeout seconds for its receipt."""
    moment = 0
    for server in config.job_servers:
        time.sleep(max(0.0, moment + 1 - time.time()))  # two canaries of one second would be one batch
        moment = int(time.time())
        yield _send(config, server, moment, timeout)


def _send(config: AggregatorConfig, server: str, moment: int, timeout: int) -> Canary:
    """Send one canary from a spool of its own, as an edge delivers its batches."""
    edge = edge_of(CANARY_STREAM)
    name = BatchName(CANARY_STREAM[len(edge) + 1 :], GENERATION, 1, moment)
    batch = Batch(CANARY_STREAM, GENERATION, 1, (None, moment), revision=moment)
    key = derive_key(config.master_keys[0], edge)
    sender = EdgeConfig(edge, key.id, key.secret.hex(), (server,), "/", (), receipt_wait=timeout, path=config.path)
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="edgetally-canary-") as folder:
        spool = Spool(folder)
        spool.prepare()
        begun = time.monotonic()
        spool.publish(name, batch.encode())
        delivery = Delivery(sender._replace(spool=folder, tls=config.tls), spool, said.append)
        delivery.run(time.time() - 1, now=True)
        seconds = round(time.monotonic() - begun, 3)
        if (spool.sent / str(name)).exists():
            return Canary(server, "committed", seconds)
        if (spool.held / str(name)).exists():
            reason = spool.reason(name)
            return Canary(server, reason, seconds, f"the ledger refused the canary through {server} ({reason})")
    why = "; ".join(said) or delivery.silence or "the aggregator has not committed it: look at its log"
    problem = f"the canary through {server} did not come back: {why}"
    return Canary(server, "unconfirmed", seconds, problem)
