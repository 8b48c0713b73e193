"""The check's corpus is made of configurations that the real servers accept: nginx and squid."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

CORPUS = ROOT / "tests" / "unit" / "check" / "corpus"


def files(server: str) -> list[Path]:
    found = sorted((CORPUS / server).iterdir())
    assert found
    return found


@pytest.mark.parametrize("path", files("nginx"), ids=lambda path: path.name)
def test_nginx_accepts(path: Path, tmp_path: Path) -> None:
    """A part of a configuration is put into a whole one."""
    text = path.read_text().replace("/var/log/nginx", str(tmp_path)).replace("/etc/nginx/sites", str(tmp_path))
    if "http {" not in text:
        text = f"events {{}}\nhttp {{\nlog_format edgetally '$msec';\n{text}}}\n"
    (tmp_path / "mime.types").write_text("")
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/nginx.pid;\n{text}")
    done = subprocess.run(["nginx", "-t", "-c", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", files("squid"), ids=lambda path: path.name)
def test_squid_accepts(path: Path) -> None:
    command = ["squid", "-k", "parse", "-f", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if any(word in line for word in ("ERROR", "FATAL", "WARNING"))]
    told = [line for line in said if "is already defined. Ignoring" not in line]  # what the check has a note for
    assert (done.returncode, told) == (0, []), done.stderr
    assert (said != told) == ("redefined_format" in path.read_text())
