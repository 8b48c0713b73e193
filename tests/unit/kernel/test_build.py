"""The kernel's build: what it needs, that it can be repeated, and that nothing in it can panic."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

KERNEL = ROOT / "kernel"
EDITION = ("--edition", "2021")


def build(folder: Path, kernel: Path = KERNEL, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [kernel / "build", folder],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def compilers() -> list[str]:
    """The compilers that are here: Debian's, and one that stands before it on the path."""
    found = [shutil.which("rustc"), shutil.which("rustc", path="/usr/bin")]
    return list(dict.fromkeys(name for name in found if name))


def copied(folder: Path) -> Path:
    shutil.copytree(KERNEL, folder / "another" / "kernel")
    return folder / "another" / "kernel"


@pytest.mark.parametrize("rustc", compilers())
def test_the_same_bytes_wherever_it_is_built(rustc: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert build(one, RUSTC=rustc).returncode == 0
    assert build(two, copied(tmp_path), RUSTC=rustc).returncode == 0
    names = sorted(path.name for path in one.iterdir())
    assert f"edgetally-kernel-{os.uname().machine}.so" in names
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert str(tmp_path).encode() not in (one / name).read_bytes()


def test_a_build_that_could_panic_does_not_link(tmp_path: Path) -> None:
    """One place that is reached into without a look is enough."""
    kernel = copied(tmp_path)
    source = kernel / "src" / "text.rs"
    text = source.read_text(encoding="utf-8")
    changed = text.replace("match self.0.get(at) {", "match Some(&self.0[at]) {")
    assert changed != text
    source.write_text(changed, encoding="utf-8")
    done = build(tmp_path / "out", kernel)
    assert done.returncode == 1
    assert "edgetally_cannot_panic" in done.stderr


def test_it_needs_nothing_of_the_system(tmp_path: Path) -> None:
    """So it can be loaded beside any libc."""
    build(tmp_path)
    data = (tmp_path / f"edgetally-kernel-{os.uname().machine}.so").read_bytes()
    assert b"libc.so" not in data
    assert b"GLIBC_" not in data
    assert len(data) < 64 << 10


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("rustc", "kernel/build: there is no nothing that runs: install rustc, libstd-rust-dev and lld"),
        ("lld", "kernel/build: there is no ld.lld: install lld"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(missing: str, said: str, tmp_path: Path) -> None:
    if missing == "rustc":
        done = build(tmp_path, RUSTC="nothing")
    else:
        kernel = copied(tmp_path)
        script = (kernel / "build").read_text(encoding="utf-8")
        (kernel / "build").write_text(script.replace("ld.lld", "ld.nothing"), encoding="utf-8")
        said = said.replace("ld.lld", "ld.nothing")
        done = build(tmp_path, kernel)
    assert (done.returncode, done.stderr) == (3, f"{said}\n")


@pytest.mark.skipif(not shutil.which("rustfmt"), reason="rustfmt is not here")
def test_it_is_formatted() -> None:
    command = ["rustfmt", *EDITION, "--config-path", str(KERNEL), "--check", str(KERNEL / "src" / "lib.rs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not shutil.which("clippy-driver"), reason="clippy is not here")
def test_clippy_finds_nothing(tmp_path: Path) -> None:
    how = ["--crate-type", "staticlib", "-C", "panic=abort", "-O", "-D", "warnings", "-D", "clippy::all"]
    command = ["clippy-driver", *EDITION, *how, str(KERNEL / "src" / "lib.rs"), "-o", str(tmp_path / "kernel.a")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
