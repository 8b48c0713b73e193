"""The kernel of another machine finds the same: 64-bit ARM under qemu, where that and a compiler for it are here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fuzz.kernel import programs
from tests.support import ROOT

HARNESS = ROOT / "tests" / "fuzz" / "kernel" / "harness.c"


def sums(folder: Path, machine: str, compiler: str, *emulator: str) -> str:
    """What the inputs in a folder come to, with the kernel of a machine."""
    kernel, program = folder / f"edgetally-kernel-{machine}.so", folder / f"harness-{machine}"
    subprocess.run([compiler, "-O1", "-DALONE", HARNESS, kernel, "-o", program, f"-Wl,-rpath,{folder}"], check=True)
    inputs = sorted(map(str, (folder / "seeds").iterdir()))
    environment = {**os.environ, "PROGRAMS": str(folder / "programs")}
    done = subprocess.run([*emulator, program, *inputs], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no C compiler")
def test_an_arm_finds_what_an_x86_finds(tmp_path: Path) -> None:
    """With tables so small that all of them are full at times."""
    programs.main(tmp_path)
    subprocess.run([ROOT / "kernel" / "build", tmp_path], check=True)
    own = os.uname().machine
    found = sums(tmp_path, own, "gcc")
    assert int(found, 16)
    emulator, compiler = shutil.which("qemu-aarch64-static"), shutil.which("aarch64-linux-gnu-gcc")
    if own == "aarch64" or not (emulator and compiler and (tmp_path / "edgetally-kernel-aarch64.so").exists()):
        pytest.skip("qemu, a C compiler or the Rust library for aarch64 is not here")
    assert sums(tmp_path, "aarch64", compiler, emulator, "-L", "/usr/aarch64-linux-gnu") == found
