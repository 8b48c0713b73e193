"""What both demos end with: the wait for the last batches, the bill, what is beside it, the reconciliation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.demo import beside, reconcile
from tests.demo.steps import heading, say, step

CONFIRM_SECONDS = 180.0


def show(
    sent_file: Path, edges: Sequence[reconcile.Edge], database: reconcile.Database, bill: Callable[[int, int], str]
) -> bool:
    """Wait, print, compare; whether the three ways agree. bill: the report from one slot to another, epoch seconds."""
    with step("wait until the last rotation after the traffic is committed and confirmed"):
        missing = reconcile.wait(
            database, edges, reconcile.Sent(str(sent_file)), CONFIRM_SECONDS, lambda text: say(f"    {text}")
        )
    heading("The bill over the demo's own minutes")
    print(bill(*reconcile.Sent(str(sent_file)).slots), flush=True)
    heading("What the logs do not see, since the demo began")
    print(beside.text(database), flush=True)
    heading("The reconciliation: load generator, raw logs counted by awk, MariaDB")
    return reconcile.compare(str(sent_file), edges, database, missing)
