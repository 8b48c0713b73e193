"""Tries playbooks, roles and collection on each ansible-core that is promised: bin/test lab matrix [CORE…].

Then the oldest and the newest of them roll out to hosts of each Debian that is promised, side by side: job server,
aggregator and two edges, of which one has cron and one has timers; twice, and with the health check at the end. Ends
with tables; exit status 1 where something failed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.lab import lab
from tests.lab.core import Core, python_of
from tests.support import ROOT

# ansible-core, and the minor versions of Python 3 that its controller runs on
CORES = {"2.15": (9, 10, 11), "2.17": (10, 11, 12), "2.19": (11, 12, 13), "2.21": (12, 13, 14)}
SUITES = {"bullseye": "Debian 11", "bookworm": "Debian 12", "trixie": "Debian 13"}
COLLECTION = "edgetally.edgetally"
ROLLOUT_SECONDS = 1800
FAILED = "failed"
SECRETS = {
    "edgetally_master_key": "0123456789abcdef0123456789abcdef",
    "aggregator_db_password": "secret",
}
HOSTS = """
all:
  vars:
    ansible_connection: local
    ansible_python_interpreter: /usr/bin/python3
    ansible_become: false
    edgetally_gearmand_servers: ["{{ hostvars['jobs1'].gearmand_listen }}:7003"]
  children:
    gearmand: {hosts: {jobs1: {gearmand_listen: 192.0.2.1}}}
    aggregator: {hosts: {ledger1: }}
    edges:
      vars:
        edgetally_channels: [{channel: all, host: "*.example.com"}]
        edge_shipper_logs: [{name: access, path: /var/log/nginx/access.log, server: nginx, format: combined}]
      hosts: {edge1: }
"""


class CheckError(Exception):
    """What a check expected and did not see."""


def inventory(core: Core, inline: bool) -> Path:
    """An inventory whose secrets are encrypted one by one, or in a file of their own that others refer to."""
    folder = Path(tempfile.mkdtemp(dir=core.folder))
    variables = folder / "group_vars" / "all"
    variables.mkdir(parents=True)
    (folder / "hosts.yml").write_text(HOSTS)
    if inline:
        secrets = [core.run("vault", "encrypt_string", "--stdin-name", name, given=SECRETS[name]) for name in SECRETS]
        (variables / "secrets.yml").write_text("\n".join(secrets))
        return folder
    (variables / "main.yml").write_text("".join(f'{name}: "{{{{ vault_{name} }}}}"\n' for name in SECRETS))
    (variables / "vault.yml").write_text("".join(f"vault_{name}: {text}\n" for name, text in SECRETS.items()))
    core.run("vault", "encrypt", variables / "vault.yml")
    return folder


def syntax(core: Core) -> None:
    """Every playbook is read, with all that it imports."""
    hosts = inventory(core, inline=False)
    for playbook in [ROOT / "site.yml", *sorted((ROOT / "playbooks").glob("*.yml"))]:
        core.run("playbook", "--syntax-check", "-i", hosts, playbook)


def specs(core: Core, inline: bool) -> None:
    """The roles check their variables: these, and nothing else, run under a tag that no task has."""
    options: list[str | Path] = ["-i", inventory(core, inline), "site.yml", "--tags", "none"]
    said = core.run("playbook", *options)
    if said.count("Validating arguments against arg spec") < 3:
        raise CheckError("not every role has checked its arguments")
    try:
        core.run("playbook", *options, "-e", "aggregator_db_port=many")
    except subprocess.CalledProcessError as refused:
        if "aggregator_db_port" not in refused.stdout + refused.stderr:
            raise
    else:
        raise CheckError("a port that is no number was taken")


def collection(core: Core) -> None:
    """The collection is installed offline, and its playbooks run by name."""
    tarball = next((ROOT / "dist").glob("edgetally-edgetally-*.tar.gz"))
    core.run("galaxy", "collection", "install", "--offline", tarball, there=core.folder)
    hosts = inventory(core, inline=False)
    core.run("playbook", "--syntax-check", "-i", hosts, f"{COLLECTION}.site", there=core.folder)
    core.run("playbook", "-i", hosts, f"{COLLECTION}.inventory", there=core.folder)


CHECKS: dict[str, Callable[[Core], None]] = {
    "syntax": syntax,
    "vault file": lambda core: specs(core, inline=False),
    "inline vault": lambda core: specs(core, inline=True),
    "collection": collection,
}


class Rollout:
    """Fresh hosts of one Debian, and what an operator does with them."""

    def __init__(self, suite: str) -> None:
        self.suite, self.lab, self.hosts = suite, f"matrix-{suite}", ""
        self.steps = {"boot": self.boot, "first run": self.first, "second run": self.second}

    def boot(self, core: Core) -> None:
        """The hosts, with web servers as somebody else has set them up."""
        up = [str(ROOT / "bin/lab"), "up", self.lab, "--fresh", "--suite", self.suite]
        up += ["--hosts", str(lab.HERE / "matrix.json")]
        self.hosts = subprocess.run(up, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        self._play(core, "tests/lab/prepare.yml")

    def first(self, core: Core) -> None:
        """All is installed, the ledger has a batch of each edge's logs, and the health check ends well."""
        self._play(core, "site.yml", "-e", "edge_shipper_prove=true")

    def second(self, core: Core) -> None:
        """Nothing is changed, and all is still healthy."""
        changed = re.findall(r"^(\S+) +: .*changed=[1-9]", self._play(core, "site.yml"), re.MULTILINE)
        if changed:
            raise CheckError(f"something was changed on {', '.join(changed)}")

    def _play(self, core: Core, *arguments: str) -> str:
        return core.run("playbook", "-i", self.hosts, *arguments, seconds=ROLLOUT_SECONDS)


