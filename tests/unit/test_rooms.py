"""The house: which room may import which, and that nothing goes in a circle. docs/reference/code.md draws it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support import SOURCE

PACKAGE = SOURCE / "edgetally"
GROUND = "ground"
MAY_IMPORT = {
    GROUND: set[str](),
    "formats": {GROUND},
    "tally": {GROUND, "formats"},
    "wire": {GROUND},
    "edge": {GROUND, "tally", "formats", "wire"},
    "ledger": {GROUND, "wire"},
    "bill": {GROUND, "ledger", "wire"},
    "check": {GROUND, "edge", "tally", "formats"},
    "health": {GROUND, "edge", "tally", "ledger", "wire"},
    "cli": {GROUND, "formats", "tally", "wire", "edge", "ledger", "bill", "check", "health"},
}
ENTRY = "edgetally.__main__"  # `python -m edgetally`, which starts the command line


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """All modules of the program by name; not gearman_queue_info, which is the Ansible module."""
    files = [path for path in package.rglob("*.py") if not path.is_symlink()]
    names = (".".join(("edgetally", *path.relative_to(package).with_suffix("").parts)) for path in files)
    return {name.removesuffix(".__init__"): path for name, path in zip(names, files)}


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The program's own modules that a file imports, also those within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from [name for name in (inner, node.module) if name in known][:1]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else GROUND


def wrong_imports(known: dict[str, Path]) -> list[str]:
    """Every import of a room that may not make it."""
    return [
        f"{module} imports {other}"
        for module, path in known.items()
        for other in imports(path, known)
        if module != ENTRY and room(other) not in {room(module), *MAY_IMPORT[room(module)]}
    ]


def test_every_import_goes_the_way_of_the_data() -> None:
    assert wrong_imports(modules()) == []


def test_nothing_goes_in_a_circle() -> None:
    known = modules()
    graph = {module: set(imports(path, known)) - {module} for module, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_package_is_a_room() -> None:
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == set(MAY_IMPORT) - {GROUND}


def test_a_wrong_import_is_seen(tmp_path: Path) -> None:
    """Also one that stands within a function, or names a module as a whole."""
    known = modules()
    for text in ("def run():\n    from edgetally.ledger.ledger import Ledger\n", "import edgetally.ledger.writer\n"):
        bad = tmp_path / "spool.py"
        bad.write_text(text)
        assert len(wrong_imports({**known, "edgetally.edge.spool": bad})) == 1
