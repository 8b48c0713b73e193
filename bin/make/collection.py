"""The roles, playbooks, module and filters as an Ansible collection, with the program inside.

Its tree is the repository's, so that links and relative paths hold, but for three things: plugins lie where a
collection has them, site.yml lies with the other playbooks, and a role calls its filters by their full names, because
Ansible does not look into a collection's roles for plugins. The same sources give the same bytes.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMESPACE = NAME = "edgetally"
_TAKEN = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "docs",
    "inventory.example",
    "monitoring",
    "playbooks",
    "roles",
)
_PLUGINS = {"library": "plugins/modules", "module_utils": "plugins/module_utils", "filter_plugins": "plugins/filter"}


def build(root: Path, version: str) -> Path:
    """Write dist/edgetally-edgetally-VERSION.tar.gz; its path. dist/edgetally.pyz has to be there."""
    files = content(root)
    files["FILES.json"] = _as_json({"files": list(_listed(files)), "format": 1})
    files["MANIFEST.json"] = _as_json(_manifest(version, files["FILES.json"]))
    target = root / "dist" / f"{NAMESPACE}-{NAME}-{version}.tar.gz"
    target.with_suffix(".tmp").write_bytes(_packed(files))
    return target.with_suffix(".tmp").replace(target)


def content(root: Path) -> dict[str, bytes]:
    """What the collection holds, but for its manifests, by its path in there."""
    files = {name: path.read_bytes() for name, path in _sources(root)}
    names = sorted(
        name for path, data in files.items() if path.startswith("plugins/filter/") for name in _filters(data)
    )
    shared = f"ansible_collections.{NAMESPACE}.{NAME}.plugins.module_utils.edgetally_tls".encode()
    for path in files:
        if path.startswith("plugins/modules/"):
            files[path] = files[path].replace(b"ansible.module_utils.edgetally_tls", shared)
        if path.startswith("roles/") and path.endswith((".yml", ".j2")):
            files[path] = _with_full_names(files[path], names)
    site = (root / "site.yml").read_text("utf-8")
    files["playbooks/site.yml"] = site.replace("import_playbook: playbooks/", "import_playbook: ").encode()
    files["meta/runtime.yml"] = f'---\nrequires_ansible: ">={oldest_ansible(root)}"\n'.encode()
    # The program, and what bin/build has laid beside it for hosts of some architecture
    built = [root / "dist/edgetally.pyz", *sorted((root / "dist").glob("*.so"))]
    files.update({f"dist/{path.name}": path.read_bytes() for path in built})
    return files


def oldest_ansible(root: Path) -> str:
    """The oldest ansible-core that the roles name."""
    text = (root / "roles/edgetally/meta/main.yml").read_text("utf-8")
    return text.partition('min_ansible_version: "')[2].partition('"')[0]


def _sources(root: Path) -> Iterator[tuple[str, Path]]:
    """Each file with its place in the collection."""
    for top in (*_TAKEN, "library", "module_utils"):
        for path in sorted([root / top, *(root / top).rglob("*")]):
            if path.is_file() and path.suffix != ".pyc":
                folder = _PLUGINS.get(path.parent.name)
                yield f"{folder}/{path.name}" if folder else path.relative_to(root).as_posix(), path


def _filters(source: bytes) -> Iterator[str]:
    """The names of the filters of a plugin: the keys of what its `filters` returns."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and function.name == "filters":
            for node in ast.walk(function):
                if isinstance(node, ast.Dict):
                    yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))


def _with_full_names(text: bytes, filters: list[str]) -> bytes:
    """A role's file, in which each of the filters is called by its name in the collection."""
    called = re.compile(rf"(\|\s*)({'|'.join(filters)})\b")
    return called.sub(rf"\1{NAMESPACE}.{NAME}.\2", text.decode()).encode()


def _listed(files: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    """The entries of FILES.json: all folders and files."""
    for name in sorted({".", *_folders(files), *files}):
        digest = hashlib.sha256(files[name]).hexdigest() if name in files else None
        kind, sum_type = ("file", "sha256") if digest else ("dir", None)
        yield {"name": name, "ftype": kind, "chksum_type": sum_type, "chksum_sha256": digest, "format": 1}


def _folders(files: dict[str, bytes]) -> set[str]:
    return {str(folder) for name in files for folder in Path(name).parents} - {"."}


def _manifest(version: str, files_json: bytes) -> dict[str, Any]:
    """MANIFEST.json: what a galaxy.yml says, and the hash of FILES.json."""
    return {
        "collection_info": {
            "namespace": NAMESPACE,
            "name": NAME,
            "version": version,
            "authors": ["edgetally"],
            "readme": "README.md",
            "tags": ["accounting", "bandwidth", "billing", "cache", "gearman"],
            "description": "Account the bandwidth of a fleet of web caches, per channel, for billing.",
            "license": ["Apache-2.0"],
            "license_file": None,
            "dependencies": {},
            "repository": None,
            "documentation": None,
            "homepage": None,
            "issues": None,
        },
        "file_manifest_file": {
            "name": "FILES.json",
            "ftype": "file",
            "chksum_type": "sha256",
            "chksum_sha256": hashlib.sha256(files_json).hexdigest(),
            "format": 1,
        },
        "format": 1,
    }


def _packed(files: dict[str, bytes]) -> bytes:
    """The files as a .tar.gz: the manifests first, then the folders; no dates, no owners."""
    packed = io.BytesIO()
    order = sorted(files, key=lambda name: (name != "MANIFEST.json", name != "FILES.json", name))
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name in order[:2] + sorted(_folders(files)) + order[2:]:
            entry, data = tarfile.TarInfo(name), files.get(name, b"")
            if name not in files:
                entry.type = tarfile.DIRTYPE
            entry.size, entry.mode = len(data), 0o644 if name in files and not name.endswith(".pyz") else 0o755
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _as_json(data: Any) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()