def checked(core: Core, problems: list[str]) -> list[str]:
    """The row of a core in the first table; what is wrong is added to the problems."""
    cells = [cell(core, check, name, problems) for name, check in CHECKS.items()]
    return [core.version, str(core.python), *cells]


def rolled_out(core: Core, problems: list[str], suite: str) -> list[str]:
    """A row of the second table; after a step that failed there is no other."""
    rollout, cells = Rollout(suite), list[str]()
    for name, step in rollout.steps.items():
        cells.append("-" if FAILED in cells else cell(core, step, f"{SUITES[suite]}, {name}", problems))
    subprocess.run([ROOT / "bin/lab", "down", rollout.lab], check=True)
    return [core.version, str(core.python), SUITES[suite], *cells]


def cell(core: Core, check: Callable[[Core], None], name: str, problems: list[str]) -> str:
    """How long the check has taken, where all is well."""
    began = time.monotonic()
    problem = outcome(core, check)
    seconds = f"{time.monotonic() - began:.0f} s"
    lab.say(f"{core.version}, {name}: {problem or seconds}")
    if problem:
        problems.append(f"{core.version}, {name}: {problem}")
    return FAILED if problem else seconds


def outcome(core: Core, check: Callable[[Core], None]) -> str:
    """What is wrong, nothing where all is well."""
    try:
        check(core)
    except subprocess.CalledProcessError as error:
        said = " ".join(f"{error.stderr or ''} {error.stdout or ''}".split())
        return said[max(0, said.find("fatal: ")) :][:500] or str(error)
    except (CheckError, subprocess.TimeoutExpired) as failed:
        return str(failed)
    return ""


def show(*rows: Sequence[str]) -> None:
    """Print a table."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    print(flush=True)


def main(versions: Sequence[str]) -> int:
    """Try these versions, or all; the exit status."""
    subprocess.run([ROOT / "bin/build", "--collection"], check=True, stdout=subprocess.DEVNULL)
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        cores = [made(version, Path(folder)) for version in versions or CORES]
        show(["ansible-core", "Python", *CHECKS], *(checked(core, problems) for core in cores))
        for core in dict.fromkeys((cores[0], cores[-1])):
            with ThreadPoolExecutor() as pool:
                rows = pool.map(partial(rolled_out, core, problems), SUITES)
            show(["ansible-core", "Python", "hosts", *Rollout("").steps], *rows)
    print("\n".join(problems) or "all is well")
    return 1 if problems else 0


def made(version: str, folder: Path) -> Core:
    """An ansible-core, with a folder of its own."""
    if version not in CORES:
        raise lab.LabError(f"{version} is none of {', '.join(CORES)}")
    own = folder / version
    own.mkdir()
    return Core(version, python_of(CORES[version]), own)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except lab.LabError as error:
        sys.exit(f"bin/test lab matrix: {error}")
