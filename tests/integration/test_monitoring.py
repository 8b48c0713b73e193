"""The metrics with a real node_exporter and a real Prometheus, and its alerts."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from edgetally.config import DatabaseConfig
from edgetally.ledger.ledger import Ledger
from tests.integration.conftest import aggregator_file, run
from tests.support import ROOT, servers
from tests.support.edge import Edge, wait_for
from tests.support.tls import stunnel, tls_folder

RULES = ROOT / "monitoring" / "edgetally.rules.yml"
CASES = Path(__file__).parent / "edgetally.rules.test.yml"


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_promtool_passes_the_rules_and_their_tests() -> None:
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(CASES)]):
        done = subprocess.run([servers.program("promtool"), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_and_a_runbook_with_a_command() -> None:
    alerts = [rule["alert"] for rule in rules()]
    assert alerts == [case["name"] for case in yaml.safe_load(CASES.read_text())["tests"]]
    for rule in rules():
        assert rule["annotations"]["summary"], rule["alert"]
        assert re.search("`|edge_shipper_", rule["annotations"]["runbook"]), rule["alert"]


def test_the_rules_know_no_metric_that_is_not_written(
    tmp_path: Path, database: DatabaseConfig, gearmand: servers.Server, ledger: Ledger
) -> None:
    edge = Edge(tmp_path, tls=str(tls_folder(tmp_path / "edge1", "edge1")))
    edge.log.touch()
    assert edge.rotate() == 0
    texts = []
    with stunnel(gearmand, tls_folder(tmp_path / "jobs1", "jobs1", server=True), ["agg1"]) as front:
        agg1 = str(tls_folder(tmp_path / "agg1", "agg1"))
        for config in (edge.file, aggregator_file(tmp_path, database, front.address, tls=agg1)):
            out = tmp_path / f"{config.stem}.prom"
            assert run("status", "--config", str(config), "--metrics", str(out)).returncode == 0
            texts.append(out.read_text())
    written = set(re.findall(r"^# HELP (\w+)", "".join(texts), re.MULTILINE))
    # of streams and commits, which there are none of here, and of the node_exporter
    others = {
        "edgetally_last_commit_timestamp_seconds",
        "edgetally_stream_covered_timestamp_seconds",
        "edgetally_stream_gap_seconds",
        *(f"edgetally_stream_{what}lines" for what in ("", "rejected_", "skewed_")),
        "edgetally_edge_unseen",
        *(f"edgetally_contract_{what}" for what in ("certain", "commit", "projected", "slots_left")),  # the bill writes
    }
    used = set(re.findall(r"\bedgetally_\w+", " ".join(rule["expr"] for rule in rules()))) - {"edgetally_"}
    assert used - written == others


@contextlib.contextmanager
def exporter(folder: Path) -> Iterator[servers.Server]:
    """A node_exporter that reads the folder alone."""
    port = servers.free_port()
    command = [servers.program("prometheus-node-exporter"), f"--web.listen-address={servers.HOST}:{port}"]
    command += ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={folder}"]
    server = servers.Server("exporter", command, folder.parent, port, lambda one: servers.listening(one.port))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def prometheus(folder: Path, target: str) -> Iterator[servers.Server]:
    """A Prometheus that scrapes one target each second, with our rules but without their patience."""
    impatient = yaml.safe_load(RULES.read_text())
    for rule in impatient["groups"][0]["rules"]:
        del rule["for"]
    (folder / "rules.yml").write_text(yaml.safe_dump(impatient))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = servers.free_port()
    command = [servers.program("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={servers.HOST}:{port}"]
    server = servers.Server("prometheus", command, folder, port, is_ready)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def is_ready(server: servers.Server) -> bool:
    """It listens some time before it answers."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{server.address}/-/ready", timeout=10):
        return True
    return False


def query(server: servers.Server, expression: str) -> list[dict[str, Any]]:
    url = f"http://{server.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def test_a_real_prometheus_sees_the_metrics_and_fires(
    tmp_path: Path, database: DatabaseConfig, gearmand: servers.Server, ledger: Ledger
) -> None:
    edge = Edge(tmp_path)
    edge.log.touch()
    assert edge.rotate() == 0
    config = aggregator_file(tmp_path, database, gearmand.address)
    folder = tmp_path / "metrics"
    folder.mkdir()

    def write() -> None:
        for name, file in (("edge", edge.file), ("aggregator", config)):
            done = run("status", "--config", str(file), "--metrics", str(folder / f"edgetally_{name}.prom"))
            assert (done.returncode, done.stderr) == (0, "")

    def firing() -> set[str]:
        return {one["metric"]["alertname"] for one in query(prom, 'ALERTS{alertstate="firing"}')}

    write()
    with exporter(folder) as node, prometheus(tmp_path, node.address) as prom:
        wait_for("metrics", lambda: query(prom, "edgetally_outbox_batches"), 60)
        (batches,) = query(prom, "edgetally_outbox_batches")
        assert (batches["metric"]["log"], batches["value"][1]) == ("access", "1")
        assert query(prom, "node_textfile_scrape_error")[0]["value"][1] == "0"
        wait_for("an alert: nobody works", lambda: "EdgetallyNoWorker" in firing(), 60)
        assert not {"EdgetallyHeld", "EdgetallyJobServerDown", "EdgetallyDatabaseDown"} & firing()
        edge.spool.hold(edge.spool.batches(edge.spool.outbox)[0], "conflict")
        gearmand.kill()
        write()
        wait_for("the others", lambda: {"EdgetallyHeld", "EdgetallyJobServerDown"} <= firing(), 60)
        wait_for("an end", lambda: "EdgetallyNoWorker" not in firing(), 60)
        (held,) = query(prom, 'ALERTS{alertname="EdgetallyHeld", alertstate="firing"}')
        assert (held["metric"]["severity"], held["metric"]["log"]) == ("critical", "access")
