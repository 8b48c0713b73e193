"""The program as a Debian package, for hosts that Ansible does not look after. One program gives one package."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import zipfile
from email.utils import formatdate
from pathlib import Path

from bin.make import tree

# Where Debian has what /usr/share of the program holds
_SHARED = {
    "bash-completion/completions/edgetally": "usr/share/bash-completion/completions/edgetally",
    "zsh/site-functions/_edgetally": "usr/share/zsh/vendor-completions/_edgetally",
    "man/man1/edgetally.1": "usr/share/man/man1/edgetally.1.gz",
}
_MAINTAINER = "edgetally <root@localhost>"  # whoever builds it
_CONTROL = f"""\
Package: edgetally
Version: {{version}}
Architecture: all
Maintainer: {_MAINTAINER}
Installed-Size: {{size}}
Depends: python3 (>= 3.9)
Section: net
Priority: optional
Description: account the bandwidth of web caches, per channel, for billing
 Edges rotate and tally their access logs and ship the tallies through gearmand
 to one aggregator, which writes the database and makes the bill of it.
 .
 This package holds the program alone: it configures and starts nothing.
"""
_CHANGELOG = f"""\
edgetally ({{version}}) unstable; urgency=medium

  * CHANGELOG.md.gz beside this file says what has changed.

 -- {_MAINTAINER}  {{date}}
"""
_OVERRIDES = """\
# The kernel is there for each machine that it was compiled for, and the program takes the one that fits, or none.
edgetally: arch-independent-package-contains-binary-or-object
edgetally: shared-library-lacks-prerequisites
# Whoever builds the package looks after it.
edgetally: bogus-mail-host
edgetally: bogus-mail-host-in-debian-changelog
edgetally: root-in-contact
"""
_COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: edgetally
Comment: usr/bin/edgetally holds libraries, too, with the text of each one's licence.

Files: *
Copyright: 2026 the authors of edgetally
License: Apache-2.0
 On Debian systems the text of this licence is in /usr/share/common-licenses/Apache-2.0.
"""


def build(root: Path, version: str) -> Path:
    """Write dist/edgetally_VERSION_all.deb; its path. dist/edgetally.pyz has to be there."""
    target = root / "dist" / f"edgetally_{version}_all.deb"
    files = content(root, version)
    size = sum(len(data) for data in files.values()) // 1024 + 1
    files["DEBIAN/control"] = _CONTROL.format(version=version, size=size).encode()
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            _write(Path(folder) / name, data)
        Path(folder).chmod(0o755)
        _pack(folder, target)
    return target


def content(root: Path, version: str) -> dict[str, bytes]:
    """What the package installs, by its path from /."""
    program = root / "dist" / "edgetally.pyz"
    files = {"usr/bin/edgetally": program.read_bytes(), "usr/share/doc/edgetally/copyright": _COPYRIGHT.encode()}
    changelog = _CHANGELOG.format(version=version, date=formatdate(int(tree.EPOCH)))
    files["usr/share/doc/edgetally/changelog.gz"] = _zipped(changelog.encode())
    files["usr/share/doc/edgetally/CHANGELOG.md.gz"] = _zipped((root / "CHANGELOG.md").read_bytes())
    files["usr/share/lintian/overrides/edgetally"] = _OVERRIDES.encode()
    files.update({f"usr/lib/edgetally/{path.name}": path.read_bytes() for path in program.parent.glob("*.so")})
    with zipfile.ZipFile(program) as pyz:
        for name, place in _SHARED.items():
            data = pyz.read(f"edgetally/share/{name}")
            files[place] = _zipped(data) if place.endswith(".gz") else data
    return files


def _zipped(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755 if path.parent.name == "bin" else 0o644)


def _pack(folder: str, target: Path) -> None:
    """Let dpkg-deb make the package. With gzip: other versions of xz pack otherwise, and the program is packed."""
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", folder, str(target)]
    try:
        done = subprocess.run(
            command, env={**os.environ, "SOURCE_DATE_EPOCH": tree.EPOCH}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        sys.exit("bin/build: dpkg-deb is not there, which makes the package: install dpkg, or do without --deb")
    if done.returncode:
        sys.exit(f"bin/build: dpkg-deb could not make the package: {' '.join(done.stderr.split())}")
