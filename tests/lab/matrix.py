#!/usr/bin/env python3
"""Tries playbooks, roles and collection on each ansible-core that is promised: bin/test lab matrix.

Each gets an environment of its own in the cache, with a Python of PATH that it knows. No Python runs all, so one
may be left out, which is said. Ends with a table; exit status 1 where something failed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "edgetally" / "matrix"
# ansible-core, and the minor versions of Python 3 that its controller runs on
CORES = {"2.15": (9, 10, 11), "2.17": (10, 11, 12), "2.19": (11, 12, 13), "2.21": (12, 13, 14)}
COLLECTION = "edgetally.edgetally"
PASSWORD = "the matrix"
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
    edgetally_gearmand_servers: ["192.0.2.1:7003"]
  children:
    gearmand: {hosts: {jobs1: {gearmand_listen: 192.0.2.1}}}
    aggregator: {hosts: {ledger1: }}
    edges:
      vars:
        edgetally_channels: [{channel: all, host: "*.example.com"}]
        edge_shipper_logs: [{name: access, path: /var/log/nginx/access.log, server: nginx, format: combined}]
      hosts: {edge1: }
"""


class Core:
    """An ansible-core in an environment of its own, and a folder to work in. bin: its commands."""

    def __init__(self, version: str, python: str, folder: Path) -> None:
        environment = CACHE / f"{version}-{Path(python).name}"
        self.bin = environment / "bin"
        self.folder = folder
        if not (environment / ".ready").exists():
            shutil.rmtree(environment, ignore_errors=True)
            subprocess.run([python, "-m", "venv", environment], check=True)
            pip = [
                str(self.bin / "pip"),
                "install",
                "--quiet",
                "--disable-pip-version-check",
                f"ansible-core=={version}.*",
            ]
            subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
            (environment / ".ready").touch()
        (folder / "password").write_text(PASSWORD)

    def run(self, command: str, *arguments: str | Path, there: Path = ROOT, given: str = "") -> str:
        """Run one of Ansible's commands: what it printed. Raises CalledProcessError where it failed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        settings = {"HOME": str(self.folder), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_DEPRECATION_WARNINGS": "0"}
        password = {"ANSIBLE_VAULT_PASSWORD_FILE": str(self.folder / "password")}
        done = subprocess.run(
            [self.bin / command, *arguments],
            cwd=there,
            env={**kept, **settings, **password},
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        return done.stdout

    def inventory(self, inline: bool) -> Path:
        """An inventory whose secrets are encrypted one by one, or in a file of their own that others refer to."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        variables = folder / "group_vars" / "all"
        variables.mkdir(parents=True)
        (folder / "hosts.yml").write_text(HOSTS)
        if inline:
            secrets = [self.encrypted(name, text) for name, text in SECRETS.items()]
            (variables / "secrets.yml").write_text("\n".join(secrets))
            return folder
        (variables / "main.yml").write_text("".join(f'{name}: "{{{{ vault_{name} }}}}"\n' for name in SECRETS))
        (variables / "vault.yml").write_text("".join(f"vault_{name}: {text}\n" for name, text in SECRETS.items()))
        self.run("ansible-vault", "encrypt", variables / "vault.yml")
        return folder

    def encrypted(self, name: str, text: str) -> str:
        """A variable as `ansible-vault encrypt_string` prints it."""
        return self.run("ansible-vault", "encrypt_string", "--stdin-name", name, given=text)


class CheckError(Exception):
    """What a check expected and did not see."""


def syntax(core: Core) -> None:
    """Every playbook is read, with all that it imports."""
    inventory = core.inventory(inline=False)
    for playbook in [ROOT / "site.yml", *sorted((ROOT / "playbooks").glob("*.yml"))]:
        core.run("ansible-playbook", "--syntax-check", "-i", inventory, playbook)


def specs(core: Core, inline: bool) -> None:
    """The roles check their variables: these, and nothing else, run under a tag that no task has."""
    command: list[str | Path] = ["-i", core.inventory(inline), "site.yml", "--tags", "none"]
    said = core.run("ansible-playbook", *command)
    if said.count("Validating arguments against arg spec") < 3:
        raise CheckError("not every role has checked its arguments")
    try:
        core.run("ansible-playbook", *command, "-e", "aggregator_db_port=many")
    except subprocess.CalledProcessError as refused:
        if "aggregator_db_port" not in refused.stdout + refused.stderr:
            raise
    else:
        raise CheckError("a port that is no number was taken")


def collection(core: Core) -> None:
    """The collection is installed offline, and its playbooks run by name."""
    tarball = next((ROOT / "dist").glob("edgetally-edgetally-*.tar.gz"))
    core.run("ansible-galaxy", "collection", "install", "--offline", tarball, there=core.folder)
    inventory = core.inventory(inline=False)
    core.run("ansible-playbook", "--syntax-check", "-i", inventory, f"{COLLECTION}.site", there=core.folder)
    core.run("ansible-playbook", "-i", inventory, f"{COLLECTION}.inventory", there=core.folder)


CHECKS: dict[str, Callable[[Core], None]] = {
    "syntax": syntax,
    "vault file": lambda core: specs(core, inline=False),
    "inline vault": lambda core: specs(core, inline=True),
    "collection": collection,
}


def main() -> int:
    """Print the table; the exit status. Words on the command line choose cores."""
    subprocess.run([ROOT / "bin/build", "--collection"], check=True, stdout=subprocess.DEVNULL)
    rows = [("ansible-core", "Python", *CHECKS, "seconds")]
    problems: list[str] = []
    for version in sys.argv[1:] or CORES:
        minors = CORES[version]
        python = next((path for path in map(python_of, reversed(minors)) if path), None)
        if python is None:
            rows.append((version, "none of 3." + ", 3.".join(map(str, minors)), *("-" for _ in CHECKS), "-"))
            continue
        rows.append(tried(version, python, problems))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print("".join(f"\n{problem}" for problem in problems), end="\n" if problems else "")
    return 1 if problems else 0


def tried(version: str, python: str, problems: list[str]) -> tuple[str, ...]:
    """The row of one ansible-core; what is wrong is added to the problems."""
    began = time.monotonic()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        core = Core(version, python, Path(folder))
        for name, check in CHECKS.items():
            problem = outcome(core, check)
            results.append("failed" if problem else "ok")
            if problem:
                problems.append(f"{version}, {name}: {problem}")
    return (version, Path(python).name, *results, f"{time.monotonic() - began:.0f}")


def outcome(core: Core, check: Callable[[Core], None]) -> str:
    """What is wrong, nothing where all is well."""
    try:
        check(core)
    except CheckError as failed:
        return str(failed)
    except subprocess.CalledProcessError as error:
        said = " ".join((error.stderr + error.stdout).split())
        return said[max(0, said.find("fatal: ")) :][:500]
    return ""


def python_of(minor: int) -> str | None:
    """A Python 3 of this minor version that runs, and can make environments."""
    path = shutil.which(f"python3.{minor}")
    asked = [path or "false", "-c", f"import sys, ensurepip; sys.exit(sys.version_info[1] != {minor})"]
    return path if subprocess.run(asked, capture_output=True, check=False).returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
